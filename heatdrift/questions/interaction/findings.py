"""Sentences of an interaction analysis, made from its results; what the headline test does not support is not said.

A sentence is a claim, and a table of seven terms makes seven chances to claim: a term gets a sentence only when its
seed-level p, with Box's correction and adjusted by Holm over all terms, is below 0.05. The sentences describe these
runs; they do not say why.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import Contrast
from heatdrift.questions.interaction.sensitivity import terms_on_one_cell
from heatdrift.stats.cluster_tests import FTest
from heatdrift.stats.design import Factor, Level
from heatdrift.stats.multiplicity import holm
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

_FEW_SEEDS: Final = 3  # with one data set Box's epsilon then rests on too few runs to see a large spread
_WORDS: Final = {"lr": "learning rate", "method": "method", "dataset": "data set"}


def interaction_findings(
    model: InteractionModel,
    column: Column,
    effects: tuple[Contrast, ...],
    conf_level: float,
    checks: Sequence[Check] = (),
) -> tuple[str, ...]:
    """One or two sentences per supported term, main effects first.

    Of `checks` they quote the lack of fit, and whether a term's p crosses 5 % without a single cell.
    """
    tests = model.seed_tests
    adjusted = dict(zip(tests, holm([t.p_box for t in tests.values()]).tolist(), strict=True))
    writer = _Writer(model, column, tests, adjusted, conf_level, _on_curve(model, checks), terms_on_one_cell(checks))
    sentences: list[str] = []
    for term in model.design.terms:
        if not adjusted[term] < ALPHA:
            continue
        names = term.split(":")
        if len(names) == 1:
            sentences.append(writer.main_effect(names[0]))
            if names[0] == "method" and tests[term].df_num > 1:
                sentences += writer.method_pairs(effects)
        elif len(names) == 2:
            sentences.append(writer.two_way(names[0], names[1]))
        else:
            sentences.append(writer.three_way(term))
    return tuple(sentences)


def _on_curve(model: InteractionModel, checks: Sequence[Check]) -> str:
    """Words for values that are read off a fitted line or curve in log10(lr); empty where each lr has its own mean."""
    factor = model.factor("lr")
    if factor is None or not factor.numeric:
        return ""
    words = f", on the fitted {'line' if len(factor.labels) == 1 else 'curve'}"
    for check in checks:
        if check.name == "lack_of_fit" and check.flag:
            values = [check.values[name] for name in ("p_box", "p_kenward_roger")]
            p = next(float(v) for v in values if isinstance(v, float) and v < ALPHA)
            words += f", which does not fit (lack-of-fit {p_text(p)})"
    return words


class _Writer:
    def __init__(
        self,
        model: InteractionModel,
        column: Column,
        tests: Mapping[str, FTest],
        adjusted: Mapping[str, float],
        conf_level: float,
        on_curve: str,
        fragile: Collection[str],
    ) -> None:
        self.model = model
        self.column = column
        self.title = capital(column.title)
        self.tests = tests
        self.adjusted = adjusted
        self.conf_level = conf_level
        self.on_curve = on_curve
        self.fragile = fragile
        self.family = sum(not np.isnan(t.p_box) for t in tests.values())

    def main_effect(self, name: str) -> str:
        factor = self._factor(name)
        test = self.tests[name]
        over = self._averaged_over(name) + (self.on_curve if name == "lr" else "")
        if test.df_num > 1:
            low, high = self._extremes(factor)
            return (
                f"{self.title} differs between {_WORDS[name]}s{over}: "
                f"lowest {self._level(name, low)} {self._place(name, low)}, "
                f"highest {self._level(name, high)} {self._place(name, high)} ({self._evidence(name)})"
                f"{self._end(name)}"
            )
        ci_low, ci_high = test.interval(self.conf_level)
        evidence = f"({difference_interval(self.conf_level, ci_low, ci_high)}; {self._evidence(name)})"
        if factor.labels == ("lr",):
            return (
                f"{self.title} {'rises' if test.estimate > 0 else 'falls'} with the learning rate{over}: "
                f"{self._difference(test.estimate)} per tenfold {evidence}{self._end(name)}"
            )
        first, second = factor.levels
        return (
            f"{self.title} is {'higher' if test.estimate > 0 else 'lower'} {self._place(name, second)} than "
            f"{self._place(name, first)}{over}: difference {self._difference(test.estimate)} {evidence}"
            + (self._sign_turns(first, second) if name == "method" else "")
            + self._end(name)
        )

    def method_pairs(self, effects: tuple[Contrast, ...]) -> list[str]:
        family = sum(not np.isnan(c.p) for c in effects)
        return [
            f"{self.title}: {method_title(c.method_a)} minus {method_title(c.method_b)}"
            f"{self._averaged_over('method')} is {self._difference(c.estimate)} "
            f"({difference_interval(self.conf_level, c.ci_low, c.ci_high)}; "
            f"seed-level {t_text(c.df, c.t)}, "
            f"Holm over {family} pairs of methods {p_text(c.p_holm)})"
            f"{self._sign_turns(c.method_b, c.method_a)}."
            for c in effects
            if c.p_holm < ALPHA
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

    def two_way(self, first: str, second: str) -> str:
        term = f"{first}:{second}"
        method = self.model.factor("method")
        if "method" not in (first, second) or method is None or len(method.levels) != 2:
            return (
                f"The effect of the {_WORDS[first]} on {self.column.title} depends on the {_WORDS[second]}"
                f"{self._averaged_over(first, second)} ({self._evidence(term)}){self._end(term)}"
            )
        other = self._factor(second if first == "method" else first)
        base, adapted = method.levels
        gaps = list(zip(other.levels, self._gaps(base, adapted, other), strict=True))
        shown = ", ".join(f"{self._difference(gap)} {self._place(other.name, level)}" for level, gap in gaps)
        turns = "; the estimates change sign" if min(g for _, g in gaps) < 0 < max(g for _, g in gaps) else ""
        return (
            f"The difference {method_title(str(adapted))} minus {method_title(str(base))} in {self.column.title} "
            f"depends on the {_WORDS[other.name]}{self._averaged_over('method', other.name)}"
            f"{self.on_curve if other.name == 'lr' else ''}: {shown} "
            f"({self._evidence(term)}){turns}{self._end(term)}"
        )

    def three_way(self, term: str) -> str:
        return (
            f"How the difference between methods in {self.column.title} changes with the learning rate is not the same "
            f"on every data set ({self._evidence(term)}){self._end(term)}"
        )

    def _end(self, term: str) -> str:
        """Full stop, after a warning where the answer at 5 % hangs on one cell."""
        return "; fragile: leaving out one cell moves p across 5 %." if term in self.fragile else "."

    def _evidence(self, term: str) -> str:
        test = self.tests[term]
        if test.df_num == 1:
            statistic = t_text(test.df_den, float(np.sign(test.estimate) * np.sqrt(test.f)))
        else:
            statistic = f_text(test.df_num * test.epsilon_box, test.df_den * test.epsilon_box, test.f)
        parts = [f"seed-level {statistic}", p_text(test.p_box)]
        if self.family > 1:
            parts.append(f"Holm over the {self.family} terms of this model {p_text(self.adjusted[term])}")
        if test.epsilon_box < 1.0:
            parts.append(f"df corrected for unequal variances, ε = {number(test.epsilon_box)}")
        thin = len(self.model.seed_names) <= _FEW_SEEDS and self.model.factor("dataset") is None
        if test.df_num > 1 and (thin or not test.p_gg < ALPHA):
            parts.append(f"with Greenhouse-Geisser's correction {p_text(test.p_gg)}")
        if test.df_num > 1 and thin:
            parts.append(f"{counted(len(self.model.seed_names), 'seed')} on one data set say little about variances")
        return f"{', '.join(parts)}; {counted(self.model.y.size, 'run')}, {counted(test.n_clusters, 'seed')}"

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
        return with_unit(signed(value), difference_unit(self.column.unit))
