import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest

from heatdrift.data import lab
from heatdrift.data.lab import sets
from heatdrift.data.lab.captions import COLOUR_WORDS, HELD_OUT, SHAPE_WORDS, SURFACE_WORDS, TEMPLATES
from heatdrift.errors import UnknownNameError

PIXELS = {  # sha256 of the drawn bytes, world version 1; a mismatch means: raise WORLD_VERSION and pretrain again
    ("combinations", "test"): "da2bd9c2b2bd4d85182800b0e526b601076cd07bf1c0cf213dcc3e408426a1f4",
    ("terrain", "train"): "29a3eb04cf82d43ddaa723f2e09568268e0f2637a5366de2d74992f6d3f8972f",
    ("terrain", "test"): "4a360a4bca305eab03893e2fdc2b0269a4a26385b9cd04bd0ab9fc8e71ae64de",
    ("beetles", "train"): "47ce86ca73b1a91ba1230767319c9abedaf33e8957efe08359d7beb47d96c724",
    ("beetles", "test"): "ff611e6246c312e34e8f9131f3be952c6070368259a83c6260bb73ba27281fb8",
}


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize(("name", "split"), PIXELS)
def test_pixels_of_each_set_are_those_of_the_world_version(name, split):
    assert lab.WORLD_VERSION == 1
    drawn = lab.draw_set(name, split)
    assert hashlib.sha256(drawn.pixels.tobytes()).hexdigest() == PIXELS[name, split]


def test_every_set_is_pinned():
    assert set(PIXELS) == set(lab.SETS)


@pytest.mark.parametrize(("name", "split"), PIXELS)
def test_a_set_keeps_its_specification(name, split):
    start = time.monotonic()
    drawn = lab.draw_set(name, split)
    assert time.monotonic() - start < 5  # a fraction of a second; the limit allows for a busy machine
    spec = lab.SETS[name, split]
    assert drawn.pixels.shape == (len(drawn.labels), 28, 28, 3)
    assert drawn.pixels.dtype == np.uint8
    assert drawn.labels.dtype == np.int64
    assert np.bincount(drawn.labels).tolist() == [spec.per_class] * len(drawn.class_names)
    assert len(set(drawn.class_names)) == len(drawn.class_names)


def test_train_and_test_share_no_image():
    for name in ("terrain", "beetles"):
        seen = {image.tobytes() for image in lab.draw_set(name, "train").pixels}
        assert not seen & {image.tobytes() for image in lab.draw_set(name, "test").pixels}


def test_identity_of_a_set_is_known_without_drawing_it(monkeypatch):
    monkeypatch.setattr(sets, "DRAW", dict.fromkeys(sets.DRAW))
    found = {lab.set_sha256(name, split) for name, split in lab.SETS}
    assert len(found) == len(lab.SETS)
    monkeypatch.setattr(sets, "WORLD_VERSION", lab.WORLD_VERSION + 1)
    assert not found & {lab.set_sha256(name, split) for name, split in lab.SETS}


def test_the_lab_loads_without_torch():
    code = "import sys, heatdrift.data.lab; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_set_and_split_name_the_nearest():
    with pytest.raises(UnknownNameError) as set_error:
        lab.draw_set("terrian", "test")
    assert set_error.value.nearest == "terrain"
    with pytest.raises(UnknownNameError) as split_error:
        lab.set_sha256("combinations", "train")
    assert split_error.value.known == ("test",)


def test_held_out_names_are_new_combinations_of_known_words():
    names = lab.SETS["combinations", "test"].class_names
    assert len(names) >= 50
    seen = " ".join(sorted(lab.pretraining_texts()))
    for name in names:
        assert all(word in seen for word in name.split())
    words = {word for name in names for word in name.split()}
    assert words == {*SURFACE_WORDS, *COLOUR_WORDS, *SHAPE_WORDS}


def test_no_word_gives_a_held_out_class_away():
    # Every colour-shape pair among the classes comes with two surfaces: reading two words of three is not enough.
    pairs = HELD_OUT.sum(axis=0)
    assert set(np.unique(pairs)) == {0, 2}


def test_pretraining_never_shows_a_held_out_combination():
    held_out = lab.SETS["combinations", "test"].class_names
    rng = _rng()
    captions = [caption for _ in range(8) for caption in lab.draw_pretraining_batch(rng, 256)[1]]
    assert not [caption for caption in captions if any(name in caption for name in held_out)]
    assert len(set(captions)) > 1000


def test_pretraining_batch_repeats_with_its_generator_and_uses_every_template():
    pixels, captions = lab.draw_pretraining_batch(_rng(3), 64)
    again, same = lab.draw_pretraining_batch(_rng(3), 64)
    other, _ = lab.draw_pretraining_batch(_rng(4), 64)
    assert np.array_equal(pixels, again)
    assert captions == same
    assert not np.array_equal(pixels, other)
    starts = {template.split("{")[0] for template in TEMPLATES}
    assert all(any(caption.startswith(start) for caption in captions) for start in starts if start)
    assert any("background" in caption for caption in captions)
