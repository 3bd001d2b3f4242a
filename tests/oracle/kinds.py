"""The closed lists of outcomes and refusals that a workload must meet (contract sections 5 and 8).

`failed` and its code `internal_error`, and `counter_overflow`, are left out: no workload brings them about, and named
tests do.
"""

from typing import Final

from tests.models.words import PRECEDENCE

OUTCOMES: Final = (
    "applied",
    "partly_applied",
    "no_effect",
    "superseded",
    "expired",
    "rejected",
    "conflict",
    "duplicate",
    "parked",
    "malformed",
)
CODES: Final = ("malformed", "reference_conflict", *(code for code in PRECEDENCE if code != "counter_overflow"))
