"""Whether equal seeds of two studies are a pair: only where a seed is known to draw the same in both.

A run's seed draws the initial classifier and adapters, the order of the images, their flips and dropout, by fixed rules
of this program. Two runs of one seed share these draws when program, weights of the backbone, data, training images,
method and batch size are the same; then their difference is free of them, and pairing is right whatever else is
compared (epochs, precision, split that selects, code). Where one of these differs, or one side does not say it, the
number of a seed says nothing about the other study, and two independent means are compared. Runs that are the same run
in both studies are always paired.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.metrics import RUN_COLUMN
from heatdrift.questions.compare.result import StudyPairing
from heatdrift.run_facts import fact_title
from heatdrift.wording import counted

# what must be the same for a seed to draw the same -> the factor of the cell that the words name
DRAWN_BY: Final = {
    "origin": None,
    "backbone": None,
    "backbone_sha256": None,
    "data_sha256": "dataset",
    "split_sha256": "dataset",
    "n_train": "dataset",
    "method_spec": "method",
    "batch_size": None,
}
_TIMES: Final = ("started_at", "finished_at", "wall_s")


def pairing_of_cells(sides: Sequence[pl.DataFrame], common: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return the common cells with `paired` (bool) and the names of facts that are `different` and `unknown` (lists).

    Parameters
    ----------
    sides : finished runs of both studies in the common cells.
    """
    found = common
    for number, side in enumerate(sides):
        stated = side.group_by(key).agg(
            *(
                (pl.col(name) if name in side.columns else pl.lit(None, dtype=pl.String))
                .cast(pl.String)
                .unique()
                .sort(nulls_last=False)
                .alias(f"{name}:{number}")
                for name in DRAWN_BY
            )
        )
        found = found.join(stated, on=key, how="left")
    unknown = {
        name: pl.any_horizontal(
            *(pl.col(f"{name}:{number}").list.contains(None, nulls_equal=True) for number in (0, 1))
        )
        for name in DRAWN_BY
    }
    same = {
        name: (pl.col(f"{name}:0") == pl.col(f"{name}:1")) & (pl.col(f"{name}:0").list.len() == 1) for name in DRAWN_BY
    }
    named = {
        "unknown": [pl.when(test).then(pl.lit(name)) for name, test in unknown.items()],
        "different": [pl.when(~test & ~unknown[name]).then(pl.lit(name)) for name, test in same.items()],
    }
    lists = {column: pl.concat_list(parts).list.drop_nulls() for column, parts in named.items()}
    repeated = same_runs(sides, key).select(key).unique().with_columns(repeated=pl.lit(value=True))
    return (
        found.with_columns(**lists)
        .join(repeated, on=key, how="left")
        .with_columns(
            paired=(pl.col("unknown").list.len() + pl.col("different").list.len() == 0)
            | pl.col("repeated").fill_null(value=False)
        )
        .select(*key, "paired", "different", "unknown")
        .sort(key)
    )


def same_runs(sides: Sequence[pl.DataFrame], key: Sequence[str]) -> pl.DataFrame:
    """Return cell and seed of runs that are one run in both studies: same cell id, results and times."""
    a, b = sides
    if not ("cell_id" in a.columns and "cell_id" in b.columns):
        return a.clear().select(*key, "seed")
    held = [name for name in (*RUN_COLUMN, *_TIMES) if name in a.columns and name in b.columns]
    columns = list(dict.fromkeys([*key, "seed", "cell_id", *held]))
    both = a.select(columns).join(b.select(columns), on=[*key, "seed"], how="inner", suffix=":b")
    alike = [pl.col(name).eq_missing(pl.col(f"{name}:b")) for name in ("cell_id", *held) if f"{name}:b" in both.columns]
    return both.filter(pl.all_horizontal(alike)).select(*key, "seed")


def pairing_rows(cells: pl.DataFrame, sides: Sequence[pl.DataFrame], key: Sequence[str]) -> tuple[StudyPairing, ...]:
    """Group the cells by whether seeds were paired and why: paired ones first, then most cells first.

    Cells whose seeds draw the same but of which the studies ran different ones have no pair: they are not paired.
    """
    keyed = [side.select(*key, "seed") for side in sides]
    seeds = keyed[0].join(keyed[1], on=[*key, "seed"], how="inner").group_by(key).agg(n_seeds=pl.len())
    joined = cells.join(seeds, on=key, how="left").with_columns(pl.col("n_seeds").fill_null(0))
    joined = joined.with_columns(apart=pl.col("paired") & (pl.col("n_seeds") == 0))
    rows = []
    for (could, apart, *_), group in joined.group_by("paired", "apart", "different", "unknown", maintain_order=True):
        paired = bool(could) and not apart
        n_pairs = int(group["n_seeds"].sum()) if paired else 0
        why = "the studies share no seed there" if apart else _why(group)
        where = f"{group.height} of {counted(cells.height, 'cell')}"
        if paired:
            sentence = f"Paired by seed in {where} ({counted(n_pairs, 'pair')}): {why}."
        else:
            sentence = f"Not paired by seed in {where}, but two independent means: {why}."
        rows.append(StudyPairing(paired=paired, why=why, sentence=sentence, n_cells=group.height, n_pairs=n_pairs))
    return tuple(sorted(rows, key=lambda row: (not row.paired, -row.n_cells, row.why)))


def _why(group: pl.DataFrame) -> str:
    """Return why the runs of cells are paired or not; all have the same facts."""
    different, unknown = group["different"][0].to_list(), group["unknown"][0].to_list()
    if group["paired"][0]:
        if unknown:
            return "both studies hold the same runs"
        return "same backbone, data, split, method and batch size, so that a seed draws the same in both"
    parts = []
    for names, verb in ((different, "different"), (unknown, "not known on one side at least")):
        if names:
            parts.append(f"{', '.join(_words(name, group) for name in names)}: {verb}")
    return "; ".join(parts)


def _words(name: str, group: pl.DataFrame) -> str:
    words = fact_title(name)
    factor = DRAWN_BY[name]
    if factor is None:
        return words
    levels = group[factor].unique().sort().to_list()
    more = [] if len(levels) <= 4 else [f"{len(levels) - 4} more"]
    return f"{words} of {' and '.join([*levels[:4], *more])}"
