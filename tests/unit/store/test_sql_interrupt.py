"""Ctrl-C stops a query that would run for hours."""

import signal
import threading

import duckdb
import pytest

from heatdrift.store.sql import query_frame


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1e12) SELECT max(n) FROM t",
    ],
    ids=["cross join", "recursive"],
)
def test_an_interrupt_stops_a_query(query):
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    with duckdb.connect(":memory:") as connection:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            query_frame(connection, query)
        assert query_frame(connection, "SELECT 1 AS one").rows() == [(1,)]
