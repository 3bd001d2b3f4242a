"""Contract section 1 and the decided cases on values: times, money, headers."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from stock_worker.wire import cloudevents, words
from stock_worker.wire.values import canonical_money, holds_nul, instant, with_integral_floats_as_integers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00-00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T01:30:00+05:45", datetime(2026, 1, 30, 19, 45, tzinfo=UTC)),
        ("2026-01-31T12:00:00.1Z", datetime(2026, 1, 31, 12, 0, 0, 100_000, UTC)),
        ("2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T00:59:60.5+01:00", datetime(2017, 1, 1, 0, 0, 0, 500_000, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_rfc_3339_time_is_an_instant(text: str, expected: datetime) -> None:
    found = instant(text)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31 12:00:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00+01:00:00",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:60Z",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert instant(text) is None


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("1.50", "1.5"),
        ("1.5", "1.5"),
        ("100", "100"),
        ("0.00", "0"),
        ("007.10", "7.1"),
        ("0.0000000001", "0.0000000001"),
    ],
)
def test_equal_money_is_spelled_alike(amount: str, expected: str) -> None:
    assert canonical_money(Decimal(amount)) == expected


def test_whole_floats_become_integers_and_nothing_else_does() -> None:
    before = {"a": 5.0, "b": 5.5, "c": True, "d": "5.0", "lines": [{"q": 2.0}, 3.0, [4.0]], "e": {"f": 6.0}}
    after = with_integral_floats_as_integers(before)
    assert after == before
    assert repr(after) == (
        "{'a': 5, 'b': 5.5, 'c': True, 'd': '5.0', 'lines': [{'q': 2}, 3.0, [4.0]], 'e': {'f': 6.0}}"
    )


@pytest.mark.parametrize("document", ["\x00", ["a", ["\x00b"]], {"a": {"b": "c\x00"}}, {"a\x00": 1}, [[{"\x00": 1}]]])
def test_a_nul_is_found_wherever_it_hides(document: object) -> None:
    assert holds_nul(document)
    assert not holds_nul({"a": ["\\u0000", 0, None, True, 1.5, {"": "0"}]})


# ---------------------------------------------------------------- headers

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([TRACE], TRACE.decode()),
        ([None, b"\xff", TRACE], TRACE.decode()),
        ([b"cc-future-format"], "cc-future-format"),
        ([], None),
        ([None], None),
        ([b""], None),
        ([b"\xff\xfe"], None),
        ([b"00-a\x00b"], None),
        ([b"00-a\nb"], None),
        ([b"x" * 513], None),
        ([b"x" * 512], "x" * 512),
    ],
)
def test_a_traceparent_is_passed_on_when_it_can_be_read(values: list[bytes | None], expected: str | None) -> None:
    headers = (("other", b"\xff"), *(("traceparent", value) for value in values))
    assert cloudevents.traceparent(headers) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"2026-01-31T12:00:00Z"], datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ([None, b"\xff", b"", b"noon", b"2026-01-31T13:00:00+01:00"], datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ([b"2026-01-31T12:00:00"], None),
        ([], None),
    ],
)
def test_ce_time_counts_when_it_can_be_read(values: list[bytes | None], expected: datetime | None) -> None:
    assert cloudevents.time(tuple(("ce_time", value) for value in values)) == expected


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("detail", "line"),
    [
        ("a b", "a b"),
        ("a\n b\t\u2028c\x85d", "a b c d"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 499 + "…"),
    ],
)
def test_words_are_one_line_of_at_most_500_characters(detail: str, line: str) -> None:
    assert words.one_line(detail) == line
