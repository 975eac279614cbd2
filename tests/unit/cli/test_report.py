"""report and compare through the command line: formats beside each other, the index, errors before work."""

import json
from pathlib import Path

import pytest
from simulated_study import simulated_study
from typer.testing import CliRunner

from heatdrift.cli.compare import _distinct_ends
from heatdrift.cli.main import app
from heatdrift.cli.report import chosen_formats, target_file, write_formats
from heatdrift.errors import ReportError, StatsError, UnknownNameError
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.interaction.analysis import for_page, interaction
from heatdrift.questions.interaction.section import line_caveats
from heatdrift.report.blocks import Section
from heatdrift.report.document import Document
from heatdrift.report.formats import FORMATS, PageFormat
from heatdrift.report.index import PageFacts, index_entries


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def store(trained, tmp_path):
    """A copy of two really trained runs under this test's folder, made by import."""
    path = tmp_path / "runs" / "heatdrift.duckdb"
    assert call("import", trained, "--format", "heatdrift", "--store", path).exit_code == 0
    return path


@pytest.mark.parametrize(
    ("formats", "html", "out", "expected"),
    [
        (None, False, None, ("html",)),
        (None, True, None, ("html",)),
        ("md", False, None, ("md",)),
        ("md", True, None, ("html", "md")),
        (" MD, html ,md", False, None, ("html", "md")),
        (None, False, Path("x.md"), ("md",)),
        (None, True, Path("x.md"), ("html",)),
        (None, False, Path("folder.v2"), ("html",)),
    ],
)
def test_formats(formats, html, out, expected):
    assert chosen_formats(formats, html=html, out=out) == expected


def test_bad_formats_are_named(monkeypatch, tmp_path):
    with pytest.raises(UnknownNameError, match="format 'hmtl'"):
        chosen_formats("hmtl", html=False, out=None)
    with pytest.raises(ReportError, match="no format"):
        chosen_formats(",", html=False, out=None)
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportError, match="PDF needs Chromium"):
        chosen_formats("pdf", html=False, out=None)


def test_one_more_row_is_one_more_format_for_command_files_and_index(monkeypatch, tmp_path):
    def titled(document, path, pictures):
        path.write_text(document.title)
        return ("it has the title alone",)

    more = {**FORMATS, "txt": PageFormat(words="Plain text", write=titled)}
    for module in ("heatdrift.report.formats", "heatdrift.report.index"):
        monkeypatch.setattr(f"{module}.FORMATS", more)
    assert chosen_formats("txt,html", html=False, out=None) == ("html", "txt")
    facts = PageFacts(title="Small")
    section = Section(section_id="one", title="One", blocks=())
    document = Document(title="Small", description="", eyebrow="", sections=(section,), facts=facts)
    write_formats(document, ("html", "txt"), tmp_path / "small", png=False)
    assert (tmp_path / "small.txt").read_text() == "Small"
    (entry,) = index_entries(tmp_path)
    assert entry.other_formats == (("small.txt", "Plain text"),)


def test_target_is_a_file_name_or_a_folder():
    assert target_file(None, "demo") == Path("reports/demo")
    assert target_file(Path("out"), "demo") == Path("out/demo")
    assert target_file(Path("out/a.b.html"), "demo") == Path("out/a.b")
    assert target_file(Path("my.reports"), "demo") == Path("my.reports/demo")


def test_formats_stand_beside_each_other_and_the_index_lists_them(store, tmp_path):
    out = tmp_path / "out"
    result = call("report", "--format", "html,md", "--no-images", "--store", store, "--out", out)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "tiny.html", "tiny.md"]
    index = (out / "index.html").read_text(encoding="utf-8")
    assert 'href="tiny.html"' in index
    assert "2 finished runs" in index
    assert 'href="tiny.md">Markdown' in index
    assert (out / "tiny.md").read_text(encoding="utf-8").startswith("# tiny\n")


def test_the_name_of_the_index_is_refused_before_anything_is_written(store, tmp_path):
    result = call("report", "--store", store, "--out", tmp_path / "out" / "index.html")
    assert isinstance(result.exception, ReportError)
    assert not (tmp_path / "out").exists()


def test_two_stores_are_compared(store, trained, tmp_path):
    other = tmp_path / "other" / "again.duckdb"
    assert call("import", trained, "--format", "heatdrift", "--store", other, "--study", "again").exit_code == 0
    asked = ("compare", store, f"{other}:again", "--metric", "retention_pct")
    result = call(*asked, "--format", "json", "--html", "--out", tmp_path / "cmp.html")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)  # the path of the page is a note
    assert "cmp.html" in result.stderr
    assert (found["study_a"], found["study_b"], found["n_pairs"]) == ("tiny", "again", 2)
    assert {row["difference"] for row in found["rows"]} == {0.0}
    assert found["missing_a"] == found["missing_b"] == []
    assert "tiny against again" in (tmp_path / "cmp.html").read_text(encoding="utf-8")
    assert call(*asked, "--format", "csv").stdout.startswith("metric,unit,backbone,")
    said = call(*asked).stdout
    assert found["n_same_runs"] == 2
    assert (
        -1
        < said.index("are the same runs")
        < said.index("Paired by seed")
        < said.index("is the same in tiny and again")
    )


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        ("/a/one/heatdrift.duckdb", "/b/two/heatdrift.duckdb", ("one", "two")),
        ("/a/runs/heatdrift.duckdb", "/b/runs/heatdrift.duckdb", ("a", "b")),
        ("/a/old.duckdb", "/a/new.duckdb", ("old", "new")),
        ("/heatdrift.duckdb", "/a/heatdrift.duckdb", ("/", "a")),
    ],
)
def test_studies_of_one_name_are_told_apart_by_one_part_of_their_paths(first, second, ends):
    assert _distinct_ends(Path(first), Path(second)) == ends


def test_a_study_is_not_compared_with_itself_or_with_none(store):
    assert isinstance(call("compare", "tiny", store, "--store", store).exception, StatsError)
    assert isinstance(call("compare", "tiny", "other", "--store", store).exception, UnknownNameError)
    assert isinstance(
        call("compare", store, "tiny", "--backbone", "none", "--store", store).exception, StatsError | UnknownNameError
    )


def test_a_grid_too_large_for_a_factor_is_modelled_with_a_line_and_says_so(monkeypatch):
    study, notes = simulated_study(), []
    rows = StudyRuns(
        runs=study.runs, epochs=study.epochs, layers=study.layers, heads=study.heads, metrics=("retention_pct",),
        note=notes.append,
    )  # fmt: skip
    (_, ask), *_ = for_page(rows)
    monkeypatch.setattr("heatdrift.questions.interaction.build.LARGEST_DESIGN", 11)
    result = ask()
    assert result.lr_as == "linear"
    assert "12 coefficients" in notes[0]
    (said,) = line_caveats(result)
    assert "straight line" in said
    assert "12 coefficients, one per cell" in said
    assert any(check.name == "lack_of_fit" for check in result.checks)

    monkeypatch.setattr("heatdrift.questions.interaction.build.LARGEST_DESIGN", 7)
    with pytest.raises(StatsError, match=r"12 coefficients.*with the learning rate as a line: .* 8 coefficients"):
        ask()


def test_differences_averaged_over_learning_rates_do_not_rest_on_the_line():
    runs = simulated_study().runs
    as_factor = interaction(runs, metric="retention_pct")
    as_line = interaction(runs, metric="retention_pct", lr_as="linear")
    assert line_caveats(as_factor) == []
    for one, other in zip(as_factor.method_effects, as_line.method_effects, strict=True):
        assert other.estimate == pytest.approx(one.estimate, rel=1e-9)
        assert other.p == pytest.approx(one.p, rel=1e-6)


def test_a_report_can_be_a_part_for_print_and_open_itself(store, trained, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or True)
    asked = ("report", "--format", "html,latex", "--template", "talk", "--figures", "svg", "--width", "single")
    result = call(*asked, "--open", "--no-images", "--out", tmp_path / "out", "--store", store)
    assert result.exception is None
    said = result.stdout
    (page,) = (path for path in (tmp_path / "out").glob("*.html") if path.name != "index.html")
    assert opened == [page.resolve().as_uri()]
    assert page.with_suffix(".tex").exists()
    assert "fig-performance.svg" in said
    assert 'id="provenance"' not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--template", "papre"), "paper"),
        (("--figures", "svgg"), "svg"),
        (("--figures", "svg", "--width", "doubel"), "double"),
        (("--figures", "svg", "--width", "3"), "30 to 400"),
        (("--section", "frontierr"), "frontier"),
    ],
)
def test_a_wrong_part_or_width_is_a_clear_error(store, trained, tmp_path, options, said):
    result = call("report", *options, "--no-images", "--out", tmp_path / "out", "--store", store)
    assert result.exit_code != 0
    assert said in f"{result.exception} {getattr(result.exception, 'hint', '')}"
    assert not (tmp_path / "out").exists()
