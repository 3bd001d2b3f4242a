"""What a test of the page starts from."""

from tests.http.conftest import api, books, served

__all__ = ["api", "books", "served"]
