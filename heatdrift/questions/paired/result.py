"""Results of ``stats paired``: differences over identical conditions."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import percent


class PairedRow(Result, frozen=True, kw_only=True):
    """method_a - method_b over runs that agree in data set, lr and seed; ``dataset`` None = over all data sets.

    ``n`` counts pairs; ``difference``, ``dz``, ``t`` and ``wilcoxon_p`` treat pairs as independent, as published.
    ``seed_difference`` weighs every (data set, lr) equally and is tested against its spread over seeds; the interval
    is its own. ``same_sign``: the mean difference of every (data set, lr) has one sign. ``mean_full_ft`` and
    ``mean_lora_r8`` are null unless these two methods are compared. Not defined (one pair, no variance, one seed) = NaN
    -> null.
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


class PairedResult(Result, frozen=True, kw_only=True):
    """All paired comparisons; both Holm adjustments run over ``rows``."""

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

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows, with each mean under the name of its method."""
        means = {"mean_a": f"mean_{self.method_a}", "mean_b": f"mean_{self.method_b}"}
        return csv_rows(self.rows, {"mean_full_ft": "", "mean_lora_r8": "", **means})

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings and one row per data set and metric, over pairs and at the seed level."""
        yield from opening(self)
        title = f"{self.method_a} - {self.method_b}, over pairs as published; "
        title += adjusted_by("t_p_holm", self.rows, "t_p", "metric dataset")
        chosen = "dataset metric unit n mean_a mean_b difference dz t t_p t_p_holm wilcoxon_p"
        yield grid(self.rows, chosen, title=title)
        chosen = "dataset metric seed_difference ci_low ci_high seed_t seed_df seed_p seed_p_holm n_seeds"
        title = f"the same at the seed level, {percent(self.conf_level)} intervals; "
        title += adjusted_by("seed_p_holm", self.rows, "seed_p", "metric dataset")
        yield grid(self.rows, chosen, title=title)
