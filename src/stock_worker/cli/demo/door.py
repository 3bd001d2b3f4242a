"""The way to the page of the demo. Law: a link signs in once, and no token is in an address, a log or on a screen.

The link has a secret of its own. Whoever brings it first is given the session's cookie and led to the page; later it
only leads there. A browser sends a host's cookies to all of its ports, so the page needs nothing that it does not have
for everybody: it knows of no link. Source: docs/decisions/0009.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

HOST: Final = "127.0.0.1"
_SECRET_BYTES: Final = 16
_PATIENCE_S: Final = 5.0
_HEAD: Final = "HTTP/1.1 {status}\r\n{more}Cache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def door(page: str, cookie: str) -> AsyncIterator[str]:
    """Give the link, which works for as long as the block runs; `cookie` is what it says as Set-Cookie, once."""
    path = f"/{secrets.token_urlsafe(_SECRET_BYTES)}"
    is_used = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_used
        with contextlib.suppress(OSError, ValueError, TimeoutError), contextlib.closing(writer):
            async with asyncio.timeout(_PATIENCE_S):
                asked = (await reader.readline()).decode("ascii").split()
                while (await reader.readline()).strip():  # its headers say nothing that matters here
                    pass
            status, more = "404 Not Found", ""
            if asked[:2] == ["GET", path]:
                status, more = (
                    "303 See Other",
                    f"Location: {page}\r\n" + ("" if is_used else f"Set-Cookie: {cookie}\r\n"),
                )
                is_used = True
            writer.write(_HEAD.format(status=status, more=more).encode())
            await writer.drain()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}{path}"
