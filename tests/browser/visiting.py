"""Somebody who has signed in and looks at a page."""

from urllib.parse import quote

from tests.browser.conftest import OpenTab
from tests.browser.tabs import Tab
from tests.http.running import token
from tests.http.served import Served


async def visit(open_tab: OpenTab, served: Served, path: str, role: str = "org_admin", **screen: object) -> Tab:
    """Open a tab, sign in as a person does, and come to the page that was asked for."""
    tab = await open_tab(served.url, **screen)
    await tab.page.goto(f"/admin/sign-in?next={quote(path, safe='')}")
    await tab.page.get_by_label("Token").fill(token(role))
    await tab.page.get_by_role("button", name="Sign in").click()
    await tab.page.wait_for_url(f"**{path}")
    return tab


async def focused(tab: Tab) -> str:
    """The id of what has the focus, else its tag."""
    found: str = await tab.page.evaluate("document.activeElement.id || document.activeElement.tagName")
    return found


async def fits(tab: Tab) -> bool:
    """Whether nothing sticks out to the side."""
    return bool(await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
