"""Ray as a cluster of ``driving.py``: Ray Core tasks with parts of GPUs, results as objects, no shared disk.

Ray's own retries are off: they count neither per cell nor towards what a user sees, and never end for a lack of memory.
"""

import logging
import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from heatdrift import __version__
from heatdrift.errors import TrainError
from heatdrift.records import Cell
from heatdrift.train.executors.base import module_of_extra
from heatdrift.train.executors.driving import Driver, WorkerLostError
from heatdrift.train.executors.packed import Packed
from heatdrift.train.executors.ray_worker import Assignment, Mailbox, train_on_worker
from heatdrift.train.interrupt import KNOWN_SIGNALS, Interrupted, LeadingInterruption
from heatdrift.train.worker import Event, Stopped, WorkerSettings

ANSWER_WITHIN_S: Final = 10.0
_LOST: Final = ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError", "OutOfMemoryError")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayExecutor:
    """Cells as Ray tasks.

    Attributes
    ----------
    address : "HOST:PORT" or "ray://HOST:PORT"; None = RAY_ADDRESS, a Ray that runs here, or one that is started here.
    jobs : cells out at once at most; None = as many as fit, and one.
    gpus : of one cell, such as 0.25; None = 1 where the cluster has any and the device is not "cpu", else 0.
    memory_gb : that a cell reserves of its node (GiB); None = none.
    retries : how often a cell is tried again whose worker was lost.
    work_folder : on the nodes, where cells in the making and their checkpoints lie; None = the temporary folder.
    """

    address: str | None = None
    jobs: int | None = None
    gpus: float | None = None
    memory_gb: float | None = None
    retries: int = 3
    work_folder: str | None = None

    def run_cells(
        self,
        cells: Sequence[Cell],
        settings: WorkerSettings,
        *,
        on_event: Callable[[Event], None],
        seen: Mapping[str, int] | None = None,
        interruption: LeadingInterruption | None = None,
    ) -> dict[str, int]:
        """See ``base.Executor``."""
        ray = connect(self.address)
        gpus = self.gpus
        if gpus is None:
            gpus = 1.0 if settings.device != "cpu" and ray.cluster_resources().get("GPU") else 0.0
        if not gpus and settings.device == "auto":  # a GPU that Ray did not give is somebody else's
            settings = msgspec.structs.replace(settings, device="cpu")
        needs = {"CPU": float(settings.threads), "GPU": gpus, "memory": (self.memory_gb or 0.0) * 2**30}
        cluster = RayCluster(ray, settings, {name: n for name, n in needs.items() if n}, self.work_folder)
        driver = Driver(cluster=cluster, settings=settings, on_event=on_event, at_once=self.jobs, retries=self.retries)
        try:
            return driver.run(cells, seen, interruption)
        except BaseException as error:
            if (asked := signal_behind(error)) is not None:
                raise asked from None
            raise


def signal_behind(error: BaseException) -> BaseException | None:
    """Return the signal's exception behind `error`: one that is raised inside Ray's compiled code leaves in another."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, Interrupted | KeyboardInterrupt):
            return behind
        behind = behind.__cause__ or behind.__context__
    return None


def connect(address: str | None, *, timeout_s: float = ANSWER_WITHIN_S) -> Any:  # noqa: ANN401  a module without types
    """Connect this process to a Ray cluster, once, and return Ray.

    Raises
    ------
    TrainError : Ray is not installed; nothing answers at `address` within `timeout_s` seconds, or what does is no Ray.
    """
    ray = module_of_extra("ray")
    if ray.is_initialized():
        return ray
    named = address or os.environ.get("RAY_ADDRESS")
    if named:
        _knock(named, timeout_s)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study is nobody else's business
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    try:
        ray.init(address=address, namespace="heatdrift", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as cause:
        reason = str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
        raise TrainError(f"no Ray cluster at {named or 'this machine'}: {reason}", hint=_START) from cause
    finally:
        for number, handler in before.items():  # Ray's own handler would end this process without giving claims back
            signal.signal(number, handler)
    return ray


# Both ports of Ray speak gRPC: HTTP/2, where a server answers the client's preface and settings with its settings.
_HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_SETTINGS: Final = b"\x04"
_NUMBERS: Final = tuple(signal.Signals[f"SIG{name}"] for name in KNOWN_SIGNALS)
_START: Final = "ray start --head on its first machine prints the address; docs/scale.md has every step"


def _knock(address: str, timeout_s: float) -> None:
    """Raise TrainError unless something listens at `address`: Ray itself would go on trying for much longer."""
    host, _, port = address.removeprefix("ray://").partition("/")[0].rpartition(":")
    if not host or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise TrainError(f"--address {address!r} is no Ray address", hint="HOST:6379, ray://HOST:10001, or auto")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("", "0"):
                connection.sendall(_HELLO)
                if connection.recv(9)[3:4] != _SETTINGS:
                    raise ConnectionError("what listens there is no Ray")
    except (OSError, OverflowError) as cause:
        problem = f"no Ray cluster answers at {address} within {timeout_s:g} s: {cause}"
        raise TrainError(problem, hint=_START) from cause


class RayCluster:
    """A :class:`driving.Cluster` of Ray tasks; `needs` is what one cell reserves, by Ray's names of resources."""

    def __init__(
        self,
        ray: Any,  # noqa: ANN401  a module without types
        settings: WorkerSettings,
        needs: Mapping[str, float],
        work_folder: str | None,
    ) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._needs = ray, needs
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        self._assignment = ray.put(pickle.dumps(Assignment(settings=settings, work_folder=work_folder)))
        self._task = ray.remote(train_on_worker).options(
            num_cpus=needs.get("CPU", 1.0),
            num_gpus=needs.get("GPU", 0.0),
            memory=needs.get("memory"),
            max_retries=0,
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )
        self._lost = tuple(getattr(ray.exceptions, name) for name in _LOST)

    def room(self) -> int:
        """Return how many cells fit on the nodes that are alive."""
        return sum(fitting(node, self._needs) for node in self._nodes())

    def need(self) -> str:
        """Say what one cell needs, and what the nodes have."""
        nodes = [{name: node.get(name, 0.0) for name in self._needs} for node in self._nodes()]
        has = "; ".join(_words(node) for node in nodes) or "no node is alive"
        return f"no node of the Ray cluster has room for one cell, which needs {_words(self._needs)}: {has}"

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def start(self, cell: Cell) -> object:
        """Begin a cell."""
        return self._task.remote(__version__, self._assignment, pickle.dumps(cell), self._mailbox)

    def ended(self, handles: Sequence[object], timeout_s: float) -> Sequence[object]:
        """Return the tasks that ended."""
        if not handles:
            return ()
        ready, _ = self._ray.wait(list(handles), num_returns=1, timeout=timeout_s)
        return tuple(ready)

    def result(self, handle: object) -> Packed | Stopped:
        """Return what a task brought; WorkerLostError where its worker, node or result is gone."""
        try:
            found: Packed | Stopped = self._ray.get(handle)
        except self._lost as lost:
            text = " ".join(str(lost).split())
            raise WorkerLostError(f"{type(lost).__name__}: {text[:160]}") from lost
        except self._ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1][:300]
            hint = "the same Python, packages and heatdrift on all nodes; see docs/scale.md"
            return Stopped(message=f"a Ray worker could not run a cell: {last}", hint=hint)
        return found

    def events(self) -> Iterable[Event]:
        """Return what workers said; nothing where the mailbox does not answer: events are for people."""
        try:
            taken: list[Event] = self._ray.get(self._mailbox.take.remote(), timeout=5)
        except self._ray.exceptions.RayError:
            return ()
        return taken

    def cancel(self, handles: Iterable[object]) -> None:
        """End tasks at once, with their processes."""
        for handle in handles:
            self._ray.cancel(handle, force=True)


def fitting(node: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """Return how many cells that need `needs` fit on a node with these resources."""
    return min((int(node.get(name, 0.0) / n + 1e-9) for name, n in needs.items() if n > 0), default=1)


def _words(resources: Mapping[str, float]) -> str:
    return ", ".join(
        f"{n / 2**30:.1f} GiB memory" if name == "memory" else f"{n:g} {name}" for name, n in resources.items()
    )
