"""Every route of the page. Law: what is served below /admin is listed here.

Source: contract section 7 (the page).
"""

from fastapi import APIRouter

from stock_worker.http.admin import (
    adjusting,
    alerts,
    history,
    inventory,
    live,
    reordering,
    signing_in,
    site_settings,
    static_files,
    thresholds,
)

router = APIRouter(include_in_schema=False)
_PAGES = (inventory, adjusting, history, live, alerts, reordering, thresholds, site_settings)
for routes in (static_files, signing_in, *_PAGES):
    router.include_router(routes.router)
