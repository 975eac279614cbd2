"""What bfloat16 changes in all that is stored, on the same weights and after training, against the spread of seeds.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_eval_precision.py STUDY DATA [--transfer 1000] [--seeds 3] [...]

Each cell is trained once in float32 and measured in both arithmetics (same weights: the selected epoch's), then run
again as a whole with evaluation in bfloat16, and with training in bfloat16. Differences are bfloat16 minus float32, in
the unit of the metric; sd is that over seeds of the float32 runs, pooled over the groups.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import msgspec
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import StudySpec
from heatdrift.plan.cells import select_cells
from heatdrift.plan.study import load_study
from heatdrift.probes.compare import probe_values
from heatdrift.probes.weights import weight_probes
from heatdrift.records import Provenance, RunRecord
from heatdrift.train import cell as cell_module
from heatdrift.train.cell import run_cell
from heatdrift.train.resources import Resources


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def values_of(record: RunRecord) -> dict[str, float]:
    """Everything stored of the selected epoch: means of probes, drifts of those that a base has, accuracies."""
    chosen = next(e for e in record.epochs if e.epoch == record.selected_epoch)
    base = record.epochs[0]
    found = dict(chosen.means) | drifts(base.means, chosen.means)
    found |= {"val_acc_pct": chosen.val_acc_pct, "test_acc_pct": record.test_acc_pct, "train_loss": chosen.train_loss}
    transfer = record.transfer[0]
    found |= {"zero_shot_pct": transfer.adapted_pct, "zero_shot_base_pct": transfer.base_pct,
              "track_zero_shot_pct": chosen.track_zero_shot_pct}  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def drifts(base, means) -> dict[str, float]:
    return {f"delta_{name}_pct": 100 * (means[name] - base[name]) / base[name]
            for name in means if base[name] and means[name] is not None and base[name] not in (0, 1)}  # fmt: skip


def measured_twice(cell, exact: Resources, half: Resources) -> tuple[RunRecord, dict[str, float]]:
    """A run in float32, and what its selected weights give in bfloat16."""
    found: dict[str, float] = {}

    def on_selected(backbone, model) -> None:
        data, transfer = half.target(cell.dataset), half.transfer(cell.transfer[0])
        measured = half.measure(model.visual, data.probe, keep=0)
        weights = weight_probes(backbone.visual, model.visual, model.family.updates(model.visual, backbone.visual))
        base = probe_values(data.base, data.base, weights=dict.fromkeys(weights, 0.0)).means
        means = probe_values(data.base, measured, weights=weights).means
        found.update(means)
        found.update(drifts(base, means))
        classes = half.evaluation.classes(model.visual, transfer.pixels, transfer.text)
        labels = transfer.pixels.labels.numpy()
        found["zero_shot_pct"] = 100 * float((classes == labels).mean())
        found["zero_shot_base_pct"] = 100 * float((transfer.base_class == labels).mean())
        found["val_acc_pct"] = half.evaluation.accuracy_pct(model, data.val)
        if data.test is not None:
            found["test_acc_pct"] = half.evaluation.accuracy_pct(model, data.test)

    outcome = cell_module.run_cell(cell, study="b", resources=exact, provenance=Provenance(), on_selected=on_selected)
    return outcome.record, {name: value for name, value in found.items() if value is not None}


def size_of(differences: list[float]) -> str:
    if not differences:
        return ""
    sizes = [abs(value) for value in differences]
    return f"{fmean(sizes):.2g} ({max(sizes):.2g})"


def variant(study: StudySpec, **train: str) -> StudySpec:
    return msgspec.structs.replace(study, train=msgspec.structs.replace(study.train, **train))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("data", type=Path)
    parser.add_argument("--transfer", type=int, default=None, help="images of the transfer set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dataset")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = load_study(given.study)
    if given.epochs:
        study = variant(study, epochs=given.epochs)
    if given.transfer:
        cut = {name: msgspec.structs.replace(t, n_images=given.transfer) for name, t in study.transfer.items()}
        study = msgspec.structs.replace(study, transfer=cut)
    seeds = study.grids[0].seed[: given.seeds]
    dataset = given.dataset or study.grids[0].dataset[0]
    studies = {"float32": study, "evaluation": variant(study, eval_precision="bfloat16"),
               "training": variant(study, precision="bfloat16")}  # fmt: skip
    kept = {name: Resources.of(s, given.data, torch.device("cpu")) for name, s in studies.items()}
    cells = {name: select_cells(planned_cells(s, given.data), dataset=[dataset], lr=[given.lr], seed=seeds)
             for name, s in studies.items()}  # fmt: skip
    exact, rows = (defaultdict(lambda: defaultdict(list)) for _ in range(2))
    for i, cell in enumerate(cells["float32"]):
        record, same = measured_twice(cell, kept["float32"], kept["evaluation"])
        plain = values_of(record)
        for name, value in same.items():
            if name in plain:
                rows[name]["same weights"].append(value - plain[name])
        for name, value in plain.items():
            exact[name][cell.group].append(value)
        for how in ("evaluation", "training"):
            other = run_cell(cells[how][i], study="b", resources=kept[how], provenance=Provenance()).record
            for name, value in values_of(other).items():
                rows[name][how].append(value - plain[name])
        say(f"{cell.group} seed {cell.seed}: {plain['val_acc_pct']:.1f} % validation")
    say(f"\n{study.name}, {dataset}, lr {given.lr:g}, {len(seeds)} seeds, {study.train.epochs} epochs, "
        f"{len(cells['float32'])} cells; mean and largest |difference|\n")  # fmt: skip
    say("| metric | float32 | same weights | evaluation in bfloat16 | training in bfloat16 | sd over seeds |")
    say("|---|---|---|---|---|---|")
    for name in sorted(rows):
        groups = [values for values in exact[name].values() if len(values) > 1]
        sd = fmean([stdev(values) ** 2 for values in groups]) ** 0.5
        shown = [size_of(rows[name][how]) for how in ("same weights", "evaluation", "training")]
        level = fmean([value for values in exact[name].values() for value in values])
        say(f"| {name} | {level:.4g} | {' | '.join(shown)} | {sd:.2g} |")


if __name__ == "__main__":
    main()
