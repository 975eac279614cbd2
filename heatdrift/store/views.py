"""The views whose columns depend on what is measured, as SQL made from ``heatdrift.metrics``; no SQL lists the probes.

`runs`, `epochs`, `layers`, `heads` and `cells` are made here, after the numbered migrations, and again whenever the
statements differ from those that the file was made with (`layout.py`). What was published keeps its place: the columns
of later probes are appended.
"""

from typing import Final

from heatdrift.metric_types import Column, ProbeColumn, all_kinds, probe_column
from heatdrift.metrics import (
    ABOVE_CHANCE,
    APPENDED,
    FIRST_PROBES,
    FURTHER,
    LATER_PROBES,
    LATER_RESULTS,
    N_BEFORE_CHANCE,
    PROBES,
    PUBLISHED_RESULTS,
    columns_of,
)

_RESULT: Final = {  # results of a run that are no column of its selected epoch
    "trainable_params": "r.trainable_params",
    "test_acc_pct": "r.test_acc_pct",
    "zero_shot_base_pct": "t.base_pct AS zero_shot_base_pct",
    "zero_shot_pct": "t.adapted_pct AS zero_shot_pct",
    "retention_pct": "100 * t.adapted_pct / nullif(t.base_pct, 0) AS retention_pct",
    "wall_s": "r.wall_s",
}

_EPOCH_DRIFT: Final = """-- Every epoch next to its run's base. Drift is a ratio of means: 100 (adapted - base) / base.
CREATE OR REPLACE VIEW raw.epoch_drift AS
SELECT
  e.run_id,
  e.epoch,
  e.train_loss,
  e.train_acc_pct,
  e.val_acc_pct,
  {whole},
  e.track_zero_shot_pct,
  100 * e.track_zero_shot_pct / nullif(b.track_zero_shot_pct, 0) AS track_retention_pct,
  {last}
FROM raw.epoch AS e
LEFT JOIN raw.epoch AS b ON b.run_id = e.run_id AND b.epoch = 0"""

_RUNS: Final = """CREATE OR REPLACE VIEW runs AS
SELECT
  r.study,
  r.cell_id,
  r.protocol,
  r.backbone,
  r.dataset,
  r.method,
  r.lr,
  r.seed,
  r.status,
  r.epochs,
  r.selected_epoch,
  {results},
  r."commit",
  r.dirty,
  r.started_at,
  r.finished_at,
  r.error,
  r.attempt,
  r.origin,
  r.last_epoch,
  sqrt(e.val_acc_pct * (100 - e.val_acc_pct) / r.n_val) AS val_acc_se_pct,
  sqrt(r.test_acc_pct * (100 - r.test_acc_pct) / r.n_test) AS test_acc_se_pct,
  sqrt(t.adapted_pct * (100 - t.adapted_pct) / t.n_images) AS zero_shot_se_pct,
  {further},
  r.total_params,
  r.n_train,
  r.n_val,
  r.n_test,
  r.n_probe,
  t.n_images AS n_transfer,
  r.adapter_live_max_diff,
  r.adapter_off_max_diff,
  r.batch_size,
  r.weight_decay,
  r.warmup_fraction,
  r.clip_norm,
  r.train_per_class,
  r.val_per_class,
  r.probe_per_class,
  r.probe_images,
  r.data_seed,
  r.select_on,
  r.requested_precision,
  r.precision,
  r.device,
  r.threads,
  r.host,
  r.python,
  r.platform,
  r.packages,
  r.diff_sha256,
  r.method_spec,
  r.backbone_sha256,
  r.data_sha256,
  r.split_sha256,
  r.prompt_template,
  r.class_names,
  r.preprocess,
  r.sources,
  r.resumed_after,
  r.source,
  r.record_sha256{appended},
  t.n_classes AS transfer_classes,
  {above_chance},
  t.retention_above_chance_low_pct,
  t.retention_above_chance_high_pct,
  r.duplicate_rows,
  r.duplicates,
  coalesce(a.n_results, r.n_results, 1) AS n_results{latest},
  r.eval_precision,
  r.factors
FROM raw.run AS r
LEFT JOIN raw.epoch_drift AS e ON e.run_id = r.run_id AND e.epoch = r.selected_epoch
LEFT JOIN raw.transfer_result AS t ON t.run_id = r.run_id AND t.transfer_set = r.transfer_set
LEFT JOIN (
  SELECT study, cell_id, count(DISTINCT result_sha256) AS n_results
  FROM raw.attempt
  WHERE status IN ('done', 'diverged')
  GROUP BY study, cell_id
) AS a ON a.study = r.study AND a.cell_id = r.cell_id"""

_EPOCHS: Final = """CREATE OR REPLACE VIEW epochs AS
SELECT
  r.study,
  r.cell_id,
  e.* EXCLUDE ({excluded}),
  e.epoch IS NOT DISTINCT FROM r.selected_epoch AS selected{appended},
  e.epoch = r.epochs AS last
FROM raw.epoch_drift AS e
JOIN raw.run AS r ON r.run_id = e.run_id"""

_LONG: Final = """CREATE OR REPLACE VIEW {view} AS
SELECT
  r.study,
  r.cell_id,
  v.epoch,
  {place},
  v.metric,
  v.value,
  b.value AS base,
  100 * (v.value - b.value) / nullif(b.value, 0) AS delta_pct
FROM raw.{table} AS v
JOIN raw.run AS r ON r.run_id = v.run_id
LEFT JOIN raw.{table} AS b
  ON b.run_id = v.run_id AND {same} AND b.metric = v.metric AND b.epoch = 0{with_base}"""

_CELLS: Final = """-- A cell here is a point of the grid without its seed, which is averaged over. Done runs only.
CREATE OR REPLACE VIEW cells AS
SELECT
  study,
  backbone,
  dataset,
  method,
  lr,
  count(DISTINCT seed) AS n_seeds,
  {published},
  count(*) AS n_runs{appended}
FROM runs
WHERE status = 'done'
GROUP BY study, backbone, dataset, method, lr"""


def view_statements() -> tuple[str, ...]:
    """Return the statements that make the views, in an order in which they can be run."""
    return (
        _epoch_drift(),
        _runs(),
        _epochs(),
        _long("layers", ("layer",)),
        _long("heads", ("layer", "head")),
        _cells(),
    )


def _epoch_drift() -> str:
    whole, last = (
        [_of_epoch(c) for kind in kinds for c in columns_of(*FIRST_PROBES, kind=kind)]
        for kinds in (("value", "drift"), ("value_last", "drift_last"))
    )
    return _EPOCH_DRIFT.format(whole=_list(whole), last=_list(last + [_of_epoch(c) for c in _later()]))


def _of_epoch(column: ProbeColumn) -> str:
    name = column.stored
    if column.drift:
        return f"100 * (e.{name} - b.{name}) / nullif(b.{name}, 0) AS {column.name}"
    return f"e.{name}"


def _later() -> tuple[ProbeColumn, ...]:
    return tuple(probe_column(p, kind) for p in LATER_PROBES for kind in all_kinds(p))


def _runs() -> str:
    results = [_RESULT.get(c.name, f"e.{c.name}") for c in PUBLISHED_RESULTS]
    before = LATER_PROBES[:N_BEFORE_CHANCE]
    results.insert(results.index(_RESULT["zero_shot_base_pct"]), "r.transfer_set")
    return _RUNS.format(
        results=_list(results),
        further=_list([f"e.{c.name}" for c in FURTHER]),
        appended=_appended([f"e.{c.name}" for c in APPENDED if c.probe in before]),
        latest=_appended([f"e.{c.name}" for c in APPENDED if c.probe not in before]),
        above_chance=_list([f"t.{c.name}" for c in ABOVE_CHANCE]),
    )


def _epochs() -> str:
    later = [c.name for c in _later()]
    return _EPOCHS.format(excluded=", ".join(["run_id", *later]), appended=_appended([f"e.{name}" for name in later]))


def _long(view: str, place: tuple[str, ...]) -> str:
    """A metric that compares with the base already has no base value, though it was measured at epoch 0."""
    without = [f"'{p.name}'" for p in PROBES if not p.has_base and (p.per_head if "head" in place else p.per_layer)]
    return _LONG.format(
        view=view,
        table=view.removesuffix("s"),
        place=_list([f"v.{name}" for name in place]),
        same=" AND ".join(f"b.{name} = v.{name}" for name in place),
        with_base=f"\n  AND b.metric NOT IN ({', '.join(without)})" if without else "",
    )


def _cells() -> str:
    return _CELLS.format(published=_list(_averages(PUBLISHED_RESULTS)), appended=_appended(_averages(LATER_RESULTS)))


def _averages(columns: tuple[Column, ...]) -> list[str]:
    """Each column's mean next to its standard deviation: an order that `avg(COLUMNS(...))` cannot give."""
    both = (("avg", "mean"), ("stddev_samp", "sd"))
    return [f"{function}({c.name}) AS {c.name}_{word}" for c in columns for function, word in both]


def _list(parts: list[str]) -> str:
    return ",\n  ".join(parts)


def _appended(parts: list[str]) -> str:
    return "".join(f",\n  {part}" for part in parts)
