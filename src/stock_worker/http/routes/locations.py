"""Locations, and what is noted of an item at one. Law: no stock is moved here, and none is left where nobody looks.

A location is never removed: it is archived once it is empty, and can be restored. Source: contract section 1
(location), rule 7, section 7 (locations).
"""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from stock_worker.core.model import ItemKey
from stock_worker.http.access import Access, Books, Reader, Writer
from stock_worker.http.backend import Backend
from stock_worker.http.documents import problems
from stock_worker.http.pages import Paged
from stock_worker.http.problems import Problem
from stock_worker.http.shapes_steering import (
    ItemPlaceChange,
    Location,
    LocationChange,
    Locations,
    NewLocation,
    NotedPlace,
)
from stock_worker.store.steering import item_places, locations
from stock_worker.store.steering.refused import Refused

router = APIRouter(prefix="/sites/{site}", tags=["locations"])

_ONE = "/locations/{location_id}"

LocationId = Annotated[UUID, Path(description="The location's id.")]
Product = Annotated[UUID, Path(description="The product's id.")]
Variant = Annotated[UUID, Path(description="The variant's id.")]


@router.get("/locations", responses=problems())
async def list_locations(
    books: Books,
    access: Reader,
    page: Paged,
    is_active: Annotated[bool | None, Query(description="Only those in use, or only the others.")] = None,
) -> Locations:
    """List a site's locations in the order in which they serve orders."""
    async with books.reading(access.sites) as connection:
        there = await locations.list_locations(connection, access.site_id)
    found = [each for each in there if is_active in (None, each.is_active)]
    return Locations.model_validate(
        {"locations": found[page.offset : page.offset + page.limit], "pagination": page.of(len(found))}
    )


@router.post("/locations", status_code=201, responses=problems("conflict"))
async def create_location(books: Books, access: Writer, new: NewLocation, response: Response) -> Location:
    """Make a location. 409 where another one of the site has its code."""
    made = await books.steer(lambda connection: locations.create(connection, access.site_id, new.given))
    response.headers["Location"] = f"/api/v1/sites/{access.site_id}/locations/{made.location_id}"
    return Location.model_validate(made)


@router.get(_ONE, responses=problems("not_found"))
async def read_location(books: Books, access: Reader, location_id: LocationId) -> Location:
    """Tell all that is known of a location."""
    async with books.reading(access.sites) as connection:
        found = await locations.find(connection, access.site_id, str(location_id))
    if isinstance(found, Refused):
        raise Problem("not_found", found.message)
    return Location.model_validate(found)


@router.patch(_ONE, responses=problems("not_found", "conflict"))
async def change_location(books: Books, access: Writer, location_id: LocationId, change: LocationChange) -> Location:
    """Change fields of a location, or make it the default. 409 where stock lies where nobody would look for it then."""
    return Location.model_validate(
        await books.steer(
            lambda connection: locations.change(connection, access.site_id, str(location_id), change.given)
        )
    )


@router.delete(_ONE, responses=problems("not_found", "conflict"))
async def archive_location(books: Books, access: Writer, location_id: LocationId) -> Location:
    """Close a location; it is kept for the history. 409 where it is the default or not empty."""
    return Location.model_validate(
        await books.steer(lambda connection: locations.archive(connection, access.site_id, str(location_id)))
    )


@router.post(f"{_ONE}/restoration", responses=problems("not_found", "conflict"))
async def restore_location(books: Books, access: Writer, location_id: LocationId) -> Location:
    """Take a closed location into use again; it goes last in priority."""
    return Location.model_validate(
        await books.steer(lambda connection: locations.restore(connection, access.site_id, str(location_id)))
    )


@router.patch("/items/{product_id}/locations/{location_id}", responses=problems("not_found"))
async def note_of_product(
    books: Books, access: Writer, product_id: Product, location_id: LocationId, change: ItemPlaceChange
) -> NotedPlace:
    """Note where a product without variant lies at a location, and when it is short there."""
    return await _note(books, access, ItemKey(access.site_id, str(product_id), None), location_id, change)


@router.patch("/items/{product_id}/{variant_id}/locations/{location_id}", responses=problems("not_found"))
async def note_of_variant(
    books: Books,
    access: Writer,
    product_id: Product,
    variant_id: Variant,
    location_id: LocationId,
    change: ItemPlaceChange,
) -> NotedPlace:
    """Note where a variant lies at a location, and when it is short there."""
    return await _note(books, access, ItemKey(access.site_id, str(product_id), str(variant_id)), location_id, change)


async def _note(
    books: Backend, access: Access, item: ItemKey, location_id: UUID, change: ItemPlaceChange
) -> NotedPlace:
    del access
    noted = await books.steer(lambda connection: item_places.change(connection, item, str(location_id), change.given))
    return NotedPlace.model_validate({**item._asdict(), **asdict(noted), "available": noted.on_hand - noted.reserved})
