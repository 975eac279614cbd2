"""evaluate: zero-shot of any model in a stated set-up, next to a published one, difference by difference.

A prediction depends on the filter of the resizing, prompts, class names, activation and arithmetic as well as on the
weights. Each thing in which the set-up differs from a published one is changed alone, then all of them together.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatdrift.chance import ZeroShotBase
from heatdrift.config import SourceSpec
from heatdrift.data.class_names import prompt_names
from heatdrift.data.images import LabelledImages
from heatdrift.data.prompts import name_caution, prompts_given
from heatdrift.data.sources import open_source
from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import source_name, source_text
from heatdrift.errors import ModelError, UnknownNameError
from heatdrift.model.activation import ACTIVATIONS, activation_of, with_activation
from heatdrift.model.backbone import Backbone
from heatdrift.model.checkpoints import open_adapted, open_base
from heatdrift.probes.transfer import zero_shot_classes
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.inputs import transfer_positions, unused_caution
from heatdrift.train.loop import Normaliser, PixelSet
from heatdrift.train.zero_shot_result import ALL, YOURS, ChangeRow, EvaluateResult, change_row, model_row
from heatdrift.train.zero_shot_setup import (
    ARITHMETIC,
    FACTORS,
    Arithmetic,
    Differing,
    Published,
    SetUp,
    differences,
    published_set_up,
)

FILTERS: Final = ("bilinear", "bicubic")
SINGLE: Final = "a photo of a {}."
_SEED: Final = 0  # draws the subset
_DTYPE: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Classes = NDArray[np.int64]


def evaluate(
    model: str | Path,
    transfer: str,
    *,
    adapted: str | Path | None = None,
    templates: str = SINGLE,
    classes: str | None = None,
    underscores: bool = False,
    interpolation: str | None = None,
    antialias: bool | None = None,
    activation: str | None = None,
    precision: str = "float32",
    published: str | None = None,
    n_transfer: int | None = None,
    config: str | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    skip_unreadable: bool = False,
    on_step: Callable[[str, int, int], object] = lambda _name, _done, _total: None,
) -> EvaluateResult:
    """Classify images zero-shot, and say how much of the accuracy is the set-up's.

    Parameters
    ----------
    model : an embedded backbone (lab), open_clip's MODEL/TAG, or weights by path in any layout.
    transfer : labelled source: a source string, a folder of class folders, a Parquet file.
    adapted : a model made from it, evaluated in the same way: weights, model folder or peft adapter.
    templates : a prompt with {}, a released list (``openai/imagenet80``), or a file with one template a line.
    classes : a released list of class names or a names file; None = the source's. `underscores` keeps theirs.
    interpolation, antialias, activation : None = as the model has it.
    precision : arithmetic of the image tower: float32, bfloat16 or float16 (autocast).
    published : a published set-up to compare with: openai, openai/cifar100, preprint80, leakfree78, backbone16, or a
        study file.
    n_transfer : images drawn, equally from all classes; None = all.
    on_step : called with a set-up's name, how many are done and how many there are.

    Raises
    ------
    ModelError, DataError : models or images are missing, damaged, or do not fit.
    UnknownNameError, StudyError : a filter, activation, precision, template or published set-up that there is not.

    Examples
    --------
    >>> import heatdrift
    >>> found = heatdrift.evaluate("lab", "lab:beetles/test", published="backbone16", n_transfer=40)
    >>> [difference.factor for difference in found.differing]
    ['interpolation', 'activation', 'model', 'images']
    """
    where, place = folder or Path(), torch.device(device)
    for kind, value, known in (
        ("interpolation", interpolation, FILTERS),
        ("activation", activation, ACTIVATIONS),
        ("precision", precision, ARITHMETIC),
    ):
        if value is not None and value not in known:
            raise UnknownNameError(kind, value, known)
    prompts = prompts_given(templates, where)
    base = open_base(model, config=config, folder=where, device=place)
    other = None if adapted is None else open_adapted(where / adapted, base)
    text = source_text(transfer, where)
    images = open_source(SourceSpec(source=text), where, skip_unreadable=skip_unreadable)
    name = source_name(text)
    chosen, _ = transfer_positions(name, images, n_transfer, None, data_seed=_SEED)
    mine = SetUp(
        interpolation=interpolation or base.preprocess.interpolation,
        antialias=base.preprocess.antialias if antialias is None else antialias,
        templates=prompts.templates,
        prompt=prompts.name,
        names=prompt_names(images, classes, underscores=underscores, folder=where),
        activation=activation or activation_of(base),
        precision=_arithmetic(precision),
    )
    against = None if published is None else published_set_up(published, images, where)
    theirs = mine if against is None else against.set_up(images, mine, where)
    differing = differences(mine, theirs)
    models = [base] if other is None else [base, other.model]
    passes = _Classified(images, chosen, models, place)
    found = passes.each(_set_ups(mine, theirs, differing), on_step)
    label = images.labels[chosen]
    first = found[YOURS]
    hits = first[0] == label
    rows = [model_row(base.name, hits, None)]
    rows += [] if other is None else [model_row(other.model.name, first[1] == label, hits)]
    notes = [] if other is None else [f"{other.path.name}: {said}" for said in other.said]
    notes += [] if other is None or not (other.same_visual and other.same_text) else [
        f"{other.path.name} has the base's weights, to the last bit"
    ]  # fmt: skip
    notes += [f"{factor} as published cannot be evaluated: {why}" for factor, why in passes.failed().items()]
    notes += [note for note in _cautions(name, images, mine, rows[0].accuracy_pct, len(label)) if note]
    elsewhere = [] if against is None else _elsewhere(against, base, text, len(label))
    notes += [] if against is None else _kept_names(against, images, where)
    return EvaluateResult(
        models=tuple(rows),
        transfer=name,
        source=text,
        n_images=len(label),
        n_classes=len(mine.names),
        set_up=mine,
        published=None if against is None else against.name,
        differing=(*_possible(differing, passes.impossible), *elsewhere),
        changes=tuple(_changes(found, [row.model for row in rows], label)),
        notes=tuple(notes),
    )


class _Classified:
    """Predictions of models in several set-ups: pictures are cropped once for a filter, and passed once for a tower."""

    def __init__(
        self, images: LabelledImages, chosen: NDArray[np.int64], models: Sequence[Backbone], device: torch.device
    ) -> None:
        self.images, self.chosen, self.models = images, chosen, models
        self.impossible: dict[str, str] = {}  # set-up -> why these models cannot be evaluated in it
        self.evaluation = Evaluation(normalise=Normaliser.of(models[0].preprocess, device))

    def each(
        self, set_ups: dict[str, SetUp], on_step: Callable[[str, int, int], object]
    ) -> dict[str, tuple[Classes, ...]]:
        """Set-up -> classes (n,) of each model. Crops of one filter are in memory at a time."""
        found: dict[str, tuple[Classes, ...]] = {}
        for filtered in dict.fromkeys((one.interpolation, one.antialias) for one in set_ups.values()):
            mine = {name: one for name, one in set_ups.items() if (one.interpolation, one.antialias) == filtered}
            crop = next(iter(mine.values())).cropped(self.models[0].preprocess)
            pixels = PixelSet(
                crops=torch.from_numpy(crops(self.images, self.chosen, crop)),
                labels=torch.from_numpy(self.images.labels[self.chosen]),
            )
            for tower in dict.fromkeys((one.activation, one.precision) for one in mine.values()):
                same = {name: one for name, one in mine.items() if (one.activation, one.precision) == tower}
                on_step(", ".join(same), len(found), len(set_ups))
                by_model = [self._of_model(model, pixels, same) for model in self.models]
                found |= {
                    name: tuple(classes[name] for classes in by_model) for name in same if name not in self.impossible
                }
        return found

    def failed(self) -> dict[str, str]:
        """Thing that cannot be evaluated as published -> why; all together only where each alone can."""
        alone = {name: why for name, why in self.impossible.items() if name != ALL}
        return alone or self.impossible

    def _of_model(self, model: Backbone, pixels: PixelSet, set_ups: dict[str, SetUp]) -> dict[str, Classes]:
        any_of = next(iter(set_ups.values()))
        active = with_activation(model, "quick_gelu" if any_of.activation == "quick_gelu" else "gelu")
        texts: dict[str, Tensor] = {}
        for name, one in set_ups.items():
            try:
                template = one.templates[0] if len(one.templates) == 1 else one.templates
                texts[name] = active.class_embeddings(one.names, template)
            except ModelError as error:
                if name == YOURS:
                    raise
                self.impossible[name] = error.message
        embedded = self.evaluation.fitting(lambda size: self._embedded(active, pixels, any_of.precision, size))
        return {name: zero_shot_classes(lambda batch: batch, embedded, text) for name, text in texts.items()}

    @torch.inference_mode()
    def _embedded(self, model: Backbone, pixels: PixelSet, precision: Arithmetic, size: int) -> list[Tensor]:
        """Embeddings by batches: prompts are compared with them batch by batch, as everywhere else."""
        kind = self.evaluation.normalise.mean.device.type
        with torch.autocast(kind, dtype=_DTYPE[precision], enabled=precision != "float32"):
            return [model.visual(batch).float() for batch in self.evaluation.normalise.batches(pixels, size)]


def _arithmetic(text: str) -> Arithmetic:
    return next(one for one in ARITHMETIC if one == text)


def _set_ups(mine: SetUp, theirs: SetUp, differing: Sequence[Differing]) -> dict[str, SetUp]:
    """What was asked for, each difference alone, and all of them."""
    alone = {one.factor: mine.with_factor(one.factor, theirs) for one in differing}
    return {YOURS: mine, **alone, **({ALL: theirs} if differing else {})}


def _changes(found: dict[str, tuple[Classes, ...]], names: Sequence[str], label: Classes) -> list[ChangeRow]:
    before = found[YOURS]
    return [
        change_row(name, factor, before[place], after[place], label, after[0] if place else None)
        for place, name in enumerate(names)
        for factor in (*FACTORS, ALL)
        if (after := found.get(factor)) is not None
    ]


def _possible(differing: Sequence[Differing], impossible: Mapping[str, str]) -> list[Differing]:
    return [msgspec.structs.replace(one, evaluated=one.factor not in impossible) for one in differing]


def _elsewhere(against: Published, base: Backbone, source: str, n: int) -> list[Differing]:
    """What differs and no set-up of this model on these images can show: the backbone and the images."""
    found = []
    if against.backbone is not None and against.backbone != base.name:
        found.append(Differing(factor="model", yours=base.name, published=against.backbone, evaluated=False))
    if against.source is not None and (against.source, against.n_images or n) != (source, n):
        many = "" if against.n_images is None else f", {against.n_images:,} images"
        found.append(
            Differing(
                factor="images", yours=f"{source}, {n:,} images", published=f"{against.source}{many}", evaluated=False
            )
        )
    return found


def _kept_names(against: Published, images: LabelledImages, folder: Path) -> list[str]:
    if against.class_names is None or against.fits(images, folder):
        return []
    return [f"class names of {against.name} ({against.class_names}) are of other classes, so yours were kept"]


def _cautions(name: str, images: LabelledImages, mine: SetUp, base_pct: float, n: int) -> list[str | None]:
    base = ZeroShotBase(base_pct=base_pct, n_images=n, n_classes=len(mine.names))
    return [
        name_caution(name, mine.names, mine.templates),
        unused_caution(name, images),
        base.warning(name) if base.near_chance else None,
    ]
