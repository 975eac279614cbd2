"""The provenance of a page asks the view `runs` for its columns by name: a name that is no column would be no fact."""

import duckdb
import polars as pl
import pytest

from heatdrift.cli.report_provenance import SECTIONS, provenance
from heatdrift.questions.compare.facts import COLUMNS
from heatdrift.questions.compare.pairing import DRAWN_BY
from heatdrift.run_facts import PER_DATASET, WORDS
from heatdrift.store.migrate import migrate


@pytest.fixture(scope="module")
def rows():
    """The view `runs` of a new store, as a frame with one row that says nothing but its data set and prompt."""
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        empty = connection.sql("FROM runs").pl()
    said = {"dataset": "shapes", "prompt_template": "a photo of a {}.", "dirty": True}
    return pl.DataFrame({name: [said.get(name)] for name in empty.columns}, schema=empty.schema)


def test_every_fact_that_is_asked_for_is_a_column_of_runs(rows):
    asked = {*(name for names in SECTIONS.values() for name in names), *PER_DATASET, *WORDS, *COLUMNS, *DRAWN_BY}
    assert asked <= set(rows.columns), asked - set(rows.columns)


def test_the_prompt_is_on_the_page(rows):
    found = provenance(rows)
    assert found["evaluation"] == [("prompt", "a photo of a {}.")]
    assert found["code"] == [("uncommitted changes", "yes")]
    assert found["data set shapes"] == []
