"""Results of ``stats images``: comparisons on the same images, what limits them, and which classes were forgotten."""

from collections.abc import Iterator
from math import isinf
from typing import Literal

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, adjusted_over, csv_rows, grid, opening
from heatdrift.wording import learning_rate, percent

LISTED = 12  # classes and runs that a terminal shows; --format json has all


class DifferenceRow(Result, frozen=True, kw_only=True):
    """method_a - method_b in zero-shot accuracy (points), every (data set, lr) with equal weight.

    ``method_b`` is `base` where an adapted model is compared with what it was. ``t``, ``p`` and ``ci`` are of the seed
    level: what other seeds would give on these images. ``both_*`` are over seeds and images: other images of the same
    kind, too. ``bootstrap_*``: seeds and images resampled independently (pigeonhole). ``p_holm``: over all claims.
    ``dataset`` None: over all data sets. Not defined = NaN -> null.
    """

    dataset: str | None
    method_a: str
    method_b: str
    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float
    both_se: float
    both_df: float
    both_p: float
    both_low: float
    both_high: float
    bootstrap_low: float
    bootstrap_high: float
    n_seeds_a: int
    n_seeds_b: int
    n_linked: int
    n_conditions: int
    n_images: int


class SplitRow(Result, frozen=True, kw_only=True):
    """What limits a comparison: standard deviations between seeds, images and of the rest, in points.

    ``se_of_seeds`` and ``se_of_images`` are their parts of the standard error now: more seeds shrink the first, more
    images the second. ``n_seeds`` is the harmonic mean where methods have seeds of their own.
    """

    dataset: str | None
    method_a: str
    method_b: str
    sd_seed: float
    sd_seed_low: float
    sd_seed_high: float
    sd_image: float
    sd_rest: float
    se_of_seeds: float
    se_of_images: float
    limited_by: Literal["seeds", "images"]
    n_seeds: float
    n_images: int


class PredictedRow(Result, frozen=True, kw_only=True):
    """Standard error (points) of a comparison with other numbers of seeds and images; infinite = null."""

    dataset: str | None
    method_a: str
    method_b: str
    n_seeds: float
    n_images: float
    se: float


class RetentionRow(Result, frozen=True, kw_only=True):
    """Zero-shot retention (%) of a cell, base and adapted on the same images, with an interval per source of error.

    ``seeds_*``: t over seeds, these images; ``images_*``: these runs, images resampled; ``both_*``: both resampled.
    """

    dataset: str
    method: str
    lr: float
    n_seeds: int
    base_pct: float
    adapted_pct: float
    retention_pct: float
    seeds_low: float
    seeds_high: float
    images_low: float
    images_high: float
    both_low: float
    both_high: float


class McNemarRow(Result, frozen=True, kw_only=True):
    """One pair of models on the same images: how many only one has right, and McNemar's exact p (Holm over the table).

    ``method_b`` is `base` for adapted against base. It is a test of these two models, not of the methods.
    """

    dataset: str
    lr: float
    seed: int
    method_a: str
    method_b: str
    only_a: int
    only_b: int
    p: float
    p_holm: float


class LogisticRow(Result, frozen=True, kw_only=True):
    """method_a - method_b in log-odds, with random intercepts of image, seed and run; p from t with S - 1 df.

    Against base a seed is a run: ``sd_run`` is null.
    """

    method_a: str
    method_b: str
    estimate: float
    se: float
    df: float
    p: float
    sd_image: float
    sd_seed: float
    sd_run: float
    n_images: int
    converged: bool


class ClassRow(Result, frozen=True, kw_only=True):
    """Change of one class's zero-shot accuracy (points): `of` a method minus base, or of one method minus another.

    Over all (data set, lr) with equal weight; error over seeds and the class's images; ``p_bh`` over the classes of one
    `of` (Benjamini and Hochberg 1995).
    """

    of: str
    name: str
    n_images: int
    base_pct: float
    change: float
    ci_low: float
    ci_high: float
    se: float
    df: float
    p: float
    p_bh: float


class ConfusionRow(Result, frozen=True, kw_only=True):
    """Images of a class that adaptation turned to another: gain over base per run, in % of the class's images.

    ``low`` and ``high`` are the smallest and largest of the seeds. ``shared``: among the most gained of the other
    method, too. A description of the largest of many: no test.
    """

    method: str
    true: str
    predicted: str
    base_pct: float
    gain: float
    low: float
    high: float
    shared: bool


class ImagesResult(PresentedResult, frozen=True, kw_only=True):
    """Everything that single images say; tables that need classes are empty where none were kept."""

    transfer_set: str
    datasets: tuple[str, ...]
    method_a: str
    method_b: str
    n_runs: int
    n_dropped: int
    n_images: int
    n_classes: int
    conf_level: float
    bootstrap: int
    method: str
    rows: tuple[DifferenceRow, ...]
    split: tuple[SplitRow, ...]
    predicted: tuple[PredictedRow, ...]
    retention: tuple[RetentionRow, ...]
    mcnemar: tuple[McNemarRow, ...]
    logistic: tuple[LogisticRow, ...]
    classes: tuple[ClassRow, ...]
    confusions: tuple[ConfusionRow, ...]
    claims: tuple[Claim, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the comparisons."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, comparisons, what limits them, retention, and the classes that changed most."""
        yield from opening(self)
        level = percent(self.conf_level)
        holm = adjusted_over("p_holm", [c.p for c in self.claims], "claims of this answer")
        what = f"zero-shot accuracy on {self.n_images:,} images of {self.transfer_set}, in points"
        chosen = "dataset method_a method_b estimate ci_low ci_high t df p p_holm both_low both_high both_p"
        yield grid(self.rows, chosen, title=f"method_a - method_b, {what}; ci: seeds, both: seeds and images, "
                   f"{level}; {holm}")  # fmt: skip
        yield grid(self.split, title="what limits the comparison: standard deviations and parts of the standard error")
        yield grid(
            [row for row in self.predicted if not isinf(row.n_seeds + row.n_images)],
            title="standard error with other numbers of seeds and images",
        )
        yield self._retention(level)
        if self.logistic:
            title = f"check: logistic regression, images, seeds and runs as random intercepts ({self.transfer_set})"
            yield grid(self.logistic, title=title)
        yield from self._classes(level)
        if self.confusions:
            chosen = "method true predicted base_pct gain low high shared"
            title = "confusions gained most over base, in % of the class's images; low, high: of the seeds"
            yield grid(self.confusions, chosen, title=title)

    def _retention(self, level: str) -> Grid:
        columns = ("dataset", "method", "lr", "n_seeds", "retention_pct", "seeds_low", "seeds_high", "images_low",
                   "images_high", "both_low", "both_high")  # fmt: skip
        rows = [
            [learning_rate(row.lr) if name == "lr" else getattr(row, name) for name in columns]
            for row in self.retention
        ]
        return Grid(columns, rows, f"zero-shot retention, {level} intervals over seeds, images, both")

    def _classes(self, level: str) -> Iterator[Grid]:
        for of in dict.fromkeys(row.of for row in self.classes):
            rows = sorted((row for row in self.classes if row.of == of), key=lambda row: (row.p_bh, row.p, row.change))
            chosen = "name n_images base_pct change ci_low ci_high p p_bh"
            title = f"classes, {of}: {min(LISTED, len(rows))} of {len(rows)}, smallest p first; {level} intervals; "
            yield grid(rows[:LISTED], chosen, title=title + f"p_bh: Benjamini-Hochberg over {len(rows)} classes")
