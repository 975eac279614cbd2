import numpy as np
import pytest
import torch

from heatdrift.probes.transfer import accuracy_pct, zero_shot_classes


def test_hits_are_the_nearest_class_embedding_image_by_image():
    generator = np.random.default_rng(0)
    images, text = generator.normal(size=(20, 6)), generator.normal(size=(5, 6))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    labels = generator.integers(0, 5, 20)
    expected = []
    for image, label in zip(images, labels, strict=True):
        cosines = [float(np.dot(image, t)) / float(np.linalg.norm(image)) for t in text]
        expected.append(max(range(5), key=lambda c, found=tuple(cosines): found[c]) == label)
    batches = torch.split(torch.from_numpy(images), 7)
    hits = zero_shot_classes(lambda pixels: pixels * 3.0, batches, torch.from_numpy(text)) == labels
    assert hits.dtype == np.bool_
    assert hits.tolist() == expected
    assert accuracy_pct(hits) == 100 * sum(expected) / 20


def test_accuracy_of_none_and_all():
    assert accuracy_pct(np.zeros(4, dtype=bool)) == 0
    assert accuracy_pct(np.ones(4, dtype=bool)) == 100
    assert accuracy_pct(np.array([True, False, False])) == pytest.approx(100 / 3)


def test_classes_do_not_depend_on_how_batches_are_cut():
    generator = torch.Generator().manual_seed(0)
    images, text = torch.randn(11, 4, generator=generator), torch.eye(4)
    whole = zero_shot_classes(lambda x: x, [images], text)
    cut = zero_shot_classes(lambda x: x, torch.split(images, 3), text)
    assert whole.tolist() == cut.tolist()
