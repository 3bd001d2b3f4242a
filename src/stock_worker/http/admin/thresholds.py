"""What an item is held to. Law: each field says what holds and who says so, and is set or left to be inherited alone.

An address names an item, or none for the site, and at which scope its fields are set: the nearest unless it says more.
Source: contract section 1 (backorder_limit), rule 10, section 7 (`…/alert-rules`, the page).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from stock_worker.http.access import Access, Books
from stock_worker.http.admin.alerts import ALERTS, CHANGED, SOURCES, rule_path
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.filling import Filled, read_filled, text_of
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.items import Ref, Row, read_row
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.problems import Problem
from stock_worker.http.routes import rules
from stock_worker.http.routes.settings import THRESHOLDS, read_settings
from stock_worker.http.shapes_steering import InEffect, Rule, RuleChange
from stock_worker.store.steering.rules import BUILT_IN, FIELDS, Scope

router = APIRouter(prefix=ALERTS, include_in_schema=False, route_class=PageRoute)

ScopeName = Literal["variant", "product", "site"]


class Words(NamedTuple):
    """What a person reads of a field."""

    label: str
    hint: str


GROUPS: Final[Mapping[str, Mapping[str, Words]]] = {
    "Levels": {
        "low_stock_threshold": Words("Low at", "available, or fewer"),
        "critical_stock_threshold": Words("Critical at", "available, or fewer"),
        "out_of_stock_threshold": Words("Out of stock at", "available, or fewer"),
    },
    "Orders": {
        "backorder_limit": Words("Sold beyond stock", "units promised below zero; less than 0 is kept back"),
        "reorder_point": Words("Reorder at", "available, or fewer"),
        "reorder_quantity": Words("Order", "units each time"),
    },
    "Messages": {
        "is_active": Words("Tell of levels", ""),
        "notify_dashboard": Words("On the dashboard", ""),
        "notify_email": Words("By email", ""),
        "notify_webhook": Words("By webhook", ""),
    },
}
"""Every field of a rule, as people set it."""

_Reads = Callable[[Backend, Access, Scope], Awaitable[Rule]]
_Changes = Callable[[Backend, Access, Scope, RuleChange], Awaitable[Rule]]
_ROUTES: Final[Mapping[ScopeName, tuple[_Reads, _Changes]]] = {
    "variant": (rules.read_variant_rule, rules.change_variant_rule),
    "product": (rules.read_product_rule, rules.change_product_rule),
    "site": (rules.read_site_rule, rules.change_site_rule),
}


class Target(NamedTuple):
    """Whose rule is meant: the item that it was come from, None for the site alone, and the scope."""

    ref: Ref | None
    scope: ScopeName

    @property
    def scopes(self) -> list[ScopeName]:
        """The scopes that reach the item, the nearest first."""
        if self.ref is None:
            return ["site"]
        return ["product", "site"] if self.ref.variant is None else ["variant", "product", "site"]

    def at(self, site_id: str, name: ScopeName) -> Scope:
        """The scope of this name, as the API has it."""
        if self.ref is None or name == "site":
            return Scope(site_id)
        return Scope(site_id, str(self.ref.product), str(self.ref.variant) if name == "variant" else None)

    def path(self, site_id: str, name: ScopeName) -> str:
        """Where the rule of this scope is, come from the same item."""
        return rule_path(f"site={site_id}" if self.ref is None else self.ref.query(site_id, scope=name))


async def _target(
    product: Annotated[UUID | None, Query()] = None,
    variant: Annotated[UUID | None, Query()] = None,
    scope: Annotated[ScopeName | None, Query()] = None,
) -> Target:
    target = Target(None if product is None else Ref(product, variant), scope or "site")
    if scope is None:
        return target._replace(scope=target.scopes[0])
    if scope not in target.scopes:
        raise Problem("malformed", f"scope: one of {', '.join(target.scopes)} here")
    return target


Meant = Annotated[Target, Depends(_target)]


@router.get("/rule")
async def show(request: Request, books: Books, here: Here, target: Meant) -> Response:
    """Show what holds for an item or a site, field by field, and what of it is set at the scope."""
    return await _page(request, books, here, target)


@router.post("/rule")
async def change(request: Request, books: Books, form: Form, here: Writing, target: Meant) -> Response:
    """Set the fields that a form changes; one that was emptied is inherited again."""
    filled = read_filled(form, FIELDS)
    if filled.faults:
        return await _page(request, books, here, target, refused=(form, filled))
    _, to_change = _ROUTES[target.scope]
    await to_change(books, here.access, target.at(here.site_id, target.scope), RuleChange.model_validate(filled.given))
    if is_part(request):
        context = {**about(here), "row": await _row(books, here, target)}
        return render(request, "parts/rule_saved.html", context, headers=CHANGED)
    return await _page(request, books, here, target, is_saved=True)


async def _page(
    request: Request,
    books: Backend,
    here: Visit,
    target: Target,
    *,
    refused: tuple[Fields, Filled] | None = None,
    is_saved: bool = False,
) -> Response:
    to_read, _ = _ROUTES[target.scope]
    found = await to_read(books, here.access, target.at(here.site_id, target.scope))
    own = {name: None if found.rule is None else getattr(found.rule, name) for name in FIELDS}
    shown = {name: text_of(value) for name, value in own.items()}
    form, filled = refused or ({}, Filled({}, {}))
    context = {
        **about(here),
        "target": target,
        "row": await _row(books, here, target),
        "groups": GROUPS,
        "kinds": {name: field.kind for name, field in FIELDS.items()},
        "own": own,
        "shown": shown,
        "kept": {name: form.get(name, "") for name in FIELDS} if refused else shown,
        "inherited": await _inherited(books, here, target),
        "sources": SOURCES,
        "faults": filled.faults,
        "is_saved": is_saved,
    }
    template = "parts/rule.html" if is_part(request) else "rule.html"
    return render(request, template, context, status=422 if filled.faults else 200)


async def _row(books: Backend, here: Visit, target: Target) -> Row | None:
    return None if target.ref is None else await read_row(books, here.access, target.ref)


async def _inherited(books: Backend, here: Visit, target: Target) -> Mapping[str, InEffect]:
    """Say of each field what holds at the scope where it sets nothing."""
    if target.scope != "site":
        above: ScopeName = "product" if target.scope == "variant" else "site"
        to_read, _ = _ROUTES[above]
        held = (await to_read(books, here.access, target.at(here.site_id, above))).effective
        return {name: getattr(held, name) for name in FIELDS}
    settings = await read_settings(books, here.access)
    said: dict[str, Any] = {ours: getattr(settings, name) for name, (ours, _) in THRESHOLDS.items()}
    built_in = BUILT_IN._asdict()
    return {
        name: InEffect(value=value, source="settings")
        if (value := said.get(name, built_in[name])) != built_in[name]
        else InEffect(value=value, source="built-in")
        for name in FIELDS
    }
