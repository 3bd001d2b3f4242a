"""The life of an order line. Law: its state is a function of totals, never of the order in which they arrived.

P placed, C cancelled by name, W the whole order cancelled, F fulfilled, R returned, E expired:
`out = max(F, R)`, `cancelled = min(P if W else C, P - out)`; in mode sale `sold = P - cancelled`; in mode reserve
`sold = out`, and the rest, `P - out - cancelled`, is reserved, or expired once E.
A command changes one total; what it moves is the step from the old state to the new one. Source: contract rule 5.
"""

from typing import NamedTuple

from stock_worker.core.model import Mode


class Totals(NamedTuple):
    """The four totals of a line, in units; each only grows."""

    placed: int
    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0


class Held(NamedTuple):
    """What a line has of the stock, in units: taken for good, and kept for later."""

    sold: int
    reserved: int


def units_out(totals: Totals) -> int:
    """Units that have certainly left: what came back must have left too."""
    return max(totals.fulfilled, totals.returned)


def units_cancelled(totals: Totals, *, whole: bool) -> int:
    """Units that will not leave: goods that left have left, whatever was cancelled."""
    return min(totals.placed if whole else totals.cancelled, totals.placed - units_out(totals))


def units_left(totals: Totals, *, whole: bool) -> int:
    """Units that a cancellation could still cancel; those that expired are among them."""
    return totals.placed - units_out(totals) - units_cancelled(totals, whole=whole)


def held(totals: Totals, mode: Mode, *, whole: bool, expired: bool) -> Held:
    """What the line has taken and keeps in this state."""
    if mode is Mode.SALE:
        return Held(totals.placed - units_cancelled(totals, whole=whole), 0)
    return Held(units_out(totals), 0 if expired else units_left(totals, whole=whole))
