"""
What the program asks of the world, as narrow protocols.

Adapters implement them; fakes pass the same contract tests.

An adapter maps its library's exceptions to those of :mod:`orchestrator.errors` at its edge; no
other exception of a library travels inward.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.protocol.messages import Message
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import DeviceId, Digest, Epoch, FleetId, Owner, Ticket, TxnId


class Conflict(Exception):  # noqa: N818 - an answer, not an error
    """The journal's head is not the expected one. Nothing was written: read, fold, think again."""


class StoreUnavailable(Exception):  # noqa: N818
    """The store cannot be reached or cannot write; nothing is known to have been written."""


class RolledBack(StoreUnavailable):
    """
    The journal does not go on from the head that its reader knows: the store was rolled back.

    Forget what was folded; nothing that is known of the fleet is the truth any more (DESIGN §6).
    Whoever has no use for the difference may take it for a store that is away.
    """


class OutcomeUnknown(Exception):  # noqa: N818
    """An append was sent and its answer was lost. Read the journal back; never retry blindly."""


class TransportUnavailable(Exception):  # noqa: N818
    """The broker cannot be reached."""


class DiskError(Exception):
    """A device's disk refused a write; the message says which and why. Nothing was promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """
    An instant by two clocks: UTC in s, and CLOCK_BOOTTIME in s, which nobody can step.

    ``boot_id`` is ``None`` where the boot is not known; then ``boot_s`` says nothing.
    """

    utc_s: float
    boot_id: str | None = None
    boot_s: float = 0.0

    def same_boot(self, other: Stamp) -> bool:
        """Whether both were read in one boot of one machine."""
        return self.boot_id is not None and self.boot_id == other.boot_id

    def since_s(self, earlier: Stamp) -> float:
        """Return the time since ``earlier``: by the boot clock within one boot, else by UTC."""
        if self.same_boot(earlier):
            return max(0.0, self.boot_s - earlier.boot_s)
        return max(0.0, self.utc_s - earlier.utc_s)


Claim = Epoch | Ticket
"""What a lease is for: a held lock, by its epoch, or a place in its queue, by its ticket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """
    The heartbeat row of a claim, stamped by whoever renewed it.

    ``extended`` is the last restart of the lock manager since then, which gives every lease a
    fresh TTL (I20); ``None`` where there was none.
    """

    fleet: FleetId
    claim: Claim
    owner: Owner
    renewed: Stamp
    extended: Stamp | None = None


class Journal(Protocol):
    """
    The append-only, totally ordered log of each fleet, with compare-and-append.

    A head is a number and the mark of the entry there: of two histories, before and after a
    rollback under living readers and writers, each entry has another mark.

    Caller: append only records that a pure rule returned for the state folded up to
    ``expected``. Adapter: an append is all or nothing and durable (fsync) before it returns;
    indexes have no gaps; two appends at one head never both succeed (I14); the mark is made of
    what is stored, and each read or append compares it in the same snapshot or transaction.
    """

    async def read(self, fleet: FleetId, after: Head = START) -> Sequence[Entry]:
        """
        Return the entries after the head ``after``, in order; costs what is new, not the whole.

        Raises RolledBack where the entry at ``after`` is not there, or is another one;
        StoreUnavailable.
        """
        ...

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """
        Append ``records`` at the head ``expected``, atomically and durably; return their entries.

        In the same write leases follow: ``LockTaken`` starts the one of its owner and ends that
        of its ticket, ``LockReleased`` ends the owner's; ``LockRequested`` starts a waiter's,
        ``LockWithdrawn`` ends it. Raises Conflict, StoreUnavailable, OutcomeUnknown.
        """
        ...

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; change nothing and return false unless claim and owner match (I21)."""
        ...

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        """Return every lease of the fleet: the holder's and the waiters'."""
        ...

    async def extend_leases(self) -> None:
        """Give every lease of every fleet a fresh TTL: the lock manager has been restarted."""
        ...

    async def fleets(self) -> Sequence[FleetId]:
        """Return every fleet that has a journal, sorted."""
        ...

    async def close(self) -> None:
        """Give the store back. Idempotent."""
        ...


class Blobs(Protocol):
    """Immutable bytes under their SHA-256; a put is durable before it returns."""

    async def put_blob(self, data: bytes) -> Digest:
        """Store ``data`` and return its digest. Idempotent."""
        ...

    async def get_blob(self, digest: Digest) -> bytes | None:
        """Return the bytes, verified against ``digest``, or ``None``."""
        ...


class Store(Journal, Blobs, Protocol):
    """A journal and its blobs in one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that passed the codec. ``at`` is the receiver's clock reading in s."""

    message: Message
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected:
    """The transport has a new session: subscriptions stand again; publish what must be known."""


class Transport(Protocol):
    """
    Sends and receives messages of one fleet; knows nothing of votes.

    Treated as lossy, duplicating and reordering whatever the QoS: the cores re-send. Broadcast
    messages, retained ones among them, have ``to=None``. What does not pass the codec is
    dropped with a notice and never reaches the caller.
    """

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """
        Hand a message over; returns when the transport has taken it.

        Raises TransportUnavailable, after which the message may or may not arrive.
        """
        ...

    async def clear(self, txn: TxnId, digests: Sequence[Digest], *, decision: bool) -> None:
        """Remove the retained blobs of ``txn``, and its DECISION where ``decision`` is true."""
        ...

    async def watch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Ask to receive this blob of ``txn`` (devices only). Idempotent."""
        ...

    async def unwatch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Cease to receive it."""
        ...

    def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Yield what arrives, for ever; reconnects by itself."""
        ...


class Clock(Protocol):
    """Time, as the host sees it."""

    def now(self) -> float:
        """UTC in s for an orchestrator; a monotonic reading in s for a device."""
        ...

    def monotonic(self) -> float:
        """Return a reading in s that never goes back, for intervals and time-outs."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """Randomness, confined."""

    def new(self) -> str:
        """Return a fresh id that matches the protocol's ID_PATTERN."""
        ...


class Audience(Protocol):
    """Where notices go: logs, metrics, a terminal."""

    def tell(self, notice: Notice) -> None:
        """Tell one notice; never raises, never blocks."""
        ...
