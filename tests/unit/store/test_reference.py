import json
from pathlib import Path

import polars as pl
import pytest
from stubs import find_records

from heatdrift.errors import DuplicateRunsError, StoreError
from heatdrift.store.connect import open_store
from heatdrift.store.folder import read_record
from heatdrift.store.importers.reference import import_reference
from heatdrift.store.ingest import ingest
from heatdrift.store.read import read_view

RECORDS = Path(__file__).resolve().parents[3] / "../shared/records/vitb16"
real = pytest.mark.skipif(not RECORDS.is_dir(), reason=f"the reference study's records are not at {RECORDS}")


def attention(value, blocks=2):
    per_layer = [value + 0.1 * i for i in range(blocks)]
    names = {"entropy": 1.0, "erf95": 0.2, "gini": 0.1}
    lists = {f"{n}_per_layer": [k * v for v in per_layer] for n, k in names.items()}
    return lists | {f"{n}_mean": sum(lists[f"{n}_per_layer"]) / blocks for n in names}


@pytest.fixture
def run():
    """A run in the reference format, made by formula."""
    base, after = attention(2.0), attention(2.2)

    def drift(name):
        return 100 * (after[f"{name}_mean"] - base[f"{name}_mean"]) / base[f"{name}_mean"]

    drifts = {f"delta_{name}_pct": drift(name) for name in ("entropy", "erf95", "gini")}
    whole = {"cka_mean": 0.95, "embedding_drift": 0.2, "weight_drift_rel": 0.01}
    means = {k: v for k, v in after.items() if k.endswith("_mean")}
    epoch = {"train_loss": 0.5, "train_acc": 0.8, "transfer_track_acc": 0.3, "transfer_track_retention": 0.6}
    epoch |= {"entropy_per_layer": after["entropy_per_layer"]} | means | drifts | whole
    return {
        "run_id": "R1",
        "config": {
            "dataset": "pets", "method": "lora_r8", "lr": 1e-5, "seed": 7, "epochs": 2, "batch_size": 32,
            "weight_decay": 0.01, "tag": None, "model_name": "openai/clip-vit-base-patch32", "overwrite": False,
            "device": "mps", "num_classes": 10, "splits": {"train": 64, "val": 30, "probe": 20, "test": 50},
            "steps_per_epoch": 2, "total_steps": 4,
        },
        "parameters": {"trainable": 10, "total": 100},
        "diverged": False,
        "baseline": {"attention": base, "transfer_track_acc": 0.5, "transfer": {"cifar100@100": 0.5}},
        "history": [{"epoch": 1, "val_acc": 0.7} | epoch, {"epoch": 2, "val_acc": 0.9} | epoch],
        "selected_epoch": 2,
        "best_val_acc": 0.9,
        "test_acc": 0.85,
        "final": {
            "attention": after,
            "delta_entropy_per_layer_pct": [
                100 * (a - b) / b for a, b in zip(after["entropy_per_layer"], base["entropy_per_layer"], strict=True)
            ],
            "cka_per_layer": [1.000001, 0.899999],
        } | drifts | whole,
        "transfer": {"cifar100": {"accuracy": 0.4, "pretrained": 0.5, "retention": 0.8, "n_images": 100}},
        "corruption_acc": {"blur": 0.6},
        "runtime_seconds": 12.5,
        "environment": {"torch": "2.7.1", "commit": "5e927be"},
    }  # fmt: skip


def write(folder, *runs):
    folder.mkdir(exist_ok=True)
    for i, run in enumerate(runs):
        (folder / f"run{i}.json").write_text(run if isinstance(run, str) else json.dumps(run))
    return folder


def test_every_measured_field_reaches_the_record(run, tmp_path):
    report = import_reference(write(tmp_path / "in", run), tmp_path / "out", "ref")
    assert (report.added, report.problems, report.mismatches) == (1, (), ())
    [path] = find_records(tmp_path / "out", "ref")
    record = read_record(path)
    assert record.cell.backbone == "ViT-B-32-quickgelu/openai"
    assert (record.cell.dataset, record.cell.method, record.cell.lr, record.cell.seed) == ("pets", "lora_r8", 1e-5, 7)
    assert record.cell.recipe.sizes.train is None  # 64 images are no whole number per class
    assert (record.cell.recipe.sizes.val, record.cell.recipe.sizes.probe, record.cell.recipe.data_seed) == (3, 2, None)
    assert (record.n_train, record.n_val, record.n_test, record.n_probe) == (64, 30, 50, 20)
    assert (record.test_acc_pct, record.wall_s, record.selected_epoch) == (85.0, 12.5, 2)
    assert [e.epoch for e in record.epochs] == [0, 1, 2]
    assert [e.val_acc_pct for e in record.epochs] == [None, 70.0, 90.0]
    assert [e.track_zero_shot_pct for e in record.epochs] == [50.0, 30.0, 30.0]
    assert set(record.epochs[1].layers) == {"entropy"}
    assert set(record.epochs[2].layers) == {"entropy", "erf95", "gini", "cka"}
    assert record.epochs[2].layers["cka"] == (1.000001, 0.899999)
    assert (record.transfer[0].base_pct, record.transfer[0].adapted_pct, record.transfer[0].n_images) == (
        50.0,
        40.0,
        100,
    )
    assert (record.robustness[0].corruption, record.robustness[0].acc_pct) == ("blur", 60.0)
    assert (record.provenance.commit, record.provenance.device) == ("5e927be", "mps")
    assert record.provenance.packages == {"torch": "2.7.1"}
    assert "R1" in record.provenance.source
    assert json.loads((path.parent / "source.json").read_bytes()) == run


def test_last_block_of_the_reference_trains_the_projection(run, tmp_path):
    """Its code freezes tower but not projection; records said the projection was frozen."""
    run["config"]["method"] = "last_block"
    import_reference(write(tmp_path / "in", run), tmp_path / "out", "ref")
    [path] = find_records(tmp_path / "out", "ref")
    cell = read_record(path).cell
    assert cell.method == "last_block_proj"
    assert (cell.method_spec.tower, cell.method_spec.projection) == ("last_block", True)


def test_importing_twice_is_importing_once(run, tmp_path):
    source = write(tmp_path / "in", run, run | {"runtime_seconds": 99.0})
    first = import_reference(source, tmp_path / "out", "ref")
    assert (first.added, first.unchanged, first.doubled, first.repeated) == (1, 0, 1, 0)  # they measured the same
    second = import_reference(source, tmp_path / "out", "ref")
    assert (second.added, second.unchanged, second.doubled, second.repeated) == (0, 1, 1, 0)
    assert len(list((tmp_path / "out").rglob("attempts/*.json"))) == 1


def test_files_that_are_no_such_runs_are_named_and_the_others_go_on(run, tmp_path):
    other_model = run | {"config": run["config"] | {"model_name": "openai/clip-vit-large-patch14"}}
    other_method = run | {"config": run["config"] | {"method": "lora_r9"}}
    no_config = {k: v for k, v in run.items() if k != "config"}
    bad_lr = run | {"config": run["config"] | {"lr": -1}}
    twice = run | {"history": run["history"] * 2}
    over = run | {"test_acc": 8.5}
    source = write(tmp_path / "in", "{", "[]", no_config, other_model, other_method, bad_lr, twice, over, run)
    report = import_reference(source, tmp_path / "out", "ref")
    assert report.added == 1
    reasons = {p.path.name: p.reason for p in report.problems}
    assert list(reasons) == [f"run{i}.json" for i in range(8)]
    says = ["reference study", "reference study", "config", "vit-base-patch16", "lora_r8", "learning rate", "$.epochs"]
    for i, text in enumerate([*says, "$.test_acc_pct"]):
        assert text in reasons[f"run{i}.json"]


def test_a_stated_value_that_does_not_follow_is_reported(run, tmp_path):
    run["final"]["delta_gini_pct"] += 1e-6
    run["transfer"]["cifar100"]["retention"] = 0.81
    report = import_reference(write(tmp_path / "in", run), tmp_path / "out", "ref")
    assert [m.field for m in report.mismatches] == ["final.delta_gini_pct", "transfer.cifar100.retention"]
    assert report.mismatches[1].derived == 0.8


def test_a_diverged_run_keeps_its_history(run, tmp_path):
    run |= {
        "diverged": True,
        "selected_epoch": None,
        "final": None,
        "transfer": {},
        "test_acc": None,
        "best_val_acc": None,
    }
    run["history"][1]["train_loss"] = float("nan")
    store = tmp_path / "out" / "heatdrift.duckdb"
    assert import_reference(write(tmp_path / "in", run), tmp_path / "out", "ref").problems == ()
    ingest(store)
    with open_store(store) as connection:
        row = read_view(connection, "runs").row(0, named=True)
        assert (row["status"], row["entropy"], row["retention_pct"], row["last_epoch"]) == ("diverged", None, None, 2)
        assert read_view(connection, "epochs")["train_loss"].to_list() == [None, 0.5, None]


def test_nothing_to_import_is_an_error(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(StoreError, match=r"missing|no JSON"):
            import_reference(path, tmp_path / "out", "ref")
    with pytest.raises(StoreError, match="folder name"):
        import_reference(tmp_path, tmp_path / "out", "../ref")


@real
def test_the_18_real_runs_give_the_files_own_numbers(tmp_path):
    store = tmp_path / "heatdrift.duckdb"
    for added in (18, 0):
        report = import_reference(RECORDS, tmp_path, "vitb16")
        assert (report.added, report.unchanged) == (added, 18 - added)
        assert report.problems == report.mismatches == ()
        assert ingest(store).added == added
    with open_store(store) as connection:
        runs = {(r["method"], r["lr"], r["seed"]): r for r in read_view(connection, "runs").iter_rows(named=True)}
        epochs, layers = read_view(connection, "epochs"), read_view(connection, "layers")
        transfer, robustness = read_view(connection, "transfer"), read_view(connection, "robustness")
    files = [json.loads(p.read_bytes()) for p in sorted(RECORDS.glob("*.json"))]
    assert len(runs) == len(files) == 18
    assert {(r["transfer_classes"], r["chance_pct"]) for r in runs.values()} == {(100, 1.0)}
    for r in runs.values():
        above = 100 * (r["zero_shot_pct"] - 1) / (r["zero_shot_base_pct"] - 1)
        assert r["retention_above_chance_pct"] == pytest.approx(above)
        assert r["retention_above_chance_low_pct"] < above < r["retention_above_chance_high_pct"]
    for file in files:
        config, final = file["config"], file["final"]
        row = runs[config["method"], config["lr"], config["seed"]]
        mine = pl.col("cell_id") == row["cell_id"]
        expected = {
            "entropy": final["attention"]["entropy_mean"],
            "delta_entropy_pct": final["delta_entropy_pct"],
            "delta_entropy_last_pct": final["delta_entropy_per_layer_pct"][-1],
            "delta_erf95_pct": final["delta_erf95_pct"],
            "delta_gini_pct": final["delta_gini_pct"],
            "cka": final["cka_mean"],
            "cka_last": final["cka_per_layer"][-1],
            "embedding_drift": final["embedding_drift"],
            "weight_drift": final["weight_drift_rel"],
            "val_acc_pct": 100 * file["best_val_acc"],
            "test_acc_pct": 100 * file["test_acc"],
            "zero_shot_base_pct": 66.2,
            "zero_shot_pct": 100 * file["transfer"]["cifar100"]["accuracy"],
            "retention_pct": 100 * file["transfer"]["cifar100"]["retention"],
            "wall_s": file["runtime_seconds"],
        }
        assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-12)
        assert (row["selected_epoch"], row["trainable_params"]) == (
            file["selected_epoch"],
            file["parameters"]["trainable"],
        )
        for epoch in file["history"]:
            stored = epochs.filter(mine, pl.col("epoch") == epoch["epoch"]).row(0, named=True)
            for name in ("delta_entropy_pct", "delta_erf95_pct", "delta_gini_pct", "train_loss", "entropy"):
                assert stored[name] == pytest.approx(epoch.get(name, epoch.get(f"{name}_mean")), rel=1e-12)
            assert stored["track_retention_pct"] == pytest.approx(100 * epoch["transfer_track_retention"])
        chosen = layers.filter(mine, pl.col("epoch") == row["selected_epoch"], pl.col("metric") == "entropy").sort(
            "layer"
        )
        assert chosen["delta_pct"].to_list() == pytest.approx(final["delta_entropy_per_layer_pct"], rel=1e-9)
        assert transfer.filter(mine)["transfer_set"].to_list() == ["cifar10", "cifar100"]
        accuracies = dict(robustness.filter(mine).select("corruption", "acc_pct").iter_rows())
        assert accuracies == pytest.approx({k: 100 * v for k, v in file["corruption_acc"].items()})


def test_two_files_of_one_run_with_other_results_are_refused_or_settled(run, tmp_path):
    source, mine = write(tmp_path / "in", run, run | {"test_acc": 0.5, "run_id": "R2"}), tmp_path / "out"
    with pytest.raises(DuplicateRunsError, match=r"run0\.json and run1\.json.*test_acc_pct 85 and 50"):
        import_reference(source, mine, "ref")
    assert not find_records(mine)
    for added, unchanged in ((1, 0), (0, 1)):
        report = import_reference(source, mine, "ref", duplicates="mean")
        assert (report.added, report.unchanged, len(report.duplicates)) == (added, unchanged, 1)
    record = read_record(find_records(mine)[0])
    assert record.test_acc_pct == pytest.approx(67.5)
    assert (record.duplicates.rows, record.duplicates.rule) == (2, "mean")


def test_our_defaults_are_not_shown_as_the_studys_own(run, tmp_path):
    """The file states batch size, epochs and weight decay; of the rest the cell holds defaults, the store nothing."""
    store = tmp_path / "runs" / "heatdrift.duckdb"
    import_reference(write(tmp_path / "in", run), store.parent, study="reference")
    ingest(store)
    with open_store(store, read_only=True) as connection:
        (row,) = read_view(connection, "runs", study="reference").to_dicts()
    assert (row["batch_size"], row["epochs"], row["weight_decay"]) == (32, 2, 0.01)
    hidden = ("warmup_fraction", "clip_norm", "requested_precision", "prompt_template", "precision", "eval_precision")
    assert [row[name] for name in hidden] == [None] * 6
