"""Chance: what guessing among the classes scores, and whether a zero-shot base is far enough above it.

Retention, 100 x adapted / base, of a model that only guesses is 100 x chance / base: 71 % for a base of 14 % on ten
classes. Above chance, 100 x (adapted - chance) / (base - chance), it is 0, but only a base that is measurably above
chance has such a ratio. The view ``transfer`` computes the same in SQL (migration 0005).
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

from heatdrift.records import RunRecord, TransferRecord

Z95: Final = 1.959963984540054  # normal quantile of a 95 % interval
KNOWN_CLASSES: Final = {"cifar10": 10, "cifar100": 100}  # of the reference study's transfer sets, which it names only
_WIDE: Final = 0.5  # relative half width of the 95 % interval of base - chance from which retention is too imprecise
_HIGH: Final = 50.0  # retention in % at chance from which plain retention says little


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShotBase:
    """Zero-shot accuracy of a pretrained model on a transfer set.

    Attributes
    ----------
    base_pct : accuracy in %.
    n_images : images behind it.
    n_classes : classes to choose among, > 0.
    """

    base_pct: float
    n_images: int
    n_classes: int

    @property
    def chance_pct(self) -> float:
        """Accuracy in % of guessing, every class equally often."""
        return 100 / self.n_classes

    @property
    def se_pct(self) -> float:
        """Binomial standard error of the base, in points."""
        return sqrt(self.base_pct * (100 - self.base_pct) / self.n_images)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the base in %, normal approximation, inside 0 to 100."""
        half = Z95 * self.se_pct
        return max(0.0, self.base_pct - half), min(100.0, self.base_pct + half)

    @property
    def includes_chance(self) -> bool:
        """Whether the interval of the base includes chance, or lies below it: nothing can be retained above chance."""
        return self.base_pct - Z95 * self.se_pct <= self.chance_pct

    @property
    def imprecise(self) -> bool:
        """Whether the base's own error alone moves retention above chance by half or more.

        The rule is 1.96 SE >= (base - chance) / 2. The error of the denominator is shared by every run of a study, so
        no number of seeds averages it out; at the limit a model that kept everything has 67 to 200 %.
        """
        return Z95 * self.se_pct >= _WIDE * (self.base_pct - self.chance_pct)

    @property
    def retention_at_chance_pct(self) -> float:
        """Plain retention of a model that guesses, in % of base; infinite for a base of 0."""
        return 100 * self.chance_pct / self.base_pct if self.base_pct > 0 else float("inf")

    @property
    def near_chance(self) -> bool:
        """Whether a reader must be warned: the base is imprecise above chance, or guessing keeps half of it."""
        return self.imprecise or self.retention_at_chance_pct >= _HIGH

    def warning(self, transfer_set: str, backbone: str = "") -> str:
        """Say how near to chance the base is and what plain retention means then."""
        low, high = self.interval
        whose = f" of {backbone}" if backbone else ""
        text = (
            f"the zero-shot base{whose} on {transfer_set} is near chance: {self.base_pct:.1f} % "
            f"(95 % interval {low:.1f} to {high:.1f} %, {self.n_images} images) where guessing among "
            f"{self.n_classes} classes scores {self.chance_pct:.1f} %"
        )
        if self.base_pct > 0:
            text += f"; a model that only guesses has a retention of {self.retention_at_chance_pct:.0f} %"
        if self.includes_chance:
            return f"{text}; the interval includes chance, so there is nothing that retention could measure"
        if self.imprecise:
            return f"{text}; the base's own error moves retention above chance by half or more, whatever the seeds say"
        return f"{text}: read retention_above_chance_pct"


def transfer_classes(record: RunRecord, transfer: TransferRecord) -> int | None:
    """Classes of a transfer set: as the record says, else as many as it has class names, else by name (reference)."""
    if transfer.n_classes is not None:
        return transfer.n_classes
    names = record.provenance.class_names.get(transfer.transfer_set, ())
    if names:
        return len(names)
    return KNOWN_CLASSES.get(transfer.transfer_set) if record.origin == "reference" else None


def retention_above_chance(base: ZeroShotBase, adapted_pct: float) -> tuple[float, float, float] | None:
    """Return 100 x (adapted - chance) / (base - chance) with its 95 % interval; None where the base is at chance.

    The interval is Fieller's with both binomial errors taken as independent. Both models saw the same images, so their
    errors go together and the interval is wider than it must be. It is bounded exactly where the base's own interval
    lies above chance.

    Returns
    -------
    Estimate, low and high, in % of the base above chance; negative for a model below chance.
    """
    if base.includes_chance:
        return None
    over, kept = base.base_pct - base.chance_pct, adapted_pct - base.chance_pct
    var_base, var_adapted = base.se_pct**2, adapted_pct * (100 - adapted_pct) / base.n_images
    ratio = kept / over
    g = Z95**2 * var_base / over**2
    half = Z95 / (over * (1 - g)) * sqrt(var_adapted * (1 - g) + ratio**2 * var_base)
    middle = ratio / (1 - g)
    return 100 * ratio, 100 * (middle - half), 100 * (middle + half)


def smallest_clear_base(n_classes: int, n_images: int) -> float | None:
    """Smallest base accuracy in % that is not near chance with that many images; None where there is none.

    For the time before anything is measured: `heatdrift fetch` knows classes and images of a transfer set only.
    """
    steps = range(1, 1001)
    found = (ZeroShotBase(base_pct=step / 10, n_images=n_images, n_classes=n_classes) for step in steps)
    return next((base.base_pct for base in found if base.base_pct > base.chance_pct and not base.near_chance), None)
