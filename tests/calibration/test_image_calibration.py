"""The sizes of `stats images`: the simulation computes the p of the command, and the page holds the bands."""

import re
import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

from image_sizes import CONDITIONS, DRAWS, LRS, METHODS, PAGE, TESTS, null_study, rejected, rejections

from heatdrift.questions.images.analysis import images


def shares() -> dict[str, float]:
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: float(share) for name, share in rows}


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_the_simulation_computes_the_p_of_the_command(condition):
    """From arrays as they lie in a run's folder, through everything that the command does with them."""
    data = null_study(condition, np.random.default_rng(3))
    runs = data.frame.with_row_index("row").with_columns(
        study=pl.lit("s"), status=pl.lit("done"), cell_id=pl.format("c{}", "row"), transfer_set=pl.lit("t")
    )
    kept = {"class": data.label.astype(np.uint8), "class_names": np.array(data.class_names), "images": np.array("x")}
    hits = {}
    for row, cell in runs.select("row", "cell_id").iter_rows():
        arrays = kept | {"base": data.bases[0] > 0, "adapted": data.adapted[row] > 0}
        hits[cell] = {f"t/{name}": values for name, values in arrays.items()}
    answer = images(runs.drop("row"), hits, bootstrap=DRAWS)
    by_pair = {(r.method_a, r.method_b): r for r in answer.rows}
    methods, base = by_pair["lora_r8", "full_ft"], by_pair["full_ft", "base"]
    claims = {claim.key: claim.p for claim in answer.claims}
    p = (methods.p, methods.both_p, base.p, base.both_p, claims["images/t/classes/full_ft"],
         claims["images/t/classes/lora_r8-full_ft"])  # fmt: skip
    found = rejected(data, np.random.default_rng(0))
    assert len(found) == len(TESTS)
    assert found[:2] + found[3:] == [value < 0.05 for value in p]  # the bootstrap has other draws here


def test_a_null_study_holds_its_null():
    """The mean over many studies of every difference is 0 within its error."""
    rng = np.random.default_rng(5)
    for condition in CONDITIONS[:4]:
        studies = [null_study(condition, rng) for _ in range(60)]
        change = [s.adapted.mean() - s.bases.mean() for s in studies]
        half = len(METHODS) * len(LRS) * condition.seeds // 2
        differences = [s.adapted[:half].mean() - s.adapted[half:].mean() for s in studies]
        for values in (change, differences):
            assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(60)


def test_the_page_holds_the_bands():
    found = shares()
    assert set(found) == {f"{test}, {condition.name}" for test, condition in product(TESTS, CONDITIONS)}
    for name, share in found.items():
        if "over seeds and images" in name or name.startswith("any class"):
            assert share <= 7.0, name
        if "over seeds, these images" in name:
            assert 2.5 <= share <= 7.5, name


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_the_sizes_are_those_of_the_page_with_another_seed(condition):
    found, page = rejections(condition, 400, seed=4711), shares()
    for test in TESTS:
        share = page[f"{test}, {condition.name}"]
        error = np.sqrt(max(share, 1.0) * (100 - share) * (1 / 400 + 1 / 1000))
        assert abs(found[test] - share) < 4 * error, test
