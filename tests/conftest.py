"""Fixtures for all tests: a study that really trains in about a second a cell, and the checkout's neighbours."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stubs import write_image_parquet, write_tiny_backbone

TINY_STUDY = """
name = "tiny"
title = "Two tiny data sets"
protocol = "leakfree"
backbone = { name = "tiny", config = "tiny.json", weights = "tiny.safetensors" }

[train]
epochs = 2
batch_size = 8
data_seed = 5

[datasets.stripes]
train = "parquet:stripes_train.parquet"
test = "parquet:stripes_test.parquet"
sizes = { train = 6, val = 4, probe = 3 }

[datasets.hues]
train = "parquet:hues_train.parquet"
test = "parquet:hues_test.parquet"
sizes = { train = 6, val = 4, probe = 3 }

[transfer.other]
test = "parquet:other.parquet"
track = 10

[grid]
dataset = ["stripes", "hues"]
method = ["full_ft", "lora_r8"]
lr = [1e-4, 1e-2]
seed = [1, 2, 3]
"""


@pytest.fixture(scope="session", autouse=True)
def crop_folder(tmp_path_factory) -> Iterator[Path]:
    """Decoded pictures are kept for this session only, and never in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("HEATDRIFT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_inputs(tmp_path_factory) -> Path:
    """Folder with backbone, images and study.toml; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_backbone(folder)
    for name, classes, per_class, seed in (
        ("stripes_train", 3, 16, 1),
        ("stripes_test", 3, 6, 2),
        ("hues_train", 4, 16, 3),
        ("hues_test", 4, 6, 4),
        ("other", 5, 6, 5),
    ):
        write_image_parquet(folder / f"{name}.parquet", classes=classes, per_class=per_class, size=28, seed=seed)
    (folder / "study.toml").write_text(TINY_STUDY)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real images, models and records that lie beside the checkout on the founders' machines; else skip."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "records").is_dir():
        pytest.skip(f"no real images and records at {folder}; they exist on the founders' machines only")
    return folder


@pytest.fixture(scope="session")
def trained(tiny_inputs, tmp_path_factory) -> Path:
    """Store folder with two really trained cells of the tiny study, ingested; read only."""
    import torch

    from heatdrift.cli.workspace import planned_cells
    from heatdrift.plan.study import load_study
    from heatdrift.provenance import collect
    from heatdrift.store.folder import write_arrays, write_record
    from heatdrift.store.ingest import ingest
    from heatdrift.train.cell import run_cell
    from heatdrift.train.resources import Resources

    folder = tmp_path_factory.mktemp("trained") / "runs"
    study = load_study(str(tiny_inputs / "study.toml"))
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    for cell in planned_cells(study, tiny_inputs)[:2]:
        outcome = run_cell(cell, study=study.name, resources=resources, provenance=collect())
        written = write_record(outcome.record, folder)
        write_arrays(written.path.parent, "hits", outcome.hits)
        write_arrays(written.path.parent, "gallery", outcome.gallery)
    ingest(folder / "heatdrift.duckdb")
    return folder
