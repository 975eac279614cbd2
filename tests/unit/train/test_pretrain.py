import hashlib

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from heatdrift.train import pretrain
from heatdrift.train.pretrain import CONFIG, contrastive_loss, evaluate_lab, pretrain_lab

SHIPPED = CONFIG.with_suffix(".safetensors")


def _features(n: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_loss_is_clips_where_all_captions_differ():
    image, text, scale = _features(6, 0), _features(6, 1), torch.tensor(14.0)
    theirs = open_clip.ClipLoss()(image, text, scale)
    assert torch.allclose(contrastive_loss(image, text, torch.arange(6), scale), theirs)


def test_an_equal_caption_is_no_negative():
    image = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=-1)
    text = torch.eye(2)
    loss = contrastive_loss(image, text, torch.tensor([0, 0, 1]), torch.tensor(100.0))
    assert loss.item() == pytest.approx(
        torch.log(torch.tensor(2.0)).item() / 4, abs=1e-4
    )  # two images share one caption


def test_a_few_steps_lower_the_loss_and_repeat_bitwise(tmp_path):
    def run(name: str, seed: int, steps: int) -> tuple[pretrain.PretrainResult, list[pretrain.PretrainProgress]]:
        seen: list[pretrain.PretrainProgress] = []
        result = pretrain_lab(out=tmp_path / name, seed=seed, steps=steps, batch_size=24, threads=1, report=seen.append)
        return result, seen

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, progress = run("a.safetensors", 0, 10)
    assert torch.equal(torch.rand(1), expected)  # the caller's random state is left alone
    again, _ = run("b.safetensors", 0, 10)
    other, other_progress = run("c.safetensors", 1, 1)
    assert first.weights_sha256 == again.weights_sha256
    assert other_progress[0].loss != progress[0].loss
    assert other.loss == other_progress[0].loss
    assert first.zero_shot_pct == again.zero_shot_pct == evaluate_lab(tmp_path / "a.safetensors")
    assert hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest() == first.weights_sha256
    losses = [p.loss for p in progress]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert [p.step for p in progress] == list(range(1, 11))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors", "c.safetensors"]


def test_a_stopped_run_leaves_the_old_file(tmp_path):
    out = tmp_path / "lab.safetensors"
    out.write_bytes(b"old")

    def stop(progress: pretrain.PretrainProgress) -> None:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        pretrain_lab(out=out, steps=2, batch_size=4, threads=1, report=stop)
    assert out.read_bytes() == b"old"
    assert torch.get_num_threads() == threads


def test_shipped_weights_are_small_sparse_and_know_the_held_out_combinations():
    assert SHIPPED.stat().st_size <= 8_000_000
    weights = load_file(SHIPPED)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert (weights["token_embedding.weight"] != 0).any(dim=1).sum() < 100
    assert evaluate_lab(SHIPPED) >= 60.0  # loads strictly


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pretrain.SEED, pretrain.SEED + 1])
def test_pretraining_comes_within_three_points_of_the_shipped_weights(tmp_path, seed):
    result = pretrain_lab(out=tmp_path / "lab.safetensors", seed=seed)
    assert abs(result.zero_shot_pct - evaluate_lab(SHIPPED)) <= 3.0
    assert result.wall_s <= 20 * 60
