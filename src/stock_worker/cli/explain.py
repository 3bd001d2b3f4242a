"""`stock-worker explain`. Law: a number is told with the rows that made it, each down to its message."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from stock_worker.cli import terminal
from stock_worker.cli.database import as_worker

if TYPE_CHECKING:
    from stock_worker.audit.explain import Explained


def explain(
    site: Annotated[UUID, typer.Argument(help="The site's id.")],
    product: Annotated[UUID, typer.Argument(help="The product's id.")],
    variant: Annotated[UUID | None, typer.Argument(help="The variant's id, where there is one.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="As of this version of the item.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many movements, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say why an item has this stock and this level: rows, references, messages, thresholds and their origins."""
    settings = terminal.read_settings()
    names = (str(site), str(product), None if variant is None else str(variant))
    told = asyncio.run(_explain(settings.database_url, names, version, limit))
    if told is None:
        raise terminal.Unfit(f"no such item: {'/'.join(name or '' for name in names)} never moved and is in no catalog")
    if as_json:
        terminal.give_json(asdict(told))
        return
    for line in words(told):
        terminal.give(line)


async def _explain(
    database_url: str, names: tuple[str, str, str | None], version: int | None, limit: int
) -> "Explained | None":
    from stock_worker.audit.explain import explain as ask  # noqa: PLC0415 - not for --help

    async with (
        as_worker(database_url, "explain", plans="free") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await ask(connection, *names, version=version, limit=limit)


def words(told: "Explained") -> list[str]:
    """Put what there is to say into lines for a person."""
    item, level = told.item, told.level
    name = " ".join(filter(None, (item["name"], item["variant_name"], item["sku"] and f"({item['sku']})")))
    lines = [
        f"item       {item['site_id']}/{item['product_id']}/{item['variant_id'] or ''}  {name}".rstrip(),
        f"available  {item['available']} = {item['on_hand']} on hand - {item['reserved']} reserved",
        f"version    {item['version']}, published as revision {item['revision']}",
        f"level      {level['level']}: {level['why']} (from {_origin(level)})",
    ]
    for place in told.places:
        held = f", {place['held']} of them held by hand" if place["held"] else ""
        shelf = f"  bin {place['bin_location']}" if place["bin_location"] else ""
        lines.append(
            f"at         {place['code']}: {place['on_hand']} on hand, {place['reserved']} reserved{held}{shelf}"
        )
    for order in told.held_by:
        units = sum(part["units"] for part in order["reserved"])
        until = f" until {order['expires_at']:%Y-%m-%d %H:%M:%S}Z" if order["expires_at"] else ""
        lines.append(f"held by    order {order['order_id']} line {order['line_id']}: {units}{until}")
    lines += [f"           {_row(row)}" for row in told.movements]
    return lines


def _origin(level: dict[str, Any]) -> str:
    crossed = level["level"] if level["level"] in level["thresholds"] else "low"
    return str(level["thresholds"][crossed]["from"])


def _row(row: dict[str, Any]) -> str:
    source = row["source"]
    if isinstance(source, dict):
        source = f"{source['topic']}-{source['partition']}@{source['offset']}"
    order = f" of order {row['order_id']}" if row["order_id"] else ""
    why = f"  {row['reason']}" if row["reason"] else ""
    return (
        f"{row['version']:>5}  {row['recorded_at']:%Y-%m-%d %H:%M:%S}Z  {row['type']:<10} {row['quantity']:>+7}"
        f"  {row['previous_stock']} -> {row['new_stock']}  {row['reference_type']} {row['reference_id']}{order}"
        f"  {source}{why}"
    )
