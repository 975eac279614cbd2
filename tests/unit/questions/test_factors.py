"""`stats factors`: the model of all factors of runs, its default formula, its section and its chart."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

import heatdrift
from heatdrift import wording
from heatdrift.cli.main import app
from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.own_factors import one_of_each
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.factors.analysis import for_page
from heatdrift.questions.factors.section import blocks
from heatdrift.questions.model.default import default_model
from heatdrift.report.blocks import Figure, Note, Table
from heatdrift.report.caveats import study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections.glance import glance
from heatdrift.report.study_data import prepare


def runs_of(ranks=("4", "16"), methods=("full_ft", "lora_r8"), seeds=(1, 2, 3, 4), backbones=("b32",)):
    """Runs whose test accuracy is 60 + 2 at the second rank + a little that differs by run."""
    rows = []
    for backbone in backbones:
        for method in methods:
            for rank in ranks:
                for seed in seeds:
                    own = {} if rank is None else {"rank": rank}
                    rows.append(
                        {
                            "study": "s", "cell_id": f"c{len(rows)}", "status": "done", "backbone": backbone,
                            "dataset": "cars", "method": method, "lr": 1e-4, "seed": seed,
                            "test_acc_pct": 60 + 2.0 * (rank == ranks[-1]) + 0.1 * ((7 * len(rows)) % 5) + 0.2 * seed,
                            "factors": json.dumps(own) if own else None,
                        }
                    )  # fmt: skip
    return pl.DataFrame(rows)


def test_the_default_formula_names_every_factor_that_varies():
    model = default_model(runs_of())
    assert model.formula == "test_acc_pct ~ method + C(rank) + (1 | seed)"
    assert model.factors == {"method": ("full_ft", "lora_r8"), "rank": ("4", "16")}
    assert model.own == ("rank",)
    assert "test_acc_pct, by every factor that varies (method and rank)" in model.why
    assert "backbone" in default_model(runs_of(backbones=("b32", "l14"))).formula


def test_a_factor_that_the_others_determine_is_left_out_by_name():
    runs = runs_of(ranks=("4",)).with_columns(
        factors=pl.when(pl.col("method") == "lora_r8").then(pl.lit('{"rank": "8"}')).otherwise(None)
    )
    model = default_model(runs)
    assert model.formula == "test_acc_pct ~ method + (1 | seed)"
    assert model.left_out == ("rank (8, none): determined by method in these runs",)
    answer = heatdrift.factors(runs)
    assert any("rank (8, none)" in text for text in answer.caveats)


def test_a_rank_of_one_method_only_takes_the_methods_place():
    both, full = runs_of(methods=("lora_r8",)), runs_of(ranks=(None,), methods=("full_ft",))
    model = default_model(pl.concat([both, full]))
    assert model.formula == "test_acc_pct ~ rank + (1 | seed)"
    assert model.factors["rank"] == ("16", "4", "none")


def test_one_seed_on_one_data_set_groups_nothing():
    with pytest.raises(StatsError, match="no grouping"):
        default_model(runs_of(seeds=(1,)))


def test_the_answer_has_levels_tests_means_and_contrasts():
    answer = heatdrift.factors(runs_of())
    assert [(f.factor, f.own, f.levels, f.n) for f in answer.factors] == [
        ("method", False, ("full_ft", "lora_r8"), (8, 8)),
        ("rank", True, ("4", "16"), (8, 8)),
    ]
    (rank,) = (c for c in answer.contrasts if c.spec == "rank")
    assert rank.contrast == "4 - 16"
    assert rank.estimate == pytest.approx(-2.0, abs=0.2)
    assert any(text.startswith("test_acc_pct depends on rank: 4 - 16") for text in answer.findings)
    assert {m.spec for m in answer.means} == {"method", "rank"}
    assert all(claim.key.startswith("factors/") for claim in answer.claims)


def test_a_formula_may_name_them_and_says_what_it_averages_over():
    answer = heatdrift.factors(runs_of(), formula="test_acc_pct ~ method + (1 | seed)")
    assert answer.why == ""
    assert any("averages over rank" in text for text in answer.caveats)
    crossed = heatdrift.factors(runs_of(), formula="test_acc_pct ~ method * C(rank) + (1 | seed)")
    assert "method:C(rank)" in {test.term for test in crossed.tests}


def test_a_page_has_it_only_where_no_other_question_names_the_factors():
    def asked(runs):
        return len(list(for_page(StudyRuns(runs=runs, epochs=runs, layers=runs, heads=runs))))

    assert asked(runs_of()) == 1
    assert asked(runs_of(ranks=("4",), backbones=("b32", "l14"))) == 1
    assert asked(runs_of(ranks=("4",))) == 0


def test_the_section_shows_levels_chart_tests_means_and_caveats():
    answer = heatdrift.factors(runs_of())
    inp = ReportInput(study="s", runs=runs_of())
    data = prepare(inp)
    found = blocks([answer], inp, data)
    (figure,) = (b for b in found if isinstance(b, Figure))
    assert figure.figure_id == "fig-factors"
    assert len(figure.panels) == 2
    assert set(data.datasets["fig-factors-rows"]["row"]) == {"4 - 16", "full_ft - lora_r8"}
    captions = [b.caption for b in found if isinstance(b, Table)]
    assert [c.partition(" ")[0] for c in captions] == ["Factors", "Type", "Marginal"]
    notes = {b.tone: b.text for b in found if isinstance(b, Note)}
    assert notes["plain"].startswith("Formula: test_acc_pct ~ method + C(rank) + (1 | seed). It is the default")
    assert "caveat" in notes


def test_a_model_of_any_table_has_a_forest_chart():
    answer = heatdrift.fit_model(runs_of(), "test_acc_pct ~ method + (1 | seed)")
    assert list(answer.charts()) == ["model"]
    spec = json.dumps(answer.chart().to_dict())
    assert "full_ft - lora_r8" in spec
    assert "ci_low" in spec
    with pytest.raises(heatdrift.HeatdriftError, match="no chart"):
        heatdrift.fit_model(runs_of(), "test_acc_pct ~ 1 + (1 | seed)").chart()


def test_a_terminal_shows_what_limits_a_model_first_and_the_rest_when_asked():
    text = str(heatdrift.fit_model(runs_of(), "test_acc_pct ~ method + (1 | seed)"))
    assert "method: linear mixed model" not in text
    assert "ICC" not in text


def test_the_command_names_own_columns_and_has_a_default(tmp_path):
    table = tmp_path / "t.csv"
    frame = runs_of()
    lines = ["backbone,dataset,method,lr,seed,rank,test_acc_pct"]
    for row in frame.iter_rows(named=True):
        rank = json.loads(row["factors"])["rank"]
        lines.append(f"b32,cars,{row['method']},1e-4,{row['seed']},{rank},{row['test_acc_pct']}")
    table.write_text("\n".join(lines))
    store = str(tmp_path / "s" / "heatdrift.duckdb")

    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--store", store])

    assert run("import", str(table), "--study", "own").exit_code == 0
    found = run("stats", "model", "--study", "own", "--format", "json")
    assert json.loads(found.stdout)["formula"] == "test_acc_pct ~ method + C(rank) + (1 | seed)"
    assert "formula by default: " in found.stderr
    named = run("stats", "model", "--study", "own", "--formula", "test_acc_pct ~ rank + (1 | seed)", "--format", "json")
    assert json.loads(named.stdout)["fixed"][1]["term"] == "rank"
    refused = run("stats", "paired", "--study", "own", "--metric", "test_acc_pct")
    assert "differ in rank (4, 16)" in str(refused.exception)
    chosen = run("stats", "paired", "--study", "own", "--metric", "test_acc_pct", "--factor", "rank=4")
    assert chosen.exit_code == 0, chosen.exception
    refused = CliRunner().invoke(app, ["stats", "model", "--table", str(table)])
    assert "says nothing about what depends on what" in str(refused.exception)


def page_of(runs):
    return ReportInput(study="my runs", runs=runs)


def test_a_page_keeps_apart_what_questions_do_not_pool_and_names_the_command():
    inp = page_of(runs_of(backbones=("b32", "l14")))
    (said,) = (text for text in study_caveats(inp) if "rank" in text)
    assert said.startswith("These runs differ in backbone (b32, l14) and rank (4, 16). Nothing is averaged over that")
    assert said.endswith("heatdrift report --study 'my runs' --backbone b32 --factor rank=4")
    labels = {f"cars · {backbone} · rank {rank}" for backbone in ("b32", "l14") for rank in (4, 16)}
    assert set(inp.done["place"]) == set(inp.grid["place"]) == set(prepare(inp).places) == labels
    means = prepare(inp).tables["means"].filter(pl.col("metric") == "test_acc_pct")
    assert means["n"].unique().to_list() == [4]
    table = next(b for b in glance(inp, prepare(inp)).blocks if isinstance(b, Table))
    own = inp.runs.filter(
        pl.col("backbone") == "b32", pl.col("method") == "full_ft", pl.col("factors").str.contains("16")
    )
    (row,) = (r for r in table.rows if r[:2] == ("cars · b32 · rank 16", "Full FT"))
    assert row[-1].partition("\u00a0")[0] == wording.number(own["test_acc_pct"].mean())


def test_the_named_command_chooses_a_combination_that_there_is():
    rare = runs_of().filter(~pl.col("factors").str.contains('"4"') | (pl.col("seed") == 1))
    assert one_of_each(rare) == "--factor rank=16"
    assert one_of_each(runs_of(ranks=("4",))) == ""


def test_a_level_that_changes_between_seeds_alone_stays_in_one_cell_with_a_caveat():
    ranks = {1: "4", 2: "4", 3: "16", 4: "16"}
    runs = runs_of(ranks=("4",))
    runs = runs.with_columns(factors=pl.Series([json.dumps({"rank": ranks[seed]}) for seed in runs["seed"]]))
    assert set(page_of(runs).done["place"]) == {"cars"}
    (said,) = (text for text in study_caveats(page_of(runs)) if "rank" in text)
    assert said.startswith("Cells of figures and tables hold seeds that differ in rank (4, 16)")
    assert not any("rank" in text for text in study_caveats(page_of(runs_of(ranks=("4",)))))


def test_a_page_of_one_level_shows_these_runs_alone(tmp_path):
    lines = ["backbone,dataset,method,lr,seed,rank,test_acc_pct"]
    for row in runs_of(backbones=("b32", "l14")).iter_rows(named=True):
        rank = json.loads(row["factors"])["rank"]
        lines.append(f"{row['backbone']},cars,{row['method']},1e-4,{row['seed']},{rank},{row['test_acc_pct']}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    store = ["--study", "own", "--store", str(tmp_path / "s" / "heatdrift.duckdb")]
    assert CliRunner().invoke(app, ["import", str(tmp_path / "t.csv"), *store]).exit_code == 0
    narrow = ["--backbone", "l14", "--factor", "rank=4"]
    made = CliRunner().invoke(app, ["report", "--format", "md", "--out", str(tmp_path / "r"), *store, *narrow])
    assert made.exit_code == 0, made.exception
    page = (tmp_path / "r" / "own-l14-rank-4.md").read_text(encoding="utf-8")
    assert "Only runs with backbone l14 and rank 4" in page
    assert "8 of 8" in page
    assert "not pooled" not in page
    refused = CliRunner().invoke(app, ["report", "--format", "md", *store, "--factor", "rank=5"])
    assert isinstance(refused.exception, UnknownNameError)
