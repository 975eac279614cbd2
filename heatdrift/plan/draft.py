"""The first study file of somebody's own pictures: what ``heatdrift init`` writes, with a comment on every choice."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from heatdrift.config import BackboneSpec
from heatdrift.errors import DataError
from heatdrift.methods import METHOD_TITLES
from heatdrift.records import SplitSizes

TEST_FRACTION: Final = 0.2  # of each class, where a data set has one split only
SMALLEST: Final = 3  # images of a class: one to train on, one to validate, one to probe
_MOST: Final = SplitSizes(train=160, val=30, probe=20)  # per class, as leakfree78 has them for EuroSAT
_TRACKED: Final = 300  # images of the transfer set after every epoch, about
_SHOWN: Final = 8
_BARE: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDraft:
    """A data set to train on.

    ``test`` is None where there is one split only. ``counts``: images of each class of the train source, ``n_test``
    those of the test source. ``note`` says what was found and not used.
    """

    name: str
    train: str
    test: str | None
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    n_test: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferDraft:
    """The transfer set: ``why`` it was chosen. ``class_names`` as prompts say them; without ``counts`` it is not here.

    ``class_list`` is a versioned list of class names, None for the source's own.
    """

    name: str
    source: str
    why: str
    class_names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    class_list: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDraft:
    """Learning rates, seeds and the like, from the built-in study whose backbone is most alike (``like``)."""

    like: str
    lr: tuple[float, ...]
    epochs: int
    batch_size: int
    seed: tuple[int, ...] = (7, 11, 19)
    method: tuple[str, ...] = ("full_ft", "lora_r8")
    data_seed: int = 2026


def split_sizes(target: TargetDraft) -> SplitSizes:
    """Sizes per class that the smallest class can give: a sixth validates, an eighth probes, the rest trains.

    Raises
    ------
    DataError : a class has too few images to be in all three sets.
    """
    least = min(target.counts)
    name = target.class_names[target.counts.index(least)]
    if target.test is None:  # a part of every class is set aside first
        least -= max(1, round(TEST_FRACTION * least))
    if least < SMALLEST:
        problem = (
            f"{target.train}: class {name!r} has {min(target.counts)} images, too few to train, validate and probe"
        )
        raise DataError(problem, hint="add pictures to that class or take it out, then the same command again")
    assert _MOST.train is not None
    assert _MOST.val is not None
    assert _MOST.probe is not None
    val, probe = min(_MOST.val, max(1, least // 6)), min(_MOST.probe, max(1, least // 8))
    return SplitSizes(train=min(_MOST.train, least - val - probe), val=val, probe=probe)


def bare_key(name: str, taken: Sequence[str] = ()) -> str:
    """Return `name` as a key that TOML needs no quotes for, distinct from those `taken`."""
    key = _BARE.sub("_", name.casefold()).strip("_-") or "pictures"
    number = 2
    chosen = key
    while chosen in taken:
        chosen, number = f"{key}_{number}", number + 1
    return chosen


def study_text(
    name: str, backbone: BackboneSpec, targets: Sequence[TargetDraft], transfer: TransferDraft, recipe: RecipeDraft
) -> str:
    """Return the study file.

    Parameters
    ----------
    backbone : its paths, like the sources, are relative to the study file.
    targets : at least one.
    """
    return "\n".join(_lines(name, backbone, targets, transfer, recipe)) + "\n"


def _lines(
    name: str, backbone: BackboneSpec, targets: Sequence[TargetDraft], transfer: TransferDraft, recipe: RecipeDraft
) -> Iterator[str]:
    cells = len(targets) * len(recipe.method) * len(recipe.lr) * len(recipe.seed)
    yield "# A study: which pictures train which model, how, and what is measured. Every key: docs/study.md."
    yield "# Paths are relative to this file. Whatever decides a result is part of the cells' ids: change it, and new"
    yield "# cells are trained next to the old ones."
    yield f"name = {_text(name)}"
    yield f"title = {_text('What fine-tuning on ' + ', '.join(t.name for t in targets) + ' does to ' + backbone.name)}"
    yield 'protocol = "leakfree"   # validation and probe images are carved out of the train split; test is read once'
    yield ""
    yield from _backbone(backbone)
    yield ""
    yield "[train]"
    yield f"epochs = {recipe.epochs}"
    yield f"batch_size = {recipe.batch_size}"
    yield f"data_seed = {recipe.data_seed}   # draws the splits, the same for all training seeds"
    for target in targets:
        yield ""
        yield from _target(target)
    yield ""
    yield from _transfer(transfer)
    yield ""
    yield f"[grid]   # {cells} cells: every data set with every method, learning rate and seed"
    yield f"dataset = [{', '.join(_text(target.name) for target in targets)}]"
    words = "; ".join(f"{method}: {METHOD_TITLES[method]}" for method in recipe.method)
    yield f"method = [{', '.join(map(_text, recipe.method))}]   # {words}; others: docs/methods.md"
    lrs = ", ".join(f"{lr:g}" for lr in recipe.lr)
    yield f"lr = [{lrs}]   # those of study {recipe.like}; all methods get the same, which is what is compared"
    yield f"seed = [{', '.join(map(str, recipe.seed))}]   # three are the least for a test, five are better"


def _backbone(backbone: BackboneSpec) -> Iterator[str]:
    yield "[backbone]"
    yield f"name = {_text(backbone.name)}"
    if backbone.config is not None and backbone.weights is not None:
        yield f"config = {_text(backbone.config)}"
        yield f"weights = {_text(backbone.weights)}"
    elif backbone.name == "lab":
        yield "# The embedded toy model, on pictures of 28 x 28 pixels: it shows how all works without a download"
        yield "# and says nothing about CLIP. For OpenAI's CLIP, which is a download and wants a GPU, add this to the"
        yield "# command that wrote this file: --backbone ViT-B-32-quickgelu/openai --out clip.toml"


def _target(target: TargetDraft) -> Iterator[str]:
    sizes = split_sizes(target)
    least, most = min(target.counts), max(target.counts)
    each = f"{least}" if least == most else f"{least} to {most}"
    yield f"[datasets.{target.name}]   # {len(target.counts)} classes with {each} pictures each"
    yield f"# classes: {_some(target.class_names)}"
    if target.note:
        yield f"# {target.note}"
    yield f"train = {_text(target.train)}   # {sum(target.counts)} pictures"
    if target.test is not None:
        yield f"test = {_text(target.test)}   # {target.n_test} pictures"
    else:
        yield f"test_fraction = {TEST_FRACTION}   # of each class, set aside as test: there is one split only"
    yield "# pictures per class, as many as the smallest class can give; what is left over is not used"
    yield f"sizes = {{ train = {sizes.train}, val = {sizes.val}, probe = {sizes.probe} }}"


def _transfer(transfer: TransferDraft) -> Iterator[str]:
    template = "a photo of a {}."
    yield f"[transfer.{transfer.name}]   # zero-shot before and after: what is forgotten. {transfer.why}"
    yield f"test = {_text(transfer.source)}"
    yield f"template = {_text(template)}"
    if transfer.class_list is not None:
        yield f"class_names = {_text(transfer.class_list)}"
    if transfer.class_names:
        prompts = [_text(template.replace("{}", name)) for name in transfer.class_names]
        yield f"# {len(prompts)} prompts: {_some(prompts, 3)}"
    tracked = _tracked(transfer)
    if tracked:
        yield f"track = {tracked}   # of its images, after every epoch; without it zero-shot is for the end only"


def _tracked(transfer: TransferDraft) -> int:
    """Images to track, as many of each class; 0 where that cannot be known."""
    if not transfer.counts:
        return 0
    return len(transfer.counts) * min(*transfer.counts, max(1, _TRACKED // len(transfer.counts)))


def _some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """First names as part of a comment, which is one line of printable letters whatever a class is called."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return "".join(c if c.isprintable() else " " for c in ", ".join(names[:shown])) + more


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
