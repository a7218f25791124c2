"""The journal of a fleet as a story for people: all of it, or that of its lock alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.locksmith.liveness import clock_time
from orchestrator.protocol.records import (
    AbortRequested,
    Adopted,
    Answer,
    Begun,
    Decided,
    Ended,
    Entry,
    HeuristicDecided,
    HeuristicSettled,
    LeaseHorizon,
    LockReleased,
    LockRequested,
    LockTaken,
    LockWithdrawn,
    Record,
    Rejoined,
    ReleaseAnswered,
    ReleaseRequested,
    Reseeded,
    Retired,
    Settled,
)
from orchestrator.protocol.types import FleetId
from orchestrator.service import locks
from orchestrator.service.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One journal entry for people: when, what, by whom."""

    index: int
    at: float
    kind: str
    txn: str | None
    seq: int | None
    text: str


async def history(world: World, fleet: FleetId) -> tuple[Line, ...]:
    """Return the fleet's journal as a story, oldest first."""
    entries = await locks.entries(world, fleet)
    seqs: dict[str, int] = {}
    lines = []
    for entry in entries:
        if isinstance(entry.record, Begun):
            seqs[entry.record.txn] = entry.record.seq
        lines.append(_line(entry, seqs))
    return tuple(lines)


def _line(entry: Entry, seqs: Mapping[str, int]) -> Line:
    txn = getattr(entry.record, "txn", None)
    return Line(
        index=entry.index,
        at=entry.at,
        kind=entry.record.kind,
        txn=txn,
        seq=None if txn is None else seqs.get(txn),
        text=tell(entry.record),
    )


def tell(record: Record) -> str:
    """Say in one line what a record means."""
    return _TELLERS[type(record)](record)


def _taken(record: LockTaken) -> str:
    why = f" ({record.reason})" if record.reason else ""
    return f"lock {record.state} by {record.owner} for {record.purpose}{why}"


def _released(record: LockReleased) -> str:
    why = f" ({record.reason})" if record.reason else ""
    return f"lock released by {record.by}{why}"


def _begun(record: Begun) -> str:
    return (
        f"txn {record.seq} begun on version {record.base_version} with"
        f" {len(record.digests)} members, bundle {record.bundle[:19]}"
    )


def _ended(record: Ended) -> str:
    named = {"deferred": record.deferred, "quarantined": record.quarantined}
    found = [f"{what}: {', '.join(names)}" for what, names in named.items() if names]
    return f"ended, {'; '.join(found)}" if found else "ended, every member has followed"


def _horizon(record: LeaseHorizon) -> str:
    if record.lease_s is None:
        return "enable leases end: devices operate without limit"
    return (
        f"leases of {record.lease_s:g} s for {len(record.devices)} devices,"
        f" none beyond {clock_time(record.until)}"
    )


def _adopted(record: Adopted) -> str:
    lost = ", ".join(f"txn {one.seq} {one.outcome.value.upper()}" for one in record.relisted)
    told = f"adopted from the devices: {lost or 'nothing that was lost'}"
    names = ", ".join(record.quarantined)
    return f"{told}; not heard, quarantined: {names}" if names else told


_TELLERS: Final[Mapping[type[Record], Callable[[Any], str]]] = {
    LockTaken: _taken,
    LockReleased: _released,
    LockRequested: lambda record: f"{record.owner} waits for the lock, for {record.purpose}",
    LockWithdrawn: lambda record: f"a waiter is out of the queue, by {record.by}: {record.reason}",
    ReleaseRequested: lambda record: f"release asked by {record.by}: {record.reason}",
    ReleaseAnswered: lambda record: f"the holder answers: {_ANSWERS[record.answer]}",
    Begun: _begun,
    AbortRequested: lambda record: f"abort requested by {record.by}: {record.reason}",
    Decided: lambda record: (
        f"decided {record.outcome.value.upper()}: {record.cause}{_refusals(record)}"
    ),
    Ended: _ended,
    Settled: lambda record: f"{record.device} has followed after all, at version {record.version}",
    Rejoined: lambda record: f"{record.device} has re-joined, at version {record.version}",
    LeaseHorizon: _horizon,
    HeuristicDecided: lambda record: (
        f"{record.by} lets {record.device} operate as if {record.txn} were"
        f" {record.outcome.value.upper()}: {record.reason}"
    ),
    HeuristicSettled: lambda record: (
        f"{record.by} has settled the heuristic outcome of {record.device}: {record.reason}"
    ),
    Retired: lambda record: f"{record.device} retired by {record.by}: {record.reason}",
    Reseeded: lambda record: (
        f"reseed by {record.by}, from txn {record.last_seq} on: {record.reason}"
    ),
    Adopted: _adopted,
}

_ANSWERS: Final[Mapping[Answer, str]] = {
    Answer.RELEASE: "nothing is open, it releases",
    Answer.ABORT: "nothing is decided, it aborts",
    Answer.FINISH: "it finishes what it does, and then releases",
}


def _refusals(record: Any) -> str:
    told = [f"{device}: {'; '.join(why)}" for device, why in record.refused.items()]
    return f" [{' | '.join(told)}]" if told else ""
