"""The model behind one interaction analysis: runs, design, random intercepts, REML fit and its three kinds of test.

``strata`` (seed-level), ``satterthwaite`` and ``kenward_roger`` answer the same two questions, about one contrast and
about a term, so that contrasts, tables and checks do not care which one they print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.results import DdfMethod, LikelihoodRatio, TermTest
from heatdrift.stats.box import LevelVariances, level_variances
from heatdrift.stats.criterion import Grouping
from heatdrift.stats.design import Design, Factor, LrCoding, categorical, full_factorial, log_linear
from heatdrift.stats.frame import Selection
from heatdrift.stats.kenward_roger import KenwardRoger, kenward_roger
from heatdrift.stats.mixed import MixedFit, fit_mixed
from heatdrift.stats.probability import chi2_p_value, f_p_value
from heatdrift.stats.satterthwaite import Satterthwaite, satterthwaite
from heatdrift.stats.strata import SeedStrata, SeedTest

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

RANDOM_TERMS: Final = ("seed", "seed + seed:method", "seed + seed:dataset", "dataset:seed")
POLY_DEGREE: Final = 2
LARGEST_DESIGN: Final = 400  # coefficients: the work grows with their square, the memory of some tests with the cube


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
    def strata(self) -> SeedStrata:
        """Seed-level tests."""
        return SeedStrata(self.y, self.x, self.seeds)

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
        """Words for a row of the grid: 'lr 1e-05, lora_r8, eurosat'."""
        levels = [f.levels[self.design.level_codes(f.name)[cell]] for f in self.design.factors]
        return ", ".join(f"lr {level:g}" if isinstance(level, float) else str(level) for level in levels)

    @cached_property
    def seed_tests(self) -> dict[str, SeedTest]:
        """Return the headline test of every term, with Box's correction where it has several df."""
        return {term: self.seed_test(term, rows) for term, rows in self.design.hypotheses.items()}

    def seed_test(self, term: str, rows: Floats) -> SeedTest:
        """Seed-level test of rows @ beta = 0, which belongs to `term`."""
        hypothesis = self.strata.hypothesis(rows)
        test = self.strata.tested(hypothesis, rows.shape[0])
        estimator = self.level_variances(term) if hypothesis is not None and rows.shape[0] > 1 else None
        if hypothesis is None or estimator is None:
            return test
        return test.corrected(float(estimator.epsilon(self.y[None, :], hypothesis.white)[0]))

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
                    n_seeds=test.n_seeds,
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
            test = self.strata.test(row[None, :])
            return test.estimate, test.se, test.df_den
        return (self.kenward_roger if ddf == "kenward_roger" else self.satterthwaite).contrast(row)


def build_model(
    selection: Selection, *, metric: str, lr_as: LrCoding, random: str, study_lrs: Sequence[float]
) -> InteractionModel:
    """Build the full factorial model of the factors that vary in `selection` (lr, method, dataset in this order).

    Raises
    ------
    StatsError
        Fewer than two seeds, nothing varies, a constant response, no variation between seeds, or too few runs.
    """
    frame = selection.frame
    y = frame[metric].to_numpy().astype(float)
    seed_names = tuple(int(s) for s in selection.levels("seed"))
    if len(seed_names) < 2:
        raise StatsError(
            f"all {y.size} usable runs have seed {seed_names[0]}: without a second seed there is no error term",
            hint="train more seeds of the study: heatdrift train --all",
        )
    if np.ptp(y) == 0.0:
        raise StatsError(
            f"{metric} is {y[0]:g} in all {y.size} runs: there is nothing to explain", hint="choose another --metric"
        )
    lrs = [float(lr) for lr in selection.levels("lr")]
    factors: list[Factor] = []
    if len(lrs) > 1:
        degree = {"linear": 1, "poly": POLY_DEGREE}
        factors.append(
            categorical("lr", lrs) if lr_as == "factor" else log_linear(lrs, study_lrs, degree=degree[lr_as])
        )
    factors += [categorical(name, found) for name in ("method", "dataset") if len(found := selection.levels(name)) > 1]
    if not factors:
        raise StatsError(
            "the usable runs have one learning rate, one method and one data set: there is no effect to test",
            hint="widen the selection (--dataset, --method, --lr)",
        )
    n_columns = prod(len(f.labels) + 1 for f in factors)
    if n_columns > LARGEST_DESIGN:
        raise StatsError(
            f"the model would have {n_columns} coefficients, of which {LARGEST_DESIGN} can be tested in sensible time",
            hint="choose fewer data sets or methods (--dataset, --method), or use --lr-as linear",
        )
    design = full_factorial(factors)
    cells = design.cells({f.name: frame[f.name].to_list() for f in factors})
    x = design.grid[cells]
    groupings = _groupings(frame, random)
    if y.size < x.shape[1] + len(groupings) + 1:
        raise StatsError(
            f"{y.size} runs cannot estimate {x.shape[1]} coefficients and {len(groupings) + 1} variances",
            hint="train more seeds, or --lr-as linear for a smaller model",
        )
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    if left @ left <= 1e-24 * (y @ y):
        raise StatsError(
            f"{metric} does not vary between the seeds of a cell, so there is no error to test against",
            hint="choose another --metric",
        )
    codes = np.searchsorted(np.array(seed_names), frame["seed"].to_numpy())
    return InteractionModel(
        y=y,
        design=design,
        cells=cells,
        seeds=codes,
        seed_names=seed_names,
        lrs=tuple(lrs),
        random=" + ".join(g.name for g in groupings),
        groupings=groupings,
    )


def _groupings(frame: pl.DataFrame, random: str) -> tuple[Grouping, ...]:
    """Random intercepts named by `random`, e.g. 'seed + seed:method'."""
    normal = " + ".join(part.strip() for part in random.split("+"))
    if normal not in RANDOM_TERMS:
        raise UnknownNameError("random part", random, RANDOM_TERMS)
    groupings = []
    for name in normal.split(" + "):
        columns = name.split(":")
        for column in columns:
            if column != "seed" and frame[column].n_unique() < 2:
                raise StatsError(
                    f"random part {name}: there is one {column} only, so it cannot be told from seed",
                    hint="use --random seed",
                )
        keys = frame.select(pl.struct(columns).rank("dense").alias("code"))["code"].to_numpy()
        groupings.append(Grouping(name=name, codes=(keys - 1).astype(np.intp)))
    return tuple(groupings)
