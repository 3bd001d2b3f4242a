"""Contract section 7, `…/adjustments/bulk`: line by line, each with its reason and its result."""

import pytest

from tests.http.running import Api, product

SALE = {
    "type": "sale",
    "reason": "market day",
    "lines": [
        {"product_id": product(1), "quantity": 4},
        {"product_id": product(2), "quantity": 9, "reason": "to a friend"},
        {"product_id": product(1), "quantity": 1, "reason": "sample"},
    ],
}


async def _stocked(api: Api) -> None:
    await api.stock(1, 10)
    await api.stock(2, 5)


async def test_each_line_stands_alone_and_has_its_reason(api: Api) -> None:
    await _stocked(api)
    answer = await api.write("/adjustments/bulk", SALE, key="b1")
    told = answer.json()
    assert (answer.status_code, told["outcome"], told["success"]) == (200, "partly_applied", False)
    assert [(each["line_id"], each["success"], each["code"]) for each in told["results"]] == [
        ("1", True, None),
        ("2", False, "insufficient_stock"),
        ("3", True, None),
    ]
    assert [[row["reason"] for row in each["rows"]] for each in told["results"]] == [["market day"], [], ["sample"]]
    assert [[row["new_stock"] for row in each["rows"]] for each in told["results"]] == [[6], [], [5]]
    assert told["results"][1]["error"] == "insufficient_stock, requested 9, available 5, shortfall 4"
    again = (await api.write("/adjustments/bulk", SALE, key="b1")).json()
    assert again == told | {"repeated": True}


async def test_all_well_is_success(api: Api) -> None:
    await _stocked(api)
    told = (await api.write("/adjustments/bulk", SALE | {"lines": SALE["lines"][:1]})).json()
    assert (told["outcome"], told["success"], told["results"][0]["error"]) == ("applied", True, None)


async def test_atomic_takes_all_or_nothing(api: Api) -> None:
    await _stocked(api)
    answer = await api.write("/adjustments/bulk", SALE | {"atomic": True})
    told = answer.json()
    assert (answer.status_code, told["code"], told["success"]) == (409, "insufficient_stock", False)
    assert [each["error"] for each in told["results"]] == [
        "refused with the others, since the command is atomic",
        "insufficient_stock, requested 9, available 5, shortfall 4",
        "refused with the others, since the command is atomic",
    ]


@pytest.mark.parametrize(("lines", "words"), [(None, "lines is missing"), (["x"], "lines[0] must be an object")])
async def test_lines_that_are_none_are_malformed(api: Api, lines: object, words: str) -> None:
    answer = await api.write("/adjustments/bulk", SALE | {"lines": lines})
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text
