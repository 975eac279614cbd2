"""Ways to keep an epoch's probe means, beside each other: which may stand behind the views?

``python tests/benchmarks/bench_epoch_layouts.py [--runs 300000]`` prints a Markdown table. Every layout holds the same
numbers, all values of two epochs per run, and answers the same three questions through a view that gives one column per
value: as the views `runs` and `cells` do, over the drift from epoch 0. Times are medians of five in one process.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from heatdrift.metrics import PROBE_COLUMN, PUBLISHED_RESULTS, STORED

EPOCHS = "(VALUES (0), (2)) AS e(epoch)"
VALUES = ", ".join(f"sin(i * {n + 1} + epoch) AS {name}" for n, name in enumerate(STORED))
LAYOUTS = {  # name -> (statement that makes the table from `wide`, view with one column per value)
    "a column per value": ("CREATE TABLE columns AS FROM wide", "FROM columns"),
    "a row per value": (
        f"CREATE TABLE rows AS FROM (UNPIVOT wide ON {', '.join(STORED)} INTO NAME metric VALUE value)",
        "SELECT run_id, epoch, "
        + ", ".join(f"max(value) FILTER (metric = '{name}') AS {name}" for name in STORED)
        + " FROM rows GROUP BY run_id, epoch",
    ),
    "a row per value, sorted by metric": (
        "CREATE TABLE sorted AS FROM rows ORDER BY metric, run_id, epoch",
        "SELECT run_id, epoch, "
        + ", ".join(f"max(value) FILTER (metric = '{name}') AS {name}" for name in STORED)
        + " FROM sorted GROUP BY run_id, epoch",
    ),
    "a MAP per epoch": (
        "CREATE TABLE maps AS SELECT run_id, epoch, map_from_entries(list((metric, value))) AS m FROM rows "
        "GROUP BY run_id, epoch",
        "SELECT run_id, epoch, " + ", ".join(f"m['{name}'] AS {name}" for name in STORED) + " FROM maps",
    ),
    "a STRUCT per epoch": (
        f"CREATE TABLE structs AS SELECT run_id, epoch, {{{', '.join(f'{n}: {n}' for n in STORED)}}} AS p FROM wide",
        "SELECT run_id, epoch, " + ", ".join(f"p.{name} AS {name}" for name in STORED) + " FROM structs",
    ),
}


def median_s(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    """Return the median seconds of five answers."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        connection.execute(query).fetchall()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def questions() -> dict[str, str]:
    """Return the questions, over a view `drift` that has the values of an epoch beside those of epoch 0."""
    results = [PROBE_COLUMN[c.name] for c in PUBLISHED_RESULTS if c.name in PROBE_COLUMN]
    averages = ", ".join(f"avg({c.name}), stddev_samp({c.name})" for c in results)
    runs = "FROM run JOIN drift USING (run_id) WHERE epoch = 2"
    return {
        "filter": f"SELECT run_id, delta_entropy_pct {runs} AND cell = 77",
        "average": f"SELECT cell % 100, avg(delta_entropy_pct) {runs} GROUP BY ALL",
        "cells": f"SELECT cell, {averages} {runs} GROUP BY ALL",
    }


def drift(view: str) -> str:
    """Return the statement of the view `drift` over a layout's view."""
    columns = [f"e.{name}" for name in STORED] + [
        f"100 * (e.{c.stored} - b.{c.stored}) / nullif(b.{c.stored}, 0) AS {c.name}"
        for c in PROBE_COLUMN.values()
        if c.drift
    ]
    return (
        f"CREATE OR REPLACE VIEW drift AS SELECT e.run_id, e.epoch, {', '.join(columns)} FROM ({view}) AS e "
        f"LEFT JOIN ({view}) AS b ON b.run_id = e.run_id AND b.epoch = 0"
    )


def main(runs: int) -> None:
    """Make the layouts one after another and print what they cost."""
    write = sys.stdout.write
    write(f"| {runs:,} runs, 2 epochs, {len(STORED)} values | make | size | {' | '.join(questions())} |\n")
    write("|---|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder) / "layouts.duckdb") as connection:
        connection.execute(f"CREATE TABLE run AS SELECT i AS run_id, i % 4000 AS cell FROM range({runs}) AS t(i)")
        connection.execute(
            f"CREATE VIEW wide AS SELECT i AS run_id, epoch, {VALUES} FROM range({runs}) AS t(i), {EPOCHS}"
        )
        for name, (make, view) in LAYOUTS.items():
            connection.execute("CHECKPOINT")
            before = used_mb(connection)
            start = time.perf_counter()
            connection.execute(make)
            made = time.perf_counter() - start
            connection.execute("CHECKPOINT")
            size = used_mb(connection) - before
            connection.execute(drift(view))
            times = " | ".join(f"{1000 * median_s(connection, query):.0f} ms" for query in questions().values())
            write(f"| {name} | {made:.1f} s | {size:.0f} MB | {times} |\n")


def used_mb(connection: duckdb.DuckDBPyConnection) -> float:
    """Return the megabytes of the file that are in use."""
    used, block = connection.sql("SELECT used_blocks, block_size FROM pragma_database_size()").fetchall()[0]
    return float(used * block / 1e6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300_000)
    main(parser.parse_args().runs)
