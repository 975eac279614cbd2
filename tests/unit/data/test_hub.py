import hashlib

import pytest
from hub_stand_ins import COMMIT, fill_cache, hub_files, hub_shard, web_server
from huggingface_hub import constants

from heatdrift.config import SourceSpec
from heatdrift.data.hub_layout import parse_reference, split_files
from heatdrift.data.sources import fetch_source, missing_source, open_source, source_sha256
from heatdrift.errors import DataError
from heatdrift.plan.study import load_study

REPO = "tanganke/eurosat"
TRAIN = SourceSpec(source=f"hf:{REPO}/train")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache of this test, offline."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def repo(tmp_path):
    """Files of a repository with two train shards and one test shard; class names in the schema."""
    folder = tmp_path / "repo"
    names = ("annual crop land", "forest")
    hub_shard(folder / "data/train-00000-of-00002.parquet", [0, 1, 1], names=names)
    hub_shard(folder / "data/train-00001-of-00002.parquet", [1, 0], names=names, first=3)
    hub_shard(folder / "data/test-00000-of-00001.parquet", [0, 1], names=names, first=7)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# EuroSAT\n")
    return folder


def quiet(*_):
    pass


def test_a_split_is_read_from_the_offline_cache(cache, repo, tmp_path):
    fill_cache(cache, REPO, hub_files(repo))
    images = open_source(TRAIN, tmp_path)
    assert images.labels.tolist() == [0, 1, 1, 1, 0]
    assert images.class_names == ("annual crop land", "forest")
    assert images.revision == COMMIT
    assert [entry.path for entry in images.files] == [f"data/train-0000{i}-of-00002.parquet" for i in range(2)]
    assert images.read(3).getpixel((0, 0)) == (60, 30, 0)  # first row of the second shard
    assert images.name(4) == "data/train-00001-of-00002.parquet row 1"


def test_the_identity_is_that_of_the_reference_before_and_after_the_data_are_there(cache, repo, tmp_path):
    before = source_sha256(TRAIN, tmp_path)
    fill_cache(cache, REPO, hub_files(repo))
    assert source_sha256(TRAIN, tmp_path) == before == hashlib.sha256(f"hf:{REPO}@main/train".encode()).hexdigest()
    assert source_sha256(SourceSpec(source=f"hf:{REPO}@v2/train"), tmp_path) != before
    assert open_source(TRAIN, tmp_path).sha256 != before  # what was read is hashed too


def test_what_is_missing_is_named_with_where_it_was_looked_for(cache, tmp_path):
    with pytest.raises(DataError, match=REPO) as caught:
        open_source(TRAIN, tmp_path)
    assert str(cache) in caught.value.message
    assert str(tmp_path / "hf" / REPO) in caught.value.message
    assert f"hf download {REPO} --repo-type dataset" in caught.value.hint
    assert "heatdrift fetch" in caught.value.hint
    assert missing_source(TRAIN, tmp_path).message == caught.value.message
    with pytest.raises(DataError, match=REPO):
        fetch_source(TRAIN, tmp_path, quiet)


def test_a_missing_shard_is_named(cache, repo, tmp_path):
    (repo / "data/train-00001-of-00002.parquet").unlink()
    fill_cache(cache, REPO, hub_files(repo))
    with pytest.raises(DataError, match="shards 00001-of-00002 are missing"):
        open_source(TRAIN, tmp_path)
    assert missing_source(TRAIN, tmp_path) is not None


def test_a_damaged_blob_of_the_cache_is_refused(cache, repo, tmp_path):
    storage = fill_cache(cache, REPO, hub_files(repo))
    link = storage / "snapshots" / COMMIT / "data/test-00000-of-00001.parquet"
    other = (repo / "data/train-00000-of-00002.parquet").read_bytes()
    link.resolve().write_bytes(other)
    with pytest.raises(DataError, match="is damaged"):
        open_source(SourceSpec(source=f"hf:{REPO}/test"), tmp_path)


def test_files_put_into_the_data_folder_by_hand_are_found(cache, repo, tmp_path):
    by_hand = tmp_path / "hf" / REPO
    by_hand.parent.mkdir(parents=True)
    repo.rename(by_hand)
    images = open_source(TRAIN, tmp_path)
    assert (len(images), images.revision) == (5, None)


def test_columns_and_names_come_from_the_card_when_the_file_has_none(cache, tmp_path):
    folder = tmp_path / "repo"
    hub_shard(folder / "cifar100/test-00000-of-00001.parquet", [1, 0], image="img", label="fine_label")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: cifar100\n  data_files:\n  - split: test\n    path: cifar100/test-*\n"
        "dataset_info:\n  config_name: cifar100\n  features:\n  - name: img\n    dtype: image\n"
        "  - name: fine_label\n    dtype:\n      class_label:\n        names:\n          '0': apple\n"
        "          '1': aquarium_fish\n---\n"
    )
    fill_cache(cache, "uoft-cs/cifar100", hub_files(folder))
    images = open_source(SourceSpec(source="hf:uoft-cs/cifar100/test"), tmp_path)
    assert images.class_names == ("apple", "aquarium fish")
    assert images.source_names == ("apple", "aquarium_fish")


@pytest.mark.parametrize(
    ("repo", "config", "label", "names", "extra"),
    [
        ("uoft-cs/cifar100", "cifar100", "fine_label", ("apple", "cra"), {"coarse_label": [0, 1, 1]}),
        ("uoft-cs/cifar10", "plain_text", "label", ("airplane", "automobile"), {}),
    ],
)
def test_cifar_is_read_as_the_hub_lays_it_out(cache, tmp_path, repo, config, label, names, extra):
    """Pictures in `img`; of the two label columns of CIFAR-100 the fine one, whose names the schema declares."""
    folder = tmp_path / "repo"
    shard = folder / config / "test-00000-of-00001.parquet"
    hub_shard(shard, [0, 1, 0], names=names, image="img", label=label, extra=extra)
    card = f"- config_name: {config}\n  data_files:\n  - split: test\n    path: {config}/test-*\n  default: true\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n{card}---\n")
    fill_cache(cache, repo, hub_files(folder))
    found = open_source(SourceSpec(source=f"hf:{repo}/test", n_images=3), tmp_path)
    assert found.labels.tolist() == [0, 1, 0]
    assert found.source_names == names
    assert found.read(1).getpixel((0, 0)) == (60, 10, 0)


def test_the_shipped_studies_take_cifar_from_the_hub():
    for name in ("preprint80", "leakfree78", "backbone16"):
        study = load_study(name)
        for key, transfer in study.transfer.items():
            assert transfer.test_source.source == f"hf:uoft-cs/{key}/test"
            assert transfer.test_source.n_images == 10_000


def test_a_second_class_label_does_not_displace_label(cache, tmp_path):
    folder = tmp_path / "repo"
    names = ("abyssinian", "american_bulldog")
    hub_shard(folder / "data/train-00000-of-00001.parquet", [0, 1], names=names, extra={"label_cat_dog": [0, 1]})
    fill_cache(cache, "timm/oxford-iiit-pet", hub_files(folder))
    images = open_source(SourceSpec(source="hf:timm/oxford-iiit-pet/train"), tmp_path)
    assert images.class_names == ("abyssinian", "american bulldog")


def card(split, *configs):
    """Front matter whose configs hold `split` in a folder of their name."""
    files = {name: [{"split": split, "path": [f"{name}/*"]}] for name in configs}
    return {"configs": [{"config_name": name, "data_files": found} for name, found in files.items()]}


@pytest.mark.parametrize(
    ("card", "config", "split", "expected"),
    [
        ({}, None, "train", ["data/train-00000-of-00001.parquet", "train.parquet", "train/a.parquet"]),
        ({}, "big", "train", ["big/train-00000-of-00001.parquet"]),
        (card("x", "odd"), None, "x", ["odd/y.parquet"]),
        ({"configs": [{"config_name": "default", "data_files": "train/*"}]}, None, "train", ["train/a.parquet"]),
        (card("train", "big", "odd"), "odd", "train", ["odd/y.parquet"]),
        (card("train", "big", "default"), None, "train", []),
    ],
)
def test_the_files_of_a_split_follow_the_card_else_the_usual_places(card, config, split, expected):
    names = [
        "README.md",
        "big/train-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "data/train_extra-00000-of-00001.parquet",
        "odd/y.parquet",
        "train.parquet",
        "train/a.parquet",
    ]
    reference = parse_reference(f"a/b/{config + ':' if config else ''}{split}")
    assert list(split_files(reference, names, card)) == expected


def test_an_unknown_split_and_an_ambiguous_config_are_refused():
    written = card("train", "big", "odd")
    with pytest.raises(DataError, match="no split 'test'"):
        split_files(parse_reference("a/b/test"), [], written)
    with pytest.raises(DataError, match="is in the configs big, odd") as caught:
        split_files(parse_reference("a/b/train"), [], written)
    assert "hf:a/b/big:train" in caught.value.hint


@pytest.mark.parametrize("place", ["", "owner", "owner/name", "owner/name/", "/name/train", "a/b/c/d", "a/b@/train"])
def test_a_malformed_reference_says_the_form(place, tmp_path):
    with pytest.raises(DataError, match="OWNER/NAME"):
        source_sha256(SourceSpec(source=f"hf:{place}"), tmp_path)


def test_a_revision_may_hold_slashes():
    found = parse_reference("a/b@refs/convert/parquet/default:train")
    assert (found.repo, found.revision, found.config, found.split) == (
        "a/b",
        "refs/convert/parquet",
        "default",
        "train",
    )


@pytest.fixture
def online(cache, monkeypatch):
    """Point huggingface_hub at a server."""

    def use(url):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return use


def test_fetch_downloads_verifies_and_lists_once(online, repo, tmp_path):
    seen = []
    with web_server(hub_files(repo), repo=REPO) as (url, requests):
        online(url)
        got = fetch_source(TRAIN, tmp_path, lambda *what: seen.append(what))
        assert (got.state, got.n_images, got.n_classes, got.revision) == ("listed", 5, 2, COMMIT)
        fetched = [path for method, path, *_ in requests if method == "GET" and path.endswith(".parquet")]
        assert len(fetched) == 2  # the test split stays where it is
        size = (repo / "data/train-00000-of-00002.parquet").stat().st_size
        assert (f"{REPO}/data/train-00000-of-00002.parquet", size, size) in seen
        before = len(requests)
        again = fetch_source(TRAIN, tmp_path, quiet)
        assert again.state == "verified"
        assert len(requests) == before
    assert open_source(TRAIN, tmp_path).sha256 == again.sha256


def test_a_broken_connection_is_tried_again(online, repo, tmp_path):
    second = "data/train-00001-of-00002.parquet"
    with web_server(hub_files(repo), repo=REPO, breaks={second: 40}) as (url, requests):
        online(url)
        fetch_source(TRAIN, tmp_path, quiet)
    assert len([path for method, path, *_ in requests if method == "GET" and path.endswith(second)]) == 2
    assert len(open_source(TRAIN, tmp_path)) == 5


def test_a_shard_with_another_hash_than_the_hub_states_is_deleted(online, repo, tmp_path, cache):
    second = "data/train-00001-of-00002.parquet"
    with web_server(hub_files(repo), repo=REPO, stated={second: "0" * 64}) as (url, _):
        online(url)
        with pytest.raises(DataError, match="was damaged on its way"):
            fetch_source(TRAIN, tmp_path, quiet)
    with pytest.raises(DataError, match="shards 00001-of-00002 are missing"):
        open_source(TRAIN, tmp_path)


def test_no_such_data_set_says_what_the_hub_answered(online, tmp_path):
    with web_server({}, repo="some/other") as (url, _):
        online(url)
        with pytest.raises(DataError, match="downloading failed"):
            fetch_source(TRAIN, tmp_path, quiet)


def test_the_manifests_revision_is_opened_even_if_main_moved_on(cache, repo, tmp_path):
    fill_cache(cache, REPO, hub_files(repo))
    fetch_source(TRAIN, tmp_path, quiet)
    hub_shard(repo / "data/train-00000-of-00002.parquet", [1, 1, 0], names=("annual crop land", "forest"))
    fill_cache(cache, REPO, hub_files(repo), commit="d" * 40)
    images = open_source(TRAIN, tmp_path)
    assert images.revision == COMMIT
    assert images.labels.tolist() == [0, 1, 1, 1, 0]


def test_a_label_beyond_the_declared_names_is_refused(cache, tmp_path):
    hub_shard(tmp_path / "repo/data/train-00000-of-00001.parquet", [0, 1, 2], names=("round", "square"))
    fill_cache(cache, REPO, hub_files(tmp_path / "repo"))
    with pytest.raises(DataError, match=r"label 2 of row 2 is outside 0\.\.1"):
        open_source(TRAIN, tmp_path)
