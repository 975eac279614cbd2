"""The simulation computes what `stats factors` reports, and the page of its sizes holds the level."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

import factors_sizes
from factors_sizes import CONDITIONS, PAGE, TESTS, models, p_values, page, sizes

import heatdrift
from heatdrift.stats.multiplicity import holm


def shares():
    """(test, of, condition) -> percent."""
    found, heads = {}, []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.startswith("| test |"):
            heads = cells[2:]
        elif line.startswith("| ") and heads:
            found |= {(*cells[:2], head): float(value) for head, value in zip(heads, cells[2:], strict=True)}
    return found


@pytest.mark.parametrize("condition", CONDITIONS[:2], ids=lambda c: c.name)
def test_the_simulation_computes_what_the_command_reports(condition):
    model, runs, responses = next(models(condition, 10, 5))
    found = dict(zip(TESTS, p_values(model, responses[:1])[0], strict=True))
    answer = heatdrift.factors(runs.with_columns(test_acc_pct=pl.Series(responses[0])))
    tests = {(t.method, t.term): t.p for t in answer.tests}
    for words, method in (("Kenward-Roger", "kenward_roger"), ("over seeds", "strata")):
        for term, named in (("method", "method"), ("rank", "C(rank)")):
            assert found[words, term] == pytest.approx(tests[method, named], rel=1e-7)
    claims = {claim.key.rpartition("/")[2]: claim.p for claim in answer.claims}
    assert found["both agree", "rank"] == pytest.approx(claims["C(rank)"], rel=1e-7)
    assert found[TESTS[-1]] == pytest.approx(min(holm(list(claims.values()))), rel=1e-7)


def test_the_page_is_of_these_conditions_and_says_how_it_was_made(monkeypatch):
    assert set(shares()) == {(*test, condition.name) for test in TESTS for condition in CONDITIONS}
    monkeypatch.setattr(factors_sizes, "sizes", lambda *_: np.zeros(len(TESTS)))
    made = page(1000, 14).splitlines()
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line[:2] != "| "] == [line for line in made if line[:2] != "| "]


def test_the_page_holds_the_level():
    """A finding keeps its level everywhere; the model alone does not where a rank acts on each seed in its own way."""
    for (name, of, condition), share in shares().items():
        if name != "Kenward-Roger" or "acts by seed" not in condition:
            assert share <= 7.0, (name, of, condition)
    assert shares()["Kenward-Roger", "rank", "4 seeds, balanced, rank acts by seed"] > 7.0


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_the_sizes_are_those_of_the_page_with_another_seed(condition):
    for (name, of), found in zip(TESTS, sizes(condition, 300, 4711), strict=True):
        share = shares()[name, of, condition.name]
        error = np.sqrt(max(share, 1.0) * (100.0 - share) * (1 / 300 + 1 / 1000))
        assert abs(found - share) < 4 * error, (name, of)
