"""What decides a number of the published matrix: the author's setting, its place in the public code, how to read ours.

The author's side is data, read in the repository below at the commits named; ours is asked of the study's cells and of
the code that trains and measures them, so that this table cannot say something that is not done.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from heatdrift.config import StudySpec
from heatdrift.crop_plan import Preprocess
from heatdrift.data.splits import PUBLISHED_BATCH
from heatdrift.methods import METHODS, Method
from heatdrift.metrics import PROBES
from heatdrift.records import Cell, TransferPlan
from heatdrift.wording import learning_rate, six_digits

REPOSITORY: Final = "https://github.com/xiaruize0911/Attention_Collapse_in_CLIP_Fine-tuning_repo"
COMMITS: Final = {  # file -> commit of the copy in which the lines below were counted
    "run_controlled_heatmap_drift.py": "8a5d3fe624d150d074814b67b8a3c625bf5335e6",
    "run_all_experiments.py": "8a5d3fe624d150d074814b67b8a3c625bf5335e6",
    "src/model.py": "8a5d3fe624d150d074814b67b8a3c625bf5335e6",
    "src/dataset.py": "0aed578c7610c6861767283f93aa4fd97d3fafc1",
    "src/metrics.py": "0aed578c7610c6861767283f93aa4fd97d3fafc1",
    "analyze_controlled_heatmap_drift.py": "7f0400b25771b46a251e20bf27e6ba66859b824c",
}
_STEPS: Final = 6760  # of EuroSAT: 20 epochs of 338 batches
_SHOWN_STEPS: Final = (0, 1, 169, 338, 3549, 6759)


@dataclass(frozen=True)
class Planned:
    """A study as it is planned: what the settings are read from."""

    study: StudySpec
    cells: Sequence[Cell]

    @cached_property
    def cell(self) -> Cell:
        """Any cell: for what all have alike."""
        return self.cells[0]

    @cached_property
    def transfer(self) -> TransferPlan:
        """The first transfer set."""
        return self.cell.transfer[0]

    def recipe(self, key: str) -> object:
        """A field of the recipe that all cells have alike."""
        found = {repr(getattr(cell.recipe, key)): getattr(cell.recipe, key) for cell in self.cells}
        return next(iter(found.values())) if len(found) == 1 else ", ".join(sorted(found))

    def each(self, of: Callable[[Cell], object]) -> str:
        """Distinct values of the cells, in the order of the plan."""
        return ", ".join(dict.fromkeys(str(of(cell)) for cell in self.cells))

    def method(self, name: str) -> Method:
        """What a method of the study trains."""
        return next((c.method_spec for c in self.cells if c.method == name and c.method_spec), METHODS[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that decides a number.

    Attributes
    ----------
    author : what the public code does.
    where : its file, line and function.
    ours : reads what a planned study does, in words that are those of `author` where it is the same.
    """

    name: str
    author: str
    where: str
    ours: Callable[[Planned], str]


def crops(made: Preprocess) -> str:
    """Return how crops are made."""
    antialiased = "antialiased" if made.antialias else "not antialiased"
    return f"{made.interpolation} {antialiased}, shorter side {made.shorter_side}, centre {made.size}"


def _preprocess(plan: Planned) -> Preprocess:
    from heatdrift.model.identity import is_tag
    from heatdrift.model.tags import pretrained

    assert is_tag(plan.study.backbone), "a published study has a published backbone"
    tag = pretrained(plan.study.backbone.name)
    own = Preprocess(
        size=tag.architecture["vision_cfg"]["image_size"],
        mean=tag.preprocess["mean"],
        std=tag.preprocess["std"],
        interpolation=tag.preprocess["interpolation"],
    )
    return own.changed(plan.study.preprocess)


def _sources(plan: Planned) -> str:
    named = []
    for name, spec in plan.study.datasets.items():
        test = spec.test_source
        held_out = test.source.rsplit("/", 1)[-1] if test is not None else f"{spec.test_fraction} of it"
        named.append(f"{name} {spec.train_source.source}, {held_out}")
    return "; ".join(named)


def _transfer_source(plan: Planned) -> str:
    spec = plan.study.transfer[plan.transfer.name].test_source
    return f"{spec.source}, {spec.n_images if plan.transfer.n_images is None else plan.transfer.n_images} images"


def _names(plan: Planned) -> str:
    from heatdrift.data.class_names import LISTS, names_of

    key = plan.transfer.class_names
    names = names_of(key) if key in LISTS else ()
    spoken = names if plan.transfer.underscores else tuple(name.replace("_", " ") for name in names)
    telling = [name for name in spoken if name in ("aquarium_fish", "aquarium fish", "cra", "crab")]
    return ", ".join(telling) or "those of the source"


def _classifier(plan: Planned) -> str:
    from heatdrift.model.adapt import CLASSIFIER_STD

    torchs = plan.recipe("classifier_init") == "torch"
    return "nn.Linear's own: uniform, random bias" if torchs else f"N(0, {CLASSIFIER_STD}), bias 0"


def _adamw(plan: Planned) -> str:
    from heatdrift.train.step import BETAS

    return f"AdamW, betas {BETAS[0]} and {BETAS[1]}, weight decay {plan.recipe('weight_decay')}"


def author_factor(step: int, total: int) -> float:
    """Factor on the learning rate as the author's lr_lambda has it."""
    warmup = int(0.05 * total)
    if step < warmup:
        return step / max(warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def _factors(factors: Iterable[float]) -> str:
    steps = ", ".join(map(str, _SHOWN_STEPS))
    return f"{', '.join(six_digits(round(f, 6)) for f in factors)} at steps {steps} of {_STEPS}"


def _schedule(plan: Planned) -> str:
    from heatdrift.train.schedule import lr_factor

    zero, part = plan.recipe("warmup") == "from_zero", plan.recipe("warmup_fraction")
    assert isinstance(part, float)
    return _factors(lr_factor(step, _STEPS, part, from_zero=zero) for step in _SHOWN_STEPS)


def _augmentation(_plan: Planned) -> str:
    from heatdrift.train.loop import FLIPPED

    return f"mirrored with probability {FLIPPED}"


def _probe_images(plan: Planned) -> str:
    from heatdrift.data.splits import PUBLISHED_SEED

    drawn = plan.recipe("probe_draw") == "randomstate_42"
    by = f"NumPy's RandomState({PUBLISHED_SEED})" if drawn else f"data seed {plan.recipe('data_seed')}"
    return f"{plan.each(lambda c: c.recipe and c.recipe.sizes.probe_images)} test images by {by}"


def _lora(plan: Planned) -> str:
    method = plan.method("lora_r8")
    lora = method.lora
    if not lora:
        return "none"
    targets = ", ".join(lora.targets)
    return (
        f"rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout} on {targets}; projection "
        f"{'trained' if method.projection else 'frozen'}"
    )


def _full(plan: Planned) -> str:
    method = plan.method("full_ft")
    whole = "all of the tower" if method.tower == "all" else str(method.tower)
    return f"{whole}; projection {'trained' if method.projection else 'frozen'}"


def _streams(plan: Planned) -> str:
    from heatdrift.train.schedule import derived_seed

    purposes = ("classifier", "adapters", "order", "flips", "dropout")
    apart = len({derived_seed(plan.cell.seed, purpose) for purpose in purposes}) == len(purposes)
    return f"{len(purposes)} streams from the seed, one each" if apart else "one stream from the seed"


def _measured_at(metric: str) -> Callable[[Planned], str]:
    def ours(plan: Planned) -> str:
        from heatdrift.report.sections.published_facts import published_studies

        [published] = [p for p in published_studies() if p["study"] == plan.study.name]
        return f"{published['measured_at'].get(metric, 'selected')} epoch"

    return ours


def _averaged(probe: str, in_batches: str) -> Callable[[Planned], str]:
    """What a probe averages over, as its definition ends; `in_batches` where the study averages batches."""
    [found] = [p for p in PROBES if p.name == probe]
    over_images = found.definition.rsplit("), ", 1)[-1].rsplit("maps, ", 1)[-1]
    return lambda plan: over_images if plan.recipe("probe_mean") is None else in_batches


def _spread(_plan: Planned) -> str:
    from heatdrift.store.views import view_statements

    sample = any("stddev_samp" in statement for statement in view_statements())
    return "divides by n - 1" if sample else "divides by n"


def _run(line: int, function: str) -> str:
    return f"run_all_experiments.py:{line} ({function})"


_TRAIN: Final = "train_one_experiment"
_DRIVER: Final = "run_controlled_heatmap_drift.py"
PREPRINT80: Final[tuple[Setting, ...]] = (
    Setting(
        name="backbone", author="ViT-B-32-quickgelu/openai", where="run_all_experiments.py:64, as "
        "openai/clip-vit-base-patch32", ours=lambda p: p.each(lambda c: c.backbone),
    ),
    Setting(
        name="data sets", author="eurosat hf:tanganke/eurosat/train, test; pets hf:timm/oxford-iiit-pet/train, test",
        where="src/dataset.py:65, 82 (load_eurosat, load_oxford_pets)", ours=_sources,
    ),
    Setting(
        name="crops", author="bilinear antialiased, shorter side 224, centre 224",
        where="src/dataset.py:22-23, 30-31 (get_clip_transform)", ours=lambda p: crops(_preprocess(p)),
    ),
    Setting(
        name="normalisation",
        author="mean 0.48145466, 0.4578275, 0.40821073, sd 0.26862954, 0.26130258, 0.27577711",
        where="src/dataset.py:14-15 (CLIP_MEAN, CLIP_STD)",
        ours=lambda p: f"mean {', '.join(map(str, _preprocess(p).mean))}, sd {', '.join(map(str, _preprocess(p).std))}",
    ),
    Setting(
        name="augmentation", author="mirrored with probability 0.5", where="src/dataset.py:24 (get_clip_transform)",
        ours=_augmentation,
    ),
    Setting(
        name="full_ft trains", author="all of the tower; projection trained",
        where="src/model.py:25-28 (CLIPClassifier freezes the text tower alone)", ours=_full,
    ),
    Setting(
        name="lora_r8", author="rank 8, alpha 16, dropout 0.05 on q_proj, v_proj; projection trained",
        where="src/model.py:52, 56, 65-71, 78-79 (create_lora_model)", ours=_lora,
    ),
    Setting(
        name="classifier at the start", author="nn.Linear's own: uniform, random bias", where="src/model.py:22",
        ours=_classifier,
    ),
    Setting(
        name="epochs", author="eurosat 20, pets 30", where=f"{_DRIVER}:20",
        ours=lambda p: p.each(lambda c: f"{c.dataset} {c.recipe and c.recipe.epochs}"),
    ),
    Setting(
        name="learning rates", author="1e-6, 5e-6, 1e-5, 5e-5", where=f"{_DRIVER}:19",
        ours=lambda p: p.each(lambda c: learning_rate(c.lr)),
    ),
    Setting(name="seeds", author="7, 11, 19, 42, 123", where=f"{_DRIVER}:110", ours=lambda p: p.each(lambda c: c.seed)),
    Setting(
        name="batch", author="64", where=_run(92, "build_eval_loaders"), ours=lambda p: str(p.recipe("batch_size"))
    ),
    Setting(
        name="optimiser", author="AdamW, betas 0.9 and 0.999, weight decay 0.01", where=_run(169, _TRAIN), ours=_adamw
    ),
    Setting(
        name="learning rate by step", author=_factors(author_factor(step, _STEPS) for step in _SHOWN_STEPS),
        where=_run(177, _TRAIN) + ", to 183", ours=_schedule,
    ),
    Setting(
        name="gradient norm limit", author="1.0", where=_run(249, _TRAIN), ours=lambda p: str(p.recipe("clip_norm"))
    ),
    Setting(
        name="training arithmetic", author="float16 with loss scaling on CUDA, else float32",
        where=_run(230, _TRAIN), ours=lambda p: str(p.recipe("precision")),
    ),
    Setting(
        name="random draws of a run", author="one stream from the seed", where=_run(67, "set_seed"), ours=_streams
    ),
    Setting(
        name="training loss of an epoch", author="mean over batches", where=_run(325, _TRAIN),
        ours=lambda p: f"mean over {p.recipe('loss_mean') or 'images'}",
    ),
    Setting(
        name="epoch selected by", author="accuracy on test", where=_run(344, _TRAIN),
        ours=lambda p: f"accuracy on {p.recipe('select_on')}",
    ),
    Setting(
        name="probe images", author="200 test images by NumPy's RandomState(42)",
        where="src/dataset.py:125-152 (create_fixed_eval_subset), seed run_all_experiments.py:62", ours=_probe_images,
    ),
    Setting(
        name="attention drift measured at", author="last epoch",
        where=_run(358, _TRAIN) + "; analyze_controlled_heatmap_drift.py:80", ours=_measured_at("delta_entropy_pct"),
    ),
    Setting(
        name="CIFAR-100 measured at", author="selected epoch",
        where="analyze_controlled_heatmap_drift.py:109 (evaluate_cifar100: best_model.pth)",
        ours=_measured_at("zero_shot_pct"),
    ),
    Setting(
        name="attention averages over", author="mean over batches of 32 images, heads, blocks",
        where=_run(96, "build_eval_loaders") + ", 134-141 (compute_metrics_on_eval)",
        ours=_averaged("entropy", f"mean over batches of {PUBLISHED_BATCH} images, heads, blocks"),
    ),
    Setting(
        name="head diversity from maps", author="each averaged over a batch of 32",
        where="src/metrics.py:65 (head_diversity_cosine), batches as above",
        ours=_averaged("head_diversity", f"each averaged over a batch of {PUBLISHED_BATCH}"),
    ),
    Setting(
        name="transfer set", author="hf:uoft-cs/cifar100/test, 10000 images",
        where="src/dataset.py:98, 101-102 (load_cifar100)", ours=_transfer_source,
    ),
    Setting(
        name="prompt", author="a photo of a {}", where=_run(741, "run_zero_shot_evaluation"),
        ours=lambda p: p.transfer.template,
    ),
    Setting(
        name="class names in prompts", author="aquarium_fish, cra",
        where="src/dataset.py:105 (load_cifar100): as the hub declares them", ours=_names,
    ),
    Setting(
        name="standard deviation over seeds", author="divides by n",
        where="analyze_controlled_heatmap_drift.py:180 (summarize: np.std)", ours=_spread,
    ),
)  # fmt: skip
TABLES: Final = {"preprint80": PREPRINT80}
