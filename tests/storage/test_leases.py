"""What every store promises of leases; each test is one clause of the port's docstrings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestrator.ports import Claim, Lease, Store
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import START, Ended, Entry, LockState, Record
from orchestrator.protocol.types import Epoch, FleetId, Outcome, Owner, Ticket, TxnId
from orchestrator.storage.leases import (
    EndHolder,
    EndWaiter,
    LeaseChange,
    Start,
    lease_changes,
)
from tests.storage.conftest import World, stamp
from tests.storage.samples import (
    D1,
    D2,
    FLEET,
    MIRA,
    NOA,
    OTHER,
    STORY,
    W1,
    W2,
    begun,
    claims_of,
    decided,
    head_of,
    noise,
    released,
    requested,
    taken,
    withdrawn,
)

HELD = Epoch(1, 1)

BREAK_GLASS: Sequence[Record] = (
    taken(2, NOA, LockState.RESOLVING),
    decided(1, 2, Outcome.ABORT),
    Ended(txn=TxnId("t1"), epoch=Epoch(1, 2), quarantined=(D1, D2)),
    released(3, NOA),
)


# ---- what an append does ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([noise(1), decided()], []),
        ([taken(1)], [EndHolder(), Start(claim=HELD, owner=MIRA, started=8)]),
        ([released(2)], [EndHolder()]),
        ([requested(W1)], [Start(claim=W1, owner=NOA, started=8)]),
        ([withdrawn(W1, MIRA)], [EndWaiter(ticket=W1)]),
        (
            [noise(1), withdrawn(W1), taken(3, NOA, ticket=W2)],
            [
                EndWaiter(ticket=W1),
                EndHolder(),
                EndWaiter(ticket=W2),
                Start(claim=Epoch(1, 3), owner=NOA, started=10),
            ],
        ),
    ],
)
def test_lease_changes(records: list[Record], expected: list[LeaseChange]) -> None:
    """Each record of the lock says what becomes of a lease, in the order of the append."""
    entries = [Entry(index=index, at=0.0, record=one) for index, one in enumerate(records, 8)]
    assert expected == list(lease_changes(entries))


async def test_a_grant_starts_the_lease(store: Store, second: Store, world: World) -> None:
    """``LockTaken`` starts the lease of its epoch and owner in the same write."""
    await store.append(FLEET, START, [taken(7)])
    expected = Lease(fleet=FLEET, claim=Epoch(1, 7), owner=MIRA, renewed=stamp(world))
    assert {Epoch(1, 7): expected} == await second.leases(FLEET)


async def test_a_release_ends_the_lease(store: Store) -> None:
    """``LockReleased`` leaves no lease of a holder behind."""
    await store.append(FLEET, START, [taken(1)])
    await store.append(FLEET, await head_of(store), [released(2)])
    assert {} == await store.leases(FLEET)


async def test_a_takeover_replaces_the_lease(store: Store) -> None:
    """After a forced unlock the lease is the new owner's."""
    await store.append(FLEET, START, [taken(1), begun()])
    await store.append(
        FLEET,
        await head_of(store),
        [taken(2, NOA, LockState.RESOLVING), decided(1, 2, Outcome.ABORT)],
    )
    leases = await store.leases(FLEET)
    assert {Epoch(1, 2): NOA} == {claim: lease.owner for claim, lease in leases.items()}


async def test_a_request_starts_a_waiters_lease(store: Store, second: Store, world: World) -> None:
    """``LockRequested`` starts the lease of its ticket and owner, beside the holder's."""
    await store.append(FLEET, START, [taken(1)])
    holders = await store.leases(FLEET)
    world.clock.at += 2
    world.boot.at += 2
    await store.append(FLEET, await head_of(store), [requested(W1)])
    waiters = Lease(fleet=FLEET, claim=W1, owner=NOA, renewed=stamp(world))
    assert {**holders, W1: waiters} == await second.leases(FLEET)


async def test_each_waiter_has_a_lease(store: Store) -> None:
    """One person may wait twice: a lease is a ticket's, not a person's."""
    await store.append(FLEET, START, [taken(1), requested(W1), requested(W2)])
    assert [HELD, W1, W2] == list(await store.leases(FLEET))


async def test_a_release_leaves_the_waiters(store: Store) -> None:
    """Who waits for a lock that is free now still has to show that it lives."""
    await store.append(FLEET, START, [taken(1), requested(W1)])
    await store.append(FLEET, await head_of(store), [released(2)])
    assert {W1} == set(await store.leases(FLEET))


async def test_a_grant_uses_its_ticket_up(store: Store) -> None:
    """The lease of the ticket becomes that of the epoch; the other waiters keep theirs."""
    await store.append(FLEET, START, [requested(W1), requested(W2, MIRA)])
    await store.append(FLEET, await head_of(store), [taken(1, NOA, ticket=W1)])
    assert {HELD, W2} == set(await store.leases(FLEET))
    assert False is await store.touch(FLEET, W1, NOA)


async def test_a_withdrawal_ends_the_waiters_lease(store: Store) -> None:
    """``LockWithdrawn`` ends the lease of its ticket, whoever writes it, and no other."""
    await store.append(FLEET, START, [taken(1), requested(W1), requested(W2)])
    await store.append(FLEET, await head_of(store), [withdrawn(W1, MIRA)])
    assert {HELD, W2} == set(await store.leases(FLEET))


async def test_a_dead_waiter_is_skipped_in_the_append_of_the_grant(store: Store) -> None:
    """Its withdrawal and the grant of the next ticket are one append, made in order."""
    await store.append(FLEET, START, [requested(W1), requested(W2, MIRA)])
    await store.append(FLEET, await head_of(store), [withdrawn(W1, MIRA), taken(1, ticket=W2)])
    assert {HELD} == set(await store.leases(FLEET))


async def test_break_glass_in_one_append_leaves_no_lease(store: Store) -> None:
    """It takes the lock and gives it back at once; only those who wait are left."""
    await store.append(FLEET, START, [taken(1), begun(), requested(W1)])
    await store.append(FLEET, await head_of(store), BREAK_GLASS)
    assert {W1} == set(await store.leases(FLEET))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([released(2), taken(3)], {Epoch(1, 3)}),
        ([taken(3), released(4)], set()),
        ([requested(W1), withdrawn(W1)], {HELD}),
        ([requested(W1), withdrawn(W1), requested(W1)], {HELD, W1}),
        ([withdrawn(W1), requested(W1)], {HELD, W1}),
    ],
)
async def test_the_changes_of_an_append_are_made_in_order(
    store: Store, records: Sequence[Record], expected: set[Claim]
) -> None:
    """Where one append gives and takes, the leases are what the last of them leaves."""
    await store.append(FLEET, START, [taken(1)])
    await store.append(FLEET, await head_of(store), records)
    assert expected == set(await store.leases(FLEET))


async def test_a_ticket_that_is_in_use_is_refused(store: Store) -> None:
    """A place in the queue is one person's; its whole append is not written (I26)."""
    await store.append(FLEET, START, [requested(W1)])
    before = await store.leases(FLEET)
    with pytest.raises(InvariantViolation):
        await store.append(FLEET, await head_of(store), [noise(1), requested(W1, MIRA)])
    assert (1, before) == (len(await store.read(FLEET)), await store.leases(FLEET))


async def test_leases_are_those_that_the_fold_asks_for(store: Store) -> None:
    """After each append there is a lease for the held lock and for each waiter, and no other."""
    expected, found, state = [], [], FleetState(fleet=FLEET)
    for records in STORY:
        state = fold(state, await store.append(FLEET, state.known, records))
        expected.append(claims_of(state))
        found.append(set(await store.leases(FLEET)))
    assert expected == found


async def test_leases_of_fleets_are_apart(store: Store) -> None:
    """The same epoch or ticket in another fleet is another claim."""
    await store.append(FLEET, START, [taken(1), requested(W1)])
    await store.append(OTHER, START, [taken(1, NOA), requested(W1, MIRA)])
    await store.append(OTHER, await head_of(store, OTHER), [released(2, NOA), withdrawn(W1)])
    assert ({HELD, W1}, set()) == (
        set(await store.leases(FLEET)),
        set(await store.leases(OTHER)),
    )


# ---- renewals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("claim", "owner"), [(HELD, MIRA), (W1, NOA)])
async def test_touch_renews_the_lease_of_its_owner(
    store: Store, second: Store, world: World, claim: Claim, owner: Owner
) -> None:
    """A heartbeat moves ``renewed`` of this lease alone to now, and writes no record."""
    await store.append(FLEET, START, [taken(1), requested(W1), requested(W2)])
    before = dict(await store.leases(FLEET))
    world.clock.at += 3
    world.boot.at += 3.5
    assert True is await store.touch(FLEET, claim, owner)
    expected = {**before, claim: replace(before[claim], renewed=stamp(world))}
    assert (expected, 3) == (await second.leases(FLEET), len(await store.read(FLEET)))


@pytest.mark.parametrize(
    ("fleet", "claim", "owner"),
    [
        (FLEET, HELD, NOA),
        (FLEET, HELD, replace(MIRA, start_ticks=1)),
        (FLEET, Epoch(1, 2), MIRA),
        (FLEET, Epoch(2, 1), MIRA),
        (OTHER, HELD, MIRA),
        (FLEET, W1, MIRA),
        (FLEET, W1, replace(NOA, boot_id="b2")),
        (FLEET, W2, NOA),
        (OTHER, W1, NOA),
    ],
)
async def test_touch_by_anybody_else_changes_nothing(
    store: Store, world: World, fleet: FleetId, claim: Claim, owner: Owner
) -> None:
    """A renewal changes nothing unless owner and claim match (I21)."""
    await store.append(FLEET, START, [taken(1), requested(W1)])
    before = await store.leases(FLEET)
    world.clock.at += 3
    assert False is await store.touch(fleet, claim, owner)
    assert (before, {}) == (await store.leases(FLEET), await store.leases(OTHER))


@pytest.mark.parametrize("text", ["1", "1.1", "(1, 1)", repr(HELD), ""])
async def test_a_ticket_that_reads_like_an_epoch_is_not_an_epochs(store: Store, text: str) -> None:
    """Holder and waiter are told apart whatever somebody calls a ticket."""
    ticket = Ticket(text)
    await store.append(FLEET, START, [taken(1)])
    assert False is await store.touch(FLEET, ticket, MIRA)
    await store.append(FLEET, await head_of(store), [requested(ticket, MIRA)])
    await store.append(FLEET, await head_of(store), [released(2)])
    assert ({ticket}, False, True) == (
        set(await store.leases(FLEET)),
        await store.touch(FLEET, HELD, MIRA),
        await store.touch(FLEET, ticket, MIRA),
    )


async def test_touch_after_a_forced_unlock_does_not_extend_the_successor(store: Store) -> None:
    """The fenced holder's heartbeat is refused: it is how it learns of it (I21)."""
    await store.append(FLEET, START, [taken(1)])
    await store.append(FLEET, await head_of(store), [taken(2, NOA, LockState.RESOLVING)])
    assert [False, True] == [
        await store.touch(FLEET, HELD, MIRA),
        await store.touch(FLEET, Epoch(1, 2), NOA),
    ]


# ---- stamps -----------------------------------------------------------------------------------


async def test_a_stamp_without_a_boot_is_by_utc_alone(store: Store, world: World) -> None:
    """Where the boot is not known nothing is made up, for a start and for a renewal."""
    world.boot.id = None
    await store.append(FLEET, START, [taken(1), requested(W1)])
    await store.touch(FLEET, W1, NOA)
    await store.extend_leases()
    found = {
        (one.renewed.boot_id, one.extended and one.extended.boot_id)
        for one in (await store.leases(FLEET)).values()
    }
    assert {(None, None)} == found


async def test_a_renewal_in_another_boot_is_of_that_boot(store: Store, world: World) -> None:
    """The stamp is whole: boot id and boot time are read together."""
    await store.append(FLEET, START, [taken(1)])
    world.boot.id, world.boot.at = "boot-2", 1.25
    await store.touch(FLEET, HELD, MIRA)
    renewed = (await store.leases(FLEET))[HELD].renewed
    assert ("boot-2", 1.25) == (renewed.boot_id, renewed.boot_s)


async def test_a_restart_of_the_manager_extends_every_lease(
    store: Store, second: Store, world: World
) -> None:
    """Holders and waiters of all fleets get a fresh TTL; when they renewed stays (I20)."""
    await store.append(FLEET, START, [taken(1), requested(W1)])
    await store.append(OTHER, START, [taken(5, NOA)])
    before = [await store.leases(fleet) for fleet in (FLEET, OTHER)]
    world.clock.at += 60
    world.boot.at += 60
    await store.extend_leases()
    expected = [
        {claim: replace(lease, extended=stamp(world)) for claim, lease in leases.items()}
        for leases in before
    ]
    assert expected == [await second.leases(fleet) for fleet in (FLEET, OTHER)]


async def test_the_last_restart_counts(store: Store, world: World) -> None:
    """A second restart moves ``extended`` on."""
    await store.append(FLEET, START, [taken(1)])
    for _ in range(2):
        world.clock.at += 20
        await store.extend_leases()
    assert stamp(world) == (await store.leases(FLEET))[HELD].extended


async def test_a_renewal_after_a_restart_counts_alone(store: Store, world: World) -> None:
    """``extended`` is a restart *since* the renewal: a heartbeat clears it, of its own lease."""
    await store.append(FLEET, START, [taken(1), requested(W1)])
    await store.extend_leases()
    await store.touch(FLEET, HELD, MIRA)
    leases = await store.leases(FLEET)
    assert (None, stamp(world)) == (leases[HELD].extended, leases[W1].extended)


async def test_a_lease_that_starts_after_a_restart_is_not_extended(store: Store) -> None:
    """The restart before it is nothing to it."""
    await store.append(FLEET, START, [requested(W1)])
    await store.extend_leases()
    await store.append(FLEET, await head_of(store), [taken(1, NOA, ticket=W1)])
    assert None is (await store.leases(FLEET))[HELD].extended


async def test_a_restart_without_leases_is_none_the_worse(store: Store) -> None:
    """There is nothing to extend in an empty store."""
    await store.extend_leases()
    assert ([], {}) == (list(await store.fleets()), await store.leases(FLEET))


async def test_leases_survive_reopening(world: World) -> None:
    """Every column comes back as it was written."""
    first = world.connect()
    await first.append(FLEET, START, [taken(1), requested(W1)])
    await first.extend_leases()
    world.boot.id = None
    await first.touch(FLEET, W1, NOA)
    before = await first.leases(FLEET)
    await first.close()
    again = world.connect()
    assert before == await again.leases(FLEET)
    await again.close()
