from dataclasses import replace

import msgspec
import polars as pl

from heatdrift.accuracy import ACCURACIES, accuracy_metric, selection_splits, shown_column
from heatdrift.questions.answer import Check
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.interaction.section import SINGULAR, singular_caveats
from heatdrift.report import ReportInput
from heatdrift.report.caveats import selection_sentences, study_caveats
from heatdrift.report.study_data import prepare


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
    assert study_caveats(inp) == list(run_caveats(inp.runs, ["val_acc_pct"]))
    assert study_caveats(study) == []


def test_a_run_that_has_not_finished_has_selected_nothing(study):
    status = pl.when(pl.col("seed") == 7).then(pl.lit("failed")).otherwise(pl.lit("done"))
    protocol = pl.when(pl.col("seed") == 7).then(pl.lit("preprint")).otherwise(pl.lit("leakfree"))
    inp = replace(study, runs=study.runs.with_columns(status=status, protocol=protocol))
    assert len(selection_sentences(inp)) == 1
    assert not any("selected" in text for text in study_caveats(inp))


def test_page_and_questions_name_and_choose_the_accuracy_by_one_rule(study):
    untested = study.runs.with_columns(test_acc_pct=pl.lit(None, pl.Float64))
    both = study.runs.with_columns(select_on=pl.lit("test"))
    for runs in (study.runs, untested, both, untested.with_columns(protocol=pl.lit("preprint"))):
        data = prepare(replace(study, runs=runs))
        assert data.performance[0] == accuracy_metric(runs)[0]
        for metric in ACCURACIES:
            assert data.metric_title(metric) == shown_column(metric, runs).title
    assert accuracy_metric(untested)[0] == "val_acc_pct"
    assert accuracy_metric(study.runs, untested)[0] == "val_acc_pct"


def test_a_singular_fit_is_explained_once_by_its_own_check(study):
    result = study.answers["interaction"][0]
    check = Check(name="singular", flag=True, values={}, sentence="The variance of seed is zero.")
    assert singular_caveats(result) == [SINGULAR]
    assert singular_caveats(msgspec.structs.replace(result, checks=(check,))) == [check.sentence]
    assert singular_caveats(msgspec.structs.replace(result, singular=False)) == []


def test_a_study_without_runs_has_nothing_to_warn_of():
    assert study_caveats(ReportInput(study="nothing")) == []
    assert selection_sentences(ReportInput(study="nothing")) == []
