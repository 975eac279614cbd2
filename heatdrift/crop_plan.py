"""How pictures become crops: what a backbone does to them, and what a study changes of it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from heatdrift.errors import StudyError


class CropPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pictures become crops where a study does not leave that to its backbone; None = as the backbone has it.

    Attributes
    ----------
    interpolation : filter of the resizing.
    antialias : whether the filter is widened where pictures are made smaller.
    resize : pixels of the shorter side after resizing, at least `crop`.
    crop : pixels of the square cut from the centre; a tower takes one size only, so this is checked, no choice.
    """

    interpolation: Literal["nearest", "bilinear", "bicubic"] | None = None
    antialias: bool | None = None
    resize: int | None = None
    crop: int | None = None

    def without(self, own: Mapping[str, object]) -> "CropPlan | None":
        """Only what differs from `own`, the backbone's (field -> value); None where nothing does."""
        stated = msgspec.structs.asdict(self).items()
        left = {name: value for name, value in stated if value not in (None, own.get(name))}
        return CropPlan(**left) if left else None


class Preprocess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Image preprocessing: shorter side resized, the centre of `size` x `size` cropped, (x / 255 - mean) / std.

    ``resize``: pixels of the shorter side where they are not `size`.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    antialias: bool = True
    resize: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def shorter_side(self) -> int:
        """Pixels of the shorter side after resizing."""
        return self.size if isinstance(self.resize, msgspec.UnsetType) else self.resize

    def changed(self, plan: CropPlan) -> "Preprocess":
        """Return this preprocessing with what a study changes.

        Raises
        ------
        StudyError : another crop than the tower takes, or pictures smaller than the crop.
        """
        if plan.crop not in (None, self.size):
            problem = f"[preprocess] crop is {plan.crop}, the backbone takes {self.size} x {self.size} pixels"
            raise StudyError(problem, hint=f"crop = {self.size}, or leave it out")
        resize = self.shorter_side if plan.resize is None else plan.resize
        if resize < self.size:
            problem = f"[preprocess] resize is {resize}, less than the crop of {self.size} pixels"
            raise StudyError(problem, hint=f"resize = {self.size} or more")
        return msgspec.structs.replace(
            self,
            interpolation=plan.interpolation or self.interpolation,
            antialias=self.antialias if plan.antialias is None else plan.antialias,
            resize=msgspec.UNSET if resize == self.size else resize,
        )
