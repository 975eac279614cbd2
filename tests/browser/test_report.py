"""The finished page in headless Chromium, from file://, with the network off."""

import json
import shutil
import time
from pathlib import Path

import pytest

from heatdrift.report import ReportInput, write_report

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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
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
    return {name: write_report(inp, folder / f"{name}.html") for name, inp in inputs.items()}


def opened(browser, path: Path, width: int):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # drop what the browser itself did before
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get(path.as_uri())
    n_panels = browser.execute_script("return document.querySelectorAll('.panel').length")
    deadline = time.monotonic() + 60
    while (
        n_panels
        and time.monotonic() < deadline
        and not browser.execute_script("return document.documentElement.dataset.drawn")
    ):
        time.sleep(0.05)
    return n_panels


def requests(browser, path: Path) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if url != path.as_uri() and not url.startswith(("data:", "chrome:", "about:"))]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["demo", "imported", "markup", "empty"])
def test_page_opens_offline_without_error_request_or_overflow(browser, pages, name, width):
    if name not in pages:
        pytest.skip("../shared/records/vitb16 is absent")
    n_panels = opened(browser, pages[name], width)
    drawn, marks, static, overflow, outside = browser.execute_script(STATE)
    assert drawn == n_panels
    assert marks >= n_panels
    assert static == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert requests(browser, pages[name]) == []
    assert overflow <= 0
    assert outside == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["demo", "imported"])
def test_no_text_of_a_chart_is_cut_at_the_edge_of_its_drawing(browser, pages, name, width):
    if name not in pages:
        pytest.skip("../shared/records/vitb16 is absent")
    assert opened(browser, pages[name], width)
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
    assert printed == light
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
    time.sleep(0.3)
    shown = browser.execute_script("return document.querySelector('#vg-tooltip-element.visible')?.textContent ?? ''")
    assert "n (seeds)" in shown


def test_without_javascript_the_page_shows_every_drawing(browser, pages):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(pages["demo"].as_uri())
        tree = browser.execute_cdp_cmd("DOM.getDocument", {"depth": 1})["root"]["nodeId"]

        def count(selector: str) -> int:
            return len(
                browser.execute_cdp_cmd("DOM.querySelectorAll", {"nodeId": tree, "selector": selector})["nodeIds"]
            )

        assert count(".panel .static svg") == count(".panel") == 24
        assert count(".live") == 0
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_keyboard_reaches_links_tables_and_summaries_in_order(browser, pages):
    opened(browser, pages["demo"], 1440)
    browser.execute_script("document.body.focus()")
    seen = []
    for _ in range(25):
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
