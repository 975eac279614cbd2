"""Single images on a page: differences over seeds and over seeds and images, what limits them, forgotten classes."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.images import QUESTION
from heatdrift.questions.images.class_slopes import slopes_figure
from heatdrift.questions.images.comparisons import BASE
from heatdrift.questions.images.findings import limit
from heatdrift.questions.images.result import ClassRow, ImagesResult
from heatdrift.questions.images.variance import variance_figure
from heatdrift.report.blocks import Block, Finding, Note, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = QUESTION.command
KINDS: Final = ("over seeds", "over seeds and images")
DRAWN: Final = 16  # classes in one panel; the table has all


def blocks(answers: Sequence[ImagesResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return differences, what limits them, retention, and the classes where any run kept them."""
    found: list[Block] = []
    for result in answers:
        found += [_differences(result, data), *_limits(result)]
        found += figure_or_note("what varies", partial(variance_figure, result, data), data.datasets)
        found.append(_retention(result))
        found += _classes(result, data)
        found += figure_or_note("forgotten classes", partial(slopes_figure, result, data), data.datasets)
        found += [*_confusions(result), *_single_runs(result)]
        found += [*in_words(data.family, [result], "images"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[ImagesResult], data: StudyData) -> list[Finding]:
    """Return what holds of these images."""
    return headlines_of("The same images under every run", "images", answers, COMMAND, data.family)


def _title(method_a: str, method_b: str) -> str:
    if method_b == BASE:
        return f"{wording.method_title(method_a)} − base"
    return wording.method_difference(method_a, method_b)


def _differences(result: ImagesResult, data: StudyData) -> Block:
    only = result.datasets[0] if len(result.datasets) == 1 else "all data sets"
    rows = pl.DataFrame(
        [
            {
                "panel": _title(r.method_a, r.method_b), "row": r.dataset or only, "kind": kind, "estimate": r.estimate,
                "ci_low": low, "ci_high": high, "n": max(r.n_seeds_a, r.n_seeds_b), "images": r.n_images, "p": p,
            }
            for r in result.rows
            for kind, low, high, p in (
                (KINDS[0], r.ci_low, r.ci_high, r.p),
                (KINDS[1], r.both_low, r.both_high, r.both_p),
            )
        ],
        infer_schema_length=None,
    )  # fmt: skip
    level = level_words(result.conf_level)
    forest = Forest(
        rows=rows,
        axes={panel: (panel, f"(points of {result.transfer_set}), {level}") for panel in dict.fromkeys(rows["panel"])},
        kinds=KINDS,
        side_by_side=True,
        n_means="seeds",
        extras={"images": "images", "p": "p"},
    )
    table = _table(result, only, level)
    figure = forest_figure(
        forest, data, "fig-images",
        title=f"Zero-shot accuracy on {result.n_images:,} images of {result.transfer_set}",
        caption="Over seeds: what other seeds would give on these images. Over seeds and images: on other images of "
        "their kind, too. Every learning rate has the same weight.",
        alternative="Differences with two intervals each, one panel per comparison, one row per data set.",
        table=table,
    )  # fmt: skip
    return figure or table


def _table(result: ImagesResult, only: str, level: str) -> Table:
    heads = ("difference", "data set", "points", f"{level}, seeds", "t", "df", "p",
             wording.holm_head(c.p for c in result.claims).replace("row", "claim"), f"{level}, seeds and images",
             "p (both)", f"{level}, bootstrap of both", "n (seeds)")  # fmt: skip
    rows = [
        (_title(r.method_a, r.method_b), r.dataset or only, wording.signed(r.estimate),
         wording.interval(r.ci_low, r.ci_high), wording.number(r.t), wording.degrees(r.df), wording.p_value(r.p),
         wording.p_value(r.p_holm), wording.interval(r.both_low, r.both_high), wording.p_value(r.both_p),
         wording.interval(r.bootstrap_low, r.bootstrap_high),
         str(r.n_seeds_a) if r.method_b == BASE else f"{r.n_seeds_a}, {r.n_seeds_b}")
        for r in result.rows
    ]  # fmt: skip
    return text_table(
        "Differences on the same images; the test on seeds is the headline",
        heads,
        rows,
        text_columns=2,
        command=f"{COMMAND} --format json",
        p=[r.p_holm for r in result.rows],
    )


def _limits(result: ImagesResult) -> list[Block]:
    return [Note(text=limit(row)) for row in result.split if row.dataset is None]


def _retention(result: ImagesResult) -> Table:
    level = level_words(result.conf_level)
    heads = ("data set", "method", "lr", "base (%)", "adapted (%)", "retention (%)", f"{level}, seeds",
             f"{level}, images", f"{level}, both", "n (seeds)")  # fmt: skip
    rows = [
        (r.dataset, wording.method_title(r.method), wording.learning_rate(r.lr), wording.number(r.base_pct),
         wording.number(r.adapted_pct), wording.number(r.retention_pct), wording.interval(r.seeds_low, r.seeds_high),
         wording.interval(r.images_low, r.images_high), wording.interval(r.both_low, r.both_high), str(r.n_seeds))
        for r in result.retention
    ]  # fmt: skip
    caption = "Retention, base and adapted on the same images: over seeds, over images, over both"
    return text_table(caption, heads, rows, text_columns=3, command=f"{COMMAND} --format json")


def _classes(result: ImagesResult, data: StudyData) -> list[Block]:
    if not result.classes:
        return []
    level = level_words(result.conf_level)
    panels = {of: _most_certain(result, of) for of in dict.fromkeys(row.of for row in result.classes)}
    rows = pl.DataFrame(
        [
            {
                "panel": _of(of), "row": r.name, "kind": "class", "estimate": r.change, "ci_low": r.ci_low,
                "ci_high": r.ci_high, "n": r.n_images, "p_bh": r.p_bh,
            }
            for of, found in panels.items()
            for r in found
        ],
        infer_schema_length=None,
    )  # fmt: skip
    forest = Forest(
        rows=rows,
        axes={_of(of): (_of(of), f"(points), {level}") for of in panels},
        kinds=("class",),
        n_means="images",
        extras={"p_bh": "p (Benjamini-Hochberg)"},
    )
    table = _class_table(result, level)
    figure = forest_figure(
        forest, data, "fig-images-classes",
        title=f"Classes of {result.transfer_set} that changed most clearly",
        caption=f"Up to {DRAWN} of {result.n_classes} classes with the smallest p, over seeds and the class's images. "
        "Chosen for their size, they are overstated.",
        alternative="Change of single classes with intervals, one panel per method and one for their difference.",
        table=table,
    )  # fmt: skip
    return [figure or table]


def _of(of: str) -> str:
    first, _, second = of.partition(" - ")
    return _title(first, second or BASE)


def _most_certain(result: ImagesResult, of: str) -> list[ClassRow]:
    found = sorted((row for row in result.classes if row.of == of and row.p == row.p), key=lambda row: row.p)
    return sorted(found[:DRAWN], key=lambda row: row.change)


def _class_table(result: ImagesResult, level: str) -> Table:
    heads = ("difference", "class", "images", "base (%)", "points", level, "p", "p (Benjamini-Hochberg)")
    rows = [
        (_of(r.of), r.name, str(r.n_images), wording.number(r.base_pct), wording.signed(r.change),
         wording.interval(r.ci_low, r.ci_high), wording.p_value(r.p), wording.p_value(r.p_bh))
        for r in result.classes
    ]  # fmt: skip
    return text_table(
        "Zero-shot accuracy of single classes",
        heads,
        rows,
        text_columns=2,
        command=f"{COMMAND} --format json",
        p=[r.p for r in result.classes],
    )


def _confusions(result: ImagesResult) -> list[Block]:
    if not result.confusions:
        return []
    heads = ("method", "class", "taken for", "base (%)", "gained (points)", "seeds from", "to", "also of the other")
    rows = [
        (wording.method_title(r.method), r.true, r.predicted, wording.number(r.base_pct), wording.signed(r.gain),
         wording.signed(r.low), wording.signed(r.high), "yes" if r.shared else "no")
        for r in result.confusions
    ]  # fmt: skip
    caption = "Confusions that grew most over base, in % of the images of the class: a description, not a test"
    return [text_table(caption, heads, rows, text_columns=3, command=f"{COMMAND} --format json")]


def _single_runs(result: ImagesResult) -> list[Block]:
    heads = ("compared", "data set", "pairs of models", "first better", "second better", "p below .05 (Holm)")
    groups = dict.fromkeys((r.method_a, r.method_b, r.dataset) for r in result.mcnemar)
    rows = []
    for a, b, dataset in groups:
        own = [r for r in result.mcnemar if (r.method_a, r.method_b, r.dataset) == (a, b, dataset)]
        better = [sum(r.only_a > r.only_b for r in own), sum(r.only_a < r.only_b for r in own)]
        holds = sum(r.p_holm < 0.05 for r in own)
        rows.append((_title(a, b), dataset, str(len(own)), *map(str, better), str(holds)))
    caption = "McNemar's exact test of single models: how many differ on these images, which says nothing of seeds"
    return [text_table(caption, heads, rows, text_columns=2, command=f"{COMMAND} --format json")]
