from dataclasses import replace

import msgspec
import polars as pl

from heatdrift.accuracy import selection_splits
from heatdrift.questions.answer import Check
from heatdrift.questions.interaction.section import SINGULAR, singular_caveats
from heatdrift.report import ReportInput
from heatdrift.report.caveats import (
    SELECTION,
    selection_sentences,
    study_caveats,
)


def test_what_a_run_says_of_its_selection_goes_before_what_its_protocol_implies(study):
    runs = study.runs.with_columns(select_on=pl.lit("test"))
    assert selection_splits(runs) == {"test"}
    assert selection_splits(study.runs) == {"val"}


def test_an_unknown_protocol_is_not_guessed(study):
    inp = replace(study, runs=study.runs.with_columns(protocol=pl.lit("own")))
    assert selection_splits(inp.runs) == {None}
    assert selection_sentences(inp) == ["Not every run says on which split its epoch was selected."]


def test_selection_on_test_is_a_caveat_of_the_study(study):
    inp = replace(study, runs=study.runs.with_columns(protocol=pl.lit("preprint")))
    assert study_caveats(inp) == [SELECTION["test"]]
    assert study_caveats(study) == []


def test_a_singular_fit_is_explained_once_by_its_own_check(study):
    result = study.answers["interaction"][0]
    check = Check(name="singular", flag=True, values={}, sentence="The variance of seed is zero.")
    assert singular_caveats(result) == [SINGULAR]
    assert singular_caveats(msgspec.structs.replace(result, checks=(check,))) == [check.sentence]
    assert singular_caveats(msgspec.structs.replace(result, singular=False)) == []


def test_a_study_without_runs_has_nothing_to_warn_of():
    assert study_caveats(ReportInput(study="nothing")) == []
    assert selection_sentences(ReportInput(study="nothing")) == []
