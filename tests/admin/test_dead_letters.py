"""Dead letters: why each is there, what would be sent, and that only who may settles it, once."""

import itertools
import json
from typing import Final

import pytest

from stock_worker.core.model import Record
from stock_worker.core.topics import RESTOCK
from stock_worker.handle import Policy, handle_batch
from stock_worker.wire.decode import decode
from tests.admin.looking import Browser, Page, signed_in
from tests.http.running import OTHER, SITE, Api, product

LETTERS: Final = f"/admin/dead-letters?site={SITE}"
STAMP: Final = 1_772_366_400_000
MARKUP: Final = "<img src=x onerror=alert(1)>\u202e"
OFFSETS: Final = itertools.count()


def restock(reference_id: str, quantity: int, site: str = SITE) -> Record:
    """A restock, as Kafka brings it."""
    lines = [{"product_id": product(1), "quantity": quantity, "note": MARKUP}]
    value = json.dumps({"site_id": site, "reference_id": reference_id, "lines": lines}, ensure_ascii=False)
    headers = (("traceparent", b"00-1"), (MARKUP, MARKUP.encode()), ("broken", b"\xff"), ("none", None))
    return Record(RESTOCK, 0, next(OFFSETS), STAMP, MARKUP.encode(), value.encode(), headers)


async def handle(api: Api, *records: Record) -> None:
    """Apply records as the worker does."""
    batch = [decode(each, RESTOCK) for each in records]
    await api.backend.steer(lambda connection: handle_batch(connection, batch, Policy()))


async def conflict(api: Api, reference_id: str = "R", site: str = SITE) -> Record:
    """A dead letter: something else under a reference that is known."""
    letter = restock(reference_id, 2, site)
    await handle(api, restock(reference_id, 1, site), letter)
    return letter


async def unreadable(api: Api) -> Record:
    """A dead letter of no site."""
    letter = Record(RESTOCK, 1, next(OFFSETS), STAMP, None, b"\xffnot JSON", ())
    await handle(api, letter)
    return letter


def path(letter: Record, what: str = "letter", **more: str) -> str:
    """Where a letter is, or something of it."""
    place = f"topic={letter.topic}&partition={letter.partition}&offset={letter.offset}&timestamp_ms={STAMP}"
    return "&".join([f"/admin/dead-letters/{what}?site={SITE}&{place}", *(f"{k}={v}" for k, v in more.items())])


def positions(page: Page) -> list[str]:
    """The letters that a page lists."""
    return [each.attributes["data-item"] for each in page.every("tr") if "data-item" in each.attributes]


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


# ---------------------------------------------------------------- list


async def test_letters_of_the_site_the_newest_first_and_no_others(api: Api, browser: Browser) -> None:
    first, second = await conflict(api, "R"), await conflict(api, "S")
    await unreadable(api)
    await conflict(api, site=OTHER)
    page = await browser.get(LETTERS)
    assert positions(page) == [f"restock/0/{second.offset}", f"restock/0/{first.offset}"]
    assert "2 in all" in page.words
    assert {each.text for each in page.every("a", class_="chip")} == set()


async def test_an_operator_sees_those_of_every_site_and_of_none(api: Api, browser: Browser) -> None:
    mine, nobodys, theirs = await conflict(api), await unreadable(api), await conflict(api, site=OTHER)
    operator = signed_in(api, "platform_admin")
    assert positions(await operator.get(LETTERS)) == [f"restock/0/{mine.offset}"]
    page = await operator.get(f"{LETTERS}&every=true")
    assert positions(page) == [f"restock/{each.partition}/{each.offset}" for each in (theirs, nobodys, mine)]
    chosen = [each.text for each in page.every("a", class_="chip") if "aria-current" in each.attributes]
    assert chosen == ["Every site"]
    assert (await operator.get(path(nobodys, every="true"))).status == 200
    for letter in (nobodys, theirs):
        assert (await operator.get(path(letter))).status == 404
        assert (await browser.get(path(letter))).status == 404
    for refused in (f"{LETTERS}&every=true", path(nobodys, every="true"), path(nobodys, "replay", every="true")):
        assert (await browser.get(refused)).status == 403
    answer = await browser.post(path(nobodys, "discard", every="true"), {"reason": "x"}, htmx=False)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "Nothing waits"),
        ("&reason=malformed", "No letter fits"),
        ("&settled=true", "No letter fits"),
        ("&topic=restock", "No letter fits"),
    ],
)
async def test_an_empty_list_says_why(served: Api, query: str, words: str) -> None:
    assert words in (await signed_in(served).get(LETTERS + query)).words


async def test_filters_and_pages_are_in_the_address(api: Api, browser: Browser) -> None:
    letters = [await conflict(api, f"R{number}") for number in range(3)]
    settled = await browser.post(path(letters[0], "discard"), {"reason": "a test"}, htmx=False)
    assert settled.status == 303
    for query, count in (("", 2), ("&settled=true", 1), ("&settled=all", 3), ("&reason=malformed", 0)):
        assert len(positions(await browser.get(LETTERS + query))) == count, query
    part = await browser.get(f"{LETTERS}&settled=all&reason=&topic=", htmx=True)
    assert part.response.headers["hx-push-url"] == f"{LETTERS}&settled=all"
    assert [
        each.attributes["selected"]
        for each in (await browser.get(f"{LETTERS}&settled=true")).every("option", value="true")
    ] == [""]


async def test_older_ones_follow_by_cursor(api: Api, browser: Browser) -> None:
    letters = [restock("R", 2 + number) for number in range(60)]
    await handle(api, restock("R", 1), *letters)
    first = await browser.get(LETTERS)
    (older,) = [each.attributes["href"] for each in first.every("a", rel="next")]
    second = await browser.get(older)
    assert positions(first) + positions(second) == [f"restock/0/{each.offset}" for each in reversed(letters)]
    assert [each.text for each in second.every("a", class_="button")] == ["Newest"]


# ---------------------------------------------------------------- one


async def test_a_letter_says_why_what_to_do_and_what_it_carried(api: Api, browser: Browser) -> None:
    letter = await conflict(api)
    page = await browser.get(path(letter))
    assert "Reference used before" in page.one("h1").text
    assert "What to do." in page.words
    assert '"reference_id": "R"' in page.one("pre").text
    assert "<img src=x onerror=alert(1)>\\u202e" in page.one("pre").text
    assert "\u202e" not in page.text
    assert (page.every("img"), "/w==" in page.words) == ([], True)


@pytest.mark.parametrize("role", ["viewer", "org_admin"])
async def test_who_may_not_settle_sees_no_control(api: Api, role: str) -> None:
    letter = await conflict(api)
    page = await signed_in(api, role).get(path(letter))
    controls = [each.text for each in page.every("a", class_="button")]
    assert controls == ([] if role == "viewer" else ["Discard", "Replay"])


async def test_before_a_replay_it_is_shown_and_nothing_is_sent(api: Api, browser: Browser) -> None:
    letter = await conflict(api)
    page = await browser.get(path(letter, "replay"), htmx=True)
    assert "under the reference R-replay-1 instead of R" in page.words
    assert '"reference_id": "R-replay-1"' in page.one("pre").text.replace(":R", ": R").replace('":"', '": "')
    assert [each.attributes["value"] for each in page.every("input", type="hidden", name="reference_id")] == [
        "R-replay-1"
    ]
    named = await browser.get(path(letter, "replay", reference_id="S"), htmx=True)
    assert "under the reference S instead of R" in named.words
    assert (await api.get("/dead-letters")).json()["total"] == 1


@pytest.mark.parametrize("reference_id", ["R", "a%0Ab"])
async def test_a_reference_that_cannot_be_is_said(api: Api, browser: Browser, reference_id: str) -> None:
    letter = await conflict(api)
    page = await browser.get(path(letter, "replay", reference_id=reference_id), htmx=True)
    assert page.status in {409, 422}
    assert page.one("div", role="alert").text.startswith("It is not sent.")
    assert [each.text for each in page.every("button", class_="primary")] == []


async def test_what_cannot_be_sent_stays_and_says_so(api: Api, browser: Browser) -> None:
    """There is no Kafka behind this API."""
    letter = await conflict(api)
    answer = await browser.post(path(letter, "replay"), {"reference_id": "R-replay-1"})
    assert answer.status == 503
    assert "nothing is settled" in answer.one("div", role="alert").text
    assert (await api.get("/dead-letters")).json()["total"] == 1


async def test_a_letter_is_discarded_once_with_a_reason(api: Api, browser: Browser) -> None:
    letter = await conflict(api)
    nothing = await browser.post(path(letter, "discard"), {"reason": " "})
    assert (nothing.status, "Say why" in nothing.one("div", role="alert").text) == (422, True)
    long = await browser.post(path(letter, "discard"), {"reason": "x" * 501})
    assert (long.status, long.value("reason")) == (422, "x" * 501)
    done = await browser.post(path(letter, "discard"), {"reason": "a test"})
    assert (done.status, done.response.headers["hx-redirect"]) == (204, path(letter))
    again = await browser.post(path(letter, "discard"), {"reason": "again"})
    assert (again.status, "it is settled" in again.one("div", role="alert").text) == (409, True)
    page = await browser.get(path(letter))
    assert "Settled by Ada" in page.one("p", role="status", class_="toast").text
    assert page.every("a", class_="button") == []
