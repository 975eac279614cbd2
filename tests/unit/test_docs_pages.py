"""The hand-written pages: one for every question with the same headings, links that lead on, short lines, words."""

import re
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from heatdrift.cli.docs import pages as generated_by_command
from heatdrift.questions import QUESTIONS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = {*generated_by_command(), "dependencies.md", *(path.name for path in DOCS.glob("calibration*.md"))}
AS_THEY_ARE = {"log.md"}  # a dated log, whose entries stay
PAGES = {str(path.relative_to(ROOT)): path for path in (*sorted(DOCS.rglob("*.md")), ROOT / "README.md")}
WRITTEN = {name: path for name, path in PAGES.items() if path.name not in GENERATED | AS_THEY_ARE}
ASKED = {path.stem: path for path in sorted((DOCS / "questions").glob("*.md")) if path.stem != "index"}
HEADINGS = (
    "What it asks",
    "How it is computed",
    "When not to trust it",
    "Example output",
    "JSON keys that scripts rely on",
    "Measured sizes",
)
LONGEST = 120
WORDS = re.compile(r"\b(mend|mends|mended|hears of|cannot bear)\b", re.IGNORECASE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def sections(path):
    """Heading of the second level -> text under it."""
    parts = re.split(r"^## (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(path):
    """Anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(path):
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def test_every_question_compare_and_model_have_a_page_and_the_index_names_it():
    assert set(ASKED) == {question.name for question in QUESTIONS} | {"compare", "model"}
    index = (DOCS / "questions" / "index.md").read_text(encoding="utf-8")
    assert {name for name in ASKED if f"({name}.md)" not in index} == set()


@pytest.mark.parametrize("name", ASKED)
def test_a_page_has_the_headings_in_their_order_and_something_under_each(name):
    found = sections(ASKED[name])
    assert tuple(found) == HEADINGS
    assert all(text.strip() for text in found.values())


@pytest.mark.parametrize("name", ASKED)
def test_a_named_json_key_is_a_field_of_the_result(name):
    module = import_module(f"heatdrift.questions.{name}.result")
    structs = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ]
    fields = {field for struct in structs for field in struct.__struct_fields__}
    table = [line for line in sections(ASKED[name])["JSON keys that scripts rely on"].splitlines() if line[:1] == "|"]
    keys = set(re.findall(r"`(\w+)`", "\n".join(table)))
    assert len(keys) >= 10
    assert keys - fields == set()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    assert list(broken_links(PAGES[name])) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One head\n[a](page.md#one-head) [b](page.md#two) [c](other.md) [d](#one-head) [e](https://x.org)\n"
    )
    assert list(broken_links(page)) == ["page.md#two", "other.md"]


@pytest.mark.parametrize("name", WRITTEN)
def test_lines_are_short(name):
    lines = WRITTEN[name].read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > LONGEST] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_words_are_plain(name):
    assert WORDS.findall(WRITTEN[name].read_text(encoding="utf-8")) == []
