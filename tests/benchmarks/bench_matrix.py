"""The published matrix on one accelerator: some of its cells as they are, and what all 80 take at that rate.

    python tests/benchmarks/bench_matrix.py FOLDER [--jobs 4] [--seeds 2] [--precision float16] [--eval-precision bf16]

Sizes, epochs and settings of preprint80, with random weights of a ViT-B/32 and drawn pictures of the same kinds: tiles
of 64 pixels in PNG (EuroSAT), photographs of 500 x 375 in JPEG (Pets), 32 pixels in PNG (CIFAR-100). One learning rate
of each group is trained with `heatdrift train`; cells of a group take the same time at every rate. The time to start
(decoding, base, trials of steps) is counted once, the rest for each cell.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import bench_cell
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

KINDS = {  # images, classes, width, height, format
    "eurosat_train": (21600, 10, 64, 64, "PNG"),
    "eurosat_test": (2700, 10, 64, 64, "PNG"),
    "pets_train": (3680, 37, 500, 375, "JPEG"),
    "pets_test": (3669, 37, 500, 375, "JPEG"),
    "cifar_test": (10000, 100, 32, 32, "PNG"),
}
CELLS = 20  # of each group of preprint80: four rates, five seeds


def picture(kind: tuple[int, int, int, int, str], position: int) -> bytes:
    """One picture: coarse noise, so that a JPEG of it is of the usual size."""
    _, _, width, height, form = kind
    rng = np.random.default_rng(position)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((width, height)).save(file, form)
    return file.getvalue()


def write_pictures(folder: Path, name: str, pool: ProcessPoolExecutor) -> None:
    path, kind = folder / f"{name}.parquet", KINDS[name]
    if path.exists():
        return
    encoded = list(pool.map(picture, [kind] * kind[0], range(kind[0]), chunksize=200))
    pq.write_table(pa.table({"image": encoded, "label": np.arange(kind[0]) % kind[1]}), path)


def write_study(folder: Path, precision: str, share: float) -> Path:
    text = f"""
name = "matrix"
protocol = "preprint"
backbone = {{ name = "vitb32", config = "vitb32.json", weights = "vitb32.safetensors" }}
[preprocess]
interpolation = "bilinear"
antialias = true
[train]
epochs = {round(20 * share)}
batch_size = 64
data_seed = 20260416
classifier_init = "torch"
warmup = "from_zero"
loss_mean = "batches"
probe_draw = "randomstate_42"
precision = "{precision}"
[datasets.eurosat]
train = "parquet:eurosat_train.parquet"
test = "parquet:eurosat_test.parquet"
sizes = {{ probe_images = 200 }}
[datasets.pets]
train = "parquet:pets_train.parquet"
test = "parquet:pets_test.parquet"
sizes = {{ probe_images = 200 }}
epochs = {round(30 * share)}
[transfer.cifar]
test = "parquet:cifar_test.parquet"
template = "a photo of a {{}}"
[grid]
dataset = ["eurosat", "pets"]
method = ["full_ft", "lora_r8"]
lr = [1e-6, 5e-6, 1e-5, 5e-5]
seed = [7, 11, 19, 42, 123]
"""
    path = folder / "matrix.toml"
    path.write_text(text)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1, help="cells of each group")
    parser.add_argument("--groups", default="eurosat/full_ft,eurosat/lora_r8,pets/full_ft,pets/lora_r8")
    parser.add_argument("--precision", default="float16")
    parser.add_argument("--eval-precision", default="float32")
    parser.add_argument("--compile", default="auto")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the epochs; times are scaled, which counts too much"
    )
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    bench_cell.write_inputs(given.folder, {"train": 10, "val": 0, "probe": 0, "test": 10, "transfer": 10})
    with ProcessPoolExecutor() as pool:
        for name in KINDS:
            write_pictures(given.folder, name, pool)
    study = write_study(given.folder, given.precision, given.share)
    store = given.folder / f"run-{time.time_ns()}" / "heatdrift.duckdb"
    store.parent.mkdir()
    groups = [group.split("/") for group in given.groups.split(",")]
    pairs = [item for dataset, method in groups for item in ("--dataset", dataset, "--method", method)]
    seeds = [item for seed in (7, 11, 19, 42, 123)[: given.seeds] for item in ("--seed", str(seed))]
    command = [sys.executable, "-m", "heatdrift", "train", "--study", str(study), "--store", str(store), *pairs, *seeds,
               "--lr", "1e-5", "--jobs", str(given.jobs), "--compile", given.compile,
               "--eval-precision", "bf16" if given.eval_precision == "bf16" else "float32"]  # fmt: skip
    started = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    wall = time.perf_counter() - started
    records = [json.loads(path.read_bytes()) for path in store.parent.rglob("record.json")]
    rows = [r for r in records if r.get("status") == "done" and r["study"] == "matrix"]
    how = f"{given.jobs} jobs, {given.precision}, evaluation {given.eval_precision}, {given.compile} steps"
    sys.stdout.write(f"\nexit {code}, {how}, {given.share:g} of the epochs: {len(rows)} cells in {wall:.0f} s\n")
    spent = {}
    for row in rows:
        spent.setdefault((row["cell"]["dataset"], row["cell"]["method"]), []).append(row["wall_s"])
    for (dataset, method), seconds in sorted(spent.items()):
        sys.stdout.write(f"{dataset}/{method}: cells of {', '.join(f'{s:.0f}' for s in sorted(seconds))} s\n")
    if len(spent) == 4:
        total = sum(CELLS * min(seconds) / given.share for seconds in spent.values()) / given.jobs
        first = max(0.0, wall - sum(map(sum, spent.values())) / given.jobs)
        sys.stdout.write(f"80 cells at these times: {(total + first) / 60:.0f} minutes\n")


if __name__ == "__main__":
    main()
