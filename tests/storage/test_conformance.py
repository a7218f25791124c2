"""What every store promises. The port's docstrings are the contract; each test is one clause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Conflict, Store, StoreUnavailable
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import START, Decided, LockRequested, LockState, Record
from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Owner,
)
from tests.storage.conftest import World
from tests.storage.samples import (
    D1,
    DIGEST,
    FLEET,
    MIRA,
    NOA,
    OTHER,
    RECORDS,
    STORY,
    W1,
    begun,
    decided,
    head_of,
    noise,
    play,
    requested,
    taken,
)


async def test_entries_are_numbered_from_one_without_gaps(store: Store) -> None:
    """The journal is totally ordered: 1, 2, 3, in the order of the appends."""
    await store.append(FLEET, START, [noise(1), noise(2)])
    await store.append(FLEET, await head_of(store), [noise(3)])
    found = [(entry.index, entry.record) for entry in await store.read(FLEET)]
    assert [(1, noise(1)), (2, noise(2)), (3, noise(3))] == found


async def test_append_returns_what_a_reader_reads(store: Store, second: Store) -> None:
    """The writer folds exactly the entries that every reader will fold."""
    written = list(await store.append(FLEET, START, [taken(), begun(), decided()]))
    assert written == await second.read(FLEET)


async def test_a_reader_sees_mappings_in_the_writers_order(store: Store) -> None:
    """Live and recovered runs visit the devices in one order, or they would differ."""
    [written] = await store.append(FLEET, START, [begun()])
    [found] = await store.read(FLEET)
    assert repr(written) == repr(found)


async def test_entries_carry_the_injected_time(store: Store, world: World) -> None:
    """``at`` is the store's clock, not the machine's."""
    world.clock.at = 42.125
    await store.append(FLEET, START, [noise(1), noise(2)])
    assert [42.125, 42.125] == [entry.at for entry in await store.read(FLEET)]


async def test_read_after_leaves_out_what_is_known(store: Store) -> None:
    """``after`` is the last entry that the caller has."""
    written = await store.append(FLEET, START, [noise(1), noise(2), noise(3)])
    assert [3] == [entry.index for entry in await store.read(FLEET, after=written[1].head)]
    assert [] == list(await store.read(FLEET, after=written[2].head))


async def test_an_unknown_fleet_is_an_empty_journal(store: Store) -> None:
    """A fleet needs no registration."""
    assert ([], {}, []) == (
        list(await store.read(FLEET)),
        await store.leases(FLEET),
        list(await store.fleets()),
    )


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_append_at_another_head_conflicts(store: Store, expected: int) -> None:
    """Neither a stale head nor one that the journal never reached is written to."""
    first, last = await store.append(FLEET, START, [noise(1), noise(2)])
    heads = {0: START, 1: first.head, 3: replace(last.head, index=3)}
    with pytest.raises(Conflict):
        await store.append(FLEET, heads[expected], [noise(3)])
    assert [noise(1), noise(2)] == [entry.record for entry in await store.read(FLEET)]


async def test_one_of_two_appends_at_one_head_wins(store: Store, second: Store) -> None:
    """Two connections that read the same head never both write (I14)."""
    await store.append(FLEET, START, [taken(1, MIRA)])
    with pytest.raises(Conflict):
        await second.append(FLEET, START, [taken(1, NOA)])
    assert [taken(1, MIRA)] == [entry.record for entry in await second.read(FLEET)]


async def test_a_refused_record_takes_its_whole_append_with_it(store: Store) -> None:
    """An append is all or nothing, the leases included."""
    await store.append(FLEET, START, [taken(1), begun(), decided()])
    with pytest.raises(InvariantViolation, match="I7"):
        await store.append(
            FLEET, await head_of(store), [taken(2, NOA, LockState.RESOLVING), decided(1, 2)]
        )
    assert (3, {Epoch(1, 1)}) == (len(await store.read(FLEET)), set(await store.leases(FLEET)))


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_decision_is_written_once(store: Store, second: Store, outcome: Outcome) -> None:
    """The store itself refuses a second decision, also an equal one, at the right head (I7)."""
    await store.append(FLEET, START, [taken(), begun(), decided(outcome=Outcome.COMMIT)])
    with pytest.raises(InvariantViolation, match="I7"):
        await second.append(FLEET, await head_of(second), [decided(outcome=outcome)])
    assert 3 == len(await store.read(FLEET))


async def test_one_append_cannot_decide_twice(store: Store) -> None:
    """Two decisions do not pass by standing in the same append (I7)."""
    with pytest.raises(InvariantViolation, match="I7"):
        await store.append(FLEET, START, [decided(), decided(outcome=Outcome.ABORT)])
    assert [] == list(await store.read(FLEET))


async def test_transactions_are_decided_per_fleet(store: Store) -> None:
    """The same transaction id in another fleet is another transaction."""
    await store.append(FLEET, START, [decided()])
    await store.append(OTHER, START, [decided(outcome=Outcome.ABORT)])
    assert [FLEET, OTHER] == sorted(await store.fleets(), reverse=True)


async def test_an_append_of_nothing_is_misuse(store: Store) -> None:
    """An empty append would acknowledge what was never written."""
    with pytest.raises(ProtocolMisuse):
        await store.append(FLEET, START, [])


@pytest.mark.parametrize(
    "nobody",
    [
        replace(MIRA, user=""),
        replace(MIRA, host=""),
        replace(MIRA, program=""),
        replace(MIRA, pid=0),
        replace(MIRA, user="\0"),
        replace(MIRA, host="\0aim-control"),
        replace(MIRA, program="\0"),
    ],
)
async def test_a_lock_without_an_owner_is_refused(store: Store, nobody: Owner) -> None:
    """No lock is ever held by nobody, and nobody waits for none (I22)."""
    for record in (taken(owner=nobody), requested(W1, nobody)):
        with pytest.raises(InvariantViolation, match="I22"):
            await store.append(FLEET, START, [record])
    assert [] == list(await store.read(FLEET))


async def test_fleets_are_isolated(store: Store) -> None:
    """Heads and records of one fleet are nothing to another."""
    await store.append(FLEET, START, [noise(1), noise(2)])
    await store.append(OTHER, START, [taken(1, NOA)])
    assert ([noise(1), noise(2)], [taken(1, NOA)]) == (
        [entry.record for entry in await store.read(FLEET)],
        [entry.record for entry in await store.read(OTHER)],
    )


async def test_fleets_are_listed_sorted(store: Store) -> None:
    """A fleet is one that has a journal."""
    for name in ("zulu", "alpha", "mike"):
        await store.append(FleetId(name), START, [noise(1)])
    assert ["alpha", "mike", "zulu"] == list(await store.fleets())


async def test_a_story_folds_and_survives_reopening(world: World) -> None:
    """Recovery folds, from a new connection, the state that the writer had."""
    first = world.connect()
    await play(first)
    live = fold(FleetState(fleet=FLEET), await first.read(FLEET))
    await first.close()
    again = world.connect()
    assert live == fold(FleetState(fleet=FLEET), await again.read(FLEET))
    assert (sum(map(len, STORY)), LockState.FREE) == (live.head, live.lock.state)
    await again.close()


def told_apart(record: Record) -> str:
    """Two decisions of one transaction, or a ticket used twice, must not be generated."""
    if isinstance(record, LockRequested):
        return f"waits under {record.ticket}"
    return f"decides {record.txn}" if isinstance(record, Decided) else str(id(record))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=st.lists(RECORDS, min_size=1, max_size=4, unique_by=told_apart))
async def test_any_record_is_read_back_as_it_was_appended(
    store: Store, records: list[Record]
) -> None:
    """Every kind of record, with any text and any number, makes the round trip."""
    fleet = FleetId(f"fleet-{len(await store.fleets())}")
    await store.append(fleet, START, records)
    assert records == [entry.record for entry in await store.read(fleet)]


async def test_blobs_are_found_under_their_digest(store: Store, second: Store) -> None:
    """A put is visible to everybody; a second put of the same bytes changes nothing."""
    digest = await store.put_blob(b"[gimbal]\nangle_p = 8\n")
    assert digest == await second.put_blob(b"[gimbal]\nangle_p = 8\n")
    assert b"[gimbal]\nangle_p = 8\n" == await second.get_blob(digest)


async def test_the_digest_of_a_blob_is_its_sha256(store: Store) -> None:
    """The digest is the published one of SHA-256 (FIPS 180-4), for the empty message too."""
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert empty == await store.put_blob(b"")
    assert b"" == await store.get_blob(Digest(empty))


async def test_an_unknown_blob_is_none(store: Store) -> None:
    """Absence is an answer, not an error."""
    assert None is await store.get_blob(DIGEST)


async def test_a_blob_over_the_cap_is_refused(store: Store) -> None:
    """The biggest blob fits, one byte more is an operating error that says so."""
    await store.put_blob(bytes(BLOB_BYTES_MAX))
    with pytest.raises(OperatingError, match=str(BLOB_BYTES_MAX)) as caught:
        await store.put_blob(bytes(BLOB_BYTES_MAX + 1))
    assert Exit.INVALID is caught.value.exit_code


async def test_a_damaged_blob_is_never_returned(store: Store, world: World) -> None:
    """Bytes that do not have their digest are an error that names it."""
    digest = await store.put_blob(b"good")
    world.damage_blob(digest, b"evil")
    with pytest.raises(OperatingError, match=digest):
        await store.get_blob(digest)


async def test_a_damaged_blob_is_mended_by_putting_it_again(store: Store, world: World) -> None:
    """Who has the right bytes can put them back."""
    digest = await store.put_blob(b"good")
    world.damage_blob(digest, b"evil")
    await store.put_blob(b"good")
    assert b"good" == await store.get_blob(digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        '{"kind":"nonsense"}',
        '{"kind":"ended","txn":"t1"}',
        '{"kind":"ended","txn":"t1","epoch":{"incarnation":1,"number":"1"},"deferred":[]}',
        '{"kind":"ended","txn":"t1","epoch":{"incarnation":1,"number":1},"deferred":[],"x":1}',
    ],
)
async def test_a_damaged_row_is_a_clear_error(store: Store, world: World, text: str) -> None:
    """A row that does not decode names fleet and index and the next command, no traceback."""
    await store.append(FLEET, START, [noise(1), noise(2), noise(3)])
    world.damage(FLEET, 2, text)
    with pytest.raises(OperatingError, match=f"record 2 of fleet {FLEET}") as caught:
        await store.read(FLEET)
    assert "aimctl doctor" == caught.value.next_command


async def test_a_damaged_row_leaves_the_others_readable(store: Store, world: World) -> None:
    """What is new can still be read by whoever has read what lies before it."""
    _, known, new = await store.append(FLEET, START, [noise(1), noise(2), noise(3)])
    world.damage(FLEET, 1, "{}")
    assert [new] == await store.read(FLEET, known.head)


async def test_text_that_is_not_unicode_is_refused(store: Store) -> None:
    """A stray byte of a command line is an operating error, and nothing is written."""
    with pytest.raises(OperatingError, match="Unicode") as caught:
        await store.append(FLEET, START, [replace(noise(1), reason="because \udcff")])
    assert (Exit.USAGE, []) == (caught.value.exit_code, list(await store.read(FLEET)))


async def test_a_record_that_would_not_read_back_is_misuse(store: Store) -> None:
    """What a later reader could not decode is refused before it is written."""
    not_a_tuple: Any = "no"
    wrong = replace(decided(), refused={D1: not_a_tuple})
    with pytest.raises(ProtocolMisuse):
        await store.append(FLEET, START, [wrong])
    assert [] == list(await store.read(FLEET))


async def test_close_is_idempotent_and_final(world: World) -> None:
    """A closed store answers nobody, and closing it again is fine."""
    store = world.connect()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.read(FLEET)
