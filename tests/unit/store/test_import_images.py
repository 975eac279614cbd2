"""Import of results image by image next to a table of runs: what goes in, and what is refused before it does."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError
from heatdrift.image_results import image_results
from heatdrift.store.check import check_store
from heatdrift.store.folder import read_arrays
from heatdrift.store.importers.per_image_table import read_run_images
from heatdrift.store.sql import run_sql

N = 40
NAMES = ("cat", "dog", "frog")
RUNS = [
    {"dataset": "birds", "method": method, "lr": lr, "seed": seed}
    for method, lr, seed in product(("full_ft", "lora_r8"), (1e-4, 1e-3), (1, 2))
]


@pytest.fixture
def images():
    """Rows of eight runs, forty images in a row of their own order, classes by name."""
    rng = np.random.default_rng(4)
    label = np.repeat(NAMES, [14, 13, 13])
    base = np.where(rng.random(N) < 0.7, label, "dog")
    parts = []
    for run in RUNS:
        adapted = np.where(rng.random(N) < 0.6, label, "frog")
        part = pl.DataFrame(
            {"transfer_set": "pets", "image": [f"im{i:02d}" for i in range(N)], "label": label, "base_pred": base,
             "adapted_pred": adapted}
        ).with_columns(**{name: pl.lit(value) for name, value in run.items()})  # fmt: skip
        parts.append(part.sample(fraction=1.0, shuffle=True, seed=run["seed"]))
    return pl.concat(parts)


def runs_table(images):
    """The table of runs that states the accuracies of `images`."""
    own = images.group_by(*RUNS[0], maintain_order=True).agg(
        zero_shot_base_pct=(100 * (pl.col("base_pred") == pl.col("label")).mean()).round(1),
        zero_shot_pct=(100 * (pl.col("adapted_pred") == pl.col("label")).mean()).round(1),
    )
    return own.with_columns(
        backbone=pl.lit("lab"), val_acc_pct=80.0, transfer_set=pl.lit("pets"), n_transfer=N, protocol=pl.lit("theirs")
    )


def bring(tmp_path, images, runs, *more):
    """Import a table with results of single images; return the command's result and the store."""
    runs.write_parquet(tmp_path / "runs.parquet")
    images.write_parquet(tmp_path / "images.parquet")
    store = tmp_path / "store" / "heatdrift.duckdb"
    arguments = ["import", tmp_path / "runs.parquet", "--format", "table", "--study", "theirs"]
    arguments += ["--images", tmp_path / "images.parquet", "--store", store, *more]
    return CliRunner().invoke(app, [str(a) for a in arguments]), store


def test_every_run_gets_its_images_in_one_order_and_twice_is_once(tmp_path, images):
    runs = runs_table(images)
    for counts in ("8 imported, 0 there already", "0 imported, 8 there already"):
        result, store = bring(tmp_path, images, runs)
        assert result.exception is None, result.exception
        assert counts in result.stdout
        assert ("per-image results of 8 runs" in result.stdout) == ("8 imported" in counts)
    assert not check_store(store).wrong
    found = {
        (method, lr, seed): image_results(read_arrays(store.parent / "theirs" / cell, "hits"), "pets")
        for cell, method, lr, seed in run_sql(store, "SELECT cell_id, method, lr, seed FROM runs").rows()
    }
    assert len({r.images for r in found.values()}) == 1
    for (method, lr, seed), results in found.items():
        run = (pl.col("method") == method) & (pl.col("lr") == lr) & (pl.col("seed") == seed)
        own = images.filter(run).sort("image")
        assert results.class_names == NAMES
        assert [NAMES[c] for c in results.adapted_class] == own["adapted_pred"].to_list()
        assert [NAMES[c] for c in results.label] == own["label"].to_list()
        assert results.base.tolist() == (own["base_pred"] == own["label"]).to_list()


def test_the_question_answers_for_imported_runs(tmp_path, images):
    _, store = bring(tmp_path, images, runs_table(images))
    said = CliRunner().invoke(app, ["stats", "images", "--store", str(store), "--format", "json"])
    assert said.exception is None, said.exception
    assert '"transfer_set":"pets"' in said.stdout.replace(" ", "").replace("\n", "")


def test_hits_alone_go_in_and_whole_numbers_are_class_names(tmp_path, images):
    hits = images.with_columns(
        base_hit=pl.col("base_pred") == pl.col("label"),
        adapted_hit=(pl.col("adapted_pred") == pl.col("label")).cast(pl.Int8),
    )
    (first, *_) = read_run_images(written(tmp_path, hits.drop("label", "base_pred", "adapted_pred")))
    assert (first.results.label, first.results.class_names) == (None, ())
    numbers = images.with_columns(
        pl.col(c).replace_strict(dict(zip(NAMES, (10, 2, 7), strict=True)))
        for c in ("label", "base_pred", "adapted_pred")
    )
    (of_numbers, *_) = read_run_images(written(tmp_path, numbers))
    assert of_numbers.results.class_names == ("2", "7", "10")
    assert of_numbers.results.adapted.tolist() == first.results.adapted.tolist()


def test_a_learning_rate_of_single_precision_is_the_same_run(tmp_path, images):
    result, _ = bring(tmp_path, images.with_columns(pl.col("lr").cast(pl.Float32)), runs_table(images))
    assert result.exception is None, result.exception


def written(tmp_path, images):
    images.write_parquet(tmp_path / "images.parquet")
    return tmp_path / "images.parquet"


def first_run():
    return pl.all_horizontal(pl.col(name) == value for name, value in RUNS[0].items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop("seed"), "no column seed"),
        (lambda t: t.drop("label"), "no column base_hit"),
        (lambda t: t.head(0), "no rows"),
        (lambda t: t.with_columns(pl.col("seed").cast(pl.String)), "column seed is String, not a whole number"),
        (lambda t: t.with_columns(pl.col("lr").cast(pl.String)), "column lr is String, not a number"),
        (lambda t: t.with_columns(image=0.5), "column image is Float64, not a string or a whole number"),
        (lambda t: t.with_columns(base_hit=2, adapted_hit=1), "base_hit is Int32, not boolean, or 0 and 1"),
        (lambda t: t.with_columns(adapted_pred=1), "adapted_pred is Int32, label String"),
        (lambda t: t.with_columns(adapted_pred=pl.when(first_run()).then(None).otherwise("adapted_pred")),
         "adapted_pred is missing in 40 rows"),
        (lambda t: pl.concat([t, t.tail(1)]), "occurs twice for dataset birds, method lora_r8, lr 0.001, seed 2"),
        (lambda t: t.tail(8 * N - 1), "are not the same for two runs"),
        (lambda t: t.with_columns(image=pl.when(first_run()).then("image") .otherwise(pl.col("image") + "x")),
         "are not the same for two runs"),
        (lambda t: t.with_columns(label=pl.when(first_run()).then(pl.lit("cat")).otherwise("label")),
         "has another label in two runs"),
        (lambda t: t.with_columns(base_hit=True, adapted_hit=True), "hits and predicted classes disagree"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_right_is_refused(tmp_path, images, change, words):
    with pytest.raises(DataError, match=words):
        read_run_images(written(tmp_path, change(images)))


def test_no_table_is_refused(tmp_path):
    (tmp_path / "images.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot read"):
        read_run_images(tmp_path / "images.parquet")


@pytest.mark.parametrize(
    ("of_images", "of_runs", "words"),
    [
        (lambda t: t.with_columns(seed=pl.col("seed") + 10), lambda r: r, "there is no such run"),
        (lambda t: t, lambda r: r.with_columns(status=pl.lit("failed")), "that run is failed"),
        (lambda t: t.filter(~first_run()), lambda r: r, "1 of 8 finished runs have no per-image results of pets"),
        (lambda t: t, lambda r: r.with_columns(n_transfer=99), "of 40 images, the record's accuracies of 99"),
        (lambda t: t, lambda r: r.with_columns(zero_shot_pct=pl.col("zero_shot_pct") + 3), "for the adapted model"),
        (lambda t: t, lambda r: pl.concat([r, r.with_columns(backbone=pl.lit("other"))]), "fit 2 runs"),
    ],
)
def test_what_does_not_fit_the_runs_is_refused_before_anything_is_written(tmp_path, images, of_images, of_runs, words):
    result, store = bring(tmp_path, of_images(images), of_runs(runs_table(images)))
    assert isinstance(result.exception, DataError)
    assert words in result.exception.message
    assert result.exception.hint
    assert not store.parent.exists() or not list(store.parent.rglob("*.json"))


def test_other_results_for_a_run_that_has_some_are_refused(tmp_path, images):
    bring(tmp_path, images, runs_table(images))
    turned = images.with_columns(
        adapted_pred=pl.when(pl.col("adapted_pred") == pl.col("label")).then("label").otherwise(pl.lit("cat"))
    ).with_columns(adapted_pred=pl.when(pl.col("label") == "cat").then(pl.lit("dog")).otherwise("adapted_pred"))
    result, _ = bring(tmp_path, turned, runs_table(images).drop("zero_shot_pct"))
    assert isinstance(result.exception, DataError)
    assert "has other per-image results of pets already" in result.exception.message


def test_runs_in_bulk_can_have_them_too(tmp_path, images):
    folder = tmp_path / "bulk"
    folder.mkdir()
    runs = runs_table(images).with_columns(cell_id=pl.format("x-{}-{}-{}", "method", "lr", "seed"))
    runs.with_columns(study=pl.lit("theirs")).write_parquet(folder / "runs.parquet")
    store = tmp_path / "store" / "heatdrift.duckdb"
    arguments = ["import", folder, "--format", "heatdrift", "--images", written(tmp_path, images), "--store", store]
    for _ in range(2):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exception is None, result.exception
    assert not check_store(store).wrong
    assert len(list(store.parent.rglob("hits.npz"))) == 8
