"""Where one can go from every page. Law: each page that has an address of its own stands here once.

Source: contract section 7 (the page).
"""

from types import MappingProxyType
from typing import Final

PLACES: Final = MappingProxyType(
    {
        "/admin/inventory": "Inventory",
        "/admin/alerts": "Alerts",
        "/admin/reports": "Reports",
        "/admin/orders": "Orders",
        "/admin/locations": "Locations",
        "/admin/dead-letters": "Dead letters",
        "/admin/settings": "Settings",
    }
)
"""Path to name, in the order in which they are shown."""
