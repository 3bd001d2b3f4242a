"""Alert rules of sites, products and variants. Law: a field that a rule leaves out is inherited, each on its own.

A rule may be made for a product that has never been seen: the catalog gates nothing. Source: contract section 1
(backorder_limit), rule 10, section 7 (`…/alert-rules`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stock_worker.core.model import MAX_COUNTER
from stock_worker.core.policy import PLAIN, Rule, Settings
from stock_worker.store.sql import statements
from stock_worker.store.steering import settings
from stock_worker.store.steering.fields import Field, boolean, integer, unfit
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("rules")

FIELDS: Final[Mapping[str, Field]] = {
    "low_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "critical_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "out_of_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "backorder_limit": integer(-MAX_COUNTER, MAX_COUNTER),
    "reorder_point": integer(0, MAX_COUNTER),
    "reorder_quantity": integer(1, MAX_COUNTER),
    "is_active": boolean(),
    "notify_email": boolean(),
    "notify_dashboard": boolean(),
    "notify_webhook": boolean(),
}
"""What people set; null inherits."""

BUILT_IN: Final = Rule(
    *PLAIN.thresholds,
    PLAIN.backorder_limit,
    PLAIN.reorder_point,
    PLAIN.reorder_quantity,
    PLAIN.is_active,
    PLAIN.notify["email"]["enabled"],
    PLAIN.notify["dashboard"],
    PLAIN.notify["webhook"]["enabled"],
)
"""What holds where nothing is said."""

_LEVEL: Final = ("low_stock_threshold", "critical_stock_threshold", "out_of_stock_threshold", "is_active")
"""The fields that say which level an item is at, and whether it is told; the backorder limit is looked at apart."""
_NO_RULE: Final = Rule()


class Scope(NamedTuple):
    """What a rule is for: a whole site, all variants of a product, or one variant."""

    site_id: str
    product_id: str | None = None
    variant_id: str | None = None


class Effective(NamedTuple):
    """What holds for one field, and who says so: variant, product, site, settings or built-in."""

    value: int | bool | None
    source: str


class ScopeRule(NamedTuple):
    """A scope's own rule, None where it has none, and what holds for it field by field."""

    scope: Scope
    rule: Rule | None
    updated_at: datetime | None
    effective: Mapping[str, Effective]


async def read(connection: "Connection", scope: Scope) -> ScopeRule:
    """Give the rule of a scope and what it comes to with all that it inherits."""
    rows = await connection.fetch(SQL["rules_of_scope"], *scope)
    return _resolved(scope, {_scope(row): row for row in rows}, await settings.read(connection, scope.site_id))


async def list_rules(connection: "Connection", site_id: str) -> list[tuple[Scope, Rule]]:
    """Give all rules of a site: by product and variant, the site's own last."""
    return [(_scope(row), _rule(row)) for row in await connection.fetch(SQL["rules_of_site"], site_id)]


async def change(connection: "Connection", scope: Scope, given: Mapping[str, Any]) -> ScopeRule | Refused:
    """Change what is given of a scope's rule, which is made where there is none."""
    refused = unfit("an alert rule", FIELDS, given)
    if refused is not None:
        return refused
    if scope.variant_id is not None and scope.product_id is None:
        return Refused(Why.MALFORMED, "product_id is missing: a variant is one of a product")
    async with connection.transaction():
        site, rows = await _lock(connection, scope)
        old = _rule(rows[scope]) if scope in rows else _NO_RULE
        new = old._replace(**given)
        if new != old or (scope not in rows and given):
            row = await connection.fetchrow(SQL["write_rule"], *scope, *new)
            assert row is not None
            rows[scope] = row
            await _leave_word(connection, scope, old, new)
    return _resolved(scope, rows, site)


async def delete(connection: "Connection", scope: Scope) -> Refused | None:
    """Remove a scope's rule, so that it inherits everything."""
    async with connection.transaction():
        _, rows = await _lock(connection, scope)
        if scope not in rows:
            return Refused(Why.NOT_FOUND, f"the {_word(scope)} has no rule of its own")
        await connection.execute(SQL["delete_rule"], *scope)
        await _leave_word(connection, scope, _rule(rows[scope]), _NO_RULE)
    return None


def effective(nearest_first: Iterable[tuple[str, Rule | None]], site: Settings) -> dict[str, Effective]:
    """Join rules, the nearest first, with the settings and what is built in, field by field."""
    said = [*((source, rule) for source, rule in nearest_first if rule), ("settings", site), ("built-in", BUILT_IN)]
    found = {}
    for name in FIELDS:
        values = ((getattr(rule, name, None), source) for source, rule in said)
        found[name] = Effective(*next((each for each in values if each[0] is not None), (None, "built-in")))
    return found


async def _lock(connection: "Connection", scope: Scope) -> tuple[Settings, dict[Scope, "Row"]]:
    """Take the site's turn, then read: the settings, and the rules that reach the scope."""
    site = await settings.lock(connection, scope.site_id)
    return site, {_scope(row): row for row in await connection.fetch(SQL["rules_of_scope"], *scope)}


async def _leave_word(connection: "Connection", scope: Scope, old: Rule, new: Rule) -> None:
    limit_changed = old.backorder_limit != new.backorder_limit
    moved = limit_changed or any(getattr(old, name) != getattr(new, name) for name in _LEVEL)
    await settings.leave_word(connection, *scope, evaluate=moved, limit_changed=limit_changed)


def _resolved(scope: Scope, rows: Mapping[Scope, "Row"], site: Settings) -> ScopeRule:
    chain = [scope]
    if scope.variant_id is not None:
        chain.append(scope._replace(variant_id=None))
    if scope.product_id is not None:
        chain.append(Scope(scope.site_id))
    rules = [(_word(each), _rule(rows[each]) if each in rows else None) for each in chain]
    updated_at = rows[scope]["updated_at"] if scope in rows else None
    return ScopeRule(scope, rules[0][1], updated_at, effective(rules, site))


def _word(scope: Scope) -> str:
    if scope.product_id is None:
        return "site"
    return "product" if scope.variant_id is None else "variant"


def _rule(row: "Row") -> Rule:
    return Rule(*(row[name] for name in Rule._fields))


def _scope(row: "Row") -> Scope:
    product_id, variant_id = row["product_id"], row["variant_id"]
    return Scope(
        str(row["site_id"]),
        None if product_id is None else str(product_id),
        None if variant_id is None else str(variant_id),
    )
