import pytest

from heatdrift.questions.interaction.analysis import interaction

METRIC = "delta_entropy_pct"


def opinions(runs, **options):
    result = interaction(runs, metric=METRIC, second_opinion=True, **options)
    return {c.name: c for c in result.checks if c.name.startswith("second_opinion")}


def test_statsmodels_gives_the_same_answers_in_balanced_data(make_runs):
    found = opinions(make_runs())
    anova, mixed = found["second_opinion_anovarm"], found["second_opinion_mixedlm"]
    assert not anova.flag
    assert anova.values["lr:method f_ours"] == pytest.approx(anova.values["lr:method f_statsmodels"], rel=1e-8)
    assert anova.values["lr:method df_ours"] == anova.values["lr:method df_statsmodels"]
    assert mixed.values["loglik_ours"] >= mixed.values["loglik_statsmodels"] - 1e-8  # never short of theirs
    assert mixed.values["loglik_ours"] == pytest.approx(mixed.values["loglik_statsmodels"], abs=0.05)
    assert mixed.values["largest_difference_in_se"] < 1e-6  # balanced: estimates do not depend on the variances


def test_where_statsmodels_cannot_answer_it_says_so(make_runs):
    found = opinions(make_runs()[1:], random="seed + seed:method")
    assert not any(check.flag or check.values for check in found.values())
    assert "one grouping factor" in found["second_opinion_mixedlm"].sentence
    assert "balanced" in found["second_opinion_anovarm"].sentence


def test_nothing_of_it_is_there_unasked(make_runs):
    assert not any("second" in c.name for c in interaction(make_runs(), metric=METRIC).checks)
