"""The public names: offered in one order, found by type checkers, each with an example that runs on the mini study."""

import ast
import doctest
import inspect
from pathlib import Path

import pytest

import heatdrift
from heatdrift.cli.python_page import python_page
from heatdrift.questions import QUESTIONS

SOURCE = Path(heatdrift.__file__)
DOCUMENTED = sorted(set(heatdrift.__all__) - {"__version__"})


def typed_names():
    """Public name -> module, as the block for type checkers imports them."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_what_is_offered_is_what_type_checkers_and_dir_see():
    assert heatdrift.__all__ == sorted(heatdrift.__all__)
    assert set(heatdrift.__all__) <= set(dir(heatdrift))
    expected = {
        name: f"heatdrift.{module}.{name}"
        for name, module in {
            **heatdrift._WHERE,
            **{old: place for old, (place, _) in heatdrift._EARLIER.items()},
        }.items()
    }
    assert typed_names() == expected
    assert set(heatdrift._WHERE) | {"__version__"} == set(heatdrift.__all__)


def test_every_question_is_public():
    assert {question.name for question in QUESTIONS} | {"compare"} <= set(heatdrift.__all__)


def test_earlier_names_still_work_and_name_their_successor():
    for name, (_, successor) in heatdrift._EARLIER.items():
        with pytest.warns(DeprecationWarning, match=f"use heatdrift.{successor}$"):
            assert callable(getattr(heatdrift, name))
        assert successor in heatdrift.__all__
        assert name not in heatdrift.__all__


def test_a_name_that_there_is_not_names_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'pared'; did you mean 'paired'\?"):
        heatdrift.pared  # noqa: B018 - asking is the test


def test_the_version_is_that_of_the_package():
    assert heatdrift.__version__[0].isdigit()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_parameters_and_results_are_annotated(name):
    public = getattr(heatdrift, name)
    functions = (
        [public]
        if inspect.isfunction(public)
        else [member for key, member in vars(public).items() if inspect.isfunction(member) and not key.startswith("_")]
    )
    for function in functions:
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, function
        for parameter in signature.parameters.values():
            assert parameter.name == "self" or parameter.annotation is not inspect.Parameter.empty, (
                function,
                parameter,
            )


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_example_of_a_name_gives_what_it_shows(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no store of the clone: the shipped study must be found
    for variable in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(variable, raising=False)
    public = getattr(heatdrift, name)
    text = inspect.getdoc(public)
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert len(example.examples) >= 2
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert result.failed == 0, "".join(said)


def test_a_model_can_be_asked_for_by_the_name_of_its_package():
    table = {"y": [1.0, 2.1, 1.4, 2.2, 0.9, 2.4], "a": ["u", "v"] * 3, "g": ["1", "1", "2", "2", "3", "3"]}
    formula = "y ~ a + (1 | g)"
    assert heatdrift.model(table, formula) == heatdrift.fit_model(table, formula)
    assert heatdrift.model.__name__ == "heatdrift.model"


def test_the_page_of_the_names_is_what_the_docstrings_say_and_the_same_in_every_process():
    page = SOURCE.parents[1] / "docs" / "python.md"
    text = page.read_text(encoding="utf-8")
    assert text == python_page()
    assert " at 0x" not in text
    assert all(f"\n### {name}\n" in text for name in DOCUMENTED)
