"""One training step, and the same step captured once and replayed: an accelerator then launches nothing by itself.

A captured step (a CUDA graph) reads its batch from fixed tensors and its learning rate from a tensor. Batches of
another size, the last of an epoch, take the plain step. ``step_choice.py`` measures which one trains.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from heatdrift.train.penalty import Penalised

StepKind = Literal["plain", "graph", "compiled"]
Logits = Callable[[Tensor], Tensor]
Replay = Callable[[], object]

BETAS: Final = (0.9, 0.999)  # of AdamW
WARM_UP: Final = 3  # real steps before a capture: kernels are chosen and the optimiser has its state


class StepResult(NamedTuple):
    """What a step gave, as 0-d tensors on its device, which nobody has read yet; `loss` is without a penalty."""

    loss: Tensor
    hits: Tensor
    finite: Tensor


class Step(Protocol):
    """A step of training: changes the parameters by one batch."""

    def __call__(self, x: Tensor, labels: Tensor) -> StepResult:
        """Train on inputs (batch, ...) with labels (batch,); further inputs are for a penalty (``penalty.py``)."""


class PlainStep:
    """Forward, backward, clipping and optimiser, one operation after the other.

    On a processor a loss or gradient that is not finite leaves the parameters as they were; elsewhere finding out would
    mean waiting, and what such a step leaves behind is of no use. With a `scaler` the model computes in float16, and
    only a loss that is not finite counts: gradients overflow now and then, which the scaler is for. `penalised` takes
    the place of `logits` where the method adds something to the loss.
    """

    def __init__(
        self,
        logits: Logits,
        parameters: list[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        *,
        clip_norm: float,
        bfloat16: bool,
        scaler: torch.amp.GradScaler | None = None,
        penalised: Penalised | None = None,
    ) -> None:
        self.logits = logits
        self.penalised = penalised
        self.parameters = parameters
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.bfloat16 = bfloat16
        self.scaler = scaler

    def __call__(self, x: Tensor, labels: Tensor) -> StepResult:
        """Train on one batch."""
        self.optimizer.zero_grad(set_to_none=True)
        half = torch.bfloat16 if self.scaler is None else torch.float16
        with torch.autocast(x.device.type, dtype=half, enabled=self.bfloat16 or self.scaler is not None):
            scores, penalty = (self.logits(x), None) if self.penalised is None else self.penalised(x, len(labels))
        loss = functional.cross_entropy(scores.float(), labels)
        whole = loss if penalty is None else loss + penalty
        if self.scaler is not None:
            return self._scaled(loss, whole, scores, labels, self.scaler)
        whole.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        finite = torch.isfinite(whole.detach()) & torch.isfinite(norm)
        if x.device.type != "cpu" or finite:
            self.optimizer.step()
        return StepResult(loss.detach(), (scores.detach().argmax(-1) == labels).sum(), finite)

    def _scaled(
        self, loss: Tensor, whole: Tensor, scores: Tensor, labels: Tensor, scaler: torch.amp.GradScaler
    ) -> StepResult:
        """Backward with a scaled loss: one that overflows leaves the parameters, and the next scale is smaller."""
        scaler.scale(whole).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        scaler.step(self.optimizer)
        scaler.update()
        return StepResult(loss.detach(), (scores.detach().argmax(-1) == labels).sum(), torch.isfinite(whole.detach()))


class CapturedStep:
    """A step that is captured at its first full batch after the warm-up, and replayed for every later one.

    Parameters
    ----------
    plain : the step that is captured, and that takes batches of another size.
    batch_size : size of a full batch.
    capture : runs a function so that the work which it launches is recorded, and returns what replays it; the recorded
        function's tensors are then written by each replay.
    """

    def __init__(self, plain: Step, batch_size: int, capture: "Callable[[Callable[[], None]], Replay]") -> None:
        self.plain = plain
        self.batch_size = batch_size
        self.capture = capture
        self._warmed = 0
        self._x: Tensor | None = None
        self._labels: Tensor | None = None
        self._result: StepResult | None = None
        self._replay: Replay | None = None

    def __call__(self, x: Tensor, labels: Tensor) -> StepResult:
        """Train on one batch."""
        if len(labels) != self.batch_size:
            return self.plain(x, labels)
        if self._replay is None and self._warmed < WARM_UP:
            self._warmed += 1
            return self.plain(x, labels)
        if self._replay is None:
            self._x, self._labels = x.clone(), labels.clone()
            self._replay = self.capture(self._run)
        assert self._x is not None
        assert self._labels is not None
        self._x.copy_(x)
        self._labels.copy_(labels)
        self._replay()
        assert self._result is not None
        return StepResult(*(value.clone() for value in self._result))  # the next replay writes into them

    def _run(self) -> None:
        assert self._x is not None
        assert self._labels is not None
        self._result = self.plain(self._x, self._labels)


def cuda_graph(run: Callable[[], None]) -> Replay:
    """Capture `run` as a CUDA graph; it must not read anything back, and its optimiser must be capturable."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def make_step(kind: StepKind, plain: PlainStep, batch_size: int, blocks: nn.ModuleList | None = None) -> Step:
    """Return a step of one kind; "compiled" is a graph of what torch.compile makes of the tower's `blocks`."""
    if kind == "plain":
        return plain
    inner = plain
    if kind == "compiled":
        assert blocks is not None
        inner = copy.copy(plain)
        inner.logits = compiled_blocks(plain.logits, blocks)
        if (own := plain.penalised) is not None:  # the penalty, which holds weights or the base, is captured as it is
            inner.penalised = replace(own, embed=compiled_blocks(own.embed, blocks))
    return _WholeBatches(CapturedStep(inner, batch_size, cuda_graph), plain, batch_size)


def compiled_blocks(logits: Logits, blocks: nn.ModuleList) -> Logits:
    """Return `logits` with each of `blocks` compiled while it runs.

    Blocks share their code, so it is compiled once for all of them: in a fifth of the time that the whole tower takes,
    and no cell, method or size of a classifier makes it compile again without need.
    """
    compiled = [cast(nn.Module, torch.compile(block, dynamic=False)) for block in blocks]

    def run(x: Tensor) -> Tensor:
        plain = list(blocks)
        try:
            for position, block in enumerate(compiled):
                blocks[position] = block
            return logits(x)
        finally:
            for position, block in enumerate(plain):
                blocks[position] = block

    return run


class _WholeBatches:
    """Full batches to one step, others to the plain one: torch.compile would compile again for another size."""

    def __init__(self, whole: Step, other: Step, batch_size: int) -> None:
        self.whole, self.other, self.batch_size = whole, other, batch_size

    def __call__(self, x: Tensor, labels: Tensor) -> StepResult:
        return (self.whole if len(labels) == self.batch_size else self.other)(x, labels)


def adamw(
    parameters: list[nn.Parameter], *, lr: float, weight_decay: float, device: torch.device, captured: bool
) -> torch.optim.AdamW:
    """AdamW as one kernel; for a captured step with its learning rate in a tensor, which a replay reads."""
    return torch.optim.AdamW(
        parameters,
        lr=torch.tensor(lr, device=device) if captured else lr,
        betas=BETAS,
        weight_decay=weight_decay,
        fused=True,
        capturable=captured and device.type == "cuda",
    )


def loss_scaler(device: torch.device) -> torch.amp.GradScaler:
    """Return what scales the loss of float16 training; its scale lies on the device, where a replay changes it too."""
    return torch.amp.GradScaler(device.type)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group: into its tensor, where it has one."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state and keep how this one works: a tensor that a captured step reads must stay the same."""
    own = [{name: group[name] for name in ("lr", "fused", "capturable")} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)
