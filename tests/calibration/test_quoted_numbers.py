"""Every size and coverage on the pages of docs/questions is what the generated pages hold, and they quote no other.

A quote is a row of a table under 'Measured sizes'. It names the section, rows and columns that it speaks of; its two
numbers are their smallest and largest value.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = tuple(path.name for path in sorted(DOCS.glob("calibration*.md")))
QUESTIONS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "questions").glob("*.md"))}
SIZES = "## Measured sizes"


class Entry(NamedTuple):
    """One number of a page: its section, row (test or interval, then term) and column."""

    section: str
    row: str
    column: str
    value: float


def entries() -> list[Entry]:
    found: list[Entry] = []
    for name in PAGES:
        section, heads = "", list[str]()
        for line in (DOCS / name).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if line.startswith("#"):
                section = f"{name} {line.strip('# ')}"
            elif line.startswith("The same without any variance"):
                section += " (no seed variance)"
            elif line.startswith(("| test |", "| interval |")):
                heads = cells
            elif cells and heads and not line.startswith("|-"):
                first = 2 if heads[1] == "of" else 1
                row = ", ".join(cells[:first]).replace("\\|", "|")
                pairs = zip(heads[first:], cells[first:], strict=True)
                found += [Entry(section, row, head, float(cell.strip("*"))) for head, cell in pairs if cell]
    return found


ENTRIES = entries()
EQUAL, SPREAD, ALONE = "Equal residual", "spread 100-fold", "one data set alone"
DECISION = "Calibration of what to choose"
IMAGES = "Calibration of stats images"
SIZES_OF_MODEL, COVERAGE_OF_MODEL = "calibration_model.md Rejections", "calibration_model.md Coverage"
OWN_WAY = "acts by group"
SIZES_OF_FACTORS, BY_SEED = "calibration_factors.md Rejections", "acts by seed"
ALL_SEEDS = f"^(?!.*{BY_SEED})"
ALIKE, NORMAL = f"^(?!.*{OWN_WAY})", f"^(?!.*({OWN_WAY}|skewed))"  # conditions in which groups react alike; normal ones
NO_LINK = "no link between the metrics$"
MODELS = r"^(Satterthwaite|Kenward-Roger), "
NO_SEED_METHOD = rf"{MODELS}(?!\(1 \| seed\) \+ \(1 \| seed:method\)).*, method$"
SEED_METHOD = r"\(1 \| seed\) \+ \(1 \| seed:method\), method$"
# page -> row of its tables without the numbers -> where they come from (patterns of section, row, column)
QUOTES = {
    "interaction": {
        "`p_box`, any term | two data sets, equal residual variances": (EQUAL, "^headline", ""),
        "`p_box`, any term | two data sets, residual variance spread 100-fold": (SPREAD, "^headline", ""),
        "`p_box`, lr and lr:method | one data set, three seeds, equal variances": (
            ALONE,
            "headline, lr",
            "^3 (bal.|missing)$",
        ),
        "`p_box`, lr and lr:method | one data set, three seeds, 100-fold spread": (
            ALONE,
            "headline, lr",
            "^3 .*100-fold",
        ),
        "`p_box`, lr:method | 100-fold spread hidden by a seed x lr variance": (
            "under a seed x lr",
            "headline, lr:method",
            "100-fold$",
        ),
        "`p_gg`, lr and lr:method | two data sets, three seeds, equal variances": (EQUAL, "Greenhouse", "^3 "),
        "`p_gg`, lr and lr:method | one data set, three seeds": (ALONE, "Greenhouse", "^3 "),
        "`robust_contrasts`, highest lr | equal variances": (EQUAL, "^seed-level t", ""),
        "`robust_contrasts`, highest lr | residual variance spread 100-fold": (SPREAD, "^seed-level t", ""),
        "Kenward-Roger, method, random part `seed + seed:method` | equal variances": (
            EQUAL,
            f"^Kenward-Roger, {SEED_METHOD}",
            "",
        ),
        "Satterthwaite, method, `seed + seed:method` | equal variances": (EQUAL, f"^Satterthwaite, {SEED_METHOD}", ""),
        "a variance is 0, exact | no seed variance": ("Tests of a variance", "exact RLRT", ""),
        "a variance is 0, approximate | no seed x method variance": ("Tests of a variance", "approximate RLRT", ""),
        "a variance is 0, `p_mixture` | either": ("Tests of a variance", "mixture", ""),
        "Brown-Forsythe over cells | equal variances": (EQUAL, "Brown-Forsythe", ""),
        "`p` of strata, no correction: lr, lr:method | variance growing 100-fold with lr": (
            SPREAD,
            "seed-level F, uncorrected",
            "by lr",
        ),
        "models without `seed:method`: method | seed x method SD .05": (EQUAL, NO_SEED_METHOD, r"SD 0\.05$"),
        "models without `seed:method`: method | seed x method SD .1": (EQUAL, NO_SEED_METHOD, r"SD 0\.1$"),
        "all models: lr, lr:method | variance growing 100-fold with lr": (
            SPREAD,
            rf"{MODELS}.*, (lr|lr:method)$",
            "by lr",
        ),
        "all models: contrast at the highest lr | variance growing 100-fold with lr": (
            SPREAD,
            rf"{MODELS}.*contrast",
            "by lr",
        ),
        "likelihood ratio (ML, chi-square) | equal variances, three seeds": (EQUAL, "likelihood ratio", "^3 "),
        "ML profile interval of a contrast | equal variances": (EQUAL, "profile interval", ""),
        "ML profile interval of a contrast | variance growing 100-fold with lr": (SPREAD, "profile interval", "by lr"),
        "check seed_by_lr | variance growing 100-fold with lr": (SPREAD, "check: seed x factor, lr", "by lr"),
        "check lack_of_fit, seed-level | variances spread 100-fold over cells": (
            SPREAD,
            "lack of fit, seed-level",
            "by cells",
        ),
        "check lack_of_fit, Kenward-Roger | variances spread 100-fold over cells": (
            SPREAD,
            "lack of fit, Kenward-Roger",
            "by cells",
        ),
        "ICC, exact": ("Coverage", "ICC, exact", ""),
        "ICC, REML profile": ("Coverage", "ICC, REML", ""),
        "seed variance, REML profile": ("Coverage", "seed variance, REML", ""),
        "residual variance, REML profile": ("Coverage", "residual variance, REML", ""),
        "residual variance, ML profile (what `confint(lmer)` gives)": ("Coverage", "residual variance, ML", ""),
        "seed variance, bootstrap": ("Coverage", "seed variance, parametric", ""),
        "ICC, bootstrap": ("Coverage", "ICC, parametric", ""),
        "contrast at the highest lr, bootstrap": ("Coverage", "contrast at the highest lr, parametric", ""),
    },
    "correlation": {
        "permutation p, pooled and rmcorr | both variances grow 100-fold with lr": (
            NO_LINK,
            "permutation p, (pooled|repeated)",
            "100-fold",
        ),
        "permutation p, pooled and rmcorr | no seed x method variance, equal variances": (
            NO_LINK,
            "permutation p, (pooled|repeated)",
            " SD 0$",
        ),
        "permutation p, partial | seed x method SD .1, balanced": (
            NO_LINK,
            "permutation p, partial",
            r"bal\. SD 0\.1",
        ),
        "interval misses 0 | seeds differ": (NO_LINK, "bootstrap interval", ""),
        "interval misses 0 | seeds do not differ, few cells alone": ("no seed variance", "bootstrap interval", ""),
        "permutation p, pooled and rmcorr | no null: both metrics follow lr": (
            "moves both",
            "permutation p, (pooled|repeated)",
            "",
        ),
        "permutation and interval (the former rule) | all conditions": (
            "no link between",
            "permutation and interval, ",
            "",
        ),
        "a finding: permutation, interval and seeds | all conditions": ("no link between", "a finding", ""),
    },
    "dose": {
        "`p` | all conditions": ("paired", "dose: Spearman, asymp", ""),
        "`p_exact` | equal variances": ("paired", "dose: exact", " SD "),
        "`p_exact` | variance growing 100-fold with lr": ("paired", "dose: exact", "100-fold"),
        "interval of the slope misses 0 | all conditions": ("paired", "dose: seed-level interval", ""),
        "`seed_trend_p` | all conditions": ("paired", "dose: seed-level t of r", ""),
        "a finding: permutation and seeds | all conditions": ("paired", "dose: permutation and seeds", ""),
    },
    "paired": {
        "`t_p`, both data sets | no seed x method variance": ("paired", "paired: t over pairs, both", "SD 0$"),
        "`t_p`, both data sets | seed x method SD .05": ("paired", "paired: t over pairs, both", r"SD 0\.05"),
        "`t_p`, both data sets | seed x method SD .1": ("paired", "paired: t over pairs, both", r"SD 0\.1"),
        "`wilcoxon_p`, both data sets | seed x method SD .1": ("paired", "paired: Wilcoxon.*, both", r"SD 0\.1"),
        "`seed_p` | everywhere": ("paired", "paired: seed_t", ""),
        "`seed_p`, independent | seeds of each method alone": ("seeds", "^difference: independent", ""),
        "`seed_p`, independent | a seed for each run": ("seeds", "^difference: a seed for each run", ""),
        "`seed_p`, mixed | seeds vary as much as runs, or less": ("seeds", r"^difference: mixed(?!.*seed SD 2)", ""),
        "`seed_p`, mixed | seeds vary more": ("seeds", "^difference: mixed.*seed SD 2", ""),
        "`seed_p`, pairs | seeds of each data set alone": ("seeds", "^difference: pairs", ""),
        "equivalent within | the truth is an end of the margin": ("seeds", "^margin, equivalent", ""),
        "not inferior by more | the truth is that end": ("seeds", "^margin, not inferior", ""),
        "`flip_p` | six and eight seeds": ("seeds", "^signs: [68]", ""),
    },
    "retention": {"`p`, an average | all conditions": ("seeds", "^retention: ", "")},
    "layers": {
        "methods differ, single `p` | one block or head": ("paired", "layers: methods differ", ""),
        "drift is not 0, single `p` | one block or head": ("paired", "layers: drift is not 0", ""),
        "any finding by `p_bh` | a family of heads": ("paired", "any finding by Benjamini-Hochberg", ""),
        "any finding by `p_by` | a family of heads": ("paired", "any finding by Benjamini-Yekutieli", ""),
    },
    "predictors": {
        "interval of the best above 0 | signals independent of everything": (
            "predictors",
            "interval of the best is above 0, independent",
            "",
        ),
        "interval of one signal misses 0 | signals independent of everything": (
            "predictors",
            "interval of one signal misses 0, independent",
            "",
        ),
        "`p_adjusted` of the best | all conditions": ("predictors", "predictors: adjusted permutation", ""),
        "`seed_level_p` of the best | signals independent of everything": (
            "predictors",
            "predictors: seed-level t of the best, independent",
            "",
        ),
        "`seed_level_p` of the best | retention follows lr, methods differ": (
            "predictors",
            "predictors: seed-level t of the best, lr trend",
            "",
        ),
        "a best signal: interval, permutation and seeds | all conditions": ("predictors", "of the best: a finding", ""),
        "any signal against its orientation: interval, `p_against` and seeds | all conditions": (
            "predictors",
            "against its direction: a finding",
            "",
        ),
    },
    "frontier": {
        "matched difference, jackknife | at equal accuracy": ("frontier", "frontier: matched difference", ""),
    },
    "best": {
        "`p` | all conditions": ("Calibration of stats best", "^best, ", ""),
        "`verdict` real | methods that do not differ, up to six of them": (DECISION, "^real, ", ""),
        "`verdict` within the margin | methods that differ by the margin": (DECISION, "^within the margin, ", ""),
    },
    "images": {
        "`p`, methods or base | nothing true on these images": (IMAGES, "^(methods|base) over seeds, these", ""),
        "`p`, methods or base | single images react to a method": (IMAGES, "^(methods|base) over seeds, others", ""),
        "`both_p`, methods or base | either": (IMAGES, "over seeds and images,", ""),
        "`bootstrap_low` to `bootstrap_high` misses 0 | either": (IMAGES, "by bootstrap of both", ""),
        "any class, as claimed | either": (IMAGES, "^any class", ""),
    },
    "factors": {
        "Kenward-Roger, one term | a factor does the same with all seeds": (
            SIZES_OF_FACTORS,
            "^Kenward-Roger",
            ALL_SEEDS,
        ),
        "over the seeds, one term | everywhere": (SIZES_OF_FACTORS, "^over seeds", ""),
        "both agree, one term | a factor does the same with all seeds": (SIZES_OF_FACTORS, "^both agree", ALL_SEEDS),
        "both agree, rank | each seed reacts to a rank in its own way": (
            SIZES_OF_FACTORS,
            "^both agree, rank",
            BY_SEED,
        ),
        "a finding: any term, both agree, Holm | everywhere": (SIZES_OF_FACTORS, "^a finding", ""),
        "Kenward-Roger alone, rank | each seed reacts to a rank in its own way": (
            SIZES_OF_FACTORS,
            "^Kenward-Roger, rank",
            BY_SEED,
        ),
    },
    "model": {
        "Kenward-Roger, within the groups | an effect is the same in all groups": (
            SIZES_OF_MODEL,
            "^Kenward-Roger, a$",
            ALIKE,
        ),
        "Satterthwaite, within the groups | an effect is the same in all groups": (
            SIZES_OF_MODEL,
            "^Satterthwaite, a$",
            ALIKE,
        ),
        "`strata` | everywhere": (SIZES_OF_MODEL, "^over groups, a$", ""),
        "a finding: both agree | an effect is the same in all groups": (SIZES_OF_MODEL, "agree, a$", ALIKE),
        "a finding: both agree | each group reacts in its own way": (SIZES_OF_MODEL, "agree, a$", OWN_WAY),
        "Kenward-Roger, between the groups | 5 groups": (SIZES_OF_MODEL, "^Kenward-Roger, b$", "^5 groups"),
        "Kenward-Roger, between the groups | 12 groups, or crossed ones": (
            SIZES_OF_MODEL,
            "^Kenward-Roger, b$",
            "^(12|6)",
        ),
        "Satterthwaite, between the groups | everywhere": (SIZES_OF_MODEL, "^Satterthwaite, b$", ""),
        "Kenward-Roger or Satterthwaite alone | each group reacts in its own way": (
            SIZES_OF_MODEL,
            "^(Kenward-Roger|Satterthwaite), a$",
            OWN_WAY,
        ),
        "contrast within the groups, Wald": (COVERAGE_OF_MODEL, "^Wald, Kenward-Roger, a0", ALIKE),
        "contrast within the groups, profile": (COVERAGE_OF_MODEL, "^profile, a0", ALIKE),
        "contrast within the groups, bootstrap": (COVERAGE_OF_MODEL, "^bootstrap, a0", ALIKE),
        "contrast between the groups, Wald, Kenward-Roger": (COVERAGE_OF_MODEL, "^Wald, Kenward-Roger, b0", ""),
        "contrast between the groups, Wald, Satterthwaite": (COVERAGE_OF_MODEL, "^Wald, Satterthwaite, b0", ""),
        "contrast between the groups, profile": (COVERAGE_OF_MODEL, "^profile, b0", ""),
        "contrast between the groups, bootstrap": (COVERAGE_OF_MODEL, "^bootstrap, b0", ""),
        "variance of a grouping, normal, profile": (COVERAGE_OF_MODEL, "^profile, variance of g", NORMAL),
        "variance of a grouping, normal, bootstrap": (COVERAGE_OF_MODEL, "^bootstrap, variance of g", NORMAL),
        "residual variance, normal, profile": (COVERAGE_OF_MODEL, "^profile, variance of the res", NORMAL),
        "residual variance, normal, bootstrap": (COVERAGE_OF_MODEL, "^bootstrap, variance of the res", NORMAL),
        "any variance, skewed, profile or bootstrap": (COVERAGE_OF_MODEL, ", variance of", "skewed"),
    },
    "power": {
        "seed-level t, one data set | everywhere": ("paired", "paired: seed_t, one data set", ""),
        "seed-level t, both data sets | everywhere": ("paired", "paired: seed_t, both data sets", ""),
    },
}  # fmt: skip
ROWS = [(page, words) for page, quotes in QUOTES.items() for words in quotes]
# shares that are no measured sizes: levels, the definition of a tail, a share of a base
LEVELS = {"5 %", "80 %", "90 %", "95 %", "7 %", "100 %"}


def values(place: tuple[str, str, str]) -> list[float]:
    section, row, column = place
    return [
        e.value
        for e in ENTRIES
        if re.search(section, e.section) and re.search(row, e.row) and re.search(column, e.column)
    ]


def quoted(page: str, words: str) -> str:
    found = values(QUOTES[page][words])
    assert found, (words, QUOTES[page][words])
    return f"| {words} | {min(found):.1f} to {max(found):.1f} % |"


@pytest.mark.parametrize(("page", "words"), ROWS, ids=[f"{page}: {words}" for page, words in ROWS])
def test_a_quoted_size_is_that_of_the_generated_page(page, words):
    assert quoted(page, words) in QUESTIONS[page].splitlines()


@pytest.mark.parametrize("page", QUESTIONS)
def test_no_other_size_is_quoted(page):
    """Outside of a quote only levels are in percent (examples hold results, which are no sizes)."""
    text = re.sub(r"^```.*?^```$", "", QUESTIONS[page], flags=re.DOTALL | re.MULTILINE)
    for words in QUOTES.get(page, {}):
        text = text.replace(quoted(page, words), "")
    found = {m.group(1) for m in re.finditer(r"(\d+(?:\.\d+)?(?: to \d+(?:\.\d+)?)? %)", text)}
    assert found <= LEVELS


@pytest.mark.parametrize("page", QUOTES)
def test_every_row_of_measured_sizes_is_a_quote(page):
    _, _, text = QUESTIONS[page].partition(SIZES)
    rows = set(re.findall(r"^\| .*\d % \|$", text, flags=re.MULTILINE))
    assert rows == {quoted(page, words) for words in QUOTES[page]}


def test_what_is_said_to_exceed_seven_percent_is_all_that_does():
    """The second table of sizes on the page of `interaction` names every family of tests with a bold size."""
    families = {
        r"headline": "`p_box`, lr",
        r"(Satterthwaite|Kenward-Roger), .*, method": "models without `seed:method`: method",
        r"(Satterthwaite|Kenward-Roger), .*, (lr|lr:method)$": "all models: lr, lr:method",
        r"(Satterthwaite|Kenward-Roger), .*, contrast": "all models: contrast at the highest lr",
        r"likelihood ratio": "likelihood ratio (ML, chi-square)",
        r"profile interval": "ML profile interval of a contrast",
        r"seed-level F, uncorrected": "`p` of strata, no correction: lr, lr:method",
        r"check: seed x factor, lr": "check seed_by_lr",
        r"lack of fit": "check lack_of_fit",
    }
    beyond = {e.row for e in ENTRIES if e.section.startswith("calibration.md") and e.value > 7.0}
    beyond -= {e.row for e in ENTRIES if "Coverage" in e.section}
    table = QUESTIONS["interaction"].partition("| test above 7 % |")[2].partition("\n\n")[0]
    for row in beyond:
        named = [words for pattern, words in families.items() if re.match(pattern, row)]
        assert named, row
    for words in families.values():
        assert f"\n| {words}" in table, words
    assert min(float(high) for high in re.findall(r"to ([\d.]+) % \|$", table, flags=re.MULTILINE)) > 7.0
    assert all("Headline test" in e.section for e in ENTRIES if e.row.startswith("headline") and e.value > 7.0)
