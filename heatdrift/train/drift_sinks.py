"""Where a monitor's records go: MLflow, W&B, TensorBoard, trackio. Each package is imported when its sink is made."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from heatdrift.errors import HeatdriftError

EXTRAS: Final = ("mlflow", "wandb", "tensorboard", "trackio", "lightning")  # of pyproject.toml


class MissingPackageError(HeatdriftError):
    """A package that only some people need is not installed."""


class Sink(Protocol):
    """What takes the numbers of a step; any object with this method is one."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take name -> number at a step."""


class MlflowSink:
    """Log into MLflow's active run, or the run of `run_id`."""

    def __init__(self, run_id: str | None = None) -> None:
        self._mlflow = optional("mlflow")
        self._run_id = run_id

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take name -> number at a step."""
        given = {} if self._run_id is None else {"run_id": self._run_id}
        self._mlflow.log_metrics(dict(values), step=step, **given)


class WandbSink:
    """Log into a run of Weights & Biases; None = the one that ``wandb.init`` began.

    W&B's own step must not go back: the step of the training is logged as a value too, and no step is forced.
    """

    def __init__(self, run: Any = None) -> None:  # noqa: ANN401 - wandb.Run
        self._target = optional("wandb") if run is None else run

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take name -> number at a step."""
        self._target.log({**values, "heatdrift/step": step})


class TrackioSink:
    """Log into the project that ``trackio.init`` began."""

    def __init__(self) -> None:
        self._trackio = optional("trackio")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take name -> number at a step."""
        self._trackio.log({**values, "heatdrift/step": step}, step=step)


class TensorBoardSink:
    """Write event files into a folder, or with the writer of the training loop."""

    def __init__(self, place: str | Path | Any) -> None:  # noqa: ANN401 - torch's SummaryWriter
        if isinstance(place, str | Path):
            place = optional("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(place))
        self._writer: Any = place

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take name -> number at a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


def optional(module: str, package: str | None = None) -> Any:  # noqa: ANN401 - a module
    """Import a package that only some people need.

    Raises
    ------
    MissingPackageError : it is not installed; the hint is the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = package or module
        command = f"pip install 'heatdrift[{name}]'" if name in EXTRAS else f"pip install {name}"
        raise MissingPackageError(f"{name} is not installed ({error})", hint=command) from error
