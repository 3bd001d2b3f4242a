"""What requests ask by. Law: a value that the database would not take is refused before it is asked.

Pages count from 1; a page past the end is empty and says the same total. Source: contract sections 1 and 7.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, PlainValidator, TypeAdapter, WithJsonSchema

from stock_worker.http.pages import LIMIT, LIMIT_MAX, PAGE_MAX, Page, Pagination

_DATE: Final = len("2026-01-31")


def _plain(text: str) -> str:
    if any(sign == "\x00" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("NUL and lone surrogates are not text")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the year must be one of 1 to 9999, in UTC") from None


PlainText = Annotated[str, AfterValidator(_plain)]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A moment, in UTC; it must say its offset."""

_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)


def _day_or_instant(value: object) -> date | datetime:
    text = str(value)
    return date.fromisoformat(text) if len(text) == _DATE else _INSTANT.validate_python(text)


DayOrInstant = Annotated[
    date,  # a datetime is one
    PlainValidator(_day_or_instant),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]
"""A whole day of the site, or a moment."""


class Paged(BaseModel):
    """Which page of a list, for a person."""

    page: Annotated[int, Field(ge=1, le=PAGE_MAX, description="The page, from 1.")] = 1
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX, description="How many a page.")] = LIMIT

    @property
    def offset(self) -> int:
        """How many come before the page."""
        return Page(self.page, self.limit).offset

    def pagination(self, total: int) -> Pagination:
        """Say where the page is among so many."""
        return Page(self.page, self.limit).of(total)
