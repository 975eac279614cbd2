"""The words of docs/study.md for every key of a study file; a test demands them, and no others."""

from typing import Final, NamedTuple

import msgspec

from heatdrift.config import (
    BackboneSpec,
    DatasetSpec,
    Grid,
    Settings,
    SourceSpec,
    StudySpec,
    TrainSpec,
    TransferSpec,
)
from heatdrift.corruption_plan import CORRUPTIONS
from heatdrift.crop_plan import CropPlan
from heatdrift.primary import PrimarySpec, QuestionsSpec
from heatdrift.records import SplitSizes


class Key(NamedTuple):
    """What a key says, what it is when left out (empty = its default as it is), and its unit or limits."""

    meaning: str
    absent: str = ""
    unit: str = ""


class Part(NamedTuple):
    """A section of a study file: its heading, the type behind it, what it is for, and its keys."""

    title: str
    kind: type[msgspec.Struct]
    about: str
    keys: dict[str, Key]


_COLUMNS: Final = {  # of every source
    "image": Key("column of the pictures, of Parquet files", "`image` or `img`, else what the file declares"),
    "label": Key("column of the labels, of Parquet files", "`label`, `labels` or `fine_label`, else what is declared"),
    "labels_from": Key("number of the first class, where labels are whole numbers", "0"),
    "classes": Key("only these classes, by name or by number in the source", "all"),
    "exif_rotation": Key("turn pictures as their orientation tag says", "no: tags are ignored, as open_clip does"),
}
_OWN: Final = {name: Key(key.meaning, "as its data set or transfer set says") for name, key in _COLUMNS.items()}

PARTS: Final = (
    Part(
        "The file itself",
        StudySpec,
        "Before any section.",
        {
            "name": Key("name of the study: folder of its runs, and of `--study` once it was trained"),
            "protocol": Key(
                "`leakfree`: train, validation and probe sets are carved out of the train split, the test split is "
                "read once, at the selected epoch. `preprint`: both splits whole; the test split selects the epoch, so "
                "there is no untouched test accuracy"
            ),
            "title": Key("one line for pages", "none"),
            "description": Key("a sentence or two for pages", "none"),
            "data_dir": Key(
                "folder that paths start from, relative to the study file; `--data-dir` goes before it",
                "`data_dir` of heatdrift.toml, else HEATDRIFT_DATA, else the study file's folder",
            ),
            "backbone": Key("the pretrained model: `[backbone]`"),
            "train": Key("the recipe: `[train]`"),
            "datasets": Key("what is trained on: `[datasets.NAME]`, one or more"),
            "transfer": Key("what is asked zero-shot: `[transfer.NAME]`", "nothing: no retention is measured"),
            "grid": Key("which cells: `[grid]`, or several `[[grid]]`"),
            "preprocess": Key("crops: `[preprocess]`", "as the backbone was published"),
            "corruptions": Key(
                "`[corruptions]`: kind = list of severities from 1 (mildest) to 5, under which the test images are "
                "classified at the selected epoch (view `robustness`, docs/data.md). Kinds: "
                + ", ".join(f"`{kind}`" for kind in CORRUPTIONS),
                "none",
            ),
            "methods": Key("methods of your own: `[methods.NAME]`, see below", "the built-in ones"),
            "unlabelled": Key(
                "`[unlabelled]`: name = source of images without labels that a distilled method sees "
                '(`[methods.NAME]` with `images = "name"`); those of a transfer set or a test split are refused',
                "none: a distilled method sees its training images",
            ),
            "questions": Key("what is asked first: `[questions]`", "the preprint's four questions"),
        },
    ),
    Part(
        "[backbone]",
        BackboneSpec,
        "Either a name alone (`lab`, or MODEL/TAG of open_clip), or a name of your own with two files.",
        {
            "name": Key("`lab` (embedded), `MODEL/TAG` such as `ViT-B-32-quickgelu/openai`, or any with both paths"),
            "config": Key("architecture, JSON as open_clip writes it", "known from the name"),
            "weights": Key("whole state dict, safetensors", "known from the name"),
            "sha256": Key("what the weights must hash to (`heatdrift plan --hashes`); opening refuses others", "any"),
        },
    ),
    Part(
        "[train]",
        TrainSpec,
        "AdamW, linear warm-up, cosine to 0 by step, horizontal flips; the same for all methods.",
        {
            "epochs": Key("passes over the training set", unit=">= 1"),
            "batch_size": Key("pictures per step", unit=">= 1"),
            "data_seed": Key("draws splits and subsets, the same for all training seeds"),
            "weight_decay": Key("of AdamW, on all trained parameters", unit="per step, times the learning rate"),
            "warmup_fraction": Key("part of all steps in which the learning rate rises", unit="0 to 1"),
            "clip_norm": Key("limit of the gradient's norm", unit="> 0"),
            "precision": Key("arithmetic of training; `auto` measures which is faster"),
            "eval_precision": Key("arithmetic of probes, accuracies and zero-shot"),
            "skip_unreadable": Key("leave out pictures that do not decode (recorded) instead of refusing them"),
            "classifier_init": Key("`normal`: N(0, 0.01), bias 0; `torch`: as nn.Linear draws it"),
            "warmup": Key("whether the first step has learning rate 0"),
            "probe_draw": Key("how probe images are drawn; `randomstate_42` is the preprint's, for its protocol alone"),
            "probe_mean": Key("attention probes as means over images, or over batches of 32 of them, as published"),
            "loss_mean": Key("whether train_loss is the mean over images or over batches"),
        },
    ),
    Part(
        "[datasets.NAME]",
        DatasetSpec,
        "A data set to train on. It has a test source, or test_fraction where there is one split only.",
        {
            "train": Key('source of the training split: `"KIND:PLACE"` or a table, see Sources'),
            "test": Key("source of the test split", "test_fraction sets a part of train aside"),
            "test_fraction": Key(
                "part of each class of train that becomes the test split, by the data seed", "test says it", "0 to 1"
            ),
            "class_names": Key("words for pages: a list or a names file", "the source's own names"),
            "sizes": Key("pictures of each set, see below"),
            "corrupted": Key("corrupted test splits: name in the view `robustness` -> source", "none"),
            "epochs": Key("epochs of this data set, if not the study's", "those of [train]", ">= 1"),
            **_COLUMNS,
        },
    ),
    Part(
        "sizes",
        SplitSizes,
        "`sizes = { train = 12, val = 3, probe = 4 }` for leakfree, `{ probe_images = 200 }` for preprint. `plan`, "
        "`doctor`, `fetch` and `train` compare them with the pictures.",
        {
            "train": Key("training pictures", "not for leakfree", "per class, >= 1"),
            "val": Key("pictures that select the epoch", "not for leakfree", "per class, >= 1"),
            "probe": Key(
                "pictures on which attention and the like are measured", "not for leakfree", "per class, >= 1"
            ),
            "probe_images": Key("test pictures on which they are measured", "not for preprint", "in all"),
        },
    ),
    Part(
        "[transfer.NAME]",
        TransferSpec,
        "Pictures for zero-shot classification alone, before and after training. The first one is that of the columns "
        "`zero_shot_pct` and `retention_pct`.",
        {
            "test": Key("source of the pictures, see Sources"),
            "n_images": Key("a balanced subset of so many, drawn by the data seed", "all", "in all"),
            "track": Key(
                "a balanced subset of so many is measured after every epoch, too; of the first transfer set alone",
                "nothing is measured between the epochs: `track_zero_shot_pct` is NULL and the page has no course of "
                "it; retention of the selected epoch is measured all the same",
                "in all",
            ),
            "template": Key("prompt with {} for the class; of several, or a named list, embeddings are averaged"),
            "class_names": Key("words of the prompts: a list (docs/data.md) or a names file", "the source's own names"),
            "underscores": Key("leave underscores of names in the prompts"),
            **_COLUMNS,
        },
    ),
    Part(
        "Sources",
        SourceSpec,
        '`train = "folder:birds/train"`, or with more to say `train = { source = "folder:birds/train", n_images = 900 '
        "}`. Kinds: docs/data.md. What a source leaves open, its data set or transfer set says.",
        {
            "source": Key("`parquet:`, `folder:`, `hf:`, `torchvision:` or `lab:`, and where"),
            "sha256": Key(
                "what the content must hash to (`heatdrift plan --hashes`)", "the manifest's, if there is one"
            ),
            "n_images": Key("how many pictures it must have, of all classes", "any number"),
            **_OWN,
        },
    ),
    Part(
        "[preprocess]",
        CropPlan,
        "How pictures become crops, where the study does not leave it to the backbone.",
        {
            "interpolation": Key("filter of the resizing", "the backbone's"),
            "antialias": Key("whether the filter is widened where pictures become smaller", "the backbone's"),
            "resize": Key("shorter side after resizing", "the crop's", "pixels"),
            "crop": Key(
                "side of the square cut from the centre; a tower takes one size, so it is checked",
                "the backbone's",
                "pixels",
            ),
        },
    ),
    Part(
        "[grid]",
        Grid,
        "A full crossing; several `[[grid]]` may name other methods at other learning rates. A point in two of them is "
        "trained once.",
        {
            "dataset": Key("names of [datasets]"),
            "method": Key(
                "built-in methods, or names of [methods]; `full_ft@0.5` is what `full_ft` trained, at 0.5 of the way "
                "from the base: a run of its own that trains nothing where `full_ft` is in the grid too"
            ),
            "lr": Key(
                "peak learning rates, the same for encoder and classifier; 0 is the negative control", unit=">= 0"
            ),
            "seed": Key("of classifier, order, flips and dropout; two give a difference, three a test"),
        },
    ),
    Part(
        "[questions]",
        QuestionsSpec,
        "What the page states under Findings; everything else is exploratory.",
        {
            "primary": Key("questions in their order: `[[questions.primary]]`", "the preprint's four questions"),
            "adjust": Key("`fixed_sequence`: each at 5 % while all before it hold; `holm`: none is the first"),
            "margin": Key(
                "largest difference that is none in practice", "none: nothing is called equal", "points, > 0"
            ),
        },
    ),
    Part(
        "[[questions.primary]]",
        PrimarySpec,
        "One question.",
        {
            "metric": Key("a column of the view `runs` (docs/schema.md), or `retention_pct@NAME`, `robustness.NAME`"),
            "term": Key("`lr`, `method`, `dataset`, several joined by `:`, or `correlation`"),
            "against": Key("the other metric, of a correlation", "for other terms"),
        },
    ),
    Part(
        "heatdrift.toml",
        Settings,
        "Not a part of the study: a file in the folder where commands run, for places that they all share.",
        {
            "study": Key("study of commands without `--study`", "HEATDRIFT_STUDY, else none"),
            "store": Key("DuckDB file; the runs lie in its folder", "HEATDRIFT_STORE, else runs/heatdrift.duckdb"),
            "data_dir": Key("folder of images and weights", "HEATDRIFT_DATA, else the study file's folder"),
            "cache_dir": Key(
                "folder of decoded pictures; `off` keeps none", "HEATDRIFT_CACHE, else ~/.cache/heatdrift"
            ),
        },
    ),
)
