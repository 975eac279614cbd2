"""Sections of the results beside the models: what each shows, and what it says where something is missing."""

import math
from dataclasses import replace

import msgspec
import polars as pl
import pytest
from report_inputs import section_of, without

from heatdrift.accuracy import ON_TEST_TITLE
from heatdrift.questions import QUESTIONS
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.layers.section import SHOWN_TABLE
from heatdrift.questions.predictors.signals import signal_title
from heatdrift.report.blocks import Figure, Finding, Note, Pointer, Table
from heatdrift.report.forest import MAX_PANELS, Forest, forest_figure
from heatdrift.report.page import page_sections
from heatdrift.report.sections.findings import exploratory, findings
from heatdrift.report.sections.measured import performance as top_figure
from heatdrift.report.sentences import evidence_parts
from heatdrift.report.study_data import prepare


@pytest.fixture(scope="module")
def full(builders, study):
    return builders.with_everything(study)


@pytest.fixture(scope="module")
def data(full):
    return prepare(full)


def starts(sentences):
    """Sentences without what an adjustment adds to them."""
    return [text.removesuffix(".").split(" (Benjamini")[0] for text in sentences]


def of(blocks, kind):
    return [b for b in blocks if isinstance(b, kind)]


def test_paired_differences_have_the_seed_level_interval_and_the_published_tests_beside(full, data):
    section = section_of("paired", full, data)
    figure, more = of(section.blocks, Figure)
    assert more.figure_id == "fig-more"
    assert [panel.title for panel in figure.panels] == ["Δ attention entropy", "zero-shot retention"]
    assert figure.table.head[-2] == "n (pairs)"
    (published,) = of(section.blocks, Table)
    assert "as such studies publish it" in published.caption
    (said,) = of(section.blocks, Pointer)
    assert said.target == "finding-paired"
    shown = {f.finding_id: f for f in of(exploratory(full, data).blocks, Finding)}
    assert starts(shown[said.target].sentences) == starts(full.answers["paired"][0].findings)


def test_trends_are_drawn_per_metric_with_one_row_per_group(full, data):
    (figure, said) = section_of("dose", full, data).blocks
    assert len(figure.panels) == 2
    assert len(figure.table.rows) == 8
    assert data.datasets["fig-dose-rows"]["row"].n_unique() == 4
    assert said.target == "finding-dose"
    assert str(len(full.answers["dose"][0].findings)) in said.text


def test_signals_are_ranked_and_a_choice_is_shown_where_there_is_one(full, data):
    section = section_of("predictors", full, data)
    (figure,) = of(section.blocks, Figure)
    drawn = data.datasets["fig-predictors-rows"]
    assert drawn.filter(pl.col("panel") == "at the selected epoch")["row"].to_list() == [
        "|Δ attention entropy|", "linear CKA to base",
    ]  # fmt: skip
    assert figure.table.rows[2][1] == "log₁₀ learning rate"  # no score: in the table, not in the chart
    assert any("picks among those within 2 points" in t.caption for t in of(section.blocks, Table))
    assert of(section.blocks, Note)[0].text == "Left out: test: one thing; another."
    assert signal_title("unheard_of") == "unheard_of"


def test_the_front_is_drawn_with_intervals_and_matches_without_overlap_have_no_mark(full, data):
    section = section_of("frontier", full, data)
    front, matched = of(section.blocks, Figure)
    assert len(front.panels) == 2
    assert [panel.title for panel in matched.panels] == [""]  # at equal accuracy only
    assert data.datasets["fig-matched-rows"]["panel"].unique().to_list() == ["at equal accuracy"]
    assert any("do not overlap" in cell for row in matched.table.rows for cell in row)


def test_heads_are_marked_where_the_adjusted_p_supports_them(full, data):
    blocks, entropy, erf95 = of(section_of("layers", full, data).blocks, Figure)
    assert (blocks.figure_id, entropy.figure_id, erf95.figure_id) == (
        "fig-blocks", "fig-heads-entropy", "fig-heads-erf95",
    )  # fmt: skip
    assert [panel.title for panel in entropy.panels] == ["shapes", "textures"]
    marked = data.datasets["fig-heads-rows"].filter(pl.col("supported"))
    assert set(marked["layer"]) == {0, 1}
    assert "(16 of 96)" in entropy.caption
    assert len(entropy.table.rows) == SHOWN_TABLE
    assert "60 of 96" in entropy.table.caption


def test_without_heads_the_blocks_are_drawn_alone(full, builders):
    bare = replace(without(full, layers=(builders.layer_tests("shapes", heads=0),)), heads=full.heads.clear())
    data = prepare(bare)
    (figure,) = of(section_of("layers", bare, data).blocks, Figure)
    assert figure.figure_id == "fig-blocks"
    (layers,) = (section for section in page_sections(bare, data) if section.section_id == "layers")
    assert any("No per-head values" in b.text for b in of(layers.blocks, Note))


def test_one_method_alone_shows_drift_of_each_group(full, builders):
    result = builders.layer_tests("shapes", heads=0)
    rows = tuple(msgspec.structs.replace(r, test="drift", method="full_ft") for r in result.rows)
    one = without(full, layers=(msgspec.structs.replace(result, rows=rows),))
    (figure,) = of(section_of("layers", one, prepare(one)).blocks, Figure)
    assert "mean drift" in figure.title
    assert figure.panels[0].title.startswith("shapes · Full FT")


@pytest.mark.parametrize("question", [q.name for q in QUESTIONS if q.place is not None])
def test_a_result_that_could_not_be_computed_gives_its_reason(study, question):
    bare = replace(study, answers={}, unavailable={question: ("One seed <b> only.",)})
    (note,) = section_of(question, bare, prepare(bare)).blocks
    assert note.text == "Not computed. One seed <b> only."
    unexplained = replace(bare, unavailable={})
    (note,) = section_of(question, unexplained, prepare(unexplained)).blocks
    assert note.tone == "missing"


def test_results_without_any_number_leave_their_tables(full):
    nan = math.nan
    rows = tuple(
        msgspec.structs.replace(r, seed_difference=nan, ci_low=nan, ci_high=nan) for r in full.answers["paired"][0].rows
    )
    empty = without(full, paired=(msgspec.structs.replace(full.answers["paired"][0], rows=rows),))
    section = section_of("paired", empty, prepare(empty))
    assert [f.figure_id for f in of(section.blocks, Figure)] == ["fig-more"]  # drawn from runs, not from the answer
    assert len(of(section.blocks, Table)) == 2


def test_a_large_forest_says_what_it_does_not_draw(data):
    rows = pl.DataFrame(
        [
            {"panel": f"p{i}", "row": "r", "kind": "k", "estimate": 1.0, "ci_low": 0.0, "ci_high": 2.0, "n": 3}
            for i in range(MAX_PANELS + 2)
        ]
    )
    forest = Forest(rows=rows, axes=dict.fromkeys(rows["panel"], ("x",)), kinds=("k",), n_means="runs", extras={})
    table = Table(caption="c", head=("a",), rows=(("1",),), numeric=(True,))
    figure = forest_figure(forest, data, "fig-many", title="t", caption="c.", alternative="a.", table=table)
    assert len(figure.panels) == MAX_PANELS
    assert "Drawn: 6 of 8 panels." in figure.caption


def test_findings_name_their_section_and_fold_the_rest(full, data):
    assert [f.section_id for f in of(findings(full, data).blocks, Finding)] == ["", "model-delta_entropy_pct", "", ""]
    found = of(exploratory(full, data).blocks, Finding)
    assert [f.section_id for f in found] == [
        "model-delta_entropy_pct", "correlation", "dose", "paired", "layers", "predictors", "frontier",
    ]  # fmt: skip
    assert starts(found[3].sentences) == starts(full.answers["paired"][0].findings)
    assert found[3].shown < len(found[3].sentences)


def test_a_model_without_a_finding_says_that_nothing_is_supported(study, data):
    silent = without(study, interaction=(msgspec.structs.replace(study.answers["interaction"][0], claims=()),))
    first, *_ = of(exploratory(silent, prepare(silent)).blocks, Finding)
    assert "of 3 terms no other holds after adjusting over the page" in first.sentences[0]


def test_a_correlation_that_is_not_defined_is_not_called_unsupported(study, data):
    result = study.answers["correlation"][0]
    one = msgspec.structs.replace(result.pooled, n=1, n_cells=1, pearson=math.nan)
    silence = "Nothing beyond the primary questions is supported (80 runs in 16 cells)."
    for pooled, said in (
        (one, "No correlation is defined for these runs (1 run in 1 cell)."),
        (result.pooled, silence),
    ):
        silent = without(study, correlation=(msgspec.structs.replace(result, claims=(), pooled=pooled),))
        assert of(exploratory(silent, prepare(silent)).blocks, Finding)[1].sentences == (said,)


def test_every_command_of_a_model_names_the_model_of_the_page(study, data):
    result = msgspec.structs.replace(study.answers["interaction"][0], lr_as="linear")
    section = section_of("interaction", without(study, interaction=(result,)), data)
    tables = [*of(section.blocks, Table), *(figure.table for figure in of(section.blocks, Figure))]
    command = f"heatdrift stats interaction --metric {result.metric} --lr-as linear --format json"
    assert {table.rest for table in tables if "heatdrift stats" in table.rest} == {f"printed by `{command}`"}


def test_under_protocol_preprint_every_accuracy_says_that_test_selected_it(full):
    runs = full.runs.with_columns(protocol=pl.lit("preprint"), test_acc_pct=pl.lit(None, dtype=pl.Float64))
    frontier = msgspec.structs.replace(full.answers["frontier"][0], accuracy="val_acc_pct")
    caveats = run_caveats(runs, ["val_acc_pct"])
    model = full.answers["interaction"][0]
    model = msgspec.structs.replace(model, metric="val_acc_pct", unit="%", caveats=caveats)
    inp = replace(without(full, "correlation", frontier=(frontier,), interaction=(model,)), runs=runs)
    data = prepare(inp)
    assert data.performance == ("val_acc_pct", "retention_pct")
    assert data.axis_title("val_acc_pct") == f"{ON_TEST_TITLE} (%)"
    (performance,) = of(top_figure(inp, data), Figure)
    assert ON_TEST_TITLE in performance.alternative
    assert "provided test split" in performance.caption
    (front, _) = of(section_of("frontier", inp, data).blocks, Figure)
    assert ON_TEST_TITLE in front.alternative
    first, *_ = of(exploratory(inp, data).blocks, Finding)
    assert first.title.lower().startswith(ON_TEST_TITLE)
    assert any("selected on the provided test split" in text for text in first.caveats)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("A (n = 3).", [("A ", False), ("(n = 3)", True), (".", False)]),
        ("support (95 %) falls", [("support ", False), ("(95 %)", False), (" falls", False)]),
        ("F(3, 12) = 2 (t(4) = 1)", [("F(3, 12) = 2 ", False), ("(t(4) = 1)", True)]),
        ("open (never closed", [("open ", False), ("(never closed", False)]),
        ("", []),
    ],
)
def test_numbers_in_brackets_are_told_from_the_claim(sentence, expected):
    assert evidence_parts(sentence) == expected
    assert "".join(text for text, _ in evidence_parts(sentence)) == sentence


def test_matches_of_several_pairs_are_named_and_a_crowded_front_has_few_labels(full, data):
    front = full.answers["frontier"][0]
    cell = front.cells[0]
    crowd = tuple(
        msgspec.structs.replace(cell, lr=1e-5 * (i + 1), acc_pct=80.0 + i, retention_pct=90.0 - i, on_front=True)
        for i in range(20)
    )
    other = msgspec.structs.replace(front.matched[0], method_a="last_block", difference=1.0, ci_low=0.5, ci_high=1.5)
    result = msgspec.structs.replace(front, cells=crowd, matched=(*front.matched, other))
    section = section_of("frontier", without(full, frontier=(result,)), data)
    figure, matched = of(section.blocks, Figure)
    labels = data.datasets["fig-frontier-rows"]["lr_label"].to_list()
    assert sum(label != "" for label in labels) == 8
    assert any(entry.label == "front, with some learning rates" for entry in figure.legend)
    assert matched.title.startswith("Difference of two methods")
    assert any("Last block − Full FT" in row for row in data.datasets["fig-matched-rows"]["row"])


def test_a_scatter_has_panels_of_the_drawn_data_sets_only(builders):
    inp = builders.simulated(datasets=tuple(f"set {i}" for i in range(8)), seeds=2)
    data = replace(prepare(inp), drawn=("set 0", "set 1"))
    (figure,) = section_of("correlation", inp, data).blocks[:1]
    assert [panel.title for panel in figure.panels] == ["set 0", "set 1"]
    assert "Drawn: 2 of 8 data sets." in figure.caption
    assert "in the table below" in figure.alternative
