"""``heatdrift fetch``: weights and data of a study, downloaded, verified and listed in manifests."""

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from heatdrift.cli.advice import naming_study, train_command
from heatdrift.cli.options import DataDirOption, Format, FormatOption, StudyOption
from heatdrift.cli.output import err, indented, note, show_list, show_rows
from heatdrift.cli.workspace import Workspace
from heatdrift.config import SourceSpec, StudySpec
from heatdrift.errors import DataError, HeatdriftError

if TYPE_CHECKING:
    from pathlib import Path

    from heatdrift.chance import ZeroShotBase

Row = Mapping[str, object]
_NOT_READY: Final = "not ready"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("fetch")(fetch)


def fetch(
    study: StudyOption = None,
    data_dir: DataDirOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Download and verify the weights and images of a study, and write manifests; exit 2 if something is missing.

    Doing it again downloads nothing that is there. Local files are verified and listed too. Without a network, or with
    HF_HUB_OFFLINE=1, it says what is missing, where it is published and where to put it by hand.

    Example: `heatdrift fetch --study preprint80`
    """
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of five retries per file
    work = Workspace.of(None)
    spec = work.study(study)
    folder = work.data_folder(spec, study, data_dir)
    rows: list[Row] = []
    failed: list[tuple[str, HeatdriftError]] = []
    with FetchProgress() as progress:
        for name, (source, get) in _wanted(spec, folder, progress).items():
            try:
                rows.append({"what": name, **get()})
            except HeatdriftError as error:
                rows.append({"what": name, **_row(_NOT_READY, source, detail=error.message)})
                failed.append((name, naming_study(error, study or spec.name, data_dir)))
    get_failed = len(failed)
    said = {error.message for _, error in failed}
    failed += [(name, error) for name, error in _too_small(spec, folder) if error.message not in said]
    if fmt is Format.table:
        show_list([_line(row) for row in rows])
    else:
        show_rows(rows, fmt)
    for message, problems in _by_message(failed).items():
        note(f"\n{', '.join(name for name, _ in problems)}: {message}")
        for number, hint in enumerate(dict.fromkeys(str(problem.hint) for _, problem in problems)):
            note(f"  {'and' if number else 'what to do'}: {indented(hint, 4)}")
    for text in _chance(spec, rows, work):
        note(text)
    if failed:
        names = ", ".join(name for name, _ in failed)
        what = f"{get_failed} of {len(rows)} things that study {spec.name} needs are"
        summary = f"{what if get_failed else f'study {spec.name} is'} not ready: {names}"
        raise DataError(summary, hint="do what is said above for each, then run the same command again")
    command = train_command(study or spec.name, data_dir=str(data_dir) if data_dir else None)
    note(f"all that study {spec.name} needs is ready; next: {command}")


def _too_small(spec: StudySpec, folder: "Path") -> list[tuple[str, HeatdriftError]]:
    """Name and error of every set that is here and has fewer pictures than the study asks for."""
    from heatdrift.train.size_check import check_sizes

    checked = check_sizes(spec, folder)
    return [(f"sizes of {found.name}", found.problem) for found in checked if found.problem is not None]


def _chance(spec: StudySpec, rows: list[Row], work: Workspace) -> list[str]:
    """Say for each transfer set how its base compares with chance, as measured before, else what it must reach.

    Nothing is measured here: a base is known once a run of the backbone is in the store.
    """
    from heatdrift.chance import smallest_clear_base

    found = []
    measured = _measured_bases(work, spec.backbone.name)
    listed = {str(row["what"]): row for row in rows}
    for name, transfer in spec.transfer.items():
        if name in measured:
            if measured[name].near_chance:
                found.append(f"caution: {measured[name].warning(name, spec.backbone.name)}")
            continue
        n_images, n_classes = listed[name]["n_images"], listed[name]["n_classes"]
        if not isinstance(n_images, int) or not isinstance(n_classes, int) or n_classes < 2:
            continue  # not ready, or drawn when it is used
        used = min(transfer.n_images or n_images, n_images)
        needed = smallest_clear_base(n_classes, used)
        limit = "any zero-shot base" if needed is None else f"a zero-shot base below {needed:.1f} %"
        found.append(
            f"{name}: guessing among {n_classes} classes scores {100 / n_classes:.1f} %; with {used:,} images {limit} "
            "is near chance, and its retention would say little (train warns where it is)"
        )
    return found


def _measured_bases(work: Workspace, backbone: str) -> "dict[str, ZeroShotBase]":
    """Transfer set -> accuracy of the backbone there, from the runs of the store; empty without a store."""
    if not work.store.exists():
        return {}
    from heatdrift.chance import ZeroShotBase
    from heatdrift.store.ingest import open_current

    query = (
        "SELECT t.transfer_set, min(t.base_pct), min(t.n_images), min(t.n_classes) FROM transfer t JOIN runs r "
        "USING (study, cell_id) WHERE r.backbone = $backbone AND t.n_classes IS NOT NULL GROUP BY 1"
    )
    try:
        with open_current(work.store) as connection:
            found = connection.execute(query, {"backbone": backbone}).fetchall()
    except HeatdriftError:  # fetching needs no store: one that cannot be read is for `heatdrift store check`
        return {}
    return {
        name: ZeroShotBase(base_pct=base, n_images=images, n_classes=classes) for name, base, images, classes in found
    }


def _by_message(failed: list[tuple[str, HeatdriftError]]) -> dict[str, list[tuple[str, HeatdriftError]]]:
    """Group what failed for the same reason, as the two splits of a data set do."""
    found: dict[str, list[tuple[str, HeatdriftError]]] = {}
    for name, problem in failed:
        found.setdefault(problem.message, []).append((name, problem))
    return found


def _line(row: Row) -> tuple[str, str, str]:
    """State, name and facts of one row; why something is not ready is said below the list."""
    facts = [str(row["source"])] if str(row["source"]) not in str(row["what"]) else []
    facts += [f"{row['n_images']:,} images in {row['n_classes']} classes"] if row["n_images"] is not None else []
    facts += [f"revision {row['revision']}"] if row["revision"] else []
    facts += [f"sha256 {str(row['sha256'])[:12]}..."] if row["sha256"] else []
    facts += [str(row["detail"])] if row["detail"] and row["state"] != _NOT_READY else []
    return str(row["state"]), str(row["what"]), "; ".join(facts)


def sources_of(spec: StudySpec) -> dict[str, SourceSpec]:
    """Name -> source of all that a study reads: "<data set>/train", "<data set>/test", transfer sets, unlabelled."""
    named = {f"{name}/{split}": s for name, dataset in spec.datasets.items() for split, s in dataset.sources.items()}
    named |= {name: transfer.test_source for name, transfer in spec.transfer.items()}
    return named | {f"unlabelled/{name}": source for name, source in spec.unlabelled_sources.items()}


class FetchProgress:
    """Bars for what is going on: bytes of a download, pictures of a check. Silent where stderr is no terminal."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` are done; a task that ends disappears."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
        if total is not None and done >= total:
            self._bars.remove_task(self._tasks.pop(name))


def _wanted(spec: StudySpec, folder: "Path", progress: FetchProgress) -> dict[str, tuple[str, Callable[[], Row]]]:
    """Name -> source and how to get and describe it, of everything that the study needs."""

    def get_weights() -> Row:
        from heatdrift.model.download import fetch_weights

        path = fetch_weights(spec.backbone, folder, progress)
        return _row("ready", spec.backbone.name, detail=str(path))

    def getter(source: SourceSpec) -> Callable[[], Row]:
        def get() -> Row:
            from heatdrift.data.sources import fetch_source

            got = fetch_source(source, folder, progress)
            bad = len(got.unreadable)
            remarks = [got.detail]
            remarks += [f"{bad} pictures do not decode: train with --skip-unreadable"] if bad else []
            remarks += [f"{len(got.unused)} classes that it declares have no picture: left out"] if got.unused else []
            return _row(
                got.state,
                source.source,
                n_images=got.n_images,
                n_classes=got.n_classes,
                revision=got.revision,
                sha256=got.sha256,
                detail="; ".join(part for part in remarks if part),
            )

        return get

    return {f"weights {spec.backbone.name}": (spec.backbone.name, get_weights)} | {
        name: (source.source, getter(source)) for name, source in sources_of(spec).items()
    }


def _row(
    state: str,
    source: str,
    *,
    n_images: int | None = None,
    n_classes: int | None = None,
    revision: str | None = None,
    sha256: str | None = None,
    detail: str = "",
) -> Row:
    return {
        "state": state,
        "source": source,
        "n_images": n_images,
        "n_classes": n_classes,
        "revision": revision,
        "sha256": sha256,
        "detail": detail,
    }
