"""docs/compare_with_r.md: the numbers of its two columns are R's kept ones and what the command gives now."""

import json
import re
from pathlib import Path

import polars as pl

from heatdrift.questions.model.analysis import fit_model

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "reference" / "r_model"
FORMULA = "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)"


def rows_now():
    """What the page's table must hold: quantity, R, heatdrift."""
    cases = json.loads((REFERENCE / "model.json").read_text())["cases"]
    r = next(c for c in cases if c["data"] == "machines_lost" and c["formula"] == FORMULA)
    ours = fit_model(pl.read_csv(REFERENCE / "machines_lost.csv"), FORMULA)
    yield "REML log-likelihood", r["reml_loglik"], ours.reml_loglik
    variances = {row["grp"]: row["vcov"] for row in r["random"]}
    for row in ours.random:
        theirs = variances.get(row.group, variances.get(":".join(row.group.split(":")[::-1])))
        yield f"variance of {row.group}", theirs, row.variance
    for method, words in (("kenward_roger", "Kenward-Roger"), ("satterthwaite", "Satterthwaite")):
        test = next(t for t in ours.tests if t.method == method)
        theirs = r[f"type3_{method}"][0]
        yield f"F of Machine, {words}", theirs["F value"], test.f
        yield f"its denominator df, {words}", theirs["DenDF"], test.df_den
    for mean, theirs in zip(ours.means, r["means"][0]["means"], strict=True):
        yield f"mean of {mean.level}", theirs["emmean"], mean.mean
    for contrast, theirs in zip(ours.contrasts, r["means"][0]["pairs"], strict=True):
        yield f"{contrast.contrast}", theirs["estimate"], contrast.estimate
        yield f"its standard error ({contrast.contrast})", theirs["SE"], contrast.se
        yield f"its p ({contrast.contrast})", theirs["p.value"], contrast.p
        yield f"its p by Holm ({contrast.contrast})", theirs["p_holm"], contrast.p_holm


def test_the_page_has_the_numbers_of_today():
    page = (ROOT / "docs" / "compare_with_r.md").read_text(encoding="utf-8")
    expected = [f"| {what} | {r:.6g} | {ours:.6g} |" for what, r, ours in rows_now()]
    found = [line for line in page.splitlines() if re.match(r"\| .* \| -?[\d.e-]+ \| -?[\d.e-]+ \|", line)]
    assert found == expected
