import json

import pytest
import stubs
import torch
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import ModelError, StudyError
from heatdrift.model.weight_files import write_safetensors
from heatdrift.train.external import measure
from heatdrift.train.interpolation import alphas_of, interpolate
from heatdrift.train.interpolation_result import AlphaRow, recommended


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("between")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=10, size=32, seed=0)
    state = {name: tensor.clone() for name, tensor in stubs.tiny_clip().state_dict().items()}
    for name in (n for n in state if n.startswith("visual.transformer") and state[n].ndim == 2):
        state[name].add_(0.1 * torch.randn(state[name].shape, generator=torch.Generator().manual_seed(len(name))))
    (folder / "tuned").mkdir()
    torch.save(state, folder / "tuned" / "tuned.pt")
    dim = state["visual.proj"].shape[1]
    head = {"classifier.weight": torch.eye(4, dim), "classifier.bias": torch.zeros(4)}
    write_safetensors(folder / "tuned" / "head.safetensors", head, {})
    return folder


def path(place, **options):
    given = {"transfer": "colours.parquet", "folder": place, "alphas": (0.0, 0.5, 1.0), **options}
    return interpolate("tiny.safetensors", "tuned/tuned.pt", **given)


def test_both_ends_are_base_and_adapted_and_drift_grows_between(place):
    found = path(place)
    whole = measure("tiny.safetensors", "tuned/tuned.pt", transfer="colours.parquet", folder=place).result
    last, adapted = found.rows[-1], whole.checkpoints[-1]
    assert found.rows[0].retention_pct == 100
    assert found.rows[0].zero_shot_pct == whole.transfer.base_pct
    assert last.zero_shot_pct == whole.transfer.adapted_pct
    assert last.means == pytest.approx(adapted.means)
    drift = [row.means["weight_drift"] for row in found.rows]
    assert drift == pytest.approx([0, last.means["weight_drift"] / 2, last.means["weight_drift"]], rel=1e-4)


def test_the_head_next_to_the_weights_classifies_the_target(place):
    found = path(place, target="colours.parquet")
    assert found.target_by == "head"
    assert all(row.target_pct is not None for row in found.rows)
    with pytest.raises(ModelError, match=r"no classifier\.weight"):
        path(place, target="colours.parquet", head="tiny.safetensors")


def test_the_recommended_model_is_saved_and_reads_back_as_the_same_model(place, tmp_path):
    found = path(place, alphas=(0.0, 0.5, 1.0), keep=0, save=tmp_path / "m.safetensors")
    assert found.recommended.alpha == 1.0
    again = measure("tiny.safetensors", tmp_path / "m.safetensors", transfer="colours.parquet", folder=place).result
    assert again.checkpoints[-1].means == pytest.approx(found.rows[-1].means)


def row(alpha, zero_shot, target=None):
    return AlphaRow(alpha=alpha, zero_shot_pct=zero_shot, retention_pct=zero_shot / 0.5, target_pct=target)


def test_the_rule_takes_most_zero_shot_near_the_best_target_and_the_smaller_alpha_on_ties():
    rows = [row(0, 50, 40), row(0.3, 48, 88), row(0.6, 48, 89), row(1, 30, 90)]
    assert recommended(rows, margin=2, keep=95).alpha == 0.3
    assert recommended(rows, margin=1, keep=95).alpha == 0.6
    assert recommended(rows, margin=0, keep=95).alpha == 1


def test_without_a_target_every_model_up_to_the_recommended_one_keeps_enough():
    rows = [row(0, 50), row(0.3, 48), row(0.6, 40), row(1, 49)]
    chosen = recommended(rows, margin=2, keep=95)
    assert chosen.alpha == 0.3
    assert "without --target" in chosen.reason
    nothing = [AlphaRow(alpha=a, zero_shot_pct=0.0, retention_pct=None) for a in (0.0, 1.0)]
    assert recommended(nothing, margin=2, keep=95).alpha is None


def test_paths_are_read_and_both_ends_belong_to_them():
    assert alphas_of("0:1:0.1") == pytest.approx([i / 10 for i in range(11)])
    assert alphas_of("0.3") == (0.0, 0.3, 1.0)
    for bad in ("0:1", "0:1:0", "a", "", "0:2:0.5", "-1,1", "0:1:1e-9", "nan", "0:1:nan"):
        with pytest.raises(StudyError):
            alphas_of(bad)


def test_the_command_prints_the_path_as_json(place, monkeypatch):
    monkeypatch.chdir(place)
    options = ["--alpha", "0,1", "--transfer", "colours.parquet", "--format", "json"]
    found = CliRunner().invoke(
        app, ["interpolate", "--base", "tiny.safetensors", "--adapted", "tuned/tuned.pt", *options]
    )
    assert found.exit_code == 0, found.output
    assert [r["alpha"] for r in json.loads(found.stdout)["rows"]] == [0, 1]
