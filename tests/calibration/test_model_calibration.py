"""The simulation computes what `stats model` reports, and the page holds its bands."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

import model_sizes
from model_sizes import (
    ALPHA,
    BOOTSTRAP,
    CONDITIONS,
    INTERVALS,
    PAGE,
    TESTS,
    contrast_rows,
    intervals,
    over_groups,
    p_values,
    page,
    rows_of,
    sizes,
    studies,
)

from heatdrift.questions.model.analysis import fit_model

OWN = "a acts by group"


def shares():
    """(test or interval, of, condition) -> percent, of both tables."""
    found, heads = {}, []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.startswith(("| test |", "| interval |")):
            kind, heads = cells[0], cells[2:]
        elif line.startswith("| ") and heads:
            found |= {(kind, *cells[:2], head): float(v) for head, v in zip(heads, cells[2:], strict=True)}
    return found


SHARES = shares()


@pytest.mark.parametrize("condition", [CONDITIONS[0], CONDITIONS[3], CONDITIONS[8]], ids=lambda c: c.name)
def test_the_simulation_computes_what_the_command_reports(condition):
    rng = np.random.default_rng([5, *condition.name.encode()])
    model, pattern = next(studies(condition, 10, 5))
    table = rows_of(condition, rng).with_columns(y=pl.Series(model.design.y))
    p = p_values(model, over_groups(pattern))
    tests = {(t.method, t.term): t.p for t in fit_model(table, condition.formula).tests}
    names = {"Kenward-Roger": "kenward_roger", "Satterthwaite": "satterthwaite", "over groups": "strata"}
    for (name, term), value in zip(TESTS, p, strict=True):
        if name in names:
            assert value == pytest.approx(tests[names[name], term], rel=1e-8)
    for ddf, place in (("kenward_roger", 3), ("satterthwaite", 4)):
        claim = next(c for c in fit_model(table, condition.formula, ddf=ddf).claims if c.key == "model/y/a")
        assert p[place] == pytest.approx(claim.p, rel=1e-8)
    ends = intervals(model, contrast_rows(pattern), seed=3)
    asked = {
        ("Wald, Kenward-Roger", "wald", "kenward_roger"), ("Wald, Satterthwaite", "wald", "satterthwaite"),
        ("profile", "profile", "kenward_roger"), ("bootstrap", "bootstrap", "kenward_roger"),
    }  # fmt: skip
    for words, kind, ddf in asked:
        result = fit_model(table, condition.formula, intervals=kind, ddf=ddf, bootstrap=BOOTSTRAP, seed=3)
        rows = {c.contrast: c for c in result.contrasts}
        rows |= {"variance of g": result.random[0], "variance of the residual": result.random[-1]}
        for (name, of), own in zip(INTERVALS, ends, strict=True):
            if name == words:
                assert own == pytest.approx((rows[of].ci_low, rows[of].ci_high), rel=1e-6, abs=1e-9)


def test_the_page_is_of_these_conditions_and_says_how_it_was_made(monkeypatch):
    wanted = {("test", *key, c.name) for key, c in product(TESTS, CONDITIONS)}
    wanted |= {("interval", *key, c.name) for key, c in product(INTERVALS, CONDITIONS)}
    assert set(SHARES) == wanted
    monkeypatch.setattr(model_sizes, "sizes", lambda *_: np.zeros(len(TESTS)))
    monkeypatch.setattr(model_sizes, "coverage", lambda *_: np.zeros(len(INTERVALS)))
    made = page(1500, 120, 16).splitlines()
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line[:2] != "| "] == [line for line in made if line[:2] != "| "]


def test_the_page_holds_the_bands():
    """What a finding rests on keeps its size everywhere; the model alone does not where groups react differently."""
    for (kind, name, of, condition), share in SHARES.items():
        if kind == "test" and ("over groups" in name or OWN not in condition):
            assert share <= 7.0, (name, of, condition)
        if kind == "test" and of == "a" and OWN in condition and "over groups" not in name:
            assert share > 7.0, (name, condition)


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_the_sizes_are_those_of_the_page_with_another_seed(condition):
    for (name, of), found in zip(TESTS, sizes(condition, 500, 4711), strict=True):
        share = SHARES["test", name, of, condition.name]
        error = np.sqrt(max(share, 1.0) * (100.0 - share) * (1 / 500 + 1 / 1500))
        assert abs(found - share) < 4 * error, (name, of)


def test_the_level_is_that_of_findings():
    from heatdrift.questions.answer import ALPHA as CLAIMED

    assert ALPHA == CLAIMED
