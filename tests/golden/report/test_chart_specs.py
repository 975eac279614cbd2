"""The specs of a small simulated study's charts, one of each kind, against the files beside this test.

A spec that changed on purpose: `HEATDRIFT_UPDATE_GOLDEN=1 pytest tests/golden/report`, then read the diff.
"""

import json
import os
from pathlib import Path

import altair as alt
import jsonschema
import pytest

from heatdrift.report.blocks import Figure
from heatdrift.report.page import page_sections
from heatdrift.report.study_data import prepare

HERE = Path(__file__).parent
KINDS = (
    "fig-drift-1", "fig-performance-2", "fig-layers-1", "fig-course-3", "fig-contrasts-1-1", "fig-correlation-1-1",
    "fig-dose-1", "fig-blocks-1", "fig-heads-entropy-1", "fig-paired-2", "fig-predictors-1", "fig-frontier-1",
    "fig-matched-1",
)  # fmt: skip


@pytest.fixture(scope="module")
def specs(small):
    figures = [b for s in page_sections(small, prepare(small)) for b in s.all_blocks if isinstance(b, Figure)]
    return {panel.panel_id: json.loads(panel.spec) for figure in figures for panel in figure.panels}


@pytest.mark.parametrize("panel_id", KINDS)
def test_spec(specs, panel_id):
    path = HERE / f"{panel_id}.json"
    spec = specs[panel_id] | {"$schema": "vega-lite"}  # its number follows the installed altair
    if os.environ.get("HEATDRIFT_UPDATE_GOLDEN"):
        path.write_text(json.dumps(spec, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    assert spec == json.loads(path.read_text(encoding="utf-8"))


def test_every_spec_follows_the_schema_of_vega_lite(specs):
    """The page leaves altair's check out, which takes a quarter of its time."""
    for spec in specs.values():
        alt.Chart.from_dict(spec)
    broken = specs[KINDS[0]] | {"layer": [{"mark": "no such mark"}]}
    with pytest.raises(jsonschema.ValidationError):
        alt.Chart.from_dict(broken)
