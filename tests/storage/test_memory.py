"""
Crash images: count the syncs of a scenario once, then cut the power at each of them.

What is found afterwards must fold and be a whole number of appends; everything acknowledged is
there. A disk that lies about its syncs is the proof that these tests could fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from orchestrator.ports import OutcomeUnknown, Store, StoreUnavailable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import Epoch, FleetId
from orchestrator.storage.memory import Lost, MemoryStore
from tests.storage.conftest import FakeClock
from tests.storage.samples import (
    DIGEST,
    FLEET,
    MIRA,
    STORY,
    claims_of,
    head_of,
    noise,
    play,
    taken,
)


class Acknowledging(MemoryStore):
    """Counts the appends whose answer arrived."""

    acknowledged = 0

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        entries = await super().append(fleet, expected, records)
        self.acknowledged += 1
        return entries


def syncs_of_the_story() -> int:
    """Pass 1: how many syncs the scripted scenario makes."""
    store = MemoryStore(now=FakeClock())
    asyncio.run(play(store))
    return store.syncs


def boundaries() -> list[list[Record]]:
    """Every state of the journal between two appends of the story."""
    return [[r for append in STORY[:count] for r in append] for count in range(len(STORY) + 1)]


async def found(store: Store) -> list[Record]:
    """The records that a recovery finds, which must fold; the leases are those they ask for."""
    entries = await store.read(FLEET)
    state = fold(FleetState(fleet=FLEET), entries)
    assert claims_of(state) == set(await store.leases(FLEET))
    return [entry.record for entry in entries]


def test_the_scenario_syncs_for_each_write() -> None:
    """Appends, renewals that match, and new blobs are synced; refused renewals are not."""
    touched = 3  # by the first owner, until its lease ends
    assert len(STORY) * 2 + touched == syncs_of_the_story()


@pytest.mark.parametrize("survives", [False, True], ids=["lost", "survives"])
@pytest.mark.parametrize("sync", range(1, syncs_of_the_story() + 1))
async def test_a_power_cut_leaves_whole_appends(sync: int, *, survives: bool) -> None:
    """Pass 2: cut at this sync, reopen: every acknowledged append and at most one more."""
    store = Acknowledging(now=FakeClock())
    store.cut_power_at(sync, survives=survives)
    with pytest.raises((OutcomeUnknown, StoreUnavailable)):
        await play(store)
    records = await found(store.crash())
    assert records in boundaries()[store.acknowledged : store.acknowledged + 1 + survives]


@pytest.mark.parametrize("survives", [False, True], ids=["lost", "survives"])
async def test_an_append_at_a_power_cut_is_of_unknown_outcome(*, survives: bool) -> None:
    """The writer gets no answer whichever way it went; only the next reader can tell."""
    store = MemoryStore(now=FakeClock())
    store.cut_power_at(1, survives=survives)
    with pytest.raises(OutcomeUnknown):
        await store.append(FLEET, START, [taken()])
    reopened = store.crash()
    assert ([taken()] if survives else []) == await found(reopened)
    assert survives is bool(await reopened.leases(FLEET))


async def test_after_a_power_cut_nobody_answers() -> None:
    """Neither the failed connection nor another one on the same disk goes on."""
    store = MemoryStore(now=FakeClock())
    second = store.connect()
    store.cut_power_at(1)
    with pytest.raises(StoreUnavailable):
        await store.put_blob(b"x")
    for connection in (store, second):
        with pytest.raises(StoreUnavailable):
            await connection.read(FLEET)


async def test_a_disk_that_lies_loses_acknowledged_appends() -> None:
    """The fault that no write-ahead rule survives; the simulator must be able to make it."""
    store = MemoryStore(now=FakeClock())
    await store.append(FLEET, START, [noise(1)])
    store.disk.lies = True
    await store.append(FLEET, await head_of(store), [noise(2)])
    assert [noise(1), noise(2)] == await found(store)
    assert [noise(1)] == await found(store.crash())


async def test_a_crash_leaves_leases_and_blobs_too() -> None:
    """The durable image is the whole store, not the journal alone."""
    store = MemoryStore(now=FakeClock())
    await store.append(FLEET, START, [taken()])
    digest = await store.put_blob(b"bundle")
    leases = await store.leases(FLEET)
    reopened = store.crash()
    assert (leases, b"bundle") == (await reopened.leases(FLEET), await reopened.get_blob(digest))


@pytest.mark.parametrize("lost", list(Lost))
async def test_a_lost_answer_is_found_by_reading_back(lost: Lost) -> None:
    """The next append of this connection ends unknown, once; the store itself goes on."""
    store = MemoryStore(now=FakeClock())
    store.lose_answer(lost)
    with pytest.raises(OutcomeUnknown):
        await store.append(FLEET, START, [noise(1)])
    written = [noise(1)] if lost is Lost.WRITTEN else []
    assert written == await found(store)
    await store.append(FLEET, await head_of(store), [noise(2)])
    assert [*written, noise(2)] == await found(store)


async def test_only_the_connection_that_lost_its_answer_is_in_doubt() -> None:
    """Faults belong to a connection, not to the disk."""
    store = MemoryStore(now=FakeClock())
    store.lose_answer(Lost.NOT_WRITTEN)
    await store.connect().append(FLEET, START, [noise(1)])
    assert [noise(1)] == await found(store)


async def test_an_unavailable_store_answers_nothing_and_forgets_nothing() -> None:
    """Every call raises StoreUnavailable; afterwards all is as it was."""
    store = MemoryStore(now=FakeClock())
    [written] = await store.append(FLEET, START, [taken()])
    store.unavailable = True
    calls = [
        store.read(FLEET),
        store.append(FLEET, written.head, [noise(1)]),
        store.touch(FLEET, Epoch(1, 1), MIRA),
        store.leases(FLEET),
        store.extend_leases(),
        store.fleets(),
        store.put_blob(b"x"),
        store.get_blob(DIGEST),
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [StoreUnavailable] * len(calls) == [type(answer) for answer in answers]
    store.unavailable = False
    assert [taken()] == await found(store)


async def test_a_backup_is_what_was_durable_then() -> None:
    """A store restored from it lacks what came later: the rollback that devices must notice."""
    store = MemoryStore(now=FakeClock())
    await store.append(FLEET, START, [noise(1)])
    backup = store.backup()
    await store.append(FLEET, await head_of(store), [noise(2)])
    assert ([noise(1)], [noise(1), noise(2)]) == (await found(backup), await found(store))
