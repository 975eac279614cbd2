import dataclasses

import msgspec
import numpy as np
import plain_probes as plain
import pytest
import stubs
import torch

from heatdrift.metrics import PROBES
from heatdrift.model.attention import observed, split_attention
from heatdrift.probes.collector import Measured, measure
from heatdrift.probes.compare import probe_values
from heatdrift.probes.weights import OF_WEIGHTS
from heatdrift.records import EpochRecord

UNMOVED = dict.fromkeys(OF_WEIGHTS, 0.0)


@pytest.fixture(scope="module")
def pair() -> tuple[Measured, Measured]:
    """The tiny tower, and a copy whose weights were moved a little."""
    pixels = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    towers = []
    for scale in (0.0, 0.05):
        visual = stubs.tiny_clip().visual.requires_grad_(requires_grad=False)
        split_attention(visual)
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in visual.parameters():
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
        towers.append(visual.eval())
    base, adapted = (measure(tower, [pixels], observed) for tower in towers)
    return base, adapted


def test_a_model_against_itself_has_cka_one_and_no_drift(pair):
    base, _ = pair
    found = probe_values(base, dataclasses.replace(base, embeddings=base.embeddings.clone()), weights=UNMOVED)
    assert found.layers["cka"] == found.layers["cka_debiased"] == (1.0,) * stubs.TINY_BLOCKS
    assert found.means["cka"] == found.means["cka_debiased"] == 1
    assert found.means["embedding_drift"] == found.means["map_js"] == 0
    assert set(found.layers["map_js"]) == {0.0}


def test_similarities_equal_the_plain_definitions(pair):
    base, adapted = pair
    found = probe_values(base, adapted, weights={"weight_drift": 0.25, "proj_drift": 0.5})
    blocks = list(zip(base.activations, adapted.activations, strict=True))
    assert found.layers["cka"] == pytest.approx([plain.cka(x, y) for x, y in blocks], rel=1e-6)
    assert found.layers["cka_debiased"] == pytest.approx([plain.cka_debiased(x, y) for x, y in blocks], rel=1e-6)
    drift = plain.embedding_drift(base.embeddings, adapted.embeddings)
    assert found.means["embedding_drift"] == pytest.approx(drift, abs=1e-9)
    assert (found.means["weight_drift"], found.means["proj_drift"]) == (0.25, 0.5)


def test_map_divergence_equals_the_plain_definition(pair):
    base, adapted = pair
    blocks = []
    for rows in (base.class_rows, adapted.class_rows):
        self_mass = torch.zeros(*rows[0].shape[:-1], 1)
        blocks.append([torch.cat([self_mass, block], -1)[:, :, None].numpy() for block in rows])  # one query: the class
    expected = [plain.map_js(x, y) for x, y in zip(*blocks, strict=True)]
    found = probe_values(base, adapted, weights=UNMOVED)
    assert np.ptp(expected) > 1e-6
    np.testing.assert_allclose(found.heads["map_js"], expected, rtol=1e-9)
    assert found.means["map_js"] == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("cut", [1, 3])
def test_map_divergence_does_not_depend_on_how_batches_are_cut(cut):
    pixels = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    visual = stubs.tiny_clip().visual.requires_grad_(requires_grad=False).eval()
    split_attention(visual)
    base, cut_base = (measure(visual, batches, observed) for batches in ([pixels], torch.split(pixels, cut)))
    with torch.no_grad():
        for parameter in visual.parameters():
            parameter.mul_(1.05)
    adapted = measure(visual, [pixels], observed)
    whole, pieces = (probe_values(b, adapted, weights=UNMOVED) for b in (base, cut_base))
    assert whole.means["map_js"] > 1e-8
    np.testing.assert_allclose(pieces.heads["map_js"], whole.heads["map_js"], rtol=1e-3, atol=1e-12)
    itself = probe_values(base, cut_base, weights=UNMOVED)
    assert itself.means["map_js"] < 1e-12  # the rounding of float32 attention, squared


def test_a_row_without_mass_on_the_patches_has_no_divergence(pair):
    base, adapted = pair
    rows = [block.clone() for block in adapted.class_rows]
    rows[1][2, 0] = 0.0
    found = probe_values(base, dataclasses.replace(adapted, class_rows=tuple(rows)), weights=UNMOVED)
    assert found.heads["map_js"][1][0] is None
    assert found.heads["map_js"][1][1] is not None
    assert found.layers["map_js"][1] is None
    assert found.means["map_js"] is None


def test_every_probe_of_the_list_is_filled_at_its_grain(pair):
    found = probe_values(*pair, weights=UNMOVED)
    assert set(found.means) == {p.name for p in PROBES}
    assert set(found.layers) == {p.name for p in PROBES if p.per_layer}
    assert set(found.heads) == {p.name for p in PROBES if p.per_head}
    assert {len(values) for values in found.layers.values()} == {stubs.TINY_BLOCKS}
    assert {(len(rows), len(rows[0])) for rows in found.heads.values()} == {(stubs.TINY_BLOCKS, stubs.TINY_HEADS)}


def test_means_are_taken_over_heads_and_then_over_blocks(pair):
    found = probe_values(*pair, weights=UNMOVED)
    for name, rows in found.heads.items():
        assert found.layers[name] == pytest.approx([np.mean(row) for row in rows])
    for name, values in found.layers.items():
        assert found.means[name] == pytest.approx(np.mean(values))


def test_a_block_without_variance_has_no_cka_and_the_model_no_mean(pair):
    base, adapted = pair
    flat = adapted.activations.clone()
    flat[1] = 2.0
    found = probe_values(base, dataclasses.replace(adapted, activations=flat), weights=UNMOVED)
    for name in ("cka", "cka_debiased"):
        assert found.layers[name][1] is None
        assert found.layers[name][0] is not None
        assert found.means[name] is None


def test_one_head_has_no_diversity(pair):
    base, adapted = pair
    layers = {**adapted.layers, "head_diversity": torch.full((stubs.TINY_BLOCKS,), torch.nan)}
    found = probe_values(base, dataclasses.replace(adapted, layers=layers), weights=UNMOVED)
    assert found.layers["head_diversity"] == (None,) * stubs.TINY_BLOCKS
    assert found.means["head_diversity"] is None


def test_what_is_not_defined_is_null_at_every_grain(pair):
    """NaN equals nothing, not even itself: a record that holds one does not survive its own round trip."""
    base, adapted = pair
    heads = {name: value.clone() for name, value in adapted.heads.items()}
    heads["gini"][0, 1] = torch.nan
    broken = dataclasses.replace(
        adapted,
        heads=heads,
        layers={**adapted.layers, "gini": heads["gini"].mean(-1)},
        whole={**adapted.whole, "rollout_gini": float("nan")},
        embeddings=torch.full_like(adapted.embeddings, torch.nan),
    )
    found = probe_values(base, broken, weights={"weight_drift": float("nan"), "proj_drift": float("inf")})
    assert found.heads["gini"][0][1] is None
    assert found.layers["gini"][0] is None
    for name in ("gini", "rollout_gini", "embedding_drift", "weight_drift", "proj_drift"):
        assert found.means[name] is None
    record = EpochRecord(epoch=1, means=found.means, layers=found.layers, heads=found.heads)
    assert msgspec.json.decode(msgspec.json.encode(record), type=EpochRecord) == record
