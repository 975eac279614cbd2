"""Words for the terms of an interaction analysis: each a claim with its estimates, its test, and what is against it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim, about_methods
from heatdrift.questions.interaction.counts import RATIOS
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import Contrast
from heatdrift.stats.cluster_tests import FTest
from heatdrift.stats.design import Factor, Level
from heatdrift.wording import (
    capital,
    counted,
    difference_interval,
    difference_unit,
    f_text,
    learning_rate,
    method_title,
    number,
    p_text,
    signed,
    t_text,
    with_unit,
)

FEW_SEEDS: Final = 3  # with one data set Box's epsilon then rests on too few runs to see a large spread
_WORDS: Final = {"lr": "learning rate", "method": "method", "dataset": "data set"}


class TermWords:
    """Writes the claims of one model."""

    def __init__(
        self,
        model: InteractionModel,
        column: Column,
        tests: Mapping[str, FTest],
        conf_level: float,
        on_curve: str,
        on_one_cell: Collection[str],
        on_one_seed: Collection[str],
    ) -> None:
        self.model = model
        self.column = column
        self.title = capital(column.title)
        self.tests = tests
        self.conf_level = conf_level
        self.on_curve = on_curve
        self.on_one_cell = on_one_cell
        self.on_one_seed = on_one_seed

    def main_effect(self, name: str) -> Claim:
        """Return the claim that means differ between the levels of one factor, averaged over the others."""
        factor = self._factor(name)
        test = self.tests[name]
        over = self._averaged_over(name) + (self.on_curve if name == "lr" else "")
        if test.df_num > 1:
            low, high = self._extremes(factor)
            return self._claim(
                name,
                says=f"{self.title} differs between {_WORDS[name]}s{over}",
                measured=f"lowest {self._level(name, low)} {self._place(name, low)}, "
                f"highest {self._level(name, high)} {self._place(name, high)}",
            )
        interval = difference_interval(self.conf_level, *test.interval(self.conf_level))
        up = test.estimate > 0
        if factor.labels == ("lr",):
            return self._claim(
                name,
                says=f"{self.title} {'rises' if up else 'falls'} with the learning rate{over}",
                measured=f"{self._difference(test.estimate)} per tenfold",
                interval=interval,
            )
        first, second = factor.levels
        return self._claim(
            name,
            says=f"{self.title} is {'higher' if up else 'lower'} {self._place(name, second)} than "
            f"{self._place(name, first)}{over}",
            measured=f"difference {self._difference(test.estimate)}",
            interval=interval,
            warning=self._sign_turns(first, second) if name == "method" else "",
        )

    def method_pairs(self, effects: tuple[Contrast, ...]) -> list[Claim]:
        """Return a claim per pair of methods, of three or more."""
        seeds = self.tests["method"].n_clusters
        return [
            Claim(
                key=f"interaction/{self.column.name}/method/{c.method_a}-{c.method_b}",
                hypothesis=self._hypothesis("method", (c.method_a, c.method_b)),
                p=c.p,
                asks=f"{method_title(c.method_a)} against {method_title(c.method_b)} in {self.column.title}"
                f"{self._averaged_over('method')}",
                says=f"{self.title} is {'higher' if c.estimate > 0 else 'lower'} with {method_title(c.method_a)} than "
                f"with {method_title(c.method_b)}{self._averaged_over('method')}",
                measured=f"difference {self._difference(c.estimate)}",
                evidence=(
                    difference_interval(self.conf_level, c.ci_low, c.ci_high),
                    f"seed-level {t_text(c.df, c.t)}, {p_text(c.p)}",
                    f"{counted(self.model.y.size, 'run')}, {counted(seeds, 'seed')}",
                ),
                warning=self._sign_turns(c.method_b, c.method_a),
            )
            for c in effects
        ]

    def _gaps(self, base: Level, adapted: Level, other: Factor) -> list[float]:
        """Mean with `adapted` minus mean with `base` at each level of another factor."""
        return [
            self._mean({"method": adapted, other.name: level}) - self._mean({"method": base, other.name: level})
            for level in other.levels
        ]

    def _sign_turns(self, base: Level, adapted: Level) -> str:
        """Say so where an average over learning rates or data sets hides differences of both signs."""
        turning = []
        for other in (f for f in self.model.design.factors if f.name != "method"):
            gaps = self._gaps(base, adapted, other)
            if min(gaps) < 0.0 < max(gaps):
                turning.append(f"{'at' if other.name == 'lr' else 'on'} every {_WORDS[other.name]}")
        return f"; its sign is not the same {' and '.join(turning)}" if turning else ""

    def two_way(self, first: str, second: str) -> Claim:
        """Return the claim that the effect of one factor depends on another."""
        term = f"{first}:{second}"
        method = self.model.factor("method")
        if "method" not in (first, second) or method is None or len(method.levels) != 2:
            return self._claim(
                term,
                says=f"The effect of the {_WORDS[first]} on {self.column.title} depends on the {_WORDS[second]}"
                f"{self._averaged_over(first, second)}",
            )
        other = self._factor(second if first == "method" else first)
        base, adapted = method.levels
        gaps = list(zip(other.levels, self._gaps(base, adapted, other), strict=True))
        turns = "; the estimates change sign" if min(g for _, g in gaps) < 0 < max(g for _, g in gaps) else ""
        return self._claim(
            term,
            says=f"The difference {method_title(str(adapted))} minus {method_title(str(base))} in {self.column.title} "
            f"depends on the {_WORDS[other.name]}{self._averaged_over('method', other.name)}"
            f"{self.on_curve if other.name == 'lr' else ''}",
            measured=", ".join(f"{self._difference(gap)} {self._place(other.name, level)}" for level, gap in gaps),
            warning=turns,
        )

    def three_way(self, term: str) -> Claim:
        """Return the claim that how methods react to the learning rate is not the same on every data set."""
        return self._claim(
            term,
            says=f"How the difference between methods in {self.column.title} changes with the learning rate is not the "
            "same on every data set",
        )

    def _claim(self, term: str, *, says: str, measured: str = "", interval: str = "", warning: str = "") -> Claim:
        names = [_WORDS[name] for name in term.split(":")]
        return Claim(
            key=f"interaction/{self.column.name}/{term}",
            hypothesis=self._hypothesis(term, self._factor("method").levels if term == "method" else ()),
            p=self.tests[term].p_box,
            asks=f"{capital(' x '.join(names))} on {self.column.title}{self._averaged_over(*term.split(':'))}",
            says=says,
            measured=measured,
            evidence=(*([interval] if interval else []), *self._evidence(term)),
            warning=warning + self._fragile(term),
        )

    def _hypothesis(self, term: str, methods: Sequence[Level]) -> str:
        """What a term is about: two methods, or what a term tested before it is about, where its F is the same.

        A method that does not change makes one test of `lr` and `lr:method`: what the other one does.
        """
        if term == "method" and len(methods) == 2 and self.column.unit not in RATIOS:
            return about_methods(self.column.name, None, str(methods[0]), str(methods[1]))
        for before in self.model.design.terms[: self.model.design.terms.index(term)]:
            one, other = self.tests[before], self.tests[term]
            if one.df_num == other.df_num and bool(np.isclose(one.f, other.f, rtol=1e-9, atol=0.0)):
                return f"interaction/{self.column.name}/{before}"
        return ""

    def _fragile(self, term: str) -> str:
        """A warning where the answer at 5 % hangs on one cell or one seed."""
        places = [
            *(["cell"] if term in self.on_one_cell else []),
            *(["seed"] if term in self.on_one_seed else []),
        ]
        return f"; fragile: leaving out one {' or one '.join(places)} moves p across 5 %" if places else ""

    def _evidence(self, term: str) -> list[str]:
        test = self.tests[term]
        if test.df_num == 1:
            statistic = t_text(test.df_den, float(np.sign(test.estimate) * np.sqrt(test.f)))
        else:
            statistic = f_text(test.df_num * test.epsilon_box, test.df_den * test.epsilon_box, test.f)
        parts = [f"seed-level {statistic}", p_text(test.p_box)]
        if test.epsilon_box < 1.0:
            parts.append(f"df corrected for unequal variances, ε = {number(test.epsilon_box)}")
        thin = len(self.model.seed_names) <= FEW_SEEDS and self.model.factor("dataset") is None
        if test.df_num > 1 and not test.p_gg < ALPHA:
            parts.append(f"too sure where seeds scatter very unequally, Greenhouse-Geisser {p_text(test.p_gg)}")
        elif test.df_num > 1 and thin:
            parts.append(f"with Greenhouse-Geisser's correction {p_text(test.p_gg)}")
        if test.df_num > 1 and thin:
            parts.append(f"{counted(len(self.model.seed_names), 'seed')} on one data set say little about variances")
        return [", ".join(parts), f"{counted(self.model.y.size, 'run')}, {counted(test.n_clusters, 'seed')}"]

    def _factor(self, name: str) -> Factor:
        return next(f for f in self.model.design.factors if f.name == name)

    def _mean(self, at: Mapping[str, Level]) -> float:
        return float(self.model.design.marginal(at) @ self.model.fit.beta)

    def _extremes(self, factor: Factor) -> tuple[Level, Level]:
        ordered = sorted(factor.levels, key=lambda level: self._mean({factor.name: level}))
        return ordered[0], ordered[-1]

    def _averaged_over(self, *names: str) -> str:
        others = [f for f in self.model.design.factors if f.name not in names]
        if not others:
            return ""
        if any(f.name == "method" for f in others):  # a sentence that is not about method does not name it
            return ", averaged over the other factor" + ("s" if len(others) > 1 else "")
        return ", averaged over " + " and ".join(counted(len(f.levels), _WORDS[f.name]) for f in others)

    def _place(self, name: str, level: Level) -> str:
        if name == "lr":
            return f"at lr {learning_rate(float(level))}"
        return f"with {method_title(str(level))}" if name == "method" else f"on {level}"

    def _level(self, name: str, level: Level) -> str:
        return with_unit(number(self._mean({name: level})), self.column.unit)

    def _difference(self, value: float) -> str:
        text = with_unit(signed(value), difference_unit(self.column.unit))
        ratio = RATIOS.get(self.column.unit)
        return text if ratio is None else f"{text} ({ratio} {number(float(np.exp(value)))})"
