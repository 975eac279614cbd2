import msgspec
import numpy as np
import polars as pl
import pytest

from heatdrift.questions.predictors.estimate import estimate, observations, validate, validation_sentences


def views(groups=(("a", "m"), ("a", "n"), ("b", "m"), ("b", "n")), shift=0.0):
    """Runs whose retention falls with drift; the last group's is `shift` points lower."""
    rng = np.random.default_rng(0)
    runs, epochs = [], []
    for place, (dataset, method) in enumerate(groups):
        for seed in range(4):
            cell = f"c1-{place}{seed}"
            runs.append(("s", "lab", cell, dataset, method, "done", "trained"))
            for epoch in range(4):
                drift = 0.05 + 0.2 * epoch * rng.uniform(0.8, 1.2)
                kept = 100 - 80 * drift - shift * (place == len(groups) - 1)
                epochs.append(("s", cell, epoch, drift, 1 - drift / 3, kept))
    names = ["study", "backbone", "cell_id", "dataset", "method", "status", "origin"]
    columns = ["study", "cell_id", "epoch", "embedding_drift", "cka", "track_retention_pct"]
    return pl.DataFrame(runs, names, orient="row"), pl.DataFrame(epochs, columns, orient="row")


def test_a_model_between_the_runs_is_estimated_with_an_interval():
    found = estimate(observations(*views()), {"embedding_drift": 0.4, "cka": 1 - 0.4 / 3})
    assert found.retention_pct == pytest.approx(68, abs=5)
    assert found.low < found.retention_pct < found.high
    assert (found.level, found.n_groups, found.n_runs) == (0.6, 4, 16)
    assert "Estimated without labels" in found.sentence


def test_it_is_refused_outside_of_what_was_seen_and_the_signal_is_named():
    table = observations(*views())
    assert "“embedding drift" in estimate(table, {"embedding_drift": 1.9, "cka": 0.9}).refused
    assert "CKA" in estimate(table, {"embedding_drift": 0.4, "cka": 0.1}).refused
    assert "not measured" in estimate(table, {"embedding_drift": 0.4, "cka": None}).refused
    few = observations(*views(groups=(("a", "m"), ("b", "m"))))
    assert "2 groups" in estimate(few, {"embedding_drift": 0.4, "cka": 0.9}).refused


def test_runs_that_were_only_measured_or_failed_teach_nothing():
    runs, epochs = views()
    external = runs.with_columns(origin=pl.lit("external"))
    failed = runs.with_columns(status=pl.lit("failed"))
    assert observations(external, epochs).is_empty()
    assert observations(failed, epochs).is_empty()
    assert "0 groups" in estimate(observations(failed, epochs), {"embedding_drift": 0.4, "cka": 0.9}).refused
    assert observations(runs, epochs)["epoch"].min() == 1


def test_validation_shows_a_group_that_behaves_otherwise_and_says_so():
    rows = validate(observations(*views(shift=40.0)))
    odd = next(row for row in rows if row.left_out == "b n")
    assert odd.bias == pytest.approx(40, abs=6)
    assert odd.coverage < odd.level
    said = " ".join(validation_sentences(rows))
    assert "Coverage is poor in b n" in said
    like = [row for row in validate(observations(*views())) if row.by == "data set x method"]
    assert all(row.mae < 5 for row in like)


def test_what_cannot_be_validated_is_said():
    one = validate(observations(*views(groups=(("a", "m"),))))
    assert one == ()
    assert "cannot be estimated" in validation_sentences(one)[0]
    assert msgspec.json.encode(validate(observations(*views())))
