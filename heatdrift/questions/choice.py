"""Which metrics and which two methods a command works on, and codes of levels for arrays."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.metrics import run_column
from heatdrift.questions.caveats import TEST, accuracy_metric

ALPHA: Final = 0.05
PAIR: Final = ("lora_r8", "full_ft")  # method_a, method_b: every difference is a - b
# What `paired` and `dose` report unless told otherwise: drift of support, forgetting, and what the training was for.
DEFAULT_METRICS: Final = ("delta_entropy_pct", "delta_erf95_pct", "retention_pct", "test_acc_pct")


def measured_metrics(runs: pl.DataFrame, asked: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metrics to report and sentences about default metrics that no run has.

    Without any test accuracy (protocol ``preprint``) the validation accuracy takes its place, and is named. Metrics
    that the user asked for are returned as they are (each once): a missing one is then an error, not a note.

    Raises
    ------
    UnknownNameError
        A metric is not a result column of a run.
    """
    if asked:
        for name in asked:
            run_column(name)
        return tuple(dict.fromkeys(asked)), ()
    accuracy, notes = accuracy_metric(runs)
    wanted = tuple(accuracy if name == TEST else name for name in DEFAULT_METRICS)
    kept = tuple(name for name in wanted if name in runs.columns and runs[name].drop_nulls().len())
    missing = [name for name in wanted if name not in kept]
    if not kept:
        raise StatsError(
            f"no run has any of the default metrics ({', '.join(DEFAULT_METRICS)})", hint="choose one with --metric"
        )
    return kept, (*notes, *(f"{name} was not measured in any run" for name in missing))


def check_pair(frame: pl.DataFrame, method_a: str, method_b: str) -> None:
    """Refuse a pair of methods that the usable runs do not hold.

    Raises
    ------
    UnknownNameError, StatsError
        A method that no usable run has; a method against itself.
    """
    if method_a == method_b:
        raise StatsError(
            f"{method_a} cannot be compared with itself", hint="for example --method-a lora_r8 --method-b full_ft"
        )
    known = sorted(set(frame["method"].to_list()))
    for name in (method_a, method_b):
        if name not in known:
            raise UnknownNameError("method", name, known, where="the usable runs")


def check_level(conf_level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0.0 < conf_level < 1.0:
        raise StatsError(f"the confidence level must lie between 0 and 1, got {conf_level:g}", hint="for example 0.95")


def codes(frame: pl.DataFrame, *columns: str) -> npt.NDArray[np.intp]:
    """0-based code of each row's combination of `columns`, in ascending order."""
    ranks = frame.select(pl.struct(*columns).rank("dense").alias("code"))["code"].to_numpy()
    return np.asarray(ranks - 1, dtype=np.intp)


def shown_dataset(name: str, datasets: Sequence[str]) -> str | None:
    """Data set as it stands in JSON: None where there is one only."""
    return name if len(datasets) > 1 else None
