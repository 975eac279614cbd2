"""The one list of what heatdrift measures: probe names, units and definitions, and the result columns of a run.

Probes, store, statistics, report and the generated documentation all read this table, so a name, a unit or a definition
stands in one place. It imports nothing heavy: the command line uses it for ``--metric``.
"""

from typing import Final

import msgspec

from heatdrift.errors import UnknownNameError


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of a model on the probe set.

    Attributes
    ----------
    name : key in records and SQL.
    title : words for axis titles.
    unit : unit of the value.
    definition : formula in words; ``a`` is the class token's attention over the patches, renormalised to 1.
    per_layer, per_head : whether values are kept per block, and per block and head.
    has_base : whether the pretrained model has a value of its own, so that a drift in % exists.
    """

    name: str
    title: str
    unit: str
    definition: str
    per_layer: bool = True
    per_head: bool = False
    has_base: bool = True


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        name="entropy",
        title="attention entropy",
        unit="nats",
        per_head=True,
        definition="−Σ a ln a over the patches (0 ln 0 = 0), mean over images, heads, blocks",
    ),
    Probe(
        name="erf95",
        title="attention support (95 %)",
        unit="fraction",
        per_head=True,
        definition="smallest k whose k largest entries of a sum to ≥ 0.95 − 1e-9, divided by the number of patches",
    ),
    Probe(
        name="gini",
        title="attention concentration (Gini)",
        unit="0..1",
        per_head=True,
        definition="2 Σ j a(j) / (N Σ a) − (N + 1) / N with a(1) ≤ ... ≤ a(N)",
    ),
    Probe(
        name="cls_self_mass",
        title="class-token self-attention",
        unit="fraction",
        per_head=True,
        definition="the attention of the class token to itself, dropped from a",
    ),
    Probe(
        name="head_diversity",
        title="head diversity",
        unit="0..1",
        definition="1 − mean over head pairs of the cosine of their maps, each averaged over the whole probe set",
    ),
    Probe(
        name="rollout_entropy",
        title="rollout entropy",
        unit="bits",
        per_layer=False,
        definition="entropy of the class row of the attention rollout (Abnar and Zuidema 2020), class key dropped",
    ),
    Probe(
        name="rollout_erf95",
        title="rollout support (95 %)",
        unit="fraction",
        per_layer=False,
        definition="erf95 of the class row of the attention rollout",
    ),
    Probe(
        name="rollout_gini",
        title="rollout concentration (Gini)",
        unit="0..1",
        per_layer=False,
        definition="Gini coefficient of the class row of the attention rollout",
    ),
    Probe(
        name="patch_entropy",
        title="patch-to-patch attention entropy",
        unit="bits",
        definition="entropy of patch-to-patch attention rows (class key dropped, renormalised), mean over queries",
    ),
    Probe(
        name="cka",
        title="linear CKA to base",
        unit="0..1",
        has_base=False,
        definition="linear CKA of base and adapted class activations after the block (biased estimator, as published)",
    ),
    Probe(
        name="cka_debiased",
        title="linear CKA to base, debiased",
        unit="<= 1",
        has_base=False,
        definition="the same with the unbiased HSIC estimator (Song et al. 2012)",
    ),
    Probe(
        name="embedding_drift",
        title="embedding drift",
        unit="0..2",
        per_layer=False,
        has_base=False,
        definition="1 − mean cosine of base and adapted image embedding",
    ),
    Probe(
        name="weight_drift",
        title="weight drift",
        unit="ratio",
        per_layer=False,
        has_base=False,
        definition="Frobenius norm of the update of the visual tower without projection / norm of its base weights",
    ),
    Probe(
        name="proj_drift",
        title="projection drift",
        unit="ratio",
        per_layer=False,
        has_base=False,
        definition="Frobenius norm of the update of the visual projection / norm of its base weights",
    ),
)
PROBE: Final[dict[str, Probe]] = {p.name: p for p in PROBES}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One numeric result column of the view ``runs``: what statistics and charts can be asked about."""

    name: str
    title: str
    unit: str


def _drift(probe: str, *, last: bool = False) -> Column:
    where = ", last block" if last else ""
    name = f"delta_{probe}{'_last' if last else ''}_pct"
    return Column(name=name, title=f"Δ {PROBE[probe].title}{where}", unit="% of base")


def _plain(probe: str, *, last: bool = False) -> Column:
    where = ", last block" if last else ""
    name = f"{probe}{'_last' if last else ''}"
    return Column(name=name, title=f"{PROBE[probe].title}{where}", unit=PROBE[probe].unit)


def _columns() -> tuple[Column, ...]:
    return (
        Column(name="trainable_params", title="trainable parameters", unit="count"),
        Column(name="train_loss", title="training loss", unit="nats"),
        Column(name="val_acc_pct", title="validation accuracy", unit="%"),
        Column(name="test_acc_pct", title="test accuracy", unit="%"),
        _plain("entropy"),
        _drift("entropy"),
        _drift("entropy", last=True),
        _drift("erf95"),
        _drift("gini"),
        _drift("head_diversity"),
        _drift("rollout_entropy"),
        _drift("patch_entropy"),
        _plain("cka"),
        _plain("cka", last=True),
        _plain("cka_debiased"),
        _plain("embedding_drift"),
        _plain("weight_drift"),
        _plain("proj_drift"),
        Column(name="zero_shot_base_pct", title="zero-shot accuracy of the base", unit="%"),
        Column(name="zero_shot_pct", title="zero-shot accuracy", unit="%"),
        Column(name="retention_pct", title="zero-shot retention", unit="% of base"),
        Column(name="wall_s", title="wall time", unit="s"),
    )


# the columns that `cells` averages and the report shows
RUN_COLUMNS: Final[tuple[Column, ...]] = _columns()
# what `runs` was given later; statistics can be asked about these too
DETAIL_COLUMNS: Final[tuple[Column, ...]] = (
    _drift("cls_self_mass"),
    _drift("rollout_erf95"),
    _drift("rollout_gini"),
    _drift("erf95", last=True),
    _drift("gini", last=True),
    _drift("cls_self_mass", last=True),
    _drift("head_diversity", last=True),
    _drift("patch_entropy", last=True),
    _plain("cka_debiased", last=True),
)
RUN_COLUMN: Final[dict[str, Column]] = {c.name: c for c in (*RUN_COLUMNS, *DETAIL_COLUMNS)}


def run_column(name: str) -> Column:
    """Return the result column `name`; UnknownNameError (naming the nearest) when there is none."""
    try:
        return RUN_COLUMN[name]
    except KeyError:
        raise UnknownNameError("metric", name, RUN_COLUMN) from None


def run_title(name: str) -> str:
    """Words for a result column; its own name where it is none."""
    return RUN_COLUMN[name].title if name in RUN_COLUMN else name


def signal_title(name: str) -> str:
    """Words for a signal made from a result column: `|Δ attention entropy|` for abs_delta_entropy_pct."""
    if name == "log10_lr":
        return "log₁₀ learning rate"
    bare = name.removeprefix("abs_")
    title = run_title(bare)
    return f"|{title}|" if bare != name else title
