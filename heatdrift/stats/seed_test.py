"""Result of one seed-level test (``strata.py`` computes it), its correction and its interval."""

from dataclasses import dataclass, replace

from heatdrift.stats.distributions import f_p_value, t_quantile


@dataclass(frozen=True, slots=True)
class SeedTest:
    """Result of one seed-level test.

    ``estimate`` and ``se`` belong to the single contrast when q = 1 (else NaN). ``epsilon`` is Greenhouse-Geisser's, 1
    when q = 1; ``p_gg`` the p after multiplying both df by it. ``epsilon_box`` and ``p_box`` are Box's (1 and p until
    `corrected`).
    """

    f: float
    df_num: float
    df_den: float
    p: float
    n_seeds: int
    epsilon: float
    p_gg: float
    estimate: float
    se: float
    epsilon_box: float
    p_box: float

    @classmethod
    def undefined(cls, q: int) -> "SeedTest":
        """Return the test of `q` contrasts that the seeds at hand cannot estimate: NaN."""
        nan = float("nan")
        return cls(
            f=nan,
            df_num=float(q),
            df_den=nan,
            p=nan,
            n_seeds=0,
            epsilon=nan,
            p_gg=nan,
            estimate=nan,
            se=nan,
            epsilon_box=nan,
            p_box=nan,
        )

    def corrected(self, epsilon: float) -> "SeedTest":
        """Return the same test with Box's epsilon."""
        p = f_p_value(self.f, self.df_num * epsilon, self.df_den * epsilon)
        return replace(self, epsilon_box=epsilon, p_box=p)

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence interval of the single contrast."""
        half = t_quantile(level, self.df_den) * self.se
        return self.estimate - half, self.estimate + half
