"""The size of `stats best`: the command and the simulation compute one p, and the page holds the band."""

import re
import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

from best_sizes import CONDITIONS, PAGE, best_p, grids, size

from heatdrift.questions.best.analysis import best


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_the_simulation_computes_the_p_of_the_command(condition):
    val, metric = (part[0] for part in grids(condition, 1, np.random.default_rng(3)))
    rows = [
        {"study": "s", "status": "done", "dataset": f"d{at[1]}", "method": ("full_ft", "lora_r8")[at[0]],
         "lr": 10.0 ** (at[2] - 5), "seed": at[3] + 100 * at[0] * condition.apart, "val_acc_pct": val[at],
         "test_acc_pct": metric[at]}
        for at in product(*map(range, val.shape))
        if np.isfinite(val[at])
    ]  # fmt: skip
    row = best(pl.DataFrame(rows), metrics=["test_acc_pct"]).rows[-1]
    assert row.dataset is None
    assert row.p == pytest.approx(best_p(val, metric, apart=condition.apart), rel=1e-9)


def test_the_page_holds_the_band():
    shares = dict(re.findall(r"^\| (.+?) \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(shares) == {condition.name for condition in CONDITIONS}
    assert all(2.0 <= float(share) <= 7.0 for share in shares.values())


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_the_size_is_that_of_the_page_with_another_seed(condition):
    shares = dict(re.findall(r"^\| (.+?) \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    found = size(condition, 1500, seed=4711)
    assert abs(found - float(shares[condition.name]) / 100) < 4 * np.sqrt(0.05 * 0.95 / 1500)
