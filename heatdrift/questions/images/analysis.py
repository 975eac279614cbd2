"""stats images: runs compared on the same images, image by image, and the classes that they forgot.

Every run saw the same images, so images are crossed with seeds: a difference varies from seed to seed and from image
to image. The headline is the test on seeds, about these images: it is exact with few seeds. Whether other images would
say the same is asked of both at once, and answered next to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from msgspec.structs import replace

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.image_results import Arrays
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.images.classes import class_rows, confusions
from heatdrift.questions.images.comparisons import (
    Comparison,
    base_comparison,
    method_comparison,
    predicted,
    split,
    tested,
)
from heatdrift.questions.images.findings import Words, supported
from heatdrift.questions.images.logistic import logistic_check
from heatdrift.questions.images.per_image import PerImage, per_image
from heatdrift.questions.images.result import ImagesResult
from heatdrift.questions.images.retention import mcnemar_rows, retention_rows
from heatdrift.questions.pairs import PAIR
from heatdrift.questions.selection import check_level, check_seed, study_name
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.pigeonhole import image_resamples
from heatdrift.wording import counted

_METHOD: Final = (
    "zero-shot hits of the same images under all runs; differences in points, every (data set, lr) with equal weight. "
    "ci, t, p: seed level (CR2, Satterthwaite df; Welch where methods have seeds of their own). both_*: two-way random "
    "effects of seeds and images, Satterthwaite df. bootstrap_*: seeds and images resampled independently "
    "({draws} draws, Owen 2007). mcnemar: exact, per run. classes: seeds and images of the class crossed, "
    "Benjamini-Hochberg. p_holm: Holm over all claims"
)


@AnyFrames("runs", needs=("cell_id",))
def images(
    runs: pl.DataFrame,
    hits: Mapping[str, Arrays],
    *,
    transfer: str | None = None,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    bootstrap: int = 1000,
    seed: int = 0,
    conf_level: float = 0.95,
    logistic: bool = True,
) -> ImagesResult:
    """Compare two methods, and adapted with base, on the same images.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    hits : cell id -> arrays of the run's ``hits.npz``, named as in ``heatdrift/image_results.py``; runs may lack them.
    transfer : transfer set; None = that of the runs' retention.
    method_a, method_b : differences are a - b. They need share no seed; of their conditions (data set, lr) those count
        that both have. A study of one method is compared with its base alone.
    logistic : whether to fit the crossed random-effects logistic check, half of the time; a page leaves it out.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown method or transfer set; no run with results of single images; images that are not the same.

    Examples
    --------
    >>> import heatdrift
    >>> store = heatdrift.Store.shipped()
    >>> answer = heatdrift.images(store.view("runs", study="mini"), store.hits("mini"), bootstrap=100, logistic=False)
    >>> answer.rows[0].n_images, [round(row.estimate, 1) for row in answer.rows[:3]]
    (10000, [23.8, 24.6, 23.0])
    """
    check_level(conf_level)
    check_seed(seed)
    data = per_image(runs, hits, transfer)
    methods = _methods(data, method_a, method_b)
    datasets = tuple(sorted(set(data.frame["dataset"].to_list())))
    rng = np.random.default_rng(seed)
    resamples = image_resamples(np.concatenate([data.adapted, data.bases]), bootstrap, rng)
    compared, left_out = _comparisons(data, methods, datasets)
    rows = [tested(found, data, resamples, conf_level, rng) for found in compared]
    overall = [found for found in compared if found.dataset is None]
    parts = [row for found in compared if (row := split(found, data, conf_level)) is not None]
    classes = [class_rows(found, data, conf_level) for found in overall]
    checks = [check for found in overall if logistic and (check := logistic_check(found, data)) is not None]
    mcnemar = mcnemar_rows(data, method_a, method_b)
    words = Words(data.transfer_set, datasets, conf_level, _retention(runs, data.transfer_set))
    claims = [words.difference(row) for row in rows] + [words.classes(of) for of in classes if of]
    adjusted = holm([claim.p for claim in claims])
    rows = [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted, strict=False)]
    of_classes = [row for found in classes for row in found]
    return ImagesResult(
        study=study_name(runs),
        transfer_set=data.transfer_set,
        datasets=datasets,
        method_a=method_a,
        method_b=method_b,
        n_runs=data.frame.height,
        n_dropped=data.n_dropped,
        n_images=data.n_images,
        n_classes=len(data.class_names),
        conf_level=conf_level,
        bootstrap=bootstrap,
        method=_METHOD.format(draws=bootstrap),
        rows=tuple(rows),
        split=tuple(parts),
        predicted=tuple(p for row in parts if row.dataset is None for p in predicted(row)),
        retention=tuple(retention_rows(data, resamples, conf_level, rng)),
        mcnemar=tuple(mcnemar),
        logistic=tuple(checks),
        classes=tuple(of_classes),
        confusions=tuple(confusions(data, {f.method_a: f for f in overall if f.against_base})),
        claims=tuple(claims),
        findings=tuple(supported(claims, adjusted.tolist())),
        notes=tuple(words.notes(rows, parts, of_classes, mcnemar, checks)),
        left_out=(*data.left_out, *left_out),
        caveats=run_caveats(runs, ["zero_shot_pct"], methods=methods),
    )


def _retention(runs: pl.DataFrame, transfer_set: str) -> str:
    """Return the name of retention on these images: without a name it is that of the runs' own transfer set."""
    own = runs["transfer_set"].drop_nulls().unique().to_list() if "transfer_set" in runs.columns else []
    return "retention_pct" if own in ([], [transfer_set]) else f"retention_pct@{transfer_set}"


def _methods(data: PerImage, method_a: str, method_b: str) -> list[str]:
    """Return those of the two methods that the runs have: one alone may be compared with its base.

    Raises
    ------
    UnknownNameError, StatsError
        A method that was named and that no run has; none of both; a method against itself.
    """
    if method_a == method_b:
        raise StatsError(
            f"{method_a} cannot be compared with itself", hint="for example --method-a lora_r8 --method-b full_ft"
        )
    known = sorted(set(data.frame["method"].to_list()))
    if (method_a, method_b) == PAIR and len(known) == 1:
        return known  # nobody named the pair, and one method is compared with its base
    for name in (method_a, method_b):
        if name not in known and (name not in PAIR or not {method_a, method_b} & set(known)):
            raise UnknownNameError("method", name, known, where="the runs with per-image results")
    return [name for name in (method_a, method_b) if name in known]


def _comparisons(data: PerImage, methods: Sequence[str], datasets: Sequence[str]) -> tuple[list[Comparison], list[str]]:
    """Return what can be compared, over all data sets and on each, and what cannot, in sentences."""
    places: list[str | None] = [None, *(datasets if len(datasets) > 1 else ())]
    found: list[Comparison] = []
    left_out: list[str] = []
    if len(methods) == 2:
        pairs = [method_comparison(data, methods[0], methods[1], place) for place in places]
        found += [pair for pair in pairs if pair is not None]
        if pairs[0] is None:
            left_out.append(
                f"{methods[0]} and {methods[1]} share no (data set, lr), so they are not compared with each other: "
                "heatdrift stats best compares them at their own best learning rates"
            )
    else:
        left_out.append(f"no run of another method than {methods[0]}: it is compared with its base alone")
    for name in methods:
        found += [c for place in places if (c := base_comparison(data, name, place)) is not None]
    others = sorted(set(data.frame["method"].to_list()) - set(methods))
    if others:
        n = data.frame.filter(pl.col("method").is_in(others)).height
        left_out.append(f"{counted(n, 'run')} of other methods ({', '.join(others)}) but for retention and McNemar")
    return found, left_out


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the comparison of the usual two methods where any run has results of single images."""
    if study.hits:
        yield (
            "comparison image by image",
            partial(images, study.runs, study.hits, conf_level=study.conf_level, logistic=False),
        )
