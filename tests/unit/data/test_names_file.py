"""A user's file of class names: every form, and what does not fit."""

import numpy as np
import pytest

from heatdrift.data.chosen import only_classes
from heatdrift.data.class_names import apply_class_names, prompt_names
from heatdrift.data.images import LabelledImages, readable
from heatdrift.data.names_file import is_names_file, names_file_identity
from heatdrift.errors import DataError, UnknownNameError


def images(source_names=(), n=None, numbers=(), first_number=0):
    n = n or len(source_names) or len(numbers)
    return LabelledImages(
        source="parquet:x",
        sha256="0",
        labels=np.arange(n),
        class_names=tuple(map(readable, source_names)) or tuple(f"class {i}" for i in range(n)),
        read=lambda _: None,
        source_names=tuple(source_names),
        numbers=tuple(numbers),
        first_number=first_number,
    )


def words(tmp_path, file, text, given, **options):
    (tmp_path / file).write_text(text, encoding="utf-8")
    return prompt_names(given, file, underscores=options.get("underscores", False), folder=tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.txt", "tabby cat\nguide dog\n\n# a remark\nwar horse\n"),
        ("a.txt", "0 tabby cat\n1 guide dog\n2 war horse\n"),
        ("a.txt", "1: tabby cat\n2: guide dog\n3: war horse\n"),
        ("a.csv", "name\ntabby cat\nguide dog\nwar horse\n"),
        ("a.csv", "\ufefflabel,name\n2,war horse\n0,tabby cat\n1,guide dog\n"),
        ("a.csv", "id;class\n0;tabby cat\n1;guide dog\n2;war horse\n"),
        ("a.csv", "folder,count,words\n0,3,tabby cat\n1,4,guide dog\n2,5,war horse\n"),
        ("a.tsv", "0\ttabby cat\n1\tguide dog\n2\twar horse\n"),
        ("a.json", '["tabby cat", "guide dog", "war horse"]'),
        ("a.json", '{"0": "tabby cat", "2": "war horse", "1": "guide dog"}'),
    ],
)
def test_every_form_gives_words_by_number(tmp_path, file, text):
    assert words(tmp_path, file, text, images(n=3)) == ("tabby cat", "guide dog", "war horse")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("synset_words.txt", "n02084071 guide dog, dog\nn02121808 tabby cat, cat\n"),
        ("w.csv", "wnid,words\nn02121808,tabby cat\nn02084071,guide dog\n"),
        ("imagenet_class_index.json", '{"0": ["n02121808", "tabby cat"], "1": ["n02084071", "guide dog"]}'),
    ],
)
def test_wordnet_ids_become_words_whatever_their_order(tmp_path, file, text):
    given = images(["n02084071", "n02121808"])
    assert words(tmp_path, file, text, given) == ("guide dog", "tabby cat")
    with pytest.raises(DataError, match="no words for class 'n09999999'"):
        words(tmp_path, file, text, images(["n02084071", "n09999999"]))


def test_a_table_for_many_classes_serves_some_of_them(tmp_path):
    text = "number,name\n0,a\n1,b\n2,c\n3,d\n"
    assert words(tmp_path, "a.csv", text, images(numbers=(1, 3))) == ("b", "d")
    assert words(tmp_path, "a.txt", "a\nb\nc\nd\n", images(numbers=(1, 3))) == ("b", "d")


def test_numbers_of_a_table_are_those_of_the_source(tmp_path):
    text = "1,a\n2,b\n3,c\n4,d\n"
    assert words(tmp_path, "a.csv", text, images(numbers=(1, 3), first_number=1)) == ("b", "d")  # 2 and 4 in the source
    assert words(tmp_path, "a.csv", text, images(numbers=(1, 3))) == ("a", "c")
    assert words(tmp_path, "a.csv", "0,x\n" + text, images(numbers=(1, 3), first_number=1)) == ("a", "c")


def test_a_list_in_another_order_is_never_taken_by_number(tmp_path):
    given = images(["AnnualCrop", "Forest", "River"])
    assert words(tmp_path, "a.txt", "forest\nriver\nannual crop\n", given) == ("annual crop", "forest", "river")
    assert words(tmp_path, "a.txt", "crops\nforest\na river\n", given) == ("crops", "forest", "a river")
    with pytest.raises(DataError, match="name 1 is 'forest', which is class 2 of the source") as caught:
        words(tmp_path, "a.txt", "forest\na river\ncrops\n", given)
    assert "table" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("a.txt", "a\nb\n", "has 3 classes, .*a.txt has 2 names"),
        ("a.txt", "a\nb\nc\nd\n", "has 3 classes, .*a.txt has 4 names"),
        ("a.txt", "\n# only a remark\n", "holds no names"),
        ("a.csv", "0,a\n1,b\n", "has no words for class 2"),
        ("a.csv", "0,a\n1,b\n2,a\n", "calls two classes of parquet:x 'a'"),
        ("a.csv", "0,a\n0,b\n2,c\n", "'0' is both 'a' and 'b'"),
        ("a.csv", "0,a\n1,\n2,c\n", "entry 2 has no name"),
        ("a.csv", "0,tench, Tinca\n1,b\n2,c\n", "entry 2 has 2 columns, the first has 3"),
        ("a.csv", "0,a,x\n1,b,x\n2,c,x\n", "3 columns without a heading"),
        ("a.json", '{"0": 3}', "neither a list of names"),
        ("a.json", "[", "is not JSON"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, file, text, problem):
    with pytest.raises(DataError, match=problem):
        words(tmp_path, file, text, images(n=3))


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no names file .*none\.csv"):
        prompt_names(images(n=2), "none.csv", underscores=False, folder=tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="as UTF-8"):
        prompt_names(images(n=2), "a.txt", underscores=False, folder=tmp_path)


def test_its_identity_is_its_content_wherever_it_lies(tmp_path):
    (tmp_path / "deep").mkdir()
    for path in ("a.csv", "deep/b.csv"):
        (tmp_path / path).write_text("0,a\n1,b\n")
    assert names_file_identity("a.csv", tmp_path) == names_file_identity("deep/b.csv", tmp_path)
    (tmp_path / "a.csv").write_text("0,a\n1,c\n")
    assert names_file_identity("a.csv", tmp_path) != names_file_identity("deep/b.csv", tmp_path)
    assert [is_names_file(key) for key in ("a.CSV", "cifar10/1", "x.json")] == [True, False, True]


def test_underscores_of_a_file_become_spaces_unless_they_are_asked_for(tmp_path):
    text = "0,a_cat\n1,a_dog\n"
    assert words(tmp_path, "a.csv", text, images(n=2)) == ("a cat", "a dog")
    assert words(tmp_path, "a.csv", text, images(n=2), underscores=True) == ("a_cat", "a_dog")


def test_a_released_list_names_a_part_of_its_classes():
    part = images(["cat", "dog"], numbers=(3, 5))
    assert apply_class_names(part, "cifar10/1").class_names == ("cat", "dog")
    assert apply_class_names(images(numbers=(3, 5)), "cifar10/1").class_names == ("cat", "dog")
    with pytest.raises(DataError, match="has 2 classes, the list 'cifar10/1' has 10"):
        apply_class_names(images(["cat", "dog"]), "cifar10/1")


def test_names_of_the_same_letters_are_not_taken_for_each_other(tmp_path):
    given = images(["C", "C#", "C++"])
    text = "source,name\nC++,a cat\nC,a dog\nC#,an owl\n"
    assert words(tmp_path, "a.csv", text, given) == ("a dog", "an owl", "a cat")
    assert only_classes(given, ("C++", "C")).source_names == ("C", "C++")
    with pytest.raises(UnknownNameError, match="unknown class 'c'"):
        only_classes(given, ("c", "C#"))
    with pytest.raises(DataError, match="no words for class 'C', 'C#'"):
        words(tmp_path, "a.csv", "source,name\nC++,a cat\nc,a dog\nc#,an owl\n", given)
