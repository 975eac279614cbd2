"""The Content-Security-Policy in a real browser: scripts that somebody puts into a page do not run."""

import re
import shutil
import time

import pytest

from heatdrift.report.document import content_policy
from heatdrift.report.page import write_report

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
)
INJECTED = """
<script>window.ran = (window.ran || []).concat("inline")</script>
<script src="data:text/javascript,window.ran=['data']"></script>
<script src="evil.js"></script>
<img src="data:image/png;base64,AAAA" onerror="window.ran = ['handler']">
<svg onload="window.ran = ['svg']"></svg>
<iframe srcdoc="<script>parent.ran = ['frame']</script>"></iframe>
<a id="link" href="javascript:window.ran=['link']">x</a>
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    found.set_script_timeout(300)
    found.command_executor.client_config.timeout = 300
    yield found
    found.quit()


def opened(window, path):
    window.get(path.as_uri())
    window.execute_script("document.getElementById('link')?.click()")
    deadline = time.monotonic() + 60
    while not window.execute_script("return document.readyState === 'complete'"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return window.execute_script("return window.ran || []")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, builders):
    folder = tmp_path_factory.mktemp("attacked")
    path = write_report(builders.simulated(seeds=2), folder / "page.html")
    text = path.read_text(encoding="utf-8")
    assert text.count("</main>") == 1
    (folder / "evil.js").write_text("window.ran = ['file']")
    path.write_text(text.replace("</main>", INJECTED + "</main>"), encoding="utf-8")
    return path


def test_no_injected_script_runs_and_the_page_s_own_does(window, attacked):
    assert opened(window, attacked) == []
    refused = [e["message"] for e in window.get_log("browser") if "Content Security Policy" in e["message"]]
    assert len(refused) >= 3
    deadline = time.monotonic() + 120
    while not window.execute_script("return document.documentElement.dataset.drawn"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_the_policy_they_would_run(window, attacked):
    bare = attacked.with_name("bare.html")
    text = attacked.read_text(encoding="utf-8")
    bare.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8")
    assert opened(window, bare) != []


def test_the_policy_of_a_page_without_scripts_allows_none():
    assert "script-src 'none'" in content_policy(())
