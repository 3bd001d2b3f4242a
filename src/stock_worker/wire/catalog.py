"""The catalog's records. Law: the key names the item, and a value that names another is malformed.

The topic is compacted, so its key says which record is the newest of which item; a null value archives that item.
Source: contract section 3 (`product-changed`), decided cases on values.
"""

import re
from typing import Final

import orjson

from stock_worker.core.model import CatalogEntry, ItemKey, ProductChanged, Record
from stock_worker.wire.messages import CatalogMessage
from stock_worker.wire.unfit import Unfit
from stock_worker.wire.values import UUID_PATTERN, money

_UUID: Final = UUID_PATTERN.strip("^$")
_KEY: Final = re.compile(f"({_UUID})/({_UUID})/({_UUID})?")


def changed(record: Record, message: CatalogMessage) -> ProductChanged:
    """Read what the catalog says of an item."""
    item = ItemKey(message["site_id"], message["product_id"], message.get("variant_id"))
    if _item_of(record.key) != item:
        raise Unfit("the key names another item than the value")
    options, unit_price, cost_price = message.get("options"), message.get("unit_price"), message.get("cost_price")
    entry = CatalogEntry(
        message["name"],
        message.get("variant_name"),
        message.get("sku"),
        None if options is None else orjson.dumps(options).decode(),
        message.get("category_id"),
        message.get("category_name"),
        message.get("image_url"),
        None if unit_price is None else money(unit_price),
        None if cost_price is None else money(cost_price),
        track_inventory=message.get("track_inventory") is not False,
        archived=message["status"] == "archived",
        revision=message["revision"],
    )
    return ProductChanged(item, entry, record)


def archived(record: Record) -> ProductChanged:
    """Read a null value: the item that the key names is archived."""
    return ProductChanged(_item_of(record.key), None, record)


def _item_of(key: bytes | None) -> ItemKey:
    match = _KEY.fullmatch(key.decode("ascii", "replace")) if key is not None else None
    if match is None:
        raise Unfit("the key must be site_id/product_id/variant_id, the last part empty without a variant")
    site_id, product_id, variant_id = match.groups()
    return ItemKey(site_id.lower(), product_id.lower(), variant_id.lower() if variant_id else None)
