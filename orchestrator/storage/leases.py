"""
What an append does to the leases of its fleet, and by which clocks they are stamped.

The journal's records are the only thing that starts or ends a lease, so both stores take the
changes from :func:`lease_changes` and make them in the write of the append itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from orchestrator.ports import Claim, Stamp
from orchestrator.protocol.records import (
    Entry,
    LockReleased,
    LockRequested,
    LockTaken,
    LockWithdrawn,
)
from orchestrator.protocol.types import Owner, Ticket

Boot = Callable[[], tuple[str, float] | None]
"""Reads the boot id and CLOCK_BOOTTIME in s of this machine; ``None`` where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A lease begins; ``started`` is the index of the record that began it."""

    claim: Claim
    owner: Owner
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndHolder:
    """The holder's lease ends, if there is one, whatever its epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWaiter:
    """The waiter's lease under ``ticket`` ends, if there is one."""

    ticket: Ticket


LeaseChange = Start | EndHolder | EndWaiter


def lease_changes(entries: Iterable[Entry]) -> Iterator[LeaseChange]:
    """
    Return what the entries of one append do to the fleet's leases.

    The caller makes the changes in order and in the write of the append; it refuses to start a
    claim that has a lease, which only a ticket used twice could be (I26).
    """
    for entry in entries:
        record = entry.record
        if isinstance(record, LockTaken):
            yield EndHolder()
            if record.ticket is not None:
                yield EndWaiter(ticket=record.ticket)
            yield Start(claim=record.epoch, owner=record.owner, started=entry.index)
        elif isinstance(record, LockReleased):
            yield EndHolder()
        elif isinstance(record, LockRequested):
            yield Start(claim=record.ticket, owner=record.owner, started=entry.index)
        elif isinstance(record, LockWithdrawn):
            yield EndWaiter(ticket=record.ticket)


def no_boot() -> None:
    """Say that the boot is not known: leases are then dated by UTC alone."""


def read_stamp(now: Callable[[], float], boot: Boot) -> Stamp:
    """Return the present instant by both clocks."""
    utc_s, known = float(now()), boot()
    if known is None:
        return Stamp(utc_s=utc_s)
    boot_id, boot_s = known
    return Stamp(utc_s=utc_s, boot_id=boot_id, boot_s=float(boot_s))
