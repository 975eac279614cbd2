"""The formats that a page can be written in: one row each. Another format is a file here and its row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from heatdrift.report.document import Document

Pictures = Mapping[str, Path]  # figure id -> PNG file of it that was written next to the page
Writer = Callable[["Document", Path, Pictures], tuple[str, ...]]


def _nothing() -> None:
    """What a format needs that needs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """One format of a page; its key in `FORMATS` is its name for ``--format`` and the suffix of its files.

    Attributes
    ----------
    words : what an index of reports calls it.
    write : writes a document to a path (with that suffix) and returns sentences about what the file leaves out.
    check : raises ReportError where this machine cannot write the format.
    """

    words: str
    write: Writer
    check: Callable[[], object] = _nothing


def _html(document: "Document", path: Path, _: Pictures) -> tuple[str, ...]:
    from heatdrift.report.budget import PAGE_BYTES, page_html
    from heatdrift.report.files import write_file
    from heatdrift.wording import megabytes

    text, left_out = page_html(document)
    write_file(path, text)
    limit = megabytes(PAGE_BYTES)
    return (f"the page was shortened to stay below {limit}: {'; '.join(left_out)}",) if left_out else ()


def _markdown(document: "Document", path: Path, pictures: Pictures) -> tuple[str, ...]:
    from heatdrift.report.files import write_file
    from heatdrift.report.formats.markdown import document_markdown

    links = {figure: picture.relative_to(path.parent).as_posix() for figure, picture in pictures.items()}
    write_file(path, document_markdown(document, pictures=links))
    return ()


def _latex(document: "Document", path: Path, _: Pictures) -> tuple[str, ...]:
    from heatdrift.report.files import write_file
    from heatdrift.report.formats.latex import document_latex

    write_file(path, document_latex(document))
    return ()


def _pdf(document: "Document", path: Path, _: Pictures) -> tuple[str, ...]:
    from heatdrift.report.formats.pdf import write_pdf

    write_pdf(document, path)
    return ()


def _browser() -> Path:
    from heatdrift.report.formats.pdf import find_browser

    return find_browser()


HTML: Final = "html"  # the format of an index of reports, and the default
FORMATS: Final[Mapping[str, PageFormat]] = {
    HTML: PageFormat(words="HTML", write=_html),
    "md": PageFormat(words="Markdown", write=_markdown),
    "tex": PageFormat(words="LaTeX tables", write=_latex),
    "pdf": PageFormat(words="PDF", write=_pdf, check=_browser),
}
