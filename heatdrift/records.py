"""Frozen types that cross a stage border: Cell (what to run) and RunRecord (what came of it).

A record is plain data: ``store/folder.py`` writes it as ``record.json``, ``store/ingest.py`` turns it into rows. Facts
live in fields; a folder name is for people and no code parses it. Decoding is strict: wrong types, unknown fields and
NaN are refused at their place. What was not measured is None, never 0 or NaN.
"""

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from heatdrift.corruption_plan import CorruptionPlan
from heatdrift.crop_plan import CropPlan, Preprocess
from heatdrift.errors import StudyError
from heatdrift.methods import Method

RECORD_FORMAT: Final = 1
Status = Literal["done", "diverged", "failed"]
DuplicateRule = Literal["refuse", "first", "last", "mean"]  # what an import takes of results of one cell that differ
FINISHED: Final[tuple[Status, ...]] = ("done", "diverged")
_LATER: Final = (
    *("probe_images", "class_names", "underscores", "skip_unreadable"),
    *("preprocess", "interpolation", "antialias", "resize", "crop"),
    *("classifier_init", "warmup", "probe_draw", "probe_mean", "loss_mean", "corruptions"),
    *("eval_precision", "adapted_sha256", "factors", "unlabelled_sha256"),
)


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all record types: immutable, keyword-only, unknown fields refused."""


class SplitSizes(Strict, frozen=True, kw_only=True):
    """Images per class of the disjoint train, validation and probe sets; None = all that the split has.

    ``probe_images`` counts probe images in all, spread over the classes as evenly as they go (protocol ``preprint``).
    """

    train: int | None = None
    val: int | None = None
    probe: int | None = None
    probe_images: int | None = None


class Recipe(Strict, frozen=True, kw_only=True):
    """How a cell is trained: all of it decides the result, so all of it is part of the cell id.

    Attributes
    ----------
    epochs, batch_size : passes over the training set; images per step.
    weight_decay : AdamW, on all trained parameters.
    warmup_fraction : part of all steps with linearly rising learning rate; then cosine to 0 by step.
    clip_norm : gradient norm limit.
    sizes : images per class of the splits.
    data_seed : seed of the splits and of the transfer subsets, independent of the training seed; None in an imported
        record whose source did not keep it (such a cell cannot be trained).
    precision : requested arithmetic of training, `auto` = the faster of float32 and bfloat16, measured where the cell
        runs; float16 scales its loss and needs CUDA.
    select_on : split whose accuracy selects the epoch; "test" for the protocol ``preprint`` only.
    skip_unreadable : True leaves out pictures that do not decode (each run's record lists them); None refuses them.
    classifier_init : "torch" = nn.Linear's own (weights and bias uniform); None = weights N(0, 0.01), bias 0.
    warmup : "from_zero" = int(fraction x steps) steps of which the first has learning rate 0; None = rounded up, and
        the first step is above 0.
    probe_draw : "randomstate_42" = probe images by NumPy's RandomState(42), as the preprint drew them; None = by the
        data seed. Protocol ``preprint`` only.
    probe_mean : "batches_32" = attention probes are means over batches of 32 images in the order of their draw, and
        head diversity is one of a batch, as published; None = over images. With ``probe_draw`` only.
    loss_mean : "batches" = train_loss is the mean of the batches' losses; None = of the images'.
    eval_precision : "bfloat16" = towers are measured in it (accuracies, zero-shot, probes); None = in float32.
    """

    epochs: int
    batch_size: int
    sizes: SplitSizes
    data_seed: int | None
    weight_decay: float = 0.01
    warmup_fraction: float = 0.05
    clip_norm: float = 1.0
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    select_on: Literal["val", "test"] = "val"
    skip_unreadable: bool | None = None
    classifier_init: Literal["torch"] | None = None
    warmup: Literal["from_zero"] | None = None
    probe_draw: Literal["randomstate_42"] | None = None
    probe_mean: Literal["batches_32"] | None = None
    loss_mean: Literal["batches"] | None = None
    eval_precision: Literal["bfloat16"] | None = None

    @property
    def choices(self) -> dict[str, str]:
        """What a study chooses besides numbers, in words -> value; None as what it stands for."""
        return {
            "classifier at the start": self.classifier_init or "normal",
            "warm-up": self.warmup or "above_zero",
            "probe images drawn by": self.probe_draw or "data_seed",
            "attention averaged over": self.probe_mean or "images",
        }


class TransferPlan(Strict, frozen=True, kw_only=True):
    """One zero-shot evaluation: which images, how many, with which prompt.

    ``n_images`` = None means all; otherwise a class-balanced subset drawn by the data seed. ``track`` images (None = no
    tracking) are evaluated after every epoch, the whole set once, at the selected epoch. ``class_names`` names a
    versioned list of ``data/class_names.py``, or is the content hash of a names file; None = the names that the source
    has. ``underscores``: True leaves them in the names, as a source or list writes them; None = spaces. ``template`` is
    the prompt, the name of a released list of them, or several joined by " | ", which ``templates`` then holds; the
    embeddings of several are averaged.
    """

    name: str
    data_sha256: str | None
    n_images: int | None = None
    track: int | None = None
    template: str = "a photo of a {}."
    class_names: str | None = None
    underscores: bool | None = None
    templates: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def prompts(self) -> str | tuple[str, ...]:
        """The prompt, the name of a list, or several."""
        return self.template if isinstance(self.templates, msgspec.UnsetType) else self.templates


class Cell(Strict, frozen=True, kw_only=True):
    """One point of a study's grid: all that decides a training run, and nothing else.

    Attributes
    ----------
    backbone : open_clip name and tag ("ViT-B-32-quickgelu/openai"), or the name of a backbone given by paths.
    backbone_sha256 : hash of architecture and weights; None when the record's source did not keep one.
    dataset, data_sha256 : target data set and the hash over its train and test sources.
    method, method_spec : name and parameters (``methods/stored.py``).
    lr : peak learning rate, >= 0 (0 is the negative control).
    seed : seeds classifier initialisation, data order, flips and dropout, each with its own generator.
    preprocess : what of the crops is not as the backbone has it; None = nothing.
    corruptions : of the test images, that fill the view `robustness`; None = none.
    adapted_sha256 : of a model that was trained elsewhere and measured here: the hash of its weights.
    factors : settings of an imported table under names of their own, that tell its runs apart; None = none.
    unlabelled_sha256 : of the images without labels that the method's penalty sees; None = no others than it trains on.
    """

    backbone: str
    backbone_sha256: str | None
    dataset: str
    data_sha256: str | None
    protocol: str
    method: str
    method_spec: Method | None
    lr: float
    seed: int
    recipe: Recipe | None
    transfer: tuple[TransferPlan, ...] = ()
    preprocess: CropPlan | None = None
    corruptions: tuple[CorruptionPlan, ...] | None = None
    adapted_sha256: str | None = None
    factors: Mapping[str, str] | None = None
    unlabelled_sha256: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.lr < float("inf"):
            message = f"learning rate must be >= 0 and finite, got {self.lr!r}"
            raise StudyError(message, hint="check [grid] lr in the study file")

    @property
    def cell_id(self) -> str:
        """Content hash of all fields; the ``c1-`` prefix changes if the way of hashing ever does.

        A field that came later (``_LATER``) is left out where it is None, which means what was done before it came: old
        cells keep their ids.
        """
        content = msgspec.to_builtins(self)
        recipe = content["recipe"] or {}
        for part in (content, recipe, recipe.get("sizes", {}), content["preprocess"] or {}, *content["transfer"]):
            for name in _LATER:
                if part.get(name, ...) is None:
                    del part[name]
        return "c1-" + hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]

    @property
    def group(self) -> str:
        """`dataset/method`: the group of the statistics."""
        return f"{self.dataset}/{self.method}"


class EpochRecord(Strict, frozen=True, kw_only=True):
    """State after one epoch; epoch 0 is the base, before training, where the training fields are None.

    Attributes
    ----------
    means : probe name -> value for the whole model (mean over blocks where the probe is per block).
    layers : probe name -> one value per block (None where not defined, as CKA without variance).
    heads : probe name -> one row per block, one value per head.
    track_zero_shot_pct : zero-shot accuracy on the tracking subset of the first transfer set.
    """

    epoch: int
    train_loss: float | None = None
    train_acc_pct: float | None = None
    val_acc_pct: float | None = None
    track_zero_shot_pct: float | None = None
    means: Mapping[str, float | None] = {}
    layers: Mapping[str, tuple[float | None, ...]] = {}
    heads: Mapping[str, tuple[tuple[float | None, ...], ...]] = {}


class TransferRecord(Strict, frozen=True, kw_only=True):
    """Zero-shot accuracy of base and adapted model on the same images, in percent.

    ``n_classes``: among how many classes the model chooses, from which chance follows; None where the source did not
    say (``chance.transfer_classes`` then looks at the class names of the run).
    """

    transfer_set: str
    n_images: int
    base_pct: float
    adapted_pct: float
    n_classes: int | None = None


class RobustnessRecord(Strict, frozen=True, kw_only=True):
    """Test accuracy under one corruption, in percent."""

    corruption: str
    acc_pct: float


class AdapterChecks(Strict, frozen=True, kw_only=True):
    """Proof that adapters, or whatever else a method trains, took part in the measurement.

    ``live_max_diff``: largest absolute difference of the tower's output before the projection between adapted and base
    on the probe set (must be > 0 after training at lr > 0). ``off_max_diff``: the same with the method switched off
    (must be <= 1e-5). Which families are checked, ``methods/`` says.
    """

    live_max_diff: float
    off_max_diff: float

    @property
    def live(self) -> bool:
        """Whether the method changes the tower's output."""
        return self.live_max_diff > 0

    @property
    def off_equals_base(self) -> bool:
        """Whether the tower with the method switched off is the base to 1e-5."""
        return self.off_max_diff <= 1e-5


class SourceRecord(Strict, frozen=True, kw_only=True):
    """What was really read under the name of a source of images or weights.

    Attributes
    ----------
    source : as the study file says it, such as ``parquet:PATH`` or ``hf:OWNER/NAME/SPLIT``.
    sha256 : hash of the content that was read (a cell's identity may rest on a published name and revision instead).
    revision : commit that a name on a hub resolved to; None for what has none.
    n_images : images read; None for weights.
    skipped : pictures that did not decode and were left out on purpose (``--skip-unreadable``), by name.
    """

    source: str
    sha256: str
    revision: str | None = None
    n_images: int | None = None
    skipped: tuple[str, ...] = ()


class Provenance(Strict, frozen=True, kw_only=True):
    """Where a run's numbers come from; None = the source did not keep it.

    ``precision``, ``eval_precision``: arithmetic of training, and of towers that are measured.
    ``deterministic``: whether torch was held to algorithms that give the same bits each time (on a processor all do).
    ``sources`` holds a :class:`SourceRecord` per thing read: "backbone", "<data set>/train", "<data set>/test",
    "unlabelled/<name>" and the transfer sets by name. ``unstated`` names columns of a recipe that an imported run's
    source did not state: the cell holds this program's defaults there, and the store shows none. ``resumed_after``:
    epochs after which a killed process's run went on from its checkpoint.
    """

    commit: str | None = None
    dirty: bool | None = None
    diff_sha256: str | None = None
    packages: Mapping[str, str] = {}
    python: str | None = None
    platform: str | None = None
    host: str | None = None
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    eval_precision: str | None = None
    deterministic: bool | None = None
    split_sha256: str | None = None
    class_names: Mapping[str, tuple[str, ...]] = {}
    preprocess: Preprocess | None = None
    sources: Mapping[str, SourceRecord] = {}
    resumed_after: tuple[int, ...] = ()
    source: str | None = None
    unstated: tuple[str, ...] = ()


class Duplicates(Strict, frozen=True, kw_only=True):
    """An imported run whose source gave it several times with different results, and which of them this record holds.

    ``rows``: how often (rows, files, or entries of one epoch); ``rule``: what the import was told to take.
    """

    rows: int
    rule: Literal["first", "last", "mean"]


class RunRecord(Strict, frozen=True, kw_only=True):
    """One execution of a cell, as it is in ``record.json``.

    Attributes
    ----------
    attempt : 1 for the first execution of this cell in this store folder.
    origin : who measured: "heatdrift", or the name of the format it was imported from.
    n_val, n_test, n_probe : images behind val_acc_pct, test_acc_pct and the probes.
    selected_epoch : the earliest epoch of highest validation accuracy; result columns are taken there.
    started_at, finished_at : ISO 8601, UTC; None where an imported record has none.
    duplicates : set where the source held this run several times with different results.
    further : results under names of their own, of an imported table, at the selected epoch; not written where unused.
    factors : settings of an imported table under names of their own (rank, augmentation), those of the cell among
        them; not written where unused.
    """

    format: int = RECORD_FORMAT
    study: str
    cell_id: str
    attempt: int = 1
    origin: str = "heatdrift"
    status: Status
    error: str | None = None
    cell: Cell
    trainable_params: int | None = None
    total_params: int | None = None
    selected_epoch: int | None = None
    test_acc_pct: float | None = None
    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    n_probe: int | None = None
    epochs: tuple[EpochRecord, ...] = ()
    transfer: tuple[TransferRecord, ...] = ()
    robustness: tuple[RobustnessRecord, ...] = ()
    checks: AdapterChecks | None = None
    provenance: Provenance = msgspec.field(default_factory=Provenance)
    started_at: str | None = None
    finished_at: str | None = None
    wall_s: float | None = None
    duplicates: Duplicates | None = None
    further: Mapping[str, float] | msgspec.UnsetType = msgspec.UNSET
    factors: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
