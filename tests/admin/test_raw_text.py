"""Bytes of a record: shown as they are, laid out, and with nothing hidden in them."""

import base64
import json

import pytest

from stock_worker.http.admin.raw_text import SHOWN_MAX, laid_out, shown, visible
from stock_worker.http.shapes_steering import Raw


def raw(value: bytes, text: str | None) -> Raw:
    return Raw(text=text, base64=base64.b64encode(value).decode())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("{}", ["{}"]),
        ("[ ]", ["[]"]),
        ("1.50", ["1.50"]),
        ('{"a":1e3,"a":10000000000000000001}', ["{", '  "a": 1e3,', '  "a": 10000000000000000001', "}"]),
        ('[{"a": []}, 2]', ["[", "  {", '    "a": []', "  },", "  2", "]"]),
        (r'{"a":"{[,:\" }"}', ["{", r'  "a": "{[,:\" }"', "}"]),
    ],
)
def test_json_is_laid_out_token_by_token(text: str, lines: list[str]) -> None:
    assert laid_out(text).split("\n") == lines
    assert json.loads(laid_out(text)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00\x1b\x7f\r", r"a\u0000\u001b\u007f\u000d"),
        ("pay\u202e.exe\u2069", r"pay\u202e.exe\u2069"),
        ("a\u200bb\u2028c\ufeff", r"a\u200bb\u2028c\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("Inès & <b>", "Inès & <b>"),
    ],
)
def test_signs_that_nobody_sees_are_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    ("given", "kind", "text", "is_cut"),
    [
        pytest.param(None, "null", "", False, id="null"),
        pytest.param(raw(b"", ""), "text", "", False, id="empty"),
        pytest.param(raw(b"x", "not {json"), "text", "not {json", False, id="text"),
        pytest.param(raw(b"x", '{"a":1}'), "JSON", '{\n  "a": 1\n}', False, id="json"),
        pytest.param(raw(b"\xff\x00", None), "base64, for it is no UTF-8", "/wA=", False, id="bytes"),
        pytest.param(raw(b"x", "x" * (SHOWN_MAX + 1)), "text", "x" * SHOWN_MAX, True, id="too long"),
    ],
)
def test_bytes_in_words(given: Raw | None, kind: str, text: str, is_cut: bool) -> None:
    assert shown(given) == (kind, text, is_cut)


def test_what_is_nested_without_end_is_text_and_takes_no_room() -> None:
    deep = "[" * 9_000 + "]" * 9_000
    assert len(shown(raw(b"x", deep)).text) < 100 * len(deep)
