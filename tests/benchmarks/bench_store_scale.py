"""Scale of the store: a million runs loaded by Parquet, two thousand by record.json, questions beside plain DuckDB.

``python tests/benchmarks/bench_store_scale.py FOLDER [--runs 1000000] [--records 2000]`` prints one JSON object. Plain
DuckDB means the same rows in the simplest tables that could answer: one wide table of runs, one of layers. Every time
is the median of five, on warm files, in one process.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "archives"))

GRID = """
SELECT
  'scale' AS study,
  'c1-' || lpad(to_hex(i), 16, '0') AS cell_id,
  'leakfree' AS protocol,
  'ViT-B-32-quickgelu/openai' AS backbone,
  'data' || (i % 40) AS dataset,
  ['full_ft', 'lora_r8', 'last_block', 'linear_probe'][1 + i // 40 % 4] AS method,
  1e-6 * (1 + i // 160 % 25) AS lr,
  i // 4000 AS seed,
  'done' AS status,
  2 AS epochs,
  2 AS selected_epoch,
  80 + 10 * sin(i) AS test_acc_pct,
  'cifar100' AS transfer_set,
  62.0 + 0 * i AS zero_shot_base_pct,
  50 + 10 * cos(i) AS zero_shot_pct,
  10000 AS n_transfer,
  100 + 50 * sin(i * 7) AS wall_s
FROM range({runs}) AS t(i)
"""
EPOCHS = """
SELECT study, cell_id, epoch, 1 / (1 + epoch) + 0.1 * sin(i) AS train_loss, 70 + 5 * epoch + sin(i) AS val_acc_pct,
  3.5 - 0.2 * epoch * (1 + sin(i)) AS entropy, 0.6 - 0.02 * epoch * (1 + cos(i)) AS erf95,
  CASE WHEN epoch > 0 THEN 1 - 0.05 * (1 + sin(i)) END AS cka,
  CASE WHEN epoch > 0 THEN 0.01 * (1 + cos(i)) END AS weight_drift
FROM (SELECT study, cell_id, row_number() OVER () AS i FROM '{folder}/runs.parquet'), (VALUES (0), (2)) AS e(epoch)
"""
LAYERS = """
SELECT study, cell_id, 2 AS epoch, layer::INTEGER AS layer, 'entropy' AS metric, 3.5 - 0.1 * sin(i + layer) AS value
FROM (SELECT study, cell_id, row_number() OVER () AS i FROM '{folder}/runs.parquet'), range(12) AS l(layer)
"""
QUESTIONS = {
    "runs with a filter": (
        "SELECT seed, test_acc_pct, retention_pct, delta_entropy_pct FROM {runs} "
        "WHERE dataset = 'data7' AND method = 'lora_r8' AND lr = 5e-6"
    ),
    "one run by its id": "SELECT * FROM {runs} WHERE cell_id = 'c1-0000000000000a41'",
    "runs, all averaged": (
        "SELECT dataset, method, avg(retention_pct), avg(delta_entropy_pct), count(*) FROM {runs} GROUP BY ALL"
    ),
    "layers of one group": (
        "SELECT layer, avg(value) FROM {layers} JOIN {runs} USING (study, cell_id) "
        "WHERE dataset = 'data7' AND method = 'lora_r8' GROUP BY layer"
    ),
}


def timed(action: Callable[[], object]) -> float:
    """Return the median seconds of five calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def megabytes(path: Path) -> float:
    """Return the size of a file or of all files of a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return round(sum(p.stat().st_size for p in files) / 1e6, 1)


def bulk(folder: Path, runs: int) -> dict[str, object]:
    """Load `runs` runs with 12 layer rows each by Parquet, and ask."""
    from heatdrift.store.check import check_store
    from heatdrift.store.connect import open_store
    from heatdrift.store.importers.records import import_heatdrift
    from heatdrift.store.ingest import ingest

    tables, store = folder / "tables", folder / "runs" / "heatdrift.duckdb"
    tables.mkdir(parents=True)
    with duckdb.connect() as made:
        made.execute("SET memory_limit = '3GB'")
        for name, query in (("runs", GRID), ("epochs", EPOCHS), ("layers", LAYERS)):
            made.execute(
                f"COPY ({query.format(runs=runs, folder=tables)}) TO '{tables}/{name}.parquet' (COMPRESSION zstd)"
            )
    found: dict[str, object] = {"runs": runs, "source_parquet_mb": megabytes(tables)}
    start = time.perf_counter()
    import_heatdrift(tables, store.parent)
    found["import_s"] = round(time.perf_counter() - start, 1)
    start = time.perf_counter()
    report = ingest(store)
    found["ingest_s"] = round(time.perf_counter() - start, 1)
    assert report.added == runs, report
    start = time.perf_counter()
    ingest(store)
    found["ingest_again_s"] = round(time.perf_counter() - start, 2)
    found["store_mb"], found["part_mb"] = megabytes(store), megabytes(store.parent / "_parts")
    plain = folder / "plain.duckdb"
    start = time.perf_counter()
    with duckdb.connect(plain) as made:
        made.execute("SET memory_limit = '3GB'")
        made.execute(f"ATTACH '{store}' AS store (READ_ONLY)")
        made.execute("CREATE TABLE runs AS SELECT * FROM store.runs")
        found["runs_view_to_table_s"] = round(time.perf_counter() - start, 1)
        made.execute("CREATE TABLE layers AS SELECT study, cell_id, epoch, layer, metric, value FROM store.layers")
    found["plain_mb"] = megabytes(plain)
    with open_store(store) as ours, duckdb.connect(plain, read_only=True) as theirs:
        for connection in (ours, theirs):
            connection.execute("SET memory_limit = '4GB'")
        cells = [row[0] for row in ours.execute("DESCRIBE cells").fetchall() if row[0].endswith(("_mean", "_sd"))]
        averages = ", ".join(
            f"avg({c.removesuffix('_mean')})" if c.endswith("_mean") else f"stddev_samp({c.removesuffix('_sd')})"
            for c in cells
        )
        pairs = {name: (q.format(runs="runs", layers="layers"),) * 2 for name, q in QUESTIONS.items()}
        pairs["cells"] = (
            "SELECT * FROM cells",
            f"SELECT study, backbone, dataset, method, lr, count(DISTINCT seed), {averages} FROM runs "
            "WHERE status = 'done' GROUP BY ALL",
        )
        pairs["cells, retention of one data set"] = (
            "SELECT method, lr, retention_pct_mean, retention_pct_sd FROM cells WHERE dataset = 'data7'",
            "SELECT method, lr, avg(retention_pct), stddev_samp(retention_pct) FROM runs "
            "WHERE status = 'done' AND dataset = 'data7' GROUP BY ALL",
        )
        questions = {}
        for name, (our_query, their_query) in pairs.items():
            mine, base = (
                timed(lambda c=c, q=q: c.execute(q).fetchall()) for c, q in ((ours, our_query), (theirs, their_query))
            )
            questions[name] = {"store_s": round(mine, 4), "plain_s": round(base, 4), "ratio": round(mine / base, 1)}
        found["questions"] = questions
    start = time.perf_counter()
    found["check_problems"] = len(check_store(store).findings)
    found["check_s"] = round(time.perf_counter() - start, 1)
    return found


def records(folder: Path, count: int) -> dict[str, object]:
    """Write `count` full runs (12 blocks, 12 heads, 6 epochs, all probes) as records, ingest, rebuild."""
    import msgspec
    from make_archive import record as archive_record

    from heatdrift.metrics import PROBES
    from heatdrift.records import EpochRecord
    from heatdrift.store.folder import write_record
    from heatdrift.store.ingest import ingest, rebuild

    store = folder / "records" / "heatdrift.duckdb"
    write_s = 0.0
    for number in range(count):
        base = archive_record(number % 2, ("full_ft", "lora_r8")[number // 2 % 2], 1e-4, number % 8)
        value = 1 + number / count
        epochs = tuple(
            EpochRecord(
                epoch=e,
                train_loss=1 / e if e else None,
                train_acc_pct=50.0 + e if e else None,
                val_acc_pct=60.0 + e if e else None,
                track_zero_shot_pct=60.0 - e,
                means={p.name: value / (1 + e) for p in PROBES if e or p.has_base},
                layers={
                    p.name: tuple(value / (1 + e + i / 7) for i in range(12))
                    for p in PROBES
                    if p.per_layer and (e or p.has_base)
                },
                heads={
                    p.name: tuple(tuple(value / (1 + e + i / 7 + h / 11) for h in range(12)) for i in range(12))
                    for p in PROBES
                    if p.per_head and (e or p.has_base)
                },
            )
            for e in range(7)
        )
        cell = msgspec.structs.replace(base.cell, seed=number)
        full = msgspec.structs.replace(
            base,
            study="full",
            cell=cell,
            cell_id=cell.cell_id,
            epochs=epochs,
            selected_epoch=6,
            status="done",
            error=None,
        )
        start = time.perf_counter()
        write_record(full, store.parent)
        write_s += time.perf_counter() - start
    found: dict[str, object] = {"records": count, "write_s": round(write_s, 1)}
    for name, action in (("ingest_s", ingest), ("ingest_again_s", ingest), ("rebuild_s", rebuild)):
        start = time.perf_counter()
        action(store)
        found[name] = round(time.perf_counter() - start, 2)
    with duckdb.connect(store, read_only=True) as connection:
        for view in ("runs", "layers", "heads"):
            found[f"{view}_rows"] = connection.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
    found["folder_mb"] = round(megabytes(store.parent / "full"), 1)
    found["store_mb"] = megabytes(store)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--records", type=int, default=2000)
    options = parser.parse_args()
    result = {"bulk": bulk(options.folder / "bulk", options.runs)} if options.runs else {}
    if options.records:
        result["records"] = records(options.folder, options.records)
    result["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
