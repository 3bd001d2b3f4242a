"""The life of an order line. Law: its state is a function of totals, never of the order in which they arrived.

P placed, C cancelled by name, W the whole order cancelled, F fulfilled, R returned:
`out = max(F, R)`, `cancelled = min(P if W else C, P - out)`, and in sale mode `sold = P - cancelled`.
A command changes one total; what it moves is the step from the old state to the new one. Source: contract rule 5.
"""

from typing import NamedTuple


class Totals(NamedTuple):
    """The four totals of a line, in units; each only grows."""

    placed: int
    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0


def units_out(totals: Totals) -> int:
    """Units that have certainly left: what came back must have left too."""
    return max(totals.fulfilled, totals.returned)


def units_cancelled(totals: Totals, *, whole: bool) -> int:
    """Units that will not leave: goods that left have left, whatever was cancelled."""
    return min(totals.placed if whole else totals.cancelled, totals.placed - units_out(totals))


def units_sold(totals: Totals, *, whole: bool) -> int:
    """Units that the line has taken from stock (mode sale)."""
    return totals.placed - units_cancelled(totals, whole=whole)


def units_left(totals: Totals, *, whole: bool) -> int:
    """Units that a cancellation could still cancel."""
    return totals.placed - units_out(totals) - units_cancelled(totals, whole=whole)
