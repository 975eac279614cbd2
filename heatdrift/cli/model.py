"""``heatdrift stats model``: a mixed model of any table, or of a view of the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heatdrift.cli.options import (
    ConfOption,
    ResultFormat,
    ResultFormatOption,
    StoredStudyOption,
    StoreOption,
    VerboseOption,
)
from heatdrift.cli.output import note, show_answer
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import StatsError

if TYPE_CHECKING:
    import polars as pl


def model(
    formula: Annotated[
        str | None,
        typer.Option(
            "--formula",
            help='As lme4 writes it: "y ~ a * b + x + (1 | g)". Default, of runs: all factors that vary, seeds random.',
        ),
    ] = None,
    table: Annotated[Path | None, typer.Option("--table", help="CSV, Parquet or JSON file.")] = None,
    view: Annotated[str | None, typer.Option("--view", help="A view of the store (docs/schema.md): runs.")] = None,
    means: Annotated[
        list[str] | None,
        typer.Option("--means", help="Means and their pairs: a, a:b or 'a | b' (repeatable). Default: every factor."),
    ] = None,
    contrast: Annotated[
        list[str] | None,
        typer.Option("--contrast", help="A stated contrast: 'a: 1/2*low + 1/2*mid - high' (repeatable)."),
    ] = None,
    ddf: Annotated[
        Literal["kenward_roger", "satterthwaite"], typer.Option("--ddf", help="Degrees of freedom of the contrasts.")
    ] = "kenward_roger",
    intervals: Annotated[
        Literal["wald", "profile", "bootstrap"],
        typer.Option("--intervals", help="t intervals, profile likelihood, or parametric bootstrap."),
    ] = "wald",
    bootstrap: Annotated[int, typer.Option("--bootstrap", help="Number of resamples.", min=100)] = 2000,
    resampling_seed: Annotated[int, typer.Option("--resampling-seed", help="Seed of resampling.", min=0)] = 0,
    conf_level: ConfOption = 0.95,
    fmt: ResultFormatOption = ResultFormat.table,
    verbose: VerboseOption = False,
    study: StoredStudyOption = None,
    store: StoreOption = None,
) -> None:
    """Fit a mixed model with random intercepts to any table: text columns are factors, numbers covariates.

    Own factors of an imported table (rank, augmentation) are columns of its runs here, by their own names.

    Example: `heatdrift stats model --formula "retention_pct ~ method * C(lr) + (1 | seed)" --view runs`
    """
    from heatdrift.questions.model.analysis import fit_model

    if table is not None and (view is not None or study is not None):
        raise StatsError("name one table", hint="--table FILE, or --view NAME or --study NAME for runs of the store")
    if table is None and view is None and study is None and formula is None:
        raise StatsError("name one table", hint="--table FILE, or --view NAME or --study NAME for runs of the store")
    view = view or ("runs" if table is None else None)
    frame = _file(table) if table is not None else _view(str(view), study, store)
    if formula is None and view != "runs":
        where = f"the view {view}" if view is not None else "a file"
        raise StatsError(f"{where} says nothing about what depends on what", hint='--formula "y ~ a * b + (1 | g)"')
    if formula is None:
        from heatdrift.questions.model.default import default_model

        default = default_model(frame)
        frame, formula = default.frame, default.formula
        note(f"formula by default: {formula}: {default.why}")
        for text in default.left_out:
            note(f"left out of it: {text}")
    else:
        from heatdrift.own_factors import with_own_factors

        frame = with_own_factors(frame) if view == "runs" else frame
    show_answer(
        fit_model(
            frame,
            formula,
            means=means or None,
            contrasts=contrast or (),
            ddf=ddf,
            intervals=intervals,
            conf_level=conf_level,
            bootstrap=bootstrap,
            seed=resampling_seed,
        ),
        fmt,
        verbose=verbose,
    )


def _file(path: Path) -> "pl.DataFrame":
    from heatdrift.store.importers.typed_table import read_typed_table

    return read_typed_table(path)


def _view(name: str, study: str | None, store: Path | None) -> "pl.DataFrame":
    from heatdrift.errors import UnknownNameError
    from heatdrift.store.ingest import open_current
    from heatdrift.store.read import VIEWS, read_view

    if name not in VIEWS:
        raise UnknownNameError("view", name, VIEWS)
    work = Workspace.of(store)
    with open_current(work.store) as connection:
        return read_view(connection, name, study=work.stored_study(connection, study))
