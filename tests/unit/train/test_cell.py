import math

import msgspec
import numpy as np
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.data import splits
from heatdrift.errors import DataError, ModelError
from heatdrift.image_results import image_results
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance, SplitSizes
from heatdrift.train.cell import run_cell
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.resources import Resources


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture(scope="module")
def cells(study, tiny_inputs):
    return {(c.dataset, c.method, c.lr, c.seed): c for c in planned_cells(study, tiny_inputs)}


@pytest.fixture(scope="module")
def resources(study, tiny_inputs):
    torch.set_num_threads(1)
    return Resources.of(study, tiny_inputs, torch.device("cpu"))


def run(cell, resources, **options):
    return run_cell(cell, study="tiny", resources=resources, provenance=Provenance(), **options)


def metrics(record):
    """Everything measured: all but clocks."""
    return msgspec.structs.replace(record, started_at=None, finished_at=None, wall_s=None)


@pytest.mark.parametrize("method", ["full_ft", "lora_r8"])
def test_a_cell_trains_and_is_measured(cells, resources, method):
    seen = []
    outcome = run(cells["stripes", method, 1e-2, 1], resources, on_epoch=seen.append)
    record = outcome.record
    assert record.status == "done"
    assert seen == [1, 2]
    assert [e.epoch for e in record.epochs] == [0, 1, 2]
    first, last = record.epochs[0], record.epochs[-1]
    assert (first.train_loss, first.train_acc_pct, first.val_acc_pct) == (None, None, None)
    assert last.train_loss < math.log(3)
    assert last.means["weight_drift"] > 0
    assert last.means["cka"] < 1
    assert first.means["map_js"] == 0 < last.means["map_js"] < 1
    assert len(last.layers["entropy"]) == 3
    assert len(last.heads["entropy"][0]) == 4
    assert last.track_zero_shot_pct is not None
    assert record.transfer[0].n_images == 30
    assert outcome.hits["other/adapted"].shape == (30,)
    assert record.transfer[0].adapted_pct == pytest.approx(100 * outcome.hits["other/adapted"].mean())
    kept = image_results(outcome.hits, "other")
    assert len(kept.images) == 64
    assert kept.class_names == record.provenance.class_names["other"]
    assert kept.label.tolist() == resources.transfer(record.cell.transfer[0]).pixels.labels.tolist()
    assert kept.adapted_class.dtype == kept.base_class.dtype == np.uint8
    assert outcome.gallery["adapted_class"].shape == (3, 3, 16)
    assert (record.n_train, record.n_val, record.n_test, record.n_probe) == (18, 12, 18, 9)


def test_the_selected_epoch_is_the_earliest_best_on_validation(cells, resources):
    record = run(cells["hues", "full_ft", 1e-2, 1], resources).record
    accuracies = [e.val_acc_pct for e in record.epochs[1:]]
    assert record.selected_epoch == 1 + accuracies.index(max(accuracies))


@pytest.mark.parametrize("method", ["full_ft", "lora_r8"])
def test_learning_rate_zero_changes_nothing(cells, resources, method):
    """The negative control: drift 0, CKA 1, retention 100."""
    cell = msgspec.structs.replace(cells["stripes", method, 1e-2, 1], lr=0.0)
    outcome = run(cell, resources)
    record = outcome.record
    base, last = record.epochs[0], record.epochs[-1]
    assert record.status == "done"
    for name, value in last.means.items():
        if name in ("cka", "cka_debiased"):
            assert value == pytest.approx(1, abs=1e-12)
        elif name.endswith("_drift"):
            assert value == pytest.approx(0, abs=1e-12)
        else:
            assert value == base.means[name]
    assert record.transfer[0].adapted_pct == record.transfer[0].base_pct
    assert np.array_equal(outcome.hits["other/adapted"], outcome.hits["other/base"])


@pytest.mark.parametrize("method", ["full_ft", "lora_r8"])
def test_the_same_cell_twice_gives_the_same_numbers_bit_for_bit(cells, resources, study, tiny_inputs, method):
    cell = cells["stripes", method, 1e-2, 2]
    fresh = Resources.of(study, tiny_inputs, torch.device("cpu"))
    torch.manual_seed(987)  # whatever state the process is in
    first, second = run(cell, resources), run(cell, fresh)
    assert metrics(first.record) == metrics(second.record)


def test_another_seed_gives_other_numbers(cells, resources):
    one, two = (run(cells["stripes", "full_ft", 1e-2, s], resources).record for s in (1, 2))
    assert one.epochs[-1].means != two.epochs[-1].means
    assert one.epochs[0].means == two.epochs[0].means


def test_adapters_are_live_and_without_them_the_tower_is_the_base(cells, resources):
    checks = run(cells["hues", "lora_r8", 1e-2, 1], resources).record.checks
    assert checks.live
    assert checks.live_max_diff > 1e-3
    assert checks.off_max_diff == 0
    assert run(cells["hues", "full_ft", 1e-2, 1], resources).record.checks is None


def test_a_method_that_takes_no_part_fails_the_run(cells, resources, monkeypatch):
    """A checkpoint that is evaluated through the unmodified model must never count as done."""
    real = resources.measure
    monkeypatch.setattr(
        type(resources),
        "measure",
        lambda self, tower, pixels, keep, groups=None: real(self.backbone.visual, pixels, keep),
    )
    record = run(cells["hues", "lora_r8", 1e-2, 3], resources).record
    assert record.status == "failed"
    assert "the method does not change the tower's output" in record.error


def test_a_diverged_run_keeps_what_it_had(cells, resources):
    cell = msgspec.structs.replace(cells["stripes", "full_ft", 1e-2, 1], lr=1e30)
    outcome = run(cell, resources)
    assert outcome.record.status == "diverged"
    assert "not finite in epoch" in outcome.record.error
    assert outcome.record.epochs[0].means["entropy"] > 0
    assert outcome.hits == {}
    assert outcome.record.test_acc_pct is None


@pytest.mark.parametrize("method", ["full_ft", "lora_r8"])
def test_a_run_that_blows_up_in_the_last_step_of_an_epoch_has_diverged(cells, resources, method):
    """Its loss was finite, the model is not: the cell is diverged, the study goes on."""
    cell = cells["stripes", method, 1e-2, 1]
    recipe = msgspec.structs.replace(cell.recipe, batch_size=18)
    record = run(msgspec.structs.replace(cell, lr=1e30, recipe=recipe), resources).record
    assert record.status == "diverged"
    assert "after epoch 1" in record.error


def test_the_test_split_is_read_once_at_the_selected_epoch(cells, resources, monkeypatch):
    calls = []
    real = Evaluation.accuracy_pct
    data = resources.target("stripes")

    def counted(self, model, pixels):
        calls.append("test" if pixels is data.test else "val" if pixels is data.val else "other")
        return real(self, model, pixels)

    monkeypatch.setattr(Evaluation, "accuracy_pct", counted)
    run(cells["stripes", "full_ft", 1e-2, 1], resources)
    assert calls == ["val", "val", "test"]


def test_missing_images_and_weights_stop_with_a_reason(study, cells, tiny_inputs, tmp_path):
    cell = next(iter(cells.values()))
    with pytest.raises(DataError, match="there is no file"):
        run(cell, Resources.of(study, tmp_path, torch.device("cpu")))
    for image_file in tiny_inputs.glob("*.parquet"):
        (tmp_path / image_file.name).symlink_to(image_file)
    with pytest.raises(ModelError, match="there is no file"):
        run(cell, Resources.of(study, tmp_path, torch.device("cpu")))


def test_the_record_names_what_was_read(cells, resources):
    record = run(cells["stripes", "full_ft", 1e-2, 1], resources).record
    sources = record.provenance.sources
    assert set(sources) == {"backbone", "stripes/train", "stripes/test", "other"}
    assert sources["backbone"].sha256 == record.cell.backbone_sha256
    assert sources["other"].sha256 == record.cell.transfer[0].data_sha256
    assert sources["stripes/test"].n_images == record.n_test


def test_under_preprint_the_test_split_validates_and_no_test_accuracy_is_left(study, tiny_inputs):
    datasets = {
        name: msgspec.structs.replace(spec, sizes=SplitSizes(probe_images=7)) for name, spec in study.datasets.items()
    }
    preprint = msgspec.structs.replace(study, protocol="preprint", datasets=datasets)
    cell = planned_cells(preprint, tiny_inputs)[0]
    assert cell.recipe.select_on == "test"
    record = run(cell, Resources.of(preprint, tiny_inputs, torch.device("cpu"))).record
    assert record.status == "done"
    assert (record.test_acc_pct, record.n_test) == (None, None)
    assert record.n_probe == 7
    assert record.n_val == record.provenance.sources["stripes/test"].n_images == 18
    assert record.n_train == record.provenance.sources["stripes/train"].n_images


def test_each_of_the_authors_settings_changes_the_run_and_is_in_its_record(study, tiny_inputs, monkeypatch):
    """One key at a time against the defaults: it reaches the training, and the cell says that it did."""
    datasets = {
        name: msgspec.structs.replace(spec, sizes=SplitSizes(probe_images=7)) for name, spec in study.datasets.items()
    }
    preprint = msgspec.structs.replace(study, protocol="preprint", datasets=datasets)

    def trained(**keys):
        train = msgspec.structs.replace(preprint.train, warmup_fraction=0.5, batch_size=5, **keys)
        changed = msgspec.structs.replace(preprint, train=train)
        cell = planned_cells(changed, tiny_inputs)[0]
        return run(cell, Resources.of(changed, tiny_inputs, torch.device("cpu"))).record

    default = trained()
    assert default.cell.recipe.choices["classifier at the start"] == "normal"
    for key, value in (("classifier_init", "torch"), ("warmup", "from_zero"), ("loss_mean", "batches")):
        record = trained(**{key: value})
        assert getattr(record.cell.recipe, key) == value
        assert record.cell_id != default.cell_id
        assert record.epochs[1].train_loss != default.epochs[1].train_loss
        assert record.provenance.split_sha256 == default.provenance.split_sha256
    drawn = trained(probe_draw="randomstate_42")
    assert drawn.provenance.split_sha256 != default.provenance.split_sha256
    assert drawn.epochs[1].train_loss == default.epochs[1].train_loss  # the probe set is no part of training
    batches = trained(probe_draw="randomstate_42", probe_mean="batches_32")  # 7 images: one batch, so the same means
    assert batches.cell_id != drawn.cell_id
    for name in ("entropy", "head_diversity", "rollout_entropy", "cka"):
        assert batches.epochs[1].means[name] == pytest.approx(drawn.epochs[1].means[name], rel=1e-9)
    monkeypatch.setattr(splits, "PUBLISHED_BATCH", 4)  # 4 + 3: another mean, but of what compares with the base
    batches = trained(probe_draw="randomstate_42", probe_mean="batches_32")
    for name in ("entropy", "erf95", "gini", "head_diversity", "rollout_entropy"):
        assert batches.epochs[1].means[name] != pytest.approx(drawn.epochs[1].means[name], rel=1e-9)
    assert batches.epochs[1].means["cka"] == pytest.approx(drawn.epochs[1].means["cka"], rel=1e-9)
