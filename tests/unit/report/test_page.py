import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from dataclasses import replace

import msgspec
import polars as pl
import pytest
from report_inputs import section_of, without

from heatdrift.errors import ReportError
from heatdrift.primary import QuestionsSpec
from heatdrift.questions.claims import Claim
from heatdrift.questions.family import page_family
from heatdrift.questions.interaction.result import LikelihoodRatio, MarginalMean
from heatdrift.report import ReportInput, render_html, write_report
from heatdrift.report.blocks import CaveatList, Figure, Finding, Note, Section, Table
from heatdrift.report.document import page_scripts
from heatdrift.report.inputs import HEADS, LAYERS
from heatdrift.report.page import page_sections, report_document
from heatdrift.report.sections.findings import findings as findings_section
from heatdrift.report.sections.measured import measured
from heatdrift.report.sections.missing import missing_cells
from heatdrift.report.sentences import shown_and_tested, whole_rates
from heatdrift.report.study_data import MAX_POINTS, prepare
from heatdrift.wording import gist

MIB_2_5 = 2_500_000
MARKUP = "<script>alert(1)</script>\"'&<b>"


@pytest.fixture(scope="module")
def page(study):
    return render_html(study)


def scripts(page):
    """(attributes, text) of every script element, as a browser would end them."""
    return re.findall(r"<script([^>]*)>(.*?)</script", page, flags=re.DOTALL)


@pytest.fixture(scope="module")
def sections(study):
    return page_sections(study, prepare(study))


def blocks(sections, section_id, kind):
    """The blocks of one kind in one of the sections."""
    (section,) = (s for s in sections if s.section_id == section_id)
    return [b for b in section.blocks if isinstance(b, kind)]


def findings(inp):
    return findings_section(inp, prepare(inp))


def texts(section):
    return [b.text for b in section.blocks if isinstance(b, Note)]


def test_the_same_input_gives_the_same_bytes_in_another_process_too(small, builders):
    code = (
        "import importlib.util as u, hashlib, sys; "
        f"s = u.spec_from_file_location('report_inputs', {builders.__file__!r}); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); "
        "from heatdrift.report import render_html; "
        "page = render_html(m.simulated(datasets=('textures',), lrs=(1e-5, 1e-4), seeds=2)); "
        "sys.stdout.write(hashlib.sha256(page.encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    page = render_html(small)
    assert render_html(small) == page
    assert other == hashlib.sha256(page.encode()).hexdigest()


def test_the_file_stays_below_2_5_mb(page):
    assert len(page.encode()) < MIB_2_5


def test_the_policy_allows_exactly_the_scripts_of_the_page(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    running = [text for attributes, text in scripts(page) if "application/json" not in attributes]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in running]
    assert rules["script-src"].split() == hashes
    assert len(hashes) == 2
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == "'unsafe-inline'"
    assert rules["img-src"] == "data:"
    assert "unsafe-eval" not in policy


def test_the_bundle_is_embedded_once_and_holds_the_interpreter(page):
    bundle, ours = page_scripts()
    assert page.count(bundle) == 1
    assert "expressionInterpreter" in bundle
    assert "ast: true" in ours


def test_nothing_on_the_page_points_outside(page):
    own = page.replace(page_scripts()[0], "")
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:,)[^"']*""", own)
    assert "@import" not in own
    assert "url(http" not in own


def test_rows_are_embedded_once_and_specs_name_them(page):
    data = json.loads(re.search(r'id="datasets">(.*?)</script>', page, flags=re.DOTALL)[1])
    assert len(data["runs"]) == 80
    specs = [json.loads(t) for a, t in scripts(page) if a == ' type="application/json"']
    assert len(specs) == page.count('class="panel"') == 24
    assert not any("datasets" in spec or "values" in spec.get("data", {}) for spec in specs)


def test_every_figure_has_an_alternative_a_legend_a_drawing_and_a_table(page, sections):
    figures = [b for s in sections for b in s.all_blocks if isinstance(b, Figure)]
    assert len(figures) == 6
    assert all(f.alternative and f.legend and f.table.rows for f in figures)
    assert all("<svg" in p.svg for f in figures for p in f.panels)
    assert page.count("<figure ") == page.count('role="img" aria-label="') == len(figures)


def test_ids_are_unique_with_javascript_off(page):
    ids = re.findall(r'\sid="([^"]*)"', page.replace(page_scripts()[0], ""))
    assert len(ids) == len(set(ids))


def test_every_link_inside_the_page_has_its_place(builders, study):
    text = render_html(builders.with_everything(study)).replace(page_scripts()[0], "")
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert {"finding-paired", "model-delta_entropy_pct", "layers"} <= targets
    assert targets <= set(re.findall(r'\sid="([^"]*)"', text))


def test_findings_come_first_in_the_words_of_the_results_with_flagged_checks_beside(study, sections):
    first, choice, second = sections[:3]
    primary = [b for b in first.blocks if isinstance(b, Finding)]
    result = study.answers["interaction"][0]
    assert [s.section_id for s in (first, choice, second)] == ["findings", "decision", "exploratory"]
    # of the preprint's questions these answers hold one: the learning rate on entropy drift
    assert [b.verdict for b in primary] == ["not answered", "supported", "not answered", "not answered"]
    assert primary[1].sentences[0].startswith(result.findings[1].removesuffix("."))
    assert set(primary[1].caveats) >= {c.sentence for c in result.checks if c.flag}
    model, association = (b for b in second.blocks if isinstance(b, Finding))
    assert [text.startswith(result.findings[0].removesuffix(".")) for text in model.sentences] == [True]
    assert set(model.caveats) >= {c.sentence for c in result.checks if c.flag}
    assert not {c.sentence for c in result.checks if not c.flag} & set(model.caveats)
    assert any("singular" in text for text in model.caveats)
    assert study.answers["correlation"][0].sign_reversal
    assert any("sign differs" in text for text in association.caveats)


def test_the_page_says_on_which_split_the_epoch_was_selected(study):
    preprint = replace(study, runs=study.runs.with_columns(protocol=pl.lit("preprint")))
    (note,) = (b for b in findings(preprint).blocks if isinstance(b, Note) and b.tone == "caveat")
    assert "provided test split" in note.text
    assert not any(b.tone == "caveat" for b in findings(study).blocks if isinstance(b, Note))


def test_seed_level_method_effects_and_corrected_p_values_are_shown(study):
    result = study.answers["interaction"][0]
    effect = msgspec.structs.replace(result.contrasts[0], dataset=None, lr=None, df_method="strata")
    tests = (msgspec.structs.replace(result.tests[0], epsilon=0.5, p_gg=0.07, p_box=0.004), *result.tests[1:])
    ratio = LikelihoodRatio(term="method:lr", chi2=12.5, df=3, p=0.006)
    fuller = msgspec.structs.replace(result, method_effects=(effect,), tests=tests, likelihood_ratio=(ratio,))
    inp = without(study, "correlation", interaction=(fuller,))
    section = section_of("interaction", inp, prepare(inp))
    tables = {t.caption.split(" ")[0]: t for t in blocks([section], "models", Table)}
    assert "Holm" not in " ".join(tables["Difference"].head)  # one row: nothing to adjust for
    assert tables["Difference"].rows[0][1] == "LoRA r=8 − Full FT, all learning rates"
    assert tables["Likelihood-ratio"].folded
    assert tables["Tests"].head[1:5] == ("seed-level F", "p", "Box p", "Greenhouse–Geisser p")
    assert tables["Tests"].rows[0][2:5] == ("0.003", "0.004", "0.07")
    assert tables["Tests"].rows[1][3:5] == ("–", "–")
    assert "a finding rests on" in tables["Tests"].caption
    assert tables["Likelihood-ratio"].rows == (("method:lr", "12.5", "3", "0.006"),)


def test_seed_level_contrasts_stand_beside_those_of_the_model(study):
    result = study.answers["interaction"][0]
    robust = tuple(
        msgspec.structs.replace(c, df=4.0, df_method="strata", ci_low=-1.5, ci_high=2.5, p_holm=0.25)
        for c in result.contrasts[1:]
    )
    fuller = msgspec.structs.replace(result, robust_contrasts=robust)
    inp = without(study, "correlation", interaction=(fuller,))
    (figure,) = blocks([section_of("interaction", inp, prepare(inp))], "models", Figure)
    assert figure.table.head[3:6] == ("seed-level 95 % interval", "seed-level df",
        f"seed-level p (Holm over {len(robust)} rows)")  # fmt: skip
    assert figure.table.head[-1].startswith("model's p (Holm over ")
    assert figure.table.rows[0][3:6] == ("–", "–", "–")  # no twin of this row
    assert figure.table.rows[1][3:6] == ("[−1.50, 2.50]", "4", "0.25")
    assert figure.caption.startswith("Differences with the 95 % interval of each row's own spread over seeds")


def test_marginal_means_are_a_folded_table(study):
    mean = MarginalMean(
        dataset="shapes", method="full_ft", lr=1e-5, mean=12.5, se=1.0, df=4.0, ci_low=9.0, ci_high=16.0
    )
    fuller = msgspec.structs.replace(study.answers["interaction"][0], marginal_means=(mean,))
    inp = without(study, "correlation", interaction=(fuller,))
    section = section_of("interaction", inp, prepare(inp))
    (table,) = (t for t in blocks([section], "models", Table) if t.caption.startswith("Marginal"))
    assert table.folded
    assert table.rows == (("shapes", "Full FT", "1e-5", "12.5", "1.00", "[9.00, 16.0]", "4"),)


def test_user_strings_cannot_become_markup(builders):
    hostile = builders.simulated(study=f"S {MARKUP}", datasets=(f"a{MARKUP}",), lrs=(1e-5, 1e-4), seeds=2)
    hostile = replace(
        hostile,
        description=f"D {MARKUP}",
        protocol=f"P {MARKUP}",
        provenance={f"H {MARKUP}": [(f"N {MARKUP}", f"V {MARKUP}")]},
        planned=hostile.planned.with_columns(status=pl.lit("failed"), error=pl.lit(f"E {MARKUP}")),
    )
    page = render_html(hostile)
    text = page.replace(page_scripts()[0], "")
    assert "<script>alert" not in text
    assert "<b>" not in text
    for name in "SDPHNVE":
        assert html.escape(f"{name} {MARKUP}", quote=False).split('"')[0] in text
    assert len(scripts(page)) == page.count('class="panel"') + 5  # rows, config, palette, Vega and our own
    for attributes, body in scripts(page):
        if "application/json" in attributes:
            json.loads(body)


def test_unknown_methods_and_long_unicode_names_render(builders):
    name = "Ünï 中文 " + "x" * 200
    methods = ("adalora", "full_ft")
    inp = builders.simulated(study=name, datasets=(name,), methods=methods, lrs=(1e-5,), seeds=2, results=False)
    page = render_html(inp)
    assert "中文" in page
    assert "adalora" in page


def test_an_empty_study_says_so_and_needs_no_script():
    page = render_html(ReportInput(study="nothing"))
    assert "no planned cell and no run" in page
    assert scripts(page) == []
    assert "script-src &#39;none&#39;" in page


def test_one_finished_run_renders_without_interval_and_counts_what_is_missing(small):
    planned = small.planned.with_columns(status=pl.Series(["done"] + ["planned"] * 7))
    one = replace(small, runs=small.runs.head(1), planned=planned, answers={})
    said = texts(findings(one))
    assert any("7 of 8 planned runs have no result" in text for text in said)
    assert any("same seed" in text for text in said)
    (table,) = missing_cells(one).blocks
    assert len(table.rows) == 7
    (figure,) = blocks(page_sections(one, prepare(one)), "dose", Figure)
    (top,) = findings(one).beside
    assert figure.table.rows[0][-2:] == top.table.rows[0][-2:] == ("–", "–")


def test_metrics_that_are_null_throughout_are_named_as_missing(study):
    drawn = ("delta_entropy_pct", "cka", "weight_drift", "val_acc_pct", "test_acc_pct", "retention_pct")
    nulls = {c: pl.lit(None) for c in drawn}
    bare = replace(
        study, runs=study.runs.with_columns(**nulls), heads=study.heads.clear(), layers=study.layers.clear(),
        epochs=study.epochs.clear(),
    )  # fmt: skip
    render_html(bare)
    shown = page_sections(bare, prepare(bare))
    assert blocks(shown, "dose", Figure) == []
    assert any("linear CKA to base" in b.text for b in blocks(shown, "dose", Note))
    assert any("per-head" in b.text for b in blocks(shown, "layers", Note))
    assert blocks(shown, "correlation", Figure) == []


def test_one_more_measured_section_is_on_the_page(monkeypatch):
    inp = ReportInput(study="nothing")
    more = tuple((45 + i, Section(section_id=f"more-{i}", title="More", blocks=())) for i in range(4))
    monkeypatch.setattr("heatdrift.report.page.measured", lambda *_: more)
    shown = [section.section_id for section in page_sections(inp, prepare(inp))]
    assert [name for name in shown if name.startswith("more")] == ["more-0", "more-1", "more-2", "more-3"]
    assert shown.index("glance") < shown.index("more-0") < shown.index("gallery")


def test_a_data_set_without_a_metric_has_no_empty_panel(study):
    bare = study.runs.with_columns(
        retention_pct=pl.when(pl.col("dataset") == "shapes").then(None).otherwise(pl.col("retention_pct"))
    )
    inp = replace(without(study, "interaction"), runs=bare)
    (figure,) = blocks([section_of("correlation", inp, prepare(inp))], "correlation", Figure)
    assert [panel.title for panel in figure.panels] == ["textures"]


def test_a_learning_rate_of_0_is_counted_and_kept_off_the_logarithmic_axis(small):
    control = small.runs.head(2).with_columns(lr=pl.lit(0.0), cell_id=pl.lit("control"))
    inp = replace(small, runs=pl.concat([small.runs, control]))
    (first, *_) = blocks([s for _, s in measured(inp, prepare(inp))], "dose", Figure)
    assert "2 runs with learning rate 0" in first.caption
    assert prepare(inp).datasets["runs"]["lr"].min() > 0


def test_diverged_and_failed_runs_are_listed_and_never_drawn(study):
    runs = study.runs.with_columns(
        status=pl.when(pl.col("seed") == 7).then(pl.lit("diverged")).otherwise(pl.lit("done"))
    )
    inp = replace(study, runs=runs, planned=None)
    assert prepare(inp).datasets["runs"].height == 64
    assert any("16 diverged" in text for text in texts(findings(inp)))


def test_ten_thousand_runs_stay_below_2_5_mb(builders):
    big = builders.simulated(seeds=625, results=False)
    small = replace(big, epochs=big.epochs.clear(), layers=big.layers.clear(), heads=big.heads.clear())
    assert big.runs.height > MAX_POINTS
    page = render_html(small)
    assert len(page.encode()) < MIB_2_5
    assert "Single runs are not drawn: there are 10,000" in page


@pytest.mark.slow
def test_a_grid_too_large_to_draw_says_what_is_left_out_and_stays_below_2_5_mb(builders):
    wide = builders.simulated(
        datasets=tuple(f"set {i}" for i in range(10)), lrs=tuple(1e-6 * 3**i for i in range(14)), seeds=2
    )
    page = render_html(builders.with_everything(wide, heads=12))
    assert len(page.encode()) < MIB_2_5
    assert "Drawn: 2 of 10 data sets" in page
    assert "Drawn: 10 of 14 learning rates" in page
    assert "Drawn: 4 of 20 groups" in page
    assert "Shown: 2 of 10 data sets" in page


def test_the_reference_runs_render_without_heads(reference):
    page = render_html(reference)
    assert "18 of 18" in page
    assert "No per-head values" in page
    assert len(page.encode()) < MIB_2_5


def test_write_report_leaves_one_file_and_overwrites(tmp_path, study):
    path = tmp_path / "new" / "page.html"
    path.parent.mkdir()
    path.write_text("old")
    assert write_report(ReportInput(study="nothing"), path) == path
    assert path.read_text(encoding="utf-8") == render_html(ReportInput(study="nothing"))
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        write_report(ReportInput(study="nothing"), tmp_path / "file" / "page.html")


def test_views_without_rows_keep_their_columns():
    inp = ReportInput(study="nothing")
    assert inp.layers.columns == list(LAYERS)
    assert inp.heads.columns == list(HEADS)


def test_the_report_loads_without_torch_and_without_its_siblings():
    heavy = ("torch", "duckdb", "statsmodels", "heatdrift.store", "heatdrift.stats")
    code = f"import sys, heatdrift.report; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_leads_with_each_method_at_its_best_where_grids_differ(study):
    claim = Claim(
        key="best/retention_pct/all/lora_r8-full_ft", p=0.001, asks="Asked", says="Said", measured="", evidence=()
    )
    (answer,) = (msgspec.structs.replace(study.answers["correlation"][0], claims=(claim,)),)
    family = page_family({"best": (answer,)}, {}, QuestionsSpec(), accuracy="test_acc_pct", own_grids=True)
    inp = replace(study, answers={"correlation": (answer,)}, family=family)
    _, note, first, *_ = findings(inp).blocks
    assert "learning rates of their own" in note.text
    assert first.verdict == "supported"
    assert first.sentences[0].startswith("Said")
    assert "learning rates of their own" not in " ".join(texts(findings(study)))


def test_the_page_opens_with_what_was_compared_and_the_two_pictures_that_carry_it(study, small):
    assert texts(findings(study))[0].replace("\u2060", "") == (
        "80 runs: lab, Full FT and LoRA r=8 on shapes and textures, 4 learning rates (1e-5 to 1e-2), 5 seeds."
    )
    (top,) = findings(study).beside
    assert top.figure_id == "fig-performance"
    assert [panel.metric for panel in top.panels] == ["test_acc_pct"] * 2 + ["retention_pct"] * 2
    unfinished = replace(small, runs=small.runs.head(3))
    assert texts(findings(unfinished))[0].startswith("3 runs of 8 planned: lab, ")


def test_many_data_sets_leave_the_top_to_words_and_have_their_pictures_below(builders):
    many = builders.simulated(datasets=tuple(f"set{i}" for i in range(5)), lrs=(1e-5, 1e-4), seeds=2)
    assert findings(many).beside == ()
    assert "fig-performance" in {b.figure_id for b in blocks(page_sections(many, prepare(many)), "dose", Figure)}
    assert "on 5 data sets, 2 learning rates" in texts(findings(many))[0]


def test_each_caveat_is_on_the_page_once_and_findings_name_it_by_number(builders, study):
    document = report_document(builders.with_everything(study))
    (listed,) = (b for s in document.sections for b in s.blocks if isinstance(b, CaveatList))
    said = [" ".join(filter(None, (head, rest))) for head, rest, _ in listed.items]
    assert len(said) == len(set(said)) > 3
    found = [b for s in document.sections for b in s.blocks if isinstance(b, Finding)]
    assert all(finding.caveats == () for finding in found)
    numbers = {number for finding in found for number in finding.caveat_numbers}
    assert numbers == set(range(1, len(said) + 1))
    page = render_html(builders.with_everything(study))
    assert all(page.count(f'id="caveat-{number}"') == 1 for number in numbers)


def test_a_caveat_keeps_its_brackets_in_the_line_that_is_read_first():
    head, rest = gist("Seeds scatter more (p = 0.004. F(15, 64)) in some cells: for a single one, read the other test.")
    assert head == "Seeds scatter more (p = 0.004. F(15, 64)) in some cells"
    assert rest == "for a single one, read the other test."
    assert gist("Nothing more to say") == ("Nothing more to say", "")


def test_how_a_sentence_was_tested_is_apart_from_what_it_says():
    shown, tests = shown_and_tested(
        "Δ support (95 %) is higher: +3 points (95 % CI +1 to +5; seed-level t(4) = +4, p = 0.01; 5 seeds); fragile."
    )
    assert "".join(text for text, _ in shown) == "Δ support (95 %) is higher: +3 points (95 % CI +1 to +5); fragile."
    assert tests == "seed-level t(4) = +4, p = 0.01; 5 seeds"
    shown, tests = shown_and_tested("It differs (F(1, 4) = 9, p = 0.04).")
    assert ("".join(text for text, _ in shown), tests) == ("It differs.", "F(1, 4) = 9, p = 0.04")


def test_no_line_ends_inside_a_learning_rate():
    assert whole_rates("at lr 3e-4, 1.5e-10 (zero-shot)") == "at lr 3e-⁠4, 1.5e-⁠10 (zero-shot)"
