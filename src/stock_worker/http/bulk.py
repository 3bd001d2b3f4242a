"""Many items under one key. Law: each line says what became of it, and which one is meant.

It is a `stock-adjustment` whose lines stand alone unless it says `atomic`; a line without a line_id is called by its
position, from 1, so that two lines of one item can be told apart. Source: contract section 7 (`…/adjustments/bulk`).
"""

from collections.abc import Mapping
from typing import Any

from stock_worker.core.model import Command
from stock_worker.http.commands import answer_of
from stock_worker.http.writing import Told


def line_by_line(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a body its defaults. What is no list of objects is left for the message's shape to refuse."""
    lines = body.get("lines")
    if isinstance(lines, list):
        lines = [
            {**line, "line_id": line.get("line_id") or str(position)} if isinstance(line, dict) else line
            for position, line in enumerate(lines, 1)
        ]
    atomic = body.get("atomic")
    return {**body, "atomic": False if atomic is None else atomic, "lines": lines}


def bulk_answer_of(command: Command, told: Told) -> dict[str, Any]:
    """Tell what became of each line. Raises Problem: refused, with what is said of each line."""
    results = _results(command, told)
    return answer_of(told, {"success": all(each["success"] for each in results), "results": results})


def _results(command: Command, told: Told) -> list[dict[str, Any]]:
    answer = told.answer
    if answer is None:
        return []
    refused = {line["line_id"]: line for line in answer.lines}
    whole = answer.outcome == "rejected"
    results = []
    for line in command.lines or ():
        fault = refused.get(line.line_id)
        code = fault["code"] if fault else (answer.code if whole else None)
        results.append(
            {
                "line_id": line.line_id,
                "product_id": line.product_id,
                "variant_id": line.variant_id,
                "success": code is None,
                "code": code,
                "error": None if code is None else _words(fault, code),
                "rows": [row for row in answer.rows if row["line_id"] == line.line_id],
            }
        )
    return results


def _words(fault: Mapping[str, Any] | None, code: str) -> str:
    if fault is None:
        return "refused with the others, since the command is atomic"
    more = [f"{name} {fault[name]}" for name in ("requested", "available", "shortfall") if fault[name] is not None]
    return ", ".join([fault["detail"] or code, *more])
