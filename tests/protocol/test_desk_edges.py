"""Small promises of the orchestrator's side: who is asked when, and what is never said twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import answers
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.device import Holding
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.messages import (
    Ask,
    Decision,
    Fence,
    Heuristic,
    Message,
    Presence,
    Want,
    Welcome,
)
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.records import Decided, Ended, Record
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Digest, Outcome
from tests.protocol.journals import (
    AGAIN,
    COMMITTED,
    ENDED,
    LEASED,
    OPEN,
    STORIES,
    adopted,
    lost,
    retired,
    told,
    word,
)
from tests.protocol.one_desk import (
    D1,
    D2,
    NOW,
    TIMING,
    Desk,
    active,
    begun,
    committed,
    hello,
    report,
    resolver,
    settler,
    take_over,
    vote,
)


def settling(*story: Record, goal: orc.Settle | None = None) -> Coordinator:
    """Somebody who answers, after a story."""
    return settler(told(*story)[0], goal)


def sent(ready: orc.CoordinatorReady) -> list[tuple[DeviceId | None, Message]]:
    """To whom it says what."""
    return [(send.to, send.message) for send in ready.messages]


# --- pauses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "pause_s"), [(1, 0.2), (100, 0.2), (300, 0.6)])
def test_a_large_fleet_has_more_time_to_answer(members: int, pause_s: float) -> None:
    """Everybody is asked again after 0.2 s, or 2 ms for each member; whoever drives."""
    names = [samples.device_id(number) for number in range(members)]
    push = samples.push(1, 0, names)
    pusher = Desk(push)
    assert pytest.approx(pause_s) == pusher.core._resend_s
    fleet = pusher.state
    pusher.tell(orc.Connected())
    pusher.tell(orc.Tick(), NOW + TIMING.join_s)
    assert pusher.state.open is not None
    assert pytest.approx(pause_s) == resolver(pusher.state)._resend_s
    assert 0.2 == resolver(fleet)._resend_s


def test_the_size_of_the_fleet_is_that_of_its_version() -> None:
    """With nothing open it is the members of the installed version who are asked."""
    names = [samples.device_id(number) for number in range(300)]
    committed_txn = told(*ENDED)[0].installed
    assert committed_txn is not None
    many = {name: samples.digest("x") for name in names}
    installed = replace(committed_txn, begun=replace(committed_txn.begun, digests=many))
    fleet = replace(told(*AGAIN)[0], installed=installed)
    core = Coordinator(fleet, goal=orc.Settle(until=NOW), timing=TIMING)
    assert pytest.approx(0.6) == core._resend_s


# --- blobs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digest", "wanted"),
    [("plan-t1", True), (f"t1-{D1}", True), (f"t1-{D2}", True), ("other", False)],
)
def test_a_blob_that_is_wanted_is_published_again_after_a_pause(
    digest: str, *, wanted: bool
) -> None:
    """One of the transaction's, once in 0.2 s; no other."""
    desk = begun()
    want = Want(device=D1, txn=samples.txn_id(1), digest=samples.digest(digest))
    publish = orc.PublishBlob(txn=want.txn, digest=want.digest)
    for at, again in ((NOW + 0.1, False), (NOW + 0.2, wanted), (NOW + 0.3, False)):
        ready = desk.core.step(orc.Arrived(message=want), at)
        assert (publish,) * again == ready.effects


def test_the_blobs_of_the_installed_version_are_still_served() -> None:
    """Also those that it has for devices that it leaves out; not those of another transaction."""
    push = samples.push(1, 0, (D1,), (D2,))
    desk = Desk(push)
    for event in (orc.Connected(), orc.Arrived(message=hello(D1)), orc.Arrived(message=vote(D1))):
        desk.tell(event)
    assert desk.state.installed is not None
    goal = orc.Settle(until=NOW + 60, members=(D1,))
    core = Coordinator(desk.state, goal=goal, timing=TIMING)
    core.step(orc.Connected(), NOW)

    def effects(number: int, digest: Digest) -> tuple[orc.Effect, ...]:
        want = Want(device=D2, txn=samples.txn_id(number), digest=digest)
        return core.step(orc.Arrived(message=want), NOW).effects

    spare = samples.digest(f"t1-{D2}")
    assert (orc.PublishBlob(txn=samples.txn_id(1), digest=spare),) == effects(1, spare)
    assert () == effects(2, spare)


# --- votes, words, notices ----------------------------------------------------------------------


def test_a_stale_vote_is_told_to_people() -> None:
    """It does not count, and a member's is worth a line of the log."""
    desk = begun()
    stale = replace(vote(D1), seq=7)
    ready = desk.core.step(orc.Arrived(message=stale), NOW)
    assert (notice(Level.DEBUG, "stale-vote", device=D1, txn=stale.txn),) == ready.notices
    stranger = replace(stale, device=DeviceId("d9"))
    assert () == desk.core.step(orc.Arrived(message=stranger), NOW).notices


def test_what_contradicts_the_journal_is_told_with_the_abort() -> None:
    """The notice goes out with the append that it causes."""
    desk = begun()
    desk.hold = True
    ready = desk.core.step(orc.Arrived(message=hello(D1, 9, last_seq=9)), NOW)
    why = "it has seen txn 9, this journal ends at 1"
    assert (notice(Level.ERROR, "store-contradicted", device=D1, why=why),) == ready.notices
    ((append,), told_why) = ready.writes, f"{D1}: {why}"
    (decided,) = append.records
    assert isinstance(decided, Decided)
    assert (Outcome.ABORT, told_why) == (decided.outcome, decided.cause)


def test_a_retired_device_is_not_answered() -> None:
    """It is named to people, and gets nothing."""
    core = settling(*AGAIN, retired(D1))
    core.step(orc.Connected(), NOW)
    ready = core.step(orc.Arrived(message=hello(D1, version=1, last_seq=1)), NOW)
    assert (notice(Level.WARNING, "retired-device", device=D1),) == ready.notices
    assert [] == sent(ready)


def test_the_outcome_that_was_read_back_asks_for_no_abort() -> None:
    """The answer of a COMMIT was lost and the record is there: nothing is to be undone."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hold = True
    desk.hear(vote(D2))
    assert desk.pending is not None
    stored = desk.answer(desk.pending)
    desk.hold = False
    desk.tell(replace(stored, unknown=True))
    assert (None, Phase.DRIVING) == (desk.core.abort_cause, desk.core.phase)


def test_a_hint_of_the_broker_is_kept() -> None:
    """Presence is remembered with what else is known of a device, and orders nothing."""
    desk = begun()
    before = desk.core.witness.of(D2)
    desk.hear(Presence(device=D2, online=False))
    assert replace(before, online=False) == desk.core.witness.of(D2)
    assert "offline: it is not connected to the broker" == desk.core.witness.silence(D2)
    desk.hear(Presence(device=D2, online=True))
    assert "no vote by vote_by" == desk.core.witness.silence(D2)
    nobody = DeviceId("d9")
    assert "silent: no answer since the push began" == desk.core.witness.silence(nobody)


def causes(desk: Desk) -> list[str]:
    """Why it was decided as it was."""
    return [one.record.cause for one in desk.entries if isinstance(one.record, Decided)]


def test_the_cause_of_a_decision_is_said() -> None:
    """Votes that came too late, votes that are missing, a refusal, all yes."""
    late, missing, refused = begun(), begun(), begun()
    late.hear(vote(D1))
    late.hear(vote(D2), NOW + 1.01)
    missing.tell(orc.Tick(), NOW + 1.0)
    assert [] == causes(missing)
    missing.tell(orc.Tick(), NOW + 1.01)
    refused.hear(vote(D1, "wind"))
    refused.hear(vote(D2))
    assert ["the votes came too late"] == causes(late)
    assert ["votes missing at vote_by"] == causes(missing)
    assert ["refused"] == causes(refused)
    assert ["every member voted yes"] == causes(committed())


def test_who_drives_what_another_has_begun_aborts_it() -> None:
    """The votes are of another epoch: with the lock gone in between they count no more."""
    desk = begun()
    desk.hear(vote(D1))
    take_over(desk, "recover")
    assert ["its coordinator lost the lock"] == causes(desk)


def test_misuse_is_said() -> None:
    """A driver without an epoch, an event in the middle of an append: in these words."""
    with pytest.raises(InvariantViolation) as refusal:
        Coordinator(told()[0], goal=orc.Resolve(), timing=TIMING)
    assert "a driver needs the lock's epoch" == str(refusal.value)
    desk = begun()
    desk.hear(vote(D1))
    desk.hold = True
    desk.hear(vote(D2))
    with pytest.raises(ProtocolMisuse) as misuse:
        desk.core.step(orc.Tick(), NOW)
    assert "Tick while an append is under way" == str(misuse.value)


# --- ends ---------------------------------------------------------------------------------------


def test_who_has_recorded_and_only_waits_is_not_deferred() -> None:
    """A device that knows the ABORT, late, and waits for a confirmation has acknowledged."""
    desk = begun()
    desk.hear(vote(D1))
    desk.hear(vote(D2, "no room"))
    late = {"last_seq": 1, "holds": (Holding.LATE.value,), "outcome_txn": samples.txn_id(1)}
    desk.hear(report(D1, 3, outcome=Outcome.ABORT, outcome_seq=1, **late))
    assert "ended" not in desk.kinds()
    desk.tell(orc.Tick(), NOW + TIMING.settle_s)
    (end,) = [one.record for one in desk.entries if isinstance(one.record, Ended)]
    assert (D2,) == end.deferred


def test_who_settles_waits_for_the_deferred() -> None:
    """Although nobody was named to it: a decision is still to be told."""
    core, phases = settling(*AGAIN), []
    for event, at in ((orc.Connected(), 0.0), (orc.Tick(), 1.0), (orc.Tick(), 60.0)):
        core.step(event, NOW + at)
        phases.append(core.phase)
    assert [Phase.SETTLING, Phase.SETTLING, Phase.DONE] == phases
    assert () == core.appending


def test_who_settles_with_nobody_to_wait_for_is_done() -> None:
    """There is nothing to do, and nothing to be cleared."""
    core = settling(*COMMITTED[:1])
    ready = core.step(orc.Connected(), NOW)
    assert (Phase.DONE, (), None) == (core.phase, ready.effects, ready.wake_at)


def test_only_who_may_have_a_lease_is_called_when_silent() -> None:
    """Whoever serves calls who has not spoken for a lease; not the retired."""
    goal = orc.Settle(until=NOW, members=(D1, D2), leases=orc.Leases(lease_s=5.0))
    core = settling(*LEASED, retired(D2), goal=goal)
    core.step(orc.Connected(), NOW)
    called = sent(core.step(orc.Tick(), NOW + 0.2))
    assert [D1] == [to for to, message in called if isinstance(message, Fence)]


def test_an_ask_of_who_is_deferred_is_answered() -> None:
    """From the journal, to the one who has asked, with the plan that was promised."""
    core = settling(*AGAIN)
    core.step(orc.Connected(), NOW)
    ask = Ask(device=D2, txn=samples.txn_id(1), seq=1)
    ((to, message),) = sent(core.step(orc.Arrived(message=ask), NOW))
    decision = Decision(
        txn=ask.txn,
        seq=1,
        epoch=samples.epoch(2),
        plan=samples.digest("plan-t1"),
        outcome=Outcome.COMMIT,
    )
    assert (D2, decision) == (to, message)


def test_it_takes_a_reading_of_the_clock_for_each_answer() -> None:
    """The answer has the instant at which the HELLO came, and the one at which it is answered."""
    core = settling(*AGAIN)
    core.step(orc.Connected(), NOW)
    greeting = hello(D1, version=1, last_seq=1, digest=samples.digest(f"t1-{D1}"))
    (send, *_) = core.step(orc.Arrived(message=greeting, at=NOW - 0.5), NOW).messages
    assert isinstance(send.message, Welcome)
    assert (NOW - 0.5, NOW) == (send.message.received_at, send.message.sent_at)


def test_the_end_of_a_push_clears_what_it_has_published() -> None:
    """Plan, configurations and the decision that nobody waits for, in one effect."""
    desk = committed()
    desk.hear(active(D1))
    ready = desk.core.step(orc.Arrived(message=active(D2)), NOW)
    while ready.writes:
        ready = desk.core.step(desk.answer(ready.writes[0]), NOW)
    digests = tuple(sorted(samples.digest(name) for name in ("plan-t1", "t1-d1", "t1-d2")))
    assert Phase.DONE is desk.core.phase
    taken_back = orc.ClearRetained(txn=samples.txn_id(1), digests=digests, decision=True)
    assert (taken_back,) == ready.effects


# --- what a reseed leaves open ------------------------------------------------------------------


def test_a_word_is_told_to_who_is_in_doubt_while_a_reseed_is_open() -> None:
    """The devices are only just telling what the fleet is: nothing else is answered."""
    story = (*OPEN, word(D1), *STORIES["reseeded"][-2:])
    core = resolver(told(*story)[0])
    core.step(orc.Connected(), NOW)
    doubt: dict[str, Any] = {"prepared": samples.txn_id(1), "prepared_seq": 1}
    answer = Heuristic(txn=samples.txn_id(1), outcome=Outcome.COMMIT)
    said = sent(core.step(orc.Arrived(message=hello(D1, **doubt)), NOW))
    assert [(D1, answer)] == said
    other: dict[str, Any] = {"prepared": samples.txn_id(2), "prepared_seq": 2}
    assert [] == sent(core.step(orc.Arrived(message=hello(D1, 2, **other)), NOW))
    assert [] == sent(core.step(orc.Arrived(message=hello(D2, **doubt)), NOW))


def test_a_plan_that_nobody_knows_is_answered_with_that_of_who_asks() -> None:
    """A reseed could not learn it; whoever waits is asked what it has promised, and told that."""
    unknown = replace(lost(4, Outcome.COMMIT, D1), plan=NOT_KNOWN)
    core = settling(*STORIES["reseeded"], adopted(unknown))
    core.step(orc.Connected(), NOW)
    ask = Ask(device=D1, txn=samples.txn_id(4), seq=4)
    assert [(D1, answers.ROLL_CALL)] == sent(core.step(orc.Arrived(message=ask), NOW))
    plan = samples.digest("plan-t4")
    doubt: dict[str, Any] = {"prepared": ask.txn, "prepared_seq": 4, "prepared_plan": plan}
    core.step(orc.Arrived(message=report(D1, **doubt)), NOW)
    ((to, message),) = sent(core.step(orc.Arrived(message=ask), NOW))
    assert isinstance(message, Decision)
    assert (D1, ask.txn, plan) == (to, message.txn, message.plan)


# --- what is measured ---------------------------------------------------------------------------


def test_a_round_trip_is_measured_once_from_the_fence() -> None:
    """By the first HELLO after it, and by nothing that came before or comes later."""
    witness = Witness()
    witness.learn(hello(D1), NOW)
    assert (None, False) == (witness.of(D1).rtt_s, witness.of(D1).answered_fence)
    witness.fence_sent(NOW + 1.0)
    witness.fence_sent(NOW + 5.0)
    witness.learn(report(D1, 2), NOW + 1.1)
    assert (None, False) == (witness.of(D1).rtt_s, witness.of(D1).answered_fence)
    witness.learn(hello(D1, 3), NOW + 1.2)
    witness.learn(hello(D1, 4), NOW + 3.0)
    assert witness.of(D1).rtt_s == pytest.approx(0.2)
    assert witness.of(D1).answered_fence
    assert NOW + 3.0 == witness.of(D1).at
    witness.learn(hello(D1, 4, version=9), NOW + 4.0)
    assert NOW + 3.0 == witness.of(D1).at
