"""What a zero-shot number depends on besides model and images, and how published numbers were set up."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from heatdrift.crop_plan import Preprocess
from heatdrift.data.class_names import prompt_names
from heatdrift.data.images import LabelledImages
from heatdrift.data.prompts import templates_of
from heatdrift.errors import DataError, StudyError, UnknownNameError
from heatdrift.model.identity import is_tag
from heatdrift.model.tags import pretrained
from heatdrift.plan.study import builtin_studies, load_study

Arithmetic = Literal["float32", "bfloat16", "float16"]
ARITHMETIC: Final[tuple[Arithmetic, ...]] = ("float32", "bfloat16", "float16")
FACTORS: Final = ("interpolation", "antialias", "templates", "names", "activation", "precision")
_NAMES_SHOWN: Final = 3


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a zero-shot prediction besides the weights and the picture.

    Attributes
    ----------
    interpolation, antialias : of the resizing.
    templates, prompt : prompts with {} and what they are called.
    names : words of each class, in the order of the classes.
    activation : ``quick_gelu`` or ``gelu``.
    precision : arithmetic of the image tower; prompts are embedded in float32.
    """

    interpolation: str
    antialias: bool
    templates: tuple[str, ...]
    prompt: str
    names: tuple[str, ...]
    activation: str
    precision: Arithmetic = "float32"

    def with_factor(self, factor: str, other: "SetUp") -> "SetUp":
        """Return this set-up with one thing as `other` has it."""
        taken = {factor: getattr(other, factor)} | ({"prompt": other.prompt} if factor == "templates" else {})
        return msgspec.structs.replace(self, **taken)

    def cropped(self, own: Preprocess) -> Preprocess:
        """The crops of a model with this set-up's filter."""
        return msgspec.structs.replace(own, interpolation=self.interpolation, antialias=self.antialias)


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs, in words; not `evaluated` where only another model or other images could show it."""

    factor: str
    yours: str
    published: str
    evaluated: bool = True


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """How a published number was set up, and on what.

    Attributes
    ----------
    class_names, underscores : as a study's transfer set has them; None: what the source calls its classes.
    backbone, source, n_images : what it was published of; None where that is not one thing.
    """

    name: str
    interpolation: str
    antialias: bool
    template: str | tuple[str, ...]
    activation: str
    precision: Arithmetic
    class_names: str | None = None
    underscores: bool = False
    backbone: str | None = None
    source: str | None = None
    n_images: int | None = None

    def set_up(self, images: LabelledImages, mine: SetUp, folder: Path) -> SetUp:
        """The published set-up for these images; class names that are of other classes stay what `mine` has."""
        templates = templates_of(self.template)
        named = self.template if isinstance(self.template, str) else f"{len(templates)} templates"
        names = mine.names
        if self.fits(images, folder):
            names = prompt_names(images, self.class_names, underscores=self.underscores, folder=folder)
        return SetUp(
            interpolation=self.interpolation,
            antialias=self.antialias,
            templates=templates,
            prompt=named,
            names=names,
            activation=self.activation,
            precision=self.precision,
        )

    def fits(self, images: LabelledImages, folder: Path) -> bool:
        """Whether its class names are those of these images."""
        if self.class_names is None:
            return False
        try:
            prompt_names(images, self.class_names, underscores=self.underscores, folder=folder)
        except (DataError, UnknownNameError):
            return False
        return True


def _openai(name: str, template: str, class_names: str | None = None) -> Published:
    """As OpenAI's notebook and CLIP.load do: bicubic on pictures, QuickGELU, float16 on a GPU."""
    return Published(
        name=name, interpolation="bicubic", antialias=True, template=template, activation="quick_gelu",
        precision="float16", class_names=class_names,
    )  # fmt: skip


OPENAI: Final[Mapping[str, Published]] = {
    "openai": _openai("openai", "openai/imagenet80"),
    "openai/cifar10": _openai("openai/cifar10", "openai/cifar18", "cifar10/1"),
    "openai/cifar100": _openai("openai/cifar100", "openai/cifar18", "cifar100/1"),
    "openai/eurosat": _openai("openai/eurosat", "openai/eurosat3", "eurosat/1"),
    "openai/pets": _openai("openai/pets", "openai/pets1", "pets/openai"),
}


def published_set_up(name: str, images: LabelledImages, folder: Path) -> Published:
    """The published set-up of that name: OpenAI's, or a study's, of its transfer set that has these classes.

    Raises
    ------
    UnknownNameError : neither. StudyError : a study without a transfer set, or of weights by path.
    """
    if name in OPENAI:
        return OPENAI[name]
    if name not in builtin_studies() and not name.endswith(".toml"):
        raise UnknownNameError("published set-up", name, [*OPENAI, *builtin_studies(), "FILE.toml"])
    study = load_study(name)
    if not is_tag(study.backbone) or not study.transfer:
        what = "no transfer set" if not study.transfer else f"a backbone by path ({study.backbone.name})"
        known = ", ".join([*OPENAI, "preprint80", "leakfree78", "backbone16"])
        raise StudyError(f"study {name!r} has {what}: no published zero-shot number has its set-up", hint=known)
    tag, crop = pretrained(study.backbone.name), study.preprocess
    found = [
        Published(
            name=f"{study.name}/{transfer}",
            interpolation=crop.interpolation or str(tag.preprocess["interpolation"]),
            antialias=True if crop.antialias is None else crop.antialias,
            template=spec.template,
            activation="quick_gelu" if tag.architecture.get("quick_gelu") else "gelu",
            precision=study.train.eval_precision,
            class_names=spec.class_names,
            underscores=spec.underscores,
            backbone=study.backbone.name,
            source=spec.test_source.source,
            n_images=spec.n_images or spec.test_source.n_images,
        )
        for transfer, spec in study.transfer.items()
    ]
    return next((one for one in found if one.fits(images, folder)), found[0])


def differences(mine: SetUp, other: SetUp) -> tuple[Differing, ...]:
    """What differs between two set-ups, in words, in the order of FACTORS."""
    return tuple(
        Differing(factor=factor, yours=_WORDS[factor](mine, other), published=_WORDS[factor](other, mine))
        for factor in FACTORS
        if getattr(mine, factor) != getattr(other, factor)
    )


def prompt_text(set_up: SetUp) -> str:
    """A prompt as it is, or how many there are and what they are called."""
    if len(set_up.templates) == 1:
        return repr(set_up.templates[0])
    named = "" if set_up.prompt.endswith(" templates") else f" ({set_up.prompt})"
    return f"{len(set_up.templates)} templates{named}, the first {set_up.templates[0]!r}"


def _other_names(mine: SetUp, other: SetUp) -> str:
    different = [name for name, theirs in zip(mine.names, other.names, strict=True) if name != theirs]
    more = ", ..." if len(different) > _NAMES_SHOWN else ""
    return f"{len(different)} of {len(mine.names)}: {', '.join(map(repr, different[:_NAMES_SHOWN]))}{more}"


_WORDS: Final[Mapping[str, Callable[[SetUp, SetUp], str]]] = {
    "interpolation": lambda one, _: one.interpolation,
    "antialias": lambda one, _: "yes" if one.antialias else "no",
    "templates": lambda one, _: prompt_text(one),
    "names": _other_names,
    "activation": lambda one, _: one.activation,
    "precision": lambda one, _: one.precision,
}
