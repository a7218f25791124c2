"""What a device does not record, say or begin before its controller has ceased to aim."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.messages import (
    Blob,
    CatchUp,
    Fence,
    Hello,
    Heuristic,
    Message,
    Vote,
)
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.types import Epoch, Outcome
from tests.protocol.one_device import (
    BASE,
    D1,
    NOW,
    PROMISE,
    TIMELINE,
    blob,
    catch_up,
    decision,
    get,
    perform,
    prepare,
    steady,
    welcome,
)

IN_DOUBT: Final = NOW + 2.0
REBORN: Final = Epoch(2, 1)
CHECKED: Final = dev.Checked(txn=samples.txn_id(5), digest=samples.digest("t5-d1"), reasons=())


Told = tuple[list[Message], list[str]]
"""What it says, and the kinds of what it starts."""


def tell(core: Participant, event: dev.Event, now: float = NOW) -> Told:
    """Step it, end its writes alone, and return what it says and what it starts."""
    ready = core.step(event, now)
    while ready.writes:
        ready = core.step(dev.Written(), now)
    started = [type(effect).__name__.lower() for effect in ready.effects]
    return [send.message for send in ready.messages], started


def hears(
    core: Participant, message: Message, now: float = NOW
) -> tuple[list[Message], list[str]]:
    """Hand it a message; see :func:`tell`."""
    return tell(core, dev.Arrived(message=message), now)


def fetched(order: CatchUp) -> Blob:
    """The bytes of a CATCH-UP, which a device finds on its own disk."""
    return Blob(txn=order.txn, digest=order.digest, data=b"x")


def catching_up() -> Participant:
    """A device that operates, has got a CATCH-UP, and has its bytes, and checked them, at once."""
    core, order = steady(BASE), catch_up(5)
    assert ["watch", "hold"] == hears(core, order)[1]
    hears(core, fetched(order))
    tell(core, CHECKED)
    return core


# --- CATCH-UP (K) -------------------------------------------------------------------------------


def test_nothing_is_caught_up_before_the_controller_has_obeyed() -> None:
    """The record would be the fleet's, and the aim still the old version's: I5."""
    core, versions = catching_up(), []
    versions.append(core.durable.version)
    tell(core, dev.Held())
    versions.append(core.durable.version)
    assert [4, 5] == versions


def test_who_refuses_to_hold_is_not_caught_up_until_it_obeys() -> None:
    """Each refusal leaves it where it is, and says why."""
    core = catching_up()
    for _ in range(3):
        tell(core, dev.Held(refused="busy"))
        assert (4, True) == (
            core.durable.version,
            Holding.DISOBEYED.value in core.state(NOW).holds,
        )
    tell(core, dev.Held())
    assert 5 == core.durable.version


def test_who_is_enabled_while_it_fetches_holds_once_more() -> None:
    """The bytes come late, an answer has let it aim meanwhile: it ceases to before it follows."""
    core, order = steady(BASE), catch_up(5)
    get(core, order)
    perform(core, dev.Connected(), NOW)
    get(core, welcome(core, BASE))
    hears(core, fetched(order))
    before = core.operating
    assert ["hold"] == tell(core, CHECKED)[1]
    waited = core.durable.version
    tell(core, dev.Held())
    assert (4, 4, 5) == (before, waited, core.durable.version)


# --- a yes from behind (D1) ---------------------------------------------------------------------


def left_behind() -> Participant:
    """A device at version 4 of a fleet at 6, where nobody knows what it should run."""
    core = steady(BASE)
    perform(core, dev.Connected(), NOW)
    missed = replace(welcome(core, BASE), version=6, digest=None, last_seq=6)
    assert "hold" in hears(core, missed)[1]
    timeline = replace(TIMELINE, vote_by=NOW + 1)
    hears(core, prepare(7, base=6, timeline=timeline))
    plan = samples.encode(samples.push(7, 6, (D1,)).plan)
    hears(core, Blob(txn=samples.txn_id(7), digest=samples.digest("plan-t7"), data=plan))
    hears(core, blob(7, "t7-d1"))
    return core


SEVEN: Final = replace(CHECKED, txn=samples.txn_id(7), digest=samples.digest("t7-d1"))


def votes(said: list[Message]) -> list[bool]:
    """The votes of what was said."""
    return [one.yes for one in said if isinstance(one, Vote)]


def test_who_was_left_behind_votes_when_it_has_ceased_to_aim() -> None:
    """Its yes makes it a member: it is no exception any more."""
    core = left_behind()
    assert ([], None) == (votes(tell(core, SEVEN)[0]), core.durable.prepared)
    said = votes(tell(core, dev.Held())[0])
    assert ([True], True) == (said, core.durable.prepared is not None)


def test_who_was_left_behind_and_disobeys_votes_no_in_the_end() -> None:
    """With the reason; it has promised nothing."""
    core = left_behind()
    tell(core, SEVEN)
    tell(core, dev.Held(refused="busy"))
    said, _ = tell(core, dev.Tick(), NOW + 1.1)
    (vote,) = [one for one in said if isinstance(one, Vote)]
    assert ("not ready in time: the controller has not obeyed the hold",) == vote.reasons[-1:]
    assert None is core.durable.prepared


# --- a word that is overruled -------------------------------------------------------------------


def worded(word: Outcome) -> Participant:
    """A device that operates on a person's word."""
    core = steady(replace(BASE, prepared=PROMISE))
    perform(core, dev.Tick(), IN_DOUBT)
    get(core, Heuristic(txn=PROMISE.txn, outcome=word), IN_DOUBT)
    return core


@pytest.mark.parametrize("word", Outcome)
def test_a_word_is_on_record_until_the_controller_has_ceased_to_aim_on_it(word: Outcome) -> None:
    """Whoever reads that it has followed may settle the word, and with it the exception."""
    core = worded(word)
    other = next(one for one in Outcome if one is not word)
    assert ["hold"] == hears(core, decision(5, other), IN_DOUBT)[1]
    waits = (core.durable.prepared, core.durable.heuristic)
    tell(core, dev.Held(refused="busy"), IN_DOUBT)
    assert (PROMISE, word) == waits == (core.durable.prepared, core.durable.heuristic)
    tell(core, dev.Held(), IN_DOUBT)
    assert (None, None) == (core.durable.prepared, core.durable.heuristic)
    assert other is core.durable.finished[-1].outcome


@pytest.mark.parametrize("word", Outcome)
def test_a_word_that_was_right_ends_at_once(word: Outcome) -> None:
    """What it aims with is what was decided: there is nothing to cease."""
    core = worded(word)
    hears(core, decision(5, word), IN_DOUBT)
    assert (None, word) == (core.durable.prepared, core.durable.finished[-1].outcome)


# --- a new incarnation (F) ----------------------------------------------------------------------


def test_a_new_incarnation_is_acknowledged_by_who_has_ceased_to_aim() -> None:
    """Heard in a reseed means that it holds: others are enabled on the strength of it."""
    core = steady(BASE)
    said, started = hears(core, Fence(epoch=REBORN))
    assert (["report"], ["hold"]) == ([one.kind for one in said], started)
    assert BASE.max_epoch == core.durable.max_epoch
    said, _ = tell(core, dev.Held())
    assert (REBORN, True) == (core.durable.max_epoch, any(isinstance(one, Hello) for one in said))


def test_who_operates_on_a_word_acknowledges_a_new_incarnation_at_once() -> None:
    """The word has ended that hold, and its device is named."""
    core = worded(Outcome.COMMIT)
    hears(core, Fence(epoch=REBORN), IN_DOUBT)
    assert (REBORN, 5) == (core.durable.max_epoch, core.operating)


# --- the controller -----------------------------------------------------------------------------


def started(disk: Durable) -> Participant:
    """A device that has just started, and knows the time."""
    core = Participant(disk, boot="b", decode_plan=samples.decode)
    core.operation.clock = ClockBound(low=-0.001, high=0.001, at=NOW)
    return core


def test_a_start_tells_the_controller_to_hold_first_of_all() -> None:
    """It may have gone on while its agent was down; then it gets the bytes of the record."""
    core = started(BASE)
    assert ["hold", "activate"] == tell(core, dev.Tick())[1]
    assert [] == tell(core, dev.Tick())[1]


def test_it_is_not_told_to_aim_before_it_has_answered_the_last_hold() -> None:
    """That answer would be taken for one to the next hold."""
    core = started(BASE)
    tell(core, dev.Tick())
    tell(core, dev.Activated(version=4))
    core.operation.unconfirmed = None
    assert [] == tell(core, dev.Tick())[1]
    assert ["resume"] == tell(core, dev.Held())[1]


@pytest.mark.parametrize(
    "end",
    [dev.Activated(version=4), dev.ActivationFailed(version=4, reason="no gimbal")],
    ids=lambda end: type(end).__name__,
)
def test_a_refused_hold_that_an_activation_has_ended_is_told_again(end: dev.Event) -> None:
    """Its host leaves it where something waits behind it: nobody would repeat it."""
    core = started(BASE)
    tell(core, dev.Tick())
    tell(core, dev.Held(refused="busy"))
    assert ["hold"] == tell(core, end)[1]
    tell(core, dev.Held())
    assert core.operation.stopped


def test_who_may_aim_after_its_activation_is_not_told_to_hold_again() -> None:
    """A controller that has refused to hold aims with the right version now."""
    core = started(BASE)
    tell(core, dev.Tick())
    tell(core, dev.Held(refused="busy"))
    core.operation.unconfirmed = None
    assert ["resume"] == tell(core, dev.Activated(version=4))[1]
