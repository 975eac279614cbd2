"""Every `stats` command on a fixed simulated study gives the committed JSON: keys exactly, numbers to 1e-6.

After a wanted change: ``HEATDRIFT_UPDATE_GOLDEN=1 pytest tests/golden/test_stats_json.py``, then read the diff.
"""

import json
import os
from pathlib import Path

import msgspec
import pytest
from simulated_images import simulated_images
from simulated_study import simulated_study

import heatdrift
from heatdrift.questions import QUESTIONS

FOLDER = Path(__file__).parent / "stats"
STUDY = simulated_study()
RUNS = STUDY.runs
COMMANDS = {
    "interaction": lambda: heatdrift.interaction(RUNS, metric="retention_pct"),
    "correlation": lambda: heatdrift.correlation(RUNS, x="delta_erf95_pct", y="retention_pct", bootstrap=200),
    "dose": lambda: heatdrift.dose(RUNS, metrics=["retention_pct", "delta_entropy_pct"]),
    "paired": lambda: heatdrift.paired(RUNS, metrics=["retention_pct", "test_acc_pct"], equivalence=(-2.0, 2.0)),
    "retention": lambda: heatdrift.retention(RUNS, margin=5.0),
    "best": lambda: heatdrift.best(RUNS, metrics=["retention_pct", "test_acc_pct"]),
    "layers": lambda: heatdrift.layers(RUNS, STUDY.layers, STUDY.heads, metrics=["entropy"]),
    "predictors": lambda: heatdrift.predictors(RUNS, STUDY.epochs, bootstrap=200),
    "frontier": lambda: heatdrift.frontier(RUNS, bootstrap=200),
    "images": lambda: heatdrift.images(RUNS, simulated_images(RUNS), bootstrap=200),
    "factors": lambda: heatdrift.factors(RUNS, metric="retention_pct"),
    "power": lambda: heatdrift.power(RUNS, metric="retention_pct", seeds=6, difference=1.0),
}


def rounded(value):
    """Numbers to nine significant digits: the file stays readable and does not move with the last bits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def compare(found, golden, place):
    if isinstance(golden, dict):
        assert list(found) == list(golden), place
        for key in golden:
            compare(found[key], golden[key], f"{place}.{key}")
    elif isinstance(golden, list):
        assert len(found) == len(golden), place
        for i, (a, b) in enumerate(zip(found, golden, strict=True)):
            compare(a, b, f"{place}[{i}]")
    elif isinstance(golden, float):
        assert found == pytest.approx(golden, rel=1e-6, abs=1e-9), place
    else:
        assert found == golden, place


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_gives_the_committed_json(name):
    found = msgspec.json.decode(msgspec.json.encode(COMMANDS[name]()))
    path = FOLDER / f"{name}.json"
    if os.environ.get("HEATDRIFT_UPDATE_GOLDEN"):
        path.write_text(json.dumps(rounded(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        pytest.skip(f"{path} written")
    compare(found, json.loads(path.read_text(encoding="utf-8")), name)


def test_no_file_is_left_over_and_every_command_has_one():
    assert {p.stem for p in FOLDER.glob("*.json")} == set(COMMANDS) == {question.name for question in QUESTIONS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_result_travels_with_its_evidence(name):
    """Count of runs, what was dropped, level, and sentences: the same keys in every result."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    level = found if "conf_level" in found else found["pooled"]
    assert level["conf_level"] == 0.95
    assert found["n_runs"] == 48
    assert found["n_dropped"] == 0
    assert isinstance(found["findings"], list)
    assert isinstance(found["left_out"], list)


# the keys that scripts rely on (docs/questions)
PAIRED = "dataset metric n mean_full_ft mean_lora_r8 difference dz t t_p t_p_holm wilcoxon_p seed_t seed_df seed_p"
DOSE = "dataset method metric n rho p p_exact"
PREDICTORS = "signal when n rho rho_within_dataset_abs rho_within_group_abs rho_within_group"
SELECTION = "dataset signal picked retention_pct oracle random worst n_candidates"


@pytest.mark.parametrize(
    ("name", "rows", "keys"),
    [
        ("paired", "rows", PAIRED),
        ("dose", "rows", DOSE),
        ("predictors", "rows", PREDICTORS),
        ("predictors", "selection", SELECTION),
    ],
)
def test_rows_have_the_keys_of_the_design(name, rows, keys):
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))[rows]
    assert found
    assert all(set(keys.split()) <= set(row) for row in found)
