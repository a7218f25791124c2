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

from orchestrator.ports import Claim, Lease, OutcomeUnknown, Stamp, StoreUnavailable
from orchestrator.protocol.errors import require
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import Digest, Epoch, FleetId, Owner, TxnId
from orchestrator.storage import codec
from orchestrator.storage.leases import (
    Boot,
    EndHolder,
    EndWaiter,
    lease_changes,
    no_boot,
    read_stamp,
)


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
    leases: Mapping[FleetId, Mapping[Claim, Lease]] = field(default_factory=dict)
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

    ``now`` is UTC in s; ``boot`` reads boot id and CLOCK_BOOTTIME in s. While ``unavailable`` is
    true every call raises StoreUnavailable and changes nothing.
    """

    def __init__(
        self, *, now: Callable[[], float], boot: Boot = no_boot, disk: MemoryDisk | None = None
    ) -> None:
        self.disk = MemoryDisk() if disk is None else disk
        self.unavailable = False
        self._now = now
        self._boot = boot
        self._closed = False
        self._lost: list[Lost] = []

    # ---- faults -----------------------------------------------------------------------------

    @property
    def syncs(self) -> int:
        """How often the disk was synced so far."""
        return self.disk.syncs

    def connect(
        self, *, now: Callable[[], float] | None = None, boot: Boot | None = None
    ) -> MemoryStore:
        """Return a second connection to the same disk, with faults of its own."""
        return MemoryStore(
            now=self._now if now is None else now,
            boot=self._boot if boot is None else boot,
            disk=self.disk,
        )

    def crash(self) -> MemoryStore:
        """Cut the power now; return a store on what was durable. The old ones answer no more."""
        self.disk.dead = True
        return self.backup()

    def backup(self) -> MemoryStore:
        """Return a store on a copy of what is durable now: an old backup, when used later."""
        return MemoryStore(now=self._now, boot=self._boot, disk=MemoryDisk(self.disk.durable))

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

    async def read(self, fleet: FleetId, after: Head = START) -> Sequence[Entry]:
        """
        Return the entries after the head ``after``, in order.

        Raises RolledBack where that head is not in the journal, OperatingError at damage.
        """
        lines = self._image().journals.get(fleet, ())
        return codec.decode_entries(fleet, after, _rows_from(lines, after.index))

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """Append ``records`` atomically and return their entries; see the port for the errors."""
        rows = codec.encode_rows(records)
        image = self._image()
        lines = image.journals.get(fleet, ())
        last = _rows_from(lines, len(lines))
        codec.compare_head(fleet, codec.head_of(last[0] if last else None), expected)
        stamp = self._stamp()
        entries = codec.place_entries(rows, expected, stamp.utc_s)
        written = (*lines, *((stamp.utc_s, row.text) for row in rows))
        decided = _decided(image, fleet, rows)
        image = replace(
            image,
            journals={**image.journals, fleet: written},
            decided=image.decided | decided,
            leases=_followed(image.leases, fleet, entries, stamp),
        )
        self._write_or_lose(image)
        return entries

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; change nothing and return false unless claim and owner match (I21)."""
        image = self._image()
        leases = image.leases.get(fleet, {})
        lease = leases.get(claim)
        if lease is None or lease.owner != owner:
            return False
        renewed = {**leases, claim: replace(lease, renewed=self._stamp(), extended=None)}
        self._write(replace(image, leases={**image.leases, fleet: renewed}))
        return True

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        """Return every lease of the fleet: the holder's and the waiters'."""
        return dict(self._image().leases.get(fleet, {}))

    async def extend_leases(self) -> None:
        """Give every lease of every fleet a fresh TTL: the lock manager has been restarted."""
        image, stamp = self._image(), self._stamp()
        extended = {
            fleet: {claim: replace(lease, extended=stamp) for claim, lease in leases.items()}
            for fleet, leases in image.leases.items()
        }
        self._write(replace(image, leases=extended))

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

    def _stamp(self) -> Stamp:
        return read_stamp(self._now, self._boot)

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


def _rows_from(lines: Sequence[_Line], index: int) -> list[codec.Stored]:
    """Return the rows from ``index`` (from 1) on, that one included."""
    first = max(index, 1)
    return [(first + n, at, text) for n, (at, text) in enumerate(lines[first - 1 :])]


def _decided(
    image: _Image, fleet: FleetId, rows: Sequence[codec.Row]
) -> frozenset[tuple[FleetId, TxnId]]:
    decided = frozenset((fleet, txn) for txn in codec.decisions(rows))
    require(not decided & image.decided, "I7: the transaction is decided already")
    return decided


def _followed(
    before: Mapping[FleetId, Mapping[Claim, Lease]],
    fleet: FleetId,
    entries: Sequence[Entry],
    stamp: Stamp,
) -> Mapping[FleetId, Mapping[Claim, Lease]]:
    """Return the leases of all fleets after an append to one."""
    leases = dict(before.get(fleet, {}))
    for change in lease_changes(entries):
        if isinstance(change, EndHolder):
            leases = {claim: one for claim, one in leases.items() if not isinstance(claim, Epoch)}
        elif isinstance(change, EndWaiter):
            leases.pop(change.ticket, None)
        else:
            require(change.claim not in leases, f"I26: the ticket {change.claim} is in use")
            leases[change.claim] = Lease(
                fleet=fleet, claim=change.claim, owner=change.owner, renewed=stamp
            )
    return {**before, fleet: leases}
