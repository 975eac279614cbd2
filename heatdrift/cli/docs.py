"""Generated pages of docs/: ``python -m heatdrift.cli.docs docs`` writes them; a test fails if that changes one."""

import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from heatdrift.cli.python_page import python_page
from heatdrift.methods.docs_page import methods_page
from heatdrift.metrics import PROBES


def pages() -> dict[str, str]:
    """File name -> text of every generated page."""
    from heatdrift.plan.study_page import study_page
    from heatdrift.store.schema_doc import schema_markdown

    return {
        "cli.md": cli_page(),
        "methods.md": methods_page(),
        "probes.md": probes_page(),
        "python.md": python_page(),
        "schema.md": schema_markdown(),
        "study.md": study_page(),
    }


def cli_page() -> str:
    """Every command with its options, as Typer documents them."""
    from heatdrift.cli.main import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="heatdrift", title="Command line")
    return text.rstrip() + "\n"


def probes_page() -> str:
    """The probe table: names, units, definitions, and what is kept per block and head."""
    lines = [
        "# Probes",
        "",
        "Generated from `heatdrift/metrics.py`. `a` is the class token's attention over the N patches of one block,",
        "head and image, the class-to-class entry dropped and the rest renormalised. Values are means over images,",
        "heads and blocks, in this order; `*_last` is the last block alone. Drift of a probe with a base value:",
        "`delta_<name>_pct` = 100 (mean adapted - mean base) / mean base, a ratio of means.",
        "",
        "| name | unit | per block | per head | base value | definition |",
        "|---|---|---|---|---|---|",
    ]
    for probe in PROBES:
        flags = " | ".join("yes" if flag else "no" for flag in (probe.per_layer, probe.per_head, probe.has_base))
        lines.append(f"| `{probe.name}` | {probe.unit} | {flags} | {probe.definition} |")
    return "\n".join(lines) + "\n"


def write_pages(folder: Path) -> None:
    """Write all generated pages into `folder`."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
