"""`stock-worker migrate`. Law: it says where the schema was and is; what only a DBA may do comes out as SQL."""

from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from stock_worker.cli import terminal


def migrate(
    down: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Go down to this revision; `base` removes the schema.")
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL that a DBA has to run first, for this login, and do nothing.")
    ] = False,
) -> None:
    """Bring the database's schema up to this release, and its roles about.

    Safe to repeat, and beside another. Where the login may not create roles, the SQL for a DBA goes to stdout and the
    exit code is 1.
    """
    if sql and down:
        raise typer.BadParameter("--sql prints what an upgrade needs; it does not go with --down")
    settings = terminal.read_settings()
    from stock_worker.store.migrate import current, downgrade, revisions, upgrade  # noqa: PLC0415 - not for --help
    from stock_worker.store.roles import RolesNeeded  # noqa: PLC0415 - the same

    url = settings.database_url
    if sql:
        terminal.give(_for_a_dba(url))
        return
    if down and down not in (possible := [*revisions(), "base"]):
        raise terminal.Misused(f"{down} is no revision to go down to; one of: {', '.join(possible)}")
    before = current(url)
    try:
        if down:
            downgrade(url, down)
        else:
            upgrade(url)
    except RolesNeeded as needed:
        terminal.say(f"{needed.refused}; a DBA has to run this first, then run stock-worker migrate again:")
        terminal.give(needed.sql)
        raise typer.Exit(terminal.FINDING) from None
    after = current(url)
    terminal.say(f"{_named(after)} already" if before == after else f"{_named(before)} → {_named(after)}")


def _named(revision: str | None) -> str:
    return f"revision {revision}" if revision else "no schema"


def _for_a_dba(url: str) -> str:
    """The statements that need more than the login has; for a login that may create roles they are run by itself."""
    from stock_worker.store.roles import ROLES  # noqa: PLC0415 - not for --help

    parts = urlsplit(url)
    login, database = _quoted(unquote(parts.username or "")), _quoted(unquote(parts.path.lstrip("/")))
    lines = [f"GRANT CREATE ON DATABASE {database} TO {login};"]
    for role, stand in ROLES.items():
        lines.append(f"CREATE ROLE {role} NOLOGIN {stand};")
        lines.append(f"GRANT {role} TO {login} WITH SET TRUE, INHERIT FALSE;")
    return "\n".join(lines)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
