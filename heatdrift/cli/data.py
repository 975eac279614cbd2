"""``heatdrift data check``: the pictures of a study, looked at before anything trains."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heatdrift.cli.fetch import FetchProgress
from heatdrift.cli.options import DataDirOption, Format, FormatOption
from heatdrift.cli.output import note, say, show_json, show_list, show_rows, show_table
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import DataError
from heatdrift.wording import counted

if TYPE_CHECKING:
    from heatdrift.train.data_check import CopyFound, DataCheck, SetFound

_PAIRS: Final = 8  # shown of each kind and place; json and csv have all


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(no_args_is_help=True, help="The pictures of a study.")
    group.command("check")(check)
    app.add_typer(group, name="data")


def check(
    study: Annotated[
        str | None, typer.Argument(help="Study: a built-in name or a .toml file. Default: heatdrift.toml's.")
    ] = None,
    data_dir: DataDirOption = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Sample crops as PNG. Default: reports/data-STUDY.png.")
    ] = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Decode all pictures of a study and say what is there: counts, sizes, duplicates, sample crops, prompts.

    Exit 2 if something would stop the training. Exact duplicates have the same pixels, near ones almost the same shapes
    and colours. csv: the duplicates alone.

    Example: `heatdrift data check demo`
    """
    from heatdrift.train.data_check import check_data

    work = Workspace.of(None)
    spec = work.study(study)
    folder = work.data_folder(spec, study, data_dir)
    with FetchProgress() as progress:
        found = check_data(spec, folder, picture=picture or Path("reports") / f"data-{spec.name}.png", report=progress)
    if fmt is Format.json:
        show_json(found)
    elif fmt is Format.csv:
        show_rows([{name: getattr(pair, name) for name in pair.__struct_fields__} for pair in found.copies], fmt)
    else:
        _show(found)
    for text in found.cautions:
        note(f"caution: {text}")
    if found.problems:
        raise DataError(
            f"study {spec.name} cannot train on these pictures:\n" + "\n".join(f"  {text}" for text in found.problems),
            hint="correct what is said above, then run the same command again",
        )


def _show(found: "DataCheck") -> None:
    say("sets")
    show_list([(one.name, _facts(one)) for one in found.sets])
    for dataset in dict.fromkeys(row.dataset for row in found.splits):
        rows = [row for row in found.splits if row.dataset == dataset]
        columns = ("train", "val", "probe", "test")
        counts = [tuple(getattr(row, name) for name in columns) for row in rows]
        say("")
        if len(set(counts)) == 1:
            each = ", ".join(f"{name} {n}" for name, n in zip(columns, counts[0], strict=True))
            say(f"splits of {dataset}, in each of its {len(rows)} classes: {each}")
        else:
            table = [(row.class_name, *count) for row, count in zip(rows, counts, strict=True)]
            show_table(("class", *columns), table, f"splits of {dataset}, pictures per class")
    if found.prompts:
        say("\nprompts")
        show_list(
            [(one.transfer_set, _prompts(one.first, len(one.class_names), len(one.templates))) for one in found.prompts]
        )
    say("\nduplicates")
    lines = list(_duplicates(found))
    show_list(lines or [("none", "neither exact nor near ones")])
    if found.picture:
        say(f"\nsample crops: {found.picture}")


def _facts(one: "SetFound") -> str:
    facts = [one.source] if one.source != one.name else []
    least, most = (end(one.classes, key=lambda c: c.n_images) for end in (min, max))
    each = f"{most.n_images} each"
    if least.n_images != most.n_images:
        each = f"{least.n_images} ({least.name}) to {most.n_images} ({most.name}) each"
    facts += [f"{one.n_images:,} pictures in {len(one.classes)} classes, {each}"]
    if one.smallest and one.largest:
        ends = dict.fromkeys(f"{width} x {height}" for width, height in (one.smallest, one.largest))
        facts += [" to ".join(ends) + f" pixels ({counted(one.n_sizes, 'size')})"]
    if one.unreadable:
        facts += [f"{counted(len(one.unreadable), 'picture does', 'pictures do')} not decode"]
    return "; ".join(facts)


def _prompts(first: tuple[str, ...], n_classes: int, n_templates: int) -> str:
    templates = f" x {n_templates} templates, averaged" if n_templates > 1 else ""
    return ", ".join(map(repr, first)) + f" ({n_classes} classes{templates})"


def _duplicates(found: "DataCheck") -> Iterator[tuple[str, str]]:
    """How many of each kind and place, and the first pairs of them."""
    groups: dict[tuple[str, str, str], list[CopyFound]] = {}
    for pair in found.copies:
        groups.setdefault((pair.kind, pair.set_a, pair.set_b), []).append(pair)
    for (kind, a, b), pairs in sorted(groups.items()):
        where = f"within {a}" if a == b else f"{a} and {b}"
        labels = sum(pair.two_labels for pair in pairs)
        said = counted(len(pairs), "pair") + (
            f", {labels} with two labels" if labels and _comparable(found, a, b) else ""
        )
        yield kind, f"{where}: {said}"
        for pair in pairs[:_PAIRS]:
            yield "", f"  {pair.picture_a} ({pair.class_a}) = {pair.picture_b} ({pair.class_b})"
        if len(pairs) > _PAIRS:
            yield "", f"  and {len(pairs) - _PAIRS} more (--format csv)"


def _comparable(found: "DataCheck", a: str, b: str) -> bool:
    """Whether the labels of two sets mean the same: sets of other classes always differ."""
    classes = {one.name: {c.name for c in one.classes} for one in found.sets}
    return classes[a] == classes[b]
