"""Alert rules of a site, its products and their variants. Law: a rule is told with what holds, and with who says so.

A rule may be made for what has never been seen: the catalog gates nothing. Source: contract section 7
(`…/alert-rules`).
"""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from stock_worker.http.access import Books, Reader, Site, Writer
from stock_worker.http.backend import Backend
from stock_worker.http.documents import problems
from stock_worker.http.pages import Paged
from stock_worker.http.shapes_steering import Rule, RuleChange, Rules
from stock_worker.store.reads.rules import read_rules
from stock_worker.store.steering import rules
from stock_worker.store.steering.refused import Refused
from stock_worker.store.steering.rules import Scope, ScopeRule

if TYPE_CHECKING:
    from asyncpg import Connection

router = APIRouter(prefix="/sites/{site}/alert-rules", tags=["alert rules"])

_SITE = "/site"
_PRODUCT = "/products/{product_id}"
_VARIANT = "/products/{product_id}/variants/{variant_id}"

Product = Annotated[UUID, Path(description="The product's id.")]
Variant = Annotated[UUID, Path(description="The variant's id.")]


async def _of_site(site: Site) -> Scope:
    return Scope(str(site))


async def _of_product(site: Site, product_id: Product) -> Scope:
    return Scope(str(site), str(product_id))


async def _of_variant(site: Site, product_id: Product, variant_id: Variant) -> Scope:
    return Scope(str(site), str(product_id), str(variant_id))


OfSite = Annotated[Scope, Depends(_of_site)]
OfProduct = Annotated[Scope, Depends(_of_product)]
OfVariant = Annotated[Scope, Depends(_of_variant)]


@router.get("", responses=problems())
async def list_rules(
    books: Books,
    access: Reader,
    page: Paged,
    product_id: Annotated[UUID | None, Query(description="Only this product's and its variants'.")] = None,
) -> Rules:
    """List the rules of a site, each with the fields that it sets itself."""
    product = None if product_id is None else str(product_id)
    async with books.reading(access.sites) as connection:
        found, total = await read_rules(connection, access.site_id, product, limit=page.limit, offset=page.offset)
    return Rules.model_validate({"rules": found, "pagination": page.of(total)})


@router.get(_SITE, responses=problems())
async def read_site_rule(books: Books, access: Reader, scope: OfSite) -> Rule:
    """Tell the site's rule, and what holds for a product that has none."""
    return await _read(books, access.sites, scope)


@router.get(_PRODUCT, responses=problems())
async def read_product_rule(books: Books, access: Reader, scope: OfProduct) -> Rule:
    """Tell a product's rule, and what holds for it."""
    return await _read(books, access.sites, scope)


@router.get(_VARIANT, responses=problems())
async def read_variant_rule(books: Books, access: Reader, scope: OfVariant) -> Rule:
    """Tell a variant's rule, and what holds for it."""
    return await _read(books, access.sites, scope)


@router.patch(_SITE, responses=problems())
async def change_site_rule(books: Books, access: Writer, scope: OfSite, change: RuleChange) -> Rule:
    """Set fields of the site's rule; its items are evaluated again."""
    del access
    return await _change(books, scope, change)


@router.patch(_PRODUCT, responses=problems())
async def change_product_rule(books: Books, access: Writer, scope: OfProduct, change: RuleChange) -> Rule:
    """Set fields of a product's rule; its items are evaluated again."""
    del access
    return await _change(books, scope, change)


@router.patch(_VARIANT, responses=problems())
async def change_variant_rule(books: Books, access: Writer, scope: OfVariant, change: RuleChange) -> Rule:
    """Set fields of a variant's rule; it is evaluated again."""
    del access
    return await _change(books, scope, change)


@router.delete(_SITE, responses=problems("not_found"))
async def delete_site_rule(books: Books, access: Writer, scope: OfSite) -> Rule:
    """Remove the site's rule; answers what holds then."""
    del access
    return await _delete(books, scope)


@router.delete(_PRODUCT, responses=problems("not_found"))
async def delete_product_rule(books: Books, access: Writer, scope: OfProduct) -> Rule:
    """Remove a product's rule; answers what holds then."""
    del access
    return await _delete(books, scope)


@router.delete(_VARIANT, responses=problems("not_found"))
async def delete_variant_rule(books: Books, access: Writer, scope: OfVariant) -> Rule:
    """Remove a variant's rule; answers what holds then."""
    del access
    return await _delete(books, scope)


async def _read(books: Backend, sites: frozenset[str], scope: Scope) -> Rule:
    async with books.reading(sites) as connection:
        return _rule(await rules.read(connection, scope))


async def _change(books: Backend, scope: Scope, change: RuleChange) -> Rule:
    return _rule(await books.steer(lambda connection: rules.change(connection, scope, change.given)))


async def _delete(books: Backend, scope: Scope) -> Rule:
    async def remove(connection: "Connection") -> ScopeRule | Refused:
        return await rules.delete(connection, scope) or await rules.read(connection, scope)

    return _rule(await books.steer(remove))


def _rule(found: ScopeRule) -> Rule:
    return Rule.model_validate(
        {
            **found.scope._asdict(),
            "rule": found.rule,
            "updated_at": found.updated_at,
            "effective": dict(found.effective),
        }
    )
