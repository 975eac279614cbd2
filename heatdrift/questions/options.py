"""Options of questions as values: the command line makes Typer options of them, Python callers keyword arguments."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a question.

    Attributes
    ----------
    parameter : keyword of the analysis function.
    flag : its name on the command line, `--metric`.
    type : a Python type: int, float, str, a Literal, or list[str] | None for an option that may be repeated.
    default, help : as the command's help shows them.
    low, high : smallest and largest value of a number.
    """

    parameter: str
    flag: str
    type: object
    default: object
    help: str
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """Its flag as an identifier: ``resampling_seed``; no two options of a command share it."""
        return self.flag.removeprefix("--").replace("-", "_")

    def named(self, parameter: str) -> "Option":
        """Return the same option for another keyword of an analysis function."""
        return replace(self, parameter=parameter)


METRIC: Final = Option(
    parameter="metric",
    flag="--metric",
    type=str,
    default="retention_pct",
    help="Numeric result column of runs (docs/schema.md).",
)
METRICS: Final = Option(
    parameter="metrics",
    flag="--metric",
    type=list[str] | None,
    default=None,
    help="Numeric result column of runs (docs/schema.md; repeatable). Default: drift, retention and accuracy.",
)
METHOD_A: Final = Option(
    parameter="method_a",
    flag="--method-a",
    type=str,
    default="lora_r8",
    help="Differences are method a minus method b.",
)
METHOD_B: Final = Option(
    parameter="method_b",
    flag="--method-b",
    type=str,
    default="full_ft",
    help="Differences are method a minus method b.",
)
BOOTSTRAP: Final = Option(
    parameter="bootstrap", flag="--bootstrap", type=int, default=2000, help="Number of resamples.", low=100
)
RESAMPLING_SEED: Final = Option(
    parameter="seed",
    flag="--resampling-seed",
    type=int,
    default=0,
    help="Seed of resampling; the same seed gives the same numbers.",
    low=0,
)
CONF_LEVEL: Final = Option(
    parameter="conf_level",
    flag="--conf-level",
    type=float,
    default=0.95,
    help="Level of intervals.",
    low=0.5,
    high=0.999,
)
