"""Named SQL. Law: a statement that runs in production stands in `queries/<name>.sql` under its own name, nowhere else.

-- name: lock_items
-- Why it exists, which index serves it. Lines of comment stay in the file.
SELECT … ;
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

_HEADER: Final = re.compile(r"--\s*name:\s*(?P<name>[a-z][a-z0-9_]*)\s*")


@cache
def statements(name: str) -> Mapping[str, str]:
    """Return the statements of `queries/<name>.sql` by name, without comment lines and closing semicolon.

    Raises ValueError where a name is given twice or has no statement, and where SQL stands before the first name.
    """
    file = resources.files("stock_worker.store") / "queries" / f"{name}.sql"
    return MappingProxyType(parse(file.read_text(encoding="utf-8"), file.name))


def parse(text: str, file_name: str) -> dict[str, str]:
    """Cut the text of one file into its statements."""
    bodies: dict[str, list[str]] = {}
    body: list[str] | None = None
    for line in text.splitlines():
        if header := _HEADER.fullmatch(line.strip()):
            body = []
            if bodies.setdefault(header["name"], body) is not body:
                raise ValueError(f"{file_name}: two statements are named {header['name']}")
        elif line.strip() and not line.lstrip().startswith("--"):
            if body is None:
                raise ValueError(f"{file_name}: SQL before the first `-- name:`: {line.strip()}")
            body.append(line.rstrip())
    if empty := [name for name, lines in bodies.items() if not lines]:
        raise ValueError(f"{file_name}: no SQL under the name {', '.join(empty)}")
    return {name: "\n".join(lines).removesuffix(";").rstrip() for name, lines in bodies.items()}
