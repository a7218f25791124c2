"""
The store in memory, with crash images: what tests and the simulator use.

A :class:`MemoryDisk` has two images, *live* (what a reader sees) and *durable* (what a power
failure leaves), and counts its syncs; a sync makes live durable. So a test counts the syncs of a
scenario once and then cuts the power at each of them, the manner of redb's crash tests. A
:class:`MemoryStore` is one connection to a disk; several may share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from orchestrator.ports import Conflict, Lease, OutcomeUnknown, StoreUnavailable
from orchestrator.protocol.errors import require
from orchestrator.protocol.records import Entry, LockTaken, Record
from orchestrator.protocol.types import Digest, Epoch, FleetId, Owner, TxnId
from orchestrator.storage import codec


class Lost(StrEnum):
    """What became of an append whose answer was lost."""

    WRITTEN = "written"
    NOT_WRITTEN = "not written"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCut:
    """
    The power fails at sync number ``at_sync`` (from 1), whose caller gets no answer.

    ``survives`` says whether that write had reached the medium: a page cache may have been
    written back before its sync.
    """

    at_sync: int
    survives: bool = False


_Line = tuple[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """What is on a disk. Never changed in place, so that an image costs nothing to keep."""

    journals: Mapping[FleetId, tuple[_Line, ...]] = field(default_factory=dict)
    decided: frozenset[tuple[FleetId, TxnId]] = frozenset()
    leases: Mapping[FleetId, Lease] = field(default_factory=dict)
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)


_EMPTY: Final = _Image()


class MemoryDisk:
    """
    The medium under one or more stores.

    ``syncs`` counts them; ``power_cut`` plans a failure; ``lies`` makes a sync that does nothing,
    as some drives do. ``dead`` is true after the power failed: no store on it answers any more.
    """

    def __init__(self, image: _Image = _EMPTY) -> None:
        self.live = image
        self.durable = image
        self.syncs = 0
        self.power_cut: PowerCut | None = None
        self.lies = False
        self.dead = False

    def write(self, image: _Image) -> None:
        """Write and sync; raise OutcomeUnknown where the power fails at this sync."""
        self.live = image
        self.syncs += 1
        cut = self.power_cut
        failed = cut is not None and self.syncs >= cut.at_sync
        if not self.lies and (not failed or (cut is not None and cut.survives)):
            self.durable = image
        if failed:
            self.dead = True
            raise OutcomeUnknown(f"the power failed at sync {self.syncs}")


class MemoryStore:
    """
    :class:`orchestrator.ports.Store` in memory: one connection to a :class:`MemoryDisk`.

    ``now`` is UTC in s. While ``unavailable`` is true every call raises StoreUnavailable and
    changes nothing.
    """

    def __init__(self, *, now: Callable[[], float], disk: MemoryDisk | None = None) -> None:
        self.disk = MemoryDisk() if disk is None else disk
        self.unavailable = False
        self._now = now
        self._closed = False
        self._lost: list[Lost] = []

    # ---- faults -----------------------------------------------------------------------------

    @property
    def syncs(self) -> int:
        """How often the disk was synced so far."""
        return self.disk.syncs

    def connect(self, *, now: Callable[[], float] | None = None) -> MemoryStore:
        """Return a second connection to the same disk, with faults of its own."""
        return MemoryStore(now=self._now if now is None else now, disk=self.disk)

    def crash(self) -> MemoryStore:
        """Cut the power now; return a store on what was durable. The old ones answer no more."""
        self.disk.dead = True
        return MemoryStore(now=self._now, disk=MemoryDisk(self.disk.durable))

    def backup(self) -> MemoryStore:
        """Return a store on a copy of what is durable now: an old backup, when used later."""
        return MemoryStore(now=self._now, disk=MemoryDisk(self.disk.durable))

    def cut_power_at(self, sync: int, *, survives: bool = False) -> None:
        """Plan a power failure at the disk's sync number ``sync``; see :class:`PowerCut`."""
        self.disk.power_cut = PowerCut(at_sync=sync, survives=survives)

    def lose_answer(self, lost: Lost) -> None:
        """Make the next append of this connection raise OutcomeUnknown; further calls queue."""
        self._lost.append(lost)

    def damage(self, fleet: FleetId, index: int, text: str) -> None:
        """Let the stored text of a row rot, live and durable."""
        for name in ("live", "durable"):
            image: _Image = getattr(self.disk, name)
            lines = list(image.journals[fleet])
            lines[index - 1] = (lines[index - 1][0], text)
            journals = {**image.journals, fleet: tuple(lines)}
            setattr(self.disk, name, replace(image, journals=journals))

    def damage_blob(self, digest: Digest, data: bytes) -> None:
        """Let the bytes of a stored blob rot, live and durable."""
        for name in ("live", "durable"):
            image: _Image = getattr(self.disk, name)
            setattr(self.disk, name, replace(image, blobs={**image.blobs, digest: data}))

    # ---- the port ---------------------------------------------------------------------------

    async def read(self, fleet: FleetId, after: int = 0) -> Sequence[Entry]:
        """Return the entries with ``index > after``, in order; raise OperatingError at damage."""
        lines = self._image().journals.get(fleet, ())
        rows = [
            (index, at, text)
            for index, (at, text) in enumerate(lines[max(after, 0) :], start=max(after, 0) + 1)
        ]
        return codec.decode_entries(fleet, max(after, 0), rows)

    async def append(
        self, fleet: FleetId, expected_head: int, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """Append ``records`` atomically and return their entries; see the port for the errors."""
        rows = codec.encode_rows(records)
        image = self._image()
        lines = image.journals.get(fleet, ())
        if len(lines) != expected_head:
            raise Conflict(f"fleet {fleet}: the head is {len(lines)}, not {expected_head}")
        at = float(self._now())
        decided = _decided(image, fleet, rows)
        written = replace(
            image,
            journals={**image.journals, fleet: (*lines, *((at, row.text) for row in rows))},
            decided=image.decided | decided,
            leases=_leases(image, fleet, rows, at),
        )
        self._write_or_lose(written)
        return [
            Entry(index=index, at=at, record=row.record)
            for index, row in enumerate(rows, start=expected_head + 1)
        ]

    async def touch(self, fleet: FleetId, epoch: Epoch, owner: Owner) -> bool:
        """Renew the lease; change nothing and return false unless epoch and owner match (I21)."""
        image = self._image()
        lease = image.leases.get(fleet)
        if lease is None or (lease.epoch, lease.owner) != (epoch, owner):
            return False
        renewed = replace(lease, renewed_at=float(self._now()))
        self._write(replace(image, leases={**image.leases, fleet: renewed}))
        return True

    async def lease(self, fleet: FleetId) -> Lease | None:
        """Return the lease of a held lock."""
        return self._image().leases.get(fleet)

    async def fleets(self) -> Sequence[FleetId]:
        """Return every fleet that has a journal, sorted."""
        return sorted(self._image().journals)

    async def put_blob(self, data: bytes) -> Digest:
        """Store ``data`` durably and return its digest; bytes that rotted are replaced."""
        digest = codec.blob_to_store(data)
        image = self._image()
        if image.blobs.get(digest) != data:
            self._write(replace(image, blobs={**image.blobs, digest: bytes(data)}))
        return digest

    async def get_blob(self, digest: Digest) -> bytes | None:
        """Return the bytes, verified against ``digest``, or ``None``."""
        data = self._image().blobs.get(digest)
        return None if data is None else codec.verified_blob(digest, data)

    async def close(self) -> None:
        """Give the connection back. Idempotent; every later call raises StoreUnavailable."""
        self._closed = True

    # ---- inside -----------------------------------------------------------------------------

    def _image(self) -> _Image:
        """Return what a reader sees now, if anybody answers."""
        if self._closed:
            raise StoreUnavailable("the store was closed")
        if self.unavailable or self.disk.dead:
            raise StoreUnavailable("the store does not answer")
        return self.disk.live

    def _write_or_lose(self, image: _Image) -> None:
        lost = self._lost.pop(0) if self._lost else None
        if lost is not Lost.NOT_WRITTEN:
            self.disk.write(image)
        if lost is not None:
            raise OutcomeUnknown("the answer of the append was lost")

    def _write(self, image: _Image) -> None:
        """Write what may be repeated, so that not knowing is no different from failing."""
        try:
            self.disk.write(image)
        except OutcomeUnknown as unknown:
            raise StoreUnavailable(str(unknown)) from unknown


def _decided(
    image: _Image, fleet: FleetId, rows: Sequence[codec.Row]
) -> frozenset[tuple[FleetId, TxnId]]:
    decided = frozenset((fleet, txn) for txn in codec.decisions(rows))
    require(not decided & image.decided, "I7: the transaction is decided already")
    return decided


def _leases(
    image: _Image, fleet: FleetId, rows: Sequence[codec.Row], at: float
) -> Mapping[FleetId, Lease]:
    change = codec.lease_change([row.record for row in rows])
    if change is None:
        return image.leases
    leases = {name: lease for name, lease in image.leases.items() if name != fleet}
    if isinstance(change, LockTaken):
        leases[fleet] = Lease(fleet=fleet, epoch=change.epoch, owner=change.owner, renewed_at=at)
    return leases
