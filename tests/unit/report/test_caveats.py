from dataclasses import replace

import msgspec
import polars as pl

from heatdrift.questions.base import Check
from heatdrift.report import ReportInput
from heatdrift.report.caveats import (
    SELECTION,
    SINGULAR,
    selected_on,
    selection_sentences,
    singular_caveats,
    study_caveats,
)


def test_what_a_run_says_of_its_selection_goes_before_what_its_protocol_implies(study):
    runs = study.runs.with_columns(select_on=pl.lit("test"))
    assert selected_on(replace(study, runs=runs)) == {"test"}
    assert selected_on(study) == {"val"}


def test_an_unknown_protocol_is_not_guessed(study):
    inp = replace(study, runs=study.runs.with_columns(protocol=pl.lit("own")))
    assert selected_on(inp) == {None}
    assert selection_sentences(inp) == ["Not every run says on which split its epoch was selected."]


def test_selection_on_test_is_a_caveat_of_the_study(study):
    inp = replace(study, runs=study.runs.with_columns(protocol=pl.lit("preprint")))
    assert study_caveats(inp) == [SELECTION["test"]]
    assert study_caveats(study) == []


def test_a_singular_fit_is_explained_once_by_its_own_check(study):
    result = study.interactions[0]
    check = Check(name="singular", flag=True, values={}, sentence="The variance of seed is zero.")
    assert singular_caveats(result) == [SINGULAR]
    assert singular_caveats(msgspec.structs.replace(result, checks=(check,))) == [check.sentence]
    assert singular_caveats(msgspec.structs.replace(result, singular=False)) == []


def test_a_study_without_runs_has_nothing_to_warn_of():
    assert study_caveats(ReportInput(study="nothing")) == []
    assert selection_sentences(ReportInput(study="nothing")) == []
