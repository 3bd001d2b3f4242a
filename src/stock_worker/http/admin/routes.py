"""Every route of the page. Law: what is served below /admin is listed here.

Source: contract section 7 (the page).
"""

from fastapi import APIRouter

from stock_worker.http.admin import adjusting, history, inventory, live, reports, signing_in, static_files

router = APIRouter(include_in_schema=False)
for routes in (static_files, signing_in, inventory, adjusting, history, live, reports):
    router.include_router(routes.router)
