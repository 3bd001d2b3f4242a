"""Contract section 7, the API's own page as a person has it: it works, and asks nobody but this server."""

from urllib.parse import urlsplit

import pytest

from stock_worker.http.app import BASE
from tests.browser.conftest import OpenTab
from tests.browser.tabs import PHONE, WIDE, Screen
from tests.http.served import Served


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
async def test_the_page_of_the_api_shows_its_routes_and_asks_nobody_else(
    open_tab: OpenTab, app: Served, screen: Screen
) -> None:
    tab = await open_tab(app.url, screen=screen)
    await tab.page.goto(f"{BASE}/docs")
    restocks = tab.page.locator("#swagger-ui .opblock-post", has_text="/restocks").first
    await restocks.locator(".opblock-summary-control").click()
    await restocks.get_by_role("button", name="Execute").wait_for()
    asked = {urlsplit(url).netloc for url in tab.requested if not url.startswith("data:")}
    assert asked == {urlsplit(app.url).netloc}
