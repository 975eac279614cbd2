"""The one list of what heatdrift measures: probe names, units and definitions, and the result columns of a run.

Probes, store, views, statistics, report and the generated documentation all read this table, so a name, a unit or a
definition is in one place. It imports nothing heavy: the command line uses it for ``--metric``.
"""

from typing import Final

from heatdrift.errors import UnknownNameError
from heatdrift.metric_types import (
    VALUE_KINDS,
    Expected,
    Kind,
    Probe,
    ProbeColumn,
    all_kinds,
    further_kinds,
    probe_column,
)
from heatdrift.metric_types import Column as Column

_SUPPORT: Final = Expected(
    orientation=1, reason="wider attention keeps what pretraining saw; narrowing marks task-specific features"
)
_SIMILAR: Final = Expected(orientation=1, reason="similar features classify similarly")
# The probes of the first published views, which group their columns by kind. No probe is added here.
FIRST_PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        name="entropy",
        title="attention entropy",
        unit="nats",
        per_head=True,
        definition="−Σ a ln a over the patches (0 ln 0 = 0), mean over images, heads, blocks",
        results=("value", "drift", "drift_last"),
        expected=_SUPPORT,
    ),
    Probe(
        name="erf95",
        title="attention support (95 %)",
        unit="fraction",
        per_head=True,
        definition="smallest k whose k largest entries of a sum to ≥ 0.95 − 1e-9, divided by the number of patches",
        results=("drift",),
        expected=_SUPPORT,
    ),
    Probe(
        name="gini",
        title="attention concentration (Gini)",
        unit="0..1",
        per_head=True,
        definition="2 Σ j a(j) / (N Σ a) − (N + 1) / N with a(1) ≤ ... ≤ a(N)",
        results=("drift",),
        expected=Expected(orientation=-1, reason="concentration is the opposite of support"),
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
        results=("drift",),
        expected=Expected(orientation=1, reason="heads that collapse onto one map lose information"),
    ),
    Probe(
        name="rollout_entropy",
        title="rollout entropy",
        unit="bits",
        per_layer=False,
        definition="entropy of the class row of the attention rollout (Abnar and Zuidema 2020), class key dropped",
        results=("drift",),
        expected=_SUPPORT,
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
        results=("drift",),
        expected=_SUPPORT,
    ),
    Probe(
        name="cka",
        title="linear CKA to base",
        unit="0..1",
        has_base=False,
        definition="linear CKA of base and adapted class activations after the block (biased estimator, as published)",
        results=("value", "value_last"),
        highest=1,
        expected=_SIMILAR,
    ),
    Probe(
        name="cka_debiased",
        title="linear CKA to base, debiased",
        unit="<= 1",
        has_base=False,
        definition="the same with the unbiased HSIC estimator (Song et al. 2012)",
        results=("value",),
        highest=1,
        expected=_SIMILAR,
    ),
    Probe(
        name="embedding_drift",
        title="embedding drift",
        unit="0..2",
        per_layer=False,
        has_base=False,
        definition="1 − mean cosine of base and adapted image embedding",
        results=("value",),
        expected=Expected(orientation=-1, reason="embeddings that moved no longer match the frozen text tower"),
    ),
    Probe(
        name="weight_drift",
        title="weight drift",
        unit="ratio",
        per_layer=False,
        has_base=False,
        definition="Frobenius norm of the update of the visual tower without projection / norm of its base weights",
        results=("value",),
        expected=Expected(orientation=-1, reason="weights that moved further forgot more"),
    ),
    Probe(
        name="proj_drift",
        title="projection drift",
        unit="ratio",
        per_layer=False,
        has_base=False,
        definition="Frobenius norm of the update of the visual projection / norm of its base weights",
        results=("value",),
    ),
)
# Probes that came after the views were published: their columns are appended to `runs`, `epochs` and `cells` in this
# order, so that none that was there before moves. A new probe is the last entry here.
LATER_PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        name="map_js",
        title="attention-map divergence from base",
        unit="bits",
        per_head=True,
        has_base=False,
        definition="Jensen-Shannon divergence of the base's and the adapted a of the same image and head (0 = equal, "
        "1 = disjoint), mean over images",
        results=("value",),
        highest=1,
        expected=Expected(
            orientation=-1,
            reason="zero-shot relies on where the base looks; a map that moved further from it keeps less",
        ),
    ),
)
PROBES: Final = (*FIRST_PROBES, *LATER_PROBES)
PROBE: Final[dict[str, Probe]] = {p.name: p for p in PROBES}
if len(PROBE) < len(PROBES):
    raise ValueError("a probe is in the list twice")


def columns_of(*probes: Probe, kind: Kind) -> tuple[ProbeColumn, ...]:
    """Return the columns of one kind, of those of `probes` that have it."""
    return tuple(probe_column(p, kind) for p in probes if kind in all_kinds(p))


def _results(*probes: Probe) -> tuple[ProbeColumn, ...]:
    return tuple(probe_column(p, kind) for p in probes for kind in p.results)


def _further(*probes: Probe) -> tuple[ProbeColumn, ...]:
    """What `runs` has of `probes` besides their results: of the model first, then of the last block."""
    found = (probe_column(p, kind) for p in probes for kind in further_kinds(p))
    return tuple(sorted(found, key=lambda column: column.kind.endswith("_last")))


# every column that a probe can have in a view
PROBE_COLUMN: Final = {c.name: c for p in PROBES for kind in all_kinds(p) for c in (probe_column(p, kind),)}
# names of the measured values that the store keeps of an epoch
STORED: Final = tuple(c.name for kind in VALUE_KINDS for c in columns_of(*PROBES, kind=kind))
# what the first published `cells` averages, in the order of `runs`
PUBLISHED_RESULTS: Final[tuple[Column, ...]] = (
    Column(name="trainable_params", title="trainable parameters", unit="count"),
    Column(name="train_loss", title="training loss", unit="nats"),
    Column(name="val_acc_pct", title="validation accuracy", unit="%"),
    Column(name="test_acc_pct", title="test accuracy", unit="%"),
    *_results(*FIRST_PROBES),
    Column(name="zero_shot_base_pct", title="zero-shot accuracy of the base", unit="%"),
    Column(name="zero_shot_pct", title="zero-shot accuracy", unit="%"),
    Column(name="retention_pct", title="zero-shot retention", unit="% of base"),
    Column(name="wall_s", title="wall time", unit="s"),
)
# Results that no probe measures; the views append them after the columns of the later probes that were there before
# them (N_BEFORE_CHANCE), and those of probes that come after them, so that no column moves.
N_BEFORE_CHANCE: Final = 1
ABOVE_CHANCE: Final[tuple[Column, ...]] = (
    Column(name="chance_pct", title="zero-shot accuracy at chance", unit="%"),
    Column(name="retention_above_chance_pct", title="zero-shot retention above chance", unit="% of base above chance"),
)
LATER_RESULTS: Final[tuple[Column, ...]] = (
    *_results(*LATER_PROBES[:N_BEFORE_CHANCE]),
    *ABOVE_CHANCE,
    *_results(*LATER_PROBES[N_BEFORE_CHANCE:]),
)
# the columns that `cells` averages and the report shows
CELL_COLUMNS: Final[tuple[Column, ...]] = (*PUBLISHED_RESULTS, *LATER_RESULTS)
# what `runs` has besides them; statistics can be asked about these too
FURTHER: Final = _further(*FIRST_PROBES)
RUN_COLUMN: Final[dict[str, Column]] = {c.name: c for c in (*CELL_COLUMNS, *FURTHER, *_further(*LATER_PROBES))}
# appended to `runs`, probe by probe
APPENDED: Final = tuple(column for p in LATER_PROBES for column in (*_results(p), *_further(p)))


# zero-shot results, which a run has of every transfer set: `retention_pct@cifar10` is that of the set cifar10
TRANSFER_METRICS: Final = (
    "zero_shot_base_pct",
    "zero_shot_pct",
    "retention_pct",
    *(column.name for column in ABOVE_CHANCE),
)
FURTHER_PREFIX: Final = "further."  # `further.val/f1` is a column val/f1 that an imported table had besides ours
ROBUSTNESS: Final = "robustness."  # `robustness.blur` is the test accuracy under the corruption blur


def run_column(name: str) -> Column:
    """Return the result column `name`; UnknownNameError (naming the nearest) when there is none.

    A zero-shot result may name its transfer set, `retention_pct@cifar10`, and `robustness.blur` is an accuracy of the
    view `robustness`, `further.f1` a metric of the view `further`; which of them there are, only the runs know.
    """
    if name in RUN_COLUMN:
        return RUN_COLUMN[name]
    plain, at, place = name.partition("@")
    if at and place and not name.startswith(FURTHER_PREFIX):
        if plain not in TRANSFER_METRICS:
            raise UnknownNameError("metric of a transfer set", plain, TRANSFER_METRICS)
        column = RUN_COLUMN[plain]
        return Column(name=name, title=f"{column.title} on {place}", unit=column.unit)
    if name.startswith(ROBUSTNESS) and name != ROBUSTNESS:
        corruption = name.removeprefix(ROBUSTNESS).replace("_", " ")
        return Column(name=name, title=f"test accuracy under {corruption}", unit="%")
    if name.startswith(FURTHER_PREFIX) and name != FURTHER_PREFIX:
        return Column(name=name, title=name.removeprefix(FURTHER_PREFIX), unit="1")
    raise UnknownNameError("metric", name, RUN_COLUMN)


def run_title(name: str) -> str:
    """Words for a result column; its own name where it is none."""
    try:
        return run_column(name).title
    except UnknownNameError:
        return name
