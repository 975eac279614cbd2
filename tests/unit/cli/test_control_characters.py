"""No control character of a stranger's file reaches the terminal through the one place that prints."""

import re

import polars as pl
import pytest

from heatdrift.cli import output
from heatdrift.cli.options import Format

EVIL = "a\x1b[31m\x9b2J\x07\x7fb\x1b]0;title\x07"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.mark.parametrize(
    "show",
    [
        lambda: output.note(EVIL),
        lambda: output.say(EVIL),
        lambda: output.show_error(EVIL, EVIL),
        lambda: output.show_list([(EVIL, EVIL)]),
        lambda: output.show_table([EVIL], [[EVIL]], EVIL),
        lambda: output.show_frame(pl.DataFrame({EVIL: [EVIL]}), Format.table),
    ],
    ids=["note", "say", "error", "list", "table", "frame"],
)
def test_control_characters_are_written_out(show, capsys):
    show()
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "\\x1b" in text
    assert not RAW.search(text)


def test_line_breaks_and_tabs_stay():
    assert output.harmless("a\n\tb é") == "a\n\tb é"
