"""`stock-worker token`. Law: a token for development, signed with the shared key; nobody's identity is checked.

Where STOCK_JWKS_URL is set, tokens come from whoever has the private keys, and this command makes none.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from stock_worker.cli import terminal


def token(
    role: Annotated[str, typer.Option(help="viewer reads, org_admin writes its sites, platform_admin all.")],
    site: Annotated[list[UUID] | None, typer.Option(help="A site it is for; may be given several times.")] = None,
    name: Annotated[str, typer.Option(help="The actor that changes are booked under.")] = "Developer",
    sub: Annotated[str, typer.Option(help="Whose it is; a UUID becomes the actor_id of changes.")] = "developer",
    hours: Annotated[float, typer.Option(min=0.01, max=8_760, help="How long it lasts.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print the token and its end as one JSON object.")] = False,
) -> None:
    """Print a bearer token for development, signed with STOCK_JWT_KEY."""
    settings = terminal.read_settings()
    if settings.jwt_key is None:
        raise terminal.Misused("STOCK_JWT_KEY is not set; set it to the key that the API is started with")
    from stock_worker.http.tokens import Principal, Role, signed  # noqa: PLC0415 - not for --help

    if role not in set(Role):
        raise terminal.Misused(f"there is no role {role}; it is one of: {', '.join(Role)}")
    if not site and role != Role.PLATFORM_ADMIN:
        raise terminal.Misused(f"a token of role {role} needs a site; name it: --site UUID")
    now = datetime.now(UTC)
    ends = now + timedelta(hours=hours)
    holder = Principal(sub, name, Role(role), frozenset(map(str, site or ())))
    made = signed(settings, holder, now, ends)
    if as_json:
        terminal.give_json({"token": made, "expires_at": ends.replace(microsecond=0)})
    else:
        terminal.give(made)
