"""``heatdrift init``: look at a folder of pictures and write the study file that trains on them."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heatdrift.cli.advice import fetch_command, train_command
from heatdrift.cli.options import StoreOption
from heatdrift.cli.output import note, say
from heatdrift.config import BackboneSpec, SourceSpec, StudySpec, decode_toml
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError, ModelError, StudyError
from heatdrift.wording import counted, listed

if TYPE_CHECKING:
    from heatdrift.data.images import LabelledImages
    from heatdrift.data.layout import FoundSet
    from heatdrift.plan.draft import RecipeDraft, TargetDraft, TransferDraft

LAB: Final = "lab"
PUBLISHED: Final = "ViT-B-32-quickgelu/openai"  # the default where its weights are at hand
_SMALL_WIDTH: Final = 512  # of a tower: below it learning rates of CLIP hardly move it


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("init")(init)


def init(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder of pictures: train and test folders, class folders, or Parquet files."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Study file to write; one that is there is kept.")] = Path(
        "study.toml"
    ),
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="lab, MODEL/TAG of open_clip, or an architecture JSON with weights (.safetensors) of the same name.",
        ),
    ] = None,
    transfer: Annotated[
        str | None,
        typer.Option("--transfer", help="Pictures to measure forgetting on: a source, a folder or a Parquet file."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a commented study file for a folder of pictures: sizes that fit, a transfer set, learning rates, seeds.

    Without --from it is a study of the embedded lab, which needs no pictures. Nothing is downloaded.

    Example: `heatdrift init --from birds`
    """
    from heatdrift.plan.draft import bare_key, study_text

    if out.suffix != ".toml":
        raise StudyError(f"{out} is no name for a study file", hint=f"--out {out.with_suffix('.toml')}")
    if out.exists():
        hint = f"--out {out.with_name('another.toml')}, or remove it"
        raise StudyError(f"{out} is there already; nothing was changed", hint=hint)
    base = out.parent
    _make(base)  # paths of the study are relative to it
    model = _backbone(backbone, base)
    sets = _lab_sets() if source is None else _sets(source, base)
    targets = _targets(sets, base)
    chosen = _transfer(transfer, sets, model, base)
    recipe = _recipe(model, base)
    folder_name = LAB if source is None else source.resolve().name
    name = bare_key(folder_name if out.stem == "study" else out.stem)
    text = study_text(name, model, targets, chosen, recipe)
    study = _checked(text, out, base)
    _write(out, text)
    _say_what(study, out, targets, chosen, recipe)
    _say_next(study, out, base, store)


def _sets(source: Path, base: Path) -> "tuple[FoundSet, ...]":
    """Data sets of a folder, with paths as the study file in `base` has them."""
    from heatdrift.data.layout import FoundSet, find_sets

    def placed(found: str) -> str:
        kind, _, place = found.partition(":")
        return f"{kind}:{_from(source / place, base)}"

    return tuple(
        FoundSet(name=one.name, splits={split: placed(found) for split, found in one.splits.items()})
        for one in find_sets(source)
    )


def _lab_sets() -> "tuple[FoundSet, ...]":
    from heatdrift.data.layout import FoundSet

    return tuple(
        FoundSet(name=name, splits={"train": f"lab:{name}/train", "test": f"lab:{name}/test"})
        for name in ("terrain", "beetles")
    )


def _from(path: Path, base: Path) -> str:
    """`path` relative to the study file's folder where it lies near, else whole."""
    near = os.path.relpath(path, base)
    return Path(near if near.count("..") <= 1 else path.resolve()).as_posix()


def _opened(source: str, base: Path) -> "LabelledImages":
    from heatdrift.data.sources import open_source

    return open_source(SourceSpec(source=source), base)


def _targets(sets: "tuple[FoundSet, ...]", base: Path) -> "tuple[TargetDraft, ...]":
    """Data sets that can be trained on.

    Raises
    ------
    DataError : none can be, or the class folders lie where runs and manifests will.
    """
    from heatdrift.plan.draft import TargetDraft, bare_key

    drafts: list[TargetDraft] = []
    for one in sets:
        if "train" not in one.splits:
            continue
        if one.splits["train"] == "folder:.":
            problem = (
                "the class folders lie next to the study file, where runs and manifests would be taken for classes"
            )
            raise DataError(problem, hint=f"cd .. and heatdrift init --from {shlex.quote(base.resolve().name)}")
        images = _opened(one.splits["train"], base)
        test = _opened(one.held_out, base) if one.held_out is not None else None
        unused = {"test", "val"} <= one.splits.keys()
        drafts.append(
            TargetDraft(
                name=bare_key(one.name, [draft.name for draft in drafts]),
                train=one.splits["train"],
                test=one.held_out,
                class_names=images.class_names,
                counts=_counts(images),
                n_test=len(test) if test is not None else 0,
                note=f"{one.splits['val']} is not used: validation is carved out of train" if unused else "",
            )
        )
    if not drafts:
        found = listed([source for one in sets for source in one.splits.values()])
        raise DataError(f"nothing here to train on: {found} is for testing", hint="add a train split")
    return tuple(drafts)


def _counts(images: "LabelledImages") -> tuple[int, ...]:
    return tuple(images.labels.tolist().count(label) for label in range(len(images.class_names)))


def _backbone(option: str | None, base: Path) -> BackboneSpec:
    """The model that is named; else OpenAI's ViT-B/32 where its weights are here, else the lab."""
    from heatdrift.model.download import where_weights
    from heatdrift.model.identity import EMBEDDED, backbone_sha256, is_tag

    if option is None:
        published = BackboneSpec(name=PUBLISHED)
        return published if where_weights(published, base) else BackboneSpec(name=LAB)
    is_file = option.endswith((".json", ".safetensors"))
    if option in EMBEDDED or (is_tag(BackboneSpec(name=option)) and not is_file):
        named = BackboneSpec(name=option)
        backbone_sha256(named, base)  # an unknown model or tag is an error with the nearest name
        return named
    config, weights = Path(option).with_suffix(".json"), Path(option).with_suffix(".safetensors")
    for path in (config, weights):
        if not path.is_file():
            hint = "lab, MODEL/TAG, or ARCH.json with ARCH.safetensors next to it"
            raise ModelError(f"there is no file {path} (backbone {option})", hint=hint)
    return BackboneSpec(name=config.stem, config=_from(config, base), weights=_from(weights, base))


def _transfer(option: str | None, sets: "tuple[FoundSet, ...]", backbone: BackboneSpec, base: Path) -> "TransferDraft":
    """The transfer set: named, else a set that has a test split alone, else the lab's, else CIFAR-100 from the hub."""
    from heatdrift.data.class_names import names_of
    from heatdrift.data.layout import without_split
    from heatdrift.plan.draft import TransferDraft, bare_key

    targets = [bare_key(one.name) for one in sets if "train" in one.splits]
    spare = [one for one in sets if "train" not in one.splits and one.held_out is not None]
    if option is None and not spare and backbone.name != LAB:
        names = names_of("cifar100/1")
        why = "CIFAR-100, as published studies take it"
        source = "hf:uoft-cs/cifar100/test"
        counts = (100,) * len(names)
        return TransferDraft(
            name="cifar100", source=source, why=why, class_names=names, counts=counts, class_list="cifar100/1"
        )
    if option is not None:
        kind, colon, _ = option.partition(":")
        path = _from(Path(option), base)
        guessed = f"parquet:{path}" if path.endswith(".parquet") else f"folder:{path}"
        source, why = (option if colon and len(kind) > 1 else guessed), "As --transfer says."
        name = without_split(Path(option.rpartition(":")[2]).stem)
    elif spare:
        source, why = str(spare[0].held_out), "It has a test split alone, so nothing trains on it."
        name = spare[0].name
    else:
        source, why, name = "lab:combinations/test", "Drawn things that the lab model knows.", "combinations"
    images = _opened(source, base)
    return TransferDraft(
        name=bare_key(name, targets), source=source, why=why, class_names=images.class_names, counts=_counts(images)
    )


def _recipe(backbone: BackboneSpec, base: Path) -> "RecipeDraft":
    """Learning rates and epochs of the built-in study whose backbone is most alike."""
    import msgspec

    from heatdrift.plan.draft import RecipeDraft
    from heatdrift.plan.study import load_study

    like = "demo" if backbone.name == LAB else "leakfree78"
    if backbone.config is not None:
        problem = f"{backbone.config} is no architecture of open_clip"
        with decoding(lambda said: ModelError(f"{problem}: {said}", hint="its vision_cfg must name a width")):
            width = msgspec.json.decode(read_whole(base / backbone.config))["vision_cfg"]["width"]
            like = "mini" if width < _SMALL_WIDTH else like
    study = load_study(like)
    lr = study.grids[0].lr
    return RecipeDraft(like=like, lr=lr, epochs=study.train.epochs, batch_size=study.train.batch_size)


def _checked(text: str, out: Path, base: Path) -> StudySpec:
    """Read the text as a study and compare it with the pictures, before it is written."""
    from heatdrift.plan.study import check_study
    from heatdrift.train.size_check import check_sizes

    study = decode_toml(text.encode(), StudySpec, str(out))
    check_study(study, str(out))
    for checked in check_sizes(study, base):
        if checked.problem is not None:
            raise checked.problem
    return study


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"cannot make {folder}: {error.strerror or error}", hint="--out FILE.toml") from error


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StudyError(f"cannot write {out}: {error.strerror or error}", hint="--out FILE.toml") from error


def _say_what(
    study: StudySpec, out: Path, targets: "tuple[TargetDraft, ...]", transfer: "TransferDraft", recipe: "RecipeDraft"
) -> None:
    say(f"{out}: study {study.name} on {study.backbone.name}")
    for target in targets:
        sizes = study.datasets[target.name].sizes
        tested = f"{target.n_test} test pictures" if target.test else "a part of each class is set aside as test"
        classes = counted(len(target.counts), "class", "classes")
        say(
            f"  data set {target.name}: {classes}, {sum(target.counts)} pictures ({min(target.counts)} in the smallest "
            f"class), {tested}; per class {sizes.train} train, {sizes.val} validate, {sizes.probe} probe"
        )
        if target.note:
            say(f"    {target.note}")
    size = f", {counted(len(transfer.class_names), 'class', 'classes')}" if transfer.class_names else ""
    say(f"  forgetting is measured on {transfer.source}{size}. {transfer.why}")
    grid = study.grids[0]
    cells = len(grid.dataset) * len(grid.method) * len(grid.lr) * len(grid.seed)
    rates = ", ".join(f"{lr:g}" for lr in recipe.lr)
    seeds = ", ".join(map(str, recipe.seed))
    say(f"  {cells} cells: {listed(grid.method)}, learning rates {rates} (as study {recipe.like}), seeds {seeds}")


def _say_next(study: StudySpec, out: Path, base: Path, store: Path | None) -> None:
    from heatdrift.cli.workspace import missing_inputs

    missing = missing_inputs(study, base)
    if missing:
        note(f"first, for {listed(missing)}:\n  {fetch_command(str(out))}")
    report = ["heatdrift", "report", "--html", "--study", study.name, *(["--store", str(store)] if store else [])]
    note(f"next:\n  {train_command(str(out), store=store)}\n  {shlex.join(report)}")
