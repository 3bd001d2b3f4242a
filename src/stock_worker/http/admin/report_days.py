"""Which days and which moment reports are of. Law: a day is the site's, and both ends of what is typed are in.

The API takes the day after the last, and a moment with its offset: they are made here. Whether one comes after the
other is for the API to say. Source: contract section 7 (reports, the page).
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from stock_worker.http.pages import PAGE_MAX
from stock_worker.http.parameters import PlainText
from stock_worker.http.problems import Problem

PATH: Final = "/admin/reports"

Period = Literal["7", "30", "90", "month"]
PERIODS: Final[dict[Period, str]] = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "month": "This month",
}
"""The periods that need no typing, and their words."""

_ONE: Final = timedelta(days=1)
_INSTANT: Final = timedelta(microseconds=1)
"""The least that a time is told to."""


class Unfit(Problem):
    """What was typed is no day or no time. `fields` are those to mend."""

    def __init__(self, fields: tuple[str, ...], detail: str) -> None:
        super().__init__("malformed", detail)
        self.fields = fields


class Days(NamedTuple):
    """A span of days of a site, with both ends."""

    first: date
    last: date

    @property
    def after(self) -> date:
        """The day after the last."""
        return self.last + _ONE


class Asked(BaseModel):
    """What the reports are of, as their address says it; what was typed stays text, so that it can be shown again."""

    on: Annotated[PlainText, Field(max_length=20)] = ""
    at: Annotated[PlainText, Field(max_length=20)] = ""
    period: Period = "30"
    from_: Annotated[PlainText, Field(alias="from", max_length=20)] = ""
    to: Annotated[PlainText, Field(max_length=20)] = ""
    page: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 1

    @property
    def is_custom(self) -> bool:
        """Whether days were typed; then the period does not count."""
        return bool(self.from_ or self.to)

    def days(self, today: date) -> Days:
        """Say which days, where today is this one. Raises Unfit."""
        if self.is_custom:
            days = Days(_day("from", self.from_), _day("to", self.to))
            if days.last == date.max:
                raise Unfit(("to",), "The last day is the one before 31 December 9999.")
            return days
        if self.period == "month":
            return Days(today.replace(day=1), today)
        return Days(today - (int(self.period) - 1) * _ONE, today)

    def moment(self, zone: ZoneInfo) -> datetime | None:
        """Say which moment: of a day without a time, its end; None is now. Raises Unfit."""
        if not self.on and not self.at:
            return None
        if not self.on:
            raise Unfit(("on",), "A time needs its day.")
        day = _day("on", self.on)
        try:
            if not self.at:
                return datetime.combine(day + _ONE, time.min, zone).astimezone(UTC) - _INSTANT
            return datetime.combine(day, time.fromisoformat(self.at), zone).astimezone(UTC)
        except OverflowError:
            raise Unfit(("on",), "The day must be one of the years 1 to 9999.") from None
        except ValueError:
            raise Unfit(("at",), "A time is needed, such as 18:30.") from None

    def said(self, names: tuple[str, ...]) -> dict[str, str]:
        """Give what these fields of an address say, but for what goes without saying."""
        mine = {name: getattr(self, "from_" if name == "from" else name) for name in names}
        return {name: str(value) for name, value in mine.items() if value != _DEFAULTS[name]}

    def path(self, site_id: str, below: str = "", names: tuple[str, ...] | None = None, **changes: object) -> str:
        """The address of all reports, or of one below with its own fields, but for some changes; None leaves out."""
        kept = self.said(tuple(_DEFAULTS) if names is None else names) | changes
        said = {name: value for name, value in kept.items() if value is not None}
        return f"{PATH}{below}?{urlencode({'site': site_id, **said})}"


_DEFAULTS: Final = {field.alias or name: field.default for name, field in Asked.model_fields.items()}


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unfit((field,), "A day is needed, such as 2026-03-31.") from None
