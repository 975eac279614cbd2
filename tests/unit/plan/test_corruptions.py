"""What a study may ask of corruptions, and what of it is in a cell's id."""

import pytest

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import StudySpec, decode_toml
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.plan.study import check_study, load_study

FIRST_OF_DEMO = "c1-ae266ad274e4c2bb"
GIVEN = 'corrupted = { fog = "parquet:fog.parquet" }\nsizes'


@pytest.fixture
def text(tiny_inputs):
    return (tiny_inputs / "study.toml").read_text()


def read(text):
    study = decode_toml(text.encode(), StudySpec, "study.toml")
    check_study(study, "study.toml")
    return study


def asking(text, lines):
    return text.replace("[grid]", f"[corruptions]\n{lines}\n\n[grid]")


def test_a_study_without_any_has_the_ids_it_had(tmp_path):
    """Pinned: runs of demo that are in somebody's store stay its runs."""
    cells = planned_cells(load_study("demo"), tmp_path)
    assert cells[0].corruptions is None
    assert cells[0].cell_id == FIRST_OF_DEMO


def test_made_ones_are_named_by_kind_and_severity(text, tiny_inputs):
    study = read(asking(text, "gaussian_noise = [1, 3]\ncontrast = [5]"))
    cell = planned_cells(study, tiny_inputs)[0]
    assert [plan.name for plan in cell.corruptions] == ["gaussian_noise_1", "gaussian_noise_3", "contrast_5"]
    assert cell.cell_id != planned_cells(read(text), tiny_inputs)[0].cell_id
    fewer = planned_cells(read(asking(text, "gaussian_noise = [1, 3]")), tiny_inputs)[0]
    assert fewer.cell_id != cell.cell_id


def test_given_splits_are_of_their_data_set_alone(text, tiny_inputs, tmp_path):
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "fog.parquet").write_bytes((tmp_path / "stripes_test.parquet").read_bytes())
    study = read(text.replace("sizes", GIVEN, 1))
    stripes, *_, hues = planned_cells(study, tmp_path)
    assert [plan.name for plan in stripes.corruptions] == ["fog"]
    assert stripes.corruptions[0].data_sha256
    assert hues.corruptions is None
    assert hues.cell_id == planned_cells(read(text), tmp_path)[-1].cell_id


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("gaussian_noise = []", "not severities from 1 to 5"),
        ("gaussian_noise = [6]", "not severities from 1 to 5"),
        ("gaussian_noise = [1, 1]", "each once"),
        ("gausian_noise = [1]", "unknown corruption 'gausian_noise'"),
    ],
)
def test_what_cannot_be_made_is_refused(text, lines, words):
    with pytest.raises((StudyError, UnknownNameError), match=words):
        read(asking(text, lines))


def test_a_name_that_would_mean_two_things_is_refused(text):
    both = asking(text.replace("sizes", GIVEN.replace("fog =", "contrast_1 ="), 1), "contrast = [1]")
    with pytest.raises(StudyError, match="'contrast_1', which"):
        read(both)


def test_the_preprint_has_no_test_images_left(text):
    preprint = text.replace('"leakfree"', '"preprint"').replace(
        "{ train = 6, val = 4, probe = 3 }", "{ probe_images = 9 }"
    )
    read(preprint)
    with pytest.raises(StudyError, match="no test images are left"):
        read(asking(preprint, "contrast = [1]"))


def test_corrupted_pictures_of_a_made_test_part_are_refused(text):
    made = text.replace('test = "parquet:stripes_test.parquet"', "test_fraction = 0.2")
    read(made)
    with pytest.raises(StudyError, match="needs the test split"):
        read(made.replace("sizes", GIVEN, 1))
