"""Why a command is refused. Law: this enum is the contract's list in its order; the first that applies wins.

Source: contract section 5. A refusal is a value that the sender is told; it is never an exception.
"""

from enum import IntEnum


class Code(IntEnum):
    """A refusal code; a smaller number takes precedence. `Code.text` is the spelling on the wire."""

    MALFORMED = 1
    REFERENCE_CONFLICT = 2
    ORDER_ALREADY_PLACED = 3
    UNKNOWN_LINE = 4
    LOCATION_REQUIRED = 5
    UNKNOWN_LOCATION = 6
    INACTIVE_LOCATION = 7
    SAME_LOCATION = 8
    VERSION_CONFLICT = 9
    UNKNOWN_VERSION = 10
    EXCEEDS_PLACED = 11
    EXCEEDS_CANCELLABLE = 12
    EXCEEDS_RETURNABLE = 13
    EXCEEDS_RESERVED = 14
    INSUFFICIENT_STOCK = 15
    COUNTER_OVERFLOW = 16
    ORDER_NEVER_PLACED = 17
    INTERNAL_ERROR = 18

    @property
    def text(self) -> str:
        """The code as the contract spells it, e.g. `insufficient_stock`."""
        return _TEXTS[self]


_TEXTS = {code: code.name.lower() for code in Code}

DEAD_LETTERED = frozenset({Code.MALFORMED, Code.REFERENCE_CONFLICT, Code.ORDER_NEVER_PLACED, Code.INTERNAL_ERROR})
"""The codes whose record also goes to the dead-letter topic."""

UNREFERENCED = frozenset({Code.MALFORMED, Code.INTERNAL_ERROR})
"""The codes that leave no reference and emit no `adjustment-rejected`: the same reference_id may be sent again."""
