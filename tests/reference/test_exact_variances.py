"""Which side is off where R's variances and ours differ: both against the optimum in exact arithmetic (50 digits).

The restricted deviance is written down once more here, with the covariance of the rows as a matrix, and its stationary
point is found by Newton steps on its central differences. Nothing of heatdrift's fit is used but its starting point.
"""

import json
from pathlib import Path

import mpmath
import numpy as np
import polars as pl
import pytest

from heatdrift.questions.model.fitted import build

FOLDER = Path(__file__).parent / "r_model"
CASES = json.loads((FOLDER / "model.json").read_text())["cases"]
SMALL = [case for case in CASES if case["n"] <= 60 and not case["singular"]]
GROUPS = ("replicate", "Worker", "Subject")


def deviance(y, x, groupings, ratios):
    """Restricted deviance at variance ratios, up to a constant, and the residual variance."""
    n, p = x.rows, x.cols
    v = mpmath.eye(n)
    for codes, ratio in zip(groupings, ratios, strict=True):
        for i in range(n):
            for j in range(n):
                if codes[i] == codes[j]:
                    v[i, j] += ratio
    triangle = mpmath.cholesky(v)
    white = mpmath.matrix(n, p + 1)
    for column in range(p + 1):  # forward substitution: L white = [x y]
        for i in range(n):
            known = mpmath.fsum(triangle[i, j] * white[j, column] for j in range(i))
            white[i, column] = ((x[i, column] if column < p else y[i]) - known) / triangle[i, i]
    inner = white.T * white
    crossed = inner[:p, :p]
    spread = inner[p, p] - (inner[p, :p] * mpmath.lu_solve(crossed, inner[:p, p]))[0]
    logdet = 2 * mpmath.fsum(mpmath.log(triangle[i, i]) for i in range(n)) + mpmath.log(mpmath.det(crossed))
    return logdet + (n - p) * mpmath.log(spread), spread / (n - p)


def optimum(model):
    """Variances at the stationary point next to the fit, the residual's last."""
    y = mpmath.matrix([mpmath.mpf(repr(float(value))) for value in model.design.y])
    x = mpmath.matrix(model.design.x.tolist())
    groupings = [grouping.codes.tolist() for grouping in model.groupings]
    at = mpmath.matrix([mpmath.mpf(float(ratio)) for ratio in model.fit.ratios])
    k, step = at.rows, mpmath.mpf(10) ** -12

    def value(*moves):
        return deviance(y, x, groupings, [at[i] * (1 + sum(s * step for j, s in moves if i == j)) for i in range(k)])[0]

    for _ in range(2):
        here = value()
        slope, bend = mpmath.matrix(k, 1), mpmath.matrix(k, k)
        for i in range(k):
            up, down = value((i, 1)), value((i, -1))
            slope[i], bend[i, i] = (up - down) / (2 * step), (up - 2 * here + down) / step**2
            for j in range(i):
                corners = value((i, 1), (j, 1)) - value((i, 1)) - value((j, 1)) + here
                bend[i, j] = bend[j, i] = corners / step**2
        change = mpmath.lu_solve(bend, -slope)
        for i in range(k):
            at[i] *= 1 + change[i]
    assert max(abs(change[i]) for i in range(k)) < 1e-15  # the first step brought it there
    residual = deviance(y, x, groupings, list(at))[1]
    return np.array([float(ratio * residual) for ratio in at] + [float(residual)])


def r_variances(case, model, values):
    named = {frozenset(row["grp"].split(":")): v for row, v in zip(case["random"], values, strict=True)}
    return np.array([named[frozenset(name.split(":"))] for name in (*(g.name for g in model.groupings), "Residual")])


@pytest.mark.parametrize("case", SMALL, ids=[f"{c['data']}: {c['formula']}" for c in SMALL])
def test_our_variances_are_the_optimum_and_r_s_are_after_newton_steps(case):
    table = pl.read_csv(FOLDER / f"{case['data']}.csv", schema_overrides=dict.fromkeys(GROUPS, pl.String))
    model = build(table, case["formula"])
    with mpmath.workdps(50):
        exact = optimum(model)
    residual = exact[-1]

    def off(variances):
        return float(np.max(np.abs(variances - exact)) / residual)

    ours = np.array([*model.fit.variances, model.fit.residual_variance])
    polished = r_variances(case, model, [row["vcov"] for row in case["random"]])
    by_values = r_variances(case, model, case["vcov_by_values"])
    assert off(ours) < 1e-9
    assert off(polished) < 1e-7
    assert off(ours) < off(polished) < off(by_values) < 1e-5
