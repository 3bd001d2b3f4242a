"""The way to a server, as a socket that a test can freeze: what was open stays open, and nothing comes through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_AT_ONCE = 1 << 16


@dataclass
class Wires:
    """Every connection that came by way of `url`."""

    url: str
    _frozen: set[bytes] = field(default_factory=set)

    def freeze(self, name: str) -> None:
        """Let nothing through any more on connections that said this name when they were opened."""
        self._frozen.add(name.encode())

    def thaw(self) -> None:
        """Let new connections through again; what was frozen stays so."""
        self._frozen.clear()

    async def carry(self, near: asyncio.StreamReader, far: asyncio.StreamWriter, said: bytearray) -> None:
        """Hand on what comes until either side closes; once frozen, take no more."""
        while data := await near.read(_AT_ONCE):
            if len(said) < _AT_ONCE:
                said += data
            if any(name in said for name in self._frozen):
                await asyncio.Event().wait()
            far.write(data)
            await far.drain()


@asynccontextmanager
async def wires(url: str) -> AsyncIterator[Wires]:
    """Stand between a client and the server of this URL for as long as the block runs."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    under_way: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        far_reader, far_writer = await asyncio.open_connection(host, port)
        said = bytearray()
        ways = [
            asyncio.ensure_future(between.carry(reader, far_writer, said)),
            asyncio.ensure_future(between.carry(far_reader, writer, said)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for side in (writer, far_writer):
                side.transport.abort()
            under_way.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    place = parts.netloc.rpartition("@")[0] + f"@{address[0]}:{address[1]}"
    between = Wires(urlunsplit(parts._replace(netloc=place)))
    try:
        yield between
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
