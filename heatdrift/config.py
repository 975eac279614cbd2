"""What a study says (StudySpec) and where things lie (Settings). Defaults < study file < command line.

Only types and their checks are here, because plan, data, model and train all need them; ``plan/study.py`` reads study
files. Paths are arguments everywhere: nothing is read from disk or environment at import.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from heatdrift.errors import StudyError, nearest_name
from heatdrift.primary import PrimarySpec, QuestionsSpec
from heatdrift.records import CropPlan, SplitSizes, Strict

T = TypeVar("T")
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


class SourceSpec(Strict, frozen=True, kw_only=True):
    """Where labelled images come from (docs/data.md lists the kinds), and what they must be.

    ``sha256`` is the hash of their content, ``n_images`` their number; opening refuses anything else.
    """

    source: str
    sha256: str | None = None
    n_images: int | None = None


class DatasetSpec(Strict, frozen=True, kw_only=True):
    """A target data set: sources of its splits, images per class, and epochs if they differ from the study's."""

    train: SourceSpec | str
    test: SourceSpec | str
    sizes: SplitSizes
    epochs: int | None = None


class TransferSpec(Strict, frozen=True, kw_only=True):
    """A transfer set; see :class:`heatdrift.records.TransferPlan` for all but its source."""

    test: SourceSpec | str
    n_images: int | None = None
    track: int | None = None
    template: str = "a photo of a {}."
    class_names: str | None = None
    underscores: bool = False


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
    ``preprocess`` says what of the crops is not as the backbone has it.
    """

    name: str
    protocol: str
    backbone: BackboneSpec
    train: TrainSpec
    datasets: Mapping[str, DatasetSpec]
    grid: Grid | tuple[Grid, ...]
    transfer: Mapping[str, TransferSpec] = {}
    preprocess: CropPlan = CropPlan()
    methods: Mapping[str, Mapping[str, Any]] = {}
    questions: QuestionsSpec = QuestionsSpec()
    title: str = ""
    description: str = ""
    data_dir: str | None = None

    @property
    def grids(self) -> tuple[Grid, ...]:
        """All crossings of the study."""
        return self.grid if isinstance(self.grid, tuple) else (self.grid,)


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
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise StudyError(f"{where}: {error}", hint=_correction(str(error), kind)) from None
    except msgspec.DecodeError as error:
        raise StudyError(f"{where}: not valid TOML: {error}", hint="correct the line named above") from None


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
    found = decode_toml(path.read_bytes(), Settings, str(path)) if path.is_file() else Settings()
    return Settings(
        study=found.study or os.environ.get("HEATDRIFT_STUDY"),
        store=found.store or os.environ.get("HEATDRIFT_STORE"),
        data_dir=found.data_dir or os.environ.get("HEATDRIFT_DATA"),
        cache_dir=found.cache_dir or os.environ.get("HEATDRIFT_CACHE"),
    )
