"""One cell of heatdrift against the loop that people write (usual_loop.py), by part; ratios in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_cell.py FOLDER [--device cpu] [--method full_ft] [...]

Random weights of a ViT-B/32 and drawn pictures are written to FOLDER. The first cell decodes its pictures, later ones
find them kept. The time of a part is taken around heatdrift's functions, with the device waited for.
"""

import argparse
import io
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import usual_loop
from open_clip.factory import get_model_config
from PIL import Image
from safetensors.torch import save_model
from torch.utils.data import DataLoader

from heatdrift import provenance
from heatdrift.config import SourceSpec, StudySpec, decode_toml
from heatdrift.crop_plan import Preprocess
from heatdrift.data.crop_cache import kept_crops
from heatdrift.data.sources import open_source
from heatdrift.plan.cells import plan_cells
from heatdrift.train import cell as cell_module
from heatdrift.train import course as course_module
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.loop import Normaliser, PixelSet
from heatdrift.train.resources import Resources

CLASSES = 10
PARTS = {
    "train": [(course_module, "train_epoch")],
    "evaluate": [(Evaluation, "accuracy_pct"), (Evaluation, "classes"), (course_module, "frozen_accuracy_pct"),
                 (cell_module, "frozen_accuracy_pct")],
    "probe": [(Resources, "measure")],
}  # fmt: skip


def write_inputs(folder: Path, sizes: dict[str, int]) -> None:
    """Weights and pictures, unless they are there: noise, 64 pixels, PNG, as EuroSAT's tiles are small."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vitb32.safetensors").exists():
        config = {**get_model_config("ViT-B-32-quickgelu"), "quick_gelu": True}
        (folder / "vitb32.json").write_bytes(msgspec.json.encode(config))
        torch.manual_seed(0)
        save_model(open_clip.CLIP(**config), str(folder / "vitb32.safetensors"))
    rng = np.random.default_rng(0)
    for name, n in (("train", sizes["train"] + sizes["val"] + sizes["probe"]), ("test", sizes["test"]),
                    ("transfer", sizes["transfer"])):  # fmt: skip
        path = folder / f"{name}_{n}.parquet"
        if path.exists():
            continue
        encoded = []
        for _ in range(n):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
            encoded.append(file.getvalue())
        pq.write_table(pa.table({"image": encoded, "label": np.arange(n) % CLASSES}), path)


def study(folder: Path, sizes: dict[str, int], given) -> StudySpec:
    train = f"train_{sizes['train'] + sizes['val'] + sizes['probe']}.parquet"
    per = {name: sizes[name] // CLASSES for name in ("train", "val", "probe")}
    text = f"""
name = "bench"
protocol = "leakfree"
backbone = {{ name = "vitb32", config = "vitb32.json", weights = "vitb32.safetensors" }}
[train]
epochs = {given.epochs}
batch_size = {given.batch}
data_seed = 1
precision = "{given.precision}"
[datasets.tiles]
train = "parquet:{train}"
test = "parquet:test_{sizes["test"]}.parquet"
sizes = {{ train = {per["train"]}, val = {per["val"]}, probe = {per["probe"]} }}
[transfer.other]
test = "parquet:transfer_{sizes["transfer"]}.parquet"
track = {sizes["track"]}
[grid]
dataset = ["tiles"]
method = ["{given.method}"]
lr = [1e-5]
seed = [1, 2]
"""
    return decode_toml(text.encode(), StudySpec, "bench")


class Clock:
    """Seconds by part; a part that is entered inside another counts for itself only."""

    def __init__(self, device):
        self.device, self.spent = device, {}

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @contextmanager
    def part(self, name):
        self.wait()
        started = time.perf_counter()
        yield
        self.wait()
        self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - started


def _timed(clock: Clock, part: str, function):
    def timed(*positional, **named):
        with clock.part(part):
            return function(*positional, **named)

    return timed


@contextmanager
def watched(clock: Clock):
    """Time heatdrift's functions while the context is open."""
    kept = []
    for part, places in PARTS.items():
        for place, name in places:
            function = getattr(place, name)
            kept.append((place, name, function))
            setattr(place, name, _timed(clock, part, function))
    try:
        yield
    finally:
        for place, name, function in kept:
            setattr(place, name, function)


def ours(folder: Path, sizes, given, device) -> list[dict[str, float]]:
    """Parts of two cells, the first of which decodes, and their whole."""
    spec = study(folder, sizes, given)
    resources = Resources.of(spec, folder, device, crop_folder=folder / f"crops-{time.time_ns()}")
    resources.compile = given.compile
    resources.on_problem = say
    rows = []
    for cell in plan_cells(spec, source_hash=lambda _: "0" * 64, backbone_hash=lambda _: "0" * 64):
        clock = Clock(device)
        with watched(clock), clock.part("whole"):
            cell_module.run_cell(cell, study="bench", resources=resources, provenance=provenance.collect())
        rows.append(clock.spent)
    return rows


def theirs(folder: Path, sizes, given, device) -> dict[str, float]:
    """Parts of the usual loop, and its whole."""
    whole = sizes["train"] + sizes["val"] + sizes["probe"]
    tables = {name: pq.read_table(folder / f"{name}_{n}.parquet").to_pydict()
              for name, n in (("train", whole), ("test", sizes["test"]), ("transfer", sizes["transfer"]))}  # fmt: skip

    def cut(name, start, n):
        return tables[name]["image"][start : start + n], tables[name]["label"][start : start + n]

    sets = {"train": cut("train", 0, sizes["train"]), "val": cut("train", sizes["train"], sizes["val"]),
            "probe": cut("train", sizes["train"] + sizes["val"], sizes["probe"]), "test": cut("test", 0, sizes["test"]),
            "transfer": cut("transfer", 0, sizes["transfer"]), "track": cut("transfer", 0, sizes["track"])}  # fmt: skip
    clock, marks = Clock(device), []

    def on_part(name):
        clock.wait()
        marks.append((name, time.perf_counter()))

    with clock.part("whole"):
        usual_loop.run(
            sets, method=given.method, classes=CLASSES, epochs=given.epochs, batch=given.batch, device=device,
            workers=given.workers, bfloat16=given.precision == "bfloat16", on_part=on_part,
        )  # fmt: skip
    for (name, start), (_, end) in pairwise(marks):
        clock.spent[name] = clock.spent.get(name, 0.0) + end - start
    return clock.spent


def data_path(folder: Path, sizes, given) -> tuple[float, float]:
    """Images a second through the usual DataLoader, and through kept crops with flip and normalisation."""
    n = sizes["test"]
    table = pq.read_table(folder / f"test_{n}.parquet").to_pydict()
    started = time.perf_counter()
    for _ in DataLoader(usual_loop.Pictures(table["image"], table["label"], train=True), given.batch):
        pass
    usual = n / (time.perf_counter() - started)
    preprocess = Preprocess(size=224, mean=usual_loop.MEAN, std=usual_loop.STD)
    images = open_source(SourceSpec(source=f"parquet:test_{n}.parquet"), folder)
    positions = np.arange(n)
    kept_crops(images, positions, preprocess, folder / "crops-data")
    normalise = Normaliser.of(preprocess, torch.device("cpu"))
    started = time.perf_counter()
    crops = torch.from_numpy(kept_crops(images, positions, preprocess, folder / "crops-data"))
    pixels = PixelSet(crops=crops, labels=torch.from_numpy(images.labels))
    for chosen in torch.split(torch.randperm(n), given.batch):
        pixels.inputs(chosen, torch.rand(len(chosen)) < 0.5, normalise)
    return usual, n / (time.perf_counter() - started)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--method", default="full_ft")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", default="off")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--images", type=int, default=60, help="training images; other sets in proportion")
    given = parser.parse_args()
    n = given.images
    sizes = {"train": n, "val": n // 3 // 10 * 10, "probe": n // 3 // 10 * 10, "test": n, "transfer": 2 * n, "track": n}
    device = torch.device(given.device)
    write_inputs(given.folder, sizes)
    usual, kept = data_path(given.folder, sizes, given)
    say(f"data path, images/s: DataLoader {usual:.0f}, kept crops {kept:.0f}, ratio {kept / usual:.1f}")
    first, second = ours(given.folder, sizes, given, device)
    loop = theirs(given.folder, sizes, given, device)
    say(f"\n{given.method}, {given.precision}, {given.device}, {n} training images, {given.epochs} epochs, seconds\n")
    say("| part | usual loop | heatdrift, first cell | next cell | ratio (usual / next) |\n|---|---|---|---|---|")
    for part in ("train", "evaluate", "probe", "whole"):
        row = [loop[part], first[part], second[part], loop[part] / second[part]]
        say(f"| {part} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    main()
