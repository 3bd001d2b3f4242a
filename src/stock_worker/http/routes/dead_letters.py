"""Dead letters: look, send again, close. Law: nothing is sent unless that was asked for, and a letter is settled once.

A site has the letters that name it; those whose site could not be read are the operators', who see all. A replay goes
to Kafka, as the record came. Source: contract rules 1 and 13, section 7 (dead letters).
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field, TypeAdapter

from stock_worker import replay
from stock_worker.core.model import Record
from stock_worker.http.access import Access, Books, Operator, Reader, Writer
from stock_worker.http.backend import Backend
from stock_worker.http.cursors import cursor_of, read_cursor
from stock_worker.http.documents import problems
from stock_worker.http.pages import LIMIT, Limit
from stock_worker.http.problems import Problem
from stock_worker.http.sending import producing
from stock_worker.http.shapes_steering import (
    DeadLetter,
    DeadLetters,
    DiscardAsked,
    Reason,
    ReplayAsked,
    Replayed,
    Settled,
    WholeDeadLetter,
)
from stock_worker.http.tokens import Principal
from stock_worker.store.dead_letters import Entry, Letter, Position
from stock_worker.store.reads.dead_letters import Filters, Place, count, find_letter, read_page
from stock_worker.store.steering.fields import NAME_MAX
from stock_worker.store.steering.refused import Refused

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")

_COUNTED_MAX: Final = 10_000
_SETTLED: Final[dict[Settled, bool | None]] = {"false": False, "true": True, "all": None}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_LATEST: Final = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _TICK

Topic = Annotated[str, Field(pattern="^[a-zA-Z0-9._-]{1,249}$")]
Partition = Annotated[int, Field(ge=0, lt=2**31)]
Offset = Annotated[int, Field(ge=0, lt=2**63)]
Stamp = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_KEY: Final[TypeAdapter[tuple[int, str, int, int, int]]] = TypeAdapter(
    tuple[Annotated[int, Field(ge=0, le=_LATEST)], Topic, Partition, Offset, Stamp]
)
"""What a cursor holds: when the last letter was set aside, in µs since the epoch, and its position."""


class Desk(NamedTuple):
    """Where letters are looked at: whose (None: everybody's) and by whom."""

    books: Backend
    principal: Principal
    site_id: str | None
    sites: frozenset[str]

    @classmethod
    def of_site(cls, books: Backend, access: Access) -> "Desk":
        """Where the letters that name a site are."""
        return cls(books, access.principal, access.site_id, access.sites)

    @classmethod
    def of_all(cls, books: Backend, principal: Principal) -> "Desk":
        """Where all letters are, those of no site among them; for an operator (`access.operator_of`)."""
        return cls(books, principal, None, frozenset())

    @property
    def by(self) -> str:
        """Who settles letters here."""
        return self.principal.name[:NAME_MAX]

    async def look(self, work: "Callable[[Connection], Awaitable[T | Refused]]") -> T:
        """Read on one snapshot; as the worker where all letters are meant, since row level security hides some."""
        if self.site_id is None:

            async def on_one_snapshot(connection: "Connection") -> T | Refused:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    return await work(connection)

            return await self.books.steer(on_one_snapshot)
        async with self.books.reading(self.sites) as connection:
            found = await work(connection)
        if isinstance(found, Refused):
            raise Problem("not_found", found.message)
        return found


async def _of_reader(books: Books, access: Reader) -> Desk:
    return Desk.of_site(books, access)


async def _of_writer(books: Books, access: Writer) -> Desk:
    return Desk.of_site(books, access)


async def _of_operator(books: Books, principal: Operator) -> Desk:
    return Desk.of_all(books, principal)


async def _position(
    topic: Annotated[Topic, Path(description="The command topic, as the letter names it.")],
    partition: Annotated[Partition, Path(description="The partition of that topic.")],
    offset: Annotated[Offset, Path(description="The record's offset there.")],
    timestamp_ms: Annotated[
        Stamp, Path(description="Kafka's time of the record: it tells a topic from its next life.")
    ],
) -> Position:
    return Position(topic, partition, offset, timestamp_ms)


At = Annotated[Position, Depends(_position)]
_ONE: Final = "/{topic}/{partition}/{offset}/{timestamp_ms}"


def _routes(prefix: str, reader: Callable[..., Any], writer: Callable[..., Any]) -> APIRouter:
    """Make the routes below a prefix, for who may read and who may settle there."""
    router = APIRouter(prefix=f"{prefix}/dead-letters", tags=["dead letters"])
    ToRead = Annotated[Desk, Depends(reader)]  # noqa: N806 - a type
    ToSettle = Annotated[Desk, Depends(writer)]  # noqa: N806 - a type

    @router.get("", responses=problems())
    async def list_dead_letters(
        desk: ToRead,
        topic: Annotated[Topic | None, Query(description="Only of this topic, with its prefix.")] = None,
        reason: Annotated[Reason | None, Query(description="Only for this reason.")] = None,
        settled: Annotated[Settled, Query(description="Those that wait, those that are settled, or both.")] = "false",
        limit: Limit = LIMIT,
        cursor: Annotated[str | None, Query(max_length=2_000, description="The last answer's next_cursor.")] = None,
    ) -> DeadLetters:
        """List records that were set aside, the newest first."""
        return await list_letters(desk, topic=topic, reason=reason, settled=settled, limit=limit, cursor=cursor)

    @router.get(_ONE, responses=problems("not_found"))
    async def read_dead_letter(desk: ToRead, at: At) -> WholeDeadLetter:
        """Tell a dead letter with what it carried."""
        return await read_letter(desk, at)

    @router.post(f"{_ONE}/replay", responses=problems("not_found", "conflict"))
    async def replay_dead_letter(desk: ToSettle, at: At, asked: ReplayAsked | None = None) -> Replayed:
        """Say what a record would be sent as; with `dry_run` false, send it.

        It goes to its topic as it came: key, value, headers and time. What is settled under its reference, for
        something else or as refused, goes under a new reference_id. 409 where it was taken or settled meanwhile.
        """
        return await replay_letter(desk, at, asked or ReplayAsked())

    @router.post(f"{_ONE}/discard", responses=problems("not_found", "conflict"))
    async def discard_dead_letter(desk: ToSettle, at: At, asked: DiscardAsked) -> DeadLetter:
        """Close a letter that nobody will send again; it is kept, with the reason."""
        return await discard_letter(desk, at, asked)

    return router


router = APIRouter()
router.include_router(_routes("/sites/{site}", _of_reader, _of_writer))
router.include_router(_routes("", _of_operator, _of_operator))


async def list_letters(
    desk: Desk, *, topic: str | None, reason: Reason | None, settled: Settled, limit: int, cursor: str | None
) -> DeadLetters:
    """List letters of a desk, the newest first."""
    filters = Filters(desk.site_id, topic, reason, _SETTLED[settled])
    after = None if cursor is None else _place(cursor)

    async def read(connection: "Connection") -> tuple[list[Entry], Place | None, int]:
        found, following = await read_page(connection, filters, after, limit)
        return found, following, await count(connection, filters, _COUNTED_MAX + 1)

    found, following, total = await desk.look(read)
    return DeadLetters.model_validate(
        {
            "dead_letters": [_told(entry) for entry in found],
            "next_cursor": None if following is None else _cursor(following),
            "total": min(total, _COUNTED_MAX),
            "total_is_exact": total <= _COUNTED_MAX,
        }
    )


async def read_letter(desk: Desk, at: Position) -> WholeDeadLetter:
    """Tell a letter whole. Raises Problem: not_found."""
    letter = await desk.look(lambda connection: find_letter(connection, at, desk.site_id))
    return WholeDeadLetter.model_validate({**_told(letter.entry), **_carried(letter.record)})


async def replay_letter(desk: Desk, at: Position, asked: ReplayAsked) -> Replayed:
    """Say what a letter would be sent as, or send it. Raises Problem: not_found, conflict, malformed, unavailable."""

    async def plan(connection: "Connection") -> replay.Replay | Refused:
        found = await find_letter(connection, at, desk.site_id)
        if isinstance(found, Refused):
            return found
        return await replay.plan(connection, found, reference_id=asked.reference_id)

    planned = await desk.books.steer(plan)
    if not asked.dry_run:
        async with producing(desk.books.settings, planned.record.topic) as produce:
            await desk.books.steer(lambda connection: replay.send(connection, planned, desk.by, produce))
    return Replayed.model_validate(
        {
            "sent": not asked.dry_run,
            "topic": planned.record.topic,
            "reference_id": planned.reference_id,
            "was": planned.was,
            **_carried(planned.record),
        }
    )


async def discard_letter(desk: Desk, at: Position, asked: DiscardAsked) -> DeadLetter:
    """Close a letter. Raises Problem: not_found, conflict."""

    async def discard(connection: "Connection") -> Letter | Refused:
        found = await find_letter(connection, at, desk.site_id)
        if isinstance(found, Refused):
            return found
        return await replay.discard(connection, found, desk.by, asked.reason) or await find_letter(
            connection, at, desk.site_id
        )

    return DeadLetter.model_validate(_told((await desk.books.steer(discard)).entry))


def _cursor(place: Place) -> str:
    return cursor_of([(place.recorded_at - _EPOCH) // _TICK, *place.position])


def _place(cursor: str) -> Place:
    ticks, topic, partition, offset, timestamp_ms = read_cursor(cursor, _KEY)
    return Place(_EPOCH + ticks * _TICK, Position(topic, partition, offset, timestamp_ms))


def _told(entry: Entry) -> dict[str, Any]:
    settlement = entry.settlement
    return {
        **entry.position._asdict(),
        "recorded_at": entry.recorded_at,
        "site_id": entry.site_id,
        "reason": entry.reason,
        "detail": entry.detail,
        "settlement": None if settlement is None else settlement._asdict(),
    }


def _carried(record: Record) -> dict[str, Any]:
    return {
        "key": _raw(record.key),
        "value": _raw(record.value),
        "headers": [{"name": name, "value": _raw(value)} for name, value in record.headers],
    }


def _raw(value: bytes | None) -> dict[str, str | None] | None:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = None
    return {"text": text, "base64": base64.b64encode(value).decode()}
