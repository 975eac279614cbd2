import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import Grid
from heatdrift.crop_plan import CropPlan
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import METHODS
from heatdrift.plan.cells import plan_cells, select_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Cell, Recipe, SplitSizes, TransferPlan

PUBLISHED = {  # keys of [train] that the author of the published matrix sets
    "classifier_init": "torch",
    "warmup": "from_zero",
    "probe_draw": "randomstate_42",
    "probe_mean": "batches_32",
    "loss_mean": "batches",
}


def demo_cells(**changes):
    study = msgspec.structs.replace(load_study("demo"), **changes)
    return plan_cells(study, source_hash=lambda spec: f"sha of {spec.source}", backbone_hash=lambda spec: spec.name)


def test_the_demo_has_eighty_cells_in_grid_order():
    cells = demo_cells()
    assert len(cells) == 80
    assert len({cell.cell_id for cell in cells}) == 80
    assert [cell.seed for cell in cells[:5]] == [7, 11, 19, 42, 123]
    assert cells[0].method == "full_ft"


def test_the_cell_id_is_pinned():
    """A change of this value makes every stored run unknown to its study: raise the c1- prefix if it must happen."""
    cell = Cell(
        backbone="lab",
        backbone_sha256="aa",
        dataset="terrain",
        data_sha256="bb",
        protocol="leakfree",
        method="lora_r8",
        method_spec=METHODS["lora_r8"],
        lr=1e-5,
        seed=7,
        recipe=Recipe(epochs=2, batch_size=8, sizes=SplitSizes(train=2, val=1, probe=1), data_seed=3),
        transfer=(TransferPlan(name="combinations", data_sha256="cc"),),
    )
    assert cell.cell_id == "c1-923858cd8fc4689c"


@pytest.mark.parametrize(
    ("name", "first", "every"),
    [
        ("mini", "c1-24cb8df04b6fd71b", "8346da93ba0ec6e96407aa44aed9585f107446c001c322449584cc1feac50221"),
        ("demo", "c1-ae266ad274e4c2bb", "fb951a3a56d6f78e580a7d9fc8ebef611f712124a6aec9d57422a156ea052397"),
    ],
)
def test_the_ids_of_the_shipped_studies_are_those_of_their_stored_runs(tmp_path, name, first, every):
    """Ids as they were before studies had keys such as [preprocess]: where a key has its default, the id has it not."""
    cells = planned_cells(load_study(name), tmp_path)
    assert cells[0].cell_id == first
    assert hashlib.sha256("\n".join(cell.cell_id for cell in cells).encode()).hexdigest() == every


def test_a_study_that_states_the_crops_of_its_backbone_has_the_same_ids(tmp_path):
    study = load_study("preprint80")
    as_backbone = msgspec.structs.replace(study, preprocess=CropPlan())
    stated = CropPlan(interpolation="bicubic", antialias=True, resize=224, crop=224)
    first, same, other = (
        planned_cells(msgspec.structs.replace(study, preprocess=plan), tmp_path)[0]
        for plan in (CropPlan(), stated, study.preprocess)
    )
    assert first == same == planned_cells(as_backbone, tmp_path)[0]
    assert other.preprocess == CropPlan(interpolation="bilinear")
    assert other.cell_id != first.cell_id
    with pytest.raises(StudyError, match="crop is 336"):
        planned_cells(msgspec.structs.replace(study, preprocess=CropPlan(crop=336)), tmp_path)


def test_the_published_study_is_planned_with_the_authors_settings(tmp_path):
    recipe = planned_cells(load_study("preprint80"), tmp_path)[0].recipe
    assert {key: getattr(recipe, key) for key in PUBLISHED} == PUBLISHED
    for name in ("leakfree78", "backbone16"):
        recipe = planned_cells(load_study(name), tmp_path)[0].recipe
        assert {key: getattr(recipe, key) for key in PUBLISHED} == {**PUBLISHED, "probe_draw": None, "probe_mean": None}


def test_everything_that_decides_the_result_changes_the_id():
    cell = demo_cells()[0]
    recipe = cell.recipe
    changed = [
        msgspec.structs.replace(cell, lr=2e-5),
        msgspec.structs.replace(cell, seed=8),
        msgspec.structs.replace(cell, backbone_sha256="other"),
        msgspec.structs.replace(cell, data_sha256="other"),
        msgspec.structs.replace(cell, recipe=msgspec.structs.replace(recipe, epochs=recipe.epochs + 1)),
        msgspec.structs.replace(cell, recipe=msgspec.structs.replace(recipe, precision="bfloat16")),
        msgspec.structs.replace(cell, transfer=()),
        msgspec.structs.replace(cell, preprocess=CropPlan(interpolation="bilinear")),
        msgspec.structs.replace(cell, preprocess=CropPlan(antialias=False)),
        *(
            msgspec.structs.replace(cell, recipe=msgspec.structs.replace(recipe, **{key: value}))
            for key, value in PUBLISHED.items()
        ),
        msgspec.structs.replace(
            cell, transfer=tuple(msgspec.structs.replace(plan, underscores=True) for plan in cell.transfer)
        ),
    ]
    ids = {c.cell_id for c in changed}
    assert len(ids) == len(changed)
    assert cell.cell_id not in ids


def test_the_id_does_not_depend_on_how_a_number_was_written():
    cell = demo_cells()[0]
    assert msgspec.structs.replace(cell, lr=float("0.00001")).cell_id == msgspec.structs.replace(cell, lr=1e-5).cell_id


def test_a_point_in_two_grids_is_planned_once():
    study = load_study("demo")
    grid = Grid(dataset=("terrain",), method=("full_ft",), lr=(1e-5,), seed=(7, 11))
    assert len(demo_cells(grid=(grid, grid))) == 2
    assert len(study.grids) == 1


@given(st.integers(1, 12))
def test_shards_are_disjoint_and_complete(n):
    cells = demo_cells()
    shards = [select_cells(cells, shard=f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(c.cell_id for shard in shards for c in shard) == sorted(c.cell_id for c in cells)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(shard):
    with pytest.raises(StudyError, match="--shard"):
        select_cells(demo_cells(), shard=shard)


def test_options_select_and_unknown_values_are_named():
    cells = demo_cells()
    chosen = select_cells(cells, dataset=("beetles",), method_name=("lora_r8",), seed=(7,))
    assert len(chosen) == 4
    assert {c.group for c in chosen} == {"beetles/lora_r8"}
    with pytest.raises(UnknownNameError, match="unknown seed '8'"):
        select_cells(cells, seed=(8,))
