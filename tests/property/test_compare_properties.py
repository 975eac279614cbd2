"""heatdrift compare: the three numbers of a row agree, and its average holds its level where seeds act on all cells."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatdrift.questions.compare.analysis import compare_studies
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.two_samples import sample_difference

CELLS = [("eurosat", "full_ft", 1e-5), ("eurosat", "lora_r8", 1e-5), ("pets", "full_ft", 1e-4)]
values = st.floats(-1e6, 1e6, allow_nan=False)
SPLITS = st.dictionaries(st.sampled_from(["eurosat", "pets"]), st.sampled_from(["s", "t", None]))


@st.composite
def studies(draw):
    runs = draw(st.dictionaries(st.tuples(st.sampled_from(CELLS), st.integers(1, 4)), values, min_size=1, max_size=12))
    split = draw(SPLITS)
    same = {"status": "done", "backbone": "b", "origin": "heatdrift", "backbone_sha256": "w", "method_spec": "m"}
    rows = [
        same
        | {"dataset": dataset, "method": method, "lr": lr, "seed": seed, "retention_pct": value}
        | {"data_sha256": "d", "split_sha256": split.get(dataset, "s"), "n_train": 9, "batch_size": 4}
        for ((dataset, method, lr), seed), value in runs.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"split_sha256": pl.String})


@settings(max_examples=150, deadline=None)
@given(studies(), studies())
def test_means_of_a_row_differ_by_its_difference_over_the_runs_it_counts(a, b):
    key = ["dataset", "method", "lr"]
    if not a.join(b, on=key, how="semi").height:
        return
    result = compare_studies(a, b, names=("a", "b"), metrics=["retention_pct"])
    for row in result.rows:
        assert row.mean_a - row.mean_b == row.difference
        assert row.how != "paired" or row.n_pairs == row.n_a == row.n_b
        assert row.how == "single" or row.n_seeds_a > 1 < row.n_seeds_b
    cells = [row for row in result.rows if row.dataset is not None]
    scale = max(abs(row.mean_a) + abs(row.mean_b) for row in cells) + 1e-9
    assert result.rows[-1].difference == pytest.approx(np.mean([r.difference for r in cells]), abs=1e-9 * scale)
    for side, name in ((a, "a"), (b, "b")):
        there = side.join(pl.DataFrame([{k: getattr(r, k) for k in key} for r in cells]), on=key, how="semi")
        counted = sum(getattr(row, f"n_{name}") + getattr(row, f"unused_{name}") for row in cells)
        assert counted == there.height


# seeds of side a and b; their SD; whether equal seeds are pairs; how many runs are missing; largest size in percent
# (Welch's test itself: 6.5 % for three seeds of SD 3 against five of SD 1)
CONDITIONS = {
    "paired": ((0, 1, 2, 3), (0, 1, 2, 3), (1.0, 1.0), True, 0, 6.0),
    "paired, unequal variances, missing runs": ((0, 1, 2, 3), (0, 1, 2, 3), (3.0, 1.0), True, 6, 6.0),
    "apart": ((0, 1, 2, 3), (4, 5, 6, 7), (1.0, 1.0), False, 0, 6.0),
    "apart, missing runs": ((0, 1, 2, 3, 4), (5, 6, 7), (1.0, 1.0), False, 9, 6.0),
    "apart, unequal variances": ((0, 1, 2), (4, 5, 6, 7, 8), (3.0, 1.0), False, 0, 7.5),
    "apart, but equal seeds share draws": ((0, 1, 2, 3), (0, 1, 2, 3), (1.0, 1.0), False, 0, 2.0),
    "mixed": ((0, 1, 2, 3), (0, 1, 2, 4), (1.0, 1.0), True, 0, 6.0),
}


def kept_runs(rng, side, cell, seed, missing, *, shared):
    """Which runs there are: `missing` are lost, every cell keeps one on each side, in pairs both runs go."""
    while True:
        kept = np.ones(side.size, dtype=bool)
        kept[rng.permutation(side.size)[:missing]] = False
        if shared and missing:
            number = cell * 100 + seed
            kept &= np.isin(number, number[kept & (side == 0)]) & np.isin(number, number[kept & (side == 1)])
        if np.bincount(2 * cell[kept] + side[kept], minlength=2 * cell.max() + 2).all():
            return kept


def sizes(seeds_a, seeds_b, spread, shared, missing, draws=2_000):
    """Rejections of a true null at 5 %: of the average, and of an average that takes runs for independent."""
    rng = np.random.default_rng(5)
    rows = [(s, c, seed) for s, seeds in ((0, seeds_a), (1, seeds_b)) for c in range(12) for seed in seeds]
    side, cell, seed = (np.array(column) for column in zip(*rows, strict=True))
    unit = seed if shared else seed + 100 * side
    rejected = naive = 0
    for _ in range(draws):
        of_seed = rng.normal(size=(10, 1)) + 0.7 * rng.normal(size=(10, 2))  # a part of both sides and one of each
        y = np.array(spread)[side] * (of_seed[seed, side] + rng.normal(size=side.size))
        kept = kept_runs(rng, side, cell, seed, missing, shared=shared)
        for by_seed in (True, False):
            units = unit[kept] if by_seed else np.arange(kept.sum())
            found = sample_difference(y[kept], side[kept], cell[kept], np.unique(units, return_inverse=True)[1])
            reject = t_p_value(found.difference / found.se, found.df) < 0.05
            rejected += reject and by_seed
            naive += reject and not by_seed
    return 100 * rejected / draws, 100 * naive / draws


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_average_holds_five_percent_where_seeds_act_on_all_cells(name):
    *condition, largest = CONDITIONS[name]
    size, naive = sizes(*condition)
    assert size <= largest
    assert size >= 3.0 or largest == 2.0
    assert naive > 15
