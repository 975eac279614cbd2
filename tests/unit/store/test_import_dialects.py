"""Forms of a file that were read as something else: commas, quotes, hashes, lists, signs, levels that grow."""

import os
import signal
import subprocess
import sys

import pytest
from stubs import find_records
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError
from heatdrift.store.connect import open_store
from heatdrift.store.folder import read_record
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest

HEAD = "dataset,method,lr,seed"


@pytest.fixture
def bring(tmp_path):
    """Import a text as a table; returns the report and a way to ask the store."""

    def run(text, *, name="t.csv", pairs=(), percent="ask", dry_run=False):
        store = tmp_path / "mine" / "heatdrift.duckdb"
        (tmp_path / name).write_text(text)
        report = import_table(
            tmp_path / name, column_map(pairs, ["backbone=m"]), store_folder=store.parent, study="s",
            choices=Choices(percent=percent), dry_run=dry_run,
        )  # fmt: skip

        def ask(sql):
            ingest(store)
            with open_store(store) as connection:
                return connection.execute(sql).fetchall()

        return report, ask

    return run


def test_a_table_that_grew_stores_no_run_twice(bring):
    first = f"{HEAD},test_acc_pct\ncars,full_ft,1.2345000024652e-05,0,50\n"
    assert bring(first)[0].added == 1
    report, ask = bring(f"{first}cars,full_ft,1.2345e-05,1,51\n")
    assert (report.added, report.unchanged) == (1, 1)
    assert ask("select distinct lr from runs") == [(1.2345000024652e-05,)]
    assert any("1.2345e-05 (1 rows) as 1.2345000024652e-05" in note for note in report.audit.notes)
    assert bring(f"{HEAD},test_acc_pct\ncars,full_ft,1.2345e-05,1,51\n")[0].unchanged == 1
    assert bring(f"{HEAD},test_acc_pct\ncars,full_ft,1.24e-05,1,51\n")[0].added == 1


@pytest.mark.parametrize("separator", [";", "\t"])
def test_three_digits_behind_a_decimal_comma(bring, separator):
    rows = [["cars", "full_ft", "0,001", "0", "61,234"], ["cars", "full_ft", "0,010", "1", "62,125"]]
    text = "\n".join(separator.join(row) for row in [[*HEAD.split(","), "test_acc_pct"], *rows])
    _, ask = bring(text, name="t.csv")
    assert ask("select lr, test_acc_pct from runs order by seed") == [(0.001, 61.234), (0.01, 62.125)]


def test_thousands_are_no_decimals(bring):
    report, _ = bring("dataset;method;lr;seed;test_acc_pct;n_train\ncars;full_ft;0.001;0;50;1,024\n")
    assert report.added == 0
    assert "n_train is '1,024', not a number" in report.problems[0].reason


def test_fractions_among_percentages_of_runs_are_a_question(bring):
    text = f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,0,62.5\ncars,full_ft,1e-5,1,0.64\n"
    with pytest.raises(DataError, match=r"1 value of 2 at most 1 \(row 2\).*fractions") as caught:
        bring(text)
    assert "--percent as-is" in caught.value.hint
    report, ask = bring(text, percent="as-is")
    assert any("taken as percent" in note for note in report.audit.notes)
    assert ask("select min(test_acc_pct) from runs") == [(0.64,)]


def test_a_rate_in_percent_is_a_question(bring):
    text = f"{HEAD},test_acc_pct\ncars,full_ft,1%,0,62.5\n"
    with pytest.raises(DataError, match=r"values of lr .* have percent signs"):
        bring(text)
    _, ask = bring(text, pairs=["lr=lr*0.01"])
    assert ask("select lr from runs") == [(0.01,)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,1_0,50\n", "seed is '1_0', not a number"),
        ("t.csv", f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,1,5_0\n", "test_acc_pct is '5_0', not a number"),
        ("t.json", '[{"dataset": ["cars", "sun"], "method": "x", "lr": 1e-5, "seed": 0, "test_acc_pct": 50}]',
         "dataset is ['cars', 'sun'], a list"),
    ],
)  # fmt: skip
def test_what_is_no_such_value_is_left_out_by_name(bring, name, text, said):
    report, _ = bring(text, name=name)
    assert report.added == 0
    assert said in report.problems[0].reason


def test_a_column_whose_name_is_too_long_costs_no_row(bring):
    report, ask = bring(f"{HEAD},test_acc_pct,{'x' * 300}\ncars,full_ft,1e-5,0,50,3\n")
    assert (report.added, report.problems) == (1, ())
    assert any("its name has 300 letters" in note for note in report.audit.notes)
    assert ask("select * from further") == []


@pytest.mark.parametrize(
    "text",
    [
        f"# {HEAD},test_acc_pct\ncars,full_ft,1e-5,0,50\n",
        "#,dataset,method,lr,seed,test_acc_pct\n0,cars,full_ft,1e-5,0,50\n",
        f"# made by hand, for table 3, of 4, in 5\n{HEAD},test_acc_pct\ncars,full_ft,1e-5,0,50\n",
        f"# note\n# {HEAD},test_acc_pct\ncars,full_ft,1e-5,0,50\n# the end\n",
    ],
)
def test_a_header_may_begin_with_a_hash(bring, text):
    report, ask = bring(text)
    assert report.added == 1
    assert ask("select dataset, lr, seed, test_acc_pct from runs") == [("cars", 1e-5, 0, 50.0)]


def test_a_hash_within_a_quoted_field_is_no_comment(bring):
    text = (
        f'{HEAD},test_acc_pct,note\ncars,full_ft,1e-5,0,50,"first\n# second\n\nthird ""x"""\ncars,full_ft,1e-5,1,51,a\n'
    )
    report, ask = bring(text)
    assert (report.added, report.audit.read_as) == (2, "CSV, separated by commas")
    assert ask("select seed, test_acc_pct from runs order by 1") == [(0, 50.0), (1, 51.0)]


def test_a_quote_that_is_never_closed_is_named_with_its_line(bring):
    text = f'{HEAD},test_acc_pct,note\ncars,full_ft,1e-5,0,50,a\ncars,full_ft,1e-5,1,51,"b\ncars,full_ft,1e-5,2,52,c\n'
    with pytest.raises(DataError, match="line 3: a quote is opened there and never closed"):
        bring(text)


def test_a_quote_in_the_middle_of_a_field_opens_nothing(bring):
    report, _ = bring(f'{HEAD},test_acc_pct,note\ncars,full_ft,1e-5,0,50,5" disk\n# c\ncars,full_ft,1e-5,1,51,b\n')
    assert report.added == 2


def test_one_seed_is_one_level_however_it_is_written(bring):
    report, _ = bring(f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,0,50\ncars,full_ft,1e-4,0.0,51\n")
    assert report.audit.keys["seed"] == ("0",)


def test_a_long_name_is_printed_short(tmp_path):
    name = "d" * 5000
    (tmp_path / "t.csv").write_text(f"{HEAD},test_acc_pct,{'y' * 5000}\n{name},full_ft,1e-5,0,50,text\n")
    result = CliRunner().invoke(
        app,
        [
            "import",
            str(tmp_path / "t.csv"),
            "--set",
            "backbone=m",
            "--dry-run",
            "--store",
            str(tmp_path / "s" / "h.duckdb"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "(5000 letters)" in result.output
    assert len(result.output) < 3000


def test_how_a_run_ended_is_kept_or_said(bring):
    head = f"Name,State,Created,Runtime,{HEAD},test_acc_pct\n"
    ends = ("finished", "crashed", "failed", "running")
    rows = [f"r{i},{end},2024-05-01T10:00:00.000Z,60,cars,full_ft,1e-5,{i},{50 + i}" for i, end in enumerate(ends)]
    report, ask = bring(head + "\n".join(rows) + "\n")
    assert "status" in report.audit.guessed
    assert report.audit.columns["status"] == "State"
    assert [problem.reason for problem in report.problems] == [
        "row 4: status 'running' is not the end of a run (done, finished, completed, complete, success, ok, failed, "
        "killed, crashed, error, diverged)"
    ]
    assert ask("select seed from runs where status = 'done'") == [(0,)]
    assert ask("select status, count(*) from attempts group by 1 order by 1") == [("done", 1), ("failed", 2)]


def test_a_column_named_state_may_be_something_else(bring):
    report, _ = bring(f"State,{HEAD},test_acc_pct\nOhio,cars,full_ft,1e-5,0,50\n")
    assert (report.added, report.audit.guessed) == (1, ())
    assert report.ignored == ("State",)


@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL")
def test_an_import_that_is_killed_leaves_whole_records_and_the_same_import_completes_it(bring, tmp_path):
    text = f"{HEAD},test_acc_pct\n" + "".join(f"cars,full_ft,1e-5,{seed},{50 + seed}\n" for seed in range(6))
    (tmp_path / "t.csv").write_text(text)
    code = f"""
import os, signal
from pathlib import Path
from heatdrift.store.importers import writing
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.table import import_table
count, write = iter(range(10)), writing.write_record
def killed(record, folder):
    if next(count) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(record, folder)
writing.write_record = killed
folder = Path({str(tmp_path)!r})
import_table(folder / "t.csv", column_map((), ["backbone=m"]), store_folder=folder / "mine", study="s")
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert [read_record(path).status for path in find_records(tmp_path / "mine")] == ["done"] * 3
    report, ask = bring(text)
    assert (report.added, report.unchanged, report.problems) == (3, 3, ())
    assert ask("select count(*), count(distinct seed), sum(test_acc_pct) from runs") == [(6, 6, 315.0)]
    assert not list((tmp_path / "mine").glob(".import-*"))


def test_a_log_within_a_run_is_a_row_for_each_entry(bring):
    text = """{"run_info": {"seed": 0, "config": {"lr": 1e-4, "target_modules": ["q", "v"]}}, "train_info": {"status":
    "success", "metrics": [{"step": 250, "valid accuracy": 34, "train loss": 0.98}, {"step": 500, "valid accuracy": 44,
    "train loss": 0.7}, {"step": 500, "test accuracy": 48.2, "train loss": 0.7}]}}"""
    named = ("seed=run_info.seed", "lr=run_info.config.lr", "epoch=step", "status=train_info.status")
    text = text.replace('"seed": 0', '"seed": 0, "method": "lora", "dataset": "gsm8k"')
    report, ask = bring(text, name="run.json", pairs=[*named, "method=run_info.method", "dataset=run_info.dataset"])
    assert (report.added, report.audit.rows) == (1, 3)
    assert ask("select epoch, train_loss, val_acc_pct from epochs order by 1") == [(250, 0.98, 34), (500, 0.7, 44)]
    assert ask("select selected_epoch, test_acc_pct, status from runs") == [(500, 48.2, "done")]


@pytest.mark.parametrize(
    "log", ['[{"a": 1}], "other": [{"b": 2}]', '[{"a": [{"b": 1}]}]', "[[1, 2], [3, 4]]"], ids=["two", "inner", "plain"]
)
def test_what_is_no_log_is_nested_too_deep(bring, log):
    with pytest.raises(DataError, match=r"row 1, column .* nested too deep"):
        bring(f'[{{"lr": 1, "log": {log}}}, {{"lr": 2}}]', name="t.json")


def test_results_of_models_under_the_names_of_a_probe_benchmark(bring):
    head = "model_fullname,arch,upstream_dataset,downstream_dataset,acc1,acc5,image_retrieval_recall@5,task\n"
    rows = ["ViT-L-14 openai,ViT-L-14,WIT,vtab,0.45,0.76,,zs", "ViT-H-14 laion2b_x,ViT-H-14,L2B,vtab,0.44,0.77,,zs"]
    report, ask = bring(head + "\n".join(rows) + "\n")
    assert (report.what, report.added) == ("reference point", 4)
    found = ask("select backbone, dataset, value_pct from reference_points where metric = 'zero_shot_pct' order by 1")
    assert found == [("ViT-H-14/laion2b_x", "vtab", 44.0), ("ViT-L-14-quickgelu/openai", "vtab", 45.0)]
