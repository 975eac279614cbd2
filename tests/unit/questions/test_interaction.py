import re
import subprocess
import sys

import msgspec
import numpy as np
import polars as pl
import pytest

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.interaction.analysis import interaction
from heatdrift.questions.interaction.contrast_agreement import twin_check
from heatdrift.questions.interaction.result import Contrast

METRIC = "delta_entropy_pct"


def by_name(result):
    return {check.name: check for check in result.checks}


def test_a_complete_result_says_what_it_is(make_runs):
    result = interaction(make_runs(), metric=METRIC)
    assert result.formula == "delta_entropy_pct ~ lr * method * dataset + (1 | seed)"
    assert (result.n_runs, result.n_seeds, result.n_cells, result.n_dropped) == (80, 5, 16, 0)
    assert result.balanced
    assert [v.group for v in result.random] == ["seed", "Residual"]
    assert len(result.fixed) == 16
    assert [t.method for t in result.tests[::7]] == ["strata", "satterthwaite", "kenward_roger"]
    assert [(c.dataset, c.lr) for c in result.contrasts[:5]] == [
        ("eurosat", 1e-6), ("eurosat", 5e-6), ("eurosat", 1e-5), ("eurosat", 5e-5), ("pets", 1e-6)
    ]  # fmt: skip
    assert {(c.method_a, c.method_b, c.df_method) for c in result.contrasts} == {
        ("lora_r8", "full_ft", "kenward_roger")
    }
    assert 0 <= result.r2_marginal <= result.r2_conditional <= 1
    assert 0 <= result.icc <= 1


def test_json_keys_are_the_published_ones(make_runs):
    decoded = msgspec.json.decode(msgspec.json.encode(interaction(make_runs(datasets=("eurosat",)), metric=METRIC)))
    assert {"metric", "n_runs", "formula", "reml_loglik", "singular", "random", "fixed", "tests", "contrasts"} <= set(
        decoded
    )
    assert {"term", "estimate", "se", "df", "t", "p", "ci_low", "ci_high"} == set(decoded["fixed"][0])
    assert {"term", "method", "f", "df_num", "df_den", "p"} <= set(decoded["tests"][0])
    assert {"dataset", "lr", "method_a", "method_b", "estimate", "se", "df", "df_method", "t", "p", "p_holm"} <= set(
        decoded["contrasts"][0]
    )
    assert decoded["contrasts"][0]["dataset"] is None


@pytest.mark.parametrize(
    ("options", "fixed_part"),
    [
        ({"datasets": ("eurosat",)}, "lr * method"),
        ({"methods": ("lora_r8",)}, "lr * dataset"),
        ({"lrs": (1e-5,)}, "method * dataset"),
        ({"datasets": ("eurosat",), "lrs": (1e-5,)}, "method"),
    ],
)
def test_a_factor_with_one_level_leaves_a_smaller_stated_model(make_runs, options, fixed_part):
    result = interaction(make_runs(**options), metric=METRIC)
    assert result.formula == f"{METRIC} ~ {fixed_part} + (1 | seed)"
    assert result.tests[0].term == fixed_part.split(" * ")[0]
    assert bool(result.contrasts) == ("method" in fixed_part)


def test_contrast_keeps_the_learning_rate_where_there_is_one(make_runs):
    result = interaction(make_runs(lrs=(1e-5,)), metric=METRIC)
    assert [c.lr for c in result.contrasts] == [1e-5, 1e-5]


def test_missing_cells_are_shown_and_the_model_still_answers(make_runs):
    runs = make_runs(method_effect=2.0)
    kept = np.sort(np.random.default_rng(1).permutation(80)[:68])
    result = interaction(runs[kept], metric=METRIC)
    balance = by_name(result)["balance"]
    assert balance.flag
    assert balance.values["n_missing"] == 12
    method = next(t for t in result.tests if (t.term, t.method) == ("method", "strata"))
    assert method.n_seeds == 5
    assert 3 < method.df_den < 4
    assert method.p < 0.001


def test_satterthwaite_and_seed_level_contrasts_on_request(make_runs):
    runs = make_runs(seed_method_sd=0.5)
    kenward_roger = interaction(runs, metric=METRIC)
    for ddf in ("satterthwaite", "strata"):
        other = interaction(runs, metric=METRIC, ddf=ddf)
        assert {c.df_method for c in other.contrasts} == {ddf}
        for a, b in zip(other.contrasts, kenward_roger.contrasts, strict=True):
            assert a.estimate == pytest.approx(b.estimate, rel=1e-9)
    assert [c.df for c in other.contrasts] == pytest.approx([4.0] * 8)


def test_seed_by_method_variance_is_flagged_and_disagreement_told(make_runs):
    result = interaction(make_runs(seed_method_sd=0.6, rng_seed=3), metric=METRIC)
    checks = by_name(result)
    assert checks["seed_by_method"].flag
    assert "too optimistic about method" in checks["seed_by_method"].sentence
    assert "read the seed-level test" in checks["seed_by_method"].sentence
    assert "findings follow the seed-level test" in checks["agreement"].sentence
    covered = interaction(make_runs(seed_method_sd=0.6, rng_seed=3), metric=METRIC, random="seed + seed:method")
    assert not by_name(covered)["seed_by_method"].flag


def test_unequal_cell_variances_are_flagged(make_runs):
    runs = make_runs()
    centre = pl.col(METRIC).mean().over("dataset", "method", "lr")
    wide = pl.when(pl.col("lr") == 5e-5).then(20.0).otherwise(1.0)
    runs = runs.with_columns((centre + (pl.col(METRIC) - centre) * wide).alias(METRIC))
    check = by_name(interaction(runs, metric=METRIC))["cell_variance"]
    assert check.flag
    assert check.values["p"] < 0.05
    assert "e+" not in check.sentence
    assert "read its seed-level contrast" in check.sentence
    even = by_name(interaction(make_runs(), metric=METRIC))["cell_variance"]
    assert not even.flag
    assert "seed-level contrast" not in even.sentence


def test_a_bent_dose_response_shows_lack_of_fit_and_a_straight_one_does_not(make_runs):
    straight = make_runs()
    bent = straight.with_columns(
        pl.when(pl.col("lr") == 1e-5).then(pl.col(METRIC) + 3.0).otherwise(METRIC).alias(METRIC)
    )
    assert by_name(interaction(bent, metric=METRIC, lr_as="linear"))["lack_of_fit"].flag
    assert not by_name(interaction(straight, metric=METRIC, lr_as="linear"))["lack_of_fit"].flag
    assert "lack_of_fit" not in by_name(interaction(straight, metric=METRIC))


def test_linear_lr_is_centred_on_all_learning_rates_of_the_study(make_runs):
    runs = make_runs()
    unfinished = runs.with_columns(status=pl.when(pl.col("lr") == 5e-5).then(pl.lit("failed")).otherwise("status"))
    whole = interaction(
        runs.filter(pl.col("lr") < 5e-5), metric=METRIC, lr_as="linear", study_lrs=(1e-6, 5e-6, 1e-5, 5e-5)
    )
    assert interaction(unfinished, metric=METRIC, lr_as="linear").fixed == whole.fixed
    assert [f.term for f in whole.fixed[:3]] == ["(Intercept)", "lr", "method[lora_r8]"]


@pytest.mark.parametrize("lr_as", ["factor", "linear", "poly"])
def test_runs_of_a_method_that_the_block_leaves_out_change_nothing(make_runs, lr_as):
    runs = make_runs(method_effect=1.5)
    probe = runs.filter(pl.col("method") == "lora_r8", pl.col("lr") == 5e-5).with_columns(
        method=pl.lit("linear_probe"), lr=pl.lit(1e-3)
    )
    alone = interaction(runs, metric=METRIC, lr_as=lr_as)
    beside = interaction(pl.concat([runs, probe]), metric=METRIC, lr_as=lr_as)
    for part in ("fixed", "tests", "contrasts", "method_effects", "marginal_means", "findings"):
        assert getattr(beside, part) == getattr(alone, part), part


def test_a_method_that_the_model_cannot_hold_is_named_with_the_question_that_can(make_runs):
    runs = make_runs()
    own_grid = runs.with_columns(lr=pl.when(pl.col("method") == "lora_r8").then(pl.col("lr") * 1e3).otherwise("lr"))
    result = interaction(own_grid, metric=METRIC)
    assert result.caveats[0] == (
        "Not in this model: LoRA r=8, with 0 of 4 learning rates shared with Full FT. `heatdrift stats best` compares "
        "methods that have learning rates of their own."
    )
    assert interaction(runs, metric=METRIC).caveats == ()


@pytest.mark.parametrize("lr_as", ["factor", "linear", "poly"])
def test_an_average_over_learning_rates_is_one_number_in_sentence_test_and_effect(make_runs, lr_as):
    runs = make_runs(method_effect=1.5)
    growing = runs.with_columns(
        pl.when(pl.col("method") == "lora_r8")
        .then(pl.col(METRIC) + 2.0 * (pl.col("lr").log10() + 5.0))
        .otherwise(METRIC)
        .alias(METRIC),
        status=pl.when(pl.col("lr") == 5e-5).then(pl.lit("failed")).otherwise("status"),
    )
    result = interaction(growing, metric=METRIC, lr_as=lr_as)
    (effect,) = result.method_effects
    test = next(t for t in result.tests if t.term == "method" and t.method == "strata")
    assert test.f == pytest.approx(effect.t**2, rel=1e-9)
    assert any(f"difference {effect.estimate:+.3g}" in s and "averaged over 3 learning" in s for s in result.findings)


def test_findings_follow_the_headline_test_only(make_runs):
    with_effect = interaction(make_runs(method_effect=1.5), metric=METRIC)
    sentence = next(s for s in with_effect.findings if "LoRA r=8" in s)
    assert sentence.startswith(
        "Δ attention entropy is higher with LoRA r=8 than with Full FT, averaged over 4 learning rates"
    )
    assert "seed-level t(4) = +" in sentence
    assert "95 % CI +" in sentence
    assert "80 runs, 5 seeds" in sentence
    # one model test says yes, the seed-level test says no: no sentence about method
    none = interaction(make_runs(seed_method_sd=0.6, rng_seed=3), metric=METRIC)
    p = {t.method: t.p for t in none.tests if t.term == "method"}
    assert p["kenward_roger"] < 0.05 < p["strata"]
    assert by_name(none)["agreement"].flag
    assert not [s for s in none.findings if "LoRA" in s]


def test_method_effects_carry_the_seed_level_interval(make_runs):
    result = interaction(make_runs(method_effect=1.5), metric=METRIC, conf_level=0.9)
    (effect,) = result.method_effects
    test = next(t for t in result.tests if (t.term, t.method) == ("method", "strata"))
    assert (effect.lr, effect.dataset, effect.df_method) == (None, None, "strata")
    assert effect.t**2 == pytest.approx(test.f, rel=1e-9)
    assert effect.p == pytest.approx(test.p, rel=1e-9)
    assert effect.ci_low < effect.estimate < effect.ci_high
    assert f"{effect.ci_low:+.3g}" in " ".join(result.findings)


def test_three_methods_give_all_pairs_and_an_omnibus_sentence(make_runs):
    runs = make_runs(methods=("full_ft", "linear_probe", "lora_r8"), method_effect=1.5)
    result = interaction(runs, metric=METRIC)
    assert len(result.contrasts) == 3 * 8
    assert [(c.method_a, c.method_b) for c in result.method_effects] == [
        ("linear_probe", "full_ft"),
        ("lora_r8", "full_ft"),
        ("lora_r8", "linear_probe"),
    ]
    assert any(s.startswith("Δ attention entropy differs between methods") for s in result.findings)
    assert any("LoRA r=8 than with Full FT" in s for s in result.findings)
    assert not any("LoRA r=8 than with Linear probe" in s for s in result.findings)


@pytest.mark.parametrize("random", ["seed", "seed + seed:method", "seed + seed:dataset", "dataset:seed"])
def test_headline_does_not_depend_on_the_random_part(make_runs, random):
    result = interaction(make_runs(), metric=METRIC, random=random)
    base = interaction(make_runs(), metric=METRIC)
    assert result.random_terms == random
    assert [t for t in result.tests if t.method == "strata"] == [t for t in base.tests if t.method == "strata"]


def test_leaving_one_seed_out_names_the_seed_that_carries_the_result(make_runs):
    check = by_name(interaction(make_runs(), metric=METRIC))["leave_one_seed_out"]
    assert {f"p without seed {s}" for s in (7, 11, 19, 42, 123)} <= set(check.values)
    two = by_name(interaction(make_runs(seeds=(7, 11)), metric=METRIC))["leave_one_seed_out"]
    assert "two seeds" in two.sentence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.filter(pl.col("seed") == 7), "have seed 7"),
        (
            lambda r: r.filter(
                (pl.col("lr") == 1e-5) & (pl.col("method") == "full_ft") & (pl.col("dataset") == "pets")
            ),
            "no effect",
        ),
        (lambda r: r.with_columns(pl.lit(1.0).alias(METRIC)), "nothing to explain"),
        (lambda r: r.with_columns(pl.col("lr").log10().alias(METRIC)), "does not vary between the seeds"),
        (lambda r: r.with_columns(pl.lit(float("nan")).alias(METRIC)), "NaN or infinite"),
        (lambda r: r.filter(pl.col("seed") == 7 + 4 * (pl.col("lr") > 5e-6)), "cannot estimate"),
    ],
    ids=["one seed", "one cell per seed", "constant", "no seed variation", "nan", "more parameters than runs"],
)
def test_data_that_cannot_answer_give_a_clear_error(make_runs, change, message):
    with pytest.raises(StatsError, match=message) as caught:
        interaction(change(make_runs()), metric=METRIC)
    assert caught.value.hint or message == "NaN or infinite"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"random": "seed + seed:lr"}, UnknownNameError),
        ({"lr_as": "cubic"}, UnknownNameError),
        ({"ddf": "kenward-roger"}, UnknownNameError),
        ({"metric": "delta_entropi"}, UnknownNameError),
        ({"conf_level": 95}, StatsError),
    ],
)
def test_wrong_options_are_refused(make_runs, options, error):
    with pytest.raises(error):
        interaction(make_runs(), **({"metric": METRIC} | options))


@pytest.mark.parametrize(
    ("lowest", "lr_as", "hint"),
    [
        (0.0, "linear", "use --lr-as factor, or leave lr 0 out with --lr"),
        (1e-6, "poly", "use --lr-as factor"),
    ],
)
def test_a_refused_curve_names_the_options_that_avoid_it(make_runs, lowest, lr_as, hint):
    runs = make_runs(lrs=(1e-6, 1e-5)).with_columns(pl.col("lr").replace(1e-6, lowest))
    with pytest.raises(StatsError) as caught:
        interaction(runs, metric=METRIC, lr_as=lr_as)
    assert caught.value.hint == hint


def test_a_random_part_that_one_level_cannot_carry_is_refused(make_runs):
    with pytest.raises(StatsError, match="cannot be distinguished from seed"):
        interaction(make_runs(datasets=("eurosat",)), metric=METRIC, random="seed + seed:dataset")


def test_statistics_load_without_torch_statsmodels_or_scipy_stats():
    code = (
        "import sys, heatdrift.stats; "
        "sys.exit(', '.join(m for m in ('torch', 'statsmodels', 'scipy.stats', 'pandas') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_unequal_variances_over_lr_correct_the_headline_of_terms_with_several_df(make_runs):
    runs = make_runs()
    centre = pl.col(METRIC).mean().over("dataset", "method", "lr")
    wide = pl.when(pl.col("lr") == 5e-5).then(15.0).otherwise(1.0)
    uneven = runs.with_columns((centre + (pl.col(METRIC) - centre) * wide).alias(METRIC))
    tests = {t.term: t for t in interaction(uneven, metric=METRIC).tests if t.method == "strata"}
    assert tests["lr:method"].epsilon_box < 0.5
    assert tests["lr:method"].p_box != tests["lr:method"].p
    assert tests["method"].epsilon_box == 1.0
    assert tests["method"].p_box == tests["method"].p
    even = {t.term: t for t in interaction(runs, metric=METRIC).tests if t.method == "strata"}
    assert even["lr:method"].epsilon_box > 0.85


def test_findings_rest_on_the_corrected_test_and_say_so(make_runs):
    runs = make_runs()
    centre = pl.col(METRIC).mean().over("dataset", "method", "lr")
    wide = pl.when(pl.col("lr") == 5e-5).then(4.0).otherwise(1.0)
    uneven = runs.with_columns((centre + (pl.col(METRIC) - centre) * wide).alias(METRIC))
    sentence = next(s for s in interaction(uneven, metric=METRIC).findings if "differs between learning rates" in s)
    assert "df corrected for unequal variances, ε = " in sentence


def test_missing_combinations_are_named(make_runs):
    check = by_name(interaction(make_runs()[1:], metric=METRIC))["balance"]
    assert check.values["missing"] == "lr 1e-6, full_ft, eurosat, seed 7"
    assert "Missing: lr 1e-6, full_ft, eurosat, seed 7." in check.sentence


def test_the_twin_pools_no_variance_and_says_where_it_differs(make_runs):
    runs = make_runs(datasets=("eurosat",))
    noisy = pl.when((pl.col("lr") == 5e-5) & (pl.col("seed") == 7) & (pl.col("method") == "full_ft"))
    runs = runs.with_columns(noisy.then(pl.col(METRIC) + 8.0).otherwise(METRIC).alias(METRIC))
    small = pl.when((pl.col("lr") == 1e-6) & (pl.col("method") == "lora_r8"))
    runs = runs.with_columns(small.then(pl.col(METRIC) + 1.5).otherwise(METRIC).alias(METRIC))
    result = interaction(runs, metric=METRIC)
    assert {c.df_method for c in result.robust_contrasts} == {"strata"}
    assert [c.df for c in result.robust_contrasts] == pytest.approx([4.0] * 4)
    check = by_name(result)["variance_twin"]
    assert check.flag
    assert "lr 1e-6 (model p = " in check.sentence
    assert "after Holm over 4 contrasts the answer at 5 % differs for " in check.sentence
    assert "Read the seed-level p there" in check.sentence
    assert check.values["se_ratio_max"] > 1 > check.values["se_ratio_min"]


def test_leaving_out_the_cell_that_carries_an_effect_is_told(make_runs):
    runs = make_runs(noise=0.05)
    carrier = (pl.col("dataset") == "pets") & (pl.col("method") == "lora_r8") & (pl.col("lr") == 5e-5)
    runs = runs.with_columns(pl.when(carrier).then(pl.col(METRIC) + 3.0).otherwise(METRIC).alias(METRIC))
    check = by_name(interaction(runs, metric=METRIC))["leave_one_cell_out"]
    assert check.flag
    assert check.values["method p_all"] < 0.05 < check.values["method p_max"]
    assert check.values["method estimate_min"] < 0.1 < check.values["method estimate_max"]
    assert "moves p across 5 % for method (p " in check.sentence
    assert "; estimate +" in check.sentence or "; estimate −" in check.sentence
    assert "Read the differences at each learning rate" in check.sentence
    findings = interaction(runs, metric=METRIC).findings
    fragile = [s for s in findings if s.endswith("; fragile: leaving out one cell moves p across 5 %.")]
    assert [s for s in fragile if "higher with LoRA" in s]
    assert len(fragile) < len(findings)  # none but the terms concerned
    assert not any("fragile" in s for s in interaction(make_runs(method_effect=3.0), metric=METRIC).findings)
    one_place = by_name(interaction(make_runs(datasets=("eurosat",), lrs=(1e-5,)), metric=METRIC))
    assert "estimated at one place only" in one_place["leave_one_cell_out"].sentence


def test_leaving_out_a_place_averages_the_others(make_runs):
    runs = make_runs(datasets=("eurosat",))
    check = by_name(interaction(runs, metric=METRIC))["leave_one_cell_out"]
    without = [
        interaction(runs.filter(pl.col("lr") != lr), metric=METRIC).method_effects[0].estimate
        for lr in (1e-6, 5e-6, 1e-5, 5e-5)
    ]
    assert check.values["method estimate_min"] == pytest.approx(min(without))
    assert check.values["method estimate_max"] == pytest.approx(max(without))


def test_the_headline_sentence_of_method_says_when_its_sign_turns(make_runs):
    lora = pl.col("method") == "lora_r8"
    turned = pl.when(lora).then(pl.when(pl.col("lr") == 5e-5).then(-0.5).otherwise(5.0)).otherwise(0.0)
    result = interaction(make_runs().with_columns(pl.col(METRIC) + turned), metric=METRIC)
    (headline,) = (s for s in result.findings if "is higher with LoRA" in s)
    assert headline.endswith("; its sign is not the same at every learning rate.")
    steady = interaction(make_runs(method_effect=3.0), metric=METRIC)
    assert any("is higher with LoRA" in s for s in steady.findings)
    assert not any("its sign" in s for s in steady.findings)


def test_values_read_off_a_line_say_so_and_whether_it_fits(make_runs):
    bent = make_runs().with_columns(pl.col(METRIC) + 5.0 * (pl.col("lr") - 1e-5).abs() / 1e-5)
    line = interaction(bent, metric=METRIC, lr_as="linear")
    (sentence,) = (s for s in line.findings if "with the learning rate" in s)
    assert ", on the fitted line, which does not fit (lack-of-fit p " in sentence
    straight = interaction(make_runs(), metric=METRIC, lr_as="linear")
    (sentence,) = (s for s in straight.findings if "with the learning rate" in s)
    assert ", on the fitted line: " in sentence
    curve = interaction(make_runs(), metric=METRIC, lr_as="poly")
    assert any(", on the fitted curve: lowest " in s for s in curve.findings)
    fit = {name: by_name(result)["lack_of_fit"].sentence for name, result in {"line": line, "curve": curve}.items()}
    assert fit["line"].startswith("The means of the learning rates do not lie on a line in log10(lr)")
    assert fit["line"].endswith("Values read off that line mislead: use --lr-as factor.")
    assert fit["curve"].startswith("The means of the learning rates may lie on a curve in log10(lr)")
    assert not any("fitted" in s for s in interaction(bent, metric=METRIC).findings)


def test_a_result_names_its_study_and_the_levels_it_used(make_runs):
    result = interaction(make_runs(seeds=(7, 11, 19)), metric=METRIC)
    assert result.study == "s"
    assert result.selection["method"] == ("full_ft", "lora_r8")
    assert result.selection["seed"] == (7, 11, 19)
    assert "Kenward" in result.method or "kenward_roger" in result.method


def test_a_finding_from_three_seeds_on_one_data_set_gives_the_cautious_p(make_runs):
    """Box's correction has little to estimate variances from there (docs/calibration.md)."""
    thin = interaction(make_runs(datasets=("eurosat",), seeds=(7, 11, 19)), metric=METRIC)
    (sentence,) = (text for text in thin.findings if "differs between learning rates" in text)
    gg = next(t.p_gg for t in thin.tests if (t.term, t.method) == ("lr", "strata"))
    assert gg < 0.05
    assert "with Greenhouse-Geisser's correction p" in sentence
    assert "3 seeds on one data set say little about variances" in sentence
    more = interaction(make_runs(datasets=("eurosat",)), metric=METRIC)
    assert not any("say little about variances" in text for text in more.findings)


def test_an_adjusted_p_names_its_family(make_runs):
    findings = interaction(make_runs(method_effect=3.0), metric=METRIC).findings
    assert findings
    assert all("; Holm over the 7 terms of this model p" in s for s in findings)
    three = interaction(
        make_runs(methods=("full_ft", "linear_probe", "lora_r8"), method_effect=1.5), metric=METRIC
    ).findings
    assert any("Holm over 3 pairs of methods p" in s for s in three)
    alone = interaction(make_runs(datasets=("eurosat",), lrs=(1e-5,), method_effect=9.0), metric=METRIC)
    (one_test,) = alone.findings  # one term: nothing to adjust for
    assert "Holm" not in one_test


def test_extremes_are_told_before_the_brackets(make_runs):
    (sentence,) = (s for s in interaction(make_runs(), metric=METRIC).findings if "differs between learning rates" in s)
    claim, evidence = sentence.split(" (", 1)
    assert re.search(r": lowest \S+ % of base at lr \S+, highest \S+ % of base at lr \S+$", claim)
    assert evidence.startswith("seed-level F(")


def test_a_residual_far_off_names_its_run_and_what_to_do(make_runs):
    runs = make_runs().with_row_index("row")
    runs = runs.with_columns(pl.when(pl.col("row") == 0).then(30.0).otherwise(METRIC).alias(METRIC)).drop("row")
    check = by_name(interaction(runs, metric=METRIC))["residuals"]
    assert check.flag
    assert "(lr 1e-6, full_ft, eurosat, seed 7) is +" in check.sentence
    assert "what its seed changes" in check.sentence
    quiet = by_name(interaction(make_runs(), metric=METRIC))["residuals"]
    assert not quiet.flag
    assert "what its seed changes" not in quiet.sentence


def test_leaving_out_a_seed_asks_every_term(make_runs):
    result = interaction(make_runs(rng_seed=4), metric=METRIC)
    (check,) = (c for c in result.checks if c.name == "leave_one_seed_out")
    terms = {t.term for t in result.tests}
    assert {f"{term} p_{which}" for term in terms for which in ("all", "min", "max")} <= set(check.values)
    for term in terms:
        full = next(t for t in result.tests if (t.term, t.method) == (term, "strata"))
        assert check.values[f"{term} p_all"] == full.p_box
        crosses = check.values[f"{term} p_min"] < 0.05 <= check.values[f"{term} p_max"]
        assert (f"{term} (" in check.sentence) == (
            crosses or (full.p_box < 0.05) != (check.values[f"{term} p_min"] < 0.05)
        )
    assert check.sentence.startswith("Leaving out one seed at a time, the seed-level test of method gives p ")
    without = make_runs(rng_seed=4).filter(pl.col("seed") != 7)
    alone = interaction(without, metric=METRIC)
    method = next(t for t in alone.tests if (t.term, t.method) == ("method", "strata"))
    assert check.values["p without seed 7"] == pytest.approx(method.p)


def test_a_twin_that_differs_often_is_counted_and_names_the_methods():
    def row(i, p, method):
        return Contrast(
            dataset="eurosat", lr=1e-5 * (i + 1), method_a=method, method_b="full_ft", estimate=1.0, se=0.5, df=4.0,
            df_method="kenward_roger", t=2.0, p=p, p_holm=p, ci_low=0.0, ci_high=2.0,
        )  # fmt: skip

    rows = [(i, method) for i in range(20) for method in ("lora_r8", "last_block")]
    check = twin_check([row(i, 0.001, m) for i, m in rows], [row(i, 0.5, m) for i, m in rows])
    assert check.values["n_changed"] == 40
    assert "differs for 40 of them, first eurosat, lr 1e-5, LoRA r=8 minus Full FT (model" in check.sentence
    assert check.sentence.count("(model p") == 6


@pytest.mark.parametrize("random", ["seed", "seed + seed:method", "dataset:seed"])
def test_a_metric_that_is_cell_mean_plus_seed_is_refused(make_runs, random):
    """Few cells and rounded accuracies give such tables; what is left after the seed term is rounding."""
    by_seed = {7: 0.5, 11: -1.25, 19: 0.25, 42: 2.0, 123: -0.75}
    value = (
        pl.col("lr").rank("dense") * 3.0
        + pl.when(pl.col("method") == "lora_r8").then(1.1).otherwise(0.0)
        + pl.col("seed").replace_strict(by_seed, return_dtype=pl.Float64)
    )
    runs = make_runs().with_columns(retention_pct=value)
    with pytest.raises(StatsError, match="nothing is left that varies from run to run"):
        interaction(runs, metric="retention_pct", random=random)


def test_a_metric_with_a_little_left_is_modelled(make_runs):
    runs = make_runs().with_columns(retention_pct=70.0 + 1e-6 * pl.col("retention_pct"))
    assert interaction(runs, metric="retention_pct").n_runs == 80


def test_cells_that_agree_to_the_last_digit_have_no_ratio_of_variances(make_runs):
    runs = make_runs()
    still = (pl.col("method") == "lora_r8") & (pl.col("lr") == runs["lr"].min()) & (pl.col("dataset") == "pets")
    result = interaction(
        runs.with_columns(pl.when(still).then(100.0 + 1e-14).otherwise(pl.col(METRIC)).alias(METRIC)), metric=METRIC
    )
    (check,) = (c for c in result.checks if c.name == "cell_variance")
    assert "all seeds agree to the last digit" in check.sentence
    texts = [c.sentence for c in result.checks] + list(result.findings)
    texts += [part for part in result.shown() if isinstance(part, str)]
    assert not [text for text in texts if "inf" in text.split() or "nan" in text or "e−14" in text]
    assert check.flag


def test_contrasts_are_given_at_the_seed_level_first(make_runs):
    rows = interaction(make_runs(), metric=METRIC).csv_rows()
    kinds = [row["df_method"] for row in rows]
    assert kinds == ["strata"] * 8 + ["kenward_roger"] * 8


def test_a_finding_that_hangs_on_one_seed_says_so(make_runs):
    runs = make_runs(seeds=(1, 2, 3, 4, 5))
    gaps = {1: 10.0, 2: 11.0, 3: 9.0, 4: 10.0, 5: -5.5}  # p .09 with all seeds, far below without the last
    gap = pl.when(pl.col("method") == "lora_r8").then(pl.col("seed").replace_strict(gaps, return_dtype=pl.Float64))
    result = interaction(runs.with_columns(pl.col(METRIC) + gap.otherwise(0.0)), metric=METRIC)
    claims = {claim.key.split("/")[-1]: claim for claim in result.claims}
    (check,) = (c for c in result.checks if c.name == "leave_one_seed_out")
    crossing = {
        term
        for term in claims
        if f"{term} p_min" in check.values and check.values[f"{term} p_min"] < 0.05 <= check.values[f"{term} p_max"]
    }
    assert crossing
    marked = {term for term, claim in claims.items() if "one seed moves p across 5 %" in claim.warning}
    assert {t for t in crossing if "seed" in claims[t].warning} == crossing
    assert marked <= crossing


def test_methods_without_a_seed_in_common_get_welchs_test_and_no_false_alarm(make_runs):
    runs = make_runs(method_effect=26.0)
    own = runs.with_columns(
        pl.when(pl.col("method") == "lora_r8").then(pl.col("seed") + 100).otherwise(pl.col("seed")).alias("seed")
    )
    result = interaction(own, metric=METRIC)
    first, *_ = result.caveats
    assert "share no seed" in first
    assert "(Welch): LoRA r=8 − Full FT in Δ attention entropy +26" in first
    by = {check.name: check for check in result.checks}
    assert "Seeds cannot test method within this model" in by["agreement"].sentence
    assert "method (" not in by["agreement"].sentence
    assert "effect of method cannot be tested" not in by["leave_one_seed_out"].sentence
