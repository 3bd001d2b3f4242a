"""A site's settings. Law: what a site has not set is told as what holds for it.

Names are those of the admin's form. Source: contract section 7 (`…/settings`).
"""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter

from stock_worker.core.alerts import BUILT_IN
from stock_worker.core.policy import Settings
from stock_worker.http.access import Books, Reader, Writer
from stock_worker.http.documents import problems
from stock_worker.http.shapes_steering import SettingsChange, SiteSettings
from stock_worker.store.steering import settings

router = APIRouter(prefix="/sites/{site}/settings", tags=["settings"])

THRESHOLDS: Final = {
    "default_low_threshold": ("low_stock_threshold", BUILT_IN.low),
    "default_critical_threshold": ("critical_stock_threshold", BUILT_IN.critical),
    "default_out_threshold": ("out_of_stock_threshold", BUILT_IN.out),
}
"""What the form calls otherwise than we do, and what holds where it was not set."""


@router.get("", responses=problems())
async def read_settings(books: Books, access: Reader) -> SiteSettings:
    """Tell a site's settings."""
    async with books.reading(access.sites) as connection:
        return _told(await settings.read(connection, access.site_id))


@router.patch("", responses=problems())
async def change_settings(books: Books, access: Writer, change: SettingsChange) -> SiteSettings:
    """Change settings; where a threshold changes, the site's items are evaluated again."""
    given = {THRESHOLDS.get(name, (name, None))[0]: value for name, value in change.given.items()}
    return _told(await books.steer(lambda connection: settings.change(connection, access.site_id, given)))


def _told(found: Settings) -> SiteSettings:
    values: Mapping[str, object] = found._asdict()
    thresholds = {
        name: built_in if values[ours] is None else values[ours] for name, (ours, built_in) in THRESHOLDS.items()
    }
    return SiteSettings.model_validate({**values, **thresholds})
