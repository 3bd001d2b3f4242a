"""Nothing of a request runs in a thread: the framework takes a plain function there, which costs more than it does."""

from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any, Final

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from stock_worker.http.routes import (
    alerts,
    dead_letters,
    history,
    items,
    locations,
    reports,
    rules,
    settings,
    stream,
    writes,
)

MODULES: Final = (alerts, dead_letters, history, items, locations, reports, rules, settings, stream, writes)
ROUTES: Final = [route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize(
    "route", ROUTES, ids=[f"{'+'.join(sorted(each.methods or ()))} {each.path}" for each in ROUTES]
)
def test_route_and_what_it_depends_on_are_coroutines(route: APIRoute) -> None:
    called = list(_called(route.dependant))
    assert called
    assert [each for each in called if not _is_coroutine(each)] == []


def _called(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for each in dependant.dependencies:
        yield from _called(each)


def _is_coroutine(call: Callable[..., Any]) -> bool:
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)
