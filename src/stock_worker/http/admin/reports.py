"""Reports for people. Law: each is the API's report, drawn, with its figures beside it and as the API's own file.

The page is there at once, and each report on it comes by itself: a slow one keeps nobody from the others, and one that
fails says so in its place. Source: contract section 7 (reports, the page).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.bars import FULL, HEIGHT, WIDTH, columns_of, day_told, length, steps_of
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.history import TYPES
from stock_worker.http.admin.items import STATUSES, Ref
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.report_days import PATH, PERIODS, Asked, Unfit
from stock_worker.http.admin.session import Here, Visit, about
from stock_worker.http.backend import Backend
from stock_worker.http.problems import TITLES, Problem
from stock_worker.http.routes import reports
from stock_worker.http.shapes_reports import (
    InventoryReport,
    ReorderLine,
    ReorderReport,
    StockMovementReport,
    StockValuation,
)
from stock_worker.http.spreadsheet import Format

ASK: Final = "ask-"
"""What the names begin with of all that a person asks with; what a report asks by itself changes no address."""
_SHOWN: Final = 20
"""So many categories are seen at once; the rest can be opened."""
_LINES: Final = 20
"""Lines of what is to be reordered, a page."""


class ReportRoute(PageRoute):
    """A route whose problems stand where the report would."""

    def tell(self, request: Request, problem: Problem) -> Response:
        """Put a problem in the place of a report that was to come into a page, below what it is asked with."""
        if not is_part(request):
            return super().tell(request, problem)
        context = {
            "title": TITLES[problem.code][1],
            "detail": str(problem.detail),
            "again": f"{request.url.path}?{request.url.query}",
        }
        said = {"HX-Retarget": f"#{request.url.path.rpartition('/')[2]} .told", "HX-Reswap": "outerHTML"}
        headers = {**(problem.headers or {}), **said}
        return render(request, "parts/report_failed.html", context, status=problem.status, headers=headers)


Name = Literal["inventory", "valuation", "movements", "reorder"]
"""The API's names of what is shown here."""

router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ReportRoute)


class Question(NamedTuple):
    """Who asks for a report, of which days or moment, and as what."""

    request: Request
    books: Backend
    here: Visit
    asked: Asked
    today: date
    format: Format


class Report(NamedTuple):
    """A report: its heading, the fields of an address that it is of, how it is asked for and what is drawn of it."""

    title: str
    fields: tuple[str, ...]
    ask: Callable[[Question], Awaitable[object]]
    draw: Callable[[Question, Any], Mapping[str, Any]]


@router.get("")
async def show(request: Request, books: Books, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    """Show the page, into which the reports come."""
    question = _question(request, books, here, asked)
    return render(request, "reports.html", _page(question) | {"names": list(REPORTS), "found": None, "wrong": None})


@router.get("/{name}.csv")
async def download(
    request: Request, books: Books, here: Here, name: Name, asked: Annotated[Asked, Query()]
) -> Response:
    """Give a report as the file that the API makes of it."""
    file = await REPORTS[name].ask(_question(request, books, here, asked, "csv"))
    assert isinstance(file, Response)
    return file


@router.get("/{name}")
async def show_one(
    request: Request, books: Books, here: Here, name: Name, asked: Annotated[Asked, Query()]
) -> Response:
    """Show one report, in its place or as a page of its own; what it cannot be of is told where that was typed."""
    report, question = REPORTS[name], _question(request, books, here, asked)
    context, status = (
        {**_page(question), "names": [name], "name": name, "found": None, "wrong": None},
        int(HTTPStatus.OK),
    )
    try:
        found = await report.ask(question)
        context |= {"found": found, **report.draw(question, found)}
    except Problem as problem:
        if problem.code != "malformed":
            raise
        mend = problem.fields if isinstance(problem, Unfit) else report.fields
        context, status = context | {"wrong": str(problem.detail), "mend": mend}, problem.status
    if not is_part(request):
        return render(request, "reports.html", context, status=status)
    is_answered = status == HTTPStatus.OK and request.headers.get("hx-trigger", "").startswith(ASK)
    headers = {"HX-Push-Url": asked.path(here.site_id)} if is_answered else {}
    return render(request, "parts/report.html", context, status=status, headers=headers)


# ---------------------------------------------------------------- each report


async def _inventory(question: Question) -> object:
    asked = reports.InventoryAsked(limit=1, format=question.format)
    return await reports.report_inventory(question.request, question.books, question.here.access, asked)


def _draw_inventory(_question: Question, found: InventoryReport) -> dict[str, Any]:
    summary = found.summary
    counts = {
        "in_stock": ("ok", summary.in_stock_count),
        "low_stock": ("low", summary.low_stock_count),
        "critical": ("critical", summary.critical_stock_count),
        "out_of_stock": ("out", summary.out_of_stock_count),
    }
    total = sum(count for _, count in counts.values())
    return {
        "statuses": [(name, STATUSES[level], count, length(count, total)) for name, (level, count) in counts.items()],
        "items": total,
    }


async def _valuation(question: Question) -> object:
    asked = reports.ValuationAsked(as_of=question.asked.moment(question.here.figures.zone), format=question.format)
    return await reports.report_valuation(question.request, question.books, question.here.access, asked)


def _draw_valuation(_question: Question, found: StockValuation) -> dict[str, Any]:
    most_first = sorted(found.by_category, key=lambda each: (-each.value, each.category_name))
    most = most_first[0].value if most_first else 0
    rows = [(each, length(each.value, most)) for each in most_first]
    return {"categories": rows[:_SHOWN], "more_categories": rows[_SHOWN:]}


async def _movements(question: Question) -> object:
    days = question.asked.days(question.today)
    asked = reports.MovementsAsked(**{"from": days.first, "to": days.after, "format": question.format})
    return await reports.report_movements(question.request, question.books, question.here.access, asked)


def _draw_movements(question: Question, found: StockMovementReport) -> dict[str, Any]:
    steps = steps_of(found.daily_movements, question.asked.days(question.today))
    types = [(word, found.movements_by_type[kind.value]) for kind, word in TYPES.items()]
    most = max(total.total_quantity for _, total in types)
    most_moved = max((max(each.total_in, each.total_out) for each in found.top_movers), default=0)
    return {
        "columns": columns_of(steps),
        "picture": (WIDTH, HEIGHT),
        "flows": [step for step in steps if step.units_in or step.units_out],
        "types": [(word, total, length(total.total_quantity, most)) for word, total in types if total.count],
        "movers": [
            (each, length(each.total_in, most_moved), length(each.total_out, most_moved)) for each in found.top_movers
        ],
    }


async def _reorder(question: Question) -> object:
    asked = reports.ShortAsked(page=question.asked.page, limit=_LINES, format=question.format)
    return await reports.report_reorder(question.request, question.books, question.here.access, asked)


def _draw_reorder(question: Question, found: ReorderReport) -> dict[str, Any]:
    def line(each: ReorderLine) -> tuple[ReorderLine, str, float]:
        ref = Ref(each.product_id, each.variant_id)
        return each, ref.query(question.here.site_id), min(length(each.available, each.reorder_point), FULL)

    return {"lines": [line(each) for each in found.items], "first": (found.pagination.page - 1) * _LINES + 1}


REPORTS: Final[dict[str, Report]] = {
    "inventory": Report("Stock today", (), _inventory, _draw_inventory),
    "valuation": Report("Value by category", ("on", "at"), _valuation, _draw_valuation),
    "movements": Report("Movements", ("period", "from", "to"), _movements, _draw_movements),
    "reorder": Report("To reorder", ("page",), _reorder, _draw_reorder),
}
"""In the order in which they are shown."""

# ---------------------------------------------------------------- the page


def _page(question: Question) -> dict[str, Any]:
    asked, site_id = question.asked, question.here.site_id

    def path(name: str, ending: str = "", **changes: object) -> str:
        """The address of one report, as it is asked for but for some changes."""
        return asked.path(site_id, f"/{name}{ending}", REPORTS[name].fields, **changes)

    try:
        days = asked.days(question.today)
        filled = {"from": days.first.isoformat(), "to": days.last.isoformat()}
        span = f"{day_told(days.first)} to {day_told(days.last)}"
    except Unfit:
        filled, span = {"from": asked.from_, "to": asked.to}, None
    return {
        **about(question.here),
        "asked": asked,
        "reports": REPORTS,
        "report_path": path,
        "all_path": asked.path(site_id),
        "periods": PERIODS,
        "filled": filled,
        "span": span,
        "ask": ASK,
        "mend": (),
    }


def _question(request: Request, books: Backend, here: Visit, asked: Asked, format_: Format = "json") -> Question:
    today = books.clock().astimezone(here.figures.zone).date()
    return Question(request, books, here, asked, today, format_)
