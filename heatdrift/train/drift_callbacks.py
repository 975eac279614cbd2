"""A monitor as a callback of transformers' Trainer and of Lightning. Neither package is imported here."""

import sys
from collections.abc import Callable
from typing import Any

from heatdrift.train.monitor import DriftMonitor


def trainer_callback(monitor: DriftMonitor) -> Any:  # noqa: ANN401 - a transformers.TrainerCallback where it is loaded
    """Return a callback for ``transformers.Trainer(..., callbacks=[...])``.

    It measures after each optimiser step that is due, and at the end writes the run into the monitor's store, if it has
    one; the learning rate is the Trainer's unless a label says it.
    """

    class OnTrainer(_callback_of("transformers", "TrainerCallback")):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> Any:  # noqa: ANN401
            monitor.step(model, state.global_step)
            return control

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ANN401
            if monitor.store is not None and state.is_world_process_zero:
                monitor.save(lr=str(args.learning_rate))
            return control

    return OnTrainer()


def lightning_callback(monitor: DriftMonitor) -> Any:  # noqa: ANN401 - a Lightning Callback where it is loaded
    """Return a callback for ``Trainer(callbacks=[...])`` of lightning or pytorch_lightning.

    It measures on the first process after each optimiser step that is due, and at the end writes the run into the
    monitor's store, if it has one; its learning rate must be a label of the monitor.
    """

    class OnLightning(_callback_of("lightning.pytorch", "Callback", "pytorch_lightning")):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:  # noqa: ANN401
            if trainer.is_global_zero:
                monitor.step(pl_module, trainer.global_step)

        def on_train_end(self, trainer: Any, _pl_module: Any) -> None:  # noqa: ANN401
            if monitor.store is not None and trainer.is_global_zero:
                monitor.save()

    return OnLightning()


def _callback_of(package: str, name: str, *other: str) -> type:
    """The base class of callbacks of a package that is loaded already; else one that ignores every other event.

    Where several are loaded (lightning and pytorch_lightning are two packages with the same classes) it is one of all.
    """
    found = [getattr(sys.modules.get(loaded), name, None) for loaded in (package, *other)]
    bases = tuple(base for base in found if isinstance(base, type))
    return type(name, bases, {}) if len(bases) > 1 else bases[0] if bases else _Ignoring


class _Ignoring:
    """Every event that is not handled does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("on_"):
            return lambda *_args, **_kwargs: None
        raise AttributeError(name)
