"""The finished page in headless Chromium, from file://, with the network off.

axe-core comes from the package axe-playwright-python, of which nothing but its copy of axe.min.js is used.
"""

import base64
import csv
import importlib.util
import io
import json
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from heatdrift.report import ReportInput, write_report
from heatdrift.report.formats.pdf import write_pdf
from heatdrift.report.index_page import write_index
from heatdrift.report.page import report_document

pytestmark = pytest.mark.browser
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (1440, 900, 390)
STATE = """
const all = (selector) => [...document.querySelectorAll(selector)];
const width = document.documentElement.clientWidth;
const outside = all("main *").filter((e) => !e.closest(".scroll, svg") && e.getBoundingClientRect().right > width + 1);
return [
  all(".live svg").length,
  all(".live svg .mark-symbol path, .live svg .mark-rect path").length,
  all(".static").length,
  document.documentElement.scrollWidth - width,
  outside.map((e) => e.outerHTML.slice(0, 80)),
];
"""
CUT_TEXT = """
const inside = (text, box) =>
  text.right <= box.right + 2 && text.left >= box.left - 2 && text.top >= box.top - 2 && text.bottom <= box.bottom + 2;
return [...document.querySelectorAll(".live svg")].flatMap((svg) =>
  [...svg.querySelectorAll("text")]
    .filter((t) => t.textContent && !inside(t.getBoundingClientRect(), svg.getBoundingClientRect()))
    .map((t) => t.textContent)
);
"""


# A page has thousands of table cells and dozens of drawings that are alike: axe looks at the first rows and drawings.
AXE = """
const done = arguments[arguments.length - 1];
document.querySelectorAll("details").forEach((fold) => (fold.open = true));
setTimeout(() => axe.run(
  { exclude: [["tbody tr:nth-child(n+3)"], [".panel:nth-child(n+2) svg"]] },
  { resultTypes: ["violations"] },
).then((found) => done(
  found.violations.map((v) => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 120)]),
)), 200);
"""


@pytest.fixture(scope="module")
def axe_source():
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-playwright-python, which brings axe-core, is not installed")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not on the PATH")
    webdriver = pytest.importorskip("selenium.webdriver", reason=f"selenium {selenium.__version__} has no webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    window.execute_cdp_cmd("Network.enable", {})
    window.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    window.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    window.set_script_timeout(300)
    window.command_executor.client_config.timeout = 300
    yield window
    window.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, builders, study):
    folder = tmp_path_factory.mktemp("pages")
    inputs = {
        "demo": study,
        "empty": ReportInput(study="nothing"),
        "markup": builders.simulated(
            study='<script>alert(1)</script>"' + "x" * 200, datasets=("a<b>&'\"", "y" * 200), seeds=2
        ),
    }
    real = builders.reference()
    if real is not None:
        inputs["imported"] = real
    written = {name: write_report(inp, folder / f"{name}.html") for name, inp in inputs.items()}
    written["index"] = write_index(folder)
    mini = Path(__file__).resolve().parents[2] / "reports" / "mini.html"
    return written | ({"mini": mini} if mini.exists() else {})


ABSENT = {"imported": "../shared/records/vitb16 is absent", "mini": "reports/mini.html is not there"}


def page_of(pages, name) -> Path:
    if name not in pages:
        pytest.skip(ABSENT[name])
    return pages[name]


def until(condition, seconds: float = 60):
    """Wait for a condition instead of a time: a busy machine is slow, not broken."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def opened(browser, path: Path, width: int):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # drop what the browser itself did before
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get(path.as_uri())
    n_panels = browser.execute_script("return document.querySelectorAll('.panel').length")
    if n_panels:
        until(lambda: browser.execute_script("return document.documentElement.dataset.drawn"))
    return n_panels


def requests(browser, path: Path) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if url != path.as_uri() and not url.startswith(("data:", "chrome:", "about:"))]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["demo", "imported", "mini", "markup", "empty", "index"])
def test_page_opens_offline_without_error_request_or_overflow(browser, pages, name, width):
    path = page_of(pages, name)
    n_panels = opened(browser, path, width)
    drawn, marks, static, overflow, outside = browser.execute_script(STATE)
    assert drawn == n_panels
    assert marks >= n_panels
    assert static == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert requests(browser, path) == []
    assert overflow <= 0
    assert outside == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["demo", "imported", "mini"])
def test_no_text_of_a_chart_is_cut_at_the_edge_of_its_drawing(browser, pages, name, width):
    assert opened(browser, page_of(pages, name), width)
    assert browser.execute_script(CUT_TEXT) == []


def test_dark_and_print_change_the_paper_and_the_marks(browser, pages):
    opened(browser, pages["demo"], 1440)
    script = (
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.live .mark-symbol path[fill]')).fill]"
    )

    def colours(media: str, scheme: str):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        return browser.execute_script(script)

    light, dark, printed = colours("screen", "light"), colours("screen", "dark"), colours("print", "dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert printed == ["rgb(255, 255, 255)", light[1]]  # white paper, the marks of the light palette
    assert dark[0] != light[0]
    assert dark[1] != light[1]


def test_the_tooltip_of_a_mean_shows_n(browser, pages):
    opened(browser, pages["demo"], 1440)
    mark = "document.querySelector('#fig-drift-1 .live .mark-symbol:last-of-type path')"
    browser.execute_script(f"{mark}.scrollIntoView({{block: 'center'}})")
    x, y = browser.execute_script(
        f"const r = {mark}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
    )
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    tooltip = "return document.querySelector('#vg-tooltip-element.visible')?.textContent ?? ''"
    assert "n (seeds)" in until(lambda: browser.execute_script(tooltip))


def static_box(browser, tree: int) -> dict[str, float]:
    node = browser.execute_cdp_cmd("DOM.querySelector", {"nodeId": tree, "selector": ".panel .static svg"})["nodeId"]
    browser.execute_cdp_cmd("DOM.scrollIntoViewIfNeeded", {"nodeId": node})
    x, y, _, _, right, bottom, _, _ = browser.execute_cdp_cmd("DOM.getBoxModel", {"nodeId": node})["model"]["border"]
    top = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssVisualViewport"]["pageY"]
    return {"x": x, "y": y + top, "width": right - x, "height": bottom - y, "scale": 1}


def colours_of(png: str) -> set[tuple[int, ...]]:
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    return {colour for _, colour in picture.getcolors(picture.width * picture.height)}


def test_without_javascript_the_page_shows_every_drawing(browser, pages):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(pages["demo"].as_uri())
        tree = browser.execute_cdp_cmd("DOM.getDocument", {"depth": 1})["root"]["nodeId"]

        def count(selector: str) -> int:
            return len(
                browser.execute_cdp_cmd("DOM.querySelectorAll", {"nodeId": tree, "selector": selector})["nodeIds"]
            )

        assert count(".panel .static svg") == count(".panel") > 20
        assert count("figure table") >= count("figure") > 5
        assert count(".live, .save, button") == 0
        seen = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": static_box(browser, tree)})
        assert len(colours_of(seen["data"])) > 20  # lines, marks and words of the first drawing, not blank paper
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_keyboard_reaches_links_tables_and_summaries_in_order(browser, pages):
    opened(browser, pages["demo"], 1440)
    browser.execute_script("document.body.focus()")
    seen = []
    for _ in range(150):
        for kind in ("keyDown", "keyUp"):
            browser.execute_cdp_cmd(
                "Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            )
        seen.append(browser.execute_script(
            "const e = document.activeElement; return [e.tagName, getComputedStyle(e).outlineStyle, e.className]"
        ))  # fmt: skip
    assert (seen[0][0], seen[0][2]) == ("A", "skip")
    assert {"A", "SUMMARY", "DIV"} <= {tag for tag, _, _ in seen}
    assert all(outline != "none" for tag, outline, _ in seen if tag != "BODY")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["demo", "imported", "mini", "markup", "index"])
def test_axe_finds_nothing(browser, pages, axe_source, name, scheme):
    path = page_of(pages, name)
    emulate(browser, "screen", scheme)
    try:
        opened(browser, path, 1440)
        browser.execute_script(axe_source)
        assert browser.execute_async_script(AXE) == []
    finally:
        emulate(browser, "", None)


def emulate(browser, media: str, scheme: str | None) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def test_on_paper_short_folded_tables_are_open_and_long_ones_are_named(browser, pages):
    opened(browser, pages["demo"], 1440)
    shown = "return [...document.querySelectorAll('details:not(.save, .screen) table')].map((t) => t.checkVisibility())"
    long = """return [...document.querySelectorAll('details.screen')].map((fold) =>
        [fold.querySelector('table').checkVisibility(), fold.querySelector('.paper').checkVisibility()])"""
    folded = browser.execute_script(shown)
    emulate(browser, "print", "light")
    try:
        printed, left = browser.execute_script(shown), browser.execute_script(long)
        saving = browser.execute_script("return [...document.querySelectorAll('.save')].map((e) => e.offsetHeight)")
    finally:
        emulate(browser, "", None)
    assert not any(folded)
    assert len(printed) == len(folded) > 5
    assert all(printed)
    assert len(left) > 2
    assert all(words and not table for table, words in left)
    assert set(saving) == {0}


def press(browser, key: str, code: int) -> None:
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
        browser.execute_cdp_cmd("Input.dispatchKeyEvent", event | (text if kind == "keyDown" else {}))


def test_the_keyboard_saves_spec_data_and_drawing_and_they_stand_alone(browser, pages, downloads, tmp_path):
    opened(browser, pages["demo"], 1440)
    browser.execute_script("document.querySelector('#fig-drift > .save > summary').focus()")
    press(browser, "Enter", 13)
    until(lambda: browser.execute_script("return document.querySelectorAll('#fig-drift > .save button').length"))
    wanted = [downloads / f"fig-drift-1.{end}" for end in ("vl.json", "means.csv", "runs.csv", "svg")]
    names = []
    for saved in range(1, len(wanted) + 1):  # of the first chart: spec, two data sets, drawing
        press(browser, "Tab", 9)
        names.append(browser.execute_script("return document.activeElement.textContent"))
        press(browser, "Enter", 13)
        until(lambda: sum(path.exists() for path in wanted) == saved)  # noqa: B023 - called before the next round
    assert names[0] == "Vega-Lite spec"
    assert names[-1] == "drawing (SVG)"
    spec, means, runs, drawing = (path.read_text(encoding="utf-8") for path in wanted)
    assert "var(--" not in spec + drawing
    loaded = json.loads(spec)
    assert set(loaded["datasets"]) == {"means", "runs"}
    rows = list(csv.DictReader(means.splitlines()))
    assert {row["metric"] for row in rows} == {"delta_entropy_pct"}
    assert len(rows) == len(loaded["datasets"]["means"]) == 2 * 4
    assert len(list(csv.DictReader(runs.splitlines()))) == 2 * 4 * 5
    assert "retention_pct" not in runs.splitlines()[0]  # only what the chart reads
    vl_convert = pytest.importorskip("vl_convert", reason="vl-convert-python is not installed")
    alone = vl_convert.vegalite_to_svg(loaded, allowed_base_urls=[])
    assert alone.count("<path") > 40
    assert "lora_r8" in alone  # the legend that the page shows once per figure


def test_pdf_has_the_whole_page_and_the_same_findings(tmp_path, study):
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium on the PATH")
    data = write_pdf(report_document(study), tmp_path / "demo.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.count(b"/Type /Page\n") + data.count(b"/Type/Page/") + data.count(b"/Type /Page ") >= 5
