"""Every route of the page. Law: what is served below /admin is listed here.

Source: contract section 7 (the page).
"""

from fastapi import APIRouter

from stock_worker.http.admin import adjusting, bulk, history, inventory, live, signing_in, static_files

router = APIRouter(include_in_schema=False)
for routes in (static_files, signing_in, inventory, adjusting, bulk, history, live):
    router.include_router(routes.router)
