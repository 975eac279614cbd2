"""reports/index.html: the start page of a folder of reports, made from what each says about itself.

A report carries its facts in a <meta> element; a page without it is not ours and is neither listed nor replaced.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, Literal

from heatdrift.report.formats import FORMATS, HTML
from heatdrift.report.small_picture import Drawing, SmallPicture, drawing, read_picture
from heatdrift.wording import counted, megabytes

REPORT_META: Final = "heatdrift-report"
INDEX_META: Final = "heatdrift-index"
INDEX: Final = "index.html"
_HEAD: Final = 32_768  # characters of a page that are read; its facts are in the first few thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What an index says about a page.

    Attributes
    ----------
    finished : when its last run finished, empty if unknown.
    compared : what was compared, in a line. finding : what the first primary question found, with its verdict.
    picture : the study in numbers that an index draws.
    """

    title: str
    finished: str = ""
    n_runs: int = 0
    kind: Literal["report", "comparison"] = "report"
    compared: str = ""
    finding: str = ""
    picture: SmallPicture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One report of the index; `other_formats` are other formats of the same page in the folder, as (file, words)."""

    file: str
    title: str
    kind: str
    finished: str
    runs: str
    size: str
    other_formats: tuple[tuple[str, str], ...]
    compared: str = ""
    finding: str = ""
    picture: SmallPicture | None = None
    drawn: Drawing | None = None


def facts_text(facts: PageFacts) -> str:
    """Return the facts as they are in the page's <meta> element (which escapes them)."""
    return json.dumps(asdict(facts), ensure_ascii=False, sort_keys=True)


def page_facts(path: Path) -> PageFacts | None:
    """Return what the page at `path` says about itself; None where it is no page of ours or cannot be read."""
    found = _meta(path).get(REPORT_META)
    if found is None:
        return None
    try:
        values = json.loads(found)
        return PageFacts(
            title=str(values["title"]),
            finished=str(values["finished"]),
            n_runs=int(values["n_runs"]),
            kind="comparison" if values["kind"] == "comparison" else "report",
            compared=str(values.get("compared", "")),
            finding=str(values.get("finding", "")),
            picture=read_picture(values.get("picture")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def is_foreign(path: Path) -> bool:
    """Whether there is a file at `path` that no index of ours may replace."""
    return path.exists() and INDEX_META not in _meta(path)


def index_entries(folder: Path) -> Iterator[IndexEntry]:
    """Yield the reports of `folder` in order of title and file name."""
    found = [(facts, path) for path in sorted(folder.glob(f"*.{HTML}")) if (facts := page_facts(path)) is not None]
    for facts, path in sorted(found, key=lambda item: (item[0].title, item[1].name)):
        others = ((path.with_suffix(f".{name}"), f.words) for name, f in FORMATS.items() if name != HTML)
        yield IndexEntry(
            file=path.name,
            title=facts.title,
            kind=facts.kind,
            finished=facts.finished or "unknown",
            runs=counted(facts.n_runs, "finished run"),
            size=megabytes(path.stat().st_size),
            other_formats=tuple((other.name, words) for other, words in others if other.exists()),
            compared=facts.compared,
            finding=facts.finding,
            picture=facts.picture,
            drawn=None if facts.picture is None else drawing(facts.picture),
        )


class _MetaReader(HTMLParser):
    """Collects name -> content of the <meta> elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name")
        if tag == "meta" and name:
            self.found[name] = values.get("content") or ""


def _meta(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return {}
    reader = _MetaReader()
    reader.feed(head)
    return reader.found
