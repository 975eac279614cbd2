"""What mkdocs does not know of these pages: README as the start, the notebook as a page, a picture per question.

Pages are made while the site is built and lie nowhere else. Pictures are drawn from the study that comes with the
clone (``pictures.py``); ``make site`` builds all of it, without a network.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parent))
from pictures import draw_pictures

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
# Headings of the navigation and the pages under each, by pattern; a page is under the first that fits.
NAV: Final = (
    ("Start", ("index.md", "guide.md", "tutorial.md", "gallery.md")),
    ("Questions", ("questions/index.md", "questions/*.md")),
    ("Python", ("python.md", "monitor.md")),
    ("How we know", ("published.md", "compare_with_r.md", "calibration.md", "calibration_*.md", "performance.md")),
    ("Project", ("architecture.md", "changelog.md", "log.md")),
    ("Reference", ("cli.md", "study.md", "data.md", "methods.md", "probes.md", "store.md", "schema.md", "*.md")),
)
_MADE: Final = ("index.md", "tutorial.md", "gallery.md")
_TITLES: Final = {"index.md": "What it is", "tutorial.md": "Tutorial"}  # where a page's own is too long for a menu
_LINK: Final = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCES: Final = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_PICTURES: dict[str, bytes] = {}  # question -> its SVG, drawn once a process: `mkdocs serve` builds again and again


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Put every page of docs/ under a heading, so that a new one is never left out."""
    found = (str(path.relative_to(DOCS)) for path in sorted(DOCS.rglob("*.md")))
    config.nav = navigation([*_MADE, *found])
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the made pages, the pictures, the finished report and the example script."""
    from mkdocs.structure.files import File

    if not _PICTURES:
        _PICTURES.update(draw_pictures())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))
    made: dict[str, str | bytes] = {
        "index.md": start_page(readme),
        "tutorial.md": notebook_page(notebook),
        "gallery.md": gallery_page(_PICTURES),
        "reports/mini.html": (ROOT / "reports" / "mini.html").read_bytes(),
        "examples/open_clip_loop.py": (ROOT / "examples" / "open_clip_loop.py").read_bytes(),
        **{f"pictures/{name}.svg": svg for name, svg in _PICTURES.items()},
    }
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Put the picture of a question under what it asks, and lead links to where the site has their target."""
    folder, _, name = page.file.src_uri.rpartition("/")
    question = name.removesuffix(".md")
    if folder == "questions" and question in _PICTURES:
        markdown = with_picture(markdown, question)
    return site_links(markdown, folder)


def navigation(pages: Iterable[str]) -> list[dict[str, list[str | dict[str, str]]]]:
    """Return the headings with their pages, each page once, in the order of the patterns."""
    left = list(dict.fromkeys(pages))
    nav: list[dict[str, list[str | dict[str, str]]]] = []
    for title, patterns in NAV:
        under: list[str] = []
        for pattern in patterns:
            fitting = [page for page in left if fnmatch(page, pattern) and page.count("/") == pattern.count("/")]
            under += fitting
            left = [page for page in left if page not in fitting]
        nav.append({title: [{_TITLES[page]: page} if page in _TITLES else page for page in under]})
    nav[-1]["Reference"] += left  # of folders that no pattern knows
    return nav


def start_page(readme: str) -> str:
    """Return README as the first page: its picture above the first heading, links from docs/ instead of the top."""
    picture = re.search(r"^!\[[^\]]*\]\([^)]*\)\n", readme, re.MULTILINE)
    if picture is not None:
        readme = readme.replace(picture[0], "", 1).replace("\n## ", f"\n{picture[0]}\n## ", 1)
    return _outside_fences(readme, lambda text: text.replace("](docs/", "](").replace("[docs/", "["))


def notebook_page(notebook: dict[str, Any]) -> str:
    """Return a notebook with its outputs as one page; pictures are part of it."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```python\n{source}\n```", *(_output(found) for found in cell["outputs"])]
    return "\n\n".join(parts) + "\n\nThe same as a notebook: [tutorial.ipynb](tutorial.ipynb?download).\n"


def _output(found: dict[str, Any]) -> str:
    data = found.get("data", {})
    if "image/png" in data:
        return f'<img class="drawn" alt="Output of the cell above" src="data:image/png;base64,{data["image/png"]}">'
    table = "".join(data.get("text/html", ()))
    if table and "<pre" not in table:  # a blank line would end the block for Markdown
        return '<div class="output">' + " ".join(line.strip() for line in table.splitlines()) + "</div>"
    return f"```text\n{''.join(found.get('text', data.get('text/plain', ()))).rstrip()}\n```"


def gallery_page(pictures: Iterable[str]) -> str:
    """Return the page of pages: the finished report, and every question's picture with its link."""
    cards = [
        f'<a class="card" href="../questions/{name}/"><img alt="" loading="lazy" src="../pictures/{name}.svg">'
        f"<span>{name}</span></a>"
        for name in sorted(pictures)
    ]
    return (
        "# Gallery\n\n"
        "One file, opened without a network: [the report of `mini`](reports/mini.html), 80 runs on real images. "
        "`make demo` trains a study of your own machine and writes its page to `reports/demo.html`.\n\n"
        "[![The top of the report of mini: findings next to their figures](mini.png)](reports/mini.html)\n\n"
        "## A picture for each question\n\n"
        f'<div class="cards">{"".join(cards)}</div>\n'
    )


def with_picture(markdown: str, question: str) -> str:
    """Return the page of a question with its picture after what it asks."""
    picture = (
        f"![What `{question}` draws of the study mini](../pictures/{question}.svg){{ .drawn }}\n\n"
        "Drawn from `mini`, the study that comes with heatdrift.\n\n"
    )
    return markdown.replace("## How it is computed", f"{picture}## How it is computed", 1)


def site_links(markdown: str, folder: str = "") -> str:
    """Return a page whose links to files outside docs/, and to the notebook, lead to what the site has of them."""
    up = "../" if folder else ""

    def lead(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if target.endswith("tutorial.ipynb"):
            target = target.replace(".ipynb", ".md")
        elif target.startswith("tutorial.ipynb?"):
            target = "tutorial.ipynb"
        elif target.startswith(f"../{up}examples/"):
            target = target.removeprefix("../")
        elif target.startswith(f"../{up}README.md"):
            target = f"{up}index.md"
        return f"]({target}{anchor})"

    return _outside_fences(markdown, lambda text: _LINK.sub(lead, text))


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Return the page with `change` applied to everything that is no block of code."""
    parts = _FENCES.split(markdown)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
