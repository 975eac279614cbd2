"""The words of docs/schema.md for views and columns that the metrics table does not describe already."""

from typing import Final, NamedTuple

from heatdrift.metrics import PROBES
from heatdrift.store.read import View


class Words(NamedTuple):
    """Unit (empty = none), meaning, and when the column is NULL ("never" where it always has a value)."""

    unit: str
    meaning: str
    null: str


AT_SELECTED: Final = ", at the selected epoch"
_NO_SELECTION: Final = "not measured, or the run has no selected epoch"
_UNKNOWN: Final = "imported from a source that did not keep it"
_WITHOUT_BASE: Final = ", ".join(p.name for p in PROBES if p.per_layer and not p.has_base)

VIEW_TEXT: Final[dict[View, str]] = {
    "runs": "One row per study and cell: its current attempt. Result columns are taken at the selected epoch.",
    "epochs": "One row per run and epoch; epoch 0 is the base, before training.",
    "layers": "One row per run, epoch, block (0 = first) and metric.",
    "heads": "One row per run, epoch, block, attention head and metric.",
    "transfer": "One row per run and transfer set: zero-shot accuracy at the selected epoch.",
    "robustness": "One row per run and image corruption: test accuracy at the selected epoch.",
    "attempts": "One row per execution of a cell; `current` marks the one that `runs` shows.",
    "cells": "One row per study, backbone, data set, method and learning rate: averages of the done runs over seeds.",
    "further": "One row per run and further metric: results under names of their own, from an imported table.",
    "reference_points": "One row per pretrained model, data set and metric of an imported result table; no runs.",
}

COLUMNS: Final[dict[tuple[str, str], Words]] = {
    # keys and settings, the same in every view that has them
    ("", "study"): Words("", "name of the study", "never"),
    ("", "cell_id"): Words(
        "", "hash of all that decides the result; the same cell has the same id in every study", "never"
    ),
    ("", "protocol"): Words(
        "",
        "how the data were split and the epoch selected: leakfree or preprint; imported runs: as their source says",
        "never",
    ),
    ("", "backbone"): Words("", "pretrained model: open_clip name and tag, or the name of one given by paths", "never"),
    ("", "dataset"): Words("", "target data set", "never"),
    ("", "method"): Words("", "what was trained: full_ft, lora_r8, ...", "never"),
    ("", "lr"): Words("1", "peak learning rate", "never"),
    ("", "seed"): Words("", "training seed (classifier, data order, flips, dropout)", "never"),
    ("", "status"): Words("", "done, diverged or failed", "never"),
    ("", "error"): Words("", "why the run failed or diverged", "it is done"),
    ("", "attempt"): Words("count", "which execution of the cell this is, from 1", "never"),
    ("", "origin"): Words("", "who measured: heatdrift, or the format that was imported", "never"),
    ("", "epochs"): Words("count", "epochs to train", _UNKNOWN),
    ("", "last_epoch"): Words("count", "last epoch that was measured", "none was"),
    ("", "selected_epoch"): Words(
        "count", "earliest epoch of highest validation accuracy", "the run did not get that far"
    ),
    ("", "select_on"): Words(
        "",
        "split that selects the epoch: val; test under protocol preprint (val_acc_pct is then on test)",
        _UNKNOWN,
    ),
    ("", "batch_size"): Words("images", "images per step", _UNKNOWN),
    ("", "weight_decay"): Words("1", "AdamW weight decay on all trained parameters", _UNKNOWN),
    ("", "warmup_fraction"): Words("fraction", "part of all steps with rising learning rate", _UNKNOWN),
    ("", "clip_norm"): Words("1", "gradient norm limit", _UNKNOWN),
    ("", "train_per_class"): Words("images", "training images per class", "all of the split, or not balanced"),
    ("", "val_per_class"): Words("images", "validation images per class", "all of the split, or not balanced"),
    ("", "probe_per_class"): Words("images", "probe images per class", "all of the split, or not balanced"),
    ("", "probe_images"): Words("images", "probe images in all (protocol preprint)", "they are counted per class"),
    ("", "data_seed"): Words("", "seed of splits and transfer subsets", _UNKNOWN),
    ("", "requested_precision"): Words("", "arithmetic asked for in training", _UNKNOWN),
    # results of a run
    ("", "trainable_params"): Words("count", "parameters that were trained, classifier included", "not counted"),
    ("", "total_params"): Words("count", "all parameters", "not counted"),
    ("runs", "train_loss"): Words("nats", f"mean cross-entropy of the epoch's batches{AT_SELECTED}", _NO_SELECTION),
    ("runs", "val_acc_pct"): Words("%", f"validation accuracy{AT_SELECTED} (which it selected)", _NO_SELECTION),
    ("", "test_acc_pct"): Words("%", f"test accuracy{AT_SELECTED}, read once", _NO_SELECTION),
    ("", "val_acc_se_pct"): Words("% points", "binomial standard error of val_acc_pct", "accuracy or n_val is NULL"),
    ("", "test_acc_se_pct"): Words("% points", "binomial standard error of test_acc_pct", "accuracy or n_test is NULL"),
    ("", "zero_shot_se_pct"): Words("% points", "binomial standard error of zero_shot_pct", "zero_shot_pct is NULL"),
    ("", "transfer_set"): Words(
        "", "labelled images used for zero-shot only; in runs the cell's first one", "the cell has none"
    ),
    ("", "zero_shot_base_pct"): Words("%", "zero-shot accuracy of the base on transfer_set", _NO_SELECTION),
    ("", "zero_shot_pct"): Words(
        "%", f"zero-shot accuracy of the adapted model on transfer_set{AT_SELECTED}", _NO_SELECTION
    ),
    ("", "retention_pct"): Words(
        "% of base", "100 x adapted / base zero-shot accuracy on the same images", "not measured, or base is 0"
    ),
    ("", "chance_pct"): Words("%", "accuracy of guessing on the transfer set: 100 / classes", "classes are not known"),
    ("", "retention_above_chance_pct"): Words(
        "% of base above chance",
        "100 x (adapted - chance) / (base - chance) on the same images",
        "classes are not known, or the base's 95 % interval includes chance or lies below it",
    ),
    ("", "retention_above_chance_low_pct"): Words(
        "% of base above chance",
        "lower end of its 95 % interval (Fieller), which includes the binomial errors of base and adapted",
        "retention_above_chance_pct is NULL",
    ),
    ("", "retention_above_chance_high_pct"): Words(
        "% of base above chance", "upper end of the same interval", "retention_above_chance_pct is NULL"
    ),
    ("", "transfer_classes"): Words("count", "classes of transfer_set", "not known"),
    ("", "n_classes"): Words("count", "classes of the transfer set", "not known"),
    ("", "duplicate_rows"): Words(
        "count", "how often the imported source held this run, with different results", "it held one result"
    ),
    ("", "duplicates"): Words(
        "", "which of them this run holds (import --duplicates): first, last or mean", "the source held one result"
    ),
    ("", "n_results"): Words(
        "count", "different results among the cell's finished attempts; the newest is shown here", "never"
    ),
    ("", "wall_s"): Words("s", "wall time of the run", "not kept"),
    ("", "n_train"): Words("images", "images of the training split", _UNKNOWN),
    ("", "n_val"): Words("images", "images behind val_acc_pct", _UNKNOWN),
    ("", "n_test"): Words("images", "images behind test_acc_pct", "the test split was not read"),
    ("", "n_probe"): Words("images", "images behind the probes", _UNKNOWN),
    ("", "n_transfer"): Words("images", "images behind zero_shot_pct", "zero_shot_pct is NULL"),
    ("", "adapter_live_max_diff"): Words(
        "1", "largest difference of the tower's output, adapters on, to base; must be > 0 at lr > 0", "no adapters"
    ),
    ("", "adapter_off_max_diff"): Words("1", "the same with adapters disabled; must be <= 1e-5", "no adapters"),
    # provenance
    ("", "started_at"): Words("UTC", "start of the run", _UNKNOWN),
    ("", "finished_at"): Words("UTC", "end of the run", _UNKNOWN),
    ("", "commit"): Words("", "git commit of the code", "not a checkout"),
    ("", "dirty"): Words("", "whether the checkout had uncommitted changes", "not a checkout"),
    ("", "diff_sha256"): Words("", "hash of those changes", "there were none"),
    ("", "precision"): Words("", "arithmetic that training used", _UNKNOWN),
    ("", "eval_precision"): Words("", "arithmetic of towers that were measured", _UNKNOWN),
    ("", "device"): Words("", "device that trained", _UNKNOWN),
    ("", "threads"): Words("count", "threads of the process", _UNKNOWN),
    ("", "host"): Words("", "machine", _UNKNOWN),
    ("", "python"): Words("", "Python version", _UNKNOWN),
    ("", "platform"): Words("", "operating system and processor", _UNKNOWN),
    ("", "packages"): Words("JSON", "package -> version", _UNKNOWN),
    ("", "method_spec"): Words("JSON", "the method's parameters", _UNKNOWN),
    ("", "factors"): Words("JSON", "an imported table's own settings (rank, augmentation) -> level", "it has none"),
    ("", "backbone_sha256"): Words("", "hash of architecture and weights", _UNKNOWN),
    ("", "data_sha256"): Words("", "hash over the data set's sources", _UNKNOWN),
    ("", "split_sha256"): Words("", "hash over the split's image lists", _UNKNOWN),
    ("", "prompt_template"): Words(
        "", "zero-shot prompt of transfer_set, {} = class name", "the cell has no transfer set"
    ),
    ("", "class_names"): Words("JSON", "data set -> class names as in the prompts", _UNKNOWN),
    ("", "preprocess"): Words("JSON", "data set -> preprocessing in words", _UNKNOWN),
    ("", "sources"): Words("JSON", "what was read: content hash, revision, images, skipped pictures", _UNKNOWN),
    ("", "resumed_after"): Words("JSON", "epochs after which a killed run went on from its checkpoint", "never killed"),
    ("", "source"): Words("", "where an imported record came from", "heatdrift trained it"),
    ("", "record_sha256"): Words("", "hash of the bytes of record.json", "never"),
    # epochs
    ("", "epoch"): Words("count", "0 = base, before training", "never"),
    ("epochs", "train_loss"): Words("nats", "mean cross-entropy of the epoch's batches", "epoch 0, or not finite"),
    ("epochs", "train_acc_pct"): Words("%", "running mean over the epoch's augmented batches", "epoch 0"),
    ("epochs", "val_acc_pct"): Words("%", "validation accuracy after the epoch", "epoch 0"),
    ("epochs", "track_zero_shot_pct"): Words("%", "zero-shot accuracy on the tracking subset", "the study tracks none"),
    ("epochs", "track_retention_pct"): Words("% of base", "the same as % of epoch 0", "not tracked, or base is 0"),
    ("epochs", "selected"): Words("", "whether this is the selected epoch", "never"),
    ("epochs", "last"): Words(
        "",
        "whether this is the last of the planned epochs, at which the preprint measured attention",
        "epochs not known",
    ),
    # long views
    ("", "layer"): Words("", "block, 0 = first", "never"),
    ("", "head"): Words("", "attention head, 0 = first", "never"),
    ("", "metric"): Words("", "name of the probe (listed at the end)", "never"),
    ("", "value"): Words("the metric's", "value of the metric", "not defined there (CKA without variance)"),
    ("", "base"): Words(
        "the metric's", "value at epoch 0 of the same run", f"the metric has no base value ({_WITHOUT_BASE})"
    ),
    ("", "delta_pct"): Words("% of base", "100 x (value - base) / base", "base is NULL or 0"),
    # transfer, robustness, cells
    ("", "n_images"): Words("images", "images evaluated", "never"),
    ("", "base_pct"): Words("%", "zero-shot accuracy of the base", "never"),
    ("", "adapted_pct"): Words("%", f"zero-shot accuracy of the adapted model{AT_SELECTED}", "never"),
    ("", "base_se_pct"): Words("% points", "binomial standard error of base_pct", "never"),
    ("", "adapted_se_pct"): Words("% points", "binomial standard error of adapted_pct", "never"),
    ("", "corruption"): Words("", "kind of corruption", "never"),
    ("", "acc_pct"): Words("%", "test accuracy under it", "never"),
    ("", "acc_se_pct"): Words("% points", "binomial standard error of acc_pct", "n_test is unknown"),
    ("further", "metric"): Words("", "the source's name for it; `--metric further.NAME`", "never"),
    ("further", "value"): Words("the source's", f"value as the source has it{AT_SELECTED}", "never"),
    ("reference_points", "study"): Words("", "name of the study that it was imported into", "never"),
    ("reference_points", "backbone"): Words("", "pretrained model, MODEL/TAG", "never"),
    ("reference_points", "dataset"): Words("", "data set that it was evaluated on", "never"),
    ("reference_points", "metric"): Words("", "zero_shot_pct, or the table's name for another measure", "never"),
    ("reference_points", "value_pct"): Words("%", "value of the metric", "never"),
    ("reference_points", "source"): Words("", "the file and row that it is from", "never"),
    ("", "current"): Words("", "whether the view runs shows this attempt", "never"),
    ("attempts", "attempt"): Words("count", "which execution of the cell this is, from 1", "never"),
    ("", "result_sha256"): Words(
        "", "hash of what was measured: equal for two attempts with the same results", "never"
    ),
    ("cells", "study"): Words("", "name of the study", "never"),
    ("cells", "backbone"): Words("", "pretrained model", "never"),
    ("cells", "dataset"): Words("", "target data set", "never"),
    ("cells", "method"): Words("", "what was trained", "never"),
    ("cells", "lr"): Words("1", "peak learning rate", "never"),
    ("cells", "n_seeds"): Words("count", "distinct seeds among the done runs", "never"),
    ("cells", "n_runs"): Words("count", "done runs averaged", "never"),
}
