import json
from dataclasses import replace

import polars as pl
import pytest

from heatdrift.accuracy import ON_TEST_TITLE
from heatdrift.cli.workspace import planned_cells
from heatdrift.data.class_names import names_of
from heatdrift.plan.study import load_study
from heatdrift.report.blocks import Figure, Note, Table
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections.published import METRICS, compared, published_section
from heatdrift.report.sections.published_facts import facts, published_studies
from heatdrift.report.study_data import prepare

LRS = (1e-6, 5e-6, 1e-5, 5e-5)
CHOICES = {
    "classifier at the start": ("torch",),
    "warm-up": ("from_zero",),
    "probe images drawn by": ("randomstate_42",),
    "attention averaged over": ("batches_32",),
}
CROPS = '{"antialias":true,"interpolation":"bilinear","mean":[0,0,0],"size":224,"std":[1,1,1]}'


def section(inp):
    return published_section(inp, prepare(inp))


@pytest.fixture(scope="module")
def replication(builders):
    """A study with the conditions of the publication and retention that is exactly as published.

    Its attention is as published after the last epoch, and 1 % of base away from that at the selected one.
    """
    inp = builders.simulated(study="preprint80", datasets=("eurosat", "pets"), lrs=LRS, seeds=2, results=False)
    epochs = pl.when(pl.col("dataset") == "eurosat").then(20).otherwise(30)
    (published,) = published_studies()
    theirs = pl.DataFrame(published["cells"]).select(
        "dataset", "method", "lr", zero_shot="zero_shot_pct", drift="delta_entropy_pct"
    )
    names = json.dumps({"eurosat": ["forest"], "cifar100": published["class_names"].split(", ")})
    runs = inp.runs.join(theirs, on=["dataset", "method", "lr"], how="left").with_columns(
        protocol=pl.lit("preprint"), backbone=pl.lit(published["backbone"]), transfer_set=pl.lit("cifar100"),
        epochs=epochs, zero_shot_base_pct=pl.lit(60.22), test_acc_pct=pl.lit(None, dtype=pl.Float64),
        zero_shot_pct=pl.col("zero_shot") + pl.when(pl.col("seed") == 7).then(1.0).otherwise(-1.0),
        delta_entropy_pct=pl.col("drift") + 1, preprocess=pl.lit(CROPS), class_names=pl.lit(names),
        prompt_template=pl.lit(published["prompt"]),
    )  # fmt: skip
    ends = runs.select("cell_id", "drift", last="epochs")
    at = pl.col("epoch") == 6
    epochs = inp.epochs.join(ends, on="cell_id").with_columns(
        epoch=pl.when(at).then("last").otherwise("epoch"),
        delta_entropy_pct=pl.when(at).then("drift").otherwise("delta_entropy_pct"),
    )
    return replace(
        inp, runs=runs.drop("zero_shot", "drift"), epochs=epochs.drop("last", "drift"), planned=None, choices=CHOICES
    )


def test_the_package_has_the_published_matrix_with_its_source():
    (published,) = published_studies()
    assert "202604.0317" in published["source"]
    assert len(published["cells"]) == 16
    assert {cell["lr"] for cell in published["cells"]} == set(LRS)


def test_a_replication_is_compared_cell_by_cell(replication):
    rows = compared(replication, published_studies()[0]["cells"])
    zero_shot = rows.filter(pl.col("metric") == "zero_shot_pct")
    assert zero_shot.height == 16
    assert zero_shot["difference"].abs().max() < 1e-9
    assert zero_shot["n"].unique().to_list() == [2]
    assert set(rows["metric"]) <= set(METRICS)
    found = section(replication)
    assert any("Comparable cell by cell in 16 cells" in b.text for b in found.blocks if isinstance(b, Note))
    (figure,) = (b for b in found.blocks if isinstance(b, Figure))
    assert len(figure.panels) == 6  # 2 data sets x 3 metrics
    titles = {row[3] for row in figure.table.rows}
    assert any(title.startswith(ON_TEST_TITLE) for title in titles)
    assert not any("validation" in title for title in titles)
    assert any(t.caption.startswith("Means of each method") for t in found.blocks if isinstance(t, Table))


def test_another_study_gets_a_statement_and_no_difference(study):
    found = section(study)
    note = next(b for b in found.blocks if isinstance(b, Note))
    assert "Not comparable value by value: backbone, protocol" in note.text
    assert not any(isinstance(b, Figure) for b in found.blocks)
    conditions, theirs = (b for b in found.blocks if isinstance(b, Table))
    assert ("backbone", "ViT-B-32-quickgelu/openai", "lab", "no") in conditions.rows
    assert theirs.folded
    assert len(theirs.rows) == 16


def test_attention_is_compared_after_the_last_epoch_and_accuracy_at_the_selected_one(replication):
    (published,) = published_studies()
    rows = compared(replication, published["cells"], at_last=["delta_entropy_pct"])
    largest = rows.group_by("metric").agg(pl.col("difference").abs().max())
    by_metric = dict(largest.rows())
    assert by_metric["delta_entropy_pct"] < 1e-9
    assert by_metric["zero_shot_pct"] < 1e-9
    at_selected = compared(replication, published["cells"]).filter(pl.col("metric") == "delta_entropy_pct")
    assert at_selected["difference"].min() == pytest.approx(1)
    assert "Measured after the last epoch" in " ".join(
        b.text for b in section(replication).blocks if isinstance(b, Note)
    )


def test_a_run_without_its_last_epoch_gives_no_attention(replication):
    cut = replace(replication, epochs=replication.epochs.filter(pl.col("epoch") < 6))
    rows = compared(cut, published_studies()[0]["cells"], at_last=["delta_entropy_pct"])
    assert "delta_entropy_pct" not in rows["metric"].to_list()


@pytest.mark.parametrize(
    ("column", "ours", "name", "shown"),
    [
        ("preprocess", CROPS.replace("bilinear", "bicubic"), "preprocessing", "bicubic antialiased to 224 pixels and"),
        (
            "preprocess",
            CROPS.replace('"size"', '"resize":256,"size"'),
            "preprocessing",
            "to 256 pixels and crop of 224",
        ),
        ("prompt_template", "a photo of a {}.", "prompt", "a photo of a {}."),
        ("class_names", None, "class names in prompts", "aquarium fish, crab"),
    ],
)
def test_numbers_of_another_setup_are_not_subtracted(replication, column, ours, name, shown):
    """Other pixels or other words: the base's accuracy alone differs by points."""
    if ours is None:
        names = published_studies()[0]["class_names"].replace("_", " ").replace("cra,", "crab,").split(", ")
        ours = json.dumps({"cifar100": names})
    other = replace(replication, runs=replication.runs.with_columns(pl.lit(ours).alias(column)))
    (fact,) = (f for f in facts(other, published_studies()[0]) if f.name == name)
    assert fact.same is False
    assert shown in fact.ours
    found = section(other)
    assert not any(isinstance(b, Figure) for b in found.blocks)
    assert any(f"Not comparable value by value: {name} differs" in b.text for b in found.blocks if isinstance(b, Note))


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("ours", [("another",), ("another", "torch"), None])
def test_numbers_of_another_recipe_are_not_subtracted(replication, name, ours):
    """Points of accuracy hang on how a classifier starts; what is not known may differ."""
    choices = {n: values for n, values in CHOICES.items() if n != name} | ({name: ours} if ours else {})
    other = replace(replication, choices=choices)
    (fact,) = (f for f in facts(other, published_studies()[0]) if f.name == name)
    assert fact.same is (False if ours else None)
    assert not any(isinstance(b, Figure) for b in section(other).blocks)


def test_the_choices_of_the_shipped_study_are_the_published_ones(tmp_path):
    (published,) = published_studies()
    cell = planned_cells(load_study("preprint80"), tmp_path)[0]
    assert cell.recipe.choices == published["choices"] == {name: values[0] for name, values in CHOICES.items()}
    assert cell.transfer[0].template == published["prompt"]
    assert cell.preprocess.interpolation == published["crops"]["interpolation"]


def test_the_published_cka_is_split_by_what_it_averages():
    """13 states, of which the first is rounding noise in [0, 1]: the mean over blocks lies in an interval."""
    auxiliary = published_studies()[0]["auxiliary"]
    for method, stated in (("full_ft", 0.694), ("lora_r8", 0.815)):
        values = auxiliary[method]
        assert values["cka_13_states"] == stated
        low, high = values["cka_blocks"]
        assert low == pytest.approx((13 * stated - 1) / 12, abs=1e-3)
        assert high == pytest.approx(13 * stated / 12, abs=1e-3)
        assert "cka" not in values


def test_published_class_names_are_those_of_the_list():
    assert tuple(published_studies()[0]["class_names"].split(", ")) == names_of("cifar100/hub")


@pytest.mark.parametrize("change", ["backbone", "protocol", "transfer_set"])
def test_one_decisive_difference_forbids_subtraction(replication, change):
    other = replace(replication, runs=replication.runs.with_columns(pl.lit("other").alias(change)))
    assert not any(isinstance(b, Figure) for b in section(other).blocks)


def test_what_is_not_known_here_is_said_not_guessed(replication):
    bare = replace(replication, runs=replication.runs.with_columns(transfer_set=pl.lit(None, dtype=pl.String)))
    (fact,) = (f for f in facts(bare, published_studies()[0]) if f.name == "transfer set")
    assert fact.same is None


def test_without_a_finished_run_there_is_nothing_to_compare(replication):
    (note,) = section(replace(replication, runs=replication.runs.clear())).blocks
    assert "No finished run" in note.text


def test_learning_rates_are_listed_by_size():
    [published] = published_studies()
    found = {fact.name: fact for fact in facts(ReportInput(study="none"), published)}
    assert found["learning rates"].theirs == "1e-6, 5e-6, 1e-5, 5e-5"
