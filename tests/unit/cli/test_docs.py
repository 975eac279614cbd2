from pathlib import Path

import pytest

from heatdrift.cli.docs import pages

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", ["cli.md", "methods.md", "probes.md", "schema.md", "study.md"])
def test_generated_pages_are_what_the_code_would_write(name):
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


def test_every_command_has_help_with_an_example():
    import typer
    from typer.main import get_command

    from heatdrift.cli.main import app

    def leaves(command, name):
        children = getattr(command, "commands", {})
        if not children:
            yield name, command
        for child, sub in children.items():
            yield from leaves(sub, f"{name} {child}")

    assert isinstance(app, typer.Typer)
    missing = [
        name for name, command in leaves(get_command(app), "heatdrift") if "Example:" not in (command.help or "")
    ]
    assert missing == []
