"""What the user can correct: one clear paragraph with the next command, exit 2, nothing half-written."""

import shutil
import subprocess
import sys

import duckdb
import msgspec
import pytest
from stubs import find_records

from heatdrift.cli import main as cli
from heatdrift.store.folder import read_record, write_record


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """An empty folder with the tiny study's inputs at hand; commands run there."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process; returns (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["heatdrift", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return caught.value.code, printed.out, printed.err

    return call


def one_paragraph(result, *words):
    code, out, err = result
    text = " ".join(err.split())
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert "\ntry:" in err
    assert "Traceback" not in err
    for word in words:
        assert word in text, text


def nothing_written(place):
    assert not (place / "runs").exists()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = [1, 2, 3]", "seeds = [1, 2, 3]", ("unknown field `seeds`", "did you mean 'seed'")),
        ("lr = [1e-4, 1e-2]", "lr = [-1e-4]", ("learning rate must be >= 0", "-0.0001")),
        (
            'dataset = ["stripes", "hues"]',
            'dataset = ["strips"]',
            ("unknown data set 'strips'", "did you mean 'stripes'"),
        ),
        ("stripes_train.parquet", "gone.parquet", ("there is no file gone.parquet", "--data-dir")),
        ("lr = [1e-4, 1e-2]", 'lr = ["1e-4"]', ("got `str`", "$.grid.lr", "without quotes: lr = [1e-4]")),
        ("seed = [1, 2, 3]", 'seed = ["1"]', ("got `str`", "without quotes")),
        ("sizes = { train = 6", "sizes = { train = 10", ("data set 'stripes'", "class 'colour 0' has 16 images")),
    ],
)
def test_a_wrong_study_file(place, run, old, new, words):
    edit(place / "study.toml", old, new)
    one_paragraph(run("train", "--all", "--study", "study.toml"), *words)
    nothing_written(place)


def test_no_study_named_offers_the_demo(place, run):
    one_paragraph(run("train", "--all"), "no study named", "--study demo")


def test_no_cells_chosen(place, run):
    one_paragraph(run("train", "--study", "study.toml"), "no cells chosen", "--all")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--lr", "2e-3", "did you mean '0.01'? known: 0.0001, 0.01"), ("--seed", "11", "known: 1, 2, 3")],
)
def test_a_value_that_the_study_does_not_have(place, run, option, value, words):
    one_paragraph(run("train", "--study", "study.toml", option, value), words)
    nothing_written(place)


def test_a_truncated_parquet(place, run):
    whole = (place / "hues_test.parquet").read_bytes()
    (place / "hues_test.parquet").write_bytes(whole[:-100])
    result = run("train", "--study", "study.toml", "--dataset", "hues", "--seed", 1, "--jobs", 1)
    code, _, err = result
    assert code == 2
    assert "hues_test.parquet is not a readable Parquet file" in " ".join(err.split())
    assert not list(place.glob("runs/tiny/*/record.json"))
    assert not list(place.glob("runs/tiny/*/running.json"))


def test_weights_of_another_architecture(place, run):
    edit(place / "tiny.json", '"width": 32', '"width": 40')
    code, _, err = run("train", "--study", "study.toml", "--seed", 1, "--jobs", 1)
    assert code == 2
    assert "does not fit the architecture" in " ".join(err.split())
    assert not list(place.glob("runs/tiny/*/record.json"))


def test_an_unknown_metric_names_the_nearest(place, run, finished):
    one_paragraph(
        run("stats", "interaction", "--metric", "retention", "--store", finished), "did you mean 'retention_pct'"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selekt 1", ("syntax error",)),
        ("select retention from runs", ("retention",)),
        ("delete from runs", ("refused",)),
        ("create table x as select 1", ("refused",)),
        ("select 1; select 2", ("one SQL statement",)),
        ("select * from read_csv('/etc/passwd')", ("disabled",)),
    ],
)
def test_sql_with_an_error_or_a_write(place, run, finished, query, words):
    before = finished.read_bytes()
    one_paragraph(run("sql", query, "--store", finished), *words)
    assert finished.read_bytes() == before


def test_a_store_that_is_no_database(place, run):
    (place / "notes.duckdb").write_text("these are my notes, dear diary " * 20)
    one_paragraph(run("sql", "select 1", "--store", "notes.duckdb"), "notes.duckdb")
    assert (place / "notes.duckdb").read_text().startswith("these are my notes")


def test_a_missing_store(place, run):
    one_paragraph(run("sql", "select 1"), "heatdrift.duckdb")
    nothing_written(place)


def test_a_locked_store(place, run, finished):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read(); c.close()"
    command = [sys.executable, "-c", code, str(finished)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "open\n"
        one_paragraph(run("sql", "select count(*) from runs", "--store", finished), "open for writing")
        holder.stdin.close()


def test_a_store_of_a_newer_schema(place, run, finished):
    with duckdb.connect(str(finished)) as connection:
        connection.execute("update raw.migration set version = 9999 where version = 1")
    one_paragraph(run("sql", "select 1", "--store", finished), "newer")


def test_a_damaged_record_is_named_and_the_others_stay(place, run, finished):
    record = next(finished.parent.glob("tiny/*/record.json"))
    for path in (record, *record.parent.glob("attempts/*.json")):
        path.write_text(path.read_text()[:100])
    code, out, err = run("store", "rebuild", "--store", finished)
    assert code == 0
    assert "left out" in err
    assert record.parent.name in " ".join(err.split()).replace(" ", "")
    assert "1 runs from records" in out


def test_several_studies_and_none_named(place, run, finished):
    record = read_record(find_records(finished.parent)[0])
    write_record(msgspec.structs.replace(record, study="second"), finished.parent)
    assert run("store", "rebuild", "--store", finished)[0] == 0
    one_paragraph(run("stats", "correlation", "--store", finished), "second", "tiny", "--study")


@pytest.fixture
def finished(tmp_path_factory, trained):
    """A copy of a store with two finished runs, free to be damaged."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copytree(trained, folder / "runs")
    return folder / "runs" / "heatdrift.duckdb"
