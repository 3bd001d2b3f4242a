"""The relay's parts by themselves: what they promise without a server."""

import json
import random

import pytest
from aiokafka.partitioner import murmur2

from stock_worker.relay.partition import item_key_hash, key_hash
from stock_worker.relay.progress import FROM_THE_START_EVERY_S, Progress
from stock_worker.relay.records import shrink

# ---------------------------------------------------------------- partition


@pytest.mark.parametrize("size", [*range(40), 100, 113, 319, 320, 321, 5_000])
def test_a_key_is_hashed_as_java_and_aiokafka_do(size: int) -> None:
    for seed in range(20):
        key = random.Random(seed).randbytes(size)
        assert key_hash(key) == item_key_hash(key) == murmur2(key) & 0x7FFFFFFF


@pytest.mark.parametrize(
    ("key", "java"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
     (b"a-little-bit-longer-string", -1486304829), (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
     (b"abc", 479470107)],
)  # fmt: skip
def test_a_key_is_hashed_as_kafkas_own_tests_say(key: bytes, java: int) -> None:
    assert key_hash(key) == java & 0x7FFFFFFF


# ---------------------------------------------------------------- cutting


@pytest.mark.parametrize(
    ("payload", "most", "cut"),
    [
        (None, 10, None),
        (b"not JSON at all", 20, b"not JSON at all"),
        (b"not JSON at all", 8, b"not JSON"),
        (b"[1, 2, 3, 4, 5, 6, 7, 8, 9]", 4, b"[1, "),
        (b'{"a": [1, 2, 3], "b": 5}', 24, b'{"a": [1, 2, 3], "b": 5}'),
        (b'{"a": [1, 2, 3], "b": 5}', 20, b'{"a":[],"b":5}'),
        (b'{"short": [1], "long": [1, 2, 3, 4]}', 30, b'{"short":[1],"long":[]}'),
        (b'{"short": [1], "long": [1, 2, 3, 4]}', 22, b'{"short":[],"long":[]}'),
        (b'{"text": "0123456789", "list": [1, 2]}', 20, b'{"text": "0123456789'),
    ],
)  # fmt: skip
def test_a_value_is_cut_and_stays_json_where_emptying_lists_is_enough(
    payload: bytes | None, most: int, cut: bytes | None
) -> None:
    assert shrink(payload, most) == cut


def test_a_value_that_fits_is_not_touched() -> None:
    payload = json.dumps({"list": [1, 2, 3]}).encode()
    assert shrink(payload, len(payload)) is payload


# ---------------------------------------------------------------- progress


def test_reading_begins_after_what_was_published_once_all_transactions_of_then_have_ended() -> None:
    progress = Progress(newest=0)
    progress.passed(100, whole=True)
    progress.horizon(oldest=7, following=9, now=1)  # 7 and 8 are open and may still show rows below 100
    progress.horizon(oldest=8, following=12, now=2)
    assert progress.after == 0
    progress.horizon(oldest=9, following=12, now=3)  # they have ended, but nobody has read since
    assert progress.after == 0
    progress.passed(None, whole=True)
    assert progress.after == 100


def test_a_read_that_did_not_get_so_far_proves_nothing() -> None:
    progress = Progress(newest=0)
    progress.passed(100, whole=True)
    progress.horizon(oldest=7, following=7, now=1)
    progress.horizon(oldest=7, following=7, now=2)
    progress.passed(60, whole=False)
    assert progress.after == 0
    progress.passed(130, whole=False)
    assert progress.after == 100


@pytest.mark.parametrize("happening", ["a fault", "new shards", "half a minute"])
def test_everything_is_read_from_the_start_after(happening: str) -> None:
    progress = Progress(newest=0)
    for now in (1, 2):
        progress.passed(100, whole=True)
        progress.horizon(oldest=7, following=7, now=now)
    progress.passed(100, whole=True)
    assert progress.after == 100
    match happening:
        case "a fault":
            progress.failed(150)
        case "new shards":
            progress.restart()
        case _:
            progress.horizon(oldest=7, following=7, now=3 + FROM_THE_START_EVERY_S)
    assert progress.after == 0


@pytest.mark.parametrize(
    ("newest", "failed", "passed", "settled"),
    [
        (0, None, None, True),
        (50, None, None, False),  # a former life may have these under way
        (50, None, (49, False), False),
        (50, None, (50, False), True),
        (50, None, (None, True), True),
        (0, 80, None, False),
        (0, 80, (79, False), False),
        (0, 80, (81, False), True),
        (90, 80, (81, False), False),
    ],
)
def test_shards_may_be_left_to_others_only_when_all_that_was_under_way_is_published(
    newest: int, failed: int | None, passed: tuple[int | None, bool] | None, *, settled: bool
) -> None:
    progress = Progress(newest)
    if failed:
        progress.failed(failed)
    if passed:
        progress.passed(passed[0], whole=passed[1])
    assert progress.settled == settled
