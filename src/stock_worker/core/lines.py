"""How one line is judged and told. Law: a refused line says what was asked, what there was, and what fell short.

Source: contract section 5 and the decided cases on shapes.
"""

from typing import Final, NamedTuple

from stock_worker.core.booking import Draft, book
from stock_worker.core.model import Line, MovementType, Outcome, OutcomeKind, RejectedLine
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, Order, OrderLine


class Refused(NamedTuple):
    """A line that cannot be met: `could` is how many units could have been given, `available` what there was."""

    line: Line
    code: Code
    available: int | None = None
    could: int | None = None
    detail: str | None = None


def move(
    draft: Draft,
    item: Item,
    location_id: str,
    kind: MovementType,
    quantity: int,
    line: Line,
    order_line: OrderLine | None = None,
) -> Refused | None:
    """Add a step unless a counter would leave its bounds."""
    if draft.overflows(item, location_id, kind, quantity):
        return Refused(line, Code.COUNTER_OVERFLOW, available_to(draft, item, line))
    draft.move(item, location_id, kind, quantity, line, order_line)
    return None


def available_to(draft: Draft, item: Item, line: Line) -> int:
    """What a line could look at: the available of the location that it names, else the item's."""
    return draft.available(item) if line.location_id is None else draft.available_at(item, line.location_id)


def short(draft: Draft, item: Item, line: Line, could: int) -> Refused:
    """Refuse a line for lack of stock."""
    detail = "never_stocked" if item.version == 0 else None
    return Refused(line, Code.INSUFFICIENT_STOCK, available_to(draft, item, line), max(could, 0), detail)


def find_line(order: Order, line: Line) -> OrderLine | None:
    """The order's line that is meant: by line_id, by product and variant, or by both when they agree."""
    if line.line_id is not None:
        found = order.lines.get(line.line_id)
        if found is None or line.product_id is None:
            return found
        return found if found.item[1:] == (line.product_id, line.variant_id) else None
    matches = [kept for kept in order.lines.values() if kept.item[1:] == (line.product_id, line.variant_id)]
    return matches[0] if len(matches) == 1 else None


def concluded(draft: Draft, refused: list[Refused]) -> Outcome:
    """Book the draft, or drop it where a line was refused; without any effect on a tracked line it had none."""
    if refused:
        return rejected(refused)
    return Outcome(OutcomeKind.APPLIED if draft.effective else OutcomeKind.NO_EFFECT, movements=book(draft))


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
    Code.LOCATION_REQUIRED: "the site has several active locations; say with location_id which one was counted",
    Code.UNKNOWN_LOCATION: "the site has no such location; create it or correct its id",
    Code.INACTIVE_LOCATION: "the location is not in use; activate it or name another",
    Code.SAME_LOCATION: "a transfer needs two different locations",
    Code.VERSION_CONFLICT: "the item moved since expected_version; read it again and decide anew",
    Code.UNKNOWN_VERSION: "counted_at_version is ahead of the item or too far back; count again",
    Code.EXCEEDS_PLACED: "more than the order placed cannot be fulfilled; amend the order first",
    Code.EXCEEDS_CANCELLABLE: "more than what is left of the line cannot be cancelled",
    Code.EXCEEDS_RETURNABLE: "more than the order placed cannot come back; send what exceeds it as a blind return",
    Code.EXCEEDS_RESERVED: "more than what is held by hand cannot be released; orders' reservations are not meant",
    Code.INSUFFICIENT_STOCK: "there is not enough stock; send it under a new reference_id when there is",
    Code.COUNTER_OVERFLOW: "a counter would leave ±10^15; check the quantity",
}
