import polars as pl
import pytest

from heatdrift.errors import ReportError
from heatdrift.report import ReportInput


def test_missing_columns_are_added_as_null_and_nan_becomes_null():
    runs = pl.DataFrame({"study": ["s"], "cell_id": ["c"], "status": ["done"], "lr": [1], "cka": [float("nan")]})
    inp = ReportInput(study="s", runs=runs)
    assert inp.runs["delta_entropy_pct"].to_list() == [None]
    assert inp.runs["cka"].to_list() == [None]
    assert inp.runs["lr"].dtype == pl.Float64


def test_two_studies_on_one_page_are_refused():
    runs = pl.DataFrame({"study": ["one", "two"], "cell_id": ["a", "b"]})
    with pytest.raises(ReportError, match="one, two"):
        ReportInput(study="one", runs=runs)


def test_a_column_of_the_wrong_type_is_refused_with_the_name_of_the_view():
    with pytest.raises(ReportError, match="view runs"):
        ReportInput(study="s", runs=pl.DataFrame({"lr": ["fast"]}))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_confidence_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ReportError, match="conf_level"):
        ReportInput(study="s", conf_level=level)


def test_a_place_names_the_backbone_only_where_there_are_several(study):
    assert set(study.done["place"]) == {"textures", "shapes"}
    second = study.runs.with_columns(backbone=pl.when(pl.col("seed") == 7).then(pl.lit("other")).otherwise("backbone"))
    assert "textures · other" in set(ReportInput(study="demo", runs=second).done["place"])
