"""What every answer offers: text, frames, LaTeX, HTML, charts, figures for print; and what it refuses."""

import copy
import pickle
import re

import msgspec
import polars as pl
import pytest

import heatdrift
from heatdrift.api.store import Store
from heatdrift.errors import ReportError, UnknownNameError
from heatdrift.questions import QUESTIONS
from heatdrift.questions.presented import PresentedResult


@pytest.fixture(scope="module")
def answers():
    store = Store.shipped()
    runs, blocks, epochs = (store.view(name, study="mini") for name in ("runs", "layers", "epochs"))
    parts = runs.filter(pl.col("seed") < 15), runs.filter(pl.col("seed") > 15)
    return {
        "interaction": heatdrift.interaction(runs, metric="retention_pct"),
        "paired": heatdrift.paired(runs),
        "images": heatdrift.images(runs, store.hits("mini"), bootstrap=100, logistic=False),
        "best": heatdrift.best(runs),
        "retention": heatdrift.retention(runs, margin=5.0),
        "dose": heatdrift.dose(runs),
        "correlation": heatdrift.correlation(runs, x="cka", y="retention_pct", bootstrap=100),
        "frontier": heatdrift.frontier(runs, bootstrap=100),
        "layers": heatdrift.layers(runs, blocks, metrics=["entropy"]),
        "predictors": heatdrift.predictors(runs, epochs, bootstrap=100),
        "factors": heatdrift.factors(runs, metric="retention_pct"),
        "power": heatdrift.power(runs, metric="retention_pct", seeds=5),
        "compare": heatdrift.compare(*parts, names=("a", "b")),
        "fit_model": heatdrift.fit_model(runs, "retention_pct ~ method + (1 | seed)"),
        "ask_all": heatdrift.ask_all("mini", store=store, dataset=["pets"]),
    }  # fmt: skip


NAMES = [*(question.name for question in QUESTIONS), "compare", "fit_model", "ask_all"]


def test_every_question_answers_with_what_is_offered(answers):
    assert set(answers) == set(NAMES)
    assert all(isinstance(answer, PresentedResult) for answer in answers.values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_short_and_names_the_tables(name, answers):
    answer = answers[name]
    first, *lines = str(answer).splitlines()
    assert first == type(answer).__name__
    assert repr(answer) == str(answer)
    assert lines[-1].startswith(f"to_frame(NAME): {answer.tables()[0]}")
    assert all(any(sentence in line for line in lines) for sentence in answer.findings)


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_the_rows_of_the_command_and_of_each_table(name, answers):
    answer = answers[name]
    assert answer.to_frame().equals(pl.DataFrame(answer.csv_rows(), infer_schema_length=None).fill_nan(None))
    for table in answer.tables():
        assert answer.to_frame(table).height == len(getattr(answer, table))
        assert answer.to_latex(table).count("\\\\") == len(getattr(answer, table)) + 1
    with pytest.raises(UnknownNameError, match="unknown table"):
        answer.to_frame("nothing of it")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_gets_escaped_html_without_scripts(name, answers):
    text = answers[name]._repr_html_()
    assert not re.search(r"<script|onclick|<style", text)
    assert text.count("<table>") == text.count("</table>") >= 1
    assert text.count("<div>") == text.count("</div>") == 1


def test_text_from_data_cannot_become_markup(answers):
    odd = msgspec.structs.replace(answers["dose"], findings=("<b>bold & bad</b>",))
    assert "&lt;b&gt;bold &amp; bad&lt;/b&gt;" in odd._repr_html_()


WITHOUT = {"ask_all", "power"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT))
def test_charts_are_the_figures_of_the_page_with_their_rows(name, answers):
    charts = answers[name].charts()
    assert charts
    for chart in charts.values():
        spec = chart.to_dict()
        assert spec["concat"]
        assert any(rows for rows in spec["datasets"].values())
    assert answers[name].chart().to_dict() == next(iter(charts.values())).to_dict()
    with pytest.raises(UnknownNameError, match="unknown chart"):
        answers[name].chart("nothing of it")


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_an_answer_without_a_picture_says_so(name, answers):
    with pytest.raises(ReportError, match="there is no chart") as refused:
        answers[name].chart()
    assert "to_frame()" in refused.value.hint


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_a_figure_for_print_has_the_width_of_a_column(suffix, answers, tmp_path):
    path = answers["retention"].write_chart(tmp_path / f"kept.{suffix}", width="single")
    content = path.read_bytes()
    if suffix == "svg":
        assert b'width="85mm"' in content[:300]
        assert b"<text" in content
    else:
        assert content.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("file", "options", "error"),
    [
        ("kept.jpg", {}, UnknownNameError),
        ("kept", {}, UnknownNameError),
        ("kept.svg", {"width": "singel"}, UnknownNameError),
        ("kept.svg", {"width": 5}, ReportError),
        ("kept.svg", {"name": "front"}, UnknownNameError),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused(file, options, error, answers, tmp_path):
    with pytest.raises(error):
        answers["retention"].write_chart(tmp_path / file, **options)
    assert list(tmp_path.iterdir()) == []


def test_the_frames_are_neither_encoded_nor_compared_and_survive_a_copy(answers):
    answer = answers["frontier"]
    bare = msgspec.structs.replace(answer)
    assert bare == answer
    assert msgspec.json.encode(bare) == msgspec.json.encode(answer)
    for made in (copy.copy(answer), pickle.loads(pickle.dumps(answer))):
        assert made == answer
        assert list(made.charts()) == list(answer.charts())


def test_columns_of_a_table_for_print_can_be_chosen(answers):
    text = answers["best"].to_latex(columns=["dataset", "difference"])
    assert "dataset & difference" in text
    with pytest.raises(UnknownNameError, match="unknown column 'diference'"):
        answers["best"].to_latex(columns=["diference"])
