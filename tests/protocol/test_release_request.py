"""Asking a living holder for the lock: what it answers in each phase, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.records import Answer, Decided, ReleaseAnswered
from orchestrator.protocol.types import Outcome
from tests.protocol.journals import OPEN, reborn, reseeded, retired
from tests.protocol.one_desk import (
    D1,
    D2,
    NOW,
    OWNER,
    Desk,
    active,
    begun,
    committed,
    joining,
    resolver,
    settler,
    vote,
)

ASKER: Final = samples.owner("p")


def ask(desk: Desk) -> None:
    """Ask the holder for its lock, and let it see that."""
    asked = lease.request_release(desk.state, desk.state.lock.epoch, ASKER, "please")
    assert not isinstance(asked, lease.NotTheLock)
    desk.tell_of(*asked)


def answers_of(desk: Desk) -> list[Answer]:
    """What it has answered."""
    return [one.record.answer for one in desk.entries if isinstance(one.record, ReleaseAnswered)]


@pytest.mark.parametrize(
    ("make", "answer", "phase"),
    [
        (joining, Answer.RELEASE, Phase.DONE),
        (begun, Answer.ABORT, Phase.DRIVING),
        (committed, Answer.FINISH, Phase.DRIVING),
    ],
)
def test_the_holder_says_what_it_does_about_it(
    make: Callable[[], Desk], answer: Answer, phase: Phase
) -> None:
    """With nothing open it releases, undecided it aborts, decided it finishes: once each."""
    desk = make()
    ask(desk)
    desk.tell(orc.Tick())
    assert ([answer], phase) == (answers_of(desk), desk.core.phase)


def test_the_answer_is_in_the_append_of_what_it_says() -> None:
    """ABORT is answered where it is decided; nobody reads of the one without the other (I23)."""
    desk = begun()
    desk.hold = True
    ask(desk)
    assert desk.pending is not None
    assert ["release_answered", "decided"] == [one.kind for one in desk.pending.records]


def test_a_request_that_comes_before_the_last_vote_aborts() -> None:
    """The COMMIT conflicts with the request, which is seen and obeyed."""
    desk = begun()
    desk.hear(vote(D1))
    asked = lease.request_release(desk.state, desk.state.lock.epoch, ASKER, "please")
    assert not isinstance(asked, lease.NotTheLock)
    desk.store(*asked)
    desk.hear(vote(D2))
    outcomes = [one.record.outcome for one in desk.entries if isinstance(one.record, Decided)]
    assert ([Outcome.ABORT], [Answer.ABORT]) == (outcomes, answers_of(desk))


def test_a_request_after_the_decision_changes_nothing() -> None:
    """What was decided is finished, and then the lock is free."""
    desk = committed()
    ask(desk)
    for device in (D1, D2):
        desk.hear(active(device))
    assert (Phase.DONE, [Answer.FINISH]) == (desk.core.phase, answers_of(desk))
    assert 1 == desk.state.version


def test_a_resolver_finishes() -> None:
    """Whoever drives a decision under a forced lock can only finish it."""
    desk = committed()
    taken = lease.resolve(desk.state, desk.state.lock.epoch, OWNER, "hangs")
    assert not isinstance(taken, lease.NotTheLock)
    desk.store(*taken)
    desk.core = resolver(desk.state)
    desk.tell(orc.Connected())
    ask(desk)
    assert [Answer.FINISH] == answers_of(desk)


def test_a_reseed_finishes() -> None:
    """In the middle of it nothing can be given back."""
    desk = Desk(taken=False)
    desk.store(*OPEN, reborn(), reseeded())
    desk.core = resolver(desk.state, orc.Resolve(members=(D1, D2)))
    desk.tell(orc.Connected(), NOW)
    ask(desk)
    assert ([Answer.FINISH], Phase.ADOPTING) == (answers_of(desk), desk.core.phase)


def test_who_holds_no_lock_answers_nothing() -> None:
    """A request is for the holder of its epoch; somebody who only settles is not asked."""
    desk = committed()
    epoch = desk.state.lock.epoch
    desk.core = settler(desk.state)
    desk.tell(orc.Connected())
    asked = lease.request_release(desk.state, epoch, ASKER, "please")
    assert not isinstance(asked, lease.NotTheLock)
    desk.tell_of(*asked)
    assert [] == answers_of(desk)


def test_a_member_that_was_retired_meanwhile_ends_a_push() -> None:
    """Before it has begun it gives the lock back; a fold would refuse its transaction."""
    desk = joining()
    desk.tell_of(retired(D2))
    desk.tell(orc.Tick(), NOW + 9)
    assert (Phase.DONE, "retired meanwhile: d2") == (desk.core.phase, desk.core.abort_cause)
    assert "begun" not in desk.kinds()
