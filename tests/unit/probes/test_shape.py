import math

import numpy as np
import plain_probes as plain
import pytest
import torch

from heatdrift.errors import ProbeError
from heatdrift.probes import shape


def random_attention(images=3, heads=2, tokens=6, *, sharpness=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(images, heads, tokens, tokens, generator=generator, dtype=torch.float64) * sharpness
    return scores.softmax(-1)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


ROWS = {
    "uniform": [0.25] * 4,
    "one-hot": [0.0, 0.0, 1.0, 0.0],
    "ties": [0.3, 0.2, 0.3, 0.2],
    "one patch": [1.0],
    "two of six": [0.5, 0.5, 0.0, 0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row_metrics_equal_the_plain_definition_on_special_rows(row):
    assert shape.entropy(rows(row)).item() == pytest.approx(plain.entropy(row), abs=1e-12)
    assert shape.support(rows(row)).item() == plain.erf95(row)
    assert shape.gini(rows(row)).item() == pytest.approx(plain.gini(row), abs=1e-12)


def test_row_metrics_equal_the_plain_definition_on_random_rows():
    attention = random_attention(tokens=30)
    found, self_mass = shape.patch_rows(attention)
    for i in range(3):
        for h in range(2):
            row, dropped = plain.class_row(attention[i, h, 0])
            assert found[i, h].numpy() == pytest.approx(row, abs=1e-14)
            assert self_mass[i, h].item() == dropped
            assert shape.entropy(found)[i, h].item() == pytest.approx(plain.entropy(row), abs=1e-12)
            assert shape.support(found)[i, h].item() == plain.erf95(row)
            assert shape.gini(found)[i, h].item() == pytest.approx(plain.gini(row), abs=1e-12)


def test_closed_forms():
    uniform, one_hot = rows([1 / 49] * 49), rows([0.0] * 48 + [1.0])
    assert shape.entropy(uniform).item() == pytest.approx(math.log(49))
    assert shape.entropy(uniform, base=2).item() == pytest.approx(math.log2(49))
    assert shape.entropy(one_hot).item() == 0
    assert shape.support(uniform).item() == 47 / 49  # 46/49 = 0.939, 47/49 = 0.959
    assert shape.support(one_hot).item() == 1 / 49
    assert shape.gini(uniform).item() == pytest.approx(0, abs=1e-12)
    assert shape.gini(one_hot).item() == pytest.approx(48 / 49)


def test_support_counts_a_mass_of_exactly_95_percent_as_reached():
    assert shape.support(rows([0.05] * 20)).item() == 19 / 20
    assert shape.support(rows([0.95, 0.05])).item() == 1 / 2
    assert shape.support(rows([0.94, 0.06])).item() == 1


def test_row_metrics_are_float64_whatever_the_attention():
    found, self_mass = shape.patch_rows(random_attention().float())
    assert {t.dtype for t in (found, self_mass, shape.entropy(found), shape.support(found), shape.gini(found))} == {
        torch.float64
    }


def test_a_class_token_that_sees_no_patch_has_no_shape():
    """Renormalising 0 is not defined: every metric says so, none invents a number."""
    attention = torch.eye(4).expand(1, 1, 4, 4)
    found, self_mass = shape.patch_rows(attention)
    assert self_mass.item() == 1
    for value in (shape.entropy(found), shape.support(found), shape.gini(found)):
        assert math.isnan(value.item())


def test_rows_that_do_not_sum_to_one_are_refused():
    attention = random_attention()
    attention[0, 0, 0, 1] += 0.01
    with pytest.raises(ProbeError, match=r"off by 0\.01") as caught:
        shape.patch_rows(attention)
    assert caught.value.hint


def test_nan_attention_is_refused():
    attention = random_attention()
    attention[1, 1] = torch.nan
    with pytest.raises(ProbeError, match="must sum to 1"):
        shape.patch_rows(attention)


def test_head_diversity_equals_the_plain_definition():
    attention = random_attention(images=5, heads=4)
    maps = shape.patch_rows(attention)[0].mean(0)
    assert shape.head_diversity(maps).item() == pytest.approx(plain.head_diversity(attention.numpy()), abs=1e-12)


def test_head_diversity_of_equal_disjoint_and_single_heads():
    one = rows([0.7, 0.3, 0.0, 0.0])
    assert shape.head_diversity(torch.stack([one, one, one], 1)).item() == pytest.approx(0, abs=1e-12)
    assert shape.head_diversity(rows([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])[None]).item() == 1
    assert math.isnan(shape.head_diversity(one[None]).item())


def test_patch_entropy_equals_the_plain_definition():
    attention = random_attention()
    found = shape.patch_to_patch_entropy(attention).mean().item()
    assert found == pytest.approx(plain.patch_entropy(attention.numpy()), abs=1e-12)
    assert shape.patch_to_patch_entropy(attention.float()).mean().item() == pytest.approx(found, rel=1e-5)


def test_patch_entropy_of_uniform_attention():
    uniform = torch.full((1, 1, 17, 17), 1 / 17)
    assert shape.patch_to_patch_entropy(uniform).item() == pytest.approx(4)  # log2 of 16 patches


def test_rollout_equals_the_plain_definition():
    blocks = [random_attention(seed=seed) for seed in range(4)]
    rollout = None
    for attention in blocks:
        rollout = shape.rollout_step(rollout, attention)
    found = shape.rollout_rows(rollout).numpy()
    expected = [plain.rollout_row([b.numpy() for b in blocks], image) for image in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_rollout_multiplies_later_blocks_from_the_left():
    """First block: the class token sees patch 1 only; second: patch 1 sees patch 2 only. No path leads from 2 to 1."""
    first, second = torch.eye(3)[None, None].clone(), torch.eye(3)[None, None].clone()
    first[..., 0, :] = torch.tensor([0.0, 1.0, 0.0])
    second[..., 1, :] = torch.tensor([0.0, 0.0, 1.0])
    backwards = shape.rollout_rows(shape.rollout_step(shape.rollout_step(None, first), second))
    forwards = shape.rollout_rows(shape.rollout_step(shape.rollout_step(None, second), first))
    assert backwards.tolist() == [[1.0, 0.0]]
    assert forwards.tolist() == [[0.5, 0.5]]
