"""The API over a world in memory: a clock that only moves when somebody sleeps, and clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import Sighting
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import DeviceId, FleetId, Owner
from orchestrator.service.world import World
from orchestrator.storage.memory import MemoryStore
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.topics import Orchestrator
from orchestrator.web.app import create_app
from orchestrator.web.guards import LOOPBACK_HOSTS
from orchestrator.web.observer import Facts

FLEET = FleetId("hazard-12")
YARD = FleetId("yard")
"""It has a file, and nobody has locked it yet."""

TOKEN = "a-token-for-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BOOT = "7f3a91c2-0000-4000-8000-000000000001"
START_S = 1_700_000_000.0

MIRA: dict[str, Any] = {
    "user": "mira",
    "host": "aim-control",
    "program": "recalibrate.sh",
    "pid": 4121,
}
NOA: dict[str, Any] = {"user": "noa", "host": "yard-office", "program": "survey", "pid": 77}
HERE: dict[str, Any] = {
    **MIRA,
    "machine_id": "m1",
    "boot_id": BOOT,
    "pid_namespace": "pid:[4026531836]",
    "start_ticks": 8812,
}
"""Mira, with the evidence of a process on the server's machine."""


async def until(there: Callable[[], Awaitable[bool]]) -> None:
    """Let others go on until something is the case."""
    async with asyncio.timeout(5):
        while not await there():  # noqa: ASYNC110 - time moves with those who sleep
            await asyncio.sleep(0)


@dataclass
class VirtualClock:
    """Moves when somebody sleeps, at once, by ``least_s`` or more."""

    passed_s: float = 0.0
    least_s: float = 0.0

    def now(self) -> float:
        return START_S + self.passed_s

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, delay_s: float) -> None:
        until_s = self.passed_s + max(delay_s, self.least_s)
        await asyncio.sleep(0)
        self.passed_s = max(self.passed_s, until_s)


@dataclass
class Machine:
    """A process table: who has the boot id of this machine runs, unless it is among the dead."""

    dead: set[int] = field(default_factory=set)
    boot_id: str | None = BOOT

    def me(self, program: str) -> Owner:
        return Owner(
            user="aim",
            host="aim-control",
            machine_id="m1",
            boot_id=BOOT,
            pid_namespace="pid:[4026531836]",
            pid=1,
            start_ticks=10,
            program=program,
        )

    def descends_from(self, owner: Owner) -> bool:
        return owner == self.me(owner.program)

    def look_for(self, owner: Owner) -> Sighting:
        here = owner.boot_id == self.boot_id
        running = here and owner.pid not in self.dead
        return Sighting(here=here, rebooted=False, visible=here, running=running)


@dataclass
class Ids:
    """Counts."""

    made: int = 0

    def new(self) -> str:
        self.made += 1
        return f"id-{self.made}"


@dataclass
class Audience:
    """Keeps what was told."""

    told: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)


@dataclass
class FakeServer:
    """What a running server would say of itself."""

    doubts: Mapping[FleetId, Mapping[DeviceId, float]] = field(default_factory=dict)
    rejections: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[FleetId, str] = field(default_factory=dict)

    def in_doubt(self) -> Mapping[FleetId, Mapping[DeviceId, float]]:
        return self.doubts

    def fence_rejections(self) -> Mapping[str, int]:
        return self.rejections

    def cleanup_runs(self) -> Mapping[str, int]:
        return self.runs

    def not_ready(self) -> Mapping[FleetId, str]:
        return self.troubles


class Desk:
    """A server of one process: its world, its application, and a client with the token."""

    def __init__(self, hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
        self.clock = VirtualClock()
        self.machine = Machine()
        self.audience = Audience()
        self.server = FakeServer()
        self.broker = MemoryBroker()
        self.store = MemoryStore(now=self.clock.now, boot=lambda: (BOOT, self.clock.monotonic()))
        ids = Ids()

        def connect(fleet: FleetId) -> MemoryTransport:
            return MemoryTransport(
                self.broker,
                fleet=fleet,
                role=Orchestrator(),
                client_id=ids.new(),
                clock=self.clock,
                audience=self.audience,
            )

        self.world = World(
            store=self.store,
            connect=connect,
            clock=self.clock,
            ids=ids,
            audience=self.audience,
            processes=self.machine,
            faults=FaultPoints(),
        )
        files = {FLEET: Facts(), YARD: Facts()}
        self.broken: list[InvariantViolation] = []
        self.app: FastAPI = create_app(
            self.world,
            token=TOKEN,
            known=files.get,
            observer=self.server,
            hosts=hosts,
            broken=self.broken.append,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://localhost:8470",
            headers=BEARER,
        )

    # --- the API ------------------------------------------------------------------------------

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Ask with the token."""
        return await self.client.get(f"/api/v1{path}", params=parameters)

    async def post(self, verb: str, fleet: str = FLEET, **body: Any) -> httpx.Response:
        """Order with the token."""
        return await self.client.post(f"/api/v1/locks/{fleet}/{verb}", json=body)

    async def acquired(self, holder: Mapping[str, Any] = MIRA, fleet: str = FLEET) -> str:
        """Take the lock; return its id."""
        answer = await self.post("acquire", fleet, holder=holder, purpose="calibration")
        assert 200 == answer.status_code, answer.text
        lock_id: str = answer.json()["lock_id"]
        return lock_id

    # --- the store ----------------------------------------------------------------------------

    async def state(self, fleet: FleetId = FLEET) -> FleetState:
        """What the journal comes to."""
        return fold(FleetState(fleet=fleet), await self.store.read(fleet))

    async def append(self, *records: Record) -> None:
        """Write into the journal beside the API."""
        await self.store.append(FLEET, (await self.state()).known, records)

    async def queue(self) -> list[str]:
        """Who waits for the lock."""
        return [waiter.owner.user for waiter in (await self.state()).lock.waiters]

    async def until_queued(self, *users: str) -> None:
        """Let others go on until exactly these wait."""

        async def there() -> bool:
            return await self.queue() == list(users)

        await until(there)


@asynccontextmanager
async def at_desk() -> AsyncIterator[Desk]:
    """A desk, closed in the end."""
    desk = Desk()
    async with desk.client:
        yield desk
    await desk.store.close()


class Raw:
    """
    One request by hand: its body comes in pieces, its client may go away.

    ``parts`` are the pieces of the body; the last is followed by silence until :meth:`leave`.
    """

    def __init__(
        self,
        app: FastAPI,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        parts: Sequence[bytes] = (b"",),
        ends: bool = True,
    ) -> None:
        self.messages: list[Any] = []
        self._parts = list(parts)
        self._ends = ends
        self._gone = asyncio.Event()
        given = {"host": "localhost", **(BEARER if headers is None else headers)}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in given.items()],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8470),
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._parts:
            body = self._parts.pop(0)
            more = bool(self._parts) or not self._ends
            return {"type": "http.request", "body": body, "more_body": more}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(message)

    async def leave(self) -> None:
        """Go away, and wait until the application has noticed."""
        self._gone.set()
        async with asyncio.timeout(5):
            await self.task

    async def heard(self, piece: bytes) -> bytes:
        """Return the body so far, once ``piece`` is in it."""

        async def there() -> bool:
            return piece in self.body

        await until(there)
        return self.body

    @property
    def status(self) -> int:
        """The status, of a response that has begun."""
        status: int = self.messages[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        """What has come so far."""
        return b"".join(message.get("body", b"") for message in self.messages)
