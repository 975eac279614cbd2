"""Images without labels that a method's penalty sees: which they are, and that they are none that is tested on."""

from collections.abc import Callable, Mapping

from heatdrift.config import SourceSpec, StudySpec
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import Method, known_family
from heatdrift.methods.base import TRAINING_IMAGES

_HINT = "give other images, such as the train split of the transfer set's data: what holds a model must not test it"


def seen_by(method: Method) -> str | None:
    """Name in ``[unlabelled]`` of the images that a method sees besides its training images; None = none."""
    family = known_family(method)
    images = TRAINING_IMAGES if family is None else family.penalty_images
    return None if images == TRAINING_IMAGES else images


def check_unlabelled(study: StudySpec, methods: Mapping[str, Method], where: str) -> None:
    """Refuse names that nothing stands behind, and sources that the study tests on.

    Raises
    ------
    UnknownNameError : a method of ``[methods]`` names images that ``[unlabelled]`` does not have.
    StudyError : a source is that of a transfer set or of a test split, or is called ``train``.
    """
    if TRAINING_IMAGES in study.unlabelled:
        problem = f"{where}: [unlabelled] {TRAINING_IMAGES} is the word for the images that a cell trains on"
        raise StudyError(problem, hint="choose another name")
    for name in study.methods:
        images = seen_by(methods[name])
        if images is not None and images not in study.unlabelled:
            raise UnknownNameError(
                "images", images, (TRAINING_IMAGES, *study.unlabelled), where=f"[unlabelled] of {where}"
            )
    tested = _tested(study)
    for name, source in study.unlabelled_sources.items():
        for what, other in tested.items():
            if other.source == source.source:
                raise StudyError(f"{where}: [unlabelled] {name} is {what}: {source.source}", hint=_HINT)


def check_other_content(study: StudySpec, source_hash: Callable[[SourceSpec], str]) -> None:
    """Refuse images that are those of a transfer set or test split under another name (StudyError)."""
    if not study.unlabelled:
        return
    hashes = {source_hash(source): what for what, source in _tested(study).items()}
    for name, source in study.unlabelled_sources.items():
        if (what := hashes.get(source_hash(source))) is not None:
            raise StudyError(f"[unlabelled] {name} has the images of {what}", hint=_HINT)


def _tested(study: StudySpec) -> dict[str, SourceSpec]:
    """Words -> source of everything that a model is tested on."""
    found = {f"transfer set {name}": transfer.test_source for name, transfer in study.transfer.items()}
    for name, dataset in study.datasets.items():
        if dataset.test_source is not None:
            found[f"the test split of {name}"] = dataset.test_source
    return found
