"""How often the tests of `stats model` reject a true null at 5 %, and how often its 95 % intervals hold the truth:
``OMP_NUM_THREADS=1 python tests/calibration/model_sizes.py``. Writes docs/calibration_model.md, in 2 to 4 minutes.

The model is ``y ~ a + b + (1 | g)``: `a` (three levels) varies within the groups, `b` (two levels) between them, and
neither does anything. `p_values` and `intervals` are what the command computes, asked for single responses;
``test_model_calibration.py`` holds the two together.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.model.fitted import TableModel, build
from heatdrift.questions.model.means import marginal_points, pairwise
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import ClusterContrast, cluster_contrast
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.intervals import percentile_interval, t_interval
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import contrast_intervals, variance_interval

Floats = npt.NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "calibration_model.md"
ALPHA, LEVEL = 0.05, 0.95
LEVELS, ROWS = 3, 2  # of `a`, and rows of each group at each level before any are lost
PATTERNS = 10  # of lost rows
BOOTSTRAP = 400
FORMULA, CROSSED = "y ~ a + b + (1 | g)", "y ~ a + b + (1 | g) + (1 | h)"


@dataclass(frozen=True)
class Condition:
    """One kind of table in which neither factor does anything; standard deviations in units of the residual's.

    lost : share of rows that are missing. skewed : errors and group effects are exponential, else normal. own : SD of
    what `a` does in each group by itself, which the model leaves out. second : levels of a second, crossed grouping.
    """

    name: str
    groups: int
    lost: float = 0.0
    skewed: bool = False
    group_sd: float = 0.7
    own: float = 0.0
    second: int = 0

    @property
    def formula(self) -> str:
        """What is fitted."""
        return CROSSED if self.second else FORMULA


CONDITIONS = (
    Condition("5 groups, balanced", 5),
    Condition("5 groups, 30 % lost", 5, lost=0.3),
    Condition("5 groups, balanced, skewed", 5, skewed=True),
    Condition("5 groups, 30 % lost, skewed", 5, lost=0.3, skewed=True),
    Condition("5 groups, balanced, alike", 5, group_sd=0.0),
    Condition("12 groups, balanced", 12),
    Condition("12 groups, 30 % lost", 12, lost=0.3),
    Condition("12 groups, 30 % lost, skewed", 12, lost=0.3, skewed=True),
    Condition("6 x 5 crossed groups, 30 % lost", 6, lost=0.3, second=5),
    Condition("5 groups, balanced, a acts by group", 5, own=0.7),
    Condition("12 groups, 30 % lost, a acts by group", 12, lost=0.3, own=0.7),
)
TESTS = (
    ("Kenward-Roger", "a"),
    ("Satterthwaite", "a"),
    ("over groups", "a"),
    ("Kenward-Roger and over groups agree", "a"),
    ("Satterthwaite and over groups agree", "a"),
    ("Kenward-Roger", "b"),
    ("Satterthwaite", "b"),
)
INTERVALS = (
    ("Wald, Kenward-Roger", "a0 - a1"),
    ("Wald, Satterthwaite", "a0 - a1"),
    ("profile", "a0 - a1"),
    ("bootstrap", "a0 - a1"),
    ("Wald, Kenward-Roger", "b0 - b1"),
    ("Wald, Satterthwaite", "b0 - b1"),
    ("profile", "b0 - b1"),
    ("bootstrap", "b0 - b1"),
    ("profile", "variance of g"),
    ("bootstrap", "variance of g"),
    ("profile", "variance of the residual"),
    ("bootstrap", "variance of the residual"),
)


def rows_of(condition: Condition, rng: np.random.Generator) -> pl.DataFrame:
    """Draw one pattern of rows: `b` differs between groups; of lost rows every cell and group keeps some."""
    second = range(condition.second or 1)
    full = [(g, a, h) for g in range(condition.groups) for a in range(LEVELS) for h in second for _ in range(ROWS)]
    while True:
        kept = [row for row in full if rng.random() >= condition.lost]
        if len({(g, a) for g, a, _ in kept}) == condition.groups * LEVELS:
            break
    return pl.DataFrame(
        {
            "y": np.arange(float(len(kept))),
            "g": [f"g{g:02}" for g, _, _ in kept],
            "h": [f"h{h}" for _, _, h in kept],
            "a": [f"a{a}" for _, a, _ in kept],
            "b": [f"b{g % 2}" for g, _, _ in kept],
        }
    )


def draw(condition: Condition, model: TableModel, table: pl.DataFrame, n: int, rng: np.random.Generator) -> Floats:
    """Draw `n` responses of a table, (n, rows)."""

    def noise(size: int) -> Floats:
        return rng.exponential(size=(n, size)) - 1.0 if condition.skewed else rng.normal(size=(n, size))

    y = noise(table.height)
    for grouping in model.groupings:
        y += condition.group_sd * noise(grouping.size)[:, grouping.codes]
    acts = np.unique(table["g"].to_numpy() + table["a"].to_numpy(), return_inverse=True)[1]
    return np.asarray(y + condition.own * rng.normal(size=(n, int(acts.max()) + 1))[:, acts])


def studies(condition: Condition, draws: int, seed: int) -> Iterator[tuple[TableModel, TableModel]]:
    """Yield the models of `draws` tables, each with the model of its pattern, whose design is the same."""
    rng = np.random.default_rng([seed, *condition.name.encode()])
    patterns = PATTERNS if condition.lost else 1
    for _ in range(patterns):
        table = rows_of(condition, rng)
        model = build(table, condition.formula)
        for y in draw(condition, model, table, draws // patterns, rng):
            yield replace(model, design=replace(model.design, y=y)), model


def p_values(model: TableModel, contrast: ClusterContrast) -> list[float]:
    """p of TESTS, as the command gives them; `contrast` is that of `a` over the levels of g."""
    found = {}
    for term in ("a", "b"):
        rows = model.design.hypotheses[term]
        found[term] = [f_p_value(*inference.term(rows)) for inference in (model.kenward_roger, model.satterthwaite)]
    kr, satterthwaite = found["a"]
    p = contrast.f_test(model.design.y).p
    return [kr, satterthwaite, p, max(kr, p), max(satterthwaite, p), *found["b"]]


def over_groups(model: TableModel) -> ClusterContrast:
    """Return the contrast of `a` over the levels of g, which depends on the design alone."""
    within = WithinClusters(model.design.x, model.groupings[0].codes)
    return cluster_contrast(within, model.design.hypotheses["a"])


def contrast_rows(model: TableModel) -> Floats:
    """Combinations of coefficients of a0 - a1 and b0 - b1, (2, p)."""
    rows = {one.contrast: one.row for one in pairwise(marginal_points(model, ["a", "b"]))}
    return np.array([rows["a0 - a1"], rows["b0 - b1"]])


def intervals(model: TableModel, rows: Floats, seed: int) -> Floats:
    """Ends of INTERVALS, (len(INTERVALS), 2), as the command gives them."""
    wald = [
        [t_interval(*inference.contrast(row), LEVEL) for inference in (model.kenward_roger, model.satterthwaite)]
        for row in rows
    ]
    profile = np.column_stack(contrast_intervals(model.design.y, model.design.x, model.groupings, rows, LEVEL))
    refits = parametric_bootstrap(model.fit, draws=BOOTSTRAP, seed=seed)
    boot = np.column_stack(percentile_interval(refits.beta @ rows.T, LEVEL))
    last = len(model.groupings)
    variances = [variance_interval(model.fit, i, LEVEL) for i in (0, last)]
    boot_variances = np.column_stack(percentile_interval(refits.variances, LEVEL))[[0, last]]
    return np.array(
        [*wald[0], profile[0], boot[0], *wald[1], profile[1], boot[1],
         variances[0], boot_variances[0], variances[1], boot_variances[1]]
    )  # fmt: skip


def sizes(condition: Condition, draws: int, seed: int) -> Floats:
    """Percent of true nulls that each of TESTS rejects."""
    p, last, contrast = [], None, None
    for model, pattern in studies(condition, draws, seed):
        if contrast is None or pattern is not last:
            last, contrast = pattern, over_groups(pattern)
        p.append(p_values(model, contrast))
    return np.asarray(100.0 * np.mean(np.array(p) < ALPHA, axis=0))


def coverage(condition: Condition, draws: int, seed: int) -> Floats:
    """Percent of tables in which each of INTERVALS holds the truth."""
    truth = np.array([0.0] * 8 + [condition.group_sd**2] * 2 + [1.0] * 2)
    held = []
    last, rows = None, np.empty((0, 0))
    for i, (model, pattern) in enumerate(studies(condition, draws, seed + 1)):
        if pattern is not last:
            last, rows = pattern, contrast_rows(pattern)
        ends = intervals(model, rows, i)
        held.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    return np.asarray(100.0 * np.mean(held, axis=0))


def table(first: str, names: tuple[tuple[str, str], ...], found: list[Floats]) -> list[str]:
    """Lines of a table, a row for each test or interval and a column for each condition."""
    heads = [condition.name for condition in CONDITIONS]
    lines = [f"| {first} | of | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for i, (name, of) in enumerate(names):
        lines.append(f"| {name} | {of} | " + " | ".join(f"{values[i]:.1f}" for values in found) + " |")
    return lines


def page(draws: int, refitted: int, seed: int) -> str:
    """The whole page."""
    rejected, held = [], []
    for condition in CONDITIONS:
        began = time.process_time()
        rejected.append(sizes(condition, draws, seed))
        held.append(coverage(condition, refitted, seed))
        sys.stderr.write(f"{condition.name}: {time.process_time() - began:.0f} s\n")
    return "\n".join(
        [
            "# Calibration of stats model",
            "",
            f"Generated by `OMP_NUM_THREADS=1 python tests/calibration/model_sizes.py --draws {draws} --refitted "
            f"{refitted}` (seed {seed}); do not edit.",
            f"Tables of `{FORMULA}`: `a` has {LEVELS} levels within the groups, {ROWS} rows of each, `b` two "
            "levels between the groups, and neither does anything.",
            "Group SD .7 of the residual's; *alike*: 0. *Lost*: rows lost at random. *Skewed*: errors and groups are "
            f"exponential. *Crossed*: `{CROSSED}`.",
            "*a acts by group*: `a` has an effect in each group by itself (SD .7), on average none, which the model "
            "leaves out.",
            "*Over groups*: the test of a term's contrasts over the levels of g, whatever the covariance; `b` "
            "has none.",
            "",
            "## Rejections of a true null at 5 %",
            "",
            f"Percent of {draws} tables; standard error near 5 %: {100 * np.sqrt(0.05 * 0.95 / draws):.1f}.",
            "",
            *table("test", TESTS, rejected),
            "",
            "## Coverage of 95 % intervals",
            "",
            f"Percent of {refitted} tables whose interval holds the truth (standard error near 95 %: "
            f"{100 * np.sqrt(0.05 * 0.95 / refitted):.1f}). Bootstrap: percentiles of {BOOTSTRAP} refits. Where `a` "
            "acts by group,",
            "the variances of the model are not those of the data.",
            "",
            *table("interval", INTERVALS, held),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_500)
    parser.add_argument("--refitted", type=int, default=120)
    parser.add_argument("--seed", type=int, default=16)
    options = parser.parse_args()
    PAGE.write_text(page(options.draws, options.refitted, options.seed) + "\n", encoding="utf-8")
