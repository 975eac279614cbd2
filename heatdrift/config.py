"""What a study says (StudySpec) and where things lie (Settings). Defaults < study file < command line.

Only types and their checks are here, because plan, data, model and train all need them; ``plan/study.py`` reads study
files. Paths are arguments everywhere: nothing is read from disk or environment at import.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from heatdrift.crop_plan import CropPlan
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import StudyError, nearest_name
from heatdrift.primary import PrimarySpec, QuestionsSpec
from heatdrift.records import SplitSizes, Strict

T = TypeVar("T")
_MOST_TOML: Final = 4 * 2**20  # bytes of a study file; 20,000 class names are 0.4 MB
DEFAULT_STORE: Final = Path("runs/heatdrift.duckdb")
WHERE_DATA_LIES: Final = "give the folder with --data-dir, data_dir in heatdrift.toml, or HEATDRIFT_DATA"
SETTINGS_FILE: Final = Path("heatdrift.toml")
PROTOCOLS: Final[dict[str, str]] = {  # name -> what it does, for plans and pages
    "leakfree": (
        "Protocol leakfree: class-balanced, disjoint train, validation and probe sets are carved from the train split "
        "by the data seed; validation accuracy selects the epoch; the test split is read once, at the selected epoch."
    ),
    "preprint": (
        "Protocol preprint: the whole train split trains; the provided test split is the validation split, selects the "
        "epoch and holds the probe set, so accuracies are selected on test and there is no untouched test accuracy."
    ),
}
STORED_PROTOCOLS: Final[Mapping[str, str]] = PROTOCOLS | {  # also what only a store can hold
    "external": (
        "Protocol external: models that were trained elsewhere and measured as they are. Every value is of the last "
        "checkpoint that was given; no split selected it, and accuracy on what was trained was not measured."
    ),
}


class BackboneSpec(Strict, frozen=True, kw_only=True):
    """Which pretrained model.

    ``name`` is an embedded one, a MODEL/TAG of open_clip (``ViT-B-32-quickgelu/openai``), or any, with architecture
    JSON and safetensors by path. ``sha256``: of a MODEL/TAG the hash of its weights file, else over both files
    (``heatdrift plan --hashes`` prints it); with it `plan` works before they are there.
    """

    name: str
    config: str | None = None
    weights: str | None = None
    sha256: str | None = None


class Reading(Strict, frozen=True, kw_only=True):
    """How images are read where their files do not say it themselves; None = as they lie.

    A data set's keys hold for both of its sources, a source's own go before them. ``image``, ``label``: columns of a
    Parquet file. ``labels_from``: number of the first class, 0 or 1. ``classes``: only these, by name or number in the
    source. ``exif_rotation``: turn pictures as their orientation tag says.
    """

    image: str | None = None
    label: str | None = None
    labels_from: Literal[0, 1] | None = None
    classes: tuple[str | int, ...] | None = None
    exif_rotation: bool | None = None

    def changes(self, names: Iterable[str]) -> dict[str, Any]:
        """Key -> value of those of `names` that change something: what a default says again is left out."""
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value not in (None, False, 0)}


class SourceSpec(Reading, frozen=True, kw_only=True):
    """Where labelled images come from (docs/data.md lists the kinds), and what they must be.

    ``sha256`` is the hash of their content, ``n_images`` their number (of all classes); opening refuses anything else.
    """

    source: str
    sha256: str | None = None
    n_images: int | None = None

    @property
    def opened_as(self) -> str:
        """The source and, where they are named, its columns: what a manifest is about."""
        columns = self.changes(("image", "label", "labels_from"))
        return " ".join([self.source, *(f"{key}={value}" for key, value in columns.items())])


class DatasetSpec(Reading, frozen=True, kw_only=True):
    """A target data set: sources of its splits, images per class, and epochs if they differ from the study's.

    Without ``test``, ``test_fraction`` of each class of ``train`` becomes the test split, drawn by the data seed.
    ``class_names``: a list or a names file, for the words of pages. ``corrupted``: name -> source of the test split
    under a corruption.
    """

    train: SourceSpec | str
    test: SourceSpec | str | None = None
    test_fraction: float | None = None
    class_names: str | None = None
    sizes: SplitSizes
    epochs: int | None = None
    corrupted: Mapping[str, SourceSpec | str] = {}

    @property
    def train_source(self) -> SourceSpec:
        """The train source, spelled out."""
        return spelled(self.train, self)

    @property
    def test_source(self) -> SourceSpec | None:
        """The test source, spelled out; None where the test split is made of the train source."""
        return None if self.test is None else spelled(self.test, self)

    @property
    def sources(self) -> dict[str, SourceSpec]:
        """Split -> source, of those that lie on disk or a hub; corrupted test splits by their names."""
        test = self.test_source
        own = {"train": self.train_source} | ({} if test is None else {"test": test})
        return own | self.corrupted_sources

    @property
    def corrupted_sources(self) -> dict[str, SourceSpec]:
        """Name -> source of the corrupted test splits, spelled out."""
        return {name: spelled(source, self) for name, source in self.corrupted.items()}


class TransferSpec(Reading, frozen=True, kw_only=True):
    """A transfer set; see :class:`heatdrift.records.TransferPlan` for all but its source.

    ``template``: one prompt, several whose embeddings are averaged, or the name of a released list of them.
    ``class_names``: a versioned list, or a names file (.txt, .csv, .tsv, .json) in the data folder.
    """

    test: SourceSpec | str
    n_images: int | None = None
    track: int | None = None
    template: str | tuple[str, ...] = "a photo of a {}."
    class_names: str | None = None
    underscores: bool = False

    @property
    def test_source(self) -> SourceSpec:
        """The source, spelled out."""
        return spelled(self.test, self)


def spelled(source: SourceSpec | str, reading: Reading) -> SourceSpec:
    """Return a source with the short form (a bare string) spelled out and what `reading` says filled in."""
    spec = SourceSpec(source=source) if isinstance(source, str) else source
    own = {name: getattr(spec, name) for name in Reading.__struct_fields__}
    given = {name: getattr(reading, name) for name, value in own.items() if value is None}
    return msgspec.structs.replace(spec, **given)


class TrainSpec(Strict, frozen=True, kw_only=True):
    """Recipe shared by the study's cells; see :class:`heatdrift.records.Recipe`, where a default here is None there."""

    epochs: int
    batch_size: int
    data_seed: int
    weight_decay: float = 0.01
    warmup_fraction: float = 0.05
    clip_norm: float = 1.0
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    skip_unreadable: bool = False
    classifier_init: Literal["normal", "torch"] = "normal"
    warmup: Literal["above_zero", "from_zero"] = "above_zero"
    probe_draw: Literal["data_seed", "randomstate_42"] = "data_seed"
    probe_mean: Literal["images", "batches_32"] = "images"
    loss_mean: Literal["images", "batches"] = "images"
    eval_precision: Literal["float32", "bfloat16"] = "float32"


class Grid(Strict, frozen=True, kw_only=True):
    """A full crossing; a study has one or several."""

    dataset: tuple[str, ...]
    method: tuple[str, ...]
    lr: tuple[float, ...]
    seed: tuple[int, ...]


class StudySpec(Strict, frozen=True, kw_only=True):
    """One study, as its TOML file says it.

    ``methods`` are the study's own, name -> table with the keys of a family; ``heatdrift.methods.own`` checks them.
    ``preprocess`` says what of the crops is not as the backbone has it. ``corruptions``: kind -> severities under which
    the test images are classified, too. ``unlabelled``: name -> source of images that only a penalty sees
    (``methods/families/distill.py``); labels are not read.
    """

    name: str
    protocol: str
    backbone: BackboneSpec
    train: TrainSpec
    datasets: Mapping[str, DatasetSpec]
    grid: Grid | tuple[Grid, ...]
    transfer: Mapping[str, TransferSpec] = {}
    preprocess: CropPlan = CropPlan()
    corruptions: Mapping[str, tuple[int, ...]] = {}
    methods: Mapping[str, Mapping[str, Any]] = {}
    unlabelled: Mapping[str, SourceSpec | str] = {}
    questions: QuestionsSpec = QuestionsSpec()
    title: str = ""
    description: str = ""
    data_dir: str | None = None

    @property
    def grids(self) -> tuple[Grid, ...]:
        """All crossings of the study."""
        return self.grid if isinstance(self.grid, tuple) else (self.grid,)

    @property
    def unlabelled_sources(self) -> dict[str, SourceSpec]:
        """Name -> source of the images without labels, spelled out."""
        return {name: spelled(source, Reading()) for name, source in self.unlabelled.items()}


class Settings(Strict, frozen=True, kw_only=True):
    """Where things lie: option, study file, heatdrift.toml, environment variable, in that order.

    ``cache_dir`` keeps decoded pictures; "off" keeps none.
    """

    study: str | None = None
    store: str | None = None
    data_dir: str | None = None
    cache_dir: str | None = None


_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "": StudySpec,
    "backbone": BackboneSpec,
    "train": TrainSpec,
    "preprocess": CropPlan,
    "datasets": DatasetSpec,
    "transfer": TransferSpec,
    "grid": Grid,
    "sizes": SplitSizes,
    "test": SourceSpec,
    "questions": QuestionsSpec,
    "primary": PrimarySpec,
}


def decode_toml(text: bytes, kind: type[T], where: str) -> T:
    """Decode strict TOML into `kind`; StudyError says where it is wrong and names the nearest known key."""

    def refuse(reason: str) -> StudyError:
        return StudyError(f"{where}: not valid TOML: {_at_line(reason, text)}", hint="correct the line named above")

    try:
        with decoding(refuse, but=(msgspec.ValidationError,)):
            return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise StudyError(f"{where}: {error}", hint=_correction(str(error), kind)) from None


def read_toml(path: Path, kind: type[T]) -> T:
    """Read a TOML file into `kind` as :func:`decode_toml` does; StudyError names it where it cannot be read."""
    with decoding(lambda reason: StudyError(f"cannot read {path}: {reason}", hint="name a TOML file")):
        text = read_whole(path, most=_MOST_TOML)
    return decode_toml(text, kind, str(path))


def _at_line(reason: str, text: bytes) -> str:
    """Say the line of a byte that is not UTF-8: editors show lines, not bytes."""
    at = re.fullmatch(r"not UTF-8 at byte (\d+)", reason)
    if at is None:
        return reason
    before = text[: int(at[1])]
    return f"not UTF-8 in line {before.count(10) + 1}"  # 10 is a line break


def _correction(message: str, kind: type) -> str:
    quoted = re.search(r"Expected `(?:float|int)[^`]*`, got `str` - at `\$([^`]*)`", message)
    if quoted is not None:
        key = quoted.group(1).split(".")[-1].split("[")[0]
        example = {"lr": "lr = [1e-4]", "seed": "seed = [7, 11]"}.get(key, f"{key} = 3")
        return f"write the number without quotes: {example}"
    unknown = re.search(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?", message)
    if unknown is None:
        return "correct that value; README ('Your own study') shows every section"
    key, place = unknown.group(1), unknown.group(2) or ""
    section = next(
        (s for s in (place.split(".")[-1].split("[")[0], place.split(".")[0].split("[")[0]) if s in _SECTIONS), ""
    )
    struct = _SECTIONS[section] if kind is StudySpec else kind
    known = [field.name for field in msgspec.structs.fields(struct)]
    nearest = nearest_name(key, known)
    meant = f"did you mean {nearest!r}? " if nearest else ""
    return f"{meant}known keys here: {', '.join(known)}"


def user_cache(chosen: str | None) -> Path | None:
    """Folder of what heatdrift may make again: `chosen`, else the user's cache; None where `chosen` is "off"."""
    if chosen == "off":
        return None
    if chosen is not None:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "heatdrift"


def load_settings(folder: Path) -> Settings:
    """Read ``heatdrift.toml`` of `folder` if there is one; what it leaves open comes from HEATDRIFT_* variables."""
    path = folder / SETTINGS_FILE
    found = read_toml(path, Settings) if path.exists() else Settings()
    return Settings(
        study=found.study or os.environ.get("HEATDRIFT_STUDY"),
        store=found.store or os.environ.get("HEATDRIFT_STORE"),
        data_dir=found.data_dir or os.environ.get("HEATDRIFT_DATA"),
        cache_dir=found.cache_dir or os.environ.get("HEATDRIFT_CACHE"),
    )
