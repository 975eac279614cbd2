r"""A document's tables as LaTeX: booktabs rules, captions and labels, the same numbers as on the page.

The file is for ``\input``; it needs ``\usepackage{booktabs}`` and, for long tables, nothing else.
"""

import re
from collections.abc import Iterator
from typing import Final

from heatdrift.report.blocks import Choice, Figure, Section, Table
from heatdrift.report.document import Document

_SPECIAL: Final = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$",
    "→": r"$\to$", "Δ": r"$\Delta$", "ρ": r"$\rho$", "ε": r"$\varepsilon$", "≤": r"$\leq$", "≥": r"$\geq$",
    "<": r"$<$", ">": r"$>$", "|": r"$|$", "₁₀": r"$_{10}$", "\u00a0": "~", "\u2060": "", "…": r"\ldots{}",
    "√": r"$\surd$",
}  # fmt: skip
_PATTERN: Final = re.compile("|".join(map(re.escape, sorted(_SPECIAL, key=len, reverse=True))))


def document_latex(document: Document) -> str:
    """Return every table of the document, those of its figures too, in reading order; equal documents, equal text."""
    lines = [f"% Tables of {_comment(document.title)}, made by heatdrift. Needs \\usepackage{{booktabs}}.", ""]
    for section in document.sections:
        tables = list(_tables(section))
        if tables:
            lines += [f"% {_comment(section.title)}"]
        for number, table in enumerate(tables, start=1):
            lines += [latex_table(table, f"tab:{section.section_id}-{number}"), ""]
    return "\n".join(lines)


def latex_text(text: str) -> str:
    r"""Return plain text as LaTeX that shows it.

    >>> print(latex_text("95 % & p < 0.05"))
    95 \% \& p $<$ 0.05
    """
    return _PATTERN.sub(lambda found: _SPECIAL[found[0]], text)


def latex_table(table: Table, label: str) -> str:
    """Return one table: words flush left, numbers flush right."""
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    rows = [" & ".join(map(latex_text, row)) + r" \\" for row in table.rows]
    head = " & ".join(map(latex_text, table.head)) + r" \\"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{latex_text(table.caption + table.shown)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule", head, r"\midrule", *rows, r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )  # fmt: skip


def _tables(section: Section) -> Iterator[Table]:
    choices = [block for block in section.all_blocks if isinstance(block, Choice)]
    if choices:
        yield _choices(choices)
    for block in section.all_blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Figure):
            yield block.table


def _choices(choices: list[Choice]) -> Table:
    names = list(dict.fromkeys(name for choice in choices for name, _, _ in choice.numbers))
    rows = []
    for choice in choices:
        known = {name: f"{value} ({detail})" for name, value, detail in choice.numbers}
        rows.append((choice.place, choice.title, *(known.get(name, "–") for name in names), choice.verdict))
    head = ("data set", "choice", *names, "against the next")
    return Table(caption="What validation chooses", head=head, rows=tuple(rows), numeric=(False,) * len(head))


def _comment(text: str) -> str:
    return " ".join(text.split())
