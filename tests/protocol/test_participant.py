"""One device on its own: every message in every phase, time, and the bugs that were found once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Fence,
    Hello,
    Heuristic,
    Message,
    OrchestratorMessage,
    Presence,
    Vote,
    Welcome,
)
from orchestrator.protocol.participant import TRANSITIONS, Participant, Phase
from orchestrator.protocol.types import Digest, Outcome, Timeline
from tests.protocol.one_device import (
    BASE,
    D1,
    DOWNWARD,
    NOW,
    PHASES,
    PROMISE,
    TIMELINE,
    UPWARD,
    blob,
    catch_up,
    decision,
    get,
    perform,
    prepare,
    staging,
    steady,
    vote_of,
    welcome,
)

# --- the table ----------------------------------------------------------------------------------


def test_every_phase_answers_every_message() -> None:
    """TRANSITIONS names a method for each message that a device can get, in each phase."""
    assert set(Phase) == set(TRANSITIONS)
    for row in TRANSITIONS.values():
        assert set(DOWNWARD) == set(row)
        assert all(hasattr(Participant, f"_{name}") for name in row.values())


@pytest.mark.parametrize("phase", Phase)
def test_the_phases_are_what_they_are_called(phase: Phase) -> None:
    """The phase is derived from the record and the order at hand."""
    assert phase is PHASES[phase]().phase


FOREIGN: Final[dict[str, OrchestratorMessage]] = {
    "foreign-word": Heuristic(txn=samples.txn_id(9), outcome=Outcome.COMMIT),
    "stale-prepare": prepare(4, 3),
    "prepare-below-epoch": prepare(6, 4, epoch=2),
    "stale-decision": decision(3, Outcome.ABORT),
    "decision-of-old-incarnation": decision(6, Outcome.ABORT, incarnation=0),
    "stale-fence": Fence(epoch=samples.epoch(2)),
    "stale-catch-up": catch_up(3),
    "catch-up-below-epoch": catch_up(9, epoch=2),
    "foreign-blob": blob(9, "t9-d1"),
    "foreign-welcome": Welcome(
        boot="another",
        nonce=1,
        sent_at_device_s=0,
        received_at=0,
        sent_at=0,
        epoch=samples.epoch(9),
        version=9,
        digest=None,
        last_seq=9,
        enable=True,
        clock_error_s=0.1,
    ),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_stale_or_foreign_changes_nothing(phase: Phase, name: str) -> None:
    """An old, replayed or foreign message leaves the record and the operation as they are."""
    core = PHASES[phase]()
    disk, operating, order = core.durable, core.operating, core._order
    get(core, FOREIGN[name])
    assert (disk, operating) == (core.durable, core.operating)
    assert order == core._order


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", UPWARD, ids=lambda kind: kind.__name__)
def test_the_words_of_other_devices_change_nothing(phase: Phase, kind: type[Message]) -> None:
    """What only devices say is ignored by a device."""
    core = PHASES[phase]()
    disk = core.durable
    ask = Ask(device=D1, txn=samples.txn_id(5), seq=5)
    presence = Presence(device=D1, online=True)
    message = presence if kind is Presence else ask
    assert kind not in TRANSITIONS[phase]
    perform(core, dev.Arrived(message=message), NOW)
    assert disk == core.durable


def test_the_outcome_of_a_write_comes_first() -> None:
    """Nothing but a tick may be told before the write's outcome (I13)."""
    core = steady(BASE)
    ready = core.step(dev.Arrived(message=Fence(epoch=samples.epoch(4))), NOW)
    assert ready.writes
    with pytest.raises(ProtocolMisuse):
        core.step(dev.Connected(), NOW)
    with pytest.raises(ProtocolMisuse):
        PHASES[Phase.IDLE]().step(dev.Written(), NOW)


# --- voting -------------------------------------------------------------------------------------


def test_a_yes_is_stored_and_then_repeated() -> None:
    """A duplicate PREPARE is answered by the stored yes, with no new check."""
    core = staging()
    vote = vote_of(core)
    assert vote is not None
    assert vote.yes
    assert samples.txn_id(5) == (core.durable.prepared and core.durable.prepared.txn)
    assert [vote] == get(core, prepare())


def test_a_yes_that_is_not_stored_cannot_be_said() -> None:
    """A yes without its record is a broken invariant, not a message (I13)."""
    with pytest.raises(InvariantViolation, match="I13"):
        steady(BASE)._vote(prepare(), ())


@pytest.mark.parametrize(
    ("disk", "timeline", "why"),
    [
        (replace(BASE, version=3, last_seq=3), TIMELINE, "runs version 3"),
        (BASE, replace(TIMELINE, clock_error_s=1e-9), "clock error"),
        (BASE, replace(TIMELINE, vote_by=50.0), "not ready in time"),
    ],
)
def test_a_no_says_why(disk: Durable, timeline: Timeline, why: str) -> None:
    """Everything is asked before the vote: base version, clock, time."""
    core = steady(disk)
    said = get(core, prepare(timeline=timeline))
    if not said:
        vote = vote_of(core)
        said = [] if vote is None else [vote]
        said += perform(core, dev.Tick(), NOW + 2)
    votes = [one for one in said if isinstance(one, Vote)]
    assert votes
    assert not votes[0].yes
    assert why in " ".join(votes[0].reasons)


def test_an_order_that_was_decided_meanwhile_is_dropped() -> None:
    """An ABORT of a later transaction arrives while an earlier one is staged: no vote (I11)."""
    core = staging()
    get(core, decision(6, Outcome.ABORT))
    assert None is vote_of(core)
    assert None is core.durable.prepared


def test_a_disk_that_refuses_makes_a_no() -> None:
    """Nothing was promised: the reason is told, and the same PREPARE may be tried again."""
    core = staging()
    get(core, blob(5, "plan"))
    core.step(dev.Arrived(message=blob(5, "t5-d1")), NOW)
    checked = dev.Checked(txn=samples.txn_id(5), digest=samples.digest("t5-d1"), reasons=())
    assert core.step(checked, NOW).writes
    (send,) = core.step(dev.WriteFailed(reason="full"), NOW).messages
    assert isinstance(send.message, Vote)
    assert not send.message.yes
    assert None is core.durable.prepared


def test_a_catch_up_that_says_more_is_not_displaced() -> None:
    """A late PREPARE does not displace the catch-up that proves it decided."""
    core = steady(replace(BASE, version=0, digest=None, last_seq=0, finished=()))
    get(core, catch_up(5))
    get(core, prepare(5, 0))
    assert core._order is not None
    assert isinstance(core._order.message, CatchUp)


# --- following ----------------------------------------------------------------------------------


def test_an_abort_raises_last_seq_of_the_unprepared() -> None:
    """A late PREPARE must find its number already decided, also where nothing was prepared."""
    core = steady(BASE)
    get(core, decision(5, Outcome.ABORT))
    assert 5 == core.durable.last_seq
    get(core, prepare())
    assert Phase.IDLE is core.phase


def test_an_abort_of_another_leaves_the_promise() -> None:
    """ABORT of a later transaction raises last_seq and leaves the doubt as it is."""
    core = PHASES[Phase.PREPARED]()
    get(core, decision(6, Outcome.ABORT))
    assert (PROMISE, 6) == (core.durable.prepared, core.durable.last_seq)
    get(core, decision(5, Outcome.COMMIT))
    assert (5, 6) == (core.durable.version, core.durable.last_seq)


def test_a_commit_that_was_missed_makes_it_ask() -> None:
    """A COMMIT above its version, even below last_seq, proves that the fleet is ahead."""
    core = steady(BASE)
    get(core, decision(6, Outcome.ABORT))
    said = get(core, decision(5, Outcome.COMMIT))
    assert None is core.operating
    assert any(isinstance(one, Hello) for one in said)


def test_what_is_learned_late_is_held_until_confirmed() -> None:
    """The doubt ends after ``activate_at``: the fleet may be elsewhere by now."""
    core = PHASES[Phase.PREPARED]()
    perform(core, dev.Tick(), 101.3)
    assert None is core.operating
    get(core, decision(5, Outcome.ABORT), 101.5)
    assert (Holding.LATE, None) == (core.operation.unconfirmed, core.operating)
    get(core, welcome(core, core.durable), 101.6)
    assert 4 == core.operating


def test_a_decision_that_is_stored_late_is_late() -> None:
    """What counts is when the outcome is on disk: a slow disk makes it late."""
    core = PHASES[Phase.PREPARED]()
    assert core.step(dev.Arrived(message=decision(5, Outcome.COMMIT)), NOW).writes
    core.step(dev.Written(took_s=2), 102.0)
    assert Holding.LATE is core.operation.unconfirmed


# --- re-joining ---------------------------------------------------------------------------------


def test_each_answer_counts_once() -> None:
    """A WELCOME is taken once; a repetition cannot end a doubt that came after it (I25)."""
    core = steady(BASE, confirmed=False)
    answer = welcome(core, BASE)
    get(core, answer)
    assert 4 == core.operating
    get(core, decision(5, Outcome.COMMIT))
    get(core, answer)
    assert None is core.operating


def test_a_catch_up_voids_the_answer_on_its_way() -> None:
    """CATCH-UP proves that the fleet has moved: an older WELCOME enables nobody (I25)."""
    core = steady(BASE, confirmed=False)
    answer = welcome(core, BASE)
    get(core, catch_up(5))
    get(core, answer)
    assert None is core.operating


def test_a_refused_catch_up_keeps_asking() -> None:
    """A device that cannot follow says so again and again, at the pace of its HELLO."""
    core = steady(BASE)
    get(core, catch_up(5))
    core._drop_order()
    ready = core.step(dev.Tick(), NOW + 0.01)
    assert ready.wake_at is not None
    said = perform(core, dev.Tick(), ready.wake_at)
    assert any(isinstance(one, Hello) for one in said)


def test_answers_that_do_not_help_are_not_asked_for_without_pause() -> None:
    """A device that refuses its catch-up asks again after a pause, not at network speed."""
    core = steady(BASE)
    hellos = 0
    for number in range(20):
        said = get(core, catch_up(5, last_seq=5 + number))
        core._drop_order()
        hellos += sum(isinstance(one, Hello) for one in said)
    assert 1 == hellos


def test_a_mismatch_keeps_asking() -> None:
    """A device that is told that it is behind goes on asking even if the catch-up is lost."""
    core = steady(BASE)
    get(core, Fence(epoch=samples.epoch(4)))
    fleet = replace(core.durable, version=5, digest=Digest("sha256:x"), last_seq=5)
    get(core, welcome(core, fleet))
    ready = core.step(dev.Tick(), NOW + 0.01)
    assert Holding.BEHIND is core.operation.unconfirmed
    assert ready.wake_at is not None


def test_other_bytes_under_the_same_number_are_activated() -> None:
    """A catch-up within a version replaces its bytes, and what was under way does not count."""
    core = steady(BASE)
    wrong = replace(catch_up(4), digest=samples.digest("mended"))
    get(core, wrong)
    get(core, Blob(txn=wrong.txn, digest=wrong.digest, data=b"x"))
    assert wrong.digest == core.durable.digest
    assert (4, wrong.digest) == core.operation._running_bytes


def test_the_activation_of_other_bytes_does_not_count() -> None:
    """An activation that ends after its version's bytes were replaced is made again."""
    core = Participant(BASE, boot="b", decode_plan=samples.decode)
    core.step(dev.Connected(), NOW - 1)  # starts the activation of version 4
    wrong = replace(catch_up(4), digest=samples.digest("mended"))
    core.operation.clock = ClockBound(low=0.0, high=0.0, at=NOW)
    core.step(dev.Held(), NOW)
    core.step(dev.Arrived(message=wrong), NOW)
    core.step(dev.Arrived(message=Blob(txn=wrong.txn, digest=wrong.digest, data=b"x")), NOW)
    core.step(dev.Checked(txn=wrong.txn, digest=wrong.digest, reasons=()), NOW)
    core.step(dev.Written(), NOW)
    ready = core.step(dev.Activated(version=4), NOW)
    (again,) = [effect for effect in ready.effects if isinstance(effect, dev.Activate)]
    assert wrong.digest == again.digest
