"""Evaluation in bfloat16, and when memory is short."""

import msgspec
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.methods import METHODS
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train.cell import run_cell
from heatdrift.train.resources import Resources


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


def resources_of(study, folder):
    torch.set_num_threads(1)
    return Resources.of(study, folder, torch.device("cpu"))


def in_bfloat16(study):
    return msgspec.structs.replace(study, train=msgspec.structs.replace(study.train, eval_precision="bfloat16"))


def run(cell, resources):
    return run_cell(cell, study="tiny", resources=resources, provenance=Provenance()).record


def short_of_memory(tower, limit, error):
    """Let a tower fail on batches of more than `limit` images; return the sizes that it was given."""
    sizes = []

    def check(_module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > limit:
            raise error

    tower.register_forward_pre_hook(check)
    return sizes


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_in_evaluation_takes_smaller_batches_and_says_so(study, tiny_inputs, error):
    plain, short = resources_of(study, tiny_inputs), resources_of(study, tiny_inputs)
    said = []
    short.on_problem = said.append
    cell = planned_cells(study, tiny_inputs)[0]
    sizes = short_of_memory(short.backbone.visual, 5, error)
    found = short.transfer(cell.transfer[0])
    assert found.base_class.tolist() == plain.transfer(cell.transfer[0]).base_class.tolist()
    assert max(size for size in sizes if size <= 5) == 3  # 250, 125, 62, 31, 15, 7, 3
    assert said[0] == "out of memory in evaluation: batches of 125 images instead of 250 from now on"
    assert len(said) == 6
    measured, expected = (r.target(cell.dataset).base for r in (short, plain))
    assert said[6] == "out of memory in probe: batches of 25 images instead of 50 from now on"
    for name, value in expected.heads.items():
        torch.testing.assert_close(measured.heads[name], value, atol=1e-6, rtol=0)
    before = len(said)
    short.evaluation.classes(short.backbone.visual, found.pixels, found.text)
    assert len(said) == before, "a size that did not fit is not tried again"


def test_what_does_not_fit_image_by_image_and_other_errors_are_raised(study, tiny_inputs):
    resources = resources_of(study, tiny_inputs)
    plan = planned_cells(study, tiny_inputs)[0].transfer[0]
    short_of_memory(resources.backbone.visual, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        resources.transfer(plan)
    other = resources_of(study, tiny_inputs)
    sizes = short_of_memory(other.backbone.visual, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        other.transfer(plan)
    assert sizes == [30], "an error that is not about memory is not tried again"


def test_a_cell_measured_in_bfloat16_is_another_cell_and_says_so(study, tiny_inputs):
    half = in_bfloat16(study)
    cells = [planned_cells(s, tiny_inputs)[0] for s in (study, half)]
    assert cells[0].cell_id != cells[1].cell_id
    assert (cells[0].recipe.eval_precision, cells[1].recipe.eval_precision) == (None, "bfloat16")
    plain, other = (run(cell, resources_of(s, tiny_inputs)) for cell, s in zip(cells, (study, half), strict=True))
    assert (plain.provenance.eval_precision, other.provenance.eval_precision) == ("float32", "bfloat16")
    assert (plain.provenance.precision, other.provenance.precision) == ("float32", "float32")
    assert other.status == "done"
    assert [e.train_loss for e in other.epochs] == [e.train_loss for e in plain.epochs], "training stays what it was"
    before, after = plain.epochs[0], other.epochs[0]
    assert after.means["entropy"] != before.means["entropy"]
    assert after.means["entropy"] == pytest.approx(before.means["entropy"], rel=0.01)
    assert after.means["cka"] == pytest.approx(1, abs=1e-12), "the base is measured in the same arithmetic"


@pytest.mark.parametrize("method", ["full_ft", "lora_r8", "last_block", "linear_probe"])
def test_nothing_drifts_at_learning_rate_zero_in_bfloat16_either(study, tiny_inputs, method):
    half = in_bfloat16(study)
    cell = planned_cells(half, tiny_inputs)[0]
    cell = msgspec.structs.replace(cell, lr=0.0, method=method, method_spec=METHODS[method])
    record = run(cell, resources_of(half, tiny_inputs))
    assert record.status == "done"
    base, last = record.epochs[0].means, record.epochs[-1].means
    assert last["embedding_drift"] == last["map_js"] == 0
    assert last["entropy"] == base["entropy"]
    assert record.transfer[0].adapted_pct == record.transfer[0].base_pct
