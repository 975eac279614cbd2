import numpy as np
import pytest
from PIL import Image

from heatdrift.config import SourceSpec
from heatdrift.data.class_names import LISTS, apply_class_names, names_of, prompt_names
from heatdrift.data.images import LabelledImages
from heatdrift.data.sources import open_source
from heatdrift.errors import DataError, UnknownNameError


def images(source_names=(), n=10):
    return LabelledImages(
        source="parquet:x",
        sha256="0",
        labels=np.arange(n),
        class_names=tuple(f"class {i}" for i in range(n)),
        read=lambda _: Image.new("RGB", (1, 1)),
        source_names=tuple(source_names),
    )


@pytest.mark.parametrize(
    ("key", "n", "first", "last"),
    [
        ("cifar100/1", 100, "apple", "worm"),
        ("cifar10/1", 10, "airplane", "truck"),
        ("eurosat/1", 10, "annual crop land", "lake or sea"),
        ("pets/1", 37, "Abyssinian", "Yorkshire Terrier"),
        ("pets/openai", 37, "Abyssinian", "yorkshire terrier"),
    ],
)
def test_a_list_has_its_classes_once_and_as_words(key, n, first, last):
    names = names_of(key)
    assert (len(names), len(set(names)), names[0], names[-1]) == (n, n, first, last)
    assert not any("_" in name or "=" in name or name != name.strip() for name in names)


def test_an_unknown_list_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="cifar100/2") as caught:
        names_of("cifar100/2")
    assert caught.value.nearest == "cifar100/1"


def test_names_are_matched_by_the_sources_own_names_in_any_order():
    given = ("SeaLake", "River", "Residential", "PermanentCrop", "Pasture")
    given += ("Industrial", "Highway", "HerbaceousVegetation", "Forest", "AnnualCrop")
    assert apply_class_names(images(given), "eurosat/1").class_names == names_of("eurosat/1")[::-1]


def test_a_source_without_names_is_matched_by_number():
    assert apply_class_names(images(), "cifar10/1").class_names == names_of("cifar10/1")


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="has 9 classes, the list 'cifar10/1' has 10"):
        apply_class_names(images(n=9), "cifar10/1")
    with pytest.raises(DataError, match="does not know class 'car'"):
        apply_class_names(images(["car", *names_of("cifar10/1")[1:]]), "cifar10/1")
    with pytest.raises(DataError, match="two of its classes are 'bird'"):
        apply_class_names(images(["bird", *names_of("cifar10/1")[1:]]), "cifar10/1")


def test_the_hubs_own_spellings_are_known():
    hub = list(names_of("cifar100/1"))
    hub[26] = "cra"  # so in uoft-cs/cifar100
    assert apply_class_names(images(hub, 100), "cifar100/1").class_names == names_of("cifar100/1")
    assert apply_class_names(images(names_of("eurosat/1")), "eurosat/1").class_names == names_of("eurosat/1")


def test_names_as_the_hub_has_them_keep_cra_and_underscores_where_asked():
    hub = names_of("cifar100/hub")
    assert {a for a, b in zip(hub, names_of("cifar100/1"), strict=True) if a != b.replace(" ", "_")} == {"cra"}
    assert [name for name in hub if "_" in name][:3] == ["aquarium_fish", "lawn_mower", "maple_tree"]
    given = images(hub, 100)
    assert prompt_names(given, "cifar100/hub", underscores=True) == hub
    spaced = prompt_names(given, "cifar100/hub", underscores=False)
    assert spaced[:2] == ("apple", "aquarium fish")
    assert "cra" in spaced
    assert "crab" in prompt_names(given, "cifar100/1", underscores=False)


def test_without_a_list_the_sources_own_spelling_is_kept_where_asked():
    given = images(["a_dog", "a_cat"], 2)
    assert prompt_names(given, None, underscores=True) == ("a_dog", "a_cat")
    assert prompt_names(given, None, underscores=False) == ("class 0", "class 1")
    assert prompt_names(images(n=2), None, underscores=True) == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("cifar100_test", "cifar100/1"),
        ("cifar100_test", "cifar100/hub"),
        ("cifar10_test", "cifar10/1"),
        ("eurosat_rgb_test", "eurosat/1"),
        ("oxford_pets_test", "pets/1"),
    ],
)
def test_lists_fit_the_real_data_sets_in_the_official_order(shared, file, key):
    real = open_source(SourceSpec(source=f"parquet:data/{file}.parquet"), shared)
    assert apply_class_names(real, key).class_names == names_of(key)


def test_names_without_a_list_stay_what_finished_runs_recorded(shared):
    names = {
        name: open_source(SourceSpec(source=f"parquet:data/{name}.parquet"), shared).class_names
        for name in ("cifar100_test", "eurosat_rgb_test", "oxford_pets_test")
    }
    assert names["eurosat_rgb_test"][:3] == ("annual crop", "Forest", "herbaceous vegetation")
    assert names["oxford_pets_test"][:2] == ("Abyssinian", "american bulldog")
    assert names["cifar100_test"][1] == "aquarium fish"


def test_released_lists_do_not_change():
    assert sorted(LISTS) == ["cifar10/1", "cifar100/1", "cifar100/hub", "eurosat/1", "pets/1", "pets/openai"]
