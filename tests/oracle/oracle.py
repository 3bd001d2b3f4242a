"""An oracle from outside. Law: it reads what was sent and what came out, and knows no code of the product.

Every record is sent before it is judged and consumed to the end before it is judged; what is still parked then is told
as such. It assumes no order between topics, hence totals; within a key's events it insists on order.
"""

from collections.abc import Iterable

from tests.oracle.asked import judge_asked
from tests.oracle.commands import judge_commands
from tests.oracle.items import judge_items
from tests.oracle.orders import judge_orders
from tests.oracle.records import Judgement, Seen, Sent, read
from tests.oracle.steering import Steering


def judge(sent: Iterable[Sent], seen: Iterable[Seen], steering: Steering | None = None) -> Judgement:
    """Judge a run: all that was produced to command topics, and all that came out of event and dead-letter topics.

    `steering` is what was set for the sites, before and meanwhile.
    """
    judgement, steering = Judgement(), steering or Steering()
    published = read(seen, judgement)
    ledger = judge_items(published, steering, judgement)
    commands = judge_commands(list(sent), published, ledger, judgement)
    judge_asked(commands, ledger, steering, judgement)
    judge_orders(commands, steering, judgement)
    return judgement
