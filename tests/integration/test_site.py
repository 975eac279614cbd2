"""The documentation as a site: what its hook makes of README and the notebook, and the built pages with their links."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
QUESTIONS = sorted(path.stem for path in (DOCS / "questions").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("site_hook", DOCS / "site" / "hook.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_every_page_is_under_one_heading(hook):
    pages = ["index.md", "new.md", "questions/index.md", "questions/best.md", "calibration_page.md", "deep/er/new.md"]
    nav = hook.navigation(pages)
    under = {title: found for part in nav for title, found in part.items()}
    listed = [page for found in under.values() for page in found]
    named = [next(iter(page.values())) if isinstance(page, dict) else page for page in listed]
    assert sorted(named) == sorted(pages)
    assert under["Questions"] == ["questions/index.md", "questions/best.md"]
    assert under["Reference"] == ["new.md", "deep/er/new.md"]


def test_the_start_is_readme_with_its_picture_on_top_and_links_within_the_docs(hook):
    text = "# a\n\nwords\n\n## b\n\n[docs/x.md](docs/x.md)\n\n```text\n](docs/kept)\n```\n\n![p](docs/p.png)\n"
    page = hook.start_page(text)
    assert page.index("![p](p.png)") < page.index("## b")
    assert page.count("![p]") == 1
    assert "[x.md](x.md)" in page
    assert "](docs/kept)" in page


def test_a_notebook_is_a_page_with_its_outputs(hook):
    page = hook.notebook_page(json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8")))
    assert page.startswith("# From a finished study")
    assert "```python\nimport" in page
    assert '<img class="drawn"' in page
    tables = re.findall(r'<div class="output">.*', page)
    assert tables
    assert all(table.endswith("</div>") for table in tables)


def test_links_out_of_the_docs_lead_to_what_the_site_has(hook):
    assert hook.site_links("[a](../examples/loop.py)") == "[a](examples/loop.py)"
    assert hook.site_links("[a](../tutorial.ipynb)", "questions") == "[a](../tutorial.md)"
    assert hook.site_links("[a](paired.md#measured-sizes)", "questions") == "[a](paired.md#measured-sizes)"


class Page(HTMLParser):
    """Ids, links of the page's own text, and what a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and "stylesheet" in found.get("rel", ""):
            self.loaded.append(found["href"])
        elif "src" in found:
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    for module in ("mkdocs", "material"):
        if importlib.util.find_spec(module) is None:
            pytest.skip("mkdocs-material is not installed (extra site)")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {path: Page(path.read_text("utf-8")) for path in folder.rglob("*.html") if path.name != "mini.html"}


def target(page, link):
    """The file that a link of a page leads to."""
    found = (page.parent / unquote(urlsplit(link).path)).resolve() if urlsplit(link).path else page
    return found / "index.html" if found.is_dir() else found


@pytest.mark.slow
def test_no_link_of_the_site_is_dead_and_nothing_is_loaded_from_elsewhere(built):
    dead, elsewhere = [], []
    for path, page in built.items():
        if path.name == "404.html":  # the server's, with links from its root
            continue
        elsewhere += [url for url in page.loaded if urlsplit(url).scheme not in ("", "data")]
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            found = target(path, link)
            if not found.exists() or (parts.fragment and found in built and parts.fragment not in built[found].ids):
                dead.append((path.parent.name, link))
    assert len(built) > 40
    assert dead == []
    assert elsewhere == []


@pytest.mark.slow
def test_each_question_has_its_picture(built):
    pages = {path.parent.name: page for path, page in built.items() if path.parent.parent.name == "questions"}
    assert set(pages) == set(QUESTIONS)
    for name, page in pages.items():
        assert [url for url in page.loaded if url.endswith(f"{name}.svg")], name
