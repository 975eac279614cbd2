"""Crossed random-intercept logistic regression against lme4's glmer: numbers of r_logistic/make_crossed_logistic.R."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from heatdrift.stats.crossed_logistic import crossed_logistic

FOLDER = Path(__file__).parent / "r_logistic"
GLMER = json.loads((FOLDER / "crossed_logistic.json").read_text(encoding="utf-8"))


def rows(name):
    with (FOLDER / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def agrees(fit, name, groupings):
    reference = GLMER[name]
    assert fit.converged
    assert fit.beta == pytest.approx(reference["beta"], abs=2e-4)
    assert fit.se == pytest.approx(reference["se"], rel=1e-3)
    assert fit.sds == pytest.approx([reference["sds"][g] for g in groupings], abs=2e-3)


def hits():
    """Hits (8 runs, 60 images), method and seed of every run."""
    found = rows("crossed_hits.csv")
    runs = list(dict.fromkeys((r["method"], int(r["seed"])) for r in found))
    y = np.zeros((len(runs), 60))
    for r in found:
        y[runs.index((r["method"], int(r["seed"]))), int(r["image"])] = int(r["hit"])
    x = np.column_stack([np.ones(len(runs)), [method == "lora_r8" for method, _ in runs]])
    return y, x, np.array([seed for _, seed in runs])


def test_one_grouping_is_glmers_example():
    """`cbpp`, the example of ?glmer: incidence of a disease in 15 herds and four periods, some of them missing."""
    y, n = np.zeros((4, 15)), np.zeros((4, 15))
    for r in rows("cbpp.csv"):
        at = int(r["period"]) - 1, int(r["herd"]) - 1
        y[at], n[at] = int(r["incidence"]), int(r["size"])
    x = np.eye(4)
    x[:, 0] = 1.0
    agrees(crossed_logistic(y, n, x), "cbpp", ["herd"])


def test_images_and_seeds_crossed():
    y, x, seed = hits()
    agrees(crossed_logistic(y, np.ones_like(y), x, [seed]), "crossed", ["image", "seed"])


def test_a_grouping_without_variance():
    y, x, seed = hits()
    fit = crossed_logistic(y, np.ones_like(y), x, [seed, np.arange(len(seed))])
    agrees(fit, "crossed_run", ["image", "seed", "run"])


def test_equal_images_may_be_passed_once_with_their_number():
    y, x, seed = hits()
    patterns, counts = np.unique(y, axis=1, return_counts=True)
    assert patterns.shape[1] < y.shape[1]
    once = crossed_logistic(patterns, np.ones_like(patterns), x, [seed], counts)
    agrees(once, "crossed", ["image", "seed"])
