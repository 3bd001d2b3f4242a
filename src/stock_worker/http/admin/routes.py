"""Every route of the page. Law: what is served below /admin is listed here.

Source: contract section 7 (the page).
"""

from fastapi import APIRouter

from stock_worker.http.admin import (
    adjusting,
    alerts,
    bulk,
    dead_letters,
    history,
    inventory,
    live,
    locations,
    orders,
    pictures,
    reordering,
    reports,
    signing_in,
    site_settings,
    static_files,
    thresholds,
    transferring,
)

router = APIRouter(include_in_schema=False)
for routes in (
    static_files,
    pictures,
    signing_in,
    inventory,
    adjusting,
    bulk,
    history,
    live,
    alerts,
    reordering,
    thresholds,
    reports,
    locations,
    transferring,
    orders,
    dead_letters,
    site_settings,
):
    router.include_router(routes.router)
