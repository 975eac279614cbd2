"""How long an image takes on a device, measured on the backbone itself: in training by each method, in evaluation.

It runs in a process of its own (``estimate.py``), which is ended when its time is over; what it sent by then counts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from heatdrift.config import StudySpec
from heatdrift.errors import HeatdriftError
from heatdrift.model.adapt import AdaptedModel, adapt
from heatdrift.plan.unlabelled import seen_by
from heatdrift.records import Cell
from heatdrift.train.device import resolve_device
from heatdrift.train.estimate import Rate, Ready
from heatdrift.train.inputs import image_counts
from heatdrift.train.loop import PixelSet
from heatdrift.train.penalty import penalised
from heatdrift.train.prefix import block_output, from_tokens, frozen_blocks
from heatdrift.train.resources import Resources
from heatdrift.train.step import PlainStep, adamw

PROCESSOR_BATCH: Final = 8  # images of a timed batch on a processor, where more only take longer
CLASSES: Final = 10
REPEATS: Final = 3


def send_rates(
    pipe: Connection, study: StudySpec, cells: Sequence[Cell], data_folder: Path, device: str, threads: int
) -> None:
    """Send :class:`Ready`, a :class:`Rate` for evaluation, probes and each method, then None; on an error its message.

    Images are counted, not decoded: the pixels are grey.

    Parameters
    ----------
    cells : all whose time is asked for.
    """
    try:
        torch.set_num_threads(threads)
        place = resolve_device(device)
        counts = image_counts(study, data_folder, [cell.dataset for cell in cells])
        pipe.send(Ready(device=place, counts=counts))
        resources = Resources.of(study, data_folder, torch.device(place))
        for rate in _rates(resources, study, list({cell.method: cell for cell in cells}.values())):
            pipe.send(rate)
        pipe.send(None)
    except HeatdriftError as error:
        pipe.send(error.message)
    except (RuntimeError, MemoryError) as error:  # a driver, or memory: the estimate is left out, nothing else
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0][:200])


def _rates(resources: Resources, study: StudySpec, cells: Sequence[Cell]) -> Iterator[Rate]:
    backbone, size = resources.backbone, resources.backbone.preprocess.size
    batch = study.train.batch_size if resources.device.type == "cuda" else min(study.train.batch_size, PROCESSOR_BATCH)
    crops = torch.full((batch, 3, size, size), 128, dtype=torch.uint8)
    grey = PixelSet(crops=crops, labels=torch.arange(batch) % CLASSES)
    encode = resources.evaluation.encoder_of(backbone.visual)
    yield _rate("evaluate", lambda: torch.inference_mode()(encode)(resources.normalise(grey.crops)), resources, batch)
    yield _rate("probe", lambda: resources.measure(backbone.visual, grey, keep=0), resources, batch)
    for cell in cells:
        assert cell.recipe is not None
        assert cell.method_spec is not None
        model = adapt(backbone, cell.method_spec, CLASSES, classifier_seed=0, adapter_seed=0)
        model.train_mode(on=True)
        half = resources.fast.precision(cell.recipe) == "bfloat16"
        logits, inputs = _part(model, resources.normalise(grey.crops), half=half)
        held = penalised(model, backbone.visual)
        if held is not None and seen_by(cell.method_spec) is not None:
            inputs = torch.cat([inputs, inputs])  # as many images without labels as with
        labels = grey.labels.to(resources.device)
        optimizer = adamw(model.trained(), lr=0.0, weight_decay=0.0, device=resources.device, captured=False)
        step = PlainStep(
            logits, model.trained(), optimizer, clip_norm=cell.recipe.clip_norm, bfloat16=half, penalised=held
        )
        yield _rate(f"train/{cell.method}", partial(step, inputs, labels), resources, batch)


def _part(model: AdaptedModel, pixels: Tensor, *, half: bool) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """What of a model an image passes in every epoch, and its input: what is frozen is computed once."""
    tower: nn.Module = model.visual
    with torch.no_grad(), torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=half):
        if not model.family.changes_encoder:
            return model.classifier, tower(pixels)
        blocks = frozen_blocks(tower)
        if blocks == 0:
            return model.logits, pixels
        tokens = block_output(tower, blocks)(pixels)
    rest = from_tokens(tower, blocks, pixels.shape[-1])
    return lambda kept: model.classifier(rest(kept)), tokens


def _rate(what: str, run: Callable[[], object], resources: Resources, images: int) -> Rate:
    """The shortest of some passes after one that is not timed."""
    found = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        run()
        if resources.device.type == "cuda":
            torch.cuda.synchronize(resources.device)
        found.append(time.perf_counter() - started)
    return Rate(what=what, seconds=min(found[1:]) / images)
