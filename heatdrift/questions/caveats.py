"""What a reader must know about the runs before believing a number.

How epochs were selected, what cannot drift, whether the zero-shot base is near chance, which accuracies are at a bound.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.accuracy import base_warnings, finished, selected_on_test, selected_on_test_sentence
from heatdrift.methods import METHODS, known_family, stored_method
from heatdrift.metrics import TRANSFER_METRICS
from heatdrift.own_factors import factor_caveats
from heatdrift.questions.bounds import bound_caveats
from heatdrift.questions.further_metrics import chosen_sets, of_metric
from heatdrift.wording import capital, listed, method_title

_NO_DRIFT: Final = (
    "{methods}: the image encoder stays as it was, so drift 0 and retention 100 % hold by construction, not by finding"
)


def rests_on_zero_shot(metric: str) -> bool:
    """Whether a metric is a zero-shot accuracy of the adapted model, or a retention made from one."""
    return metric.partition("@")[0] in ("zero_shot_pct", "retention_pct", "retention_above_chance_pct")


def run_caveats(runs: pl.DataFrame, metrics: Sequence[str], *, methods: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences of a result about `metrics`; `methods`, where given, are named when they cannot drift at all."""
    found = []
    if selected_on_test(runs):
        found.append(selected_on_test_sentence(metrics))
    found += factor_caveats(finished(runs))
    sets = chosen_sets(runs)
    if sets and any(metric in TRANSFER_METRICS for metric in metrics):
        found.append(f"Zero-shot columns are those of the transfer set {listed(sets)}.")
    for metric in metrics:
        if rests_on_zero_shot(metric):
            found += base_warnings(finished(of_metric(runs, metric)[0]))
    found += [f"{capital(text)}." for text in bound_caveats(runs, metrics)]
    still = [name for name in methods if _leaves_encoder(name, runs)]
    if still:
        found.append(_NO_DRIFT.format(methods=", ".join(method_title(name) for name in still)))
    return tuple(dict.fromkeys(found))


def _leaves_encoder(name: str, runs: pl.DataFrame) -> bool:
    """Whether a method cannot change the image embedding, as its runs carry it, else as built in."""
    texts: list[str] = []
    if "method_spec" in runs.columns:
        texts = runs.filter(pl.col("method") == name)["method_spec"].drop_nulls().unique().to_list()
    families = [known_family(m) for m in (map(stored_method, texts) if texts else [METHODS.get(name)])]
    return bool(families) and all(f is not None and not f.changes_encoder for f in families)
