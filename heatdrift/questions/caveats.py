"""What a reader must know about the runs before believing a number: how epochs were selected, what cannot drift."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.accuracy import selected_on_test, selected_on_test_sentence
from heatdrift.methods import METHODS, known_family, stored_method
from heatdrift.wording import method_title

_NO_DRIFT: Final = (
    "{methods}: the image encoder stays as it was, so drift 0 and retention 100 % hold by construction, not by finding"
)


def run_caveats(runs: pl.DataFrame, metrics: Sequence[str], *, methods: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences of a result about `metrics`; `methods`, where given, are named when they cannot drift at all."""
    found = []
    if selected_on_test(runs):
        found.append(selected_on_test_sentence(metrics))
    still = [name for name in methods if _leaves_encoder(name, runs)]
    if still:
        found.append(_NO_DRIFT.format(methods=", ".join(method_title(name) for name in still)))
    return tuple(found)


def _leaves_encoder(name: str, runs: pl.DataFrame) -> bool:
    """Whether a method cannot change the image embedding, as its runs carry it, else as built in."""
    texts: list[str] = []
    if "method_spec" in runs.columns:
        texts = runs.filter(pl.col("method") == name)["method_spec"].drop_nulls().unique().to_list()
    families = [known_family(m) for m in (map(stored_method, texts) if texts else [METHODS.get(name)])]
    return bool(families) and all(f is not None and not f.changes_encoder for f in families)
