"""Every named question, run on the archived store, gives the committed table.

After a wanted change: ``HEATDRIFT_UPDATE_GOLDEN=1 pytest tests/golden/test_named_queries.py`` writes the tables anew.
"""

import gzip
import os
from pathlib import Path

import pytest

from heatdrift.store.queries import list_queries, run_query

HERE = Path(__file__).parent
NAMES = [query.name for query in list_queries()]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "heatdrift.duckdb"
    path.write_bytes(gzip.decompress((HERE.parent / "archives" / "schema0002.duckdb.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_named_question_gives_the_committed_table(store, name):
    table = run_query(store, name).write_csv(float_precision=6)
    golden = HERE / "sql" / f"{name}.csv"
    if os.environ.get("HEATDRIFT_UPDATE_GOLDEN"):
        golden.write_text(table, encoding="utf-8")
        pytest.skip(f"{golden} written")
    assert table == golden.read_text(encoding="utf-8")


def test_no_table_is_left_over():
    assert sorted(p.stem for p in (HERE / "sql").glob("*.csv")) == NAMES
