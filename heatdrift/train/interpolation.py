"""interpolate: the models between a base and one adapted from it, measured -> which of them keeps what it knew.

Weights are averaged between base and adapted as Wortsman et al. 2022 (WiSE-FT) do: W0 + alpha (W - W0), in all tensors.
An adapter of the LoRA family is merged first: its update is alpha times as large then, which for LoRA and rsLoRA is the
adapter scaled by alpha exactly; a DoRA adapter is averaged as merged weights.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import chosen_pictures, open_pictures, readable_pictures
from heatdrift.errors import ModelError, StudyError
from heatdrift.model.backbone import Backbone
from heatdrift.model.checkpoints import open_adapted, open_base
from heatdrift.model.layouts.containers import read_container
from heatdrift.model.layouts.open_clip_names import fused_attention
from heatdrift.model.weight_files import write_safetensors
from heatdrift.probes.compare import probe_values
from heatdrift.probes.transfer import accuracy_pct
from heatdrift.probes.weights import weight_probes
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.external_transfer import ForeignTransfer, open_transfer, predicted_classes, zero_shot_pct
from heatdrift.train.interpolation_result import AlphaRow, InterpolateResult, recommended
from heatdrift.train.loop import Normaliser, PixelSet

HEAD: Final = "head.safetensors"  # that `train --export` writes next to the merged weights
_MOST: Final = 201  # models of a path
_SEED: Final = 0


def alphas_of(text: str) -> tuple[float, ...]:
    """Read ``0:1:0.1`` (first, last, step) or ``0,0.3,1``; both ends of the path, 0 and 1, always belong to it.

    Raises
    ------
    StudyError : no numbers, numbers outside of 0 to 1, a step that is not above 0, or more than 201 of them.
    """
    hint = "--alpha 0:1:0.1 (first:last:step) or --alpha 0,0.3,1"
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if not (0 < step < math.inf and 0 <= first <= last <= 1):
                raise ValueError(text)
            count = int((last - first) / step + 1e-9) + 1
            values = [round(first + i * step, 12) for i in range(min(count, _MOST + 1))]
        else:
            values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise StudyError(f"--alpha {text!r} is no path from 0 to 1", hint=hint) from error
    if not all(0 <= value <= 1 for value in values):
        raise StudyError(f"--alpha {text!r} leaves the path from base (0) to adapted (1)", hint=hint)
    if len(values) > _MOST:
        raise StudyError(f"--alpha {text!r} is more than {_MOST} models", hint=hint)
    return tuple(sorted({0.0, *values, 1.0}))


def between(base: Backbone, adapted: Backbone, alpha: float) -> Backbone:
    """The model at `alpha`, both towers; at 0 and 1 it is base and adapted to the last bit."""
    clip = copy.deepcopy(base.clip)
    theirs = adapted.clip.state_dict()
    with torch.no_grad():
        for name, tensor in clip.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.lerp(tensor, theirs[name], alpha))
    return replace(base, name=f"alpha {alpha:g}", visual=clip.visual, clip=clip)


def interpolate(
    base: str | Path,
    adapted: str | Path,
    *,
    transfer: str,
    target: str | None = None,
    head: str | Path | None = None,
    images: str | None = None,
    alphas: tuple[float, ...] = alphas_of("0:1:0.1"),
    margin: float = 2.0,
    keep: float = 95.0,
    config: str | None = None,
    template: str = "a photo of a {}.",
    n_images: int | None = 200,
    n_transfer: int | None = None,
    n_target: int | None = None,
    save: Path | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    skip_unreadable: bool = False,
    on_alpha: Callable[[float, int, int], object] = lambda _alpha, _done, _total: None,
) -> InterpolateResult:
    """Measure the models between base and adapted, and recommend one.

    Parameters
    ----------
    base, adapted, config, images : as :func:`heatdrift.train.external.measure`; images default to the transfer set's.
    transfer : labelled source of zero-shot. target : labelled source of what was trained.
    head : the trained classifier (``classifier.weight``, ``classifier.bias``), its classes in the order of the
        target's; by default head.safetensors next to the adapted weights, and without one the target is zero-shot too.
    alphas : ascending from 0 to 1 (:func:`alphas_of`).
    margin, keep : of the rule (:func:`heatdrift.train.interpolation_result.recommended`), points and percent.
    save : file that the recommended model is written to.

    Raises
    ------
    ModelError, DataError, StudyError : as measure; a head that does not fit the model or the target.
    """
    where, place = folder or Path(), torch.device(device)
    if not (margin >= 0 and 0 <= keep <= 100):
        problem = f"margin is {margin:g} and keep {keep:g}; a margin is at least 0, and 0 to 100 % are kept"
        raise StudyError(problem, hint="--margin 2 --keep 95")
    if save is not None and save.suffix != ".safetensors":
        raise StudyError(f"--save {save} is no .safetensors file", hint="--save between.safetensors")
    start = open_base(base, config=config, folder=where, device=place)
    path = where / adapted
    end = open_adapted(path, start)
    evaluation = Evaluation(normalise=Normaliser.of(start.preprocess, place))
    held = open_transfer(
        transfer, start, where, template=template, class_names=None, n=n_transfer, skip=skip_unreadable
    )
    aim = None if target is None else open_transfer(
        target, start, where, template=template, class_names=None, n=n_target, skip=skip_unreadable
    )  # fmt: skip
    classifier = None if aim is None else _head(path, None if head is None else where / head, start, aim)
    pictures = open_pictures(images or transfer, where)
    pictures = readable_pictures(pictures) if skip_unreadable else pictures
    chosen = chosen_pictures(pictures, n_images, _SEED)
    probe = PixelSet(
        crops=torch.from_numpy(crops(pictures, chosen, start.preprocess)),
        labels=torch.zeros(len(chosen), dtype=torch.int64),
    )
    before = evaluation.measure(start.visual, probe, 0)
    old = dict(start.visual.named_parameters())
    rows: list[AlphaRow] = []
    for done, alpha in enumerate(alphas):
        on_alpha(alpha, done, len(alphas))
        model = between(start, end.model, alpha)
        updates = {name: p.detach() - old[name].detach() for name, p in model.visual.named_parameters()}
        seen = before if alpha == 0 else evaluation.measure(model.visual, probe, 0)
        zero_shot = zero_shot_pct(predicted_classes(model, held, evaluation), held)
        assert zero_shot is not None
        first = rows[0].zero_shot_pct if rows else zero_shot
        rows.append(
            AlphaRow(
                alpha=alpha,
                zero_shot_pct=zero_shot,
                retention_pct=100 * zero_shot / first if first else None,
                target_pct=None if aim is None else _target_pct(model, aim, classifier, evaluation),
                means=probe_values(before, seen, weights=weight_probes(start.visual, model.visual, updates)).means,
            )
        )
    choice = recommended(rows, margin=margin, keep=keep)
    notes = [f"{path.name}: {said}" for said in end.said]
    notes += ["base and adapted have the same weights, to the last bit"] if end.same_visual and end.same_text else []
    notes.append("alpha is chosen on the images that it is reported on: report accuracy on images of their own")
    if save is not None and choice.alpha is not None:
        _save(save, between(start, end.model, choice.alpha), start, choice.alpha)
    return InterpolateResult(
        base=start.name,
        adapted=path.name,
        transfer=held.plan.name,
        n_transfer=len(held.pixels),
        images=pictures.source,
        n_images=len(probe),
        target=None if aim is None else aim.plan.name,
        n_target=0 if aim is None else len(aim.pixels),
        target_by=None if aim is None else "zero-shot" if classifier is None else "head",
        rows=tuple(rows),
        recommended=choice,
        notes=tuple(notes),
        saved=None if save is None or choice.alpha is None else str(save),
    )


def _head(adapted: Path, stated: Path | None, base: Backbone, aim: ForeignTransfer) -> tuple[Tensor, Tensor] | None:
    """Weight (classes, dim) and bias (classes,) of the trained classifier; None where there is none."""
    near = (adapted if adapted.is_dir() else adapted.parent) / HEAD
    path = stated or (near if near.is_file() else None)
    if path is None:
        return None
    tensors = read_container(path).value
    weight, bias = tensors.get("classifier.weight"), tensors.get("classifier.bias")
    hint = f"--head FILE with classifier.weight ({len(aim.names)}, {base.embed_dim}) and classifier.bias"
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
        raise ModelError(f"{path} has no classifier.weight and classifier.bias", hint=hint)
    if weight.shape != (len(aim.names), base.embed_dim) or bias.shape != (len(aim.names),):
        problem = f"{path} classifies {tuple(weight.shape)}, the target {aim.plan.name} has {len(aim.names)} classes"
        raise ModelError(problem, hint=hint)
    device = base.visual.get_parameter("proj").device
    return weight.float().to(device), bias.float().to(device)


def _target_pct(
    model: Backbone, aim: ForeignTransfer, classifier: tuple[Tensor, Tensor] | None, evaluation: Evaluation
) -> float | None:
    if classifier is None:
        return zero_shot_pct(predicted_classes(model, aim, evaluation), aim)
    weight, bias = classifier
    encode = evaluation.encoder_of(model.visual)

    @torch.inference_mode()
    def predicted(size: int) -> Tensor:
        batches = evaluation.normalise.batches(aim.pixels, size)
        return torch.cat([(encode(batch) @ weight.T + bias).argmax(-1) for batch in batches]).cpu()

    return accuracy_pct((evaluation.fitting(predicted) == aim.pixels.labels).numpy())


def _save(path: Path, model: Backbone, base: Backbone, alpha: float) -> None:
    state = fused_attention({name: tensor.detach().cpu() for name, tensor in model.clip.state_dict().items()})[0]
    labels = {
        "backbone": base.name,
        "backbone_sha256": base.content_sha256,
        "quick_gelu": str(bool(base.architecture["quick_gelu"])).lower(),
        "alpha": f"{alpha:g}",
        "format": "pt",
    }
    write_safetensors(path, state, labels)
