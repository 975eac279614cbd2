"""The rules of the list of metrics, and the columns that follow from it."""

import pytest

from heatdrift.metric_types import Expected, Probe
from heatdrift.metrics import (
    APPENDED,
    CELL_COLUMNS,
    FIRST_PROBES,
    LATER_PROBES,
    PROBE_COLUMN,
    PROBES,
    PUBLISHED_RESULTS,
    RUN_COLUMN,
    STORED,
)

GOOD = {"name": "sharpness", "title": "sharpness", "unit": "nats", "definition": "mean of a log a"}


def test_an_entry_with_all_it_needs_is_made():
    assert Probe(**GOOD, per_head=True, results=("value", "drift_last")).name == "sharpness"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"unit": ""}, "a probe has a unit"),
        ({"unit": "  "}, "a probe has a unit"),
        ({"title": ""}, "a probe has a title"),
        ({"definition": ""}, "a probe has a definition"),
        ({"name": "Sharpness"}, "its name is lower case"),
        ({"name": "a b"}, "its name is lower case"),
        ({"name": "sharpness_last"}, "look like a column made from another probe"),
        ({"name": "delta_sharpness"}, "look like a column made from another probe"),
        ({"per_layer": False, "per_head": True}, "values per head are values per block too"),
        ({"has_base": False, "results": ("drift",)}, "a drift needs a base value"),
        ({"per_layer": False, "results": ("value_last",)}, "a last block needs values per block"),
        ({"results": ("value", "value")}, "a result is named once"),
        ({"expected": Expected(orientation=1, reason="")}, "an expected direction has a reason"),
    ],
)
def test_an_entry_that_breaks_a_rule_cannot_be_made(change, rule):
    with pytest.raises(ValueError, match=r"probe '.*'") as caught:
        Probe(**GOOD | change)
    assert rule in str(caught.value)


def test_no_two_metrics_share_a_name_and_every_result_is_a_column_of_runs():
    assert len({p.name for p in PROBES}) == len(PROBES)
    assert {c.name for c in CELL_COLUMNS} <= set(RUN_COLUMN)
    assert len({c.name for c in CELL_COLUMNS}) == len(CELL_COLUMNS)
    assert {column.stored for column in PROBE_COLUMN.values()} == set(STORED)


def test_every_probe_can_be_asked_about_by_its_own_quantity():
    for probe in PROBES:
        own = f"delta_{probe.name}_pct" if probe.has_base else probe.name
        last = f"delta_{probe.name}_last_pct" if probe.has_base else f"{probe.name}_last"
        assert own in RUN_COLUMN
        assert (last in RUN_COLUMN) == probe.per_layer


def test_columns_of_later_probes_are_appended():
    later = {p.name for p in LATER_PROBES}
    assert PROBES[: len(FIRST_PROBES)] == FIRST_PROBES
    assert {column.probe.name for column in APPENDED} == later
    published = list(CELL_COLUMNS[: len(PUBLISHED_RESULTS)])
    assert published == list(PUBLISHED_RESULTS)
    after = [c.name for c in CELL_COLUMNS[len(PUBLISHED_RESULTS) :]]
    # map_js was there before chance; the next probe's columns come after it, so that none moves
    assert after[:3] == ["map_js", "chance_pct", "retention_above_chance_pct"]
    assert all(PROBE_COLUMN[name].probe.name in later for name in after[3:])
