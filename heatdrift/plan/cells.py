"""Study -> cells, and the choice of some of them by option or shard."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import msgspec

from heatdrift.config import BackboneSpec, DatasetSpec, SourceSpec, StudySpec, TransferSpec
from heatdrift.corruption_plan import CorruptionPlan, made_corruptions
from heatdrift.errors import StudyError, UnknownNameError, nearest_lr
from heatdrift.methods import Method, family_of, study_methods
from heatdrift.methods.between import planned_method
from heatdrift.plan.between import parent_cell
from heatdrift.plan.unlabelled import check_other_content, seen_by
from heatdrift.records import Cell, Recipe, TransferPlan

SourceHash = Callable[[SourceSpec], str]
NamesIdentity = Callable[[str], str]
BackboneHash = Callable[[BackboneSpec], str]
BackboneDepth = Callable[[BackboneSpec], int | None]
BackboneCrops = Callable[[BackboneSpec], Mapping[str, object]]


def plan_cells(
    study: StudySpec,
    *,
    source_hash: SourceHash,
    backbone_hash: BackboneHash,
    backbone_depth: BackboneDepth = lambda _spec: None,
    backbone_crops: BackboneCrops = lambda _spec: {},
    names_identity: NamesIdentity = lambda key: key,
) -> tuple[Cell, ...]:
    """Return the study's cells in the order of its grids: data set, method, lr, seed (seed fastest).

    Cells of METHOD@ALPHA come after all that train, because they measure what those trained.

    The hash functions are passed in: they read manifests or files, and planning stays free of both. A point in two
    grids is planned once. `backbone_depth` gives the number of blocks where the architecture is at hand,
    `backbone_crops` the backbone's own crops where they are published: a study that states the same has the same ids.
    `names_identity` gives what a cell id knows of class names: of a names file its content, wherever it lies.

    Raises
    ------
    StudyError : a method names blocks, or [preprocess] a crop, that the backbone does not have.
    """
    known, depth = study_methods(study.methods), backbone_depth(study.backbone)
    named = dict.fromkeys(name for grid in study.grids for name in grid.method)
    methods = {name: planned_method(name, known) for name in named}
    if depth is not None:
        for method in methods.values():
            _check_depth(method, depth)
    backbone_sha256 = backbone_hash(study.backbone)
    transfer = tuple(_transfer_plan(name, spec, source_hash, names_identity) for name, spec in study.transfer.items())
    hashes = {name: _dataset_hash(spec, source_hash) for name, spec in study.datasets.items()}
    corruptions = {name: _corruptions(study, spec, source_hash) for name, spec in study.datasets.items()}
    check_other_content(study, source_hash)
    unlabelled = {name: source_hash(source) for name, source in study.unlabelled_sources.items()}
    own_crops = backbone_crops(study.backbone)
    if study.preprocess.crop not in (None, own_crops.get("crop", study.preprocess.crop)):
        problem = f"[preprocess] crop is {study.preprocess.crop}, {study.backbone.name} takes {own_crops['crop']}"
        raise StudyError(problem, hint=f"crop = {own_crops['crop']}, or leave it out")
    crops = study.preprocess.without(own_crops)
    cells: dict[str, Cell] = {}
    for grid in study.grids:
        for dataset, method_name, lr, seed in product(grid.dataset, grid.method, grid.lr, grid.seed):
            spec, images = study.datasets[dataset], seen_by(methods[method_name])
            cell = Cell(
                backbone=study.backbone.name,
                backbone_sha256=backbone_sha256,
                dataset=dataset,
                data_sha256=hashes[dataset],
                protocol=study.protocol,
                method=method_name,
                method_spec=methods[method_name],
                lr=lr,
                seed=seed,
                recipe=_recipe(study, spec),
                transfer=transfer,
                preprocess=crops,
                corruptions=corruptions[dataset] or None,
                unlabelled_sha256=None if images is None else unlabelled[images],
            )
            cells.setdefault(cell.cell_id, cell)
    return tuple(sorted(cells.values(), key=lambda cell: parent_cell(cell) is not None))


def _check_depth(method: Method, depth: int) -> None:
    try:
        family_of(method).check_depth(depth)
    except StudyError as error:
        raise StudyError(f"method {method.name}: {error.message}", hint=error.hint) from None


def _recipe(study: StudySpec, spec: DatasetSpec) -> Recipe:
    train = study.train
    return Recipe(
        epochs=spec.epochs or train.epochs,
        batch_size=train.batch_size,
        sizes=spec.sizes,
        data_seed=train.data_seed,
        weight_decay=train.weight_decay,
        warmup_fraction=train.warmup_fraction,
        clip_norm=train.clip_norm,
        precision=train.precision,
        select_on="test" if study.protocol == "preprint" else "val",
        skip_unreadable=train.skip_unreadable or None,
        classifier_init=None if train.classifier_init == "normal" else train.classifier_init,
        warmup=None if train.warmup == "above_zero" else train.warmup,
        probe_draw=None if train.probe_draw == "data_seed" else train.probe_draw,
        probe_mean=None if train.probe_mean == "images" else train.probe_mean,
        loss_mean=None if train.loss_mean == "images" else train.loss_mean,
        eval_precision=None if train.eval_precision == "float32" else train.eval_precision,
    )


def _transfer_plan(
    name: str, spec: TransferSpec, source_hash: SourceHash, names_identity: NamesIdentity
) -> TransferPlan:
    several = () if isinstance(spec.template, str) else spec.template
    return TransferPlan(
        name=name,
        data_sha256=source_hash(spec.test_source),
        n_images=spec.n_images,
        track=spec.track,
        template=spec.template if isinstance(spec.template, str) else " | ".join(spec.template),
        templates=several if len(several) > 1 else msgspec.UNSET,
        class_names=None if spec.class_names is None else names_identity(spec.class_names),
        underscores=spec.underscores or None,
    )


def _dataset_hash(spec: DatasetSpec, source_hash: SourceHash) -> str:
    test = spec.test_source
    tested = f"{spec.test_fraction!r} of each class" if test is None else source_hash(test)
    parts = f"train={source_hash(spec.train_source)}\ntest={tested}"
    return hashlib.sha256(parts.encode()).hexdigest()


def _corruptions(study: StudySpec, spec: DatasetSpec, source_hash: SourceHash) -> tuple[CorruptionPlan, ...]:
    """Corrupted test splits that a data set names, then those that are made."""
    sources = spec.corrupted_sources.items()
    given = (CorruptionPlan(name=name, data_sha256=source_hash(source)) for name, source in sources)
    return (*given, *made_corruptions(study.corruptions))


def select_cells(
    cells: Sequence[Cell],
    *,
    dataset: Sequence[str] = (),
    method_name: Sequence[str] = (),
    lr: Sequence[float] = (),
    seed: Sequence[int] = (),
    shard: str | None = None,
) -> tuple[Cell, ...]:
    """Return the cells that match every given option; `shard` = "i/n" (1-based) takes every n-th of them.

    Raises
    ------
    UnknownNameError : an option names a value that the study does not have.
    """
    axes: tuple[tuple[str, str, Sequence[object]], ...] = (
        ("data set", "dataset", dataset),
        ("method", "method", method_name),
        ("learning rate", "lr", lr),
        ("seed", "seed", seed),
    )
    chosen = list(cells)
    for kind, field, wanted in axes:
        known = {getattr(cell, field) for cell in cells}
        for value in wanted:
            if value not in known:
                near = nearest_lr(value, known) if isinstance(value, float) else None
                raise UnknownNameError(kind, str(value), map(str, known), where="this study", nearest=near)
        if wanted:
            chosen = [cell for cell in chosen if getattr(cell, field) in wanted]
    if shard is None:
        return tuple(chosen)
    index, _, count = shard.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise StudyError(f"--shard must be i/n with 1 <= i <= n, got {shard!r}", hint="--shard 1/4")
    return tuple(chosen[int(index) - 1 :: int(count)])
