"""Whether a study's sizes fit the pictures that are here: what plan, doctor, fetch and a dry run ask. Torch-free."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from heatdrift.config import DatasetSpec, SourceSpec, StudySpec, TransferSpec
from heatdrift.data.chosen import with_made_test
from heatdrift.data.images import LabelledImages
from heatdrift.data.sources import count_source
from heatdrift.errors import HeatdriftError
from heatdrift.train.inputs import split_target, transfer_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCheck:
    """Whether a data set or transfer set of a study has the images that its sizes ask for.

    Attributes
    ----------
    name : as the study calls it; ``section`` of which part of the study file it is.
    counted : whether its images are here to be counted; if not, nothing is known.
    problem : what train would refuse; None where all fits, or nothing is known.
    """

    name: str
    section: Literal["datasets", "transfer"]
    counted: bool
    problem: HeatdriftError | None = None


def check_sizes(study: StudySpec, folder: Path, datasets: Iterable[str] | None = None) -> tuple[SizeCheck, ...]:
    """Split what is here as training would, from counts alone: of `datasets` (None = all), and every transfer set.

    Cheaper than ``check_inputs``: what a manifest lists is not opened, and what is not here is no error. Pictures
    that ``skip_unreadable`` would leave out are counted too, so what does not fit here will not fit then.
    """
    seed, draw = study.train.data_seed, study.train.probe_draw
    found = []
    for name in study.datasets if datasets is None else dict.fromkeys(datasets):
        spec = study.datasets[name]

        def split(*images: LabelledImages, name: str = name, spec: DatasetSpec = spec) -> object:
            if spec.test_fraction is not None:
                images = with_made_test(images[0], spec.test_fraction, data_seed=seed)
            source, test = images
            return split_target(name, spec, source, test, protocol=study.protocol, data_seed=seed, probe_draw=draw)

        sources = [source for source in (spec.train_source, spec.test_source) if source is not None]
        found.append(_size_check(name, "datasets", sources, folder, split))
    for name, transfer in study.transfer.items():

        def choose(images: LabelledImages, name: str = name, transfer: TransferSpec = transfer) -> object:
            return transfer_positions(name, images, transfer.n_images, transfer.track, data_seed=seed)

        found.append(_size_check(name, "transfer", (transfer.test_source,), folder, choose))
    return tuple(found)


def _size_check(
    name: str,
    section: Literal["datasets", "transfer"],
    sources: Iterable[SourceSpec],
    folder: Path,
    split: Callable[..., object],
) -> SizeCheck:
    try:
        images = [count_source(source, folder) for source in sources]
        if any(counted is None for counted in images):
            return SizeCheck(name=name, section=section, counted=False)
        split(*images)
    except HeatdriftError as error:
        return SizeCheck(name=name, section=section, counted=True, problem=error)
    return SizeCheck(name=name, section=section, counted=True)
