"""The model behind one interaction analysis: runs, design, random intercepts, REML fit and its three kinds of test.

``strata`` (seed-level), ``satterthwaite`` and ``kenward_roger`` answer the same two questions, about one contrast and
about a term, so that contrasts, tables and checks do not care which one they print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from heatdrift.errors import StatsError
from heatdrift.questions.interaction.result import DdfMethod, LikelihoodRatio, TermTest
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import FTest, cluster_contrast
from heatdrift.stats.design import Design, Factor
from heatdrift.stats.deviance import Grouping
from heatdrift.stats.distributions import chi2_p_value, f_p_value
from heatdrift.stats.kenward_roger import KenwardRoger, kenward_roger
from heatdrift.stats.mixed_model import MixedFit, fit_mixed
from heatdrift.stats.satterthwaite import Satterthwaite, satterthwaite
from heatdrift.stats.sphericity import LevelVariances, level_variances
from heatdrift.wording import learning_rate

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class InteractionModel:
    """One response, its design and its random intercepts; fits and tests are computed once, when first asked for."""

    y: Floats
    design: Design
    cells: Codes  # row of design.grid of each run
    seeds: Codes  # 0-based seed of each run
    seed_names: tuple[int, ...]
    lrs: tuple[float, ...]
    random: str
    groupings: tuple[Grouping, ...]

    @property
    def x(self) -> Floats:
        """Fixed-effects design of the runs, (n, p)."""
        return self.design.grid[self.cells]

    @cached_property
    def fit(self) -> MixedFit:
        """The REML fit."""
        return fit_mixed(self.y, self.x, self.groupings)

    @cached_property
    def ml_fit(self) -> MixedFit:
        """The ML fit of the same model."""
        return fit_mixed(self.y, self.x, self.groupings, reml=False)

    @cached_property
    def within_seeds(self) -> WithinClusters:
        """Least squares with seeds as fixed effects, the fit behind the seed-level tests.

        Raises
        ------
        StatsError
            One seed.
        """
        if len(self.seed_names) < 2:
            raise StatsError("a seed-level test needs at least two seeds", hint="train more seeds of the study")
        return WithinClusters(self.x, self.seeds)

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """Tests with Satterthwaite df."""
        return satterthwaite(self.fit)

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """Tests with Kenward-Roger covariance and df."""
        return kenward_roger(self.fit)

    @property
    def balanced(self) -> bool:
        """Whether every cell has exactly one run of every seed."""
        counts = np.zeros((self.design.grid.shape[0], len(self.seed_names)), dtype=int)
        np.add.at(counts, (self.cells, self.seeds), 1)
        return bool(np.all(counts == 1))

    def factor(self, name: str) -> Factor | None:
        """Return the factor `name`, or None where it does not vary."""
        return next((f for f in self.design.factors if f.name == name), None)

    def place(self, cell: int) -> str:
        """Words for a row of the grid: 'lr 1e-5, lora_r8, eurosat'."""
        levels = [f.levels[self.design.level_codes(f.name)[cell]] for f in self.design.factors]
        return ", ".join(f"lr {learning_rate(level)}" if isinstance(level, float) else str(level) for level in levels)

    @cached_property
    def seed_tests(self) -> dict[str, FTest]:
        """Return the headline test of every term, with Box's correction where it has several df."""
        return {term: self.seed_test(term, rows) for term, rows in self.design.hypotheses.items()}

    def seed_test(self, term: str, rows: Floats) -> FTest:
        """Seed-level test of rows @ beta = 0, which belongs to `term`."""
        contrast = cluster_contrast(self.within_seeds, rows)
        test = contrast.f_test(self.y)
        estimator = self.level_variances(term) if contrast.testable and rows.shape[0] > 1 else None
        if estimator is None:
            return test
        return test.corrected(float(estimator.epsilon(self.y[None, :], contrast.orthonormal)[0]))

    def level_variances(self, term: str) -> LevelVariances | None:
        """Estimator of the residual variance per level of the factors of `term` that have more than two levels."""
        own = tuple(f.name for f in self.design.factors if f.name in term.split(":") and len(f.levels) > 2)
        if own not in self._variances:
            others = tuple(f.name for f in self.design.factors if f.name not in own)
            self._variances[own] = (
                level_variances(self.x, self.seeds, self._codes(own), self._codes(others)) if own else None
            )
        return self._variances[own]

    def _codes(self, names: Sequence[str]) -> Codes:
        """One code per run for its combination of levels of the named factors."""
        code = np.zeros(self.y.size, dtype=np.intp)
        for name in names:
            code = code * self.design.grid.shape[0] + self.design.level_codes(name)[self.cells]
        return code

    @cached_property
    def _variances(self) -> dict[tuple[str, ...], LevelVariances | None]:
        return {}

    def term_tests(self) -> tuple[TermTest, ...]:
        """Test every term three ways: strata first, then Satterthwaite and Kenward-Roger."""
        rows = []
        for term, test in self.seed_tests.items():
            rows.append(
                TermTest(
                    term=term,
                    method="strata",
                    f=test.f,
                    df_num=test.df_num,
                    df_den=test.df_den,
                    p=test.p,
                    n_seeds=test.n_clusters,
                    epsilon=test.epsilon,
                    p_gg=test.p_gg,
                    epsilon_box=test.epsilon_box,
                    p_box=test.p_box,
                )
            )
        methods: tuple[tuple[DdfMethod, Satterthwaite | KenwardRoger], ...] = (
            ("satterthwaite", self.satterthwaite),
            ("kenward_roger", self.kenward_roger),
        )
        for name, inference in methods:
            for term, hypothesis in self.design.hypotheses.items():
                f, df_num, df_den = inference.term(hypothesis)
                p = f_p_value(f, df_num, df_den)
                rows.append(TermTest(term=term, method=name, f=f, df_num=df_num, df_den=df_den, p=p))
        return tuple(rows)

    def likelihood_ratios(self) -> tuple[LikelihoodRatio, ...]:
        """Drop each term that no other contains and compare by ML (R's drop1)."""
        rows = []
        for term, span in self.design.spans.items():
            parts = set(term.split(":"))
            if any(parts < set(other.split(":")) for other in self.design.terms):
                continue
            smaller = fit_mixed(self.y, np.delete(self.x, list(span), axis=1), self.groupings, reml=False)
            chi2 = 2.0 * (self.ml_fit.loglik - smaller.loglik)
            rows.append(LikelihoodRatio(term=term, chi2=chi2, df=len(span), p=chi2_p_value(chi2, len(span))))
        return tuple(rows)

    def compare(self, row: Floats, ddf: DdfMethod) -> tuple[float, float, float]:
        """Estimate, standard error and df of one contrast of the coefficients, by the named method."""
        if ddf == "strata":
            test = cluster_contrast(self.within_seeds, row[None, :]).f_test(self.y)
            return test.estimate, test.se, test.df_den
        return (self.kenward_roger if ddf == "kenward_roger" else self.satterthwaite).contrast(row)
