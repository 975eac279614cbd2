"""Family: the interface of everything that can be trained. One file of ``families/`` is one family.

A family is a frozen dataclass whose fields are its parameters: the keys that ``[methods.NAME]`` of a study file may
have. An instance is a method without its name. All but the functions on towers work without torch, because plans and
reports ask families too; a family imports torch and peft inside its functions.

A tower is open_clip's vision transformer with split attention (``model/attention.py``). "Base weight" means a parameter
of the untouched tower, by its name there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

import msgspec
from msgspec import UNSET

from heatdrift.methods.stored import Method, Parameter

if TYPE_CHECKING:
    from torch import Tensor, nn

TRAINING_IMAGES: Final = "train"  # what a penalty sees where no other images are named
PROJECTION = "proj"  # the tower's visual projection, a parameter of its own


class Description(NamedTuple):
    """A row of the report's table of methods: what is trained of the tower, the projection, and which adapters."""

    tower: str
    projection: bool
    adapters: str = "none"


class BuiltIn(NamedTuple):
    """A method that comes with heatdrift.

    ``place`` orders methods in charts and tables and decides their colour and shape. It is kept for ever: a new method
    takes the next free number.
    """

    name: str
    place: int
    family: "Family"


@dataclass(frozen=True, kw_only=True)
class Family(ABC):
    """What is trained besides the classifier, and how it is merged, exported, switched off and described.

    Attributes
    ----------
    kind : name of the family in study files and records.
    checked : whether each run records that the method changed the tower and that it can be switched off
        (``records.AdapterChecks``); a run that fails these checks has failed.
    imports : packages that it needs on a tower: they are loaded once, before worker processes are forked.
    """

    kind: ClassVar[str]
    checked: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """Methods of this family that studies may name without defining them."""

    @abstractmethod
    def title(self) -> str:
        """Words for people, made from the parameters: two methods of a family that differ have different titles."""

    @abstractmethod
    def description(self) -> Description:
        """What is trained, for the report's table of methods."""

    @property
    def changes_encoder(self) -> bool:
        """Whether the image embedding can change at all; if not, drift 0 holds by construction."""
        return True

    @property
    def penalty_images(self) -> str:
        """Which images the penalty sees: ``train``, those of the step, or a name of the study's ``[unlabelled]``."""
        return TRAINING_IMAGES

    def penalty(self, tower: "nn.Module", base: "nn.Module") -> "Callable[[Tensor, Tensor], Tensor] | None":
        """What training adds to its loss, to hold the tower near the base; None = nothing.

        The function takes normalised pixels (batch, 3, size, size) and the tower's embeddings of them (batch, dim), and
        gives a 0-d tensor with a gradient. It must not read anything back from the device: a step never waits.
        """
        del tower, base
        return None

    def check_depth(self, depth: int) -> None:
        """Refuse parameters that name blocks which a tower of `depth` blocks does not have (StudyError)."""
        del depth

    def stored(self, name: str) -> Method:
        """The method `name` as cells and records hold it."""
        parameters = msgspec.convert(msgspec.to_builtins(self), dict[str, Parameter])  # as decoding would give them
        return Method(name=name, kind=self.kind, parameters=parameters)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """The inverse of :meth:`stored`; None when `method` is of another family.

        Raises
        ------
        msgspec.ValidationError, StudyError, UnknownNameError : parameters that this heatdrift does not know.
        """
        if method.kind != cls.kind or method.parameters is UNSET:
            return None
        return msgspec.convert(method.parameters, cls)

    @abstractmethod
    def put_on(self, tower: "nn.Module", seed: int) -> None:
        """Make the copy of a base tower trainable in place; all parameters come without a gradient.

        Afterwards exactly what the method trains needs a gradient, and the tower still computes what the base does, to
        the last bit. `seed` decides whatever is drawn; torch's global generator is left as it was.
        """

    @abstractmethod
    def switched_off(self, tower: "nn.Module", base: "nn.Module") -> AbstractContextManager[None]:
        """While the context is open the tower computes what the base does; afterwards it is what it was, exactly."""

    @abstractmethod
    def updates(self, tower: "nn.Module", base: "nn.Module") -> "dict[str, Tensor]":
        """Update of every base weight that the method may have changed: trained minus base, by name and in its shape.

        For adapters it is that of the weight that would compute the same; exactly 0 before training.
        """

    @abstractmethod
    def merged(self, tower: "nn.Module") -> "dict[str, Tensor]":
        """State dict under the base's names of a tower without adapters that embeds as this one does."""

    def files(self, tower: "nn.Module") -> "Mapping[str, Mapping[str, Tensor] | str]":
        """What another program needs besides merged weights and head: file name -> tensors (safetensors) or text."""
        del tower
        return {}


class OwnWeights(Family):
    """A family that trains parameters which the tower has itself: no adapters."""

    def switched_off(self, tower: "nn.Module", base: "nn.Module") -> AbstractContextManager[None]:
        """Put the base's values back into what is trained while the context is open."""
        return base_values(tower, base)

    def updates(self, tower: "nn.Module", base: "nn.Module") -> "dict[str, Tensor]":
        """Trained minus base, of what is trained."""
        return own_updates(tower, base)

    def merged(self, tower: "nn.Module") -> "dict[str, Tensor]":
        """The tower's own state dict."""
        return {name: tensor.detach() for name, tensor in tower.state_dict().items()}


def own_updates(tower: "nn.Module", base: "nn.Module") -> "dict[str, Tensor]":
    """Trained minus base of every trained parameter that the base has under the same name."""
    before = dict(base.named_parameters())
    trained = {name: p for name, p in tower.named_parameters() if p.requires_grad and name in before}
    return {name: p.detach() - before[name].detach() for name, p in trained.items()}


@contextmanager
def base_values(tower: "nn.Module", base: "nn.Module") -> Iterator[None]:
    """Put the base's values into every trained parameter that it has by the same name while the context is open."""
    import torch

    before = dict(base.named_parameters())
    trained = {name: p for name, p in tower.named_parameters() if p.requires_grad and name in before}
    kept = {name: p.detach().clone() for name, p in trained.items()}
    try:
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(before[name])
        yield
    finally:
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(kept[name])
