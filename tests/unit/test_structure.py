"""The rules of the tree hold for the package, and each is broken by what it forbids."""

import inspect
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path

import pytest
import structure_rules as rules

import heatdrift
from heatdrift.metrics import PROBES
from heatdrift.questions import QUESTIONS

PACKAGE = Path(heatdrift.__file__).parent


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rules(rule):
    assert list(rule(PACKAGE)) == [], rule.__doc__


@pytest.mark.parametrize(
    ("rule", "file", "text", "words"),
    [
        (rules.sibling_stages, "plan/x.py", "from heatdrift.data import sources", "no sibling stage"),
        (rules.sibling_stages, "questions/q/analysis.py", "import heatdrift.report.blocks", "no sibling stage"),
        (rules.question_files, "questions/q/__init__.py", "QUESTION = 1", "q lacks result.py, analysis.py"),
        (rules.question_files, "questions/q/__init__.py", "QUESTION = f(place=1)", "section.py"),
        (rules.other_questions, "questions/q/analysis.py", "from heatdrift.questions.dose import x", "imports another"),
        (rules.named_questions, "report/x.py", "from heatdrift.questions.dose.result import x", "through the registry"),
        (rules.arrays_only, "stats/x.py", "import polars", "stats takes arrays"),
        (rules.arrays_only, "stats/x.py", "from heatdrift.metrics import PROBES", "stats takes arrays"),
        (rules.decoder_tuples, "plan/x.py", "try: f()\nexcept (A.Error, msgspec.DecodeError): g()", "decoding"),
        (rules.decoder_tuples, "data/x.py", "FAULTS = (ValueError, UnicodeDecodeError)", "use heatdrift.decoding"),
        (rules.long_modules, "plan/x.py", "\n" * 401, "no module is longer"),
    ],
)  # fmt: skip
def test_what_a_rule_forbids_is_found_and_named(rule, file, text, words, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    (path.parent / "__init__.py").touch()
    path.write_text(text, encoding="utf-8")
    (problem, *_) = rule(tmp_path)
    assert words in problem


def exits_with_none_of(modules: tuple[str, ...], code: str) -> bool:
    check = f"import importlib, sys\n{code}\nsys.exit(', '.join(m for m in {modules!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", check], check=False, capture_output=True, text=True)
    return done.returncode == 0 and not done.stderr.strip()


def test_answers_are_computed_without_charts_and_without_torch():
    names = [
        f"heatdrift.questions.{path.parent.name}.{path.stem}"
        for path in sorted(PACKAGE.glob("questions/*/*.py"))
        if path.stem in rules.FILES
    ]
    assert len(names) >= 27
    code = f"for name in {names!r}: importlib.import_module(name)"
    assert exits_with_none_of(("altair", "vl_convert", "torch"), code)


def test_the_registry_is_light():
    assert exits_with_none_of(("polars", "scipy", "numpy", "typer", "altair"), "import heatdrift.questions")


def test_import_of_the_package_is_light():
    assert exits_with_none_of(("polars", "scipy", "numpy", "typer", "altair", "torch", "duckdb"), "import heatdrift")


def test_the_command_line_is_light():
    heavy = ("polars", "scipy", "numpy", "altair", "torch", "duckdb", "importlib.metadata")
    assert exits_with_none_of(heavy, "import heatdrift.cli.main")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_what_a_question_declares_is_what_its_analysis_takes(question):
    module = import_module(f"heatdrift.questions.{question.name}.analysis")
    parameters = inspect.signature(getattr(module, question.name)).parameters
    for option in question.options:
        assert option.parameter in parameters, f"{question.name} has no parameter {option.parameter}"
        default = parameters[option.parameter].default
        assert default in (option.default, inspect.Parameter.empty), f"{question.name} {option.flag}: two defaults"
    assert len({option.name for option in question.options}) == len(question.options)
    frames = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(frames) == 1 + len(question.views) + bool(question.arrays)
    assert hasattr(heatdrift, question.name)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.place], ids=lambda question: question.name)
def test_a_section_takes_answers_of_its_own_question(question):
    section = import_module(f"heatdrift.questions.{question.name}.section")
    results = vars(import_module(f"heatdrift.questions.{question.name}.result"))
    for function, parameters in (
        (section.blocks, ["answers", "inp", "data"]),
        (section.headlines, ["answers", "data"]),
    ):
        assert list(inspect.signature(function).parameters) == parameters
        (answer,) = typing.get_args(typing.get_type_hints(function)["answers"])
        assert answer in results.values()
        assert {"study", "method", "findings", "left_out", "caveats"} <= set(answer.__struct_fields__)


def test_a_probe_has_a_unit_a_title_and_a_definition():
    for probe in PROBES:
        assert probe.unit, f"probe {probe.name} has no unit: a number travels with its unit"
        assert probe.title, f"probe {probe.name} has no title"
        assert probe.definition, f"probe {probe.name} has no definition"
