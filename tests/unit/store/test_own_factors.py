"""A table's own settings (rank, augmentation) are factors: kept by their names, and part of what tells runs apart."""

import json

import pytest

from heatdrift.errors import DataError, DuplicateRunsError, UnknownNameError
from heatdrift.records import Cell
from heatdrift.store.export import export_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.own_factors import level_of
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.sql import run_sql

KEYS = "m,cars,lora,1e-4"


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def bring(tmp_path, mine):
    def run(head, *rows, factors=(), ignore=(), **options):
        (tmp_path / "t.csv").write_text("\n".join((f"backbone,dataset,method,lr,seed,test_acc_pct,{head}", *rows)))
        choices = Choices(factors=factors, ignore=ignore)
        report = import_table(
            tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s", choices=choices, **options
        )
        ingest(mine)
        return report

    return run


def kept(mine):
    rows = run_sql(mine, "SELECT seed, factors, test_acc_pct FROM runs ORDER BY seed, test_acc_pct").rows()
    return [(seed, json.loads(text) if text else None, value) for seed, text, value in rows]


GRID = (f"{KEYS},1,60,4,none", f"{KEYS},1,61,8,none", f"{KEYS},1,62,4,randaug", f"{KEYS},1,63,8.0,randaug")


def test_factors_that_differ_under_one_key_make_runs_of_their_own(bring, mine):
    report = bring("rank,augmentation", *GRID)
    assert report.audit.factors == report.audit.telling == ("rank", "augmentation")
    assert report.audit.keys["augmentation"] == ("none", "randaug")
    assert report.added == 4
    assert kept(mine) == [
        (1, {"augmentation": "none", "rank": "4"}, 60),
        (1, {"augmentation": "none", "rank": "8"}, 61),
        (1, {"augmentation": "randaug", "rank": "4"}, 62),
        (1, {"augmentation": "randaug", "rank": "8"}, 63),
    ]
    assert bring("rank,augmentation", *GRID).unchanged == 4
    rebuild(mine)
    assert len(kept(mine)) == 4


def test_they_survive_an_export(bring, mine, tmp_path):
    bring("rank,augmentation", *GRID)
    for name in ("export", "export.duckdb"):
        export_store(mine, tmp_path / name)
        other = tmp_path / f"of_{name}" / "heatdrift.duckdb"
        import_heatdrift(tmp_path / name, other.parent)
        ingest(other)
        assert kept(other) == kept(mine)


def test_a_factor_that_no_key_needs_leaves_the_ids_as_they_were(bring, mine):
    rows = (f"{KEYS},1,60,4", f"{KEYS},2,61,8")
    bring("note", f"{KEYS},1,60,good", f"{KEYS},2,61,bad")
    before = set(run_sql(mine, "SELECT cell_id FROM runs")["cell_id"])
    report = bring("rank", *rows)
    assert (report.audit.factors, report.audit.telling) == (("rank",), ())
    assert set(run_sql(mine, "SELECT cell_id FROM runs")["cell_id"]) == before
    assert kept(mine) == [(1, {"rank": "4"}, 60), (2, {"rank": "8"}, 61)]


def test_a_cell_without_factors_has_the_id_that_it_always_had():
    cell = Cell(
        backbone="m", backbone_sha256=None, dataset="cars", data_sha256=None, protocol="imported", method="lora",
        method_spec=None, lr=1e-4, seed=1, recipe=None,
    )  # fmt: skip
    assert cell.cell_id == "c1-bdd5ac8d9cc7e498"


def test_any_column_is_a_factor_where_it_is_asked_for(bring, mine):
    rows = (f"{KEYS},1,60,a100", f"{KEYS},1,61,h100")
    with pytest.raises(DuplicateRunsError, match="several times") as caught:
        bring("machine", *rows)
    assert "--factor" in caught.value.hint
    assert bring("machine", *rows, factors=("machine",)).added == 2
    with pytest.raises(UnknownNameError, match="machin"):
        bring("machine", *rows, factors=("machin",))


def test_a_constant_that_is_asked_for_keeps_two_tables_apart(bring, mine):
    bring("rank", f"{KEYS},1,60,4", factors=("rank",))
    bring("rank", f"{KEYS},1,61,8", factors=("rank",))
    assert kept(mine) == [(1, {"rank": "4"}, 60), (1, {"rank": "8"}, 61)]


def test_a_number_of_another_name_stays_a_metric(bring):
    report = bring("f1,host", f"{KEYS},1,60,0.5,a", f"{KEYS},2,61,0.6,b")
    assert (report.audit.factors, report.audit.further, report.ignored) == ((), ("f1",), ("host",))


def test_a_factor_of_too_many_levels_is_refused(bring):
    with pytest.raises(DataError, match="31 levels"):
        bring("who", *(f"{KEYS},{i},60,u{i}" for i in range(31)), factors=("who",))


def test_epochs_of_runs_that_a_factor_tells_apart_are_not_mixed(bring, mine):
    rows = [f"{KEYS},1,,{rank},{epoch},{50 + rank + epoch}" for rank in (4, 8) for epoch in (1, 2)]
    assert bring("rank,epoch,val_acc_pct", *rows).added == 2
    found = run_sql(mine, "SELECT last_epoch, val_acc_pct FROM runs ORDER BY val_acc_pct").rows()
    assert found == [(2, 56), (2, 60)]


def test_levels():
    assert [level_of(v) for v in (8, 8.0, "8", "8.0", "None", None, "", "nan", " a ")] == [
        *(["8"] * 4),
        "none",
        None,
        None,
        None,
        "a",
    ]
