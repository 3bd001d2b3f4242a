"""Contract rule 6 for commands that are read long after they were sent: our clock counts, not theirs. No I/O."""

from datetime import timedelta

from stock_worker.core.model import OutcomeKind
from stock_worker.core.policy import Settings
from stock_worker.core.state import World
from tests.core.shop import NOON, SITE, line, place, reserve, restock, run, stock, world

LATE = NOON + timedelta(seconds=120)


def shop() -> World:
    """Ten of item a, at two minutes after noon; commands say that they happened at noon."""
    opened = world()
    run(opened, restock(line("a", 10), ref="opening"))
    opened.recorded_at = LATE
    return opened


def test_rule_6_what_was_still_good_when_it_was_sent_is_past_when_it_is_read() -> None:
    opened = shop()
    past, good = run(opened, reserve("O", line("a", 4), after_s=60), reserve("P", line("a", 3), after_s=180))
    assert (past.kind, past.movements) == (OutcomeKind.EXPIRED, ())
    assert good.kind is OutcomeKind.APPLIED
    assert stock(opened, "a") == 7


def test_decided_a_sites_time_for_reservations_runs_from_when_it_is_recorded() -> None:
    opened = shop()
    opened.sites[SITE].settings = Settings(reservation_ttl=90)
    (outcome,) = run(opened, reserve("O", line("a", 4)))
    (order,) = opened.orders.values()
    assert outcome.kind is OutcomeKind.APPLIED
    assert order.expires_at == LATE + timedelta(seconds=90)


def test_decided_a_sale_has_no_time() -> None:
    opened = shop()
    (outcome,) = run(opened, place("O", line("a", 4), expires_at=NOON))
    assert outcome.kind is OutcomeKind.APPLIED
