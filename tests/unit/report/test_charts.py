import polars as pl
import pytest

from heatdrift.questions.correlation import scatter as result_charts
from heatdrift.questions.frontier.section import front_chart
from heatdrift.questions.layers.section import head_chart
from heatdrift.report import charts
from heatdrift.report.charts import Frame
from heatdrift.report.forest import Forest, forest_chart
from heatdrift.report.theme import COLOUR, method_styles

FRAME = Frame(styles=method_styles(["full_ft", "lora_r8"]), lrs=(1e-5, 1e-4), interval="95 % t-interval")


def dose(**changes):
    options = {
        "place": "eurosat", "metric": "cka", "title": "linear CKA to base (0..1)", "domain": (0.2, 1.0), "base": 1.0,
        "points": True,
    }  # fmt: skip
    return charts.dose_response(FRAME, **(options | changes)).to_dict()


def correlation():
    return result_charts.correlation(
        FRAME, place="a", others=["b"], x="delta_erf95_pct", y="retention_pct",
        titles=("x (% of base)", "y (% of base)"),
        domains=((-30.0, 20.0), (0.0, 100.0)),
        pooled="pooled, r = 0.15, n = 80", rising=True, lines="lines", points="runs",
    ).to_dict()  # fmt: skip


def trajectory():
    return charts.trajectory(
        FRAME, place="a", metric="val_acc_pct", title="validation accuracy (%)", domain=(0, 100), base=None
    ).to_dict()


def contrasts(*, side_by_side=True):
    forest = Forest(
        rows=pl.DataFrame({"panel": ["a"]}),
        axes={"a": ("LoRA r=8 − Full FT", "Δ attention entropy", "(% of base), 95 % interval")},
        kinds=("model", "seed level"), side_by_side=side_by_side, n_means="runs", extras={"df": "df"},
    )  # fmt: skip
    return forest_chart(forest, data="rows", panel="a", n_rows=4, domain=(-1.0, 1.0)).to_dict()


def front():
    return front_chart(
        FRAME, place="a", titles=("test accuracy (%)", "zero-shot retention (% of base)"),
        interval="mean over seeds, 95 % interval", domains=((0.0, 100.0), (0.0, 100.0)),
    ).to_dict()  # fmt: skip


def heads():
    return head_chart(panel="a", n_layers=12, limit=3.0, unit="points").to_dict()


def heatmap():
    return charts.layer_heatmap(place="a", method="full_ft", n_layers=12, limit=35.0).to_dict()


ALL = {
    "dose": dose, "correlation": correlation, "trajectory": trajectory, "contrasts": contrasts, "heatmap": heatmap,
    "front": front, "heads": heads,
}  # fmt: skip


def encodings(spec, channel):
    return [layer["encoding"][channel] for layer in spec["layer"] if channel in layer["encoding"]]


def tooltips(spec):
    return [[tip["field"] for tip in tips] for tips in encodings(spec, "tooltip")]


@pytest.mark.parametrize("chart", ALL.values(), ids=ALL)
def test_every_tooltip_has_n(chart):
    shown = tooltips(chart())
    assert shown
    assert all("n" in fields for fields in shown)


@pytest.mark.parametrize("chart", [dose, correlation, trajectory, front])
def test_a_method_has_its_colour_and_its_shape(chart):
    spec = chart()
    colours = {tuple(c["scale"]["range"]) for c in encodings(spec, "color") if c["field"] == "method"}
    shapes = {tuple(s["scale"]["range"]) for s in encodings(spec, "shape")}
    assert colours == {(COLOUR["series-1"], COLOUR["series-2"])}
    assert shapes == {("circle", "diamond")}


def test_axis_titles_carry_unit_and_interval():
    titles = [y["axis"]["title"] for y in encodings(dose(), "y")]
    assert all(title == ["linear CKA to base (0..1)", "mean over seeds, 95 % t-interval"] for title in titles)
    assert {x["title"] for x in encodings(dose(), "x")} == {"peak learning rate (log scale)"}
    assert all(x["axis"]["title"][-1] == "(% of base), 95 % interval" for x in encodings(contrasts(), "x"))


def test_two_kinds_of_interval_stand_beside_each_other_and_differ_in_shape():
    assert all(e["field"] == "kind" for e in encodings(contrasts(), "yOffset"))
    assert encodings(contrasts(side_by_side=False), "yOffset") == []
    (shape,) = encodings(contrasts(), "shape")
    assert shape["scale"]["range"] == ["circle", "square"]


def test_the_learning_rate_axis_is_logarithmic_and_ticked_at_the_studys_rates():
    axes = encodings(dose(), "x")
    assert all(x["scale"]["type"] == "log" and x["axis"]["values"] == [1e-5, 1e-4] for x in axes)


def test_the_base_line_is_drawn_only_where_the_base_has_a_value():
    assert [y["datum"] for y in encodings(dose(), "y") if "datum" in y] == [1.0]
    assert not [y for y in encodings(dose(base=None), "y") if "datum" in y]


def test_chance_is_a_level_of_its_own():
    levels = [layer for layer in dose(chance=10.0)["layer"] if "datum" in layer["encoding"].get("y", {})]
    assert [layer["encoding"]["y"]["datum"] for layer in levels] == [1.0, 10.0]
    assert levels[0]["mark"]["strokeDash"] != levels[1]["mark"]["strokeDash"]


def test_single_runs_can_be_left_out():
    named = [layer.get("data", {}).get("name") for layer in dose(points=False)["layer"]]
    assert "runs" not in named
    assert "runs" in [layer.get("data", {}).get("name") for layer in dose()["layer"]]


def test_the_heatmap_is_centred_at_zero():
    (colour,) = encodings(heatmap(), "color")
    assert colour["scale"]["domain"] == [-35.0, 35.0]
    assert colour["scale"]["range"][4] == COLOUR["div-5"]


def test_the_pooled_line_is_labelled_as_pooled():
    texts = [t["value"] for t in encodings(correlation(), "text")]
    assert set(texts) == {"pooled, r = 0.15, n = 80"}


@pytest.mark.parametrize("chart", ALL.values(), ids=ALL)
def test_no_chart_carries_data_or_a_generated_name(chart):
    spec = chart()
    assert "datasets" not in spec
    assert "params" not in spec
    assert all(set(part.get("data", {})) <= {"name", "sequence"} for part in (spec, *spec["layer"]))
