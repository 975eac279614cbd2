"""The study at a glance: its size, the matrix of its cells with their status, the means of its main columns."""

from collections import Counter

import polars as pl

from heatdrift import wording
from heatdrift.own_factors import varying
from heatdrift.report.blocks import Block, Facts, LegendEntry, Matrix, MatrixCell, Note, Section, Table
from heatdrift.report.caveats import selection_sentences
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import DRIFT, StudyData, has_values
from heatdrift.report.tables import frame_table
from heatdrift.report.theme import method_styles


def glance(inp: ReportInput, data: StudyData) -> Section:
    """Return the size of the study, the matrix of its cells and the means of its main columns."""
    runs, grid = inp.done, inp.grid
    blocks: list[Block] = [Facts(pairs=_key_facts(inp), large=True)]
    if grid.is_empty():
        blocks.append(
            Note(text="The study has no planned cell and no run. Next: heatdrift train --all.", tone="missing")
        )
    else:
        blocks.append(_matrix(inp))
    blocks += [Note(text=text) for text in selection_sentences(inp) if not grid.is_empty()]
    if runs.is_empty() and not grid.is_empty():
        blocks.append(Note(text="No run has finished yet, so there is nothing to draw.", tone="missing"))
    blocks += [t for t in (_cell_table(inp, data), _transfer_table(inp)) if t is not None]
    return Section(
        section_id="glance",
        title="The study at a glance",
        lead="What was run, how far it has come, and the means of every cell.",
        blocks=tuple(blocks),
    )


def _key_facts(inp: ReportInput) -> tuple[tuple[str, str], ...]:
    grid = inp.grid
    done = grid.filter(pl.col("status") == "done").height

    def names(column: str) -> str:
        values = grid[column].drop_nulls().unique().sort().to_list()
        return ", ".join(map(str, values)) or wording.NOT_MEASURED

    methods = ", ".join(s.title for s in method_styles(grid["method"].drop_nulls().to_list())) or wording.NOT_MEASURED
    lrs = (
        ", ".join(
            wording.unbroken(wording.learning_rate(lr)) for lr in grid["lr"].drop_nulls().unique().sort().to_list()
        )
        or wording.NOT_MEASURED
    )
    protocols = ", ".join(sorted(inp.runs["protocol"].drop_nulls().unique().to_list())) or wording.NOT_MEASURED
    return (
        ("finished runs", f"{done:,} of {grid.height:,}"),
        ("data sets", names("dataset")),
        ("methods", methods),
        ("learning rates", lrs),
        ("seeds", names("seed")),
        ("backbone", names("backbone")),
        ("protocol", protocols),
        *((f"own factor {name}", ", ".join(levels)) for name, levels in varying(inp.done).items()),
    )


def _matrix(inp: ReportInput) -> Matrix:
    """Count, for each group and learning rate, the finished of the planned runs, and name what went wrong."""
    grid = inp.grid
    counts: dict[tuple[str, str, float], Counter[str]] = {}
    for place, method, lr, status in grid.select("place", "method", "lr", "status").iter_rows():
        counts.setdefault((place, method, lr), Counter())[status or "planned"] += 1
    lrs = sorted(grid["lr"].drop_nulls().unique().to_list())
    styles = {s.name: s for s in method_styles(grid["method"].drop_nulls().to_list())}
    order = list(styles)
    groups = sorted({(place, method) for place, method, _ in counts}, key=lambda g: (g[0], order.index(g[1])))
    rows = tuple(
        (
            place,
            LegendEntry.of(styles[method]),
            tuple(_matrix_cell(counts.get((place, method, lr), Counter())) for lr in lrs),
        )
        for place, method in groups
    )
    caption = "Finished of planned runs (one per seed) in each cell of data set, method and learning rate."
    return Matrix(caption=caption, lrs=tuple(wording.learning_rate(lr) for lr in lrs), rows=rows)


def _matrix_cell(states: Counter[str]) -> MatrixCell:
    planned, done = sum(states.values()), states["done"]
    if not planned:
        return MatrixCell(text="not planned", state="off")
    problems = ", ".join(f"{n} {state}" for state, n in sorted(states.items()) if state not in ("done", "planned"))
    return MatrixCell(
        text=f"{done} of {planned}", state="full" if done == planned else "part" if done else "none", problems=problems
    )


def _cell_table(inp: ReportInput, data: StudyData) -> Table | None:
    """Mean ± sd over seeds of the main columns of the finished runs."""
    shown = [m for m in (*DRIFT, *data.performance) if has_values(inp.done, m)]
    if not shown:
        return None
    by = ["place", "method", "lr"]
    averages = [
        f(pl.col(m)).alias(f"{m}_{word}") for m in shown for f, word in ((pl.Expr.mean, "mean"), (pl.Expr.std, "sd"))
    ]
    cells = (
        inp.done.group_by(by, maintain_order=True).agg(pl.col("seed").n_unique().alias("n_seeds"), *averages).sort(by)
    )
    for metric in shown:
        text = [
            f"{wording.number(mean)}\u00a0±\u00a0{wording.number(sd, 2)}" if sd is not None else wording.number(mean)
            for mean, sd in zip(cells[f"{metric}_mean"].to_list(), cells[f"{metric}_sd"].to_list(), strict=True)
        ]
        cells = cells.with_columns(pl.Series(metric, text, dtype=pl.String))
    heads = {"place": "data set", "method": "method", "lr": "learning rate", "n_seeds": "n (seeds)"}
    caption = "Cells: mean ± standard deviation over seeds at the selected epoch"
    return frame_table(cells, caption, heads=heads | {m: data.axis_title(m) for m in shown}, folded=True)


def _transfer_table(inp: ReportInput) -> Table | None:
    """Zero-shot accuracy before and after on each transfer set, mean over seeds."""
    keyed = inp.transfer.join(
        inp.done.select("study", "cell_id", "place", "method", "lr"), on=["study", "cell_id"], how="inner"
    )
    if keyed.is_empty():
        return None
    by = ["transfer_set", "place", "method", "lr"]
    means = keyed.group_by(by, maintain_order=True).agg(
        pl.len().alias("n_runs"),
        pl.first("n_images"),
        pl.mean("base_pct"),
        pl.mean("adapted_pct"),
        pl.mean("retention_pct"),
    )
    heads = {
        "transfer_set": "transfer set",
        "n_images": "n (images)",
        "place": "data set",
        "method": "method",
        "lr": "learning rate",
        "n_runs": "n (seeds)",
        "base_pct": "base (%)",
        "adapted_pct": "adapted (%)",
        "retention_pct": "retention (% of base)",
    }
    return frame_table(
        means.sort(by), "Zero-shot accuracy on each transfer set, mean over seeds", heads=heads, folded=True
    )
