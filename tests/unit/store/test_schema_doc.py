from pathlib import Path

from heatdrift.store.schema_doc import schema_markdown


def test_the_committed_page_is_what_the_code_makes():
    page = Path(__file__).resolve().parents[3] / "docs" / "schema.md"
    assert page.read_text(encoding="utf-8") == schema_markdown(), "docs/schema.md is out of date: run make docs"


def test_no_cell_of_a_table_is_empty_by_mistake():
    for line in schema_markdown().splitlines():
        if line.startswith("| ") and line.count(" | ") == 4:
            name, kind, _, meaning, null = line.strip("|").split(" | ")
            assert name.strip()
            assert kind.strip()
            assert meaning.strip()
            assert null.strip()
