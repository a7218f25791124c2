"""The goals that the checker recognises by itself, and the figures of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from drone_sim.checker import GOALS, Disturbance, missing
from drone_sim.checker.goals import in_force
from drone_sim.cores import samples
from drone_sim.result import Speed
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol import lease, records
from orchestrator.protocol.messages import Ask
from orchestrator.protocol.order import STALE
from orchestrator.protocol.records import (
    AbortRequested,
    Adopted,
    Answer,
    Begun,
    Decided,
    HeuristicDecided,
    LockRequested,
    LockState,
    LockWithdrawn,
    Rejoined,
    ReleaseAnswered,
    ReleaseRequested,
    Relisted,
    Reseeded,
    Retired,
    Settled,
)
from orchestrator.protocol.types import DeviceId, Epoch, Owner, Ticket
from tests.checker.hand import ABORT, COMMIT, D1, D2, OTHER, PUSHER, Hand, ids, owner

FAR = owner(9, machine="another", boot="another")
T2 = samples.txn_id(2)


def opened(hand: Hand) -> Begun:
    """Open transaction 2."""
    hand.take()
    return hand.begin(2)


def aborted(hand: Hand, cause: str, **refused: tuple[str, ...]) -> None:
    """Abort it under the lock that is held."""
    named = {DeviceId(name): why for name, why in refused.items()}
    epoch = hand.fleet.lock.epoch
    hand.append(Decided(txn=T2, epoch=epoch, outcome=ABORT, cause=cause, refused=named))


def resolved(hand: Hand, purpose: str, *, by: Owner = FAR) -> None:
    """Resolve the lock as a resolver does, in one append."""
    epoch = hand.fleet.lock.epoch
    found = lease.resolve(hand.fleet, epoch, by, "gone", records.Verb(purpose))
    assert isinstance(found, tuple)
    hand.append(*found)


def shattered(hand: Hand) -> None:
    """Break the glass."""
    found = lease.break_glass(hand.fleet, hand.fleet.lock.epoch, OTHER, "no time")
    assert isinstance(found, tuple)
    hand.append(*found)


# --- stories ------------------------------------------------------------------------------------


def a_no(hand: Hand) -> None:
    """A member refuses."""
    record = opened(hand)
    hand.say(D1, hand.vote(D1, record, yes=False))
    aborted(hand, "refused", d1=("no",))


def silence(hand: Hand) -> None:
    """A member does not vote."""
    opened(hand)
    aborted(hand, "votes missing at vote_by", d1=("silent",))


def a_person(hand: Hand) -> None:
    """Somebody asks for the abort."""
    opened(hand)
    hand.append(AbortRequested(txn=T2, by=OTHER, reason="wrong file"))
    aborted(hand, "asked")


def a_time_out(hand: Hand) -> None:
    """The push has waited for long enough."""
    opened(hand)
    aborted(hand, "no decision within 3 s")


def a_request(hand: Hand) -> None:
    """The holder is asked for its lock, and aborts."""
    opened(hand)
    epoch = hand.fleet.lock.epoch
    hand.append(ReleaseRequested(epoch=epoch, by=OTHER, reason="please"))
    answer = ReleaseAnswered(epoch=epoch, by=PUSHER, answer=Answer.ABORT)
    hand.append(
        answer, Decided(txn=T2, epoch=epoch, outcome=ABORT, cause=f"release asked by {OTHER}")
    )


def force(hand: Hand) -> None:
    """The lock is forced before the decision."""
    opened(hand)
    resolved(hand, "force-unlock")


def force_late(hand: Hand) -> None:
    """The lock is forced after the decision."""
    record = opened(hand)
    for name in (D1, D2):
        hand.prepare(name, record)
    hand.decide(2)
    resolved(hand, "force-unlock")


def force_idle(hand: Hand) -> None:
    """The lock is forced while nothing is open."""
    hand.take()
    resolved(hand, "force-unlock")


def recovered(hand: Hand) -> None:
    """Recover sees that the owner is dead; another takes over from the first."""
    opened(hand)
    hand.checker.process_ended(PUSHER)
    resolved(hand, "recover", by=OTHER)
    resolved(hand, "force-unlock")


def expired(hand: Hand) -> None:
    """Serve takes what is past its grace."""
    opened(hand)
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(31.0)
    resolved(hand, "expire")


def glass(hand: Hand) -> None:
    """Glass is broken, and a device re-joins."""
    opened(hand)
    shattered(hand)
    hand.append(Rejoined(device=D1, version=1, last_seq=2))


def line(hand: Hand) -> None:
    """The first in the line is gone, the second is served."""
    hand.checker.process_started("waiter", OTHER, Verb.PUSH)
    first, second = Ticket("w1"), Ticket("w2")
    hand.append(LockRequested(ticket=first, owner=OTHER, purpose="push"))
    hand.append(LockRequested(ticket=second, owner=PUSHER, purpose="push"))
    hand.checker.process_ended(OTHER)
    hand.append(LockWithdrawn(ticket=first, by=PUSHER, reason="gone"))
    hand.take(PUSHER, ticket=second)


def followed(hand: Hand) -> None:
    """A member is deferred, asks late, and follows."""
    record = opened(hand)
    hand.prepare(D1, record)
    hand.say(D1, Ask(device=D1, txn=T2, seq=2))
    hand.decide(2, ABORT)
    hand.end(2, D1)
    hand.wait(5.0)
    hand.finish(D1, ABORT)
    hand.append(Settled(device=D1, txn=T2, version=1, last_seq=2))


def left_out(hand: Hand) -> None:
    """A push leaves a device out, which is caught up afterwards."""
    hand.take()
    record = hand.begin(2, members=(D1,))
    hand.prepare(D1, record)
    hand.decide(2)
    hand.finish(D1, COMMIT)
    hand.end(2)
    hand.store(D2, version=2, digest=record.spare[D2], last_seq=2)


def late(hand: Hand) -> None:
    """What a device learns late is the past already."""
    record = opened(hand)
    hand.prepare(D1, record)
    hand.decide(2, ABORT)
    hand.end(2, D1)
    hand.wait(2.0)
    hand.finish(D1, ABORT)
    hand.store(D1, version=3, last_seq=3)


def unit(hand: Hand) -> None:
    """Another unit is confirmed."""
    hand.checker.device_replaced(D1, replace(hand.disks[D1], known=False))
    hand.checker.confirmed(D1, hand.disks[D1], hand.folds)


def repeated(hand: Hand) -> None:
    """A yes is told twice; an old PREPARE is refused."""
    record = opened(hand)
    hand.prepare(D1, record)
    hand.say(D1, hand.vote(D1, record))
    hand.say(D1, hand.vote(D1, record))
    no = hand.vote(D2, record, yes=False)
    hand.say(D2, replace(no, reasons=(f"{STALE}3 is below 5",)))


def held(hand: Hand) -> None:
    """A device holds for every reason there is."""
    hand.aim(D1, None, "in doubt", "activation failed")
    hand.aim(D1, None, "its lease to operate has run out")
    hand.aim(D1, None, "clock error above the fleet's bound")


def word(hand: Hand) -> None:
    """A device flies on a person's word; the decision is another."""
    record = opened(hand)
    hand.prepare(D1, record)
    hand.append(HeuristicDecided(device=D1, txn=T2, outcome=COMMIT, by=OTHER, reason="fly"))
    hand.store(D1, heuristic=COMMIT)
    hand.decide(2, ABORT)


def answers(hand: Hand) -> None:
    """Two answers are lost, and read back."""
    hand.checker.answer_lost("push")
    hand.checker.read_back("push", written=True)
    hand.checker.answer_lost("push")
    hand.checker.read_back("push", written=False)


def restored(hand: Hand) -> None:
    """The store has lost a whole push, and is reseeded."""
    hand.push(2)
    hand.restore(6)
    epoch = Epoch(2, 1)
    hand.take(OTHER, LockState.RESOLVING, purpose="reseed", reason="restored", epoch=epoch)
    hand.append(Reseeded(epoch=epoch, last_seq=2, by=OTHER, reason="restored"))
    lost = Relisted(
        txn=T2, seq=2, outcome=COMMIT, config="c", plan=samples.digest("p"), digests={}
    )
    hand.append(Adopted(epoch=epoch, last_seq=2, relisted=(lost,)))


def reseed_aborts(hand: Hand) -> None:
    """A reseed aborts what nobody knows to be committed."""
    opened(hand)
    epoch = Epoch(2, 1)
    hand.take(OTHER, LockState.RESOLVING, purpose="reseed", reason="restored", epoch=epoch)
    hand.append(Reseeded(epoch=epoch, last_seq=2, by=OTHER, reason="restored"))
    hand.append(
        Adopted(epoch=epoch, last_seq=2),
        Decided(txn=T2, epoch=epoch, outcome=ABORT, cause="reseed: none has recorded COMMIT"),
    )


def zombie(hand: Hand) -> None:
    """A holder is paused, loses its lock, goes on, and finds out."""
    opened(hand)
    hand.checker.process_paused(PUSHER, paused=True)
    resolved(hand, "force-unlock")
    hand.checker.process_paused(PUSHER, paused=False)
    hand.checker.process_ended(PUSHER)


def worn(hand: Hand) -> None:
    """Worn flash is written anew."""
    hand.checker.active_file(D1, b"whole", {b"whole"})
    hand.checker.fault_began(Act(at_s=0.0, verb=Verb.DAMAGE, target=(D1,)))
    hand.checker.active_file(D1, b"worn", {b"whole"})
    hand.checker.active_file(D1, b"whole", {b"whole"})


def stepped(hand: Hand) -> None:
    """A step is proved."""
    hand.checker.clock_detected(D1)


def sold(hand: Hand) -> None:
    """A device is retired."""
    hand.append(Retired(device=D2, by=OTHER, reason="sold"))


SHOWN: Final[dict[Callable[[Hand], None], str]] = {
    a_no: "abort-by-no",
    silence: "abort-by-missing-votes",
    a_person: "abort-by-person",
    a_time_out: "abort-by-time-out",
    a_request: "abort-by-request request-answered",
    force: "abort-by-force force-before-decision",
    force_late: "commit force-after-decision",
    force_idle: "force-with-nothing-open",
    recovered: "abort-by-takeover takeover-by-recover takeover-of-the-dead resolved-twice",
    expired: "abort-by-takeover takeover-by-serve takeover-after-grace",
    glass: "abort-by-glass break-glass quarantined quarantine-rejoined",
    line: "waiter-served dead-waiter-passed-over",
    followed: "deferred deferred-followed doubt-ended-by-asking late-decision",
    left_out: "commit caught-up left-out-caught-up",
    late: "late-decision late-then-caught-up",
    unit: "replaced-rejoined",
    repeated: "duplicate-prepare-answered stale-prepare-refused",
    held: "held-in-doubt held-activation-failed lease-ran-out held-for-its-clock",
    word: "word word-obeyed word-overruled",
    answers: "answer-lost-written answer-lost-not-written",
    restored: "store-rolled-back reseeded relisted",
    reseed_aborts: "abort-by-reseed reseeded",
    zombie: "zombie-fenced force-before-decision",
    worn: "torn-file-repaired",
    stepped: "clock-step-detected",
    sold: "retired",
}


@pytest.mark.parametrize("story", SHOWN, ids=lambda story: story.__name__)
def test_a_story_shows_its_goals(story: Callable[[Hand], None]) -> None:
    """What the story is about is recognised, and was not there before it."""
    hand = Hand().steady()
    before = Counter(hand.checker.goals)
    story(hand)
    seen = hand.checker.goals - before
    assert set(SHOWN[story].split()) <= set(seen)


def test_every_goal_that_is_not_counted_is_shown() -> None:
    """The stories show all goals that the checker recognises, but for the acts."""
    shown = set(" ".join(SHOWN.values()).split())
    recognised = {goal.name for goal in GOALS.values() if not goal.counted}
    assert recognised - {in_force(verb) for verb in Verb} == shown


@pytest.mark.parametrize("verb", Verb)
def test_each_act_is_a_goal(verb: Verb) -> None:
    """Every verb must take place somewhere, and is counted when it does."""
    hand = Hand().steady()
    act = Act(at_s=0.0, verb=verb, target=(D1,))
    hand.checker.fault_began(act)
    hand.checker.fault_ended(act)
    assert in_force(verb) in GOALS
    assert 1 == hand.checker.goals[in_force(verb)]


def test_what_is_missing() -> None:
    """Missing are the goals of this speed that were never seen."""
    assert set(GOALS) > set(missing({}, Speed.CORES))
    assert set(GOALS) == set(missing({}, Speed.SHELLS))
    assert () == missing(dict.fromkeys(GOALS, 1), Speed.SHELLS)
    assert "commit" not in missing({"commit": 1}, Speed.CORES)
    assert "commit" in missing({"commit": 0}, Speed.CORES)


def test_every_goal_says_what_it_is() -> None:
    """A goal has a text for whoever reads that it was never seen."""
    assert [] == [goal.name for goal in GOALS.values() if not goal.text]


def test_the_figures_of_a_run() -> None:
    """Transactions, forced unlocks, acts, holds and skews are counted."""
    hand = Hand().steady()
    hand.push(2)
    hand.take()
    hand.begin(3)
    resolved(hand, "force-unlock")
    hand.strike(Verb.REPLAY, D1)
    hand.checker.disturbed(Disturbance.DUPLICATE, D1)
    found = hand.checker.figures(virtual_s=9.0, steps=3, messages=2, seams=5, awaits=6)
    assert (2, 1, 1) == (found.committed, found.aborted, found.forced)
    assert {"replay": 1, "duplicate": 1} == dict(found.acts)
    assert (9.0, 3, 2, 5, 6) == (
        found.virtual_s,
        found.steps,
        found.messages,
        found.seams,
        found.awaits,
    )
    assert [D1, D2] == [hold.device for hold in found.holds]
    assert (0.0, 0.0) == found.skews_s
    assert set() == ids(hand)
