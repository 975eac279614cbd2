"""A store that holds only models that were trained elsewhere: what stats and report say of it is about such models."""

import pytest
import stubs
import torch
from typer.testing import CliRunner

from heatdrift.accuracy import NOTHING_SELECTED, selection_splits
from heatdrift.cli.main import app
from heatdrift.config import PROTOCOLS, STORED_PROTOCOLS
from heatdrift.errors import StatsError
from heatdrift.store.ingest import open_current
from heatdrift.store.read import read_view


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three measured runs of one method: two learning rates, two seeds."""
    folder = tmp_path_factory.mktemp("external")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=6, size=28, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, (lr, seed) in enumerate((("1e-5", 0), ("1e-4", 0), ("1e-5", 1)), start=1):
            state = stubs.tiny_clip().state_dict()
            noise = torch.Generator().manual_seed(number)
            for name in (n for n in state if n.startswith("visual.transformer") and state[n].ndim == 2):
                state[name].add_(0.05 * number * torch.randn(state[name].shape, generator=noise))
            torch.save(state, f"{number}.pt")
            done = run(
                *("measure", "--base", "tiny.safetensors", "--adapted", f"{number}.pt", "--images", "colours.parquet"),
                *("--transfer", "colours.parquet", "--label", f"lr={lr}", "--label", f"seed={seed}"),
            )
            assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def at(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_a_study_cannot_ask_for_the_protocol_and_a_page_has_words_for_it():
    assert set(STORED_PROTOCOLS) - set(PROTOCOLS) == {"external"}


def test_nothing_selected_their_epochs_and_the_page_says_what_they_are(at):
    with open_current(at / "runs" / "heatdrift.duckdb") as connection:
        assert selection_splits(read_view(connection, "runs")) == {NOTHING_SELECTED}
    assert run("report", "--format", "md", "--out", "page.md").exit_code == 0
    page = (at / "page.md").read_text()
    assert "Protocol external: models that were trained elsewhere" in page
    assert "Not every run says" not in page
    assert "| arithmetic of training | float16 with loss scaling | – | not known |" in page
    assert "lora_r8" not in page.split("## Published values")[0]
    assert "heatdrift train --all" not in page


@pytest.mark.parametrize("question", ["paired", "power"])
def test_two_methods_are_said_to_be_missing_not_a_name_that_nobody_gave(at, question):
    done = run("stats", question)
    assert isinstance(done.exception, StatsError)
    assert "all usable runs have method external" in done.exception.message
    assert "--label method=" in done.exception.hint


@pytest.mark.parametrize("question", ["images", "dose", "layers", "retention", "correlation"])
def test_questions_about_one_method_are_answered(at, question):
    done = run("stats", question)
    assert done.exit_code == 0, done.output
    assert "lora_r8" not in done.output


def test_a_second_seed_is_asked_of_measure(at):
    done = run("stats", "interaction", "--metric", "retention_pct", "--seed", "0")
    assert "heatdrift measure --label seed=1" in done.exception.hint
