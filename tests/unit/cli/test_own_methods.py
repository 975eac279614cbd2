"""A study that defines its own methods, through the command line: planned, trained, tested and reported."""

import json

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

OWN = """
[methods.my_lora]
kind = "lora"
rank = 4
alpha = 8
targets = ["q", "k", "v", "out", "c_fc", "c_proj"]
blocks = "1-2"

[methods.my_dora]
kind = "dora"
rank = 2
title = "DoRA of the study"
"""
WORDS = "LoRA r=4 on all linear layers, blocks 1-2"


def call(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def place(tiny_inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    text = (tiny_inputs / "study.toml").read_text().replace('["full_ft", "lora_r8"]', '["my_lora", "my_dora"]')
    text = text.replace('["stripes", "hues"]', '["stripes"]').replace("[1e-4, 1e-2]", "[1e-2]").replace("[grid]", OWN + "[grid]")  # fmt: skip  # noqa: E501
    (folder / "study.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def store(place, tiny_inputs):
    """The store of the trained study, whose file is gone."""
    path = place / "runs" / "heatdrift.duckdb"
    options = ("--study", place / "study.toml", "--data-dir", tiny_inputs, "--store", path)
    planned = json.loads(call("plan", *options, "--format", "json"))
    assert [row["method"] for row in planned] == ["my_lora"] * 3 + ["my_dora"] * 3
    call("train", "--all", *options, "--jobs", 1)
    assert {row["status"] for row in json.loads(call("plan", *options, "--format", "json"))} == {"done"}
    (place / "study.toml").unlink()
    return path


def test_runs_carry_what_the_method_is(store):
    rows = json.loads(
        call("sql", "select distinct method, method_spec s from runs order by 1", "--store", store, "--format", "json")
    )
    dora, lora = (json.loads(row["s"]) for row in rows)
    assert (lora["name"], lora["lora"]["blocks"]) == ("my_lora", [1, 2])
    assert (dora["kind"], dora["parameters"]["rank"]) == ("dora", 2)


def test_status_and_statistics_know_it(store):
    (counts,) = json.loads(call("status", "--store", store, "--format", "json"))
    assert (counts["planned"], counts["done"]) == (6, 6)
    found = call("stats", "paired", "--method-a", "my_lora", "--method-b", "my_dora", "--metric", "weight_drift",
                 "--store", store, "--format", "json")  # fmt: skip
    result = json.loads(found)
    assert (result["method_a"], result["method_b"]) == ("my_lora", "my_dora")
    assert any(WORDS in s and "DoRA of the study" in s for s in result["findings"])


def test_the_report_describes_it_without_the_study_file(store, tmp_path):
    call("report", "--format", "md", "--store", store, "--out", tmp_path / "own.md")
    page = (tmp_path / "own.md").read_text(encoding="utf-8")
    assert f"| {WORDS} | my_lora | frozen | yes | rank 4, alpha 8, dropout 0.05 on q_proj, k_proj" in page
    assert "of blocks 1-2 |" in page
    assert "| DoRA of the study | my_dora | frozen | yes | rank 2, alpha 16" in page


@pytest.mark.parametrize(
    ("wrong", "said", "tried"),
    [
        ("rank = 0", "rank must be >= 1, got 0", "rank = 8"),
        ('targets = ["q", "mlp"]', "unknown target 'mlp'", "known: c_fc, c_proj, k, out, q, v"),
        ('blocks = "2-5"', "method my_lora: blocks 3-5 of a backbone that has 3 blocks", "its blocks are 0 to 2"),
        ("rnk = 3", "unknown key 'rnk'", "did you mean 'rank'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "train"])
def test_what_is_wrong_is_said_and_nothing_is_planned(tiny_inputs, tmp_path, command, wrong, said, tried):
    text = (tiny_inputs / "study.toml").read_text().replace('"lora_r8"]', '"my_lora"]')
    (tmp_path / "study.toml").write_text(text.replace("[grid]", f'[methods.my_lora]\nkind = "lora"\n{wrong}\n\n[grid]'))
    store = tmp_path / "runs" / "heatdrift.duckdb"
    arguments = [command, "--study", tmp_path / "study.toml", "--data-dir", tiny_inputs, "--store", store]
    arguments += ["--all"] if command == "train" else []
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code != 0
    assert said in result.exception.message
    assert tried in result.exception.hint
    assert not store.parent.exists()


def test_a_name_that_is_taken_is_refused(tiny_inputs, tmp_path):
    text = (tiny_inputs / "study.toml").read_text()
    (tmp_path / "study.toml").write_text(text.replace("[grid]", '[methods.lora_r8]\nkind = "lora"\n\n[grid]'))
    result = CliRunner().invoke(app, ["plan", "--study", str(tmp_path / "study.toml")])
    assert "[methods.lora_r8] is the name of a built-in method" in result.exception.message
