"""A worker and the API beside it, each a process of its own, and who asks. Law: what they read is one place.

The token is for every site, and lasts longer than any load.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.request import urlopen

import jwt

from benchmarks.client import Answered, Asked, asking, plan
from benchmarks.contenders import OURS, ContenderFailed, Running, api, free_port, running
from benchmarks.cpu import Meter, Used
from benchmarks.place import Place

_START_MAX_S: Final = 60.0
_KEY: Final = "a key of a benchmark, thirty-two bytes or more"
_TOKEN_LASTS: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Served:
    """A worker and an API that answers."""

    worker: Running
    api: Running
    port: int
    token: str

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.port}"

    async def ask(
        self, meter: Meter, requests: Sequence[Asked], connections: int, *, closed_s: float | None = None
    ) -> tuple[list[Answered], Used]:
        """Have a client ask, and say whose CPU it took meanwhile."""
        asked = plan(self.port, self.token, requests, connections=connections, closed_s=closed_s)
        async with asking() as client:
            pids = {"api": self.api.process.pid, "client": client.pid}
            before = meter.read(self.worker.process.pid, **pids)
            answers = await client.answers(asked)
            used = before.until(meter.read(self.worker.process.pid, **pids))
        self.api.check()
        self.worker.check()
        return answers, used


@asynccontextmanager
async def serving(place: Place, processes: int, now: datetime) -> AsyncIterator[Served]:
    """Run a worker and the API over one place for as long as the block runs."""
    port = free_port()
    settings = (("STOCK_HTTP_PORT", str(port)), ("STOCK_JWT_KEY", _KEY))
    async with running(OURS, place) as worker, running(replace(api(processes), settings=settings), place) as served:
        deadline = time.monotonic() + _START_MAX_S
        while not await asyncio.to_thread(_is_ready, port):
            served.check()
            if time.monotonic() > deadline:
                raise ContenderFailed(f"the API does not get ready:\n{served.last_words()}")
            await asyncio.sleep(0.1)
        yield Served(worker, served, port, _token(now))


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _token(now: datetime) -> str:
    claims = {"sub": "benchmark", "role": "platform_admin", "exp": now + _TOKEN_LASTS}
    return jwt.encode(claims, _KEY, "HS256")
