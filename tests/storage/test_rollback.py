"""
What a store promises when it is rolled back in place, under connections that live on.

A number alone does not tell two histories apart: each test lets the new one reach the number of
the old.
"""

from __future__ import annotations

import pytest

from orchestrator.ports import Conflict, RolledBack, Store, StoreUnavailable
from orchestrator.protocol.records import START, Record
from tests.storage.conftest import World
from tests.storage.samples import FLEET, NOA, OTHER, head_of, noise, taken


async def records_of(store: Store) -> list[Record]:
    """What stands in the journal."""
    return [entry.record for entry in await store.read(FLEET)]


async def test_a_stale_append_never_lands_on_another_history(
    world: World, store: Store, second: Store
) -> None:
    """The number fits again, the entry there is somebody else's: a conflict, nothing written."""
    [first] = await store.append(FLEET, START, [noise(1)])
    restore = world.backup()
    [known] = await store.append(FLEET, first.head, [noise(2)])
    restore()
    await second.append(FLEET, first.head, [taken(1, NOA)])
    with pytest.raises(Conflict, match="rolled back"):
        await store.append(FLEET, known.head, [noise(3)])
    assert [noise(1), taken(1, NOA)] == await records_of(second)


async def test_the_same_record_written_again_is_another_entry(
    world: World, store: Store, second: Store
) -> None:
    """Whoever has lost an append and makes it once more has not the history of before."""
    [first] = await store.append(FLEET, START, [noise(1)])
    restore = world.backup()
    [known] = await store.append(FLEET, first.head, [noise(2)])
    restore()
    world.clock.at += 2**-20  # a microsecond, nearly
    [again] = await second.append(FLEET, first.head, [noise(2)])
    assert (known.index, known.record) == (again.index, again.record)
    with pytest.raises(Conflict, match="rolled back"):
        await store.append(FLEET, known.head, [noise(3)])
    assert [again.head] == [await head_of(store)]


@pytest.mark.parametrize("more", [0, 1, 2], ids=["shorter", "as long", "longer"])
async def test_a_reader_does_not_go_on_into_another_history(
    world: World, store: Store, second: Store, more: int
) -> None:
    """Whether or not the journal reaches the known number again, its entry is gone."""
    [first] = await store.append(FLEET, START, [noise(1)])
    restore = world.backup()
    [known] = await store.append(FLEET, first.head, [noise(2)])
    restore()
    for number in range(more):
        await second.append(FLEET, await head_of(second), [noise(10 + number)])
    with pytest.raises(RolledBack, match=f"{FLEET}: entry 2 .* rolled back"):
        await store.read(FLEET, known.head)
    assert 1 + more == len(await store.read(FLEET))


async def test_whoever_is_not_concerned_reads_and_writes_on(
    world: World, store: Store, second: Store
) -> None:
    """Whose last entry is in the backup too has lost nothing: that history is its own."""
    [first] = await store.append(FLEET, START, [noise(1)])
    restore = world.backup()
    await second.append(FLEET, first.head, [noise(2)])
    restore()
    [new] = await second.append(FLEET, first.head, [noise(3)])
    assert [new] == await store.read(FLEET, first.head)
    await store.append(FLEET, new.head, [noise(4)])
    assert [noise(1), noise(3), noise(4)] == await records_of(store)


async def test_a_head_is_of_one_fleet(store: Store) -> None:
    """An entry of the same number in another journal is another one."""
    [known] = await store.append(FLEET, START, [noise(1)])
    await store.append(OTHER, START, [noise(2)])
    with pytest.raises(RolledBack):
        await store.read(OTHER, known.head)
    with pytest.raises(Conflict):
        await store.append(OTHER, known.head, [noise(3)])


async def test_a_head_outlives_its_connection(world: World, store: Store) -> None:
    """The mark is of what is stored: another process, or the same one later, makes it again."""
    written = await store.append(FLEET, START, [noise(1), noise(2)])
    later = world.connect()
    marks = [entry.mark for entry in await later.read(FLEET)]
    assert [entry.mark for entry in written] == marks
    assert 2 == len(set(marks))
    await later.append(FLEET, written[-1].head, [noise(3)])
    await later.close()


async def test_what_is_known_is_compared_and_not_decoded(store: Store, world: World) -> None:
    """A known entry that has rotted is not the one that was read: nobody builds on it."""
    _, known = await store.append(FLEET, START, [noise(1), noise(2)])
    world.damage(FLEET, 2, "{")
    with pytest.raises(RolledBack):
        await store.read(FLEET, known.head)


def test_a_rollback_may_be_taken_for_a_store_that_is_away() -> None:
    """So nobody who handles the one lets the other through."""
    assert issubclass(RolledBack, StoreUnavailable)
