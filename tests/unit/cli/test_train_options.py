"""Options of `heatdrift train` that change what a cell is."""

from typer.testing import CliRunner

from heatdrift.cli.main import app


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_evaluation_in_bfloat16_is_asked_for_on_the_command_line(tiny_inputs, tmp_path, monkeypatch):
    """Other cells, trained, recorded and stored as such; the study's own key does the same."""
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study.toml"
    study.write_text((tiny_inputs / "study.toml").read_text())
    for path in tiny_inputs.iterdir():
        if path.suffix != ".toml":
            (tmp_path / path.name).symlink_to(path)
    chosen = ("--study", str(study), "--dataset", "stripes", "--method", "lora_r8", "--lr", "1e-2", "--seed", "1")
    asked = call("train", *chosen, "--eval-precision", "bf16", "--dry-run", "--format", "json")
    study.write_text(study.read_text().replace("[train]", '[train]\neval_precision = "bfloat16"'))
    stated = call("train", *chosen, "--dry-run", "--format", "json")
    against = call("train", *chosen, "--eval-precision", "float32", "--dry-run", "--format", "json")
    assert asked.stdout == stated.stdout != against.stdout
    assert call("train", *chosen, "--jobs", "1", "--device", "cpu").exit_code == 0
    found = call("sql", "select eval_precision, precision, status from runs", "--format", "csv").stdout
    assert found.splitlines()[1:] == ["bfloat16,float32,done"]
