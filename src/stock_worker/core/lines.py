"""How one line is judged and told. Law: a refused line says what was asked, what there was, and what fell short.

Source: contract section 5 and the decided cases on shapes.
"""

from typing import Final, NamedTuple

from stock_worker.core.alerts import BACKORDER_LIMIT
from stock_worker.core.booking import Draft, book
from stock_worker.core.model import (
    Line,
    MovementType,
    Outcome,
    OutcomeKind,
    RejectedLine,
)
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, Order, OrderLine


class Refused(NamedTuple):
    """A line that cannot be met: `could` is how many units could have been given, `available` what there was."""

    line: Line
    code: Code
    available: int | None = None
    could: int | None = None
    detail: str | None = None


def default_place(draft: Draft) -> str:
    """The site's default location."""
    return draft.world.sites[draft.command.site_id].default_location_id


def place_of(draft: Draft, line: Line) -> str:
    """The location that the line names, else the site's default."""
    return line.location_id or default_place(draft)


def take(draft: Draft, item: Item, line: Line, order_line: OrderLine | None = None) -> Refused | None:
    """Sell the line's units as a promise: available may fall to the backorder limit and no further (rule 4)."""
    assert line.quantity is not None
    could = min(
        draft.available(item) + BACKORDER_LIMIT,
        draft.available_at(item, place_of(draft, line)) + max(BACKORDER_LIMIT, 0),
    )
    if line.quantity > could:
        return short(draft, item, line, could)
    return move(draft, item, line, MovementType.SALE, -line.quantity, order_line)


def move(
    draft: Draft, item: Item, line: Line, kind: MovementType, quantity: int, order_line: OrderLine | None = None
) -> Refused | None:
    """Add a step unless a counter would leave its bounds."""
    location_id = place_of(draft, line)
    if draft.overflows(item, location_id, quantity):
        return Refused(line, Code.COUNTER_OVERFLOW, available=draft.available(item))
    draft.move(item, location_id, kind, quantity, line, order_line)
    return None


def short(draft: Draft, item: Item, line: Line, could: int) -> Refused:
    """Refuse a line for lack of stock."""
    available = draft.available(item) if line.location_id is None else draft.available_at(item, line.location_id)
    detail = "never_stocked" if item.version == 0 else None
    return Refused(line, Code.INSUFFICIENT_STOCK, available, max(could, 0), detail)


def find_line(order: Order, line: Line) -> OrderLine | None:
    """The order's line that is meant: by line_id, by product and variant, or by both when they agree."""
    if line.line_id is not None:
        found = order.lines.get(line.line_id)
        if found is None or line.product_id is None:
            return found
        return found if found.item[1:] == (line.product_id, line.variant_id) else None
    matches = [kept for kept in order.lines.values() if kept.item[1:] == (line.product_id, line.variant_id)]
    return matches[0] if len(matches) == 1 else None


def applied(draft: Draft) -> Outcome:
    """Book the draft."""
    return Outcome(OutcomeKind.APPLIED, movements=book(draft))


def rejected(refused: list[Refused]) -> Outcome:
    """Tell the failing lines; the command's code is the first in precedence among theirs."""
    code = min(refusal.code for refusal in refused)
    return Outcome(OutcomeKind.REJECTED, code, message_of(code, len(refused)), rejected=tuple(map(tell, refused)))


def tell(refused: Refused) -> RejectedLine:
    """Put a refused line into the words of `adjustment-rejected`."""
    line = refused.line
    requested = None if line.quantity is None else abs(line.quantity)
    shortfall = None if requested is None or refused.could is None else requested - refused.could
    return RejectedLine(
        line.line_id,
        line.product_id,
        line.variant_id,
        line.location_id,
        requested,
        refused.available,
        shortfall,
        refused.code,
        refused.detail,
    )


def message_of(code: Code, lines: int) -> str:
    """Say to a person why the command was refused and what to do."""
    return f"{lines} {'line was' if lines == 1 else 'lines were'} refused: {_WORDS[code]}"


_WORDS: Final = {
    Code.ORDER_ALREADY_PLACED: "a line_id of the order exists already; give added lines new line_ids",
    Code.UNKNOWN_LINE: "the order has no such line, or several; name the line by the line_id of its placement",
    Code.VERSION_CONFLICT: "the item moved since expected_version; read it again and decide anew",
    Code.EXCEEDS_PLACED: "more than the order placed cannot be fulfilled; amend the order first",
    Code.EXCEEDS_CANCELLABLE: "more than what is left of the line cannot be cancelled",
    Code.EXCEEDS_RETURNABLE: "more than the order placed cannot come back; send what exceeds it as a blind return",
    Code.INSUFFICIENT_STOCK: "there is not enough stock; send it under a new reference_id when there is",
    Code.COUNTER_OVERFLOW: "a counter would leave ±10^15; check the quantity",
}
