import html
import re

import polars as pl
import pytest

from heatdrift.questions.compare.result import StudyCell, StudyComparison, StudyDifferenceRow, StudyFact, StudyPairing
from heatdrift.questions.compare.section import compare_document
from heatdrift.questions.tables import Grid
from heatdrift.report.blocks import Figure, Finding, Note, Table
from heatdrift.report.document import document_html

MARKUP = "<script>alert(1)</script>&\"'"


def row(dataset, lr, difference, **changes):
    values = {
        "metric": "retention_pct", "unit": "points", "backbone": "lab", "dataset": dataset, "method": "full_ft",
        "lr": lr, "how": "paired", "n_cells": 1, "n_seeds": 3, "n_a": 3, "n_b": 3, "n_pairs": 3,
        "n_seeds_a": 3, "n_seeds_b": 3, "unused_a": 0, "unused_b": 0, "mean_a": 50.0 + difference,
        "mean_b": 50.0, "difference": difference, "se": 0.5, "df": 2.0, "t": 2.0, "p": 0.02, "p_holm": 0.04,
        "ci_low": difference - 2, "ci_high": difference + 2,
    }  # fmt: skip
    return StudyDifferenceRow(**{**values, **changes})


@pytest.fixture(scope="module")
def result():
    return StudyComparison(
        study_a=f"A {MARKUP}",
        study_b="B",
        matched_on=("backbone", "dataset", "method", "lr", "seed"),
        n_runs_a=6,
        n_runs_b=6,
        n_cells=2,
        n_pairs=6,
        n_same_runs=0,
        conf_level=0.95,
        pairing=(
            StudyPairing(paired=True, why="same", sentence=f"Paired by seed: {MARKUP}", n_cells=1, n_pairs=3),
            StudyPairing(paired=False, why="split", sentence="Not paired by seed.", n_cells=1, n_pairs=0),
        ),
        method="differences",
        rows=(
            row(f"D {MARKUP}", 1e-5, 1.0),
            row(
                f"D {MARKUP}",
                1e-4,
                -3.0,
                how="unpaired",
                n_pairs=0,
                unused_a=1,
                ci_low=float("nan"),
                ci_high=float("nan"),
            ),
            row(None, None, -1.0, method=None, n_cells=2),
        ),
        facts=(
            StudyFact(name="epochs", of="", a="5", b="5", same=True, decides=True),
            StudyFact(name="select_on", of="", a="val", b="test", same=False, decides=True),
            StudyFact(name="precision", of="", a="float32", b="", same=None, decides=True),
        ),
        caveats=(f"Caveat {MARKUP}",),
        missing_a=(StudyCell(backbone="lab", dataset="pets", method="lora_r8", lr=1e-3, n_seeds=2),),
        missing_b=(),
        findings=("zero-shot retention: A minus B is −1 points.",),
        left_out=(),
        titles={"retention_pct": "zero-shot retention"},
    )


def test_sections_say_what_differs_with_caveats_beside(result):
    document = compare_document(result)
    sections = {section.section_id: section for section in document.sections}
    (finding,) = (b for b in sections["findings"].blocks if isinstance(b, Finding))
    assert finding.sentences == ("Zero-shot retention: A minus B is −1 points.",)
    assert finding.caveats == ()
    assert [section.section_id for section in document.sections[:2]] == ["facts", "findings"]
    note, *others = sections["facts"].blocks
    assert (note.text, note.tone) == (result.caveats[0], "caveat")
    said = [block.text for block in others if isinstance(block, Note)]
    assert said == [row.sentence for row in result.pairing]
    (figure,) = (b for b in sections["differences"].blocks if isinstance(b, Figure))
    assert [(r[4], r[5], r[6]) for r in figure.table.rows] == [
        ("paired", "3 pairs", "–"), ("unpaired", "3 + 3 runs", "1 + 0"), ("paired", "3 pairs", "–"),
    ]  # fmt: skip
    drawn = document.datasets["fig-differences-rows"]
    assert drawn["kind"].to_list() == ["paired by seed", "two independent means"]
    assert [entry.label for entry in figure.legend] == [*drawn["kind"], "no difference"]
    assert document.datasets["fig-differences-rows"].filter(pl.col("ci_low").is_null()).height == 1
    differing, same = (b for b in sections["facts"].blocks if isinstance(b, Table))
    assert [r[:2] for r in differing.rows] == [
        ("split that selected the epoch", "different"), ("precision", "not known on one side"),
    ]  # fmt: skip
    (shown, *_) = (part for part in result.shown() if isinstance(part, Grid))
    assert [line[0] for line in shown.rows] == [differing.rows[0][0]]
    assert same.folded
    (missing,) = (b for b in sections["missing"].blocks if isinstance(b, Table))
    assert missing.rows == (("lab", "pets", "LoRA r=8", "1e-3", "2"),)
    assert document.facts.kind == "comparison"


def test_user_strings_cannot_become_markup_and_equal_results_give_equal_pages(result):
    page = document_html(compare_document(result))
    assert "<script>alert" not in page
    assert html.escape(f"A {MARKUP}").replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in page
    assert document_html(compare_document(result)) == page
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_the_terminal_writes_a_learning_rate_as_the_page_does(result):
    assert "Missing in A <script>alert(1)</script>&\"': 1 cell (pets/lora_r8/1e-3)" in list(result.shown())
