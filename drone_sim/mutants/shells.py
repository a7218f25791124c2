"""Shells with one rule taken out each: what only the whole program can get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from drone_sim.mutants.mutant import Mutant, replaced
from drone_sim.result import Speed
from orchestrator.agent.disk import PRIVATE, Disk
from orchestrator.locksmith import liveness
from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Claim, Conflict, OutcomeUnknown
from orchestrator.protocol.messages import DeviceMessage
from orchestrator.protocol.orchestration import Append, Arrived, Journaled, StoreLost
from orchestrator.protocol.records import Entry, Record
from orchestrator.protocol.types import FleetId, Owner
from orchestrator.service.host import CoordinatorHost
from orchestrator.service.session import Session
from orchestrator.storage.memory import MemoryStore

_append: Final = MemoryStore.append  # as they are before they are replaced
_append_patiently: Final = CoordinatorHost._append
_touch: Final = MemoryStore.touch
_process: Final = liveness._process


# --- the store --------------------------------------------------------------------------------


async def append_without_comparing(
    store: MemoryStore, fleet: FleetId, _expected_head: int, records: Sequence[Record]
) -> Sequence[Entry]:
    """Append at whatever head there is."""
    head = len(await store.read(fleet))
    return await _append(store, fleet, head, records)


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
            entries = await store.append(fleet, append.expected_head, append.records)
        except OutcomeUnknown:
            with suppress(OutcomeUnknown, Conflict):
                head = len(await store.read(fleet))
                await store.append(fleet, head, append.records)
            return Journaled(entries=tuple(await store.read(fleet, append.expected_head)))
        except Conflict:
            return await _append_patiently(host, append)
        else:
            return Journaled(entries=tuple(entries))


async def append_hopefully(host: CoordinatorHost, append: Append) -> Journaled | StoreLost:
    """Take an answer that was lost for a yes: the store has never failed yet."""
    store, head = host._world.store, append.expected_head
    try:
        entries = await store.append(host._fleet, head, append.records)
    except OutcomeUnknown:
        now = host._world.clock.now()
        hoped = [
            Entry(index=index, at=now, record=record)
            for index, record in enumerate(append.records, head + 1)
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
        ("orchestrator.agent.hook", "write_atomically", write_in_place),
        "I27",
    ),
)
