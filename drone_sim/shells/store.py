"""
The store of a run: one disk, a connection for each process, and what is wrong with either.

A call reaches the disk half-way through the time that it takes. A process that dies before that
has written nothing, one that dies after it has written and never learns of it. Whoever dies at a
seam of the store never goes on: the call does not return. Nothing of a dead process is written.
Where the disk is another one all at once (a backup, a power cut that has lost something) whoever
had it open is refused, as the SQLite store refuses a file that was replaced; or, as the seed has
it, goes on in the new one, as a client of a database server does whose data were restored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import StoreQuality
from drone_sim.shells.process import Process, never
from orchestrator.ports import Claim, Conflict, Lease, OutcomeUnknown, Store, StoreUnavailable
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import Digest, FleetId, Owner
from orchestrator.storage.leases import Boot, no_boot
from orchestrator.storage.memory import Lost, MemoryDisk, MemoryStore

T = TypeVar("T")

AWAY_S: Final = 0.05
"""How long a call takes to find that the store is not there."""

READ_SHARE: Final = 0.5
"""What a call that appends nothing takes, as a share of an append."""

OnAppend = Callable[[FleetId, Sequence[Entry]], None]
OnTouch = Callable[[FleetId, Claim, Owner], None]
PassSeam = Callable[[Process, str], bool]
"""Counts a seam, false where the process is dead: :meth:`drone_sim.shells.seams.Seams.passes`."""


def no_seam(process: Process, _name: str) -> bool:
    """Count nothing."""
    return process.alive


class StoreServer:
    """
    What all processes share: the disk and the faults.

    ``away`` makes every call fail, ``slow_s`` makes it take so much longer, ``loses_answer`` is
    the rate at which appends end in OutcomeUnknown, written or not by chance, and ``lies`` lets a
    power cut undo what is written meanwhile. ``in_place`` says that connections outlive a
    rollback: nothing but the marks of its entries tells them of it.

    ``on_append``, ``on_touch`` (a renewal that matched) and ``on_extend`` (all leases are fresh)
    are called when the write is there for readers, ``on_rollback`` when records are gone again.
    They run in the writing process, and so raise nothing: what they find wrong they tell
    :meth:`SimLoop.fail`.
    """

    def __init__(self, *, seed: int = 0, quality: StoreQuality | None = None) -> None:
        self.disk = MemoryDisk()
        self.quality = quality or StoreQuality()
        self.loses_answer = self.quality.loses_answer
        self.away = False
        self.slow_s = 0.0
        self.on_append: OnAppend | None = None
        self.on_touch: OnTouch | None = None
        self.on_extend: Callable[[], None] | None = None
        self.on_rollback: Callable[[], None] | None = None
        self.generation = 0
        """Raised where another file is in the place of the one that processes have open."""
        self.in_place = stream(seed, "store-in-place").random() < 1 / 2
        self._chance = stream(seed, "store")
        self._images: list[Any] = [self.disk.live]

    def connect(
        self,
        process: Process,
        *,
        now: Callable[[], float],
        boot: Boot = no_boot,
        seam: PassSeam = no_seam,
    ) -> SimStore:
        """Return the store as one process sees it; ``now`` and ``boot`` read its own clock."""
        inner = MemoryStore(now=now, boot=boot, disk=self.disk)
        return SimStore(inner, process, self, seam=seam)

    # --- faults -------------------------------------------------------------------------------

    @property
    def lies(self) -> bool:
        """Whether what is written now would not survive a power cut."""
        return self.disk.lies

    @lies.setter
    def lies(self, lies: bool) -> None:
        self.disk.lies = lies
        if not lies:
            self.disk.durable = self.disk.live

    def power_cut(self) -> bool:
        """Cut the power of the store's machine, and come back; true if records were lost."""
        return self._become(self.disk.durable)

    def restore(self, lacking: int) -> bool:
        """
        Put a backup in the disk's place, older by the last ``lacking`` records or a few more.

        What one append wrote is in it or not as a whole. True if records were lost.
        """
        wanted = _records(self.disk.live) - lacking
        older = [image for image in self._images if _records(image) <= max(0, wanted)]
        return self._become(older[-1])

    def _become(self, image: Any) -> bool:
        lost = _records(self.disk.live) > _records(image)
        self.disk.live = self.disk.durable = image
        self.generation += lost and not self.in_place
        self._images = [one for one in self._images if _records(one) <= _records(image)]
        if lost and self.on_rollback is not None:
            self.on_rollback()
        return lost

    def heal(self) -> None:
        """Take every fault away, that of its quality too."""
        self.away, self.slow_s, self.lies = False, 0.0, False
        self.loses_answer = 0.0

    # --- what its connections ask -------------------------------------------------------------

    def loses(self) -> Lost | None:
        """Draw whether the next append loses its answer, and what becomes of it."""
        loses, writes = self._chance.random(), self._chance.random()
        if loses >= self.loses_answer:
            return None
        return Lost.WRITTEN if writes < 1 / 2 else Lost.NOT_WRITTEN

    def appended(self, fleet: FleetId, entries: Sequence[Entry]) -> None:
        """Remember and tell what is in the journal now."""
        self._images.append(self.disk.live)
        if self.on_append is not None:
            self.on_append(fleet, entries)


def _records(image: Any) -> int:
    return sum(len(lines) for lines in image.journals.values())


class SimStore:
    """
    :class:`orchestrator.ports.Store` for one process, made by :meth:`StoreServer.connect`.

    ``inner`` is what really stores. A call of a dead process never returns.
    """

    def __init__(
        self, inner: Store, process: Process, server: StoreServer, *, seam: PassSeam = no_seam
    ) -> None:
        self._inner = inner
        self._process = process
        self._server = server
        self._seam = seam
        self._generation = server.generation

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """Append, with a seam on either side; see the port for the errors."""
        name = "store:" + "+".join(record.kind for record in records)
        await self._pass_seam(f"{name}:before")
        await self._travel(self._server.quality.append_s)
        lost = self._server.loses()
        entries: Sequence[Entry] | None = None
        if lost is not Lost.NOT_WRITTEN:
            entries = await self._write(fleet, expected, records)
        await self._pass_seam(f"{name}:after")
        return await self._return(entries, is_lost=lost is not None)

    async def _write(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry] | None:
        """Write and tell; ``None`` where the head is another."""
        try:
            entries = await self._inner.append(fleet, expected, records)
        except Conflict:
            return None
        self._server.appended(fleet, entries)
        return entries

    async def _return(self, entries: Sequence[Entry] | None, *, is_lost: bool) -> Sequence[Entry]:
        await asyncio.sleep(self._half_s(self._server.quality.append_s))
        if is_lost or (self._server.away and entries is not None):
            raise OutcomeUnknown("the answer of the append was lost")
        if entries is None:
            raise Conflict("the head is another")
        return entries

    async def read(self, fleet: FleetId, after: Head = START) -> Sequence[Entry]:
        """Return the entries after the head ``after``, as they were a moment ago."""
        return await self._ask(lambda: self._inner.read(fleet, after))

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; false unless claim and owner match."""

        async def renew() -> bool:
            renewed = await self._inner.touch(fleet, claim, owner)
            if renewed and self._server.on_touch is not None:
                self._server.on_touch(fleet, claim, owner)
            return renewed

        return await self._ask(renew)

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        """Return every lease of the fleet."""
        return await self._ask(lambda: self._inner.leases(fleet))

    async def extend_leases(self) -> None:
        """Give every lease of every fleet a fresh TTL."""

        async def extend() -> None:
            await self._inner.extend_leases()
            if self._server.on_extend is not None:
                self._server.on_extend()

        await self._ask(extend)

    async def fleets(self) -> Sequence[FleetId]:
        """Return every fleet that has a journal, sorted."""
        return await self._ask(self._inner.fleets)

    async def put_blob(self, data: bytes) -> Digest:
        """Store ``data`` durably and return its digest."""
        return await self._ask(lambda: self._inner.put_blob(data))

    async def get_blob(self, digest: Digest) -> bytes | None:
        """Return the bytes, or ``None``."""
        return await self._ask(lambda: self._inner.get_blob(digest))

    async def close(self) -> None:
        """Give the connection back. Idempotent."""
        await self._require_life()
        await self._inner.close()

    # --- time and death -----------------------------------------------------------------------

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something that may be asked again, half-way through its time."""
        took_s = READ_SHARE * self._server.quality.append_s
        await self._require_life()
        await self._travel(took_s)
        answer = await ask()
        await asyncio.sleep(self._half_s(took_s))
        if self._server.away:
            raise StoreUnavailable("the store does not answer")
        return answer

    async def _travel(self, took_s: float) -> None:
        """Get to the disk. Raises StoreUnavailable where there is no way."""
        if self._server.away:
            await asyncio.sleep(AWAY_S)
        else:
            await asyncio.sleep(self._half_s(took_s))
        if self._server.away:
            raise StoreUnavailable("the store does not answer")
        if self._server.generation != self._generation:
            raise StoreUnavailable("the file was replaced while it was open: start again")

    def _half_s(self, took_s: float) -> float:
        return (took_s + self._server.slow_s) / 2

    async def _pass_seam(self, name: str) -> None:
        if not self._seam(self._process, name):
            await never()

    async def _require_life(self) -> None:
        if not self._process.alive:
            await never()
