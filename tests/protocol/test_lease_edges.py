"""The rules of the lock, record for record: who is named in them, and in which words."""

from __future__ import annotations

from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import (
    Answer,
    Decided,
    Ended,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    ReleaseAnswered,
    ReleaseRequested,
    Verb,
)
from orchestrator.protocol.types import Epoch, Outcome, Owner, Ticket
from tests.protocol.journals import D1, D2, STORIES, requested, told

ME: Final = samples.owner("o")
OTHER: Final = samples.owner("p")
ONE, TWO, THREE = samples.epoch(1), samples.epoch(2), samples.epoch(3)


def after(story: str) -> FleetState:
    """The fleet after a story."""
    return told(*STORIES[story])[0]


def test_a_grant_names_its_owner_and_purpose() -> None:
    """The free lock: the next epoch, held, for what it is wanted."""
    grant = LockTaken(epoch=ONE, state=LockState.HELD, owner=ME, purpose="push")
    assert (grant,) == lease.acquire(after("free"), ME, "push")


def test_a_grant_in_turn_names_its_ticket() -> None:
    """The ticket leaves the line with the grant."""
    first = samples.owner("w1")
    grant = LockTaken(
        epoch=THREE, state=LockState.HELD, owner=first, purpose="push", ticket=Ticket("w1")
    )
    assert (grant,) == lease.acquire(after("in-line"), first, "push", Ticket("w1"))


@pytest.mark.parametrize(
    ("story", "owner", "ticket"),
    [
        ("held", "p", None),
        ("in-line", "p", None),
        ("in-line", "w2", "w2"),
        ("in-line", "w2", "w1"),
        ("in-line", "w1", "w2"),
        ("free", "p", "w9"),
    ],
)
def test_who_can_t_have_it_is_shown_the_lock(story: str, owner: str, ticket: str | None) -> None:
    """Somebody has it, or stands before us; a ticket that is not in the line gets nothing."""
    state = after(story)
    mine = None if ticket is None else Ticket(ticket)
    assert lease.Hot(lock=state.lock) == lease.acquire(state, samples.owner(owner), "push", mine)


def test_a_place_in_the_line_names_who_and_what_for() -> None:
    """A request says whose it is and for what; the same ticket stands once."""
    state, ticket = after("waited-for"), Ticket("w3")
    asked = LockRequested(ticket=ticket, owner=ME, purpose="push")
    assert (asked,) == lease.queue(state, ME, "push", ticket)
    assert () == lease.queue(state, ME, "push", Ticket("w2"))


def test_the_line_ends_at_its_maximum() -> None:
    """One place before the end there is room; at the end the refusal says how many wait."""
    line = [requested(f"x{number}") for number in range(lease.WAITERS_MAX)]
    nearly, full = told(*STORIES["held"], *line[:-1])[0], told(*STORIES["held"], *line)[0]
    assert 1 == len(lease.queue(nearly, ME, "push", Ticket("w3")))  # type: ignore[arg-type]
    why = "256 wait for the lock of f already"
    assert lease.Refused(why=why) == lease.queue(full, ME, "push", Ticket("w3"))


def test_who_is_taken_out_of_the_line_is_named() -> None:
    """A withdrawal for each ticket that stands there, with who says so and why."""
    state, second = after("waited-for"), Ticket("w2")
    gone = LockWithdrawn(ticket=second, by=OTHER, reason="gone")
    assert (gone,) == lease.withdraw(state, (second, Ticket("w9")), OTHER, "gone")


def test_a_release_says_who_and_why() -> None:
    """The next epoch, free; and the answer to whoever has asked, before it."""
    freed = LockReleased(epoch=TWO, by=ME, reason="done")
    assert (freed,) == lease.release(after("held"), ONE, ME, "done")
    asked = lease.request_release(after("held"), ONE, OTHER, "please")
    assert isinstance(asked, tuple)
    state = told(*STORIES["held"], *asked)[0]
    answered = ReleaseAnswered(epoch=ONE, by=ME, answer=Answer.RELEASE)
    plain = LockReleased(epoch=TWO, by=ME)
    assert (answered, plain) == lease.release(state, ONE, ME)


@pytest.mark.parametrize(
    ("story", "epoch", "by"),
    [
        ("held", TWO, ME),
        ("held", ONE, OTHER),
        ("open", ONE, ME),
        ("free-again", TWO, ME),
        ("reseeded", samples.epoch(2), ME),
    ],
)
def test_what_can_t_be_released_is_shown_the_lock(story: str, epoch: Epoch, by: Owner) -> None:
    """Not ours, not free of a transaction, or free already."""
    state = after(story)
    assert lease.NotTheLock(lock=state.lock) == lease.release(state, epoch, by)


def test_nobody_releases_in_a_reseed() -> None:
    """Also with nothing open: what the fleet is, is not known yet."""
    state = told(*STORIES["held"], *STORIES["reseeded"][-2:])[0]
    assert state.open is None
    assert lease.NotTheLock(lock=state.lock) == lease.release(state, state.lock.epoch, ME)


def test_a_request_for_release_says_who_and_why() -> None:
    """It is made to the epoch that holds; else the lock is shown."""
    held, free = after("held"), after("free-again")
    asked = ReleaseRequested(epoch=ONE, by=OTHER, reason="please")
    assert (asked,) == lease.request_release(held, ONE, OTHER, "please")
    assert lease.NotTheLock(lock=held.lock) == lease.request_release(held, TWO, OTHER, "please")
    assert lease.NotTheLock(lock=free.lock) == lease.request_release(free, TWO, OTHER, "please")


def test_a_forced_unlock_says_who_why_and_what_it_aborts() -> None:
    """The cause of the ABORT names the lock that was resolved, for those who read it later."""
    taken = LockTaken(
        epoch=TWO, state=LockState.RESOLVING, owner=OTHER, purpose="force-unlock", reason="hangs"
    )
    aborted = Decided(
        txn=samples.txn_id(1),
        epoch=TWO,
        outcome=Outcome.ABORT,
        cause="lock f@1 was resolved: hangs",
    )
    assert (taken, aborted) == lease.resolve(after("open"), ONE, OTHER, "hangs")
    assert (taken,) == lease.resolve(after("committed"), ONE, OTHER, "hangs")
    assert (taken,) == lease.resolve(after("held"), ONE, OTHER, "hangs")


def test_broken_glass_says_who_why_and_whom_it_leaves() -> None:
    """Everything in one append: taken, decided, ended with names, and free."""
    state = after("open")
    glass = lease.break_glass(state, ONE, OTHER, "now", (D1,))
    resolved = lease.resolve(state, ONE, OTHER, "now", Verb.BREAK_GLASS)
    assert isinstance(resolved, tuple)
    expected: tuple[Record, ...] = (
        *resolved,
        Ended(txn=samples.txn_id(1), epoch=TWO, quarantined=(D1, D2)),
        LockReleased(epoch=THREE, by=OTHER),
    )
    assert expected == glass
    assert "break-glass" == glass[0].purpose  # type: ignore[union-attr]
    nothing = lease.break_glass(after("held"), ONE, OTHER, "now")
    assert (LockReleased(epoch=THREE, by=OTHER),) == nothing[1:]  # type: ignore[index]


def test_glass_is_not_broken_in_a_reseed() -> None:
    """The refusal says why, and the lock that is not there is shown."""
    why = "a reseed is under way: what was decided is not known until the devices are heard"
    state = after("reseeded")
    assert lease.Refused(why=why) == lease.break_glass(state, state.lock.epoch, OTHER, "now")
    held = after("held")
    assert lease.NotTheLock(lock=held.lock) == lease.break_glass(held, TWO, OTHER, "now")


@pytest.mark.parametrize(
    ("age_s", "stage"),
    [
        (15.0, lease.Stage.FRESH),
        (15.5, lease.Stage.EXPIRED),
        (30.0, lease.Stage.EXPIRED),
        (30.5, lease.Stage.PAST_GRACE),
    ],
)
def test_the_edges_of_a_lease(age_s: float, stage: lease.Stage) -> None:
    """A lease is fresh up to its TTL, and past grace only beyond both."""
    assert stage is lease.stage_of(age_s)
