"""Seeded workloads: every command over several sites, items, locations and orders. Law: no product code, no clock.

The same seed and mix give the same records. The first of them announce and stock the items, and keep their order.
"""

import json
from random import Random

from tests.oracle.makers import MAKERS, Made, first_stock
from tests.oracle.poison import poisons
from tests.oracle.records import Headers, Sent
from tests.oracle.shop import Mix, new_shop

FIRST = b'"first-'
"""What stands in the records that stock a shop, and in no other."""


def generate(seed: int, mix: Mix | None = None) -> list[Sent]:
    """Make the records of one workload in the order in which they are to be produced."""
    mix = mix or Mix()
    shop = new_shop(seed, mix)
    random = shop.random
    first = [_record(random, each, large=False) for each in first_stock(shop)]
    made: list[Made] = []
    names, weights = zip(*MAKERS.items(), strict=True)
    while len(made) < mix.commands - len(first):
        (maker,) = random.choices(names, weights)
        made += maker(shop) if shop.orders else names[0](shop)
    records = [_record(random, each, large=random.random() < mix.large) for each in made]
    again = [(random.randrange(len(records)), each) for each in range(int(len(records) * mix.duplicates))]
    for index, _ in sorted(again, reverse=True):
        later = min(index + random.randint(1, 200), len(records))
        records.insert(later, _again(random, records[index], made))
    broken = poisons(random, null_keys_and_values=mix.null_keys_and_values)
    for _ in range(int(len(made) * mix.poison)):
        records.insert(random.randrange(len(records) + 1), next(broken))
    for index in range(len(records) - 1):
        if random.random() < mix.reordered:
            other = min(index + random.randint(1, 50), len(records) - 1)
            records[index], records[other] = records[other], records[index]
    return [*first, *records]


# ---------------------------------------------------------------- values to records


def _record(random: Random, made: Made, *, large: bool) -> Sent:
    topic, value = made
    padded = {**value, "nobody_knows": "x" * 900_000} if large else value
    if topic == "product-changed":  # the one topic whose key is not the producer's own
        named = f"{value['site_id']}/{value['product_id']}/{value.get('variant_id') or ''}".encode()
        return Sent(topic, named, json.dumps(padded).encode(), _headers(random))
    key = random.choice((None, value["site_id"].encode(), str(value.get("order_id", "")).encode(), b"\xff\x00"))
    return Sent(topic, key, json.dumps(padded).encode(), _headers(random))


def _headers(random: Random) -> Headers:
    """Mostly none; sometimes CloudEvents, a trace, or what cannot be read, which is no reason to refuse a value."""
    odd: tuple[Headers, ...] = (
        (("ce_id", b"1"), ("ce_time", b"2026-01-01T00:00:00Z"), ("ce_type", b"shop.order.v1")),
        (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
        (("content-type", None), ("ce_time", b"\xff\xfe")),
        (("ce_time", b"yesterday"), ("traceparent", b"nonsense")),
    )
    return random.choice(odd) if random.random() < 0.2 else ()


def _again(random: Random, record: Sent, made: list[Made]) -> Sent:
    """The same command once more: byte by byte, or said otherwise with the same meaning."""
    if random.random() < 0.5 or record.value is None or len(record.value) > 100_000:
        return record
    value = json.loads(record.value)
    said = dict(random.sample(sorted(value.items()), len(value)))
    said |= {"site_id": value["site_id"].upper(), "actor": "somebody else", "note": None, "nobody_knows": [len(made)]}
    return record._replace(value=json.dumps(said, indent=1).encode(), headers=_headers(random))
