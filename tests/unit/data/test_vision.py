import io
import pickle
import tarfile
import zipfile
from hashlib import md5

import numpy as np
import pytest
from hub_stand_ins import picture, web_server
from huggingface_hub import constants
from torchvision import datasets

from heatdrift.config import SourceSpec
from heatdrift.data import vision
from heatdrift.data.class_names import apply_class_names, names_of
from heatdrift.data.download import Archive, download_archive
from heatdrift.data.sources import fetch_source, missing_source, open_source, source_sha256
from heatdrift.data.vision import SETS, eurosat_split
from heatdrift.errors import DataError, UnknownNameError

EUROSAT = ("AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop")
EUROSAT += ("Residential", "River", "SeaLake")


def quiet(*_):
    pass


def source(place):
    return SourceSpec(source=f"torchvision:{place}")


def make_eurosat(folder, per_class=5):
    for label, name in enumerate(EUROSAT):
        (folder / "2750" / name).mkdir(parents=True)
        for i in range(per_class):
            (folder / "2750" / name / f"{name}_{i}.jpg").write_bytes(picture((label * 20, i * 20, 0), kind="JPEG"))


def make_pets(folder):
    """Two breeds, two trainval pictures each and one test picture each, listed as the data set lists them."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for split, numbers in (("trainval", (1, 2)), ("test", (3,))):
        lines = []
        for label, name in enumerate(("Abyssinian", "american_bulldog"), start=1):
            for number in numbers:
                image = f"{name}_{number}"
                (folder / "images" / f"{image}.jpg").write_bytes(picture((label * 50, number * 50, 0)))
                lines.append(f"{image} {label} {label} 1\n")
        (folder / "annotations" / f"{split}.txt").write_text("".join(lines))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A CIFAR100 with four pictures a split; torchvision is told the hashes of these files."""
    folder = tmp_path / "torchvision" / "cifar-100-python"
    folder.mkdir(parents=True)
    names = [name.replace(" ", "_") for name in names_of("cifar100/1")]
    generator = np.random.default_rng(0)
    parts = {"meta": {"fine_label_names": names}}
    for split, labels in (("train", list(range(100))), ("test", [*range(100), 3])):
        data = generator.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        parts[split] = {"data": data, "fine_labels": labels}
    for name, content in parts.items():
        (folder / name).write_bytes(pickle.dumps(content))
    hashes = {name: md5((folder / name).read_bytes()).hexdigest() for name in parts}
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", hashes["train"]]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", hashes["test"]]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", datasets.CIFAR100.meta | {"md5": hashes["meta"]})
    return folder


def test_cifar_is_read_with_its_official_splits(cifar, tmp_path):
    train, test = (open_source(source(f"CIFAR100/{split}"), tmp_path) for split in ("train", "test"))
    assert (len(train), len(test)) == (100, 101)
    assert train.sha256 != test.sha256
    assert [entry.path for entry in test.files] == ["cifar-100-python/test"]
    assert test.class_names[1] == "aquarium fish"
    assert apply_class_names(test, "cifar100/1").class_names == names_of("cifar100/1")
    pixels = np.frombuffer(pickle.loads((cifar / "test").read_bytes())["data"][100].tobytes(), np.uint8)
    assert np.array_equal(np.asarray(test.read(100)), pixels.reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_damaged_cifar_file_is_never_unpickled(cifar, tmp_path):
    (cifar / "test").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError, match="torchvision cannot read CIFAR100") as caught:
        open_source(source("CIFAR100/test"), tmp_path)
    assert "heatdrift fetch" in caught.value.hint


def test_pets_are_read_with_their_official_splits(tmp_path):
    make_pets(tmp_path / "torchvision" / "oxford-iiit-pet")
    train, test = (open_source(source(f"OxfordIIITPet/{split}"), tmp_path) for split in ("trainval", "test"))
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert test.class_names == ("Abyssinian", "American Bulldog")
    assert test.name(1) == "oxford-iiit-pet/images/american_bulldog_3.jpg"
    assert test.read(1).getpixel((0, 0)) == (100, 150, 0)


def test_eurosat_splits_are_drawn_by_class_and_disjoint(tmp_path):
    make_eurosat(tmp_path / "torchvision" / "eurosat")
    every, train, test = (open_source(source(f"EuroSAT/{split}"), tmp_path) for split in ("all", "train", "test"))
    names = [{images.name(i) for i in range(len(images))} for images in (every, train, test)]
    assert names[1] | names[2] == names[0]
    assert not names[1] & names[2]
    assert np.bincount(test.labels).tolist() == [1] * 10
    assert np.bincount(train.labels).tolist() == [4] * 10
    assert test.class_names[9] == "sea lake"


def test_the_eurosat_draw_does_not_change():
    labels = np.repeat(np.arange(3), 10)
    assert eurosat_split(labels, "test").tolist() == [4, 9, 13, 17, 28, 29]


def test_identities_are_those_of_the_reference_and_of_the_draw(tmp_path):
    hashes = {
        place: source_sha256(source(place), tmp_path) for place in ("EuroSAT/all", "EuroSAT/test", "CIFAR10/test")
    }
    assert len(set(hashes.values())) == 3
    make_eurosat(tmp_path / "torchvision" / "eurosat")
    assert source_sha256(source("EuroSAT/test"), tmp_path) == hashes["EuroSAT/test"]


@pytest.mark.parametrize(
    ("place", "known"), [("Eurosat/all", "EuroSAT"), ("CIFAR100/val", "test"), ("CIFAR10", "test")]
)
def test_unknown_names_and_splits_are_refused(place, known, tmp_path):
    with pytest.raises(UnknownNameError) as caught:
        source_sha256(source(place), tmp_path)
    assert known in caught.value.known


def test_what_is_missing_is_named_with_its_address(tmp_path):
    (tmp_path / "torchvision" / "oxford-iiit-pet" / "images").mkdir(parents=True)
    error = missing_source(source("OxfordIIITPet/test"), tmp_path)
    assert "lacks annotations/trainval.txt, annotations/test.txt" in error.message
    assert "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz" in error.hint
    assert str(tmp_path / "torchvision" / "oxford-iiit-pet") in error.hint


def test_addresses_and_sums_are_torchvisions():
    for name in ("CIFAR10", "CIFAR100"):
        theirs = getattr(datasets, name)
        assert [(a.url, a.md5) for a in SETS[name].archives] == [(theirs.url, theirs.tgz_md5)]
    assert tuple((a.url, a.md5) for a in SETS["OxfordIIITPet"].archives) == datasets.OxfordIIITPet._RESOURCES


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def zipped_eurosat(tmp_path):
    make_eurosat(tmp_path / "made", per_class=2)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*.jpg")):
            archive.write(path, path.relative_to(tmp_path / "made"))
    return stream.getvalue()


def serve_eurosat(monkeypatch, url, data):
    archive = Archive(name="EuroSAT.zip", url=f"{url}/EuroSAT.zip", md5=md5(data).hexdigest())
    eurosat = SETS["EuroSAT"]
    changed = vision.VisionSet(
        splits=eurosat.splits, place="eurosat", needed=("2750",), archives=(archive,), unpack_to="eurosat"
    )
    monkeypatch.setitem(SETS, "EuroSAT", changed)


def test_fetch_goes_on_where_it_broke_and_unpacks_once(tmp_path, monkeypatch, online):
    data = zipped_eurosat(tmp_path)
    seen = []
    with web_server({"EuroSAT.zip": data}, breaks={"EuroSAT.zip": 1000}) as (url, requests):
        serve_eurosat(monkeypatch, url, data)
        with pytest.raises(DataError, match=f"closed after 1000 of {len(data)} bytes"):
            fetch_source(source("EuroSAT/all"), tmp_path, quiet)
        got = fetch_source(source("EuroSAT/all"), tmp_path, lambda *what: seen.append(what))
        assert (got.state, got.n_images, got.n_classes) == ("listed", 20, 10)
        assert [rest[-1] for rest in requests] == [None, "bytes=1000-"]
        assert ("EuroSAT.zip", len(data), len(data)) in seen
        assert fetch_source(source("EuroSAT/all"), tmp_path, quiet).state == "verified"
        assert len(requests) == 2
    assert sorted(p.name for p in (tmp_path / "torchvision" / "eurosat").iterdir()) == ["2750", "EuroSAT.zip"]


def test_an_archive_of_another_sum_is_deleted(tmp_path, monkeypatch, online):
    data = zipped_eurosat(tmp_path)
    with web_server({"EuroSAT.zip": data[:-1] + b"?"}) as (url, _):
        serve_eurosat(monkeypatch, url, data)
        with pytest.raises(DataError, match="does not have the MD5"):
            fetch_source(source("EuroSAT/all"), tmp_path, quiet)
    assert list((tmp_path / "torchvision" / "eurosat").iterdir()) == []


def test_offline_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with web_server({}) as (url, requests):
        serve_eurosat(monkeypatch, url, b"")
        with pytest.raises(DataError, match="is not there"):
            fetch_source(source("EuroSAT/all"), tmp_path, quiet)
        assert requests == []


def test_an_archive_put_there_by_hand_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    data = zipped_eurosat(tmp_path)
    serve_eurosat(monkeypatch, "http://127.0.0.1:9", data)
    (tmp_path / "torchvision" / "eurosat").mkdir(parents=True)
    (tmp_path / "torchvision" / "eurosat" / "EuroSAT.zip").write_bytes(data)
    assert fetch_source(source("EuroSAT/train"), tmp_path, quiet).n_images == 20


def test_a_tar_that_reaches_outside_is_refused(tmp_path, online):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../outside.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    data = stream.getvalue()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar.gz").write_bytes(data)
    archive = Archive(name="a.tar.gz", url="http://127.0.0.1:9/", md5=md5(data).hexdigest())
    with pytest.raises(DataError, match="outside"):
        download_archive(archive, tmp_path / "in", quiet, DataError("absent"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar.gz", "in"]
