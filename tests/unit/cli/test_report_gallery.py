import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from heatdrift.cli.report_gallery import _crop, _png, _sha256, probe_pictures
from heatdrift.cli.workspace import Workspace, planned_cells
from heatdrift.crop_plan import CropPlan, Preprocess
from heatdrift.data.images import LabelledImages
from heatdrift.data.transforms import crops
from heatdrift.plan.study import load_study
from heatdrift.store.folder import read_arrays


@pytest.mark.parametrize("plan", [CropPlan(), CropPlan(interpolation="bilinear"), CropPlan(resize=37)])
@pytest.mark.parametrize("size", [(64, 64), (75, 50), (51, 98), (32, 32), (33, 40)])
def test_the_crop_without_torch_is_the_one_that_was_measured(size, plan):
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    preprocess = Preprocess(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).changed(plan)
    images = LabelledImages(
        source="test", sha256="0", labels=np.zeros(1, dtype=np.int64), class_names=("a",), read=lambda _: picture
    )
    measured = crops(images, np.array([0]), preprocess)[0]
    assert _sha256(_crop(picture, preprocess)) == hashlib.sha256(measured.tobytes()).hexdigest()


def test_a_thumbnail_is_a_small_png():
    png = _png(Image.new("RGB", (224, 224), "red"))
    assert png.startswith(b"\x89PNG")
    assert len(png) < 1000


def test_missing_images_are_said_once_with_what_follows(trained, tiny_inputs, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "runs")
    work = Workspace.of(tmp_path / "runs" / "heatdrift.duckdb")
    study = load_study(str(tiny_inputs / "study.toml"))
    work.keep_plan(study, planned_cells(study, tiny_inputs))
    cells = [path.parent.name for path in work.store_folder.glob("tiny/*/record.json")]
    maps = {cell: read_arrays(work.store_folder / "tiny" / cell, "gallery") for cell in cells}
    assert len(maps) == 2
    plan = work.kept_plan("tiny")
    assert len(probe_pictures(plan, work, "tiny", maps, tiny_inputs)) > 0
    assert capsys.readouterr().err == ""
    assert probe_pictures(plan, work, "tiny", maps, tmp_path) == {}
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("no photographs") == 1
    assert said.startswith("no photographs of stripes: there is no file")
    assert "attention maps are shown without their pictures" in said
    assert "--data-dir" in said
