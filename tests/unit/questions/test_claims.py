from simulated_study import simulated_study

from heatdrift.questions.claims import MANY, ranked
from heatdrift.questions.dose.analysis import dose
from heatdrift.questions.paired.analysis import paired

DATASETS = tuple(f"set{i}" for i in range(14))


def test_few_sentences_keep_their_order_and_many_begin_with_the_count_and_the_strongest():
    claims = [((float(-i),), f"claim {i}") for i in range(MANY)]
    assert ranked(claims, "Some hold.") == [f"claim {i}" for i in range(MANY)]
    found = ranked([*claims, ((-0.5,), "between")], "Some hold.")
    assert found[0] == "Some hold. Strongest first."
    assert found[1] == f"claim {MANY - 1}"
    assert found[-2:] == ["between", "claim 0"]


def test_a_large_grid_says_how_many_of_how_many_trends_and_differences_hold():
    runs = simulated_study(datasets=DATASETS, noise=0.3).runs
    trends = dose(runs, metrics=["retention_pct"], permutations=999)
    n = sum(r.p_exact_holm < 0.05 and not r.seed_trend_p >= 0.05 for r in trends.rows)
    assert n > MANY
    assert trends.findings[0].startswith(f"{n} of 28 trends over the learning rate are supported")
    assert f"Zero-shot retention rises in 0 and falls in {n} of 28 groups".lower() in trends.findings[0].lower()
    assert len(trends.findings) == n + 1

    pairs = paired(runs, metrics=["retention_pct", "weight_drift"])
    n = sum(r.seed_p_holm < 0.05 for r in pairs.rows)
    assert n > MANY
    assert pairs.findings[0].startswith(f"{n} of 30 differences LoRA r=8 minus Full FT are supported")
    strongest = min(pairs.rows, key=lambda r: (r.seed_p_holm, -abs(r.seed_t)))
    assert (strongest.dataset or "14 data sets") in pairs.findings[1]


def test_a_small_grid_has_no_summary():
    runs = simulated_study(noise=0.3).runs
    assert "Strongest first" not in " ".join(dose(runs, metrics=["retention_pct"]).findings)
