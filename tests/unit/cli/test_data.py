"""`heatdrift data check` as a user runs it, on pictures with every fault at once."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_stand_ins import picture
from PIL import Image
from stubs import write_image_parquet
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError

STUDY = """
name = "looked"
protocol = "leakfree"
backbone = {{ name = "lab" }}

[train]
epochs = 1
batch_size = 8
data_seed = 3

[datasets.stripes]
train = "parquet:train.parquet"
test = "parquet:test.parquet"
sizes = {{ train = {train}, val = 2, probe = 2 }}

[transfer.other]
test = "parquet:other.parquet"

[transfer.again]
test = "parquet:test.parquet"
template = ["a {{}}.", "the {{}}."]

[grid]
dataset = ["stripes"]
method = ["full_ft"]
lr = [1e-4]
seed = [1]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Three classes; one train picture is in test, under another label; `other` has numbers and one empty picture."""
    for name, n, seed in (("train", 8, 1), ("test", 4, 2)):
        write_image_parquet(tmp_path / f"{name}.parquet", classes=3, per_class=n, size=28, seed=seed)
    train, test = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("train", "test"))
    pictures = test["image"].to_pylist()
    pictures[5] = train["image"][0].as_py()
    pq.write_table(test.set_column(0, "image", pa.array(pictures, pa.binary())), tmp_path / "test.parquet")
    shown = [picture((i * 20, 0, 0), size=(10 + i, 20)) for i in range(7)]
    other = pa.table({"image": pa.array([*shown, b""], pa.binary()), "label": [0, 1] * 4})
    pq.write_table(other, tmp_path / "other.parquet")
    (tmp_path / "study.toml").write_text(STUDY.format(train=3))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*options, study="study.toml"):
    return CliRunner().invoke(app, ["data", "check", study, *options])


def test_everything_is_said_before_anything_trains(place):
    done = check()
    text = " ".join(done.stdout.split())
    assert "stripes/train parquet:train.parquet; 24 pictures in 3 classes, 8 each; 28 x 28 pixels (1 size)" in text
    assert "splits of stripes, in each of its 3 classes: train 3, val 2, probe 2, test 4" in text
    assert "exact stripes/train and stripes/test: 1 pair, 1 with two labels" in text
    assert "train.parquet row 0 (colour 0) = test.parquet row 5 (colour 1)" in text
    assert "again 'a colour 0.', 'the colour 0.', 'a colour 1.'" in text
    assert "(3 classes x 2 templates, averaged)" in text
    assert "other parquet:other.parquet; 8 pictures in 2 classes, 4 each; 10 x 20 to 16 x 20 pixels (7 sizes)" in text
    assert "caution: stripes: 1 test picture is a train picture, too" in done.stderr
    assert "caution: other: its class names are no words but numbers or ids" in done.stderr
    assert isinstance(done.exception, DataError)
    assert "other: 1 of 8 pictures do not decode: other.parquet row 7" in done.exception.message
    with Image.open(place / "reports" / "data-looked.png") as sheet:
        assert sheet.width == 6 + 12 * 118
        assert sheet.height == 6 + 4 * 154


def test_json_has_all_and_csv_the_duplicates(place):
    found = json.loads(check("--format", "json", "--picture", "deep/crops.png").stdout)
    assert [one["name"] for one in found["sets"]] == ["stripes/train", "stripes/test", "other", "again"]
    assert found["sets"][0]["classes"] == [{"name": f"colour {i}", "n_images": 8} for i in range(3)]
    assert found["splits"][0] == {
        "dataset": "stripes",
        "class_name": "colour 0",
        "train": 3,
        "val": 2,
        "probe": 2,
        "test": 4,
    }
    assert found["prompts"][1]["templates"] == ["a {}.", "the {}."]
    assert found["picture"] == "deep/crops.png"
    assert (place / "deep" / "crops.png").is_file()
    rows = list(csv.DictReader(io.StringIO(check("--format", "csv").stdout)))
    exact = [row for row in rows if row["kind"] == "exact"]
    assert [(row["set_a"], row["picture_b"]) for row in exact] == [("stripes/train", "test.parquet row 5")]
    assert len(rows) == len(found["copies"])


def test_a_set_that_is_too_small_or_not_there_does_not_hide_the_others(place):
    (place / "other.parquet").unlink()
    (place / "study.toml").write_text(STUDY.format(train=30))
    done = check()
    assert isinstance(done.exception, DataError)
    assert "class 'colour 0' has 8 images" in done.exception.message
    assert "other: there is no file other.parquet" in done.exception.message
    assert "stripes/test" in done.stdout
    assert "again" in done.stdout


def test_classes_are_called_as_prompts_call_them(place):
    (place / "names.csv").write_text("number,name\n0,apple\n1,pear\n")
    study = STUDY.format(train=3).replace(
        '"parquet:other.parquet"', '"parquet:other.parquet"\nclass_names = "names.csv"'
    )
    (place / "study.toml").write_text(study)
    found = json.loads(check("--format", "json").stdout)
    assert [one["name"] for one in found["sets"][2]["classes"]] == ["apple", "pear"]
    assert found["prompts"][0]["first"] == ["a photo of a apple.", "a photo of a pear."]
    assert found["cautions"] == ["stripes: 1 test picture is a train picture, too; its test accuracy counts them"]


def test_the_demo_has_nothing_wrong(place):
    done = check("--format", "json", study="demo")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["problems"] == found["cautions"] == []
    assert [one["n_images"] for one in found["sets"]] == [800, 300, 768, 384, 720]


def test_nothing_is_left_where_the_picture_cannot_be_written(place):
    (place / "reports").write_text("a file")
    done = check()
    assert "caution: the sample crops are not written to reports/data-looked.png" in done.stderr
    assert "sample crops:" not in done.stdout
