"""Whether an answer is the one that a page shows. Law: what a page shows is there as shown; `…` is what it leaves out.

In a JSON document `…` as the last member, or the last element, stands for any more of them; within a text it stands
for any characters, and the text "…" for any value. In other text `…` stands for any characters of a line, alone on
a line for any lines.
"""

import json
import re
from typing import Any, Final

_LEFT_OUT: Final = "…"
_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_MORE: Final = re.compile(rf"{_TEXT}|…(?=\s*(?P<of>[\]}}]))")


def shown_documents(text: str) -> list[Any]:
    """Read documents as a page shows them."""
    as_json = {"}": '"…": "…"', "]": '"…"'}
    return documents(_MORE.sub(lambda found: as_json.get(found["of"], found[0]), text))


def documents(text: str) -> list[Any]:
    """Read documents that stand one after the other. Raises ValueError where they are none."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while rest := text[at:].lstrip():
        value, length = decoder.raw_decode(rest)
        found.append(value)
        at += len(text[at:]) - len(rest) + length
    return found


def fits(shown: Any, given: Any) -> bool:  # noqa: ANN401 - documents of any kind
    """Whether what was given is what is shown."""
    if shown == _LEFT_OUT:
        return True
    if isinstance(shown, dict):
        names = shown.keys() - {_LEFT_OUT}
        return (
            isinstance(given, dict)
            and (names <= given.keys() if _LEFT_OUT in shown else names == given.keys())
            and all(fits(shown[name], given[name]) for name in names)
        )
    if isinstance(shown, list):
        first = shown[:-1] if shown[-1:] == [_LEFT_OUT] else shown
        return (
            isinstance(given, list)
            and (len(given) >= len(first) if first is not shown else len(given) == len(first))
            and all(map(fits, first, given))
        )
    if isinstance(shown, str) and isinstance(given, str):
        return re.fullmatch(_pattern(shown, ".*"), given, re.DOTALL) is not None
    return type(shown) is type(given) and shown == given


def text_fits(shown: str, given: str) -> bool:
    """The same of plain text."""
    lines = [
        r"(?:.*\n)*" if line == _LEFT_OUT else _pattern(line, "[^\n]*") + r"\n" for line in shown.strip().splitlines()
    ]
    return re.fullmatch("".join(lines), given.replace("\r", "").strip() + "\n") is not None


def _pattern(shown: str, left_out: str) -> str:
    return left_out.join(map(re.escape, shown.split(_LEFT_OUT)))
