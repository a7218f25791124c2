"""
The floor's two programs: bare devices, and the bare coordinator that drives them.

``python -m drone_sim.benchmark.floor devices PORT FLEET IDS SIZES`` answers ``snapshot`` with
what its devices have sent and received; ``… coordinator PORT FLEET IDS SIZES`` answers ``round``
with how long each phase took. IDS are separated by commas, SIZES is JSON; see :mod:`.pattern`.
Topics are the product's, taken from its table.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

from drone_sim.benchmark.lines import Answer, serve
from drone_sim.benchmark.pattern import BYTES
from drone_sim.benchmark.wire import BareClient, WireError, connect
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.transport.topics import ROOT, Device, Orchestrator, filters
from orchestrator.wiring import SystemClock

HOST: Final = "127.0.0.1"
CONNECTING_MAX: Final = 50
PHASE_S: Final = 60.0
"""A phase that takes longer has lost a message: there is no sending again."""

_PLAN: Final = b"0" * 64
_CONFIG: Final = b"1" * 64
_SETTLE_BEFORE_S: Final = 0.3
_SETTLE_BEFORE_EACH_S: Final = 0.002
"""How long after the DECISION the devices activate: when all have reported that they know."""

_RECORDED: Final = b"r"
_OPERATING: Final = b"o"
_CLOCK: Final = SystemClock()


def cpu_s() -> float:
    """Return the CPU time of this process so far, in s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _padded(text: bytes, size: int) -> bytes:
    return text.ljust(size, b".")[: max(size, len(text))]


class BareDevice:
    """Answers as a device does, from nothing; what it answers is always the same."""

    def __init__(
        self, fleet: str, name: str, sizes: Mapping[str, int], seen: Counter[str]
    ) -> None:
        self._filters = [
            text.encode() for text in filters(FleetId(fleet), Device(id=DeviceId(name)))
        ]
        self._from = f"{ROOT}/{fleet}/from/{name}/".encode()
        self._hello = _padded(b"h", sizes["hello"])
        self._vote = _padded(b"v", sizes["vote"])
        self._recorded = _padded(_RECORDED, sizes["report"])
        self._operating = _padded(_OPERATING, sizes["report"])
        self._seen = seen
        self._client: BareClient | None = None

    async def start(self, port: int, client_id: str) -> None:
        """Connect and subscribe."""
        self._client = await connect(HOST, port, client_id, self._take)
        await self._client.granted(self._filters)

    @property
    def lost(self) -> asyncio.Future[None] | None:
        """Ends with the reason when the connection is lost."""
        return None if self._client is None else self._client.lost

    def _take(self, topic: bytes, payload: bytes) -> None:
        client = self._client
        if client is None:
            return
        head, _, last = topic.rpartition(b"/")
        if last == b"fence":
            self._publish(client, b"hello", self._hello)
        elif last == b"prepare":
            client.subscribe(head + b"/blob/" + _PLAN)
        elif last == b"decision":
            self._decided(client, payload)
        elif last == _PLAN and payload:
            client.unsubscribe(topic)
            client.subscribe(head + b"/" + _CONFIG)
        elif last == _CONFIG and payload:
            client.unsubscribe(topic)
            self._publish(client, b"vote", self._vote)
        if payload:
            self._seen["to " + ("blob" if last in {_PLAN, _CONFIG} else last.decode())] += 1

    def _decided(self, client: BareClient, payload: bytes) -> None:
        if not payload:
            return
        self._publish(client, b"report", self._recorded)
        delay_s = float(payload.rstrip(b".")) - _CLOCK.now()
        later = partial(self._publish, client, b"report", self._operating)
        asyncio.get_running_loop().call_later(delay_s, later)

    def _publish(self, client: BareClient, kind: bytes, payload: bytes) -> None:
        self._seen["from " + kind.decode()] += 1
        client.publish(self._from + kind, payload)


class BareCoordinator:
    """Runs rounds; a phase ends when its last message is in."""

    def __init__(self, fleet: str, devices: Sequence[str], sizes: Mapping[str, int]) -> None:
        self._fleet = fleet
        self._devices = devices
        self._sizes = sizes
        self._at = f"{ROOT}/{fleet}/".encode()
        self._welcome = _padded(b"w", sizes["welcome"])
        self._client: BareClient | None = None
        self._round = 0
        self._expected: tuple[bytes, bytes] = (b"", b"")
        self._missing = 0
        self._complete: asyncio.Future[float] | None = None

    async def start(self, port: int, client_id: str) -> BareClient:
        """Connect and subscribe."""
        self._client = await connect(HOST, port, client_id, self._take)
        wanted = filters(FleetId(self._fleet), Orchestrator())
        await self._client.granted([text.encode() for text in wanted])
        return self._client

    def _take(self, topic: bytes, payload: bytes) -> None:
        _, device, kind = topic.rsplit(b"/", 2)
        if kind == b"hello" and self._client is not None:
            self._client.publish(self._at + b"to/" + device + b"/welcome", self._welcome)
        if kind == self._expected[0] and payload.startswith(self._expected[1]):
            self._missing -= 1
            if not self._missing and self._complete is not None and not self._complete.done():
                self._complete.set_result(_CLOCK.now())

    async def _phase(self, kind: bytes, mark: bytes, begin: Callable[[], None]) -> float:
        """Return when the last of the messages of this kind had come."""
        self._expected, self._missing = (kind, mark), len(self._devices)
        self._complete = asyncio.get_running_loop().create_future()
        begin()
        try:
            async with asyncio.timeout(PHASE_S):
                return await self._complete
        except TimeoutError:
            msg = f"{self._missing} of {len(self._devices)} {kind.decode()} messages did not come"
            raise WireError(msg) from None

    async def run(self) -> Answer:
        """Run one round. Returns ms per phase, CPU, and PUBLISH packets sent and received."""
        client = self._client
        if client is None:
            return {}
        self._round += 1
        at = self._at + f"txn/floor-{self._round}/".encode()
        used, sent, received = cpu_s(), client.sent, client.received
        took = await self._phases(client, at)
        for topic in (at + b"blob/" + _PLAN, at + b"blob/" + _CONFIG, at + b"decision"):
            client.publish(topic, b"", retain=True)
        await client.settle()
        return {
            "timing_ms": {name: round(seconds * 1e3, 3) for name, seconds in took.items()},
            "cpu_ms": round((cpu_s() - used) * 1e3, 3),
            "sent": client.sent - sent,
            "received": client.received - received,
        }

    async def _phases(self, client: BareClient, at: bytes) -> dict[str, float]:
        sizes, began = self._sizes, _CLOCK.now()
        fence = partial(client.publish, self._at + b"fence", _padded(b"f", sizes["fence"]))
        joined = await self._phase(b"hello", b"", fence)
        voted = await self._phase(b"vote", b"", partial(self._prepare, client, at))
        count = len(self._devices)
        activate_at = voted + _SETTLE_BEFORE_S + count * _SETTLE_BEFORE_EACH_S
        word = _padded(f"{activate_at:.6f}".encode(), sizes["decision"])
        decide = partial(client.publish, at + b"decision", word, retain=True)
        told = await self._phase(b"report", _RECORDED, decide)
        if told >= activate_at:
            msg = f"the DECISION took {told - voted:.1f} s: too long to tell the two REPORTs apart"
            raise WireError(msg)
        active = await self._phase(b"report", _OPERATING, lambda: None)
        return {
            "join": joined - began,
            "prepare": voted - joined,
            "tell": told - voted,
            "activate": active - activate_at,
        }

    def _prepare(self, client: BareClient, at: bytes) -> None:
        sizes = self._sizes
        client.publish(at + b"prepare", _padded(b"p", sizes["prepare"]))
        client.publish(at + b"blob/" + _PLAN, bytes(sizes["plan"]), retain=True)
        client.publish(at + b"blob/" + _CONFIG, bytes(sizes["config"]), retain=True)


# --- the programs -------------------------------------------------------------------------------


async def _devices(port: int, fleet: str, names: Sequence[str], sizes: Mapping[str, int]) -> None:
    seen: Counter[str] = Counter()
    devices = [BareDevice(fleet, name, sizes, seen) for name in names]
    gate = asyncio.Semaphore(CONNECTING_MAX)

    async def start(device: BareDevice, name: str) -> None:
        async with gate:
            await device.start(port, f"floor-{fleet}-{name}")

    await asyncio.gather(*map(start, devices, names))

    async def snapshot(_line: str) -> Answer:
        counts = dict(seen)
        seen.clear()
        return {"messages": counts, "cpu_s": cpu_s()}

    await _until_lost(serve(snapshot, {}), [device.lost for device in devices])


async def _coordinator(
    port: int, fleet: str, names: Sequence[str], sizes: Mapping[str, int]
) -> None:
    coordinator = BareCoordinator(fleet, names, sizes)
    client = await coordinator.start(port, f"floor-{fleet}")

    async def once(_line: str) -> Answer:
        return await coordinator.run()

    await _until_lost(serve(once, {}), [client.lost])


async def _until_lost(
    work: Coroutine[Any, Any, None], lost: Sequence[asyncio.Future[None] | None]
) -> None:
    """Serve; the loss of any connection ends the program, for nothing is sent again."""
    serving = asyncio.ensure_future(work)
    links = {future for future in lost if future is not None}
    done, _ = await asyncio.wait({serving, *links}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    for ended in done:
        ended.result()


def main(arguments: Sequence[str]) -> int:
    """Run one of the two programs."""
    what, port, fleet, names, sizes = arguments
    program = {"devices": _devices, "coordinator": _coordinator}[what]
    told = {**BYTES, **json.loads(sizes)}
    asyncio.run(program(int(port), fleet, names.split(","), told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
