"""Pictures of things, drawn here. Law: a motif of one table in a colour of the other, and nothing that was asked for.

For a catalog that has no pictures, as the demo's: `image_url` is then one of these addresses. Source: contract section
7 (the page).
"""

from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Path, Response

from stock_worker.http.problems import Problem

PATH: Final = "/admin/pictures"

router = APIRouter(prefix=PATH, include_in_schema=False)


class Motif(NamedTuple):
    """A thing on a square of 48: what is filled, and the lines over it."""

    body: str
    lines: str


class Colour(NamedTuple):
    """What is behind the thing, the thing, and its lines."""

    ground: str
    body: str
    lines: str


MOTIFS: Final = {
    "backpack": Motif("M15 16a9 9 0 0 1 18 0v20a2 2 0 0 1-2 2H17a2 2 0 0 1-2-2z", "M19 26h10v8H19zM20 9a4 4 0 0 1 8 0"),
    "basket": Motif("M10 22h28l-4 16H14z", "M15 22c0-14 18-14 18 0M18 27l1 7M24 27v7M30 27l-1 7"),
    "book": Motif("M15 11h18a2 2 0 0 1 2 2v24H16a3 3 0 0 1-3-3V13a2 2 0 0 1 2-2z", "M18 11v26M23 18h7"),
    "bottle": Motif("M20 17h8l3 5v14a2 2 0 0 1-2 2H19a2 2 0 0 1-2-2V22z", "M21 17v-6h6v6M17 27h14"),
    "bowl": Motif("M9 21h30a15 15 0 0 1-30 0z", "M18 38h12"),
    "candle": Motif("M18 22h12v16H18z", "M24 22v-4M24 18c-4-3 0-6 0-9 0 3 4 6 0 9z"),
    "can": Motif("M12 20h17v18H12z", "M29 32l8-12M34 18l5 3M15 20c0-9 11-9 11 0"),
    "gift": Motif("M11 20h26v18H11z", "M24 20v18M11 27h26M24 20c-11 0-8-11 0 0 8-11 11 0 0 0z"),
    "house": Motif("M12 22L24 11l12 11v16H12z", "M24 21a3 3 0 1 0 .01 0zM24 31v4"),
    "jar": Motif(
        "M16 17h16a3 3 0 0 1 3 3v15a3 3 0 0 1-3 3H16a3 3 0 0 1-3-3V20a3 3 0 0 1 3-3z", "M16 13h16M18 25h12v6H18z"
    ),
    "jug": Motif("M16 11h14l2 4-3 5 3 13a4 4 0 0 1-4 5h-9a4 4 0 0 1-4-5l3-13z", "M31 21c8-1 8 10 1 11"),
    "lamp": Motif("M18 11h12l6 14H12z", "M24 25v13M17 38h14"),
    "mug": Motif("M12 15h18v16a6 6 0 0 1-6 6h-6a6 6 0 0 1-6-6z", "M30 20h3a4 4 0 0 1 0 10h-3"),
    "pad": Motif("M13 13h22v25H13z", "M17 10v6M24 10v6M31 10v6M18 23h12M18 29h9"),
    "pendant": Motif("M24 19a14 13 0 0 1 14 13H10a14 13 0 0 1 14-13z", "M24 9v10M21 37h6"),
    "plate": Motif("M24 10a14 14 0 1 0 .01 0z", "M24 16a8 8 0 1 0 .01 0z"),
    "pot": Motif("M13 24h22l-3 14H16z", "M24 24V14M24 18c-7 0-8-5-8-7 5 0 8 2 8 7zM24 15c0-4 3-6 7-6 0 4-2 6-7 6z"),
    "scarf": Motif("M13 12h22v8H13zM26 20h9v15h-9z", "M28 35v4M30.5 35v4M33 35v4"),
    "shirt": Motif("M18 11c2 4 10 4 12 0l9 5-3 8-4-1v14H16V23l-4 1-3-8z", "M18 11c2 4 10 4 12 0"),
    "soap": Motif(
        "M12 19h24a4 4 0 0 1 4 4v9a4 4 0 0 1-4 4H12a4 4 0 0 1-4-4v-9a4 4 0 0 1 4-4z", "M17 27h14M32 12a2 2 0 1 0 .01 0z"
    ),
    "sock": Motif("M18 10h11v15l7 5a5 5 0 0 1-6 8L18 30z", "M18 15h11"),
    "teapot": Motif(
        "M14 21h20a10 10 0 0 1-3 15H17a10 10 0 0 1-3-15z", "M34 25l6-5M14 23c-7 0-7 9 1 9M20 20c1-6 7-6 8 0"
    ),
    "tin": Motif("M12 16h24v22H12z", "M11 14h26M18 24h12v7H18z"),
    "tote": Motif("M12 19h24l2 19H10z", "M18 23v-7a6 6 0 0 1 12 0v7"),
    "trousers": Motif("M16 11h16l3 27h-7l-4-18-4 18h-7z", "M16 15h16"),
    "wallet": Motif("M10 16h28v19H10z", "M10 22h28M30 28h4"),
}

COLOURS: Final = {
    "amber": Colour("#fbf0d9", "#e0a53a", "#8a5b0c"),
    "blue": Colour("#e3ecfa", "#5b86cf", "#234a8f"),
    "clay": Colour("#f9e6de", "#cf7a58", "#7f3b20"),
    "green": Colour("#e4f2e6", "#63a36d", "#2a6135"),
    "grey": Colour("#ecedf0", "#8d94a1", "#454b57"),
    "plum": Colour("#f3e4f0", "#a8679b", "#652a59"),
    "sand": Colour("#f5efe4", "#c8ad82", "#735a30"),
    "teal": Colour("#def1f0", "#4d9f9c", "#1c5c5a"),
}

_KEPT: Final = {"Cache-Control": "public, max-age=86400"}


def address_of(motif: str, colour: str) -> str:
    """Where the picture of a motif in a colour is."""
    return f"{PATH}/{motif}-{colour}.svg"


@router.get("/{motif}-{colour}.svg")
async def read_picture(motif: Annotated[str, Path()], colour: Annotated[str, Path()]) -> Response:
    """Draw a motif in a colour."""
    if motif not in MOTIFS or colour not in COLOURS:
        raise Problem("not_found", "there is no such picture")
    return Response(_drawn(MOTIFS[motif], COLOURS[colour]), media_type="image/svg+xml", headers=_KEPT)


def _drawn(motif: Motif, colour: Colour) -> str:
    stroke = 'fill="none" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">'
        f'<rect width="48" height="48" fill="{colour.ground}"/><path fill="{colour.body}" d="{motif.body}"/>'
        f'<path {stroke} stroke="{colour.lines}" d="{motif.lines}"/></svg>'
    )
