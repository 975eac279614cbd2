"""What a method adds to the loss: its value and gradient, that each kind of step has it, which images it may see."""

import copy
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import DataError, HeatdriftError, StudyError, UnknownNameError
from heatdrift.methods import METHODS, method_title
from heatdrift.methods.families.distill import Distill
from heatdrift.methods.families.l2sp import L2Sp
from heatdrift.model.adapt import adapt
from heatdrift.plan.study import load_study
from heatdrift.plan.unlabelled import check_other_content
from heatdrift.records import Provenance
from heatdrift.train.cell import run_cell
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.penalty import penalised, with_others
from heatdrift.train.resources import Resources
from heatdrift.train.step import WARM_UP, CapturedStep, PlainStep, adamw
from heatdrift.train.step_choice import tried
from heatdrift.train.unlabelled import refuse_shared

STUDY = """
name = "held"
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

[unlabelled]
{name} = "{source}"

[methods.l2sp_0]
kind = "l2sp"
strength = 0

[methods.distill_0]
kind = "distill"
strength = 0

[methods.distill_others]
kind = "distill"
images = "{images}"
strength = 5

[grid]
dataset = ["terrain"]
method = ["full_ft", "l2sp_0", "distill_0", "distill_others"]
lr = [2e-3]
seed = [7]
"""
CLASSES = 5


def study_file(folder: Path, *, name="others", source="lab:beetles/train", images="others") -> str:
    path = folder / "held.toml"
    path.write_text(STUDY.format(name=name, source=source, images=images))
    return str(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(study_file(tmp_path_factory.mktemp("held")))


@pytest.fixture(scope="module")
def cells(study):
    return {cell.method: cell for cell in planned_cells(study, Path())}


@pytest.fixture(scope="module")
def resources(study):
    torch.set_num_threads(1)
    return Resources.of(study, Path(), torch.device("cpu"))


def model_of(backbone, family, *, moved=0.05):
    model = adapt(backbone, family.stored("tested"), CLASSES, classifier_seed=1, adapter_seed=2)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.visual.parameters():
            parameter.add_(moved * torch.randn(parameter.shape, generator=generator))
    return model


class Reads(TorchDispatchMode):
    """Counts what would make an accelerator wait: a number that Python reads off a tensor."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs or {})


def test_l2sp_is_half_the_squared_distance_and_draws_back_to_the_start(backbone, pixels):
    model = model_of(backbone, L2Sp(strength=0.3))
    start = dict(backbone.visual.named_parameters())
    penalty = model.family.penalty(model.visual, backbone.visual)(pixels, None)
    moved = {name: p.detach() - start[name] for name, p in model.visual.named_parameters()}
    wanted = 0.15 * sum(float(m.double().square().sum()) for m in moved.values())
    assert float(penalty.detach()) == pytest.approx(wanted, rel=1e-5)
    penalty.backward()
    for name, parameter in model.visual.named_parameters():
        torch.testing.assert_close(parameter.grad, 0.3 * moved[name])
    assert model.classifier.weight.grad is None


def test_l2sp_leaves_out_a_projection_that_is_not_trained(backbone, pixels):
    model = model_of(backbone, L2Sp(projection=False))
    model.family.penalty(model.visual, backbone.visual)(pixels, None).backward()
    assert model.visual.proj.grad is None


def test_distillation_is_two_minus_two_cosines_and_its_gradient_is_that_of_differences(backbone, pixels):
    model = model_of(backbone, Distill(strength=4.0), moved=0.02)
    penalty = model.family.penalty(model.visual, backbone.visual)
    with torch.no_grad():
        cosine = torch.cosine_similarity(model.visual(pixels), backbone.visual(pixels), dim=-1)
    value = penalty(pixels, model.visual(pixels))
    assert float(value.detach()) == pytest.approx(4.0 * float((2 - 2 * cosine).mean()), rel=1e-3)
    value.backward()
    assert all(p.grad is None for p in backbone.visual.parameters())
    weight = model.visual.proj
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(9))
    along, size = float((weight.grad * direction).sum()), 1e-3
    ends = []
    with torch.no_grad():
        for side in (size, -2 * size):
            weight.add_(side * direction)
            ends.append(float(penalty(pixels, model.visual(pixels))))
    assert along == pytest.approx((ends[0] - ends[1]) / (2 * size), rel=2e-2)


def test_nothing_is_added_where_nothing_has_moved(backbone, pixels):
    for family in (L2Sp(), Distill()):
        model = model_of(backbone, family, moved=0.0)
        value = model.family.penalty(model.visual, backbone.visual)(pixels, model.visual(pixels))
        assert float(value.detach()) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("family", [L2Sp(), Distill()])
def test_a_penalty_reads_nothing_back(backbone, pixels, family):
    held = penalised(model_of(backbone, family), backbone.visual)
    with Reads() as reads:
        scores, penalty = held(pixels, len(pixels))
        penalty.backward()
    assert reads.n == 0
    assert scores.shape == (len(pixels), CLASSES)
    with Reads() as reads:
        float(penalty.detach())
    assert reads.n == 1


@pytest.mark.parametrize("family", [L2Sp, Distill])
@pytest.mark.parametrize("strength", [-1.0, float("inf"), float("nan")])
def test_a_strength_that_means_nothing_is_refused(family, strength):
    with pytest.raises(StudyError, match="strength"):
        family(strength=strength)


def trained(cell, resources, **options):
    return run_cell(cell, study="held", resources=resources, provenance=Provenance(), **options)


def test_strength_0_is_full_fine_tuning_to_the_last_bit(cells, resources):
    full = trained(cells["full_ft"], resources)
    for name in ("l2sp_0", "distill_0"):
        none = trained(cells[name], resources)
        assert none.record.epochs == full.record.epochs
        assert none.record.test_acc_pct == full.record.test_acc_pct
        assert {k: v.tobytes() for k, v in none.hits.items()} == {k: v.tobytes() for k, v in full.hits.items()}


def test_images_of_their_own_are_recorded_hold_the_embeddings_and_survive_a_kill(cells, resources, tmp_path):
    full, held = trained(cells["full_ft"], resources), trained(cells["distill_others"], resources)
    assert held.record.epochs[-1].means["embedding_drift"] < full.record.epochs[-1].means["embedding_drift"]
    source = held.record.provenance.sources["unlabelled/others"]
    assert (source.source, source.n_images) == ("lab:beetles/train", len(resources.unlabelled(cells["distill_others"])))
    assert source.sha256 == cells["distill_others"].unlabelled_sha256
    assert "unlabelled/others" not in full.record.provenance.sources

    class KilledError(Exception):
        pass

    def stop(epoch):
        if epoch == 2:
            raise KilledError

    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    with pytest.raises(KilledError):
        trained(cells["distill_others"], resources, checkpoint=checkpoint, on_epoch=stop)
    resumed = trained(cells["distill_others"], resources, checkpoint=checkpoint)
    assert resumed.record.provenance.resumed_after == (1,)
    assert resumed.record.epochs == held.record.epochs


@pytest.mark.parametrize(("family", "others"), [(L2Sp(strength=50.0), 0), (Distill(strength=5.0), 0), (Distill(), 4)])
def test_a_captured_step_has_the_penalty(backbone, pixels, family, others):
    """A recorder in place of the graph: what it replays is the same Python, on the same fixed tensors."""
    model, n = model_of(backbone, family), 4
    x = with_others(pixels[:n], pixels[-others:] if others else None)
    labels = torch.arange(n) % CLASSES
    ends = {}
    for kind in ("plain", "captured", "without"):
        own = copy.deepcopy(model)
        held = None if kind == "without" else penalised(own, backbone.visual)
        optimizer = adamw(own.trained(), lr=1e-2, weight_decay=0.0, device=x.device, captured=kind == "captured")
        step = PlainStep(own.logits, own.trained(), optimizer, clip_norm=1.0, bfloat16=False, penalised=held)
        if kind == "captured":
            step = CapturedStep(step, n, lambda run: (run(), run)[1])
        given = x[:n] if kind == "without" else x
        losses = [float(step(given, labels).loss) for _ in range(WARM_UP + 2)]
        ends[kind] = losses
    # the recorder's first call is a step of its own, so the captured course is one step ahead after the warm-up
    assert ends["captured"][:WARM_UP] == ends["plain"][:WARM_UP]
    assert ends["captured"][WARM_UP] == ends["plain"][WARM_UP + 1]
    assert ends["without"][0] == pytest.approx(ends["plain"][0])  # the loss that is reported has no penalty
    assert ends["without"][WARM_UP] != ends["plain"][WARM_UP]


def test_a_trial_of_steps_trains_with_the_penalty(backbone, pixels):
    model, labels = model_of(backbone, L2Sp(strength=50.0)), torch.arange(len(pixels)) % CLASSES
    options = {"lr": 1e-2, "clip_norm": 1.0, "precision": "float32"}
    without, _ = tried("plain", model, pixels, labels, **options)
    having, _ = tried(
        "plain", model, pixels, labels, penalised=lambda trial: penalised(trial, backbone.visual), **options
    )
    assert without[0] == having[0]
    assert without[-1] != having[-1]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"images": "other"}, UnknownNameError, "other"),
        ({"name": "train"}, StudyError, "the word for the images that a cell trains on"),
        ({"source": "lab:combinations/test"}, StudyError, "is transfer set combinations"),
        ({"source": "lab:terrain/test"}, StudyError, "is the test split of terrain"),
    ],
)
def test_names_of_nothing_and_images_that_are_tested_on_are_refused(tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        load_study(study_file(tmp_path, **options))


def test_the_same_content_under_another_name_is_refused(study):
    with pytest.raises(HeatdriftError, match="has the images of transfer set combinations"):
        check_other_content(study, lambda source: source.source if "terrain" in source.source else "same")


def test_a_copied_transfer_image_is_found_among_others():
    crops = torch.randint(0, 255, (6, 3, 4, 4), dtype=torch.uint8)
    refuse_shared("others", crops[:3], "transfer", crops[3:])
    with pytest.raises(DataError, match="others has 2 images of transfer set transfer"):
        refuse_shared("others", crops[:5], "transfer", crops[3:])


def test_only_cells_that_see_other_images_carry_their_hash(cells):
    assert {name for name, cell in cells.items() if cell.unlabelled_sha256} == {"distill_others"}


def test_titles_say_what_holds_the_tower():
    assert Distill(images="others", strength=2).title() == "Full FT, distilled 2 on others"
    assert method_title("full_ft_l2sp") == "Full FT, L2-SP 0.1"
    assert METHODS["full_ft_l2sp"].parameters == {"strength": 0.1, "projection": True}
