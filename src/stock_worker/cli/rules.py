"""`stock-worker rules`. Law: a rule is shown with what holds in the end, and with who says so."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import typer

from stock_worker.cli import steer, terminal
from stock_worker.cli.steer import AsJson, Given, Product, Site, Variant

if TYPE_CHECKING:
    from stock_worker.store.steering.rules import Scope, ScopeRule

app = typer.Typer(
    help="Keep the alert rules of a site, its products and their variants.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(site: Site, as_json: AsJson = False) -> None:
    """List all rules of a site, each with the fields that it sets."""
    from stock_worker.store.steering import rules  # noqa: PLC0415 - not for --help

    there = steer.connected("rules", lambda connection: rules.list_rules(connection, str(site)))
    if as_json:
        terminal.give_json([{**scope._asdict(), **rule._asdict()} for scope, rule in there])
        return
    terminal.give_table(
        ("product", "variant", "sets"),
        [
            (
                scope.product_id or "-",
                scope.variant_id or "-",
                " ".join(f"{name}={steer.shown(value)}" for name, value in rule._asdict().items() if value is not None),
            )
            for scope, rule in there
        ],
    )


@app.command()
def show(site: Site, product: Product = None, variant: Variant = None, as_json: AsJson = False) -> None:
    """Show what holds for a site, a product or a variant, field by field, and where it comes from."""
    from stock_worker.store.steering import rules  # noqa: PLC0415 - not for --help

    scope = _scope(site, product, variant)
    _show(steer.connected("rules", lambda connection: rules.read(connection, scope)), as_json=as_json)


@app.command("set")
def set_(site: Site, given: Given, product: Product = None, variant: Variant = None, as_json: AsJson = False) -> None:
    """Set fields of a rule, such as: set SITE --product ID low_stock_threshold=5; null inherits.

    Fields: low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, backorder_limit, reorder_point,
    reorder_quantity, is_active, notify_email, notify_dashboard, notify_webhook.
    """
    from stock_worker.store.steering import rules  # noqa: PLC0415 - not for --help

    fields, scope = steer.read_fields("an alert rule", rules.FIELDS, given), _scope(site, product, variant)
    _show(steer.connected("rules", lambda connection: rules.change(connection, scope, fields)), as_json=as_json)


@app.command()
def delete(site: Site, product: Product = None, variant: Variant = None, as_json: AsJson = False) -> None:
    """Remove a rule, so that its scope inherits everything; show what holds then."""
    from stock_worker.store.steering import rules  # noqa: PLC0415 - not for --help

    scope = _scope(site, product, variant)

    async def remove(connection: Any) -> Any:  # noqa: ANN401 - what `connected` hands over and takes
        return await rules.delete(connection, scope) or await rules.read(connection, scope)

    _show(steer.connected("rules", remove), as_json=as_json)


def _scope(site: UUID, product: UUID | None, variant: UUID | None) -> "Scope":
    from stock_worker.store.steering.rules import Scope  # noqa: PLC0415 - not for --help

    if variant is not None and product is None:
        raise terminal.Misused("--variant needs --product: a variant is one of a product")
    return Scope(str(site), None if product is None else str(product), None if variant is None else str(variant))


def _show(found: "ScopeRule", *, as_json: bool) -> None:
    if as_json:
        terminal.give_json(
            {
                **found.scope._asdict(),
                "rule": None if found.rule is None else found.rule._asdict(),
                "updated_at": found.updated_at,
                "effective": {name: each._asdict() for name, each in found.effective.items()},
            }
        )
        return
    terminal.give_table(
        ("field", "value", "from"),
        [(name, steer.shown(each.value), each.source) for name, each in found.effective.items()],
    )
