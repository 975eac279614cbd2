"""Writes the start page of a folder of reports."""

from pathlib import Path

from heatdrift import __version__
from heatdrift.report.document import ENVIRONMENT, content_policy, page_css
from heatdrift.report.files import write_file
from heatdrift.report.index import INDEX, INDEX_META, index_entries, is_foreign
from heatdrift.report.small_picture import HEIGHT, WIDTH
from heatdrift.report.theme import SHAPE_PATHS


def render_index(folder: Path) -> str:
    """Return the index page of `folder`: no script at all; the same reports give the same bytes."""
    return ENVIRONMENT.get_template("index.html.j2").render(
        policy=content_policy(()),
        version=__version__,
        marker=INDEX_META,
        css=page_css(),
        entries=list(index_entries(folder)),
        shapes=SHAPE_PATHS,
        frame=(WIDTH, HEIGHT),
    )


def write_index(folder: Path) -> Path | None:
    """Write ``index.html`` of `folder` and return its path; None where a page that is not ours has that name."""
    path = folder / INDEX
    if is_foreign(path):
        return None
    return write_file(path, render_index(folder))
