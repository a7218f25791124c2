"""Shells with one rule taken out each: what only the whole program can get wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from drone_sim.mutants.mutant import Mutant, replaced
from drone_sim.result import Speed
from orchestrator.agent.disk import PRIVATE, Disk
from orchestrator.agent.slots import Slots
from orchestrator.locksmith import liveness
from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Claim, Conflict, DiskError, OutcomeUnknown, Store
from orchestrator.protocol import clock
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.messages import DeviceMessage
from orchestrator.protocol.orchestration import Append, Arrived, Journaled, StoreLost
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import FleetId, Owner
from orchestrator.service.host import CoordinatorHost
from orchestrator.service.session import Session
from orchestrator.storage.memory import MemoryStore

_append: Final = MemoryStore.append  # as they are before they are replaced
_append_patiently: Final = CoordinatorHost._append
_touch: Final = MemoryStore.touch
_process: Final = liveness._process
_exchange: Final = clock.exchange


# --- the store --------------------------------------------------------------------------------


async def append_without_comparing(
    store: MemoryStore, fleet: FleetId, _expected: Head, records: Sequence[Record]
) -> Sequence[Entry]:
    """Append at whatever head there is."""
    return await _append(store, fleet, await _head(store, fleet), records)


async def _head(store: Store, fleet: FleetId) -> Head:
    entries = await store.read(fleet)
    return entries[-1].head if entries else START


async def touch_for_anybody(
    store: MemoryStore, fleet: FleetId, claim: Claim, owner: Owner
) -> bool:
    """Renew the lease of the lock, whoever has it by now (Terrakube)."""
    leases = await store.leases(fleet)
    found = leases.get(claim) or next(iter(leases.values()), None)
    if found is None:
        return await _touch(store, fleet, claim, owner)
    return await _touch(store, fleet, found.claim, found.owner)


async def extend_nothing(_store: MemoryStore) -> None:
    """Let leases run out while nobody could renew them: the lock manager was away."""


# --- the service ------------------------------------------------------------------------------


async def append_again(host: CoordinatorHost, append: Append) -> Journaled | StoreLost:
    """Take an answer that was lost for an append that was lost, and append once more."""
    store, fleet = host._world.store, host._fleet
    while True:
        try:
            entries = await store.append(fleet, append.expected, append.records)
        except OutcomeUnknown:
            with suppress(OutcomeUnknown, Conflict):
                await store.append(fleet, await _head(store, fleet), append.records)
            return Journaled(entries=tuple(await store.read(fleet, append.expected)))
        except Conflict:
            return await _append_patiently(host, append)
        else:
            return Journaled(entries=tuple(entries))


async def append_hopefully(host: CoordinatorHost, append: Append) -> Journaled | StoreLost:
    """Take an answer that was lost for a yes: the store has never failed yet."""
    store, head = host._world.store, append.expected
    try:
        entries = await store.append(host._fleet, head, append.records)
    except OutcomeUnknown:
        now = host._world.clock.now()
        hoped = [
            Entry(index=index, at=now, record=record)
            for index, record in enumerate(append.records, head.index + 1)
        ]
        return Journaled(entries=tuple(hoped))
    except Conflict:
        return await _append_patiently(host, append)
    return Journaled(entries=tuple(entries))


async def hear_without_reading(session: Session, message: DeviceMessage, at: float) -> None:
    """Answer a HELLO from the fold that there is."""
    session._driver.tell(Arrived(message=message, at=at))


def look_for_pid_here(owner: Owner, sighting: Sighting) -> liveness._Process:
    """Take a process of another machine for dead: no such pid here."""
    found = _process(owner, sighting)
    if sighting.here:
        return found
    return liveness._Process(short="gone", full=f"no pid {owner.pid} here", gone=True)


# --- the device -------------------------------------------------------------------------------


def write_without_sync(
    disk: Disk, path: Path, data: bytes, *, temporary: str, mode: int = PRIVATE
) -> None:
    """Write beside and rename, and leave the rest to the disk."""
    beside = path.with_name(temporary)
    file = disk.create(beside, mode)
    file.write(data)
    file.close()
    disk.rename(beside, path)


def write_without_directory(
    disk: Disk, path: Path, data: bytes, *, temporary: str, mode: int = PRIVATE
) -> None:
    """Sync the bytes, and not the name under which they are to be found."""
    beside = path.with_name(temporary)
    file = disk.create(beside, mode)
    file.write(data)
    file.sync()
    file.close()
    disk.rename(beside, path)


def write_in_place(
    disk: Disk, path: Path, data: bytes, *, temporary: str, mode: int = PRIVATE
) -> None:
    """Write the file itself, half by half."""
    del temporary
    file = disk.create(path, mode)
    half = len(data) // 2
    file.write(data[:half])
    file.sync()
    disk.sync_directory(path.parent)
    file.write(data[half:])
    file.sync()
    file.close()


def write_after_all(
    disk: Disk, path: Path, data: bytes, *, temporary: str, mode: int = PRIVATE
) -> None:
    """Sync once more what could not be synced: the second time it works (fsyncgate)."""
    beside = path.with_name(temporary)
    file = disk.create(beside, mode)
    file.write(data)
    _insist(file.sync)
    file.close()
    disk.rename(beside, path)
    _insist(lambda: disk.sync_directory(path.parent))


def _insist(sync: Callable[[], None]) -> None:
    try:
        sync()
    except DiskError:
        sync()


def renew_nothing(_slots: Slots) -> None:
    """Take what can be read for what is durable."""


# --- its clock --------------------------------------------------------------------------------


def never_age(bound: ClockBound, now: float) -> ClockBound:
    """Take crystals for perfect."""
    return replace(bound, at=now, stepped_at=None)


def halve_the_round_trip(
    known: ClockBound | None, *, sent: float, received: float, answered: float, back: float
) -> ClockBound:
    """Take both ways for equally long, within a quarter of them."""
    middle = ((received - sent) + (answered - back)) / 2
    quarter_s = ((back - sent) - (answered - received)) / 4
    return _exchange(
        known,
        sent=sent,
        received=sent + middle + quarter_s,
        answered=back + middle - quarter_s,
        back=back,
    )


def _shell(name: str, rule: str, attribute: tuple[str, str, object], *breaks: str) -> Mutant:
    return replaced(name, rule, attribute, *breaks, speed=Speed.SHELLS)


_MEMORY: Final = "orchestrator.storage.memory:MemoryStore"
_HOST: Final = "orchestrator.service.host:CoordinatorHost"

MUTANTS: Final[tuple[Mutant, ...]] = (
    _shell(
        "append-without-comparing",
        "the journal compares before it appends",
        (_MEMORY, "append", append_without_comparing),
        "I7",
        "I8",
        "I14",
        "X",
    ),
    _shell(
        "heartbeat-of-anybody",
        "a renewal changes nothing unless claim and owner match",
        (_MEMORY, "touch", touch_for_anybody),
        "I21",
    ),
    _shell(
        "restart-without-a-ttl",
        "a restarted lock manager gives every lease a fresh TTL",
        (_MEMORY, "extend_leases", extend_nothing),
        "I20",
        "I26",
    ),
    _shell(
        "looks-for-pids-here",
        "who is elsewhere is judged by its lease alone",
        ("orchestrator.locksmith.liveness", "_process", look_for_pid_here),
        "I20",
        "I26",
    ),
    _shell(
        "appends-again",
        "no append is repeated whose answer was lost",
        (_HOST, "_append", append_again),
        "I7",
        "X",
    ),
    _shell(
        "appends-hopefully",
        "a lost answer is followed by a read",
        (_HOST, "_append", append_hopefully),
        "I17",
        "I24",
        "X",
    ),
    _shell(
        "answers-without-reading",
        "HELLO is answered from a fold that is no older",
        ("orchestrator.service.session:Session", "_hear", hear_without_reading),
        "I13",
        "I25",
    ),
    _shell(
        "writes-without-sync",
        "the record is synced before the vote",
        ("orchestrator.agent.slots", "write_atomically", write_without_sync),
        "I2",
        "I10",
        "I11",
        "I13",
        "X",
    ),
    _shell(
        "forgets-the-directory",
        "its directory is synced, too",
        ("orchestrator.agent.slots", "write_atomically", write_without_directory),
        "I2",
        "I10",
        "I11",
        "I13",
        "X",
    ),
    _shell(
        "writes-in-place",
        "the active file is replaced by a rename",
        ("orchestrator.agent.active", "write_atomically", write_in_place),
        "I27",
    ),
    _shell(
        "writes-its-record-in-place",
        "the record is replaced by a rename, too",
        ("orchestrator.agent.slots", "write_atomically", write_in_place),
        "X",
    ),
    _shell(
        "syncs-once-more",
        "what a failed sync has left is written anew",
        ("orchestrator.agent.slots", "write_atomically", write_after_all),
        "I2",
        "I10",
        "I11",
        "I13",
        "X",
    ),
    _shell(
        "believes-what-it-reads",
        "what a killed agent has left is made durable before anybody is told of it",
        ("orchestrator.agent.slots:Slots", "renew", renew_nothing),
        "I2",
        "I10",
        "I11",
        "I13",
        "X",
    ),
    _shell(
        "never-drifts",
        "a clock's bound widens by what a crystal may drift",
        ("orchestrator.protocol.clock:ClockBound", "aged", never_age),
        "X",
    ),
    _shell(
        "halves-the-round-trip",
        "nobody knows how long each way was",
        ("orchestrator.protocol.joining", "exchange", halve_the_round_trip),
        "X",
    ),
)
