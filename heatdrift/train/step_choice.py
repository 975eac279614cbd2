"""Which kind of step trains a cell: measured on copies of its model, and only if it gives the same losses."""

import copy
import time
from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor

from heatdrift.model.adapt import AdaptedModel
from heatdrift.train.penalty import Penalised
from heatdrift.train.precision import Precision
from heatdrift.train.step import PlainStep, StepKind, adamw, loss_scaler, make_step

Compile = Literal["off", "graph", "compiled", "auto"]
FASTER: Final = 1.1  # another step must be so many times as fast as the plain one
SAME: Final = 1e-4  # relative difference of losses; a wrong step is off by far more
SAME_HALF: Final = 2e-2  # in bfloat16 or float16
COMPILE_FROM_S: Final = 20.0  # `auto` compiles where a cell takes so many seconds of captured steps: it takes about 10
TRIED: Final = 8  # steps, of which the last ones are timed: after warm-up and capture
_TIMED: Final = 4


def chosen_step(
    wanted: Compile,
    model: AdaptedModel,
    x: Tensor,
    labels: Tensor,
    *,
    lr: float,
    clip_norm: float,
    precision: Precision,
    steps: int,
    on_problem: Callable[[str], object],
    penalised: Callable[[AdaptedModel], Penalised | None] = lambda _model: None,
) -> StepKind:
    """Return which kind of step trains.

    Parameters
    ----------
    wanted : `off` = plain; `auto` = the fastest that passes; else that one, if it passes.
    x, labels : one full batch, on the device that trains, with the images of a penalty after those with labels.
    steps : of a cell; ``auto`` compiles where they take so long that it pays.
    penalised : model -> what its method adds to the loss (``penalty.penalised``).
    on_problem : called with a sentence where a step that was asked for cannot be used.

    Returns
    -------
    "plain" on anything but CUDA. The model, its gradients and the generators are left as they were.
    """
    if wanted == "off":
        return "plain"
    if x.device.type != "cuda":
        if wanted != "auto":
            on_problem(f"--compile {wanted} needs CUDA; {x.device.type} takes plain steps")
        return "plain"
    others: tuple[StepKind, ...] = ("graph", "compiled") if wanted == "auto" else (wanted,)
    options = {"lr": lr, "clip_norm": clip_norm}
    plain = tried("plain", model, x, labels, precision=precision, penalised=penalised, **options)
    best, best_s = "plain", plain[1] / FASTER
    for kind in others:
        if wanted == "auto" and kind == "compiled" and best_s / _TIMED * steps < COMPILE_FROM_S:
            continue
        try:
            losses, seconds = tried(kind, model, x, labels, precision=precision, penalised=penalised, **options)
        except Exception as error:  # noqa: BLE001  whatever a compiler, driver or allocator raises, plain steps train
            on_problem(f"--compile {kind} is not used: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
            torch.cuda.empty_cache()
            continue
        if not same_losses(plain[0], losses, precision=precision):
            on_problem(f"--compile {kind} is not used: its losses are not those of plain steps")
        elif seconds <= best_s or (wanted != "auto"):
            best, best_s = kind, seconds
    return "plain" if best == "plain" else "graph" if best == "graph" else "compiled"


def tried(
    kind: StepKind,
    model: AdaptedModel,
    x: Tensor,
    labels: Tensor,
    *,
    lr: float,
    clip_norm: float,
    precision: Precision,
    penalised: Callable[[AdaptedModel], Penalised | None] = lambda _model: None,
) -> tuple[list[float], float]:
    """Return the losses of a few steps on a copy of the model, and the seconds of the last ones.

    Dropout is off, so that steps of different kinds can be compared; the generators are left as they were.
    """
    with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []):
        trial = copy.deepcopy(model)
        trial.train_mode(on=False)
        parameters = trial.trained()
        optimizer = adamw(parameters, lr=lr, weight_decay=0.0, device=x.device, captured=kind != "plain")
        plain = PlainStep(
            trial.logits,
            parameters,
            optimizer,
            clip_norm=clip_norm,
            bfloat16=precision == "bfloat16",
            scaler=loss_scaler(x.device) if precision == "float16" else None,
            penalised=penalised(trial),
        )
        step = make_step(kind, plain, len(labels), trial.blocks)
        results, started = [], 0.0
        for i in range(TRIED):
            if i == TRIED - _TIMED:
                _wait(x.device)
                started = time.perf_counter()
            results.append(step(x, labels).loss)
        _wait(x.device)
        seconds = time.perf_counter() - started
    return torch.stack(results).tolist(), seconds


def same_losses(one: list[float], other: list[float], *, precision: Precision) -> bool:
    """Whether two courses of losses agree, to rounding that grows over a few steps."""
    limit = SAME if precision == "float32" else SAME_HALF
    return all(abs(a - b) <= limit * max(abs(a), 1e-3) for a, b in zip(one, other, strict=True))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
