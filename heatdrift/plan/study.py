"""Study files: built-in ones by name, a user's own by path."""

from importlib import resources
from pathlib import Path

from heatdrift.config import PROTOCOLS, DatasetSpec, StudySpec, decode_toml, read_toml
from heatdrift.controls import has_control
from heatdrift.corruption_plan import check_corruptions
from heatdrift.crop_plan import CropPlan
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import study_methods
from heatdrift.methods.between import planned_method
from heatdrift.plan.unlabelled import check_unlabelled
from heatdrift.primary import check_questions
from heatdrift.records import SplitSizes


def builtin_studies() -> tuple[str, ...]:
    """Names of the studies that come with heatdrift."""
    folder = resources.files("heatdrift.plan") / "studies"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_study(name: str) -> StudySpec:
    """Read the study `name` (built-in) or the study file at that path.

    Raises
    ------
    UnknownNameError : neither a built-in study nor a file.
    StudyError : not valid TOML, an unknown key, a wrong type, or values that cannot be planned.

    Examples
    --------
    >>> import heatdrift
    >>> study = heatdrift.load_study("mini")
    >>> study.protocol, study.grids[0].method
    ('leakfree', ('full_ft', 'lora_r8'))
    """
    path = Path(name)
    if name in builtin_studies():
        where = f"study {name}"
        text = (resources.files("heatdrift.plan") / "studies" / f"{name}.toml").read_bytes()
        study = decode_toml(text, StudySpec, where)
    elif path.suffix == ".toml":
        if not path.exists():
            raise StudyError(f"there is no study file {path}", hint=f"built-in studies: {', '.join(builtin_studies())}")
        where = str(path)
        study = read_toml(path, StudySpec)
    else:
        raise UnknownNameError("study", name, builtin_studies())
    check_study(study, where)
    return study


def check_study(study: StudySpec, where: str) -> None:
    """Refuse what the types allow and a grid cannot mean."""
    _check_names(study, where)
    if study.protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", study.protocol, PROTOCOLS, where=where)
    if study.train.epochs < 1 or study.train.batch_size < 1:
        raise StudyError(f"{where}: [train] epochs and batch_size must be >= 1", hint="fix [train]")
    if study.train.probe_draw != "data_seed" and study.protocol != "preprint":
        problem = f"{where}: [train] probe_draw is for protocol preprint, whose probe images are test images"
        raise StudyError(problem, hint="leave probe_draw out: the data seed draws the probe images")
    if study.train.probe_mean != "images" and study.train.probe_draw == "data_seed":
        problem = f"{where}: [train] probe_mean averages over batches in the order of the published draw"
        raise StudyError(problem, hint='add probe_draw = "randomstate_42", or leave probe_mean out')
    for name, dataset in study.datasets.items():
        _check_test(dataset, f"{where}: [datasets.{name}]")
        _check_sizes(study.protocol, dataset.sizes, f"{where}: [datasets.{name}]")
        if dataset.corrupted and dataset.test is None:
            problem = f"{where}: [datasets.{name}] corrupted needs the test split that was corrupted"
            raise StudyError(problem, hint="test = SOURCE in place of test_fraction: others would be training images")
    for name, transfer in study.transfer.items():
        if isinstance(transfer.template, tuple) and len(set(transfer.template)) != max(1, len(transfer.template)):
            problem = f"{where}: [transfer.{name}] template is an empty list, or names a prompt twice"
            raise StudyError(problem, hint='template = ["a photo of a {}.", "a drawing of a {}."]')
    given = {name: tuple(dataset.corrupted) for name, dataset in study.datasets.items()}
    check_corruptions(study.corruptions, given, protocol=study.protocol, where=where)
    _check_crops(study.preprocess, f"{where}: [preprocess]")
    check_questions(study.questions, where)
    methods = study_methods(study.methods, where)
    check_unlabelled(study, methods, where)
    for grid in study.grids:
        for axis, values in (("dataset", grid.dataset), ("method", grid.method), ("lr", grid.lr), ("seed", grid.seed)):
            if not values:
                raise StudyError(f"{where}: [grid] {axis} is empty", hint=f"name at least one {axis}")
            if len(set(values)) != len(values):
                raise StudyError(f"{where}: [grid] {axis} names a value twice: {list(values)}", hint="name each once")
        for name in grid.dataset:
            if name not in study.datasets:
                raise UnknownNameError("data set", name, study.datasets, where=f"[grid] of {where}")
        for name in grid.method:
            planned_method(name, methods, where)
        for lr in grid.lr:
            if not 0 <= lr < float("inf"):
                raise StudyError(f"{where}: learning rate must be >= 0 and finite, got {lr!r}", hint="fix [grid] lr")


def _check_names(study: StudySpec, where: str) -> None:
    """Refuse control characters in names, which reach terminals, pages and drawings."""
    named = [("name", study.name), ("title", study.title), ("[backbone] name", study.backbone.name)]
    for section in ("datasets", "transfer", "methods", "unlabelled", "corruptions"):
        named += [(f"[{section}]", name) for name in getattr(study, section)]
    named += [("[datasets] corrupted", name) for dataset in study.datasets.values() for name in dataset.corrupted]
    for place, name in named:
        if has_control(name):
            raise StudyError(f"{where}: {place} has a control character in the name {name!r}", hint="leave it out")


def _check_test(dataset: DatasetSpec, where: str) -> None:
    """A data set has a test source of its own, or a part of its train source that is set aside."""
    test, fraction = dataset.test_source, dataset.test_fraction
    if test is not None and test.source == dataset.train_source.source:
        problem = f"{where} train and test are the same images: {test.source}"
        hint = "give two splits of the data set: testing on training images is a leak; "
        raise StudyError(problem, hint=f"{hint}or leave test out and say test_fraction = 0.2")
    if (test is None) == (fraction is None):
        problem = f"{where} has {'neither test nor test_fraction' if test is None else 'both test and test_fraction'}"
        raise StudyError(problem, hint="a test source, or test_fraction = 0.2 for a set that has one split only")
    if fraction is not None and not 0 < fraction < 1:
        raise StudyError(f"{where} test_fraction must be between 0 and 1, got {fraction}", hint="test_fraction = 0.2")


def _check_crops(plan: CropPlan, where: str) -> None:
    """Refuse sizes of which no crop can be made; what the backbone takes is checked where it is known."""
    for name, pixels in (("resize", plan.resize), ("crop", plan.crop)):
        if pixels is not None and pixels < 1:
            raise StudyError(f"{where} {name} must be >= 1 pixel, got {pixels}", hint=f"fix {name}")
    if plan.resize is not None and plan.crop is not None and plan.resize < plan.crop:
        problem = f"{where} resize is {plan.resize}, less than the crop of {plan.crop} pixels"
        raise StudyError(problem, hint=f"resize = {plan.crop} or more")


def _check_sizes(protocol: str, sizes: SplitSizes, where: str) -> None:
    """Each protocol carves other sets; a size that it would ignore is refused."""
    per_class = (sizes.train, sizes.val, sizes.probe)
    if protocol == "preprint" and (sizes.probe_images is None or any(n is not None for n in per_class)):
        problem = f"{where} protocol preprint uses both splits whole and needs probe_images alone"
        raise StudyError(problem, hint="sizes = { probe_images = 200 }")
    if protocol == "leakfree" and (sizes.probe_images is not None or any(n is None or n < 1 for n in per_class)):
        problem = (
            f"{where} protocol leakfree needs train, val and probe, each >= 1 image per class, and no probe_images"
        )
        raise StudyError(problem, hint="sizes = { train = 12, val = 3, probe = 4 }")
