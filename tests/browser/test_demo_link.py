"""The demo's link in a browser: the cookie that one port gives is sent to the other, and the page is there."""

from fastapi import Response

from stock_worker.cli.demo.door import door
from stock_worker.http.admin.session import HOME, keep
from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.flow.running import make_topics
from tests.http.booking import NOON
from tests.http.running import token
from tests.http.served import Served


async def test_the_link_of_the_demo_leads_a_browser_to_the_page_signed_in(
    open_tab: OpenTab, app: Served, settings: Settings
) -> None:
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    answer = Response()
    keep(answer, token(), NOON, is_secure=False)
    async with door(f"{app.url}{HOME}", answer.headers["set-cookie"]) as link:
        tab = await open_tab(app.url)
        for _ in range(2):  # who is signed in is led there again
            await tab.page.goto(link)
            assert tab.page.url.removeprefix(app.url).partition("?")[0] == HOME
            await tab.page.get_by_role("button", name="Sign out").wait_for()
        stranger = await open_tab(app.url)
        await stranger.page.goto(link)
        await stranger.page.get_by_label("Token").wait_for()
