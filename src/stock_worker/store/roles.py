"""The two roles that connections act as. Law: made where absent, mended where wrong, given to the login, never dropped.

Roles belong to the cluster, and several databases may be migrated at once, where an advisory lock of one database
holds nobody back in another. So each step looks first, and is repeated when somebody else was quicker. Source: contract
section 8 (SET ROLE; the SQL for a DBA).
"""

import asyncio
import random
from collections.abc import Mapping
from time import monotonic
from typing import Final

import asyncpg

ROLES: Final[Mapping[str, str]] = {"stock_worker": "BYPASSRLS", "stock_api": "NOBYPASSRLS"}
"""Role → its stand towards row level security. Both are NOLOGIN: one acts as them by SET ROLE."""

_PATIENCE_S: Final = 30.0
"""For all who make the same roles to have taken turns; attempts would be no measure of it on a busy machine."""
_PAUSE_MAX_S: Final = 0.1

_LOOK: Final = """
SELECT wanted.name, role.oid IS NOT NULL AS exists, role.rolsuper, role.rolbypassrls,
       role.oid IS NOT NULL AND pg_has_role(current_user, role.oid, 'SET') AS may_act,
       quote_ident(current_user) AS login
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, position)
LEFT JOIN pg_roles AS role ON role.rolname = wanted.name
ORDER BY wanted.position
"""


class RolesNeeded(Exception):  # noqa: N818 - it says what is needed, and `sql` how to get it
    """This login may not make or be granted the roles; `sql` is what a DBA has to run once."""

    def __init__(self, sql: str, refused: str) -> None:
        super().__init__(f"{refused}; a DBA has to run:\n{sql}")
        self.sql = sql
        self.refused = refused


async def ensure_roles(connection: asyncpg.Connection, roles: Mapping[str, str] = ROLES) -> None:
    """Bring `roles` about, so that the login of `connection` may SET ROLE to each. Not inside a transaction.

    Raises RolesNeeded where the login may not.
    """
    assert not connection.is_in_transaction()
    deadline = monotonic() + _PATIENCE_S
    while steps := await _missing(connection, roles):
        if monotonic() > deadline:
            raise asyncpg.InternalServerError(f"roles {', '.join(roles)} were not settled within {_PATIENCE_S:g} s")
        for step in steps:
            try:
                await connection.execute(step)
            except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                continue  # another database's migration made it in this moment
            except asyncpg.InternalServerError as error:  # "tuple concurrently updated": two GRANTs of one role
                if "concurrently" not in str(error):
                    raise
            except asyncpg.InsufficientPrivilegeError as error:
                remaining = await _missing(connection, roles)
                raise RolesNeeded("\n".join(f"{sql};" for sql in remaining), str(error)) from error
        # Drawn, or those who met once would meet again and again.
        await asyncio.sleep(random.uniform(0, _PAUSE_MAX_S))  # noqa: S311 - no secret


async def _missing(connection: asyncpg.Connection, roles: Mapping[str, str]) -> list[str]:
    """Return the statements that are still to be run, in order."""
    steps = []
    for row in await connection.fetch(_LOOK, list(roles)):
        name, wanted = row["name"], roles[row["name"]]
        if not row["exists"]:
            steps.append(f"CREATE ROLE {name} NOLOGIN {wanted}")
        elif row["rolbypassrls"] != (wanted == "BYPASSRLS"):
            steps.append(f"ALTER ROLE {name} {wanted}")
        if row["rolsuper"]:
            steps.append(f"ALTER ROLE {name} NOSUPERUSER")
        if not row["may_act"]:
            # INHERIT FALSE: the login itself gains nothing, it has to act as the role.
            steps.append(f"GRANT {name} TO {row['login']} WITH SET TRUE, INHERIT FALSE")
    return steps
