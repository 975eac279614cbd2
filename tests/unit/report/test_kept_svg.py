"""A chart that was drawn before is not drawn again; any change of it, of its data or of Vega draws it anew."""

import os

import pytest
import vl_convert

from heatdrift.report import kept_svg as module
from heatdrift.report.kept_svg import kept_svg

SPEC = {"mark": "point", "data": {"name": "rows"}, "datasets": {"rows": [{"x": 1}]}, "config": {}}


@pytest.fixture
def drawn(monkeypatch):
    calls = []

    def draw(spec):
        calls.append(spec)
        return f"<svg>{len(calls)}</svg>"

    monkeypatch.setattr(module, "_drawn", draw)
    return calls


def test_the_same_chart_is_drawn_once(drawn, tmp_path):
    assert kept_svg(SPEC, tmp_path / "d") == kept_svg(dict(SPEC), tmp_path / "d") == "<svg>1</svg>"
    assert len(drawn) == 1


@pytest.mark.parametrize(
    "change", [{"mark": "line"}, {"datasets": {"rows": [{"x": 1.0000001}]}}, {"config": {"font": "serif"}}]
)
def test_whatever_changes_draws_it_again(drawn, tmp_path, change):
    kept_svg(SPEC, tmp_path)
    assert kept_svg({**SPEC, **change}, tmp_path) == "<svg>2</svg>"


def test_another_vega_draws_it_again(drawn, tmp_path, monkeypatch):
    kept_svg(SPEC, tmp_path)
    monkeypatch.setattr(vl_convert, "get_vega_version", lambda: "0.0")
    assert kept_svg(SPEC, tmp_path) == "<svg>2</svg>"


def test_a_drawing_that_others_could_have_changed_is_not_used(drawn, tmp_path):
    folder = tmp_path / "d"
    kept_svg(SPEC, folder)
    (path,) = folder.glob("*.svg")
    path.write_text("<svg onload='evil()'></svg>")
    assert kept_svg(SPEC, folder) == "<svg>2</svg>"
    path.chmod(0o666)
    assert kept_svg(SPEC, folder) == "<svg>3</svg>"


def test_without_a_usable_folder_it_is_drawn_each_time(drawn, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (None, tmp_path / "file" / "d"):
        kept_svg(SPEC, folder)
        kept_svg(SPEC, folder)
    assert len(drawn) == 4


def test_the_oldest_go_where_there_are_too_many(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 4)
    folder = tmp_path / "d"
    specs = [{**SPEC, "mark": f"mark {i}"} for i in range(5)]
    for i, spec in enumerate(specs[:4]):
        kept_svg(spec, folder)
        newest = max(folder.glob("*.svg"), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (1000 + i, 1000 + i))
    kept_svg(specs[4], folder)
    assert len(list(folder.glob("*.svg"))) == len(list(folder.glob("*.sha256"))) == 3
    before = len(drawn)
    kept_svg(specs[4], folder)
    assert len(drawn) == before, "the newest stays"
