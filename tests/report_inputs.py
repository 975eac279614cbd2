"""Inputs for the tests of the report: a simulated study, the 18 real runs of the reference study, and results for them.

The results are built by hand from the frames (differences of means, Pearson's r), because the report must not import
the statistics: their numbers are plausible, not a model's.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from heatdrift.primary import QuestionsSpec
from heatdrift.questions import QUESTIONS
from heatdrift.questions.answer import Answer, Check
from heatdrift.questions.claims import Claim
from heatdrift.questions.correlation.result import Association, CorrelationResult
from heatdrift.questions.dose.result import DoseResult, DoseRow
from heatdrift.questions.family import page_family
from heatdrift.questions.frontier.result import FrontierCell, FrontierResult, MatchedRow
from heatdrift.questions.interaction.result import Contrast, FixedEffect, InteractionResult, TermTest, VarianceComponent
from heatdrift.questions.layers.result import LayerRow, LayersResult
from heatdrift.questions.paired.result import PairedResult, PairedRow
from heatdrift.questions.predictors.result import PredictorRow, PredictorsResult, SelectionRow
from heatdrift.report import ReportInput
from heatdrift.report.blocks import Section
from heatdrift.report.gallery_choice import gallery_candidates
from heatdrift.report.page import question_section
from heatdrift.report.study_data import StudyData

RECORDS = Path(__file__).resolve().parents[2] / "shared" / "records" / "vitb16"
N_LAYERS = 12
MODEL_FINDINGS = (
    "Test finding: LoRA r=8 moves attention entropy less than Full FT at the highest learning rate "
    "(seed-level F(1, 4) = 41.2, p = .003).",
    "Test finding: the difference depends on the learning rate (seed-level F(3, 12) = 9.7, p < .001).",
)
CORRELATION_FINDINGS = ("Test finding: attention support goes with retention in some groups and against it in others.",)
PAIR_FINDINGS = tuple(f"Test finding {i} about pairs (n = {i})." for i in range(1, 7))


def simulated(
    *,
    study: str = "demo",
    datasets: tuple[str, ...] = ("textures", "shapes"),
    methods: tuple[str, ...] = ("full_ft", "lora_r8"),
    lrs: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2),
    seeds: int = 5,
    results: bool = True,
) -> ReportInput:
    """A whole study: drift grows with the learning rate, more under the first method; retention falls with it."""
    rng = np.random.default_rng(7)
    runs, epochs, layers, heads, transfer = [], [], [], [], []
    for i, (dataset, method, lr, seed) in enumerate(product(datasets, methods, lrs, range(seeds))):
        cell = f"c1-{i:016x}"
        dose = (math.log10(lr / min(lrs)) + 0.5) / (math.log10(max(lrs) / min(lrs)) + 0.5)
        strength = dose**2 * (1.0 if method == methods[0] else 0.45)
        direction = -1.0 if dataset == datasets[0] else 0.6
        drift = direction * 22 * strength + rng.normal(0, 0.8 + 2 * strength)
        acc = 70 + 22 * math.sqrt(dose) - 8 * max(0.0, strength - 0.8) + rng.normal(0, 0.6)
        retention = 100 - 88 * strength**1.3 + rng.normal(0, 1.5)
        key = {"study": study, "cell_id": cell}
        runs.append(
            key
            | {
                "protocol": "leakfree",
                "backbone": "lab",
                "dataset": dataset,
                "method": method,
                "lr": lr,
                "seed": 7 + seed,
                "status": "done",
                "epochs": 6,
                "selected_epoch": 6,
                "transfer_set": "combinations",
                "train_loss": 0.2,
                "val_acc_pct": acc + 0.5,
                "test_acc_pct": acc,
                "delta_entropy_pct": drift,
                "delta_erf95_pct": 1.4 * drift + rng.normal(0, 1),
                "cka": max(0.05, 1 - 0.8 * strength + rng.normal(0, 0.01)),
                "weight_drift": 0.001 + 0.06 * strength * (1 + rng.normal(0, 0.04)),
                "zero_shot_base_pct": 70.0,
                "zero_shot_pct": 0.7 * retention,
                "retention_pct": retention,
            }
        )
        transfer.append(
            key
            | {
                "transfer_set": "combinations",
                "n_images": 2000,
                "base_pct": 70.0,
                "adapted_pct": 0.7 * retention,
                "retention_pct": retention,
            }
        )
        for epoch in range(7):
            part = epoch / 6
            epochs.append(
                key
                | {
                    "epoch": epoch,
                    "train_loss": None if epoch == 0 else 2 - 1.5 * part,
                    "val_acc_pct": None if epoch == 0 else acc * (0.6 + 0.4 * part),
                    "delta_entropy_pct": drift * part,
                    "track_retention_pct": 100 + (retention - 100) * math.sqrt(part),
                }
            )
        for layer in range(N_LAYERS):
            value = drift * (0.2 + 1.6 * layer / N_LAYERS) + rng.normal(0, 1)
            row = key | {"epoch": 6, "layer": layer, "metric": "entropy", "value": 3.2, "base": 3.2, "delta_pct": value}
            layers.append(row)
            if seed == 0:
                heads += [row | {"head": head} for head in range(2)]
    frame = pl.DataFrame(runs)
    return ReportInput(
        study=study,
        description="A simulated study for the tests of the report: no number in it was measured.",
        runs=frame,
        epochs=pl.DataFrame(epochs),
        layers=pl.DataFrame(layers),
        heads=pl.DataFrame(heads),
        transfer=pl.DataFrame(transfer),
        planned=frame.select("cell_id", "backbone", "dataset", "method", "lr", "seed", "status"),
        **answered(main_answers(frame) if results else {}),
        protocol="Class-balanced training, validation and probe sets, disjoint, carved from the training images.",
        provenance={"Code": [("heatdrift", "0.1.0"), ("commit", "0123abc")], "Data": [("textures", "sha256 9f86d081")]},
    )


def reference() -> ReportInput | None:
    """The 18 real runs (ViT-B/16, EuroSAT), or None where ../shared is absent; they have no per-head values."""
    files = sorted(RECORDS.glob("*.json"))
    if not files:
        return None
    runs, epochs, layers, transfer = [], [], [], []
    for path in files:
        record = json.loads(path.read_text())
        config, final, base = record["config"], record["final"], record["baseline"]["attention"]
        key = {"study": "vitb16", "cell_id": record["run_id"]}
        cifar = record["transfer"]["cifar100"]
        runs.append(
            key
            | {
                "protocol": "leakfree",
                "backbone": "ViT-B-16-quickgelu/openai",
                "dataset": config["dataset"],
                "method": config["method"],
                "lr": config["lr"],
                "seed": config["seed"],
                "status": "done",
                "epochs": config["epochs"],
                "selected_epoch": record["selected_epoch"],
                "transfer_set": "cifar100",
                "val_acc_pct": 100 * record["best_val_acc"],
                "test_acc_pct": 100 * record["test_acc"],
                "entropy": final["attention"]["entropy_mean"],
                "delta_entropy_pct": final["delta_entropy_pct"],
                "delta_erf95_pct": final["delta_erf95_pct"],
                "delta_gini_pct": final["delta_gini_pct"],
                "cka": final["cka_mean"],
                "embedding_drift": final["embedding_drift"],
                "weight_drift": final["weight_drift_rel"],
                "zero_shot_base_pct": 100 * cifar["pretrained"],
                "zero_shot_pct": 100 * cifar["accuracy"],
                "retention_pct": 100 * cifar["retention"],
                "wall_s": record["runtime_seconds"],
            }
        )
        for name, row in record["transfer"].items():
            transfer.append(
                key
                | {
                    "transfer_set": name,
                    "n_images": row["n_images"],
                    "base_pct": 100 * row["pretrained"],
                    "adapted_pct": 100 * row["accuracy"],
                    "retention_pct": 100 * row["retention"],
                }
            )
        epochs += [
            key
            | {
                "epoch": row["epoch"],
                "train_loss": row["train_loss"],
                "train_acc_pct": 100 * row["train_acc"],
                "val_acc_pct": 100 * row["val_acc"],
                "delta_entropy_pct": row["delta_entropy_pct"],
                "track_zero_shot_pct": 100 * row["transfer_track_acc"],
                "track_retention_pct": 100 * row["transfer_track_retention"],
            }
            for row in record["history"]
        ]
        for layer, (value, before) in enumerate(
            zip(final["attention"]["entropy_per_layer"], base["entropy_per_layer"], strict=True)
        ):
            layers.append(
                key
                | {
                    "epoch": record["selected_epoch"],
                    "layer": layer,
                    "metric": "entropy",
                    "value": value,
                    "base": before,
                    "delta_pct": 100 * (value - before) / before,
                }
            )
    frame = pl.DataFrame(runs)
    return ReportInput(
        study="vitb16",
        description="The 18 run records of the reference study, imported: CLIP ViT-B/16 on EuroSAT.",
        runs=frame,
        epochs=pl.DataFrame(epochs),
        layers=pl.DataFrame(layers),
        transfer=pl.DataFrame(transfer),
        **answered(main_answers(frame)),
        protocol="Imported from the reference study; class-balanced, disjoint sets carved from the training split.",
        provenance={"Records": [("format", "reference"), ("files", str(len(files)))]},
    )


def main_answers(runs: pl.DataFrame) -> dict[str, tuple[Answer, ...]]:
    """A model and a correlation, as every page has them."""
    return {
        "interaction": (interaction(runs, "delta_entropy_pct", "% of base"),),
        "correlation": (correlation(runs, "delta_erf95_pct", "retention_pct"),),
    }


def without(inp: ReportInput, *questions: str, **answers: tuple[Answer, ...]) -> ReportInput:
    """`inp` without the answers to some questions, or with others in their place."""
    kept = {name: found for name, found in inp.answers.items() if name not in questions}
    return replace(inp, **answered({**kept, **answers}))


def answered(answers: dict[str, tuple[Answer, ...]]) -> dict[str, object]:
    """Answers with what a page may claim of them, as fields of an input."""
    family = page_family(answers, {}, QuestionsSpec(), accuracy="test_acc_pct", own_grids=False)
    return {"answers": answers, "family": family}


def told(question: str, *findings: str) -> dict[str, tuple[object, ...]]:
    """Findings with their claims, as fields of an answer."""
    return {"findings": findings, "claims": claims(question, findings)}


def claims(question: str, findings: Sequence[str], keys: Sequence[str] = ()) -> tuple[Claim, ...]:
    """One claim per sentence, each of them strong enough for any page."""
    names = [*keys, *(f"{question}/{text}" for text in findings[len(keys) :])]
    return tuple(
        Claim(key=key, p=1e-5, asks=f"What is asked ({key})", says=text.rstrip("."), measured="", evidence=())
        for key, text in zip(names, findings, strict=True)
    )


def section_of(question: str, inp: ReportInput, data: StudyData) -> Section:
    """The section of one question on a page of `inp`."""
    (found,) = (q for q in QUESTIONS if q.name == question)
    return question_section(found, inp, data)


def interaction(runs: pl.DataFrame, metric: str, unit: str) -> InteractionResult:
    """A result whose contrasts are plain differences of means."""
    datasets = sorted(runs["dataset"].unique())
    contrasts = []
    for dataset, lr in product(datasets, sorted(runs["lr"].unique())):
        cell = runs.filter((pl.col("dataset") == dataset) & (pl.col("lr") == lr)).sort("seed")
        first, second = (cell.filter(pl.col("method") == m)[metric] for m in ("lora_r8", "full_ft"))
        gap = first - second
        se = float(gap.std() / math.sqrt(len(gap)))
        estimate = float(gap.mean())
        contrasts.append(
            Contrast(
                dataset=dataset if len(datasets) > 1 else None,
                lr=lr,
                method_a="lora_r8",
                method_b="full_ft",
                estimate=estimate,
                se=se,
                df=float(len(gap) - 1),
                df_method="kenward_roger",
                t=estimate / se,
                p=0.004,
                p_holm=0.032,
                ci_low=estimate - 2.2 * se,
                ci_high=estimate + 2.2 * se,
            )
        )
    tests = [
        TermTest(term=term, method=method, f=f, df_num=1.0, df_den=df, p=p)
        for term, f, p in (("method", 41.2, 0.003), ("lr", 120.4, 0.0), ("method:lr", 9.7, 0.0004))
        for method, df in (("strata", 4.0), ("satterthwaite", 60.0), ("kenward_roger", 58.4))
    ]
    checks = (
        Check(
            name="seed_x_method",
            flag=True,
            values={"f": 2.9, "p": 0.03},
            sentence="Seed interacts with method (F = 2.9, p = .030): the model's own test of method is too sure; "
            "read the seed-level test.",
        ),
        Check(
            name="equal_variances",
            flag=True,
            values={"ratio": 61.0},
            sentence="The variances of the cells differ 61-fold; the robust twin of the model agrees in sign.",
        ),
        Check(
            name="lack_of_fit",
            flag=False,
            values={"p": 0.6},
            sentence="The learning rate is a factor, so nothing is assumed.",
        ),
    )
    return InteractionResult(
        metric=metric,
        unit=unit,
        n_runs=runs.height,
        n_seeds=runs["seed"].n_unique(),
        formula=f"{metric} ~ lr * method * dataset",
        random_terms="(1 | seed)",
        lr_as="factor",
        conf_level=0.95,
        reml_loglik=-152.3,
        ml_loglik=-160.8,
        singular=True,
        icc=0.0,
        r2_marginal=0.93,
        r2_conditional=0.93,
        random=(
            VarianceComponent(group="seed", variance=0.0, sd=0.0),
            VarianceComponent(group="Residual", variance=2.9, sd=1.7),
        ),
        fixed=(
            FixedEffect(term="(Intercept)", estimate=-1.2, se=0.7, df=60.0, t=-1.7, p=0.09),
            FixedEffect(term="lr[5e-06]:method[lora_r8]", estimate=2.4, se=0.9, df=60.0, t=2.7, p=0.009),
        ),
        tests=tuple(tests),
        contrasts=tuple(contrasts),
        checks=checks,
        left_out=(),
        n_dropped=0,
        findings=MODEL_FINDINGS,
        claims=claims("interaction", MODEL_FINDINGS, [f"interaction/{metric}/method", f"interaction/{metric}/lr"]),
    )


def correlation(runs: pl.DataFrame, x: str, y: str) -> CorrelationResult:
    """A result with Pearson's r of the frames and made-up intervals."""

    def association(part: pl.DataFrame) -> Association:
        r = part.select(pl.corr(x, y)).item()
        rho = part.select(pl.corr(x, y, method="spearman")).item()
        cells = part.select("dataset", "method", "lr").n_unique()
        return Association(
            n=part.height,
            n_cells=cells,
            pearson=r,
            spearman=rho,
            ci_low=max(-1.0, r - 0.2),
            ci_high=min(1.0, r + 0.2),
            conf_level=0.95,
            ci_method="percentile bootstrap of cells",
            p_permutation=0.02,
            permutation="whole cells permuted within group, exact",
        )

    groups = {
        f"{dataset}/{method}": association(part)
        for (dataset, method), part in runs.group_by("dataset", "method", maintain_order=True)
    }
    return CorrelationResult(
        x=x,
        y=y,
        x_unit="% of base",
        y_unit="% of base",
        n_runs=runs.height,
        n_dropped=0,
        bootstrap=2000,
        bootstrap_seed=7,
        pooled=association(runs),
        by_dataset={d: association(p) for (d,), p in runs.group_by("dataset", maintain_order=True)},
        by_group=groups,
        rmcorr=None,
        partial=association(runs),
        sign_reversal=len({math.copysign(1, a.pearson) for a in groups.values()}) > 1,
        findings=CORRELATION_FINDINGS,
        claims=claims("correlation", CORRELATION_FINDINGS),
    )


def with_everything(inp: ReportInput, *, heads: int = 4) -> ReportInput:
    """`inp` with results of every kind and attention maps: what a store with per-head values gives."""
    runs = inp.runs
    return replace(
        inp,
        **answered(
            {
                **inp.answers,
                "paired": (paired(runs),),
                "dose": (dose(runs),),
                "predictors": (predictors(runs),),
                "frontier": (frontier(runs),),
                "layers": tuple(layer_tests(d, heads=heads) for d in sorted(runs["dataset"].unique())),
            }
        ),
        gallery=gallery(runs),
    )


def paired(runs: pl.DataFrame) -> PairedResult:
    """Differences of means with an interval of their size."""
    datasets = sorted(runs["dataset"].unique())
    rows = []
    for metric, dataset in product(("delta_entropy_pct", "retention_pct"), (*datasets, None)):
        part = runs if dataset is None else runs.filter(pl.col("dataset") == dataset)
        a, b = (float(part.filter(pl.col("method") == m)[metric].mean()) for m in ("lora_r8", "full_ft"))
        rows.append(
            PairedRow(
                dataset=dataset, metric=metric, unit="points", n=part.height // 2, n_dropped=0, mean_full_ft=b,
                mean_lora_r8=a, mean_a=a, mean_b=b, difference=a - b, dz=0.8, t=3.1, t_p=0.002, t_p_holm=0.01,
                wilcoxon_p=0.004, seed_difference=a - b, seed_t=4.0, seed_df=4.0, seed_p=0.016, seed_p_holm=0.048,
                n_seeds=runs["seed"].n_unique(), ci_low=a - b - 2, ci_high=a - b + 2, same_sign=True,
            )
        )  # fmt: skip
    return PairedResult(
        method_a="lora_r8", method_b="full_ft", datasets=tuple(datasets), n_runs=runs.height, n_dropped=0,
        conf_level=0.95, method="Test method of paired.", rows=tuple(rows), left_out=(),
        findings=PAIR_FINDINGS, claims=claims("paired", PAIR_FINDINGS),
    )  # fmt: skip


def dose(runs: pl.DataFrame) -> DoseResult:
    """Slopes of nothing in particular, one per group and metric."""
    groups = sorted(runs.select("dataset", "method").unique().rows())
    rows = tuple(
        DoseRow(
            dataset=dataset, method=method, metric=metric, unit="% of base", n=20, n_lrs=4, n_seeds=5, rho=0.7, p=0.001,
            p_exact=0.001, p_exact_holm=0.01, p_method="exact: all arrangements", p_smallest=0.0001, slope=1.5 + i,
            ci_low=0.5 + i, ci_high=2.5 + i, monotone=False,
        )
        for i, (dataset, method) in enumerate(groups)
        for metric in ("delta_entropy_pct", "retention_pct")
    )  # fmt: skip
    return DoseResult(
        datasets=tuple(sorted(runs["dataset"].unique())), n_runs=runs.height, n_dropped=0, conf_level=0.95,
        method="Test method of dose.", rows=rows, **told("dose", "Test finding about a trend."), left_out=(),
    )  # fmt: skip


def predictors(runs: pl.DataFrame) -> PredictorsResult:
    """Two signals and a reference, at both times; a selection with two candidates."""
    rows = tuple(
        PredictorRow(
            signal=signal, when=when, n=80, rho=score, rho_within_dataset_abs=0.8, rho_within_group_abs=0.7,
            rho_within_group=0.6, orientation=1, reference=signal == "log10_lr", n_cells=16, score=score,
            ci_low=score - 0.2, ci_high=score + 0.1, gap=0.1, gap_ci_low=-0.1, gap_ci_high=0.3, best_share=0.5,
        )
        for when in ("final", "epoch1")
        for signal, score in (("cka", 0.9), ("abs_delta_entropy_pct", 0.95), ("log10_lr", math.nan))
    )  # fmt: skip
    selection = SelectionRow(
        dataset="textures", signal="cka", picked="lora_r8 lr 0.001", picked_method="lora_r8", picked_lr=1e-3,
        retention_pct=90.0, ci_low=85.0, ci_high=95.0, oracle=92.0, random=80.0, worst=60.0, n_candidates=2,
    )  # fmt: skip
    return PredictorsResult(
        metric="retention_pct", unit="% of base", datasets=tuple(sorted(runs["dataset"].unique())),
        n_runs=runs.height, n_dropped=0, conf_level=0.95, bootstrap=2000, bootstrap_seed=0, margin=2.0,
        method="Test method of predictors.", rows=rows, selection=(selection,),
        selection_epoch1=(), left_out=("test: one thing", "another"),
        **told("predictors", "Test finding about signals."),
    )  # fmt: skip


def frontier(runs: pl.DataFrame) -> FrontierResult:
    """Cell means; the best accuracy of each data set counts as the front. One comparison has no overlap."""
    cells = []
    for (dataset, method, lr), part in runs.group_by("dataset", "method", "lr", maintain_order=True):
        acc, kept = float(part["test_acc_pct"].mean()), float(part["retention_pct"].mean())
        cells.append(
            FrontierCell(
                dataset=dataset, method=method, lr=lr, n_seeds=part.height, test_acc_pct=acc, acc_pct=acc,
                acc_ci_low=acc - 2, acc_ci_high=acc + 2, retention_pct=kept, retention_ci_low=kept - 3,
                retention_ci_high=kept + 3, weight_drift=0.1, on_front=method == "lora_r8", front_share=0.9,
                dominated_by=None if method == "lora_r8" else "lora_r8 lr 0.001",
            )
        )  # fmt: skip
    datasets = sorted(runs["dataset"].unique())
    matched = tuple(
        MatchedRow(
            dataset=dataset, matched_on=on, method_a="lora_r8", method_b="full_ft", overlap_low=10.0, overlap_high=20.0,
            difference=math.nan if on == "weight_drift" else 12.0, se=2.0, df=4.0, ci_low=6.0, ci_high=18.0, n_seeds=5,
            note="the curves do not overlap" if on == "weight_drift" else "",
        )
        for dataset in datasets
        for on in ("test_acc_pct", "weight_drift")
    )  # fmt: skip
    return FrontierResult(
        unit="% of base", datasets=tuple(datasets), n_runs=runs.height, n_dropped=0, conf_level=0.95, bootstrap=2000,
        bootstrap_seed=0, method="Test method of frontier.", accuracy="test_acc_pct", cells=tuple(cells),
        matched=matched, **told("frontier", "Test finding about the front."), left_out=(),
    )  # fmt: skip


def layer_tests(dataset: str, *, heads: int) -> LayersResult:
    """Blocks and heads of one data set; the first two blocks are supported."""
    rows = tuple(
        LayerRow(
            test="method", dataset=None, method=None, metric=metric, unit="points", layer=layer, head=head, n=40,
            n_seeds=5, estimate=2.0 - 0.3 * layer + (head or 0) / 10, se=0.4, df=4.0, t=3.0, p=0.01,
            p_bh=0.03 if layer < 2 else 0.4, p_by=0.2, family=N_LAYERS, ci_low=-1.0, ci_high=3.0,
        )
        for metric in ("entropy", "erf95")
        for layer in range(N_LAYERS)
        for head in (None, *range(heads))
    )  # fmt: skip
    return LayersResult(
        metrics=("entropy", "erf95"), method_a="lora_r8", method_b="full_ft", datasets=(dataset,), n_runs=40, n_seeds=5,
        n_dropped=0, conf_level=0.95, method="Test method of layers.", rows=rows,
        **told("layers", "Test finding about blocks."), left_out=(),
    )  # fmt: skip


def gallery(runs: pl.DataFrame, *, images: int = 5, side: int = 4) -> dict[str, dict[str, np.ndarray]]:
    """Maps of the runs that the gallery would show: base the same for all, adapted sharper with the learning rate."""
    rng = np.random.default_rng(11)
    base = rng.gamma(2.0, size=(images, N_LAYERS, side * side))
    shown = {}
    for cell_id, *_ in gallery_candidates(runs):
        lr = runs.filter(pl.col("cell_id") == cell_id)["lr"].item()
        adapted = base ** (1 + 0.3 * (math.log10(lr) + 6))
        maps = {"base_class": base, "base_rollout": base[:, -1], "adapted_class": adapted}
        maps["adapted_rollout"] = adapted[:, -1]
        shares = {name: (m / m.sum(-1, keepdims=True)).astype(np.float16) for name, m in maps.items()}
        hashes = np.array([f"{i:064x}" for i in range(images)])
        shown[cell_id] = {"positions": np.arange(images), "sha256": hashes, **shares}
    return shown
