"""What the tests in a browser lean on: each thing it reads is planted once, and found."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import Route

from stock_worker.http.app import BASE
from stock_worker.settings import Settings
from tests.browser import finding
from tests.browser.conftest import OpenTab
from tests.browser.tabs import PHONE, PICTURES, VENDORED, WIDE, Screen, Tab
from tests.flow.running import Shop, restock, until
from tests.http.running import SITE, token
from tests.http.served import Served

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:1"
STRICT = "default-src 'none'; script-src 'self'; connect-src *"
AXE = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


async def shown(tab: Tab, body: str) -> None:
    """Go to a page of the test's own, whose policy runs no script that stands in it."""
    html = f'<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>t</title>{body}'

    async def answer(route: Route) -> None:
        headers = {"Content-Security-Policy": STRICT}
        await route.fulfill(body=html, content_type="text/html", headers=headers)

    await tab.page.route("**/planted", answer)
    await tab.page.goto("/planted")


# ---------------------------------------------------------------- what it reads


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        pytest.param("<main><h1>Stock</h1><img alt='A mug'></main>", [], id="nothing planted"),
        pytest.param("<main><h1>Stock</h1><img></main>", ["image-alt (critical): img"], id="a picture without words"),
        pytest.param(
            "<main><h1>Stock</h1><button></button></main>", ["button-name (critical): button"], id="a button unnamed"
        ),
    ],
)
async def test_axe_finds_what_is_planted_in_a_page_of_a_strict_policy(
    open_tab: OpenTab, body: str, rules: list[str]
) -> None:
    tab = await open_tab(NOWHERE)
    await shown(tab, body)
    assert [line.rpartition(": ")[0] for line in await tab.violations()] == rules


def test_axe_is_the_one_of_its_readme() -> None:
    assert hashlib.sha256((VENDORED / "axe.min.js").read_bytes()).hexdigest() == AXE


async def test_a_shift_is_measured(open_tab: OpenTab) -> None:
    tab = await open_tab(NOWHERE)
    await shown(tab, "<main><h1>Stock</h1><p>12 mugs</p></main>")
    assert await tab.layout_shift() == 0
    await tab.page.evaluate("document.querySelector('h1').style.marginTop = '300px'")
    assert await tab.layout_shift() > 0


async def test_bytes_are_counted_as_they_come(open_tab: OpenTab, app: Served) -> None:
    tab = await open_tab(app.url)
    await tab.page.goto(f"{BASE}/docs")
    brought = await tab.transferred()
    answer = await tab.page.request.get(f"{BASE}/docs/swagger-ui.css")
    whole = len(await answer.body())
    assert whole < brought[f"{app.url}{BASE}/docs/swagger-ui.css"] < whole + 1_000  # its headers


async def test_a_slow_network_is_slow(open_tab: OpenTab, app: Served) -> None:
    tab = await open_tab(app.url)
    await tab.page.goto(f"{BASE}/docs")
    await tab.slow_network(latency_ms=700)
    took = "const began = performance.now(); await fetch('/healthz'); return performance.now() - began;"
    assert await tab.page.evaluate(f"async () => {{ {took} }}") >= 700


@pytest.mark.parametrize(
    ("screen", "dark", "locale", "time_zone", "told"),
    [
        pytest.param(WIDE, False, "en-GB", "UTC", [1280, 1, False, "en-GB", "UTC", "1,234.5"], id="wide and light"),
        pytest.param(
            PHONE,
            True,
            "de-DE",
            "Europe/Berlin",
            [375, 2, True, "de-DE", "Europe/Berlin", "1.234,5"],
            id="phone and dark",
        ),
    ],
)
async def test_who_sits_there_reaches_the_page(
    open_tab: OpenTab, screen: Screen, dark: bool, locale: str, time_zone: str, told: list[object]
) -> None:
    tab = await open_tab(NOWHERE, screen=screen, dark=dark, locale=locale, time_zone=time_zone)
    await shown(tab, "")
    found = await tab.page.evaluate(
        """[innerWidth, devicePixelRatio, matchMedia("(prefers-color-scheme: dark)").matches, navigator.language,
            Intl.DateTimeFormat().resolvedOptions().timeZone, (1234.5).toLocaleString()]"""
    )
    assert found == told


async def test_what_kafka_brings_is_read_in_the_browser(
    open_tab: OpenTab, app: Served, worker: Served, settings: Settings
) -> None:
    await Shop(settings).send(restock("delivery", quantity=7))
    tab = await open_tab(app.url)
    await tab.page.goto(f"{BASE}/docs")
    items = f"fetch('{BASE}/sites/{SITE}/items', {{headers: {{Authorization: 'Bearer {token()}'}}}})"

    async def is_there() -> bool:
        document = await tab.page.evaluate(f"{items}.then(answer => answer.json())")
        return [item["quantity"] for item in document["items"]] == [7]

    await until(is_there)


# ---------------------------------------------------------------- what fails a test


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        pytest.param("console.error('no stock')", "console: no stock", id="a console error"),
        pytest.param("setTimeout(() => { throw Error('no stock') })", "exception: .*no stock", id="an exception"),
        pytest.param("fetch('/gone').catch(() => 0)", "request: net::ERR_.*/gone", id="a request that fails"),
        pytest.param("fetch('http://shop.example/').catch(() => 0)", "request: .*shop.example", id="a world outside"),
        pytest.param(
            "document.body.append(Object.assign(document.createElement('script'), {text: '0'}))",
            "console: .*Content Security Policy",
            id="a script in the page",
        ),
    ],
)
async def test_a_fault_is_noted_and_one_that_is_wanted_is_none(open_tab: OpenTab, planted: str, fault: str) -> None:
    tab = await open_tab(NOWHERE)
    await shown(tab, "<p>12 mugs</p>")
    await tab.page.evaluate(f"() => {{ {planted}; }}")
    await until(lambda: any(re.search(fault, each) for each in tab.faults))
    with pytest.raises(AssertionError, match=fault):
        await tab.end(ROOT / PICTURES / "planted.png", failed=False)
    await tab.fault(fault)
    tab.faults.clear()  # the browser tells of a failed request twice, in the console too


FILE = """
async def test_silent(open_tab):
    tab = await open_tab("http://127.0.0.1:1")
    await tab.page.goto("data:text/html,<title>t</title>mugs")

async def test_loud(open_tab):
    tab = await open_tab("http://127.0.0.1:1")
    await tab.page.evaluate("console.error('no stock')")

async def test_false(open_tab):
    await open_tab("http://127.0.0.1:1")
    assert False
"""


def run(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run such a file as one of this folder."""
    below = folder / "tests/browser"
    below.mkdir(parents=True)
    (below / "test_planted.py").write_text(FILE)
    named = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != "CI"}
    plugins = ("-p", "tests.conftest", "-p", "tests.browser.conftest")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", *plugins, "--rootdir", str(folder), str(below)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=named | environment,
        timeout=60,
        check=False,
    )


def test_what_failed_keeps_a_picture_and_says_where(browser: object, tmp_path: Path) -> None:
    ran = run(tmp_path)
    kept = sorted((tmp_path / PICTURES).glob("*.png"))
    assert [picture.name for picture in kept] == [
        "tests-browser-test_planted-py-test_false-1.png",
        "tests-browser-test_planted-py-test_loud-1.png",
    ], ran.stdout + ran.stderr
    assert all(str(picture) in ran.stdout for picture in kept)
    assert "console: no stock" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("1 failed, 2 passed, 1 error in")


def test_without_a_browser_the_tests_are_skipped_and_ci_is_red(tmp_path: Path) -> None:
    ran = run(tmp_path, PATH=str(tmp_path), CI="true")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert finding.HOW in ran.stdout
    assert ran.stdout.count("SKIPPED, and not listed") == 3
    assert ran.stdout.splitlines()[-1].startswith("3 skipped in")
