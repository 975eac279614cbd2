"""Pictures of runs that no test rests on: the performance profile and the probability of keeping more."""

import json
from dataclasses import replace

import polars as pl
import pytest
from report_inputs import simulated

from heatdrift.errors import ReportError
from heatdrift.questions.paired.probability import probability_figure, share_by_lr
from heatdrift.questions.retention.profile import profile_figure, shares_above
from heatdrift.report.blocks import Note
from heatdrift.report.head_drift import head_drift, head_means
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.study_data import prepare

SMALL = {"datasets": ("textures",), "lrs": (1e-5, 1e-4), "seeds": 3, "results": False}


def runs(rows):
    return pl.DataFrame(rows, schema=["place", "method", "lr", "seed", "retention_pct"], orient="row")


def test_a_profile_counts_runs_above_the_threshold_and_ranges_over_complete_seeds():
    rows = [("a", "lora", lr, seed, kept) for lr, seed, kept in
            ((1e-4, 0, 90.0), (1e-4, 1, 70.0), (1e-3, 0, 60.0), (1e-3, 1, 50.0), (1e-4, 2, 95.0))]  # fmt: skip
    (found,) = shares_above(runs(rows), (60,)).iter_rows(named=True)
    assert (found["n"], found["n_seeds"]) == (5, 2)  # seed 2 lacks a learning rate
    assert found["share"] == pytest.approx(3 / 5)  # exactly 60 is not above 60
    assert (found["low"], found["high"]) == (0.5, 0.5)


def test_a_profile_leaves_out_rates_that_only_one_method_was_run_at():
    rows = [("a", "full", 1e-3, 0, 10.0), ("a", "full", 1e-4, 0, 80.0), ("a", "lora", 1e-4, 0, 90.0)]
    shares = {
        r["method"]: (r["n"], r["share"], r["low"]) for r in shares_above(runs(rows), (50,)).iter_rows(named=True)
    }
    assert shares == {"full": (1, 1.0, None), "lora": (1, 1.0, None)}  # one seed has no band


def test_the_probability_is_that_of_seeds_that_trained_both_with_its_exact_interval():
    rows = [("a", "lora", 1e-4, s, 90.0) for s in range(4)] + [("a", "full", 1e-4, s, k) for s, k in
            ((0, 80.0), (1, 85.0), (2, 89.0), (3, 90.0), (9, 1.0))]  # fmt: skip
    (found,) = share_by_lr(runs(rows), "lora", "full", 0.95).iter_rows(named=True)
    assert (found["n"], found["ties"], found["share"], found["high"]) == (3, 1, 1.0, 1.0)
    assert found["low"] == pytest.approx(0.2924, abs=1e-4)  # (0.05 / 2) ** (1 / 3)


def test_ties_alone_have_no_share_and_methods_without_a_common_seed_no_row():
    tied = runs([("a", "lora", 1e-4, 0, 90.0), ("a", "full", 1e-4, 0, 90.0)])
    assert share_by_lr(tied, "lora", "full", 0.95)["share"].to_list() == [None]
    apart = runs([("a", "lora", 1e-4, 0, 90.0), ("a", "full", 1e-4, 1, 90.0)])
    assert share_by_lr(apart, "lora", "full", 0.95).is_empty()


def test_both_have_a_panel_for_each_place_and_none_without_retention():
    data = prepare(simulated(**SMALL))
    for figure in (profile_figure(data), probability_figure(data, "lora_r8", "full_ft", 0.95)):
        assert len(figure.panels) == 1
        assert figure.table.rows
    page = simulated(**SMALL)
    bare = prepare(type(page)(study="s", runs=page.runs.with_columns(retention_pct=pl.lit(None, dtype=pl.Float64))))
    assert profile_figure(bare) is None
    assert probability_figure(bare, "lora_r8", "full_ft", 0.95) is None


def test_a_picture_that_fails_leaves_a_note_and_no_rows():
    datasets = {"runs": pl.DataFrame()}

    def fails():
        datasets["half"] = pl.DataFrame()
        raise ReportError("no font", hint="none")

    (note,) = figure_or_note("the profile", fails, datasets)
    assert isinstance(note, Note)
    assert "the profile" in note.text
    assert list(datasets) == ["runs"]
    assert figure_or_note("nothing", lambda: None, datasets) == []


def with_head_maps(study):
    """Give every head of every run a divergence: block / 10 + head / 100, twice as much at the higher rate."""
    runs = study.runs.select("study", "cell_id", "lr", epoch="selected_epoch")
    rows = [
        {"study": s, "cell_id": c, "epoch": e, "layer": layer, "head": head, "metric": "map_js",
         "value": (layer / 10 + head / 100) * (2 if lr > 5e-5 else 1), "base": None, "delta_pct": None}
        for s, c, lr, e in runs.iter_rows() for layer in range(3) for head in range(2)
    ]  # fmt: skip
    return replace(study, heads=pl.DataFrame(rows, infer_schema_length=None))


def test_head_maps_are_means_over_seeds_at_the_selected_epoch():
    study = with_head_maps(simulated(**SMALL))
    data = prepare(study)
    means = head_means(data.runs, study.heads)
    assert means.height == 2 * 2 * 3 * 2  # methods, learning rates, blocks, heads
    row = means.filter((pl.col("lr") == 1e-4) & (pl.col("layer") == 2) & (pl.col("head") == 1)).row(0, named=True)
    assert (row["n"], row["value"]) == (3, pytest.approx(2 * 0.21))
    figure = head_drift(data, study.heads)
    assert len(figure.panels) == 4
    assert len(figure.table.rows) == 2 * 2 * 3
    assert head_drift(data, study.heads.clear()) is None


def steps_used(panel):
    """Colours of a drawn map, of those of its scale."""
    scale = json.loads(panel.spec)["layer"][0]["encoding"]["color"]["scale"]
    return {colour for colour in scale["range"] if f'fill="{colour}"' in panel.svg or colour in panel.svg}


def test_the_map_of_the_lowest_rate_has_several_colours_although_the_highest_moved_a_hundredfold():
    study = with_head_maps(simulated(**SMALL))
    wide = study.heads.join(study.runs.select("study", "cell_id", "lr"), on=["study", "cell_id"]).with_columns(
        value=pl.when(pl.col("lr") > 5e-5).then(pl.col("value") * 2).otherwise(pl.col("value") / 50)
    )
    study = replace(study, heads=wide.drop("lr"))
    figure = head_drift(prepare(study), study.heads)
    lowest, highest = figure.panels[0], figure.panels[1]
    assert len(steps_used(lowest)) >= 3
    assert len(steps_used(highest)) >= 2
    assert "not equally wide" in figure.caption
    assert len(figure.legend) == 5
    ends = [entry.label.split()[0::2] for entry in figure.legend]
    assert [a[1] for a in ends[:-1]] == [b[0] for b in ends[1:]]  # each step begins where the last one ends


def test_equal_values_have_one_step():
    study = with_head_maps(simulated(**SMALL))
    study = replace(study, heads=study.heads.with_columns(value=pl.lit(0.0)))
    figure = head_drift(prepare(study), study.heads)
    assert len(figure.legend) == 1
    assert not any(panel.problem for panel in figure.panels)
