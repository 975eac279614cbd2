"""What ``heatdrift import`` prints: what was found before it is written, then what was done."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.cli.output import note, say
from heatdrift.wording import counted, listed, shortened

if TYPE_CHECKING:
    from heatdrift.store.importers.outcome import Audit, ImportReport
    from heatdrift.store.scan import Problem

_SHOWN: Final = 10  # sentences about single runs on a terminal
_LEVELS: Final = 8  # levels of a key


def show_audit(report: "ImportReport") -> None:
    """Print what was found in the source, and what will be left out."""
    if report.audit is not None:
        for line in _audit(report.audit):
            say(line)
    for said in (*(report.audit.notes if report.audit else ()), *report.notes):
        note(said)
    show_problems(report.problems)
    if report.duplicates:
        note(f"{counted(len(report.duplicates), 'run')} with different results in the source:")
        for said in report.duplicates[:_SHOWN]:
            note(f"  {said}")
        if len(report.duplicates) > _SHOWN:
            note(f"  and {len(report.duplicates) - _SHOWN} more; --output json lists all")
    if report.ignored:
        names = ", ".join(map(shortened, report.ignored))
        note(f"ignored columns: {names} (--map OURS=THEIRS takes one in, --factor COLUMN keeps a setting)")


def show_counts(report: "ImportReport") -> None:
    """Print how many runs were written, were there, and were left out; of a dry run, would be."""
    counts = [f"{report.added} {'imported' if report.written else 'to import'}", f"{report.unchanged} there already"]
    counts += [f"{report.doubled} repeated in the file"] if report.doubled else []
    counts += [f"{report.kept} kept as the store has them"] if report.kept else []
    counts.append(f"{len(report.problems)} left out")
    counts[0] = counts[0] if report.what == "run" else counts[0].replace(" ", f" {report.what}s ", 1)
    studies = f"study {', '.join(report.studies)}: " if report.studies else ""
    say(f"{studies}{', '.join(counts)}{'' if report.written else ' (dry run: nothing was written)'}")
    if report.images:
        say(f"per-image results of {counted(report.images, 'run')}: heatdrift stats images")


def show_problems(problems: Iterable["Problem"]) -> None:
    """Print what is left out and why; rows that are left out for one reason are one line."""
    grouped: dict[tuple[Path, str], list[str]] = {}
    for problem in problems:
        label, colon, why = problem.reason.partition(": ")
        row = label.removeprefix("row ") if colon and label.startswith("row ") else ""
        grouped.setdefault((problem.path, why if row else problem.reason), []).append(row)
    for (path, why), rows in list(grouped.items())[: 2 * _SHOWN]:
        named = [row for row in rows if row]
        place = f"{'row' if len(named) == 1 else 'rows'} {_ranges(named)}: " if named else ""
        note(f"left out: {path}: {place}{why}")
    if len(grouped) > 2 * _SHOWN:
        note(f"left out for {len(grouped) - 2 * _SHOWN} other reasons: --output json lists all")


def _audit(audit: "Audit") -> Iterable[str]:
    yield f"{counted(audit.rows, 'row')}{f' ({audit.read_as})' if audit.read_as else ''}"
    for name in audit.guessed:
        yield f"guessed: {name} is {audit.columns[name]} (--map {name}=COLUMN says otherwise)"
    taken = [
        f"{ours} = {theirs}" for ours, theirs in audit.columns.items() if theirs != ours and ours not in audit.guessed
    ]
    if taken:
        yield f"taken from: {', '.join(taken)}"
    for name, levels in audit.keys.items():
        more = f", ... ({len(levels)})" if len(levels) > _LEVELS else ""
        yield f"{name}: {', '.join(map(shortened, levels[:_LEVELS]))}{more}"
    for found in audit.measured:
        unit = f" {found.unit}" if found.unit else ""
        yield f"{found.name}: {found.low:g} to {found.high:g}{unit}, in {found.n} of {counted(audit.rows, 'row')}"
    if audit.factors:
        apart = f"; runs are told apart by {listed(audit.telling)}" if audit.telling else ""
        yield f"own factors: {', '.join(map(shortened, audit.factors))}{apart} (--ignore COLUMN leaves one out)"
    if audit.further:
        names = ", ".join(map(shortened, audit.further))
        yield f"further metrics: {names} (--metric further.{audit.further[0]}; --ignore COLUMN leaves one out)"


def _ranges(rows: Sequence[str]) -> str:
    """Return `2 to 5, 9 and 11`; what is no number stays as it is."""
    numbers = [int(row) for row in rows if row.isdecimal()]
    parts, i = [row for row in rows if not row.isdecimal()], 0
    while i < len(numbers):
        j = i
        while j + 1 < len(numbers) and numbers[j + 1] == numbers[j] + 1:
            j += 1
        parts.append(str(numbers[i]) if i == j else f"{numbers[i]} to {numbers[j]}")
        i = j + 1
    return listed(parts if len(parts) <= _SHOWN else [*parts[:_SHOWN], f"{len(parts) - _SHOWN} more"])
