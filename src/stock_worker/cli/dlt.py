"""`stock-worker dlt`. Law: nothing is sent that was not asked for with --yes, and a letter is settled once.

A letter is named by where its record was: TOPIC/PARTITION/OFFSET, as `list` prints it.
"""

import getpass
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stock_worker.cli import steer, terminal
from stock_worker.cli.steer import AsJson

if TYPE_CHECKING:
    import asyncpg

    from stock_worker.core.model import Record
    from stock_worker.replay import Produce, Replay
    from stock_worker.settings import Settings
    from stock_worker.store.dead_letters import Entry, Letter
    from stock_worker.store.steering.refused import Refused

app = typer.Typer(
    help="List, show, replay and discard records that were set aside.", no_args_is_help=True, rich_markup_mode=None
)

_SHOWN_MAX: Final = 100
_NAME: Final = re.compile(
    r"(?P<topic>[^/]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})(/(?P<timestamp>-?[0-9]{1,18}))?"
)
_AGE: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_REASONS: Final = ("malformed", "reference_conflict", "order_never_placed", "internal_error")

Names = Annotated[list[str], typer.Argument(metavar="LETTER...", help="TOPIC/PARTITION/OFFSET, as list prints it.")]
By = Annotated[str | None, typer.Option(help="Who does it; the user of this machine unless said otherwise.")]


class Name(NamedTuple):
    """A letter as a person names it; the timestamp only where the topic was made anew since."""

    text: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None


@app.command("list")
def list_(
    topic: Annotated[list[str] | None, typer.Option(help="Only of this command topic; may be repeated.")] = None,
    reason: Annotated[str | None, typer.Option(help=f"Only with this reason: {', '.join(_REASONS)}.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only since then: an age (90m, 24h, 7d) or an RFC 3339 time.")
    ] = None,
    settled: Annotated[bool, typer.Option("--settled", help="Those that were replayed or discarded, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters that nobody has settled yet, the newest first."""
    settings = terminal.read_settings()
    from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help
    from stock_worker.core.topics import COMMAND_TOPICS  # noqa: PLC0415 - the same
    from stock_worker.store.dead_letters import list_letters  # noqa: PLC0415 - the same

    if reason is not None and reason not in _REASONS:
        raise terminal.Misused(f"{reason} is no reason; one of: {', '.join(_REASONS)}")
    topics = kafka.known(topic, COMMAND_TOPICS, settings.topic_prefix) if topic else None
    began = None if since is None else _time(since)
    found = steer.connected(
        "dlt",
        lambda connection: list_letters(
            connection, since=began, topics=topics, reason=reason, settled_too=settled, limit=limit
        ),
    )
    if as_json:
        terminal.give_json([_entry(each) for each in found])
        return
    terminal.give_table(
        ("letter", "recorded", "reason", "detail", "settled"),
        [
            (
                each.position.text,
                f"{each.recorded_at:%Y-%m-%d %H:%M:%S}",
                each.reason,
                _printable(each.detail),
                _printable(each.settlement.words) if each.settlement else "",
            )
            for each in found
        ],
    )
    if len(found) == limit:
        terminal.say(f"these are the newest {limit}; --limit shows more")


@app.command()
def show(letter: Annotated[str, typer.Argument(metavar="LETTER")], as_json: AsJson = False) -> None:
    """Show a dead letter whole, and what can be done with it."""
    name, settings = _name(letter), terminal.read_settings()
    from stock_worker import replay  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering.refused import Refused  # noqa: PLC0415 - the same

    async def look(connection: "asyncpg.Connection") -> "Refused | tuple[Letter, Replay | Refused]":
        found = await _find(connection, name, settings)
        return found if isinstance(found, Refused) else (found, await replay.plan(connection, found))

    found, planned = steer.connected("dlt", look)
    can = not isinstance(planned, Refused)
    words = f"cannot be replayed: {planned.message}" if isinstance(planned, Refused) else _would(planned)
    if as_json:
        terminal.give_json({**_entry(found.entry), **_carried(found.record), "can_be_replayed": can, "words": words})
        return
    plain = {**_entry(found.entry), **_carried(found.record)}
    steer.show({name: _plain(value) for name, value in plain.items()}, as_json=False)
    terminal.say(words)
    if found.entry.settlement is None:
        terminal.say("stock-worker dlt replay sends it again, dlt discard closes it")


@app.command("replay")
def replay_(
    letters: Names,
    yes: Annotated[bool, typer.Option("--yes", help="Send; without it only what would be sent is printed.")] = False,
    reference_id: Annotated[
        str | None,
        typer.Option(help="The new reference_id, for one letter; else <old>-replay-<n> where one is needed."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their topics again, as they came: key, value, headers and time.

    What is settled under its reference, for something else or as refused, goes under a new reference_id. Exit code 1
    when one of them cannot go.
    """
    names, settings = [_name(each) for each in letters], terminal.read_settings()
    if reference_id is not None and len(names) > 1:
        raise terminal.Misused("--reference-id is for one letter: no two commands share one")
    who = _who(by)

    async def work(connection: "asyncpg.Connection") -> "list[_Result]":
        if not yes:
            return await _replay_all(connection, names, settings, reference_id, None)
        from stock_worker.cli import kafka  # noqa: PLC0415 - not for --help

        there: set[str] = set()
        async with kafka.producer(settings) as producer:

            async def produce(record: "Record") -> None:
                if record.topic not in there:
                    await kafka.partitions(settings, [record.topic])
                    there.add(record.topic)
                time_ms = record.timestamp_ms if record.timestamp_ms >= 0 else None
                await producer.send_and_wait(
                    record.topic, record.value, record.key, timestamp_ms=time_ms, headers=list(record.headers)
                )

            return await _replay_all(connection, names, settings, reference_id, (produce, who))

    results = steer.connected("dlt", work)
    _tell(results, "sent" if yes else "would be sent; --yes sends", as_json=as_json)


@app.command()
def discard(
    letters: Names,
    reason: Annotated[str, typer.Option(help="Why it need not be sent again.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Close dead letters that nobody will send again; they are kept, with the reason."""
    names, settings = [_name(each) for each in letters], terminal.read_settings()
    from stock_worker import replay  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering.fields import unfit  # noqa: PLC0415 - the same
    from stock_worker.store.steering.refused import Refused  # noqa: PLC0415 - the same

    who = _who(by)
    if unread := unfit("a discard", replay.SETTLERS_WORDS, {"by": who, "reason": reason}):
        raise terminal.Misused(unread.message)

    async def work(connection: "asyncpg.Connection") -> "list[_Result]":
        results = []
        for name in names:
            found = await _find(connection, name, settings)
            refused = found if isinstance(found, Refused) else await replay.discard(connection, found, who, reason)
            results.append(_Result(name.text, refused, None))
        return results

    _tell(steer.connected("dlt", work), "discarded", as_json=as_json)


# ---------------------------------------------------------------- the work


class _Result(NamedTuple):
    """What became of one letter: why not, or what was sent."""

    letter: str
    refused: "Refused | None"
    replay: "Replay | None"


async def _replay_all(
    connection: "asyncpg.Connection",
    names: Iterable[Name],
    settings: "Settings",
    reference_id: str | None,
    sending: "tuple[Produce, str] | None",
) -> list[_Result]:
    """Plan each letter, and send it if that was asked for."""
    from stock_worker import replay  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering.refused import Refused  # noqa: PLC0415 - the same

    results: list[_Result] = []
    taken: set[str] = set()
    for name in names:
        found = await _find(connection, name, settings)
        planned = (
            found
            if isinstance(found, Refused)
            else await replay.plan(connection, found, reference_id=reference_id, taken=taken)
        )
        refused = planned if isinstance(planned, Refused) else None
        if not isinstance(planned, Refused) and sending is not None:
            produce, by = sending
            refused = await replay.send(connection, planned, by, produce)
        if not isinstance(planned, Refused) and planned.reference_id is not None:
            taken.add(planned.reference_id)
        results.append(_Result(name.text, refused, None if isinstance(planned, Refused) else planned))
    return results


async def _find(connection: "asyncpg.Connection", name: Name, settings: "Settings") -> "Letter | Refused":
    """Find the one letter of this name, with the deployment's prefix or without."""
    from stock_worker.store.dead_letters import find  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering.refused import Refused, Why  # noqa: PLC0415 - the same

    topics = {name.topic, settings.topic_prefix + name.topic}
    found = await find(connection, sorted(topics), name.partition, name.offset, name.timestamp_ms)
    if not found:
        return Refused(Why.NOT_FOUND, f"there is no dead letter {name.text}")
    if len(found) > 1:
        full = ", ".join(f"{each.entry.position.text}/{each.entry.position.timestamp_ms}" for each in found)
        return Refused(Why.NOT_FOUND, f"{name.text} is several letters; name one of: {full}")
    return found[0]


# ---------------------------------------------------------------- words


def _tell(results: Sequence[_Result], done: str, *, as_json: bool) -> None:
    """Give what went well, say what did not, and end with the exit code for it."""
    refused = [result for result in results if result.refused is not None]
    if as_json:
        terminal.give_json([_result(result) for result in results])
    else:
        for result in results:
            if result.refused is None:
                terminal.give(_line(result))
    for result in refused:
        assert result.refused is not None
        terminal.say(f"{result.letter}: {result.refused.message}")
    if len(refused) < len(results):
        terminal.say(f"{len(results) - len(refused)} {done}")
    raise typer.Exit(terminal.FINDING if refused else 0)


def _line(result: _Result) -> str:
    if result.replay is None:
        return result.letter
    value = _printable(_text(result.replay.record.value) or "null")
    return f"{result.letter}\t{_would(result.replay)}\t{value}"


def _result(result: _Result) -> dict[str, Any]:
    told: dict[str, Any] = {"letter": result.letter, "refused": result.refused and result.refused.message}
    if result.replay is not None:
        record = result.replay.record
        told |= {"topic": record.topic, "reference_id": result.replay.reference_id, **_carried(record)}
    return told


def _would(planned: "Replay") -> str:
    if planned.reference_id is None:
        return "as it is"
    same = planned.reference_id == planned.was
    return f"as it is, {planned.was}" if same else f"as {planned.reference_id}, since {planned.was} is settled"


def _entry(entry: "Entry") -> dict[str, Any]:
    settlement = entry.settlement
    return {
        "letter": entry.position.text,
        **entry.position._asdict(),
        "recorded_at": entry.recorded_at,
        "site_id": entry.site_id,
        "reason": entry.reason,
        "detail": entry.detail,
        "settled_at": settlement and settlement.at,
        "settled_by": settlement and settlement.by,
        "settlement": settlement and settlement.words,
    }


def _carried(record: "Record") -> dict[str, Any]:
    return {
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": _decoded(record.value),
    }


def _decoded(value: bytes | None) -> object:
    """The value as JSON where it is some, else as text."""
    try:
        return json.loads(value) if value is not None else None
    except ValueError:
        return _text(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    """Spell what a record carried on one line; `null` is the word for nothing."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return _printable(value, len(value)) if isinstance(value, str) else value


def _printable(words: str, most: int = _SHOWN_MAX) -> str:
    """Cut somebody's text, without what would move the cursor of whoever reads."""
    short = words if len(words) <= most else words[: most - 1] + "…"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in short)


def _who(by: str | None) -> str:
    """Name who settles letters. Raises Misused where the machine does not know."""
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        raise terminal.Misused("this machine's user has no name; say who does it with --by") from None


def _name(text: str) -> Name:
    match = _NAME.fullmatch(text)
    if match is None:
        raise terminal.Misused(f"{text} is no TOPIC/PARTITION/OFFSET")
    timestamp = match["timestamp"]
    return Name(
        text,
        match["topic"],
        int(match["partition"]),
        int(match["offset"]),
        None if timestamp is None else int(timestamp),
    )


def _time(text: str) -> datetime:
    from stock_worker.wire.values import instant  # noqa: PLC0415 - not for --help

    age = _AGE.fullmatch(text)
    moment = datetime.now(UTC) - int(age["number"]) * _UNITS[age["unit"]] if age else instant(text)
    if moment is None:
        raise terminal.Misused(f"--since {text} is neither an age such as 90m, 24h, 7d nor an RFC 3339 time")
    return moment
