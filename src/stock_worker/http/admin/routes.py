"""Every route of the page. Law: what is served below /admin is listed here.

Source: contract section 7 (the page).
"""

from fastapi import APIRouter

from stock_worker.http.admin import (
    adjusting,
    dead_letters,
    history,
    inventory,
    live,
    locations,
    orders,
    signing_in,
    static_files,
    transferring,
)

router = APIRouter(include_in_schema=False)
for routes in (
    static_files,
    signing_in,
    inventory,
    adjusting,
    history,
    live,
    locations,
    transferring,
    orders,
    dead_letters,
):
    router.include_router(routes.router)
