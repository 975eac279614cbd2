"""``heatdrift measure``: models that were trained elsewhere, against the base that they were made from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heatdrift.cli.options import Format, FormatOption, StoreOption
from heatdrift.cli.output import note, show_answer
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import StudyError

if TYPE_CHECKING:
    from heatdrift.train.external import Measurement


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("measure")(measure)


def measure(
    base: Annotated[str, typer.Option("--base", help="lab, MODEL/TAG of open_clip, or weights in any layout.")],
    adapted: Annotated[
        list[str],
        typer.Option("--adapted", help="Weights, model folder, peft adapter, or a folder of epochs (repeatable)."),
    ],
    images: Annotated[
        str | None,
        typer.Option("--images", help="Pictures for the probes, no labels: folder, Parquet file or source string."),
    ] = None,
    transfer: Annotated[
        str | None, typer.Option("--transfer", help="Labelled source for zero-shot, such as folder:PATH.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="What is known of the training: dataset=, method=, lr=, seed= (repeatable)."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Architecture of a base by path: JSON file, or open_clip's MODEL."),
    ] = None,
    template: Annotated[str, typer.Option("--template", help="Prompt for zero-shot.")] = "a photo of a {}.",
    class_names: Annotated[
        str | None, typer.Option("--class-names", help="A versioned list of class names. Default: the source's.")
    ] = None,
    n_images: Annotated[int, typer.Option("--n-images", min=1, help="Pictures drawn for the probes.")] = 200,
    n_transfer: Annotated[
        int | None, typer.Option("--n-transfer", min=1, help="Images of the transfer set. Default: all.")
    ] = None,
    study: Annotated[str, typer.Option("--study", help="Study of the store that the run goes into.")] = "external",
    store: StoreOption = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page about it to this file.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto.")] = "cpu",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out pictures that do not decode (recorded).")
    ] = False,
    fmt: FormatOption = Format.table,
) -> None:
    """Measure drift and forgetting of models that were trained in any loop and saved in any format.

    Probes need no labels. With --label lr=... the run goes into the store, where stats and report find it.

    Example: `heatdrift measure --base lab --adapted runs/epochs --images photos --label lr=1e-5`
    """
    from heatdrift.train.device import resolve_device
    from heatdrift.train.external import measure as measured
    from heatdrift.train.external import storable

    work = Workspace.of(store)
    found = measured(
        base,
        adapted,
        images=images,
        transfer=transfer,
        labels=dict(_pair(text) for text in label or ()),
        config=config,
        template=template,
        class_names=class_names,
        n_images=n_images,
        n_transfer=n_transfer,
        study=study,
        device=resolve_device(device),
        skip_unreadable=skip_unreadable,
        on_checkpoint=lambda name, done, total: note(f"{done + 1} of {total}: {name}"),
    )
    found = _estimated(found, work)
    if storable(found.result):
        found = _with_place(found, _stored(found, work))
    show_answer(found.result, fmt, verbose=True)
    if found.result.stored is None:
        note("not stored: the store's tables have a learning rate as a key; give --label lr=1e-5 (and --label seed=0)")
    else:
        note(f"stored in {work.store} as {found.result.stored}; next: heatdrift report --html --study {study}")
    if html is not None:
        _write(found, html)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise StudyError(f"--label {text!r} is no KEY=VALUE", hint="--label lr=1e-5 --label seed=0")
    return key.strip(), value.strip()


def _estimated(found: "Measurement", work: Workspace) -> "Measurement":
    """The measurement with an estimate of retention from the store's finished runs; weights that moved only."""
    import dataclasses

    from heatdrift.questions.predictors.estimate import estimate, observations
    from heatdrift.store.ingest import has_runs, open_current
    from heatdrift.store.read import read_view

    last = found.result.checkpoints[-1]
    if last.identical or not (work.store.exists() or has_runs(work.store_folder)):
        return found
    with open_current(work.store) as connection:
        known = observations(read_view(connection, "runs"), read_view(connection, "epochs"))
    guessed = estimate(known, last.means)
    return dataclasses.replace(found, result=msgspec.structs.replace(found.result, estimate=guessed))


def _stored(found: "Measurement", work: Workspace) -> str:
    """Write the run into the store; its study and cell id."""
    from heatdrift.store.folder import write_arrays, write_record
    from heatdrift.store.ingest import ingest

    record = found.outcome.record
    folder = write_record(record, work.store_folder).path.parent
    if found.outcome.hits:
        write_arrays(folder, "hits", found.outcome.hits)
    write_arrays(folder, "gallery", found.outcome.gallery)
    for problem in ingest(work.store).problems:
        note(f"left out: {problem.path}: {problem.reason}")
    return f"{record.study}/{record.cell_id}"


def _with_place(found: "Measurement", stored: str) -> "Measurement":
    """The measurement with the place where it is stored."""
    import dataclasses

    return dataclasses.replace(found, result=msgspec.structs.replace(found.result, stored=stored))


def _write(found: "Measurement", html: Path) -> None:
    from heatdrift.cli.measure_page import measure_document
    from heatdrift.report.document import document_html
    from heatdrift.report.files import write_file

    path = html if html.suffix == ".html" else html / "measure.html"
    page = document_html(measure_document(found.result))
    written = write_file(path, page, hint="choose another place with --html")
    note(f"page: {written}")  # stdout is the answer's
