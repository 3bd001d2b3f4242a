"""Dead letters: look, send again, close. Law: each says why it is there and what to do, and nothing goes unseen.

Before a record is sent it is shown as it would be sent; to discard one takes a reason. Who may not settle letters sees
no control; an operator sees those of every site, and of none. Source: contract rule 13, section 7 (dead letters, the
page).
"""

from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from stock_worker.core.topics import COMMAND_TOPICS
from stock_worker.http.access import Books, operator_of
from stock_worker.http.admin.failing import PageRoute, lead
from stock_worker.http.admin.forms import Form
from stock_worker.http.admin.raw_text import shown, visible
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, Writing, about
from stock_worker.http.pages import LIMIT
from stock_worker.http.problems import Problem, of_validation
from stock_worker.http.routes import dead_letters as api
from stock_worker.http.shapes_steering import DiscardAsked, Reason, ReplayAsked, Settled
from stock_worker.http.tokens import Role
from stock_worker.store.dead_letters import Position
from stock_worker.wire.values import NAME_MAX_CHARACTERS

LETTERS: Final = "/admin/dead-letters"
router = APIRouter(prefix=LETTERS, include_in_schema=False, route_class=PageRoute)


class Why(NamedTuple):
    """A reason in words, and what to do about it."""

    word: str
    means: str
    do: str


REASONS: Final[dict[Reason, Why]] = {
    "malformed": Why(
        "Cannot be read",
        "The record is no command: it is not JSON, or a field is missing or wrong.",
        "Have its sender mend it and send it anew, then discard this one: as it is, it would come back here.",
    ),
    "reference_conflict": Why(
        "Reference used before",
        "Its reference is known for something else, so the first message stands and this one was not booked.",
        "If it is a message of its own, replay it: it gets a new reference. If it repeats the first one, discard it.",
    ),
    "order_never_placed": Why(
        "Order never placed",
        "It waited for its order, and the order was not placed in time.",
        "Once the order is placed, replay it. If the order will never come, discard it.",
    ),
    "internal_error": Why(
        "Fault of the service",
        "The database could not take the record, or deciding it met a bug.",
        "Tell whoever runs the service. Once that is mended, replay it.",
    ),
}
STATES: Final[dict[Settled, str]] = {"false": "Waiting", "true": "Settled", "all": "Waiting and settled"}

_NONE_WHERE_EMPTY: Final = BeforeValidator(lambda value: value or None)


class Asked(BaseModel):
    """Which letters, as the address says it; `every` means those of all sites and of none."""

    reason: Annotated[Reason | None, _NONE_WHERE_EMPTY] = None
    topic: Annotated[api.Topic | None, _NONE_WHERE_EMPTY] = None
    settled: Settled = "false"
    every: bool = False
    cursor: Annotated[str | None, _NONE_WHERE_EMPTY, Field(max_length=2_000)] = None

    @property
    def is_narrowed(self) -> bool:
        """Whether some letters are left out that could be wanted."""
        return self.reason is not None or self.topic is not None or self.settled != "false"


async def _desk(books: Books, here: Here, *, every: Annotated[bool, Query()] = False) -> api.Desk:
    if every:
        return api.Desk.of_all(books, await operator_of(here.session.principal))
    return api.Desk.of_site(books, here.access)


async def _desk_to_settle(desk: Annotated[api.Desk, Depends(_desk)], here: Writing) -> api.Desk:
    del here  # only that he may
    return desk


async def _position(
    topic: Annotated[api.Topic, Query()],
    partition: Annotated[api.Partition, Query()],
    offset: Annotated[api.Offset, Query()],
    timestamp_ms: Annotated[api.Stamp, Query()],
) -> Position:
    return Position(topic, partition, offset, timestamp_ms)


ToRead = Annotated[api.Desk, Depends(_desk)]
ToSettle = Annotated[api.Desk, Depends(_desk_to_settle)]
At = Annotated[Position, Depends(_position)]


@router.get("")
async def show(request: Request, books: Books, here: Here, desk: ToRead, asked: Annotated[Asked, Query()]) -> Response:
    """Show the letters of a site, or of all."""
    found = await api.list_letters(
        desk, topic=asked.topic, reason=asked.reason, settled=asked.settled, limit=LIMIT, cursor=asked.cursor
    )
    context = {
        **about(here),
        "asked": asked,
        "letters": found.dead_letters,
        "total": found.total,
        "total_is_exact": found.total_is_exact,
        "older": found.next_cursor and _list_path(here, asked, cursor=found.next_cursor),
        "newest": asked.cursor and _list_path(here, asked, cursor=None),
        "everything": _list_path(here, Asked(every=asked.every, settled="all")),
        "waiting": _list_path(here, Asked(every=asked.every)),
        "scopes": _scopes(here, asked),
        "topics": [books.settings.topic_prefix + topic for topic in COMMAND_TOPICS],
        "reasons": REASONS,
        "states": STATES,
        "letter_path": lambda letter: _path(here, desk, _position_of(letter), "letter"),
        "visible": visible,
    }
    if is_part(request):
        address = {"HX-Push-Url": _list_path(here, asked)}
        return render(request, "parts/letters.html", context, headers=address)
    return render(request, "dead_letters.html", context)


@router.get("/letter")
async def show_letter(request: Request, here: Here, desk: ToRead, at: At) -> Response:
    """Show a letter with what it carried, why it is here and what to do."""
    letter = await api.read_letter(desk, at)
    context = _about_letter(here, desk, at) | {
        "letter": letter,
        "why": REASONS[letter.reason],
        "key": shown(letter.key),
        "value": shown(letter.value),
        "headers": [(visible(each.name), shown(each.value)) for each in letter.headers],
    }
    return render(request, "dead_letter.html", context)


@router.get("/replay")
async def look_before_replay(
    request: Request,
    here: Here,
    desk: ToSettle,
    at: At,
    reference_id: Annotated[str, Query(max_length=NAME_MAX_CHARACTERS)] = "",
) -> Response:
    """Show what a letter would be sent as; nothing is sent."""
    return await _replay_form(request, here, desk, at, reference_id.strip())


@router.post("/replay")
async def replay(request: Request, here: Here, desk: ToSettle, at: At, form: Form) -> Response:
    """Send a letter as it was shown; a refusal is shown in the form."""
    wanted = form.get("reference_id", "")
    try:
        await api.replay_letter(desk, at, _replay_asked(wanted, dry_run=False))
    except Problem as problem:
        return await _replay_form(request, here, desk, at, wanted, problem)
    return lead(request, _path(here, desk, at, "letter"))


@router.get("/discard")
async def ask_discard(request: Request, here: Here, desk: ToSettle, at: At) -> Response:
    """Ask why a letter need not be sent again."""
    await api.read_letter(desk, at)
    return _discard_form(request, _about_letter(here, desk, at), "", None)


@router.post("/discard")
async def discard(request: Request, here: Here, desk: ToSettle, at: At, form: Form) -> Response:
    """Close a letter; a refusal is shown in the form."""
    reason = form.get("reason", "")
    try:
        await api.discard_letter(desk, at, _discard_asked(reason))
    except Problem as problem:
        return _discard_form(request, _about_letter(here, desk, at), reason, problem)
    return lead(request, _path(here, desk, at, "letter"))


def _replay_asked(reference_id: str, *, dry_run: bool) -> ReplayAsked:
    try:
        return ReplayAsked(dry_run=dry_run, reference_id=reference_id or None)
    except ValidationError as error:
        raise of_validation(RequestValidationError(error.errors())) from None


def _discard_asked(reason: str) -> DiscardAsked:
    if not reason:
        raise Problem("malformed", "Say why it need not be sent again.")
    try:
        return DiscardAsked(reason=reason)
    except ValidationError as error:
        raise of_validation(RequestValidationError(error.errors())) from None


async def _replay_form(
    request: Request, here: Visit, desk: api.Desk, at: Position, wanted: str, refused: Problem | None = None
) -> Response:
    planned = None
    if refused is None:
        try:
            planned = await api.replay_letter(desk, at, _replay_asked(wanted, dry_run=True))
        except Problem as problem:
            refused = problem
    context = _about_letter(here, desk, at) | {
        "planned": planned,
        "wanted": wanted,
        # What was shown under a new name is sent under that name, or not at all.
        "sent_as": planned.reference_id if planned and planned.reference_id != planned.was else None,
        "value": shown(planned.value) if planned else None,
        "refused": refused,
        "length": NAME_MAX_CHARACTERS,
    }
    template = "parts/replay.html" if is_part(request) else "replay.html"
    return render(request, template, context, status=refused.status if refused else 200)


def _discard_form(request: Request, context: dict[str, Any], reason: str, refused: Problem | None) -> Response:
    template = "parts/discard.html" if is_part(request) else "discard.html"
    status = refused.status if refused else 200
    return render(request, template, context | {"reason": reason, "refused": refused}, status=status)


def _about_letter(here: Visit, desk: api.Desk, at: Position) -> dict[str, Any]:
    """Give what the pages of one letter need: its place, and where what belongs to it is."""
    asked = Asked(every=desk.site_id is None)
    paths = {f"{what}_path": _path(here, desk, at, what) for what in ("letter", "replay", "discard")}
    fields = {"site": here.site_id, **at._asdict(), **({"every": "true"} if asked.every else {})}
    return {**about(here), **paths, "place": at, "fields": fields, "list_path": _list_path(here, asked)}


def _position_of(letter: Any) -> Position:  # noqa: ANN401 - any of the shapes that name a letter
    return Position(letter.topic, letter.partition, letter.offset, letter.timestamp_ms)


def _path(here: Visit, desk: api.Desk, at: Position, what: str) -> str:
    every = {"every": "true"} if desk.site_id is None else {}
    return f"{LETTERS}/{what}?{urlencode({'site': here.site_id, **at._asdict(), **every})}"


def _list_path(here: Visit, asked: Asked, **changes: object) -> str:
    said = asked.model_dump() | changes
    kept = {name: value for name, value in said.items() if value != Asked.model_fields[name].default}
    if "every" in kept:
        kept["every"] = "true"
    return f"{LETTERS}?{urlencode({'site': here.site_id, **kept})}"


def _scopes(here: Visit, asked: Asked) -> list[tuple[str, str, bool]]:
    """Give whose letters can be looked at: word, address and whether it is chosen; none where there is no choice."""
    if here.session.principal.role is not Role.PLATFORM_ADMIN:
        return []
    return [
        (word, _list_path(here, asked, every=every, cursor=None), asked.every == every)
        for word, every in (("This site", False), ("Every site", True))
    ]
