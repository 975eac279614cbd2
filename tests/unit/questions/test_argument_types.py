"""An argument of another type is one clear error of ours, whichever question gets it."""

import numpy as np
import pytest
from simulated_study import simulated_study

import heatdrift
from heatdrift.errors import StatsError, UnknownNameError

RUNS = simulated_study(noise=0.3).runs


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("power", {"metric": "retention_pct", "seeds": [5]}, r"seeds of power is a whole number, got \[5\]"),
        ("power", {"metric": "retention_pct", "seeds": True}, "seeds of power is a whole number, got True"),
        ("paired", {"metrics": [3]}, "metrics of paired is a list, each item a text or None"),
        ("paired", {"equivalence": (1.0,)}, "equivalence of paired is 2 values, each a number or None"),
        ("best", {"margin": "2"}, "margin of best is a number or None"),
        ("interaction", {"metric": ["a"]}, "metric of interaction is a text"),
        ("dose", {"conf_level": "0.9"}, "conf_level of dose is a number"),
        ("factors", {"metric": 3}, "metric of factors is a text or None"),
        ("fit_model", {"formula": 3}, "formula of fit_model is a text"),
        ("fit_model", {"formula": "y ~ a + (1 | g)", "bootstrap": "many"}, "bootstrap of fit_model is a whole number"),
    ],
)
def test_a_wrong_type_is_named(name, options, words):
    with pytest.raises(StatsError, match=words) as caught:
        getattr(heatdrift, name)(RUNS, **options)
    assert caught.value.hint == f"help(heatdrift.{name})"


def test_a_choice_that_there_is_not_is_an_unknown_name():
    with pytest.raises(UnknownNameError, match="satterthwait"):
        heatdrift.interaction(RUNS, metric="retention_pct", ddf="satterthwait")


def test_numbers_of_numpy_and_tuples_count():
    answer = heatdrift.power(RUNS, metric="retention_pct", seeds=np.int64(5))
    assert answer.rows
    assert heatdrift.paired(RUNS, metrics=("retention_pct",), conf_level=np.float64(0.9)).conf_level == 0.9


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: heatdrift.read_runs(5), "study of read_runs is a text or None, got 5"),
        (lambda: heatdrift.read_runs("mini", seed=7), "seed of read_runs is a list, each item a whole number, got 7"),
        (lambda: heatdrift.read_runs("mini", store=5), "a store is a Store, or the path of a DuckDB file, got 5"),
        (lambda: heatdrift.Store(5), "path of Store.__init__ is a text or a path or None, got 5"),
        (lambda: heatdrift.Store.shipped().view(3), "name of Store.view is a text, got 3"),
        (lambda: heatdrift.Store.shipped().sql(3), "query of Store.sql is a text, got 3"),
        (lambda: heatdrift.render_report("mini", out=3), "out of render_report is a text or a path, got 3"),
        (lambda: heatdrift.ask_all("mini", conf_level="95"), "conf_level of ask_all is a number, got '95'"),
        (
            lambda: heatdrift.train_cell(3, dataset="d", method="m", lr=1.0, seed=1),
            "study of train_cell is studyspec or a text, got 3",
        ),
        (
            lambda: heatdrift.compare(RUNS, RUNS, names="ab"),
            "names of compare is 2 values, each a text or None, got 'ab'",
        ),
    ],
)  # fmt: skip
def test_a_wrong_argument_of_the_rest_of_the_package_is_named_too(call, said):
    with pytest.raises(heatdrift.HeatdriftError) as caught:
        call()
    assert caught.value.message == said
