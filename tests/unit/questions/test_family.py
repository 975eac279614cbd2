"""What a page may claim: a fixed sequence of primary questions, and one adjustment over everything that was asked."""

import dataclasses
import math

import polars as pl
import pytest
from msgspec import structs
from simulated_study import simulated_study

from heatdrift.primary import PrimarySpec, QuestionsSpec
from heatdrift.questions.asking import all_results, ask_all
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.claims import Claim
from heatdrift.questions.family import page_family
from heatdrift.questions.page_choices import own_grids
from heatdrift.stats.multiplicity import benjamini_hochberg

FIRST = "interaction/retention_pct/method"
SECOND = "interaction/delta_entropy_pct/lr"
THIRD = "interaction/test_acc_pct/lr:method"
FOURTH = "correlation/retention_pct/delta_erf95_pct/within"


class Answered:
    """The part of an answer that a family reads."""

    def __init__(self, **ps):
        self.claims = tuple(claim(key, p) for key, p in ps.items())


def claim(key, p):
    return Claim(key=key, p=p, asks=f"Asked {key}", says=f"Said {key}", measured="+1", evidence=("n = 3",))


def family(ps, asked=None, *, own_grids=False, accuracy="test_acc_pct", unavailable=None):
    answers = {"any": [Answered(**ps)]}
    return page_family(answers, unavailable or {}, asked or QuestionsSpec(), accuracy=accuracy, own_grids=own_grids)


def verdicts(found):
    return [outcome.verdict for outcome in found.primary]


def test_the_first_question_keeps_the_whole_five_percent():
    found = family({FIRST: 0.049, SECOND: 0.6, THIRD: 0.001, FOURTH: 0.001})
    assert verdicts(found) == ["supported", "not supported", "not tested", "not tested"]
    assert found.findings == (f"Said {FIRST}: +1 (n = 3; primary question 1, tested at 5 % because it comes first).",)
    assert "because question 2 before it does not hold" in found.primary[2].sentence
    assert found.primary[2].sentence.startswith(f"Asked {THIRD}: not tested")


def test_adjusted_p_of_a_sequence_never_falls():
    found = family({FIRST: 0.03, SECOND: 0.01, THIRD: 0.04, FOURTH: 0.2})
    assert [o.p_adjusted for o in found.primary] == [0.03, 0.03, 0.04, 0.2]
    assert verdicts(found) == ["supported", "supported", "supported", "not supported"]


def test_holm_on_request_knows_no_order():
    asked = QuestionsSpec(adjust="holm")
    found = family({FIRST: 0.03, SECOND: 0.001, THIRD: 0.012, FOURTH: 0.2}, asked)
    assert verdicts(found) == ["not supported", "supported", "supported", "not supported"]
    assert found.primary[1].p_adjusted == pytest.approx(0.004)
    assert "Holm over the 4 primary questions p = 0.004" in found.findings[0]


def test_a_question_that_cannot_be_answered_is_stated_and_does_not_stop_the_others():
    reason = {"interaction": ["Δ attention entropy: of another question.", "Zero-shot retention: one seed."]}
    for ps in ({SECOND: 0.01}, {FIRST: math.nan, SECOND: 0.01}):
        found = family(ps, unavailable=reason)
        assert verdicts(found) == ["not answered", "supported", "not answered", "not answered"]
        assert found.primary[0].sentence == ("Method on zero-shot retention: these runs cannot answer it: one seed.")
        assert math.isnan(found.primary[0].p_adjusted)


def test_all_tests_of_the_page_share_the_exploratory_rate():
    ps = {FIRST: 0.001, "dose/a": 0.004, "dose/b": 0.015, "paired/c": 0.5, "layers/none": math.nan}
    found = family(ps)
    tested = {key: p for key, p in ps.items() if not math.isnan(p)}
    expected = dict(zip(tested, benjamini_hochberg(list(tested.values())), strict=True))
    assert {o.key: o.p_adjusted for o in found.exploratory} == pytest.approx(expected)
    assert {o.key for o in found.exploratory if o.supported} == {k for k, p in expected.items() if p < 0.025}
    answer = Answered(**ps)
    assert found.n_tests == 4
    said = found.sentences(answer)
    assert [text.split(":")[0] for text in said] == [f"Said {k}" for k in ("dose/a", "dose/b")]  # FIRST is a finding
    assert "Benjamini-Hochberg over the 4 tests of this page p = 0.008" in said[0]


def test_what_is_not_reached_may_still_be_exploratory():
    found = family({FIRST: 0.4, SECOND: 0.0001})
    assert verdicts(found)[:2] == ["not supported", "not tested"]
    assert found.findings == ()
    assert found.sentences(Answered(**{SECOND: 0.0001}))


def test_validation_accuracy_takes_the_place_of_the_preprints_test_accuracy_only():
    ps = {"interaction/val_acc_pct/lr:method": 0.01}
    assert verdicts(family(ps, accuracy="val_acc_pct"))[2] == "supported"
    asked = QuestionsSpec(primary=(PrimarySpec(metric="test_acc_pct", term="method:lr"),))
    assert verdicts(family(ps, asked, accuracy="val_acc_pct")) == ["not answered"]


def test_methods_with_learning_rates_of_their_own_are_compared_at_their_best():
    ps = {FIRST: 0.5, "best/retention_pct/all/lora_r8-full_ft": 0.01}
    assert family(ps, own_grids=True).primary[0].key == "best/retention_pct/all/lora_r8-full_ft"
    assert family(ps).primary[0].key == FIRST
    ps = {"best/retention_pct/all/a-b": 0.01, "best/retention_pct/all/c-b": 0.2}
    chosen = family(ps, own_grids=True).primary[0]
    assert (chosen.key, chosen.p) == ("best/retention_pct/all/a-b", pytest.approx(0.02))
    assert "Bonferroni over 2 pairs of methods p = 0.02" in chosen.sentence


def test_a_term_is_answered_by_itself_not_by_one_of_its_pairs():
    ps = {FIRST: 0.2, f"{FIRST}/lora_r8-full_ft": 0.001}
    assert family(ps).primary[0].key == FIRST


def test_grids_differ_only_where_they_were_planned_to():
    runs = simulated_study().runs
    assert not own_grids(runs)
    failed = runs.with_columns(
        status=pl.when((pl.col("method") == "lora_r8") & (pl.col("lr") == 1e-4))
        .then(pl.lit("failed"))
        .otherwise("status")
    )
    assert not own_grids(failed)
    lora, high = pl.col("method") == "lora_r8", pl.col("lr") == 1e-4
    assert not own_grids(runs.filter(lora | ~high))  # two rates are shared, and full FT has no other
    assert own_grids(runs.filter(lora | (pl.col("lr") == 1e-6)))  # one rate is shared
    moved = runs.with_columns(lr=pl.when(lora).then(pl.col("lr") * 10).otherwise("lr"))
    assert own_grids(moved)  # each method has a rate that the other lacks
    assert not own_grids(runs.filter(~(lora & high & (pl.col("dataset") == "pets"))))  # a cell is missing
    head = runs.filter(lora & high).with_columns(method=pl.lit("linear_probe"), lr=pl.lit(1e-3))
    assert not own_grids(pl.concat([runs, head]))  # not one of the two that are compared


def test_every_test_of_a_page_has_a_key_of_its_own_and_a_sentence_either_way():
    study = _study()
    answers, reasons = ask_all(study)
    assert reasons == {}
    claims = [claim for found in answers.values() for answer in found for claim in answer.claims]
    keys = [claim.key for claim in claims]
    assert len(set(keys)) == len(keys)
    assert {key.split("/")[0] for key in keys} >= {
        "interaction", "correlation", "dose", "best", "layers", "predictors", "frontier",
    }  # fmt: skip
    for claim in claims:
        assert math.isnan(claim.p) or 0.0 <= claim.p <= 1.0
        for text in (claim.sentence("with others p = 0.1"), claim.without_claim()):
            assert text.endswith(".")
            assert not text.endswith("..")
            assert "nan" not in text
            assert text[0].isupper() or text[0] in "Δ|"


def test_stats_all_has_what_the_page_has():
    study = _study()
    result = all_results(study)
    assert [o.position for o in result.primary] == [1, 2, 3, 4]
    assert result.primary[0].key == FIRST
    assert result.n_runs == study.runs.height
    rows = result.csv_rows()
    assert len(rows) == 4 + len(result.exploratory)
    assert {row["kind"] for row in rows} == {"primary", "exploratory"}
    lines = [part for part in result.shown() if isinstance(part, str)]
    assert any(line.startswith("  1. supported: Zero-shot retention is higher with LoRA") for line in lines)


def test_a_primary_question_of_a_metric_that_the_page_does_not_model_is_asked():
    asked = QuestionsSpec(primary=(PrimarySpec(metric="cka", term="method"),
                                   PrimarySpec(metric="cka", term="correlation", against="weight_drift")))  # fmt: skip
    result = all_results(_study(asked))
    assert [o.key for o in result.primary] == ["interaction/cka/method", "correlation/cka/weight_drift/within"]


def _study(asked=None):
    s = simulated_study()
    return StudyRuns(runs=s.runs, epochs=s.epochs, layers=s.layers, heads=s.heads, asked=asked or QuestionsSpec())


def test_one_hypothesis_counts_once_whichever_question_asks_it():
    same = "methods/retention_pct/all/full_ft-lora_r8"
    other = "paired/retention_pct/all/lora_r8-full_ft"
    claims = [structs.replace(claim(key, 0.001), hypothesis=same) for key in (FIRST, other)] + [claim("dose/a", 0.5)]
    answer = Answered()
    answer.claims = tuple(claims)
    found = page_family({"any": [answer]}, {}, QuestionsSpec(), accuracy="test_acc_pct", own_grids=False)
    assert [o.key for o in found.exploratory] == [FIRST, "dose/a"]
    assert found.exploratory[0].finding
    assert found.sentences(answer) == ()
    without = structs.replace(claims[0], p=math.nan)
    answer.claims = (without, *claims[1:])
    found = page_family({"any": [answer]}, {}, QuestionsSpec(), accuracy="test_acc_pct", own_grids=False)
    assert [o.key for o in found.exploratory] == [other, "dose/a"]  # the model has no test of it


def test_no_p_of_a_page_stands_for_two_tests():
    for datasets, lrs in ((("pets",), (1e-5,)), (("pets", "eurosat"), (1e-6, 1e-5))):
        s = simulated_study(datasets=datasets, lrs=lrs, seeds=(1, 2, 3, 4))
        found = all_results(StudyRuns(runs=s.runs, epochs=s.epochs, layers=s.layers, heads=s.heads))
        exact = [o.p for o in found.exploratory if o.key.split("/")[0] in ("interaction", "paired", "best", "images")]
        assert len(set(exact)) == len(exact)


def test_methods_without_a_common_seed_are_asked_about_by_a_question_that_can_answer():
    lora = pl.col("method") == "lora_r8"
    own = simulated_study().runs.with_columns(seed=pl.when(lora).then(pl.col("seed") + 100).otherwise("seed"))
    named = own.with_columns(method=pl.when(lora).then(pl.lit("dora")).otherwise(pl.lit("bitfit")))
    asked = QuestionsSpec(primary=(PrimarySpec(metric="cka", term="method"),))
    s = _study(asked)
    for runs, pair in ((own, "lora_r8-full_ft"), (named, "dora-bitfit")):
        result = all_results(dataclasses.replace(s, runs=runs))
        assert result.primary[0].key == f"paired/cka/all/{pair}"
        assert result.primary[0].p == result.primary[0].p


def test_a_question_without_a_test_says_what_its_test_would_take():
    asked = QuestionsSpec(primary=(PrimarySpec(metric="cka", term="lr:method"),))
    one_method = _study(asked).runs.filter(pl.col("method") == "full_ft")
    (answer,) = all_results(dataclasses.replace(_study(asked), runs=one_method)).primary
    assert answer.verdict == "not answered"
    assert "learning rate and method do not both vary in the runs that a model can use" in answer.sentence
