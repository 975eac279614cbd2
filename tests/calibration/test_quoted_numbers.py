"""Every size and coverage that docs/statistics.md quotes is what the generated pages hold, and it quotes no other.

A quote names the section, rows and columns that it speaks of; its numbers are their smallest and largest value.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("calibration.md", "calibration_commands.md")
TEXT = " ".join((DOCS / "statistics.md").read_text(encoding="utf-8").split())


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
# words around the numbers in statistics.md -> where they come from (patterns of section, row, column)
QUOTES = {
    "rejects far more true nulls than it says (3 seeds: {low} to {high} %)": (
        "Equal residual",
        "likelihood ratio",
        "^3 ",
    ),
    "held the truth in {low} to {high} % of studies, ours": ("Coverage", "residual variance, ML profile", ""),
    "ours, by REML, in {low} to {high} %": ("Coverage", "residual variance, REML profile", ""),
    "it rejects {low} to {high} % of true nulls, balanced or not": (
        "spread 100-fold",
        "seed-level F, uncorrected",
        "by lr",
    ),
    "they have two df and reject {low} to {high} % of true nulls at equal variances": (
        "Equal residual",
        "Greenhouse-Geisser",
        "^3 ",
    ),
    "hides a residual that grows 100-fold with them (lr:method {low} to {high} %)": (
        "under a seed x lr",
        "headline, lr:method",
        "100-fold$",
    ),
    "(lr, lr:method {low} to {high} % at a 100-fold spread": ("one data set alone", "headline, lr", "^3 .*100-fold"),
    "{low} to {high} % without; Greenhouse-Geisser": ("one data set alone", "headline, lr", "^3 (bal.|missing)$"),
    "Greenhouse-Geisser {low} to {high} %). A finding": ("one data set alone", "Greenhouse", "^3 "),
    "rejected {low} to {high} % of nulls at seed x method SD .05": (
        "paired",
        "paired: t over pairs, both",
        "SD 0.05",
    ),
    "SD .05, {low} to {high} % at .1; more seeds": ("paired", "paired: t over pairs, both", r"SD 0\.1"),
    "`seed_p`: {low} to {high} % everywhere": ("paired", "paired: seed_t", ""),
    "so it rejects {low} to {high} % of nulls and misses real trends": ("paired", "dose: Spearman, asymp", ""),
    "learning rate: {low} to {high} % with variance growing 100-fold": ("paired", "dose: exact", "100-fold"),
    "the slope's seed-level interval ({low} to {high} %)": ("paired", "dose: seed-level interval", ""),
    "in three seeds, and it rejected {low} to {high} % of nulls": ("paired", "dose: seed-level t of r", ""),
    "both together: {low} to {high} %": ("paired", "dose: permutation and seeds", ""),
    "an interval that misses 0 in {low} to {high} % of studies": ("no link between the metrics$", "bootstrap", ""),
    "and in {low} to {high} % when seeds do not differ at all": ("no seed variance", "bootstrap interval", ""),
    "when both variances grow with the learning rate: up to {high} %": (
        "no link between the metrics$",
        "permutation p, (pooled|repeated)",
        "",
    ),
    "{low} to {high} % in balanced data at seed x method SD .1": (
        "no link between the metrics$",
        "permutation p, partial",
        r"bal\. SD 0\.1",
    ),
    '"correlated" in {low} to {high} % of studies, pooled or rmcorr': (
        "moves both",
        "permutation p, (pooled|repeated)",
        "",
    ),
    "any false finding in {low} to {high} % and": ("paired", "any finding by Benjamini-Hochberg", ""),
    "% and {low} to {high} % of null studies, heads": ("paired", "any finding by Benjamini-Yekutieli", ""),
    "permutation and interval together spoke up in {high} % of nulls at worst": (
        "no link between",
        "permutation and interval, ",
        "",
    ),
    "after which at most {high} % speak": ("no link between", "a finding", ""),
    "the permutation alone reached {high} %": ("paired", "dose: exact", ""),
    "in {low} to {high} % of null studies the interval of the best of 18": (
        "predictors",
        "interval of the best is above 0, independent",
        "",
    ),
    "alone: {low} to {high} % of nulls, most where variances grow": (
        "predictors",
        "predictors: adjusted permutation",
        "",
    ),
    "which also needs the seeds: at most {high} %": ("predictors", "of the best: a finding", ""),
}
# shares that are no measured sizes: levels, the definition of a tail, a share of a base
LEVELS = {"5 %", "80 %", "95 %", "7 %", "100 %"}


def values(place: tuple[str, str, str]) -> list[float]:
    section, row, column = place
    return [
        e.value
        for e in ENTRIES
        if re.search(section, e.section) and re.search(row, e.row) and re.search(column, e.column)
    ]


def quoted(words: str) -> str:
    found = values(QUOTES[words])
    assert found, QUOTES[words]
    return words.format(low=f"{min(found):.1f}", high=f"{max(found):.1f}")


@pytest.mark.parametrize("words", QUOTES)
def test_a_quoted_size_stands_in_the_generated_page(words):
    assert quoted(words) in TEXT


def test_no_other_size_is_quoted():
    covered = [(start := TEXT.index(quote), start + len(quote)) for quote in map(quoted, QUOTES)]
    sizes = re.finditer(r"(\d+(?:\.\d+)?) %", TEXT)
    other = {m.group() for m in sizes if not any(low <= m.start() < high for low, high in covered)}
    assert other <= LEVELS


def test_what_is_said_to_exceed_seven_percent_is_all_that_does():
    """The list in 'The headline test' of statistics.md names every family of tests with a bold size."""
    families = {
        r"headline": "Not covered, both measured in calibration.md",
        r"(Satterthwaite|Kenward-Roger), .*, method": "whose random part lacks seed x method",
        r"(Satterthwaite|Kenward-Roger), .*, (lr|lr:method|contrast .*)": "all models' lr terms and single contrasts",
        r"likelihood ratio": "ML likelihood ratio",
        r"profile interval": "ML profile intervals of contrasts",
        r"seed-level F, uncorrected": "the seed-level F of lr and lr:method without Box's correction",
        r"check: seed x factor, lr": "the seed x lr check",
        r"lack of fit": "the lack-of-fit tests",
    }
    beyond = {e.row for e in ENTRIES if e.section.startswith("calibration.md") and e.value > 7.0}
    beyond -= {e.row for e in ENTRIES if "Coverage" in e.section}
    for row in beyond:
        named = [words for pattern, words in families.items() if re.match(pattern, row)]
        assert named, row
    for words in families.values():
        assert words in TEXT, words
    assert all("Headline test" in e.section for e in ENTRIES if e.row.startswith("headline") and e.value > 7.0)
