"""One API for the tests of a file, each with a site that no other knows: a database for each would take longer."""

from dataclasses import replace
from uuid import uuid4

from tests.http.running import Api


def own_site(served: Api) -> Api:
    """Give one of these tests its site."""
    return replace(served, site_id=str(uuid4()))
