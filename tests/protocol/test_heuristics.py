"""A person's word for a device in doubt: it ends the hold, never the doubt (XA's heuristics)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol import invariants
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.invariants import DeviceView
from orchestrator.protocol.messages import Ask, Heuristic, Report
from orchestrator.protocol.participant import Participant, Phase
from orchestrator.protocol.types import Outcome
from tests.protocol.journals import (
    OPEN,
    decided,
    ended,
    looked_at,
    reborn,
    reseeded,
    told,
    word,
)
from tests.protocol.one_desk import begun, committed
from tests.protocol.one_device import (
    BASE,
    D1,
    NOW,
    PHASES,
    PROMISE,
    decision,
    get,
    perform,
    steady,
    welcome,
)

IN_DOUBT: Final = NOW + 2.0
NEW: Final = Durable(fleet=samples.FLEET, device=D1, known=True, prepared=PROMISE)
COMMIT, ABORT = Outcome.COMMIT, Outcome.ABORT
AS_IF: Final = {COMMIT: PROMISE.seq, ABORT: BASE.version}


def worded(outcome: Outcome, disk: Durable = BASE) -> Participant:
    """A device that is in doubt, and has a person's word."""
    core = steady(replace(disk, prepared=PROMISE))
    perform(core, dev.Tick(), IN_DOUBT)
    get(core, Heuristic(txn=PROMISE.txn, outcome=outcome), IN_DOUBT)
    return core


# --- the device ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", Outcome)
def test_it_operates_on_the_word_and_stays_in_doubt(outcome: Outcome) -> None:
    """COMMIT lets it operate the new version, ABORT the old one; the promise stays."""
    core = worded(outcome)
    assert (AS_IF[outcome], PROMISE) == (core.operating, core.durable.prepared)
    assert BASE.version == core.durable.version
    assert outcome is core.durable.heuristic


@pytest.mark.parametrize("outcome", Outcome)
def test_it_goes_on_asking_and_says_what_it_does(outcome: Outcome) -> None:
    """Who operates on a word still asks what was decided, and names the word it acts on."""
    core = worded(outcome)
    said = perform(core, dev.Tick(), IN_DOUBT + 9.0)
    assert any(isinstance(one, Ask) for one in said)
    assert (outcome, PROMISE.txn) == (
        core.state(IN_DOUBT).heuristic,
        core.state(IN_DOUBT).prepared,
    )


@pytest.mark.parametrize("said", Outcome)
@pytest.mark.parametrize("later", Outcome)
def test_it_obeys_the_decision_when_it_learns_it(said: Outcome, later: Outcome) -> None:
    """Whatever the word was; then it holds until it is confirmed as what the fleet is."""
    core = worded(said)
    get(core, decision(5, later), IN_DOUBT + 1.0)
    assert (None, None) == (core.durable.prepared, core.durable.heuristic)
    assert later is core.durable.finished[-1].outcome
    assert (AS_IF[later], None) == (core.durable.version, core.operating)
    perform(core, dev.Connected(), IN_DOUBT + 1.1)
    get(
        core, replace(welcome(core, core.durable), sent_at_device_s=IN_DOUBT + 1.1), IN_DOUBT + 1.1
    )
    assert (AS_IF[later], None) == (core.operating, core.operation.unconfirmed)


def test_what_failed_on_a_word_is_undone_by_the_decision() -> None:
    """
    The hook failed at the word's version, whose bytes stand in the file: the old one's are
    written anew, and it operates them.
    """
    core = steady(replace(BASE, prepared=PROMISE))
    perform(core, dev.Tick(), IN_DOUBT)
    core.step(dev.Arrived(message=Heuristic(txn=PROMISE.txn, outcome=COMMIT)), IN_DOUBT)
    (asked,) = core.step(dev.Written(), IN_DOUBT).effects
    assert isinstance(asked, dev.Activate)
    core.step(dev.ActivationFailed(version=asked.version, reason="hook"), IN_DOUBT)
    get(core, decision(5, ABORT), IN_DOUBT + 1.0)
    get(core, welcome(core, core.durable), IN_DOUBT + 1.1)
    perform(core, dev.Tick(), IN_DOUBT + 20.0)
    assert (BASE.version, None) == (core.operating, core.operation.error)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_restart_keeps_the_word(outcome: Outcome) -> None:
    """It was stored: the device goes on as before, with a clock that is not measured yet."""
    disk = worded(outcome).durable
    again = Participant(disk, boot="b2", decode_plan=samples.decode)
    perform(again, dev.Connected(), IN_DOUBT + 5.0)
    assert (AS_IF[outcome], PROMISE) == (again.operating, again.durable.prepared)


@pytest.mark.parametrize(("outcome", "operates"), [(COMMIT, PROMISE.seq), (ABORT, None)])
def test_a_new_device_has_nothing_to_go_back_to(outcome: Outcome, operates: int | None) -> None:
    """At version 0 a word for ABORT changes nothing: there is no old version."""
    core = worded(outcome, NEW)
    holds = core.operation.holds(core.durable, IN_DOUBT)
    assert (operates, operates is None) == (core.operating, Holding.NEW in holds)


def test_a_person_may_change_their_mind() -> None:
    """The last word counts, as long as nothing is decided."""
    core = worded(COMMIT)
    get(core, Heuristic(txn=PROMISE.txn, outcome=ABORT), IN_DOUBT + 1.0)
    assert BASE.version == core.operating


def test_the_same_word_again_is_only_acknowledged() -> None:
    """A repetition writes nothing."""
    core = worded(ABORT)
    event = dev.Arrived(message=Heuristic(txn=PROMISE.txn, outcome=ABORT))
    ready = core.step(event, IN_DOUBT + 0.01)
    assert ((), [Report]) == (ready.writes, [type(send.message) for send in ready.messages])


def test_a_word_for_another_transaction_is_ignored() -> None:
    """A word is for one doubt, and for no other that may come after it."""
    core = steady(replace(BASE, prepared=PROMISE))
    get(core, Heuristic(txn=samples.txn_id(4), outcome=COMMIT), IN_DOUBT)
    assert (None, PROMISE) == (core.durable.heuristic, core.durable.prepared)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.PREPARED])
def test_only_who_is_in_doubt_takes_a_word(phase: Phase) -> None:
    """A device that has promised nothing, or knows the decision, needs nobody's word."""
    core = PHASES[phase]()
    disk, operating = core.durable, core.operating
    get(core, Heuristic(txn=PROMISE.txn, outcome=ABORT))
    assert (disk, operating) == (core.durable, core.operating)


def test_a_clock_that_drifts_does_not_stop_a_word() -> None:
    """What a device can't know is what the word is for; that includes the time."""
    core = worded(ABORT)
    core.operation.clock = ClockBound(low=-9.0, high=9.0, at=IN_DOUBT)
    perform(core, dev.Tick(), IN_DOUBT + 0.1)
    assert BASE.version == core.operating


# --- the desk -----------------------------------------------------------------------------------


def test_a_word_is_told_after_it_is_stored() -> None:
    """Whoever asks about the undecided gets silence, and once there is a word, the word."""
    desk = begun()
    ask = Ask(device=D1, txn=samples.txn_id(1), seq=1)
    before = desk.hear(ask)
    desk.tell_of(word(D1))
    assert ([], [Heuristic(txn=samples.txn_id(1), outcome=COMMIT)]) == (before, desk.hear(ask))


def test_a_word_is_told_to_its_device_alone() -> None:
    """Nobody else may act on it."""
    desk = begun()
    desk.tell_of(word(samples.device_id(2)))
    assert [] == desk.hear(Ask(device=D1, txn=samples.txn_id(1), seq=1))


def test_what_is_decided_is_told_instead_of_a_word() -> None:
    """The decision ends the doubt: there is nothing left to give a word for."""
    desk = committed()
    desk.tell_of(word(D1))
    said = desk.hear(Ask(device=D1, txn=samples.txn_id(1), seq=1))
    assert ["decision"] == [one.kind for one in said]


# --- the exception ------------------------------------------------------------------------------


def test_who_acts_on_a_word_is_an_exception_by_name() -> None:
    """As long as it may, and until a person has looked at it."""
    views = {D1: DeviceView(durable=replace(BASE, prepared=PROMISE), operating=5)}
    for records, names in (
        ((*OPEN, word(D1)), {D1}),
        ((*OPEN, word(D1), decided(1, 1, ABORT), ended(1, 1)), {D1}),
        ((*OPEN, word(D1), decided(1, 1, ABORT), ended(1, 1), looked_at(D1)), set()),
    ):
        state, _ = told(*records)
        assert frozenset(names) == invariants.excepted(state, views)


def test_a_word_is_not_settled_while_a_reseed_is_open() -> None:
    """The journal may have lost what the device waits for: nobody knows that it has followed."""
    state, _ = told(
        *OPEN, decided(1, 1, ABORT), ended(1, 1), word(D1), reborn(), reseeded(), looked_at(D1)
    )
    assert {D1} == set(state.heuristics)
