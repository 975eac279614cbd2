"""Results of ``stats paired``: differences over identical conditions."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.margins import MarginRow
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import percent


class PairedRow(Result, frozen=True, kw_only=True):
    """method_a - method_b where data set and lr agree; ``dataset`` None = over all data sets.

    Over pairs of identical (data set, lr, seed), as published: ``n`` counts pairs; ``difference``, ``dz``, ``t`` and
    ``wilcoxon_p`` treat them as independent. ``mean_full_ft`` and ``mean_lora_r8`` are null unless these two methods
    are compared.

    At the seed level, every (data set, lr) with equal weight: ``seed_difference`` with its test and interval.
    ``seed_test`` says which (`pairs.seed_level_difference`): pairs, independent, mixed; None = there is none.
    ``n_seeds`` counts different seeds, ``n_seeds_shared`` those of both methods. ``detectable``: the smallest
    difference that such seeds find with 80 % power, at the standard error of these. ``seed_d``: seed_difference in
    units of the SD between seeds, interval from the noncentral t. ``flip_p``: sign flips of the seeds' differences,
    whose smallest possible value is ``flip_p_least``. ``prob_above``: share of seeds (``n_seeds_untied``, those with a
    difference and every data set and lr) in which method_a is above, with its exact interval; these only for pairs.

    ``same_sign``: the mean difference of every (data set, lr) has one sign; ``n_lrs`` learning rates that both have.
    Not defined (one pair, no variance, one seed, no pairs) = NaN -> null.
    """

    dataset: str | None
    metric: str
    unit: str
    n: int
    n_dropped: int
    mean_full_ft: float | None
    mean_lora_r8: float | None
    mean_a: float
    mean_b: float
    difference: float
    dz: float
    t: float
    t_p: float
    t_p_holm: float
    wilcoxon_p: float
    seed_difference: float
    seed_t: float
    seed_df: float
    seed_p: float
    seed_p_holm: float
    n_seeds: int
    ci_low: float
    ci_high: float
    same_sign: bool
    seed_test: str | None = None
    n_seeds_a: int = 0
    n_seeds_b: int = 0
    n_seeds_shared: int = 0
    detectable: float = float("nan")
    seed_d: float = float("nan")
    seed_d_low: float = float("nan")
    seed_d_high: float = float("nan")
    flip_p: float = float("nan")
    flip_p_least: float = float("nan")
    prob_above: float = float("nan")
    prob_low: float = float("nan")
    prob_high: float = float("nan")
    n_seeds_untied: int = 0
    n_lrs: int = 0


class PairedResult(PresentedResult, frozen=True, kw_only=True):
    """All comparisons; both Holm adjustments run over ``rows``. ``margins``: with a margin, a row for each of them."""

    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[PairedRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    margins: tuple[MarginRow, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows, with each mean under the name of its method."""
        means = {"mean_a": f"mean_{self.method_a}", "mean_b": f"mean_{self.method_b}"}
        return csv_rows(self.rows, {"mean_full_ft": "", "mean_lora_r8": "", **means})

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings and one row per data set and metric: at the seed level, effect sizes, over pairs."""
        yield from opening(self)
        if any(row.n for row in self.rows):
            title = f"{self.method_a} - {self.method_b}, over pairs as published; "
            title += adjusted_by("t_p_holm", self.rows, "t_p", "metric dataset")
            chosen = "dataset metric unit n mean_a mean_b difference dz t t_p t_p_holm wilcoxon_p"
            yield grid(self.rows, chosen, title=title)
        chosen = "dataset metric seed_difference ci_low ci_high seed_t seed_df seed_p seed_p_holm n_seeds seed_test"
        title = f"{self.method_a} - {self.method_b} at the seed level, {percent(self.conf_level)} intervals; "
        title += adjusted_by("seed_p_holm", self.rows, "seed_p", "metric dataset")
        yield grid(self.rows, chosen, title=title)
        chosen = (
            "dataset metric detectable seed_d seed_d_low seed_d_high flip_p flip_p_least prob_above prob_low prob_high "
            "n_seeds_untied"
        )
        title = "how large: detectable with 80 % power, in SD between seeds (seed_d), by signs of seeds, share above"
        yield grid(self.rows, chosen, title=title)
        if self.margins:
            chosen = "dataset metric low high estimate ci_low ci_high p_low p_high p_low_adjusted p_high_adjusted"
            yield grid(
                self.margins, f"{chosen} decision", title="against the margin: two one-sided tests, 90 % intervals"
            )
