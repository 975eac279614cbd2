"""What goes into a record comes out of the views: record -> JSON -> store -> view, for any valid record."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heatdrift.controls import has_control
from heatdrift.methods import METHODS
from heatdrift.metrics import PROBES
from heatdrift.records import (
    AdapterChecks,
    Cell,
    EpochRecord,
    Provenance,
    Recipe,
    RobustnessRecord,
    RunRecord,
    SplitSizes,
    TransferPlan,
    TransferRecord,
)
from heatdrift.store.connect import open_store
from heatdrift.store.folder import read_record, write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.read import read_view

NAMES = st.text("abcXYZ019._-", min_size=1, max_size=12).filter(lambda s: s[0].isalnum())
TEXTS = st.text(max_size=20).filter(lambda s: "\x00" not in s and s.encode("utf-8", "ignore").decode() == s)
LABELS = TEXTS.filter(lambda s: not has_control(s))  # a control character is in no name
FLOATS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda x: x or 0.0)
PERCENT = st.floats(0, 100).map(lambda x: x or 0.0)
COUNTS = st.integers(1, 10**9)
MEASURED = {"cka": st.floats(0, 1.00001), "cka_debiased": st.floats(-1, 1.00001), "map_js": st.floats(0, 1)}


def maybe(strategy):
    return st.none() | strategy


@st.composite
def epoch_records(draw, number, blocks, heads):
    def value(probe):
        return maybe(MEASURED.get(probe.name, FLOATS))

    means = {p.name: draw(value(p)) for p in PROBES if draw(st.booleans())}
    layers = {
        p.name: tuple(draw(st.lists(value(p), min_size=blocks, max_size=blocks)))
        for p in PROBES
        if p.per_layer and draw(st.booleans())
    }

    def row(probe):
        return st.lists(value(probe), min_size=heads, max_size=heads).map(tuple)

    grids = {
        p.name: tuple(draw(st.lists(row(p), min_size=blocks, max_size=blocks)))
        for p in PROBES
        if p.per_head and draw(st.booleans())
    }
    return EpochRecord(
        epoch=number,
        train_loss=draw(maybe(FLOATS)),
        train_acc_pct=draw(maybe(PERCENT)),
        val_acc_pct=draw(maybe(PERCENT)),
        track_zero_shot_pct=draw(maybe(PERCENT)),
        means=means,
        layers=layers,
        heads=grids,
    )


@st.composite
def run_records(draw):
    method = draw(st.sampled_from(sorted(METHODS)))
    sets = draw(st.lists(NAMES, max_size=3, unique=True))
    cell = Cell(
        backbone=draw(LABELS),
        backbone_sha256=draw(maybe(TEXTS)),
        dataset=draw(LABELS),
        data_sha256=draw(maybe(TEXTS)),
        protocol=draw(st.sampled_from(["leakfree", "preprint"])),
        method=method,
        method_spec=draw(maybe(st.just(METHODS[method]))),
        lr=draw(st.floats(0, 10)),
        seed=draw(st.integers(-(2**63), 2**63 - 1)),
        recipe=draw(
            maybe(
                st.builds(
                    Recipe,
                    epochs=COUNTS,
                    batch_size=COUNTS,
                    sizes=st.builds(SplitSizes, train=maybe(COUNTS), val=maybe(COUNTS), probe=maybe(COUNTS)),
                    data_seed=maybe(COUNTS),
                )
            )
        ),
        transfer=tuple(TransferPlan(name=name, data_sha256=None, template=draw(TEXTS)) for name in sets),
    )
    blocks, heads = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    numbers = sorted(draw(st.sets(st.integers(0, 4), max_size=3)))
    selected = draw(st.sampled_from(numbers)) if numbers else None
    return RunRecord(
        study=draw(NAMES),
        cell_id=cell.cell_id,
        status=draw(st.sampled_from(["done", "diverged", "failed"] if numbers else ["diverged", "failed"])),
        error=draw(maybe(TEXTS)),
        cell=cell,
        trainable_params=draw(maybe(COUNTS)),
        selected_epoch=selected,
        test_acc_pct=draw(maybe(PERCENT)),
        n_test=draw(maybe(COUNTS)),
        epochs=tuple(draw(epoch_records(n, blocks, heads)) for n in numbers),
        transfer=tuple(
            TransferRecord(transfer_set=s, n_images=draw(COUNTS), base_pct=draw(PERCENT), adapted_pct=draw(PERCENT))
            for s in sets
        ),
        robustness=tuple(
            RobustnessRecord(corruption=c, acc_pct=draw(PERCENT))
            for c in draw(st.lists(NAMES, max_size=2, unique=True))
        ),
        checks=draw(maybe(st.builds(AdapterChecks, live_max_diff=FLOATS, off_max_diff=FLOATS))),
        provenance=draw(st.builds(Provenance, commit=maybe(TEXTS), dirty=maybe(st.booleans()), source=maybe(TEXTS))),
        started_at=draw(maybe(st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()))),
        wall_s=draw(maybe(FLOATS)),
    )


def long_rows(record):
    return {
        (e.epoch, layer, metric): value
        for e in record.epochs
        for metric, values in e.layers.items()
        for layer, value in enumerate(values)
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(run_records(), min_size=1, max_size=3, unique_by=lambda r: (r.study.lower(), r.cell_id)))
def test_a_record_comes_back_through_the_store(records):
    with tempfile.TemporaryDirectory() as folder:
        for record in records:
            path = write_record(record, Path(folder)).path
            assert read_record(path) == record
        store = Path(folder) / "heatdrift.duckdb"
        assert ingest(store).added == len(records)
        with open_store(store) as connection:
            frames = {
                view: read_view(connection, view)
                for view in ("runs", "epochs", "layers", "heads", "transfer", "robustness")
            }
    assert frames["runs"].height == len(records)
    for record in records:
        mine = {
            view: frame.filter(pl.col("study") == record.study, pl.col("cell_id") == record.cell_id)
            for view, frame in frames.items()
        }
        check_run(record, mine)


def check_run(record, mine):
    row = mine["runs"].row(0, named=True)
    for name in ("backbone", "dataset", "protocol", "method", "lr", "seed", "backbone_sha256", "data_sha256"):
        assert row[name] == getattr(record.cell, name)
    for name in (
        "status",
        "error",
        "selected_epoch",
        "trainable_params",
        "test_acc_pct",
        "n_test",
        "wall_s",
        "attempt",
    ):
        assert row[name] == getattr(record, name)
    for name in ("commit", "dirty", "source"):
        assert row[name] == getattr(record.provenance, name)
    assert mine["epochs"]["epoch"].to_list() == [e.epoch for e in record.epochs]
    for epoch, stored in zip(record.epochs, mine["epochs"].iter_rows(named=True), strict=True):
        assert stored["selected"] == (epoch.epoch == record.selected_epoch)
        for name in ("train_loss", "train_acc_pct", "val_acc_pct", "track_zero_shot_pct"):
            assert stored[name] == getattr(epoch, name)
        assert {p.name: stored[p.name] for p in PROBES} == {p.name: epoch.means.get(p.name) for p in PROBES}
    stored = {(r["epoch"], r["layer"], r["metric"]): r["value"] for r in mine["layers"].iter_rows(named=True)}
    assert stored == long_rows(record)
    heads = {(r["epoch"], r["layer"], r["head"], r["metric"]): r["value"] for r in mine["heads"].iter_rows(named=True)}
    assert heads == {
        (e.epoch, layer, head, metric): value
        for e in record.epochs
        for metric, rows in e.heads.items()
        for layer, values in enumerate(rows)
        for head, value in enumerate(values)
    }
    assert {
        (r["transfer_set"], r["n_images"], r["base_pct"], r["adapted_pct"])
        for r in mine["transfer"].iter_rows(named=True)
    } == {(t.transfer_set, t.n_images, t.base_pct, t.adapted_pct) for t in record.transfer}
    for stored, wanted in zip(
        mine["robustness"].iter_rows(named=True), sorted(record.robustness, key=lambda r: r.corruption), strict=True
    ):
        assert (stored["corruption"], stored["acc_pct"]) == (wanted.corruption, wanted.acc_pct)
    base = next((e for e in record.epochs if e.epoch == 0), None)
    selected = next((e for e in record.epochs if e.epoch == record.selected_epoch), None)
    before, after = (e.means.get("entropy") if e else None for e in (base, selected))
    if before and after is not None:
        assert row["delta_entropy_pct"] == pytest.approx(100 * (after - before) / before, rel=1e-12, abs=1e-300)
    else:
        assert row["delta_entropy_pct"] is None
