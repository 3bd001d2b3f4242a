"""Where one can go from every page. Law: each page that has an address of its own stands here once.

Source: contract section 7 (the page).
"""

from types import MappingProxyType
from typing import Final

PLACES: Final = MappingProxyType(
    {
        "/admin/inventory": "Inventory",
        "/admin/locations": "Locations",
        "/admin/orders": "Orders",
        "/admin/dead-letters": "Dead letters",
    }
)
"""Path to name, in the order in which they are shown."""
