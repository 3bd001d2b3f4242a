"""An oracle from outside. Law: it reads what was sent and what came out, and knows no code of the product.

Every record is sent before it is judged and consumed to the end before it is judged; what is still parked then is told
as such. It assumes no order between topics, hence totals; within a key's events it insists on order.
"""

from collections.abc import Iterable

from tests.oracle.commands import judge_commands
from tests.oracle.items import judge_items
from tests.oracle.orders import judge_quantities
from tests.oracle.records import Judgement, Seen, Sent, read


def judge(sent: Iterable[Sent], seen: Iterable[Seen]) -> Judgement:
    """Judge a run: all that was produced to command topics, and all that came out of event and dead-letter topics."""
    judgement = Judgement()
    published = read(seen, judgement)
    ledger = judge_items(published, judgement)
    commands = judge_commands(list(sent), published, ledger, judgement)
    judge_quantities(commands, judgement)
    return judgement
