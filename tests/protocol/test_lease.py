"""The rules of the lock: who may write which record in which story; all of it folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import (
    Answer,
    Decided,
    Ended,
    Entry,
    LockReleased,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    ReleaseAnswered,
    ReleaseRequested,
    Verb,
)
from orchestrator.protocol.types import Outcome, Ticket
from tests.protocol.journals import (
    ABORT,
    COMMITTED,
    D1,
    D2,
    HELD,
    IN_LINE,
    OPEN,
    RESEEDED,
    STORIES,
    requested,
    told,
)

OWNER, R = samples.owner("o"), samples.owner("r")
W1, W2 = Ticket("w1"), Ticket("w2")
HELD_ONES: Final = [
    name for name, story in STORIES.items() if told(*story)[0].lock.state is not LockState.FREE
]
FREE_ONES: Final = [name for name in STORIES if name not in HELD_ONES]


def story_of(name: str) -> FleetState:
    """The fold of a story."""
    return told(*STORIES[name])[0]


def after(state: FleetState, records: Sequence[Record]) -> FleetState:
    """The fold after one append more; raises where one of them is illegal."""
    entries = [
        Entry(index=state.head + number, at=99.0, record=record)
        for number, record in enumerate(records, 1)
    ]
    return fold(state, entries)


def granted(found: object) -> tuple[Record, ...]:
    """What a rule returned, if it did not say no."""
    assert isinstance(found, tuple), found
    return found


# --- acquire, queue, withdraw -------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_only_a_free_lock_without_a_line_is_granted_to_anybody(name: str) -> None:
    """Acquire never resolves: it grants a free lock that nobody waits for, or says who is."""
    state = story_of(name)
    found = lease.acquire(state, R, "push")
    may = name in FREE_ONES and not state.lock.waiters
    assert may == (not isinstance(found, lease.Hot))
    if may:
        assert (LockState.HELD, R) == (
            (lock := after(state, granted(found)).lock).state,
            lock.owner,
        )


@pytest.mark.parametrize(
    ("owner", "ticket", "gets_it"),
    [("w1", W1, True), ("w2", W2, False), ("w1", None, False), ("w2", W1, False)],
)
def test_the_first_in_line_goes_first(owner: str, ticket: Ticket | None, *, gets_it: bool) -> None:
    """A free lock is its first waiter's, by ticket and by owner (I26)."""
    state, _ = told(*IN_LINE)
    found = lease.acquire(state, samples.owner(owner), "push", ticket)
    assert gets_it == (not isinstance(found, lease.Hot))
    if gets_it:
        assert [W2] == [waiter.ticket for waiter in after(state, granted(found)).lock.waiters]


@pytest.mark.parametrize("name", STORIES)
def test_anybody_may_stand_in_line(name: str) -> None:
    """A place in the line is at its end, whatever the lock does meanwhile."""
    state = story_of(name)
    line = after(state, granted(lease.queue(state, R, "push", Ticket("w9")))).lock.waiters
    assert (Ticket("w9"), R) == (line[-1].ticket, line[-1].owner)
    assert state.lock.waiters == line[:-1]


def test_a_ticket_stands_in_line_once() -> None:
    """Whoever asks again after a lost answer has its place already."""
    state, _ = told(*IN_LINE)
    assert () == lease.queue(state, samples.owner("w1"), "push", W1)


def test_the_line_has_an_end() -> None:
    """A program that asks in a loop does not fill the journal."""
    full, _ = told(*HELD, *(requested(f"w{n}") for n in range(lease.WAITERS_MAX)))
    found = lease.queue(full, R, "push", Ticket("one-more"))
    assert isinstance(found, lease.Refused)
    assert str(lease.WAITERS_MAX) in found.why


def test_who_leaves_the_line_is_named() -> None:
    """Only tickets that stand in line are taken out, each with a reason."""
    state, _ = told(*IN_LINE)
    gone = granted(lease.withdraw(state, [W1, Ticket("w9")], R, "dead"))
    assert (LockWithdrawn(ticket=W1, by=R, reason="dead"),) == gone
    assert W2 == after(state, gone).lock.waiters[0].ticket


# --- release, and asking for it -----------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_only_an_owner_with_nothing_open_releases(name: str) -> None:
    """Release needs the lock's epoch, its owner and no open transaction (I15)."""
    state = story_of(name)
    may = name in HELD_ONES and state.open is None and state.reseeding is None
    found = lease.release(state, state.lock.epoch, OWNER)
    assert may == (not isinstance(found, lease.NotTheLock))
    if may:
        assert LockState.FREE is after(state, granted(found)).lock.state
    assert isinstance(lease.release(state, samples.epoch(99), OWNER), lease.NotTheLock)


@pytest.mark.parametrize("name", HELD_ONES)
def test_nobody_releases_what_another_holds(name: str) -> None:
    """The epoch can be read by everybody: it is no proof of ownership."""
    state = story_of(name)
    assert isinstance(lease.release(state, state.lock.epoch, R), lease.NotTheLock)


@pytest.mark.parametrize("name", STORIES)
def test_a_request_for_release_is_made_to_a_living_epoch(name: str) -> None:
    """Who asks names the epoch that it has seen; a free lock is asked for nothing."""
    state = story_of(name)
    found = lease.request_release(state, state.lock.epoch, R, "please")
    if name in FREE_ONES:
        assert isinstance(found, lease.NotTheLock)
        return
    wrong = lease.request_release(state, samples.epoch(99), R, "please")
    assert isinstance(wrong, lease.NotTheLock)
    asked = after(state, granted(found))
    assert isinstance(asked.lock.release_requested, ReleaseRequested)
    assert None is asked.lock.release_answered
    assert state.lock.epoch == asked.lock.epoch


def test_a_request_is_answered_once() -> None:
    """The holder's answer is logged, and not again until somebody asks again."""
    state, _ = told(*HELD)
    assert () == lease.answer(state, OWNER, Answer.FINISH)
    asked = after(state, granted(lease.request_release(state, state.lock.epoch, R, "a")))
    answered = after(asked, lease.answer(asked, OWNER, Answer.FINISH))
    assert () == lease.answer(answered, OWNER, Answer.FINISH)
    again = after(answered, granted(lease.request_release(answered, state.lock.epoch, R, "b")))
    assert 1 == len(lease.answer(again, OWNER, Answer.FINISH))


def test_a_release_answers_who_has_asked() -> None:
    """The answer is in the same append as the release."""
    state, _ = told(*HELD)
    asked = after(state, granted(lease.request_release(state, state.lock.epoch, R, "a")))
    records = granted(lease.release(asked, state.lock.epoch, OWNER))
    assert [ReleaseAnswered, LockReleased] == [type(record) for record in records]


def test_a_request_ends_with_its_epoch() -> None:
    """Whoever takes the lock over was not asked."""
    state, _ = told(*HELD)
    asked = after(state, granted(lease.request_release(state, state.lock.epoch, R, "a")))
    taken = after(asked, granted(lease.resolve(asked, asked.lock.epoch, R, "why")))
    assert None is taken.lock.release_requested


# --- taking it from somebody --------------------------------------------------------------------


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("name", STORIES)
def test_a_forced_unlock_is_one_legal_append(name: str, verb: Verb) -> None:
    """Resolve takes the lock and aborts what is undecided; what is decided it leaves alone."""
    state = story_of(name)
    found = lease.resolve(state, state.lock.epoch, R, "why", verb)
    if name in FREE_ONES:
        assert isinstance(found, lease.NotTheLock)
        return
    forced = after(state, granted(found))
    lock = forced.lock
    assert (LockState.RESOLVING, R, verb.value, "why") == (
        lock.state,
        lock.owner,
        lock.purpose,
        lock.reason,
    )
    assert state.lock.epoch.next() == lock.epoch
    assert state.lock.waiters == lock.waiters
    outcome = None if state.open is None else state.open.outcome or ABORT
    if state.reseeding is not None:
        outcome = None
    assert outcome is (None if forced.open is None else forced.open.outcome)


@pytest.mark.parametrize("name", STORIES)
def test_nobody_forces_a_lock_that_he_has_not_seen(name: str) -> None:
    """Resolve names the epoch: the second of two operators gets nothing."""
    state = story_of(name)
    wrong = samples.epoch(99)
    assert isinstance(lease.resolve(state, wrong, R, "why"), lease.NotTheLock)
    shattered = lease.break_glass(state, wrong, R, "why")
    assert isinstance(shattered, lease.NotTheLock | lease.Refused)


@pytest.mark.parametrize("name", STORIES)
def test_break_glass_frees_the_lock_in_one_append(name: str) -> None:
    """It ends with a free lock, nothing open and every member in quarantine (I15)."""
    state = story_of(name)
    found = lease.break_glass(state, state.lock.epoch, R, "now")
    if state.reseeding is not None:
        assert isinstance(found, lease.Refused)
        return
    if name in FREE_ONES:
        assert isinstance(found, lease.NotTheLock)
        return
    free = after(state, granted(found))
    assert (LockState.FREE, None) == (free.lock.state, free.open)
    assert state.lock.epoch.next().next() == free.lock.epoch
    members = set() if state.open is None else set(state.open.begun.digests)
    assert members <= free.quarantined
    assert all(free.deferred[device] for device in members)
    reasons = [one.reason for one in granted(found) if isinstance(one, LockTaken)]
    assert ["now"] == reasons


def test_who_was_heard_to_follow_is_not_quarantined() -> None:
    """Break-glass names only those that are not known to have followed the decision."""
    state, _ = told(*COMMITTED)
    records = granted(lease.break_glass(state, state.lock.epoch, R, "now", followed=(D1,)))
    assert frozenset({D2}) == after(state, records).quarantined


def test_nobody_has_followed_what_is_only_being_decided() -> None:
    """Evidence from before the ABORT counts for nothing."""
    state, _ = told(*OPEN)
    records = granted(lease.break_glass(state, state.lock.epoch, R, "now", followed=(D1, D2)))
    assert [Outcome.ABORT] == [one.outcome for one in records if isinstance(one, Decided)]
    assert [(D1, D2)] == [one.quarantined for one in records if isinstance(one, Ended)]


def test_a_reseed_is_not_broken_into() -> None:
    """In the middle of a reseed nothing may be decided: whoever takes over goes on with it."""
    state, _ = told(*RESEEDED)
    assert isinstance(lease.break_glass(state, state.lock.epoch, R, "now"), lease.Refused)
    taken = after(state, granted(lease.resolve(state, state.lock.epoch, R, "why")))
    assert (state.reseeding, state.open) == (taken.reseeding, taken.open)


# --- how old a lease is (I20) -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "stage"),
    [
        (0.0, lease.Stage.FRESH),
        (lease.LEASE_TTL_S, lease.Stage.FRESH),
        (lease.LEASE_TTL_S + 0.001, lease.Stage.EXPIRED),
        (lease.LEASE_TTL_S + lease.GRACE_S, lease.Stage.EXPIRED),
        (lease.LEASE_TTL_S + lease.GRACE_S + 0.001, lease.Stage.PAST_GRACE),
    ],
)
def test_a_lease_is_past_its_grace_only_after_both(age_s: float, stage: lease.Stage) -> None:
    """Nobody is taken from before TTL and grace are over: at their end it still lives."""
    assert stage is lease.stage_of(age_s)


def test_a_holder_stops_itself_before_anybody_suspects_it() -> None:
    """Renewals, the holder's own stop, the TTL: each leaves room for the one before."""
    assert 3 * lease.RENEW_EVERY_S < lease.STOP_SELF_AFTER_S < lease.LEASE_TTL_S


def test_the_release_of_another_name_is_refused_by_the_same_pid() -> None:
    """Two processes are one only if everything that names them agrees."""
    state, _ = told(*HELD)
    other = replace(OWNER, start_ticks=OWNER.start_ticks + 1)
    assert isinstance(lease.release(state, state.lock.epoch, other), lease.NotTheLock)
