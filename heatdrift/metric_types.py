"""What an entry of the list of metrics says, and the rules it keeps; the list itself is ``heatdrift.metrics``.

An entry that breaks a rule cannot be made, so a probe without a unit is an error at import, not an empty axis title.
"""

import re
from typing import Final, Literal

import msgspec

Kind = Literal["value", "value_last", "drift", "drift_last"]  # mean over the model or last block; as measured or Δ %
VALUE_KINDS: Final[tuple[Kind, Kind]] = ("value", "value_last")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN: Final = re.compile(r"(delta|base|layers|abs)_.*|.*_(last|pct|mean|sd)")  # what views and imports make of a name


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Which way a probe ranks zero-shot retention, fixed before looking: +1 = a higher value goes with more of it."""

    orientation: Literal[1, -1]
    reason: str


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
    results : what of it `cells` averages and the report shows, in the order of the columns. Its own quantity (drift, or
        the value where there is no base; of the model and of the last block) is a column of `runs` in any case.
    highest : largest value that is possible, None where nothing is checked; a record above it (beyond rounding) is
        refused.
    expected : direction as a label-free signal of retention; None = its results are no signals.

    Raises
    ------
    ValueError
        A rule is broken; the text names it.
    """

    name: str
    title: str
    unit: str
    definition: str
    per_layer: bool = True
    per_head: bool = False
    has_base: bool = True
    results: tuple[Kind, ...] = ()
    highest: float | None = None
    expected: Expected | None = None

    def __post_init__(self) -> None:
        for rule, kept in self._rules().items():
            if not kept:
                raise ValueError(f"probe {self.name!r}: {rule}")

    def _rules(self) -> dict[str, bool]:
        drift, last = (any(word in kind for kind in self.results) for word in ("drift", "last"))
        return {
            "its name is lower case, digits and _": _NAME.fullmatch(self.name) is not None,
            "its name must not look like a column made from another probe": not _TAKEN.fullmatch(self.name),
            "a probe has a title, the words of its axis": bool(self.title.strip()),
            "a probe has a unit": bool(self.unit.strip()),
            "a probe has a definition, from which it can be computed again": bool(self.definition.strip()),
            "values per head are values per block too": self.per_layer or not self.per_head,
            "a drift needs a base value": self.has_base or not drift,
            "a last block needs values per block": self.per_layer or not last,
            "a result is named once": len(set(self.results)) == len(self.results),
            "an expected direction has a reason": self.expected is None or bool(self.expected.reason.strip()),
        }


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One numeric result column of the view ``runs``: what statistics and charts can be asked about."""

    name: str
    title: str
    unit: str


class ProbeColumn(Column, frozen=True, kw_only=True):
    """A column made from a probe: its mean or its last block, as measured or as drift from the base.

    Attributes
    ----------
    stored : column of the measured value in the store's table of epochs.
    """

    probe: Probe
    kind: Kind
    stored: str

    @property
    def drift(self) -> bool:
        """Whether it is a drift from the base, in percent, rather than a measured value."""
        return self.kind.startswith("drift")


def probe_column(probe: Probe, kind: Kind) -> ProbeColumn:
    """Return the column of one kind: `cka_last` for ("cka", "value_last"), `delta_entropy_pct` for a drift."""
    last = kind.endswith("_last")
    stored = f"{probe.name}_last" if last else probe.name
    where = ", last block" if last else ""
    if kind.startswith("drift"):
        name, title, unit = f"delta_{stored}_pct", f"Δ {probe.title}{where}", "% of base"
    else:
        name, title, unit = stored, f"{probe.title}{where}", probe.unit
    return ProbeColumn(name=name, title=title, unit=unit, probe=probe, kind=kind, stored=stored)


def all_kinds(probe: Probe) -> tuple[Kind, ...]:
    """Return the kinds of column that a probe has, in the order in which the views group them."""
    last: tuple[Kind, ...] = ("value_last", "drift_last") if probe.per_layer else ()
    return tuple(k for k in ("value", "drift", *last) if probe.has_base or not k.startswith("drift"))


def further_kinds(probe: Probe) -> tuple[Kind, ...]:
    """Return the kinds of its own quantity that are columns of `runs` besides its results."""
    own: tuple[Kind, Kind] = ("drift", "drift_last") if probe.has_base else ("value", "value_last")
    return tuple(kind for kind in own[: 1 + probe.per_layer] if kind not in probe.results)
