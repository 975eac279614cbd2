"""METHOD@ALPHA: a run of its own between the base and what another cell trained, which is trained once."""

from pathlib import Path

import msgspec
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import METHODS, method_title
from heatdrift.methods.between import planned_method
from heatdrift.plan.between import parent_cell
from heatdrift.plan.study import load_study
from heatdrift.provenance import collect
from heatdrift.records import Provenance
from heatdrift.store.claims import claim
from heatdrift.store.folder import cell_folder, current_record
from heatdrift.train import worker
from heatdrift.train.cell import run_cell
from heatdrift.train.estimate import cell_seconds
from heatdrift.train.inputs import ImageCounts
from heatdrift.train.resources import Resources
from heatdrift.train.selected_state import FILE, SelectedState, awaited_selected, read_selected, write_selected

STUDY = """
name = "between"
protocol = "leakfree"
backbone = {{ name = "lab" }}

[train]
epochs = 2
batch_size = 16
data_seed = 1

[datasets.terrain]
train = "lab:terrain/train"
test = "lab:terrain/test"
sizes = {{ train = 4, val = 2, probe = 2 }}

[transfer.combinations]
test = "lab:combinations/test"
n_images = 48
track = 24

[grid]
dataset = ["terrain"]
method = [{names}]
lr = [2e-3]
seed = [7]
"""
NAMES = ("full_ft@0", "full_ft@0.5", "full_ft", "full_ft@1", "lora_r8", "lora_r8@0.5")


def study_of(folder, *names):
    path = folder / "between.toml"
    path.write_text(STUDY.format(names=", ".join(f'"{name}"' for name in names)))
    return load_study(str(path))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("between"), *NAMES)


@pytest.fixture(scope="module")
def cells(study):
    return {cell.method: cell for cell in planned_cells(study, Path())}


@pytest.fixture(scope="module")
def resources(study):
    torch.set_num_threads(1)
    return Resources.of(study, Path(), torch.device("cpu"))


@pytest.fixture(scope="module")
def parents(cells, resources):
    """Method -> its outcome, its model, and the state that is kept of it."""
    found = {}
    for name in ("full_ft", "lora_r8"):
        models, states = [], []
        outcome = run_cell(
            cells[name],
            study="between",
            resources=resources,
            provenance=Provenance(),
            on_selected=lambda _b, model, models=models: models.append(model),
            on_trained=lambda cell, state, states=states: states.append((cell, state)),
        )
        ((trained, state),) = states
        assert trained == cells[name]
        found[name] = outcome, models[0], state
    return found


def measured(cell, resources, state, **options):
    models = []
    outcome = run_cell(
        cell,
        study="between",
        resources=resources,
        provenance=Provenance(),
        parent_state=state,
        on_selected=lambda _backbone, model: models.append(model),
        **options,
    )
    return outcome, models[0]


def refuse_training(*_, **__):
    raise AssertionError("trained again")


def test_cells_between_come_last_and_know_who_trains(cells):
    assert list(cells)[:2] == ["full_ft", "lora_r8"]
    assert parent_cell(cells["full_ft"]) is None
    for name in ("full_ft@0", "full_ft@0.5", "full_ft@1"):
        assert parent_cell(cells[name]) == cells["full_ft"]
    assert len({cell.cell_id for cell in cells.values()}) == len(NAMES)


def test_the_ends_of_the_path_are_the_base_and_the_parent(cells, resources, parents, monkeypatch):
    monkeypatch.setattr("heatdrift.train.between_course.run_course", refuse_training)
    parent, _, state = parents["full_ft"]
    base, _ = measured(cells["full_ft@0"], resources, state)
    assert base.record.epochs[-1].means["weight_drift"] == base.record.epochs[-1].means["embedding_drift"] == 0
    assert base.record.transfer[0].adapted_pct == base.record.transfer[0].base_pct
    end, _ = measured(cells["full_ft@1"], resources, state)
    selected = next(e for e in parent.record.epochs if e.epoch == parent.record.selected_epoch)
    mine = end.record.epochs[-1]
    assert (mine.epoch, end.record.selected_epoch) == (selected.epoch, selected.epoch)
    assert (mine.means, mine.layers, mine.heads) == (selected.means, selected.layers, selected.heads)
    assert (mine.val_acc_pct, mine.track_zero_shot_pct) == (selected.val_acc_pct, selected.track_zero_shot_pct)
    assert (end.record.test_acc_pct, end.record.transfer) == (parent.record.test_acc_pct, parent.record.transfer)
    assert {k: v.tobytes() for k, v in end.hits.items()} == {k: v.tobytes() for k, v in parent.hits.items()}
    assert [e.epoch for e in end.record.epochs] == [0, selected.epoch]
    assert (mine.train_loss, mine.train_acc_pct) == (None, None)


def test_half_way_every_weight_has_moved_half_as_far(cells, resources, parents):
    parent, trained, state = parents["full_ft"]
    found, model = measured(cells["full_ft@0.5"], resources, state)
    assert (found.record.status, found.record.cell) == ("done", cells["full_ft@0.5"])
    base = resources.backbone.visual
    for name, weight in model.visual.named_parameters():
        start, end = base.get_parameter(name), trained.visual.get_parameter(name)
        torch.testing.assert_close(weight.detach(), ((start + end) / 2).detach(), atol=1e-6, rtol=1e-5)
    assert torch.equal(model.classifier.weight, trained.classifier.weight)
    drift = {r.record.cell.method: r.record.epochs[-1].means["weight_drift"] for r in (found,)}
    selected = next(e for e in parent.record.epochs if e.epoch == parent.record.selected_epoch)
    assert drift["full_ft@0.5"] == pytest.approx(selected.means["weight_drift"] / 2, rel=1e-4)
    assert found.record.trainable_params == parent.record.trainable_params


def test_an_adapter_is_scaled(cells, resources, parents):
    _, trained, state = parents["lora_r8"]
    found, model = measured(cells["lora_r8@0.5"], resources, state)
    for layer in (m for m in trained.visual.modules() if hasattr(m, "scaling")):
        layer.scaling = {name: value / 2 for name, value in layer.scaling.items()}
    with torch.no_grad():  # the projection is trained in full, so it is drawn back too
        trained.visual.proj.lerp_(resources.backbone.visual.proj, 0.5)
        pictures = resources.normalise(resources.target("terrain").probe.crops)
        torch.testing.assert_close(model.visual(pictures), trained.visual(pictures), atol=1e-5, rtol=1e-4)
    assert found.record.checks is None


def test_without_a_kept_state_it_trains_its_parent_to_the_same_numbers(cells, resources, parents):
    _, _, state = parents["full_ft"]
    trained = []
    known, _ = measured(cells["full_ft@0.5"], resources, state)
    alone, _ = measured(cells["full_ft@0.5"], resources, None, on_trained=lambda cell, s: trained.append((cell, s)))
    assert alone.record.epochs == known.record.epochs
    assert alone.record.test_acc_pct == known.record.test_acc_pct
    ((cell, kept),) = trained
    assert cell == cells["full_ft"]
    assert all(torch.equal(kept.state[name], tensor) for name, tensor in state.state.items())


def test_a_state_comes_back_exactly_and_only_for_its_own_cell(cells, parents, tmp_path):
    _, _, state = parents["lora_r8"]
    assert read_selected(tmp_path, cells["lora_r8"]) is None
    write_selected(tmp_path, cells["lora_r8"], state)
    back = read_selected(tmp_path, cells["lora_r8"])
    assert (back.epoch, back.precision) == (state.epoch, state.precision)
    assert back.state.keys() == state.state.keys()
    assert all(torch.equal(back.state[name], tensor) for name, tensor in state.state.items())
    assert read_selected(tmp_path, cells["full_ft"]) is None
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    assert read_selected(tmp_path, cells["lora_r8"]) is None


def test_it_waits_for_whoever_trains_its_parent(cells, tmp_path):
    state = SelectedState(epoch=1, precision="float32", state={"classifier.bias": torch.zeros(2)})
    held = claim(tmp_path, cells["full_ft"], attempts=0)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            write_selected(tmp_path, cells["full_ft"], state)
            held.release()

    assert awaited_selected(tmp_path, cells["full_ft"], sleep=sleep).epoch == 1
    assert len(naps) == 3


def test_a_worker_trains_a_study_with_models_between_once_a_parent(study, cells, resources, tmp_path, monkeypatch):
    settings = worker.WorkerSettings(
        study=study, store_folder=str(tmp_path), data_folder=".", device="cpu", threads=1, provenance=collect()
    )
    for name in ("lora_r8", "lora_r8@0.5"):
        if "@" in name:
            monkeypatch.setattr("heatdrift.train.between_course.run_course", refuse_training)
        ended = worker.train_task(worker.Task(cell=cells[name]), resources, settings, lambda _event: None)
        assert (ended.status, ended.error) == ("done", None)
    folder = cell_folder(tmp_path, study.name, cells["lora_r8"].cell_id)
    assert (folder / FILE).is_file()
    record = current_record(cell_folder(tmp_path, study.name, cells["lora_r8@0.5"].cell_id))
    assert record.cell.method_spec.alpha == 0.5


def test_a_study_without_models_between_keeps_nothing(tmp_path, resources):
    study = study_of(tmp_path, "linear_probe")
    settings = worker.WorkerSettings(
        study=study, store_folder=str(tmp_path), data_folder=".", device="cpu", threads=1, provenance=collect()
    )
    (cell,) = planned_cells(study, Path())
    worker.train_task(worker.Task(cell=cell), resources, settings, lambda _event: None)
    assert not (cell_folder(tmp_path, study.name, cell.cell_id) / FILE).exists()


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("ful_ft@0.5", UnknownNameError, "ful_ft"),
        ("full_ft@", StudyError, "from 0"),
        ("full_ft@half", StudyError, "from 0"),
        ("full_ft@1.5", StudyError, "from 0"),
        ("full_ft@nan", StudyError, "from 0"),
        ("full_ft@0.50", StudyError, "is written full_ft@0.5"),
        ("full_ft@0.5@0.5", StudyError, "from 0"),
        ("linear_probe@0.5", StudyError, "leaves the tower as it is"),
    ],
)
def test_what_is_no_model_between_is_refused(tmp_path, name, error, said):
    with pytest.raises(error, match=said):
        study_of(tmp_path, "full_ft", name)


def test_a_method_of_before_is_stored_as_it_was():
    assert "alpha" not in msgspec.to_builtins(METHODS["full_ft"])
    assert msgspec.to_builtins(planned_method("full_ft@0.5", METHODS)) == {
        **msgspec.to_builtins(METHODS["full_ft"]), "name": "full_ft@0.5", "alpha": 0.5,
    }  # fmt: skip


def test_words_say_where_on_the_way_it_is():
    assert method_title("full_ft@0.5") == "Full FT, interpolated at 0.5"
    assert method_title("unknown@0.5") == "unknown@0.5"


def test_what_another_cell_trains_costs_its_measurement_alone(cells):
    counts = ImageCounts(train=100, val=10, probe=5, test=20, transfer=30, tracked=0)
    rates = {"train/full_ft@0.5": 9.0, "evaluate": 1.0, "probe": 2.0}
    assert cell_seconds(cells["full_ft@0.5"], counts, rates, trained=True) == 10 + 20 + 30 + 5 * 2
    assert cell_seconds(cells["full_ft@0.5"], counts, rates) > 1800
