"""The program as a process that serves, and how a test asks it. Law: nothing of it is left when the block ends."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from stock_worker.http.app import BASE
from stock_worker.settings import Settings
from tests.flow.commands import Terminal, names
from tests.flow.running import PATIENCE_S, busy, free_port, until
from tests.http.running import KEY, SITE, product, token


@dataclass
class Served:
    """`stock-worker api` (or `run --with-api`) as a process."""

    popen: "subprocess.Popen[bytes]"
    log: Path
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> list[dict[str, object]]:
        """Its lines so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def ended(self, within_s: float) -> int:
        """Wait for its exit code, longer where the machine is busy."""
        return await asyncio.to_thread(self.popen.wait, within_s * busy())

    def children(self) -> list[psutil.Process]:
        """The processes that answer."""
        tree = psutil.Process(self.popen.pid).children()
        return [one for one in tree if "spawn_main" in " ".join(one.cmdline())]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """One who asks, as an org_admin."""
        headers = {"Authorization": f"Bearer {token()}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30) as client:
            yield client

    async def answers(self, path: str, status: int) -> httpx.Response:
        """Wait until a path answers with a status."""
        found: list[httpx.Response] = []

        async def answered() -> bool:
            assert self.popen.poll() is None, self.log.read_text()
            try:
                async with httpx.AsyncClient() as client:  # a connection of its own: any of the processes
                    found.append(await client.get(f"{self.url}{path}"))
            except httpx.TransportError:
                return False
            return found[-1].status_code == status

        await until(answered, PATIENCE_S * busy())
        return found[-1]

    async def restock(self, client: httpx.AsyncClient, key: str, quantity: int = 1) -> httpx.Response:
        """Have some of a product arrive."""
        body = {"lines": [{"product_id": product(1), "quantity": quantity}]}
        return await client.post(f"{BASE}/sites/{SITE}/restocks", headers={"Idempotency-Key": key}, json=body)


@contextmanager
def serving_process(*words: str, folder: Path, settings: Settings, more: Mapping[str, str] = {}) -> Iterator[Served]:
    """Start `stock-worker` with these words in a folder, on a free port; what `more` names comes last."""
    port = free_port()
    said = names(settings) | {
        "STOCK_HTTP_PORT": str(port),
        "STOCK_JWT_KEY": KEY,
        "STOCK_KAFKA_SESSION_TIMEOUT_MS": "6000",
    }
    log = folder / "log"
    popen = Terminal(folder, said | dict(more)).start(*words, log=log)
    try:
        yield Served(popen, log, port)
    finally:
        tree = psutil.Process(popen.pid).children(recursive=True) if popen.poll() is None else []
        for left in tree:
            left.kill()
        popen.kill()
        popen.wait()
