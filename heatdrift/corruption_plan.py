"""Corruptions of test images that a study asks for: their names, severities, and what of them is in a cell's id."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from heatdrift.errors import StudyError, UnknownNameError

CORRUPTIONS: Final = ("gaussian_blur", "gaussian_noise", "impulse_noise", "contrast", "pixelate", "jpeg_compression")
SEVERITIES: Final = (1, 2, 3, 4, 5)
RECIPE: Final = "hendrycks/1"  # of data/corruptions.py: whoever changes what it makes raises the number


class CorruptionPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One corruption of a data set's test images: made here, or a corrupted test split that the study names.

    Attributes
    ----------
    name : in the view `robustness`; of one that is made, its kind and severity: ``gaussian_noise_3``.
    kind, severity, recipe : of one that is made; None for a given split.
    data_sha256 : identity of a given split; None for one that is made.
    """

    name: str
    kind: str | None = None
    severity: int | None = None
    recipe: str | None = None
    data_sha256: str | None = None


def made_corruptions(asked: Mapping[str, Sequence[int]]) -> tuple[CorruptionPlan, ...]:
    """Return the corruptions that a study's section [corruptions] asks for, in its order."""
    return tuple(
        CorruptionPlan(name=f"{kind}_{severity}", kind=kind, severity=severity, recipe=RECIPE)
        for kind, severities in asked.items()
        for severity in severities
    )


def check_corruptions(
    asked: Mapping[str, Sequence[int]], given: Mapping[str, Sequence[str]], *, protocol: str, where: str
) -> None:
    """Refuse corruptions that cannot be made, and names that would mean two things.

    Parameters
    ----------
    asked : kind -> severities.
    given : data set -> names of its corrupted test splits.

    Raises
    ------
    UnknownNameError, StudyError
    """
    for kind, severities in asked.items():
        if kind not in CORRUPTIONS:
            raise UnknownNameError("corruption", kind, CORRUPTIONS, where=f"[corruptions] of {where}")
        if not severities or len(set(severities)) != len(severities) or not set(severities) <= set(SEVERITIES):
            problem = f"{where}: [corruptions] {kind} is {list(severities)}, not severities from 1 to 5, each once"
            raise StudyError(problem, hint=f"{kind} = [1, 3, 5]")
    made = {plan.name for plan in made_corruptions(asked)}
    for dataset, names in given.items():
        if {"train", "test"} & set(names):
            problem = f"{where}: [datasets.{dataset}] corrupted may not be called train or test"
            raise StudyError(problem, hint="name it after the corruption: fog = SOURCE")
        twice = sorted(made & set(names))
        if twice:
            problem = f"{where}: [datasets.{dataset}] corrupted names {twice[0]!r}, which [corruptions] makes, too"
            raise StudyError(problem, hint="give the split another name, or leave that severity out")
    if protocol == "preprint" and (asked or any(given.values())):
        problem = (
            f"{where}: protocol preprint selects the epoch on the test split, so no test images are left to corrupt"
        )
        raise StudyError(problem, hint='protocol = "leakfree", or no corruptions')
