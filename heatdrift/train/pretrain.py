"""Pretrain the lab's CLIP from nothing: contrastive image-text training on images drawn on the fly.

The recipe in one place: AdamW, linear warm-up and cosine, and half of the patches dropped for most of the steps, which
halves the cost of a step (Li et al. 2023, "Scaling language-image pre-training via masking"); the last steps see whole
images, as the model will. The weights of the last step are written, whatever they score: nothing is selected on the
transfer set.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.transformer import PatchDropout
from safetensors.torch import load_file, save
from torch import Tensor, nn

from heatdrift.data.lab import draw_pretraining_batch, draw_set, pretraining_texts
from heatdrift.train.schedule import derived_seed, lr_factor

CONFIG: Final = Path(__file__).parents[1] / "model" / "weights" / "lab.json"
SEED: Final = 0
STEPS: Final = 1200
BATCH_SIZE: Final = 128
THREADS: Final = 1  # one thread gives the same sums on any number of cores
PEAK_LR: Final = 2e-3
BETAS: Final = (0.9, 0.98)
WEIGHT_DECAY: Final = 0.05  # on matrices; vectors (biases, norms, class token) are left free
WARMUP_FRACTION: Final = 0.05
CLIP_NORM: Final = 1.0
MAX_LOGIT_SCALE: Final = math.log(100.0)
PATCH_DROPOUT: Final = 0.5
WHOLE_IMAGE_FRACTION: Final = 0.15  # the last part of the steps, without patch dropout
TEMPLATE: Final = "a photo of a {}."


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainProgress:
    """State after one step; `loss` is that batch's, in nats; `wall_s` counts from the first step."""

    step: int
    steps: int
    loss: float
    lr: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainResult:
    """What a pretraining came to.

    Attributes
    ----------
    loss : mean contrastive loss of the last 5 % of the steps, in nats.
    zero_shot_pct : top-1 on the held-out combinations, from the written float16 weights.
    weights_sha256 : hash of the written file.
    """

    loss: float
    zero_shot_pct: float
    wall_s: float
    weights_sha256: str


class _Vocabulary:
    """The few tokens that captions use, renumbered in order, so that a step does not touch 49,408 embedding rows.

    Order is kept because open_clip pools the text at its largest token, the end token.
    """

    def __init__(self, context_length: int, vocab_size: int) -> None:
        self._tokenize = open_clip.SimpleTokenizer(context_length=context_length)
        self.ids = torch.unique(self._tokenize(list(pretraining_texts())))
        self._renumber = torch.zeros(vocab_size, dtype=torch.int64)
        self._renumber[self.ids] = torch.arange(len(self.ids))
        self._known: dict[str, Tensor] = {}

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Return renumbered tokens, (len(captions), context_length)."""
        new = [caption for caption in captions if caption not in self._known]
        if new:
            self._known.update(zip(new, self._renumber[self._tokenize(new)], strict=True))
        return torch.stack([self._known[caption] for caption in captions])

    def widened(self, rows: Tensor) -> Tensor:
        """Embedding rows at their original token numbers; rows of unused tokens are 0, which compresses to nothing."""
        table = rows.new_zeros(len(self._renumber), rows.shape[1])
        table[self.ids] = rows
        return table


def contrastive_loss(image: Tensor, text: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Symmetric contrastive loss in which all images of an equal caption are positives.

    Parameters
    ----------
    image : (n, d) normalised image embeddings.
    text : (m, d) normalised embeddings of the distinct captions, m <= n.
    target : (n,) index of each image's caption; every caption has an image.
    scale : factor on the cosines.

    Returns
    -------
    Mean of the image-to-text and the text-to-image cross-entropy, in nats; where all captions differ this is CLIP's
    loss (Radford et al. 2021). A caption with several images spreads its target evenly over them.
    """
    logits = scale * image @ text.T
    share = F.one_hot(target, len(text)).T.to(logits.dtype)
    share = share / share.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, share)) / 2


def pretrain_lab(
    *,
    out: Path,
    seed: int = SEED,
    steps: int = STEPS,
    batch_size: int = BATCH_SIZE,
    threads: int = THREADS,
    report: Callable[[PretrainProgress], None] = lambda _: None,
) -> PretrainResult:
    """Train the lab's CLIP and write its float16 weights to `out` (safetensors, open_clip's names, by atomic rename).

    Parameters
    ----------
    seed : decides initialisation, images, captions and patch dropout; the same seed, threads and machine give the same
        bytes.
    steps, batch_size : length of the training.
    threads : torch threads while it runs.
    report : called after every step.
    """
    config = _read_config(CONFIG)
    losses: list[float] = []
    with _torch_state(derived_seed(seed, "pretrain"), threads):
        text = config["text_cfg"]
        vocabulary = _Vocabulary(text["context_length"], text["vocab_size"])
        model = open_clip.CLIP(**{**config, "text_cfg": {**text, "vocab_size": len(vocabulary.ids)}})
        rng = np.random.Generator(np.random.PCG64(derived_seed(seed, "pretraining images")))
        start = time.monotonic()
        for step, lr, loss in _steps(model, vocabulary, rng, steps, batch_size):
            losses.append(loss)
            report(PretrainProgress(step=step, steps=steps, loss=loss, lr=lr, wall_s=time.monotonic() - start))
        weights = {name: value.detach() for name, value in model.state_dict().items()}
        weights["token_embedding.weight"] = vocabulary.widened(weights["token_embedding.weight"])
        _write(weights, out)
        zero_shot_pct = evaluate_lab(out, CONFIG)
    return PretrainResult(
        loss=float(np.mean(losses[-math.ceil(0.05 * steps) :])),
        zero_shot_pct=zero_shot_pct,
        wall_s=time.monotonic() - start,
        weights_sha256=hashlib.sha256(out.read_bytes()).hexdigest(),
    )


def evaluate_lab(weights: Path, config: Path = CONFIG) -> float:
    """Zero-shot top-1 (%) on the held-out combinations, prompt 'a photo of a {}.'."""
    architecture = _read_config(config)
    model = open_clip.CLIP(**architecture)
    model.load_state_dict({name: value.float() for name, value in load_file(weights).items()}, strict=True)
    model.eval()
    tokenize = open_clip.SimpleTokenizer(context_length=architecture["text_cfg"]["context_length"])
    transfer = draw_set("combinations", "test")
    with torch.inference_mode():
        text = model.encode_text(tokenize([TEMPLATE.format(name) for name in transfer.class_names]), normalize=True)
        batches = np.array_split(transfer.pixels, math.ceil(len(transfer.pixels) / 128))
        image = torch.cat([model.encode_image(_normalised(batch), normalize=True) for batch in batches])
    hits = (image @ text.T).argmax(dim=1) == torch.from_numpy(transfer.labels)
    return 100.0 * float(hits.double().mean())


def _steps(
    model: open_clip.CLIP, vocabulary: _Vocabulary, rng: np.random.Generator, steps: int, batch_size: int
) -> Iterator[tuple[int, float, float]]:
    """Train in place; yields (1-based step, learning rate, loss)."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR, betas=BETAS, fused=True)
    model.train()
    model.visual.patch_dropout = PatchDropout(PATCH_DROPOUT)
    for step in range(1, steps + 1):
        if step > (1 - WHOLE_IMAGE_FRACTION) * steps:
            model.visual.patch_dropout = nn.Identity()
        lr = PEAK_LR * lr_factor(step - 1, steps, WARMUP_FRACTION)
        for group in optimizer.param_groups:
            group["lr"] = lr
        pixels, captions = draw_pretraining_batch(rng, batch_size)
        distinct = sorted(set(captions))
        target = torch.tensor([distinct.index(caption) for caption in captions])
        image = model.encode_image(_normalised(pixels), normalize=True)
        text = model.encode_text(vocabulary(distinct), normalize=True)
        loss = contrastive_loss(image, text, target, model.logit_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        yield step, lr, loss.item()


def _normalised(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, 28, 28, 3) uint8 -> (n, 3, 28, 28) float32 with open_clip's default mean and standard deviation."""
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    return (image - mean[:, None, None]) / std[:, None, None]


def _read_config(path: Path) -> dict[str, Any]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def _write(weights: dict[str, Tensor], out: Path) -> None:
    """Write float16 safetensors next to `out`, then rename: a stopped run leaves the old file whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.write_bytes(save({name: value.half().contiguous() for name, value in weights.items()}))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _torch_state(seed: int, threads: int) -> Iterator[None]:
    """Seed torch's global generator (open_clip's initialisation and patch dropout know no other), restored after."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
