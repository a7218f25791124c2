"""One coordinator on its own: its phases, its appends, and what it tells whom and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import DUE, FINAL, Coordinator, Phase
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import (
    Ask,
    CatchUp,
    Decision,
    Fence,
    Prepare,
    Welcome,
)
from orchestrator.protocol.records import (
    AbortRequested,
    Decided,
    Ended,
    LockReleased,
    LockState,
    LockTaken,
    Settled,
)
from orchestrator.protocol.timeline import (
    MARGIN_FLOOR_S,
    WINDOW_FLOOR_S,
    WINDOW_MAX_S,
    measured,
)
from orchestrator.protocol.types import Outcome
from tests.protocol.one_desk import (
    D1,
    D2,
    NOW,
    OWNER,
    TIMING,
    Desk,
    active,
    begun,
    committed,
    hello,
    joining,
    report,
    settler,
    state,
    take_over,
    vote,
)

# --- the table ----------------------------------------------------------------------------------


def test_every_phase_has_something_due() -> None:
    """DUE names a method for each phase; the final ones rest."""
    assert set(Phase) == set(DUE)
    assert all(hasattr(Coordinator, f"_{name}") for name in DUE.values())
    assert {phase for phase, due in DUE.items() if due == "rest"} == FINAL


def test_a_push_goes_through_its_phases() -> None:
    """Join, prepare, drive, release: each by what is in the journal, none by a message alone."""
    desk, phases = joining(), []
    phases.append(desk.core.phase)
    for device in (D1, D2):
        desk.hear(hello(device))
    phases.append(desk.core.phase)
    for device in (D1, D2):
        desk.hear(vote(device))
    phases.append(desk.core.phase)
    for device in (D1, D2):
        desk.hear(active(device))
    phases.append(desk.core.phase)
    assert [Phase.JOINING, Phase.PREPARING, Phase.DRIVING, Phase.DONE] == phases
    assert ["lock_taken", "begun", "decided", "ended", "lock_released"] == desk.kinds()


@pytest.mark.parametrize("event", [orc.LeaseLost(), orc.StoreLost()])
def test_what_is_final_stays_so(event: orc.Event) -> None:
    """A coordinator that has stopped says and appends nothing any more."""
    desk = begun()
    desk.tell(event)
    kinds = desk.kinds()
    assert desk.core.phase in FINAL
    assert [] == desk.hear(vote(D1)) + desk.hear(vote(D2)) + desk.tell(orc.Tick(), NOW + 99)
    assert kinds == desk.kinds()


def test_the_answer_of_an_append_comes_first() -> None:
    """Nothing else may be told while an append is under way (I13)."""
    desk = joining()
    desk.hold = True
    for device in (D1, D2):
        desk.hear(hello(device))
    assert desk.core.appending
    with pytest.raises(ProtocolMisuse):
        desk.core.step(orc.Tick(), NOW)


def test_a_driver_needs_the_lock() -> None:
    """Only a goal without a lock goes without an epoch."""
    with pytest.raises(InvariantViolation):
        Desk(orc.Settle(until=NOW)).core.__class__(
            FleetState(fleet=samples.FLEET), goal=orc.Resolve(), timing=TIMING
        )


# --- deciding -----------------------------------------------------------------------------------


def decided(desk: Desk) -> Decided:
    """The decision in the journal."""
    return next(one.record for one in desk.entries if isinstance(one.record, Decided))


def test_all_yes_commits() -> None:
    """COMMIT on every member's yes, and only then (I3, I4)."""
    desk = begun()
    desk.hear(vote(D1))
    assert "decided" not in desk.kinds()
    desk.hear(vote(D2))
    assert Outcome.COMMIT is decided(desk).outcome


def test_one_no_aborts_with_every_reason() -> None:
    """A no makes an ABORT that says who refused, and why."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hear(vote(D2, "battery", "wind"))
    assert (Outcome.ABORT, {D2: ("battery", "wind")}) == (
        decided(desk).outcome,
        dict(decided(desk).refused),
    )


def test_silence_aborts_at_vote_by() -> None:
    """Who is silent at vote_by is named; before it nothing is decided."""
    desk = begun()
    desk.hear(vote(D1))
    desk.tell(orc.Tick(), NOW + 0.99)
    assert "decided" not in desk.kinds()
    desk.tell(orc.Tick(), NOW + 1.01)
    assert [D2] == list(decided(desk).refused)


def test_votes_that_are_complete_too_late_abort() -> None:
    """After vote_by a full set of yeses is too late: margins are made for the decision."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hear(vote(D2), NOW + 1.01)
    assert Outcome.ABORT is decided(desk).outcome


@pytest.mark.parametrize(
    "change",
    [
        {"txn": samples.txn_id(9)},
        {"seq": 2},
        {"epoch": samples.epoch(0)},
        {"plan": samples.digest("other")},
        {"device": samples.device_id(9)},
    ],
)
def test_a_vote_for_something_else_does_not_count(change: dict[str, object]) -> None:
    """A yes counts for its txn, seq, epoch, plan and member alone (I3)."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hear(replace(vote(D2), **change))  # type: ignore[arg-type]
    assert "decided" not in desk.kinds()


def test_the_first_vote_stands() -> None:
    """A no that was overtaken by the yes of a second try does not take it back."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hear(vote(D1, "late"))
    desk.hear(vote(D2))
    assert Outcome.COMMIT is decided(desk).outcome


def test_an_abort_that_was_asked_for_comes_before_the_commit() -> None:
    """An AbortRequested that conflicts with our COMMIT is obeyed."""
    desk = begun()
    desk.hear(vote(D1))
    desk.store(AbortRequested(txn=samples.txn_id(1), by=OWNER, reason="stop"))
    desk.hear(vote(D2))
    assert Outcome.ABORT is decided(desk).outcome
    assert 1 == desk.kinds().count("decided")


def test_a_lost_answer_leads_to_an_abort_that_the_commit_may_still_beat() -> None:
    """I24: COMMIT not found on reading back, so ABORT is tried; if COMMIT lands, it stands."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hold = True
    desk.hear(vote(D2))
    first = desk.pending
    assert first is not None
    told = desk.tell(orc.Journaled(entries=(), unknown=True))
    second = desk.pending
    assert second is not None
    (record,) = second.records
    assert isinstance(record, Decided)
    assert (Outcome.ABORT, []) == (record.outcome, told)
    desk.store(*first.records)  # the lost append lands after all
    said = desk.tell(desk.answer(second))
    assert [Outcome.COMMIT] == [one.outcome for one in said if isinstance(one, Decision)]


def test_what_was_read_back_is_the_truth() -> None:
    """A lost answer whose record is there is told as it is stored."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hold = True
    desk.hear(vote(D2))
    assert desk.pending is not None
    stored = desk.store(*desk.pending.records)
    said = desk.tell(orc.Journaled(entries=stored, unknown=True))
    assert any(isinstance(one, Decision) for one in said)


def test_a_taken_lock_stops_it() -> None:
    """Whoever folds a higher epoch stops: no message, no append (I14)."""
    desk = begun()
    taken = LockTaken(
        epoch=samples.epoch(2), state=LockState.RESOLVING, owner=OWNER, purpose="resolve"
    )
    news = desk.store(taken)
    assert [] == desk.tell(orc.Journaled(entries=news))
    assert Phase.FENCED is desk.core.phase


def test_news_that_it_has_folded_already_is_skipped() -> None:
    """Whoever reads the journal beside the coordinator may tell it an entry twice."""
    desk = begun()
    desk.tell(orc.Journaled(entries=tuple(desk.entries)))
    assert Phase.PREPARING is desk.core.phase


# --- telling ------------------------------------------------------------------------------------


def test_nothing_is_told_before_it_is_stored() -> None:
    """PREPARE and DECISION come out of the step that is told of their record (I13, I17)."""
    desk = joining()
    desk.hold = True
    said = desk.hear(hello(D1)) + desk.hear(hello(D2))
    assert not any(isinstance(one, Prepare) for one in said)
    assert desk.pending is not None
    said = desk.tell(desk.answer(desk.pending))
    assert any(isinstance(one, Prepare) for one in said)


def test_prepare_is_repeated_to_the_silent_alone() -> None:
    """Who has voted is not asked again."""
    desk = begun()
    desk.hear(vote(D1))
    ready = desk.core.step(orc.Tick(), NOW + 0.5)
    assert [D2] == [send.to for send in ready.messages if isinstance(send.message, Prepare)]


def test_a_decision_is_told_again_after_a_reconnect() -> None:
    """A broker that restarted has lost what was retained."""
    desk = committed()
    said = desk.tell(orc.Connected(), NOW + 0.001)
    assert any(isinstance(one, Decision) for one in said)


def test_an_ask_about_the_undecided_is_answered_by_silence() -> None:
    """Absence is never evidence, and nothing is presumed."""
    desk = begun()
    assert [] == desk.hear(Ask(device=D1, txn=samples.txn_id(1), seq=1))


def test_a_member_that_does_not_show_its_yes_is_not_enabled() -> None:
    """While a transaction is undecided, its members are enabled if they show that they know."""
    desk = begun()
    (blind,) = [one for one in desk.hear(hello(D1, 2)) if isinstance(one, Welcome)]
    shown = desk.hear(hello(D1, 3, prepared=samples.txn_id(1)))
    (seen,) = [one for one in shown if isinstance(one, Welcome)]
    assert (False, True) == (blind.enable, seen.enable)


def test_a_member_is_not_caught_up_while_its_transaction_is_undecided() -> None:
    """No CATCH-UP to the version that the decision is about to leave behind."""
    desk = committed()
    for device in (D1, D2):
        desk.hear(active(device))
    lock = LockTaken(epoch=samples.epoch(3), state=LockState.HELD, owner=OWNER, purpose="push")
    desk.store(lock)
    goal = samples.push(2, 1, (D1, D2))
    second = Coordinator(
        desk.state,
        goal=goal,
        timing=replace(TIMING, join_s=0),
        epoch=samples.epoch(3),
        owner=OWNER,
    )
    desk.core = second
    desk.tell(orc.Connected())
    assert Phase.PREPARING is second.phase
    assert not any(isinstance(one, CatchUp) for one in desk.hear(hello(D1, 9)))
    desk.tell(orc.AbortAsked(cause="stop"))
    assert any(isinstance(one, CatchUp) for one in desk.hear(hello(D1, 10)))


def test_the_welcome_comes_before_what_makes_the_device_ask_anew() -> None:
    """WELCOME measures the clock; a DECISION or CATCH-UP voids the answer that comes after it."""
    desk = committed()
    said = desk.hear(hello(D1, 9, prepared=samples.txn_id(1)))
    assert ["welcome", "decision"] == [one.kind for one in said]


# --- ending -------------------------------------------------------------------------------------


def test_who_has_not_followed_is_deferred_by_name() -> None:
    """After settle_s everybody that is missing is named, and waited for (I15)."""
    desk = committed()
    desk.hear(active(D1))
    assert "ended" not in desk.kinds()
    desk.tell(orc.Tick(), NOW + 10)
    ended = next(one.record for one in desk.entries if isinstance(one.record, Ended))
    assert (D2,) == ended.deferred


def test_a_commit_is_acknowledged_by_who_operates_it() -> None:
    """A report of the version that is not active yet acknowledges nothing."""
    desk = committed()
    for device in (D1, D2):
        desk.hear(report(device, 3, version=1, last_seq=1, pending=True))
    assert "ended" not in desk.kinds()


def test_a_resolver_fences_and_drives_forward() -> None:
    """Whoever takes over a decided transaction drives it, and fences the devices first."""
    desk = committed()
    said = take_over(desk)
    assert [Fence, Decision] == [type(one) for one in said]
    assert Outcome.COMMIT is said[-1].outcome  # type: ignore[union-attr]


def test_a_lock_is_released_by_its_owner_at_the_end() -> None:
    """The last record of a push frees the lock and raises the epoch."""
    desk = committed()
    for device in (D1, D2):
        desk.hear(active(device))
    last = desk.entries[-1].record
    assert isinstance(last, LockReleased)
    assert samples.epoch(2) == last.epoch


def settling() -> Desk:
    """A desk without the lock, for a fleet of which D2 is deferred."""
    desk = committed()
    desk.hear(active(D1))
    desk.tell(orc.Tick(), NOW + 10)
    desk.core = settler(desk.state, orc.Settle(until=NOW + 60, members=(D1, D2)))
    desk.tell(orc.Connected(), NOW + 10)
    return desk


def test_the_deferred_are_answered_without_the_lock() -> None:
    """Settling needs no lock: it answers from the fold, and notes who has followed."""
    desk = settling()
    said = desk.hear(Ask(device=D2, txn=samples.txn_id(1), seq=1), NOW + 11)
    assert {Outcome.COMMIT} == {one.outcome for one in said if isinstance(one, Decision)}
    desk.hear(active(D2), NOW + 11)
    assert isinstance(desk.entries[-1].record, Settled)


def test_settling_waits_for_those_that_are_behind() -> None:
    """A device that operates an older version is not settled: it has not been caught up yet."""
    desk = settling()
    desk.hear(active(D2), NOW + 11)
    desk.hear(report(D1, 9, version=0, operating=0), NOW + 11)
    before = desk.core.phase
    desk.hear(active(D1, 10), NOW + 11)
    assert (Phase.SETTLING, Phase.DONE) == (before, desk.core.phase)


# --- time ---------------------------------------------------------------------------------------


def test_the_timeline_is_measured() -> None:
    """The slowest member makes the window; hold_at and activate_at follow from it and from ε."""
    slow = Evidence(rtt_s=0.2, state=state(staging_s=0.3))
    made = measured(NOW, orc.Timing(clock_error_s=0.05), [Evidence(rtt_s=0.01), slow], 0.01)
    quick = measured(NOW, orc.Timing(clock_error_s=0.05), [Evidence(rtt_s=0.01)], 0.01)
    assert NOW + WINDOW_FLOOR_S < quick.vote_by < made.vote_by <= NOW + WINDOW_MAX_S
    assert made.hold_at - made.vote_by >= 0.21
    assert made.activate_at == pytest.approx(made.hold_at + 0.1)


def test_a_slow_store_widens_the_window() -> None:
    """Nobody hears PREPARE before Begun is stored: what that takes is not taken from the votes."""
    timing, quick = orc.Timing(clock_error_s=0.05), [Evidence(rtt_s=0.01)]
    at_once = measured(NOW, timing, quick, 0.0)
    slowly = measured(NOW, timing, quick, 0.5)
    assert slowly.vote_by - at_once.vote_by >= 0.5


def test_a_window_that_is_given_is_kept() -> None:
    """The operator's window is not second-guessed; the margin has a floor."""
    made = measured(NOW, orc.Timing(window_s=3.0, clock_error_s=0.05), [Evidence(rtt_s=0.0)], 0.0)
    assert NOW + 3.0 == made.vote_by
    assert made.hold_at - made.vote_by == pytest.approx(MARGIN_FLOOR_S)


def test_it_wakes_for_what_is_due() -> None:
    """In every phase the coordinator asks to be woken before something falls due."""
    desk = Desk()
    ready = desk.core.step(orc.Connected(), NOW)
    assert ready.wake_at is not None
    assert ready.wake_at <= NOW + TIMING.join_s
    desk = begun()
    ready = desk.core.step(orc.Tick(), NOW + 0.95)
    ready = desk.core.step(orc.Tick(), NOW + 0.96)
    assert ready.wake_at is not None
    assert ready.wake_at <= NOW + 1.002
