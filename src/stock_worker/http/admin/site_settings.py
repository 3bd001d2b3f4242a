"""A site's settings, for people. Law: what is shown is what holds, and an emptied field goes back to its default.

Source: contract section 7 (`…/settings`, the page), case H8.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from zoneinfo import available_timezones

from fastapi import APIRouter, Request, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.filling import Filled, read_filled, text_of
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.routes.settings import THRESHOLDS, change_settings, read_settings
from stock_worker.http.shapes_steering import SettingsChange
from stock_worker.store.steering.settings import FIELDS

SETTINGS: Final = "/admin/settings"

router = APIRouter(prefix=SETTINGS, include_in_schema=False, route_class=PageRoute)

_OURS: Final = {ours: name for name, (ours, _) in THRESHOLDS.items()}
_FIELDS: Final = {_OURS.get(ours, ours): field for ours, field in FIELDS.items()}


class Control(NamedTuple):
    """How a setting is asked for. `choices` are words by value, of a choice."""

    label: str
    kind: Literal["number", "text", "zone", "list", "switch", "choice"]
    hint: str = ""
    choices: Mapping[str, str] = {}


GROUPS: Final[Mapping[str, Mapping[str, Control]]] = {
    "Levels": {
        "default_low_threshold": Control("Low at", "number", "available, or fewer; rules come before"),
        "default_critical_threshold": Control("Critical at", "number", "available, or fewer"),
        "default_out_threshold": Control("Out of stock at", "number", "available, or fewer"),
    },
    "Messages": {
        "dashboard_enabled": Control("Alerts on the dashboard", "switch"),
        "email_recipients": Control("Email recipients", "list", "one a line; none: no emails"),
        "email_frequency": Control(
            "Emails", "choice", choices={"instant": "At once", "daily": "Once a day", "weekly": "Once a week"}
        ),
        "webhook_enabled": Control("Call the webhook", "switch"),
        "webhook_url": Control("Webhook address", "text", "begins with https:// or http://"),
    },
    "Orders": {
        "mode": Control(
            "An order", "choice", choices={"sale": "Takes stock at once", "reserve": "Reserves it until it is shipped"}
        ),
        "reservation_ttl": Control("Reservations last", "number", "seconds; empty: until they are released"),
    },
    "Site": {
        "timezone": Control("Time zone", "zone", "of days in reports and of times on these pages"),
        "currency": Control("Currency", "text", "three letters, such as EUR"),
    },
}
"""Every setting, as people set it."""

_SWITCHES: Final = [name for group in GROUPS.values() for name, each in group.items() if each.kind == "switch"]


@router.get("")
async def show(request: Request, books: Books, here: Here) -> Response:
    """Show the settings of a site, for who may write as a form."""
    return await _page(request, books, here)


@router.post("")
async def change(request: Request, books: Books, form: Form, here: Writing) -> Response:
    """Change the settings that a form changes, all or none."""
    form = {**dict.fromkeys(_SWITCHES, "false"), **form}  # a browser does not send a box that is not ticked
    filled = read_filled(form, _FIELDS)
    if filled.faults:
        return await _page(request, books, here, refused=(form, filled))
    await change_settings(books, here.access, SettingsChange.model_validate(filled.given))
    return await _page(request, books, here, is_saved=True)


async def _page(
    request: Request,
    books: Backend,
    here: Visit,
    *,
    refused: tuple[Fields, Filled] | None = None,
    is_saved: bool = False,
) -> Response:
    settings = await read_settings(books, here.access)
    shown = {name: text_of(getattr(settings, name)) for name in _FIELDS}
    form, filled = refused or ({}, Filled({}, {}))
    context = {
        **about(here),
        "groups": GROUPS,
        "shown": shown,
        "kept": {name: form.get(name, "") for name in _FIELDS} if refused else shown,
        "faults": filled.faults,
        "zones": sorted(available_timezones()),
        "is_saved": is_saved,
    }
    template = "parts/settings.html" if is_part(request) else "settings.html"
    return render(request, template, context, status=422 if filled.faults else 200)
