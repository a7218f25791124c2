"""Small promises of a device: what it tells people, what it answers at once, what it does once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.messages import Blob, Fence, Heuristic, Message, Vote, Want
from orchestrator.protocol.participant import DeviceReady, Participant, Phase
from orchestrator.protocol.ready import Level, Notice, notice
from orchestrator.protocol.types import REASON_CHARS_MAX, REASONS_MAX, DeviceId, Outcome
from tests.protocol.one_device import (
    BASE,
    D1,
    NOW,
    PHASES,
    PROMISE,
    blob,
    catch_up,
    decision,
    get,
    prepare,
    staging,
    steady,
    welcome,
)

T3, T5, T6 = samples.txn_id(3), samples.txn_id(5), samples.txn_id(6)


def arrives(core: Participant, message: Message) -> DeviceReady:
    """Hand it a message, and return all that it asks for at once."""
    return core.step(dev.Arrived(message=message), NOW)


# --- notices ------------------------------------------------------------------------------------

NOTICES: Final[tuple[tuple[Callable[[], Participant], Message, Notice], ...]] = (
    (
        PHASES[Phase.PREPARED],
        decision(5, Outcome.COMMIT, incarnation=0),
        notice(Level.WARNING, "decision-of-old-incarnation", txn=T5),
    ),
    (
        PHASES[Phase.IDLE],
        decision(6, Outcome.COMMIT),
        notice(Level.WARNING, "missed-version", txn=T6, seq=6),
    ),
    (
        PHASES[Phase.IDLE],
        prepare(3, 2),
        notice(Level.WARNING, "stale-prepare", txn=T3, seq=3),
    ),
    (PHASES[Phase.IDLE], catch_up(3), notice(Level.WARNING, "stale-catch-up", version=3)),
    (
        PHASES[Phase.IDLE],
        Heuristic(txn=T5, outcome=Outcome.COMMIT),
        notice(Level.DEBUG, "ignored", kind="heuristic", phase="idle"),
    ),
    (
        PHASES[Phase.PREPARED],
        replace(decision(5, Outcome.COMMIT), plan=samples.digest("other")),
        notice(Level.DEBUG, "ignored", kind="decision", phase="prepared"),
    ),
    (
        PHASES[Phase.PREPARED],
        Heuristic(txn=T6, outcome=Outcome.COMMIT),
        notice(Level.DEBUG, "ignored", kind="heuristic", phase="prepared"),
    ),
)


@pytest.mark.parametrize(("make", "message", "told"), NOTICES)
def test_people_are_told(make: Callable[[], Participant], message: Message, told: Notice) -> None:
    """What a device does not follow, and what it has missed, in these words."""
    core = make()
    assert told in arrives(core, message).notices


def test_an_answer_from_below_its_epoch_is_told() -> None:
    """A WELCOME of an older epoch is left alone, and the question stays open."""
    core = steady(BASE, confirmed=False)
    old = replace(welcome(core, BASE), epoch=samples.epoch(2))
    ready = core.step(dev.Arrived(message=old), NOW)
    assert (notice(Level.WARNING, "stale-welcome", epoch="2"),) == ready.notices
    assert core._nonce is not None


def test_a_word_is_told_once_it_is_stored() -> None:
    """Whose word it acts on is worth a warning."""
    core = PHASES[Phase.PREPARED]()
    word = Heuristic(txn=T5, outcome=Outcome.COMMIT)
    assert () == core.step(dev.Arrived(message=word), NOW).notices
    told = core.step(dev.Written(), NOW).notices
    assert (notice(Level.WARNING, "heuristic", txn=T5, outcome="commit"),) == told


def test_failures_are_told() -> None:
    """A disk and a controller that refuse, with their reasons."""
    core = PHASES[Phase.PREPARED]()
    core.step(dev.Arrived(message=decision(5, Outcome.ABORT)), NOW)
    told = core.step(dev.WriteFailed(reason="full"), NOW).notices
    assert (notice(Level.ERROR, "disk-refused", why="full"),) == told
    failed = dev.ActivationFailed(version=5, reason="no gimbal")
    told = core.step(failed, NOW).notices
    assert (notice(Level.ERROR, "activation-failed", why="no gimbal"),) == told


def test_a_catch_up_that_is_refused_is_told() -> None:
    """With every reason; the order is dropped."""
    core = steady(BASE)
    order = catch_up(6)
    get(core, order)
    core.step(dev.Arrived(message=Blob(txn=T6, digest=order.digest, data=b"x")), NOW)
    checked = dev.Checked(txn=T6, digest=order.digest, reasons=("too big", "too new"))
    told = core.step(checked, NOW).notices
    assert (notice(Level.ERROR, "catch-up-refused", why="too big; too new"),) == told
    assert Phase.IDLE is core.phase


# --- the plan -----------------------------------------------------------------------------------


def test_a_plan_without_this_device_is_not_voted_on() -> None:
    """It is none of its business: told at a low level, and forgotten."""
    core = staging()
    other = samples.push(5, 4, (DeviceId("d9"),))
    data = samples.encode(other.plan)
    plan = Blob(txn=T5, digest=samples.digest("plan-t5"), data=data)
    ready = core.step(dev.Arrived(message=plan), NOW)
    assert (notice(Level.INFO, "not-a-member", txn=T5),) == ready.notices
    assert () == ready.messages
    assert Phase.IDLE is core.phase


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"nonsense", "the plan can't be read: not enough values to unpack (expected 4, got 1)"),
        (b"t5 3 d1 ", "the plan does not fit its PREPARE"),
    ],
)
def test_a_plan_that_is_wrong_is_refused(data: bytes, why: str) -> None:
    """It says what is wrong with it."""
    core = staging()
    get(core, Blob(txn=T5, digest=samples.digest("other"), data=data))
    assert Phase.STAGING is core.phase
    (vote,) = get(core, Blob(txn=T5, digest=samples.digest("plan-t5"), data=data))
    assert isinstance(vote, Vote)
    assert (False, (why,)) == (vote.yes, vote.reasons)


def test_the_reasons_of_a_no_are_bounded() -> None:
    """At most REASONS_MAX of them, each of REASON_CHARS_MAX characters."""
    core = staging()
    get(core, blob(5, "plan"))
    core.step(dev.Arrived(message=blob(5, "t5-d1")), NOW)
    reasons = tuple("x" * 1000 for _ in range(100))
    checked = dev.Checked(txn=T5, digest=samples.digest("t5-d1"), reasons=reasons)
    (send,) = core.step(checked, NOW).messages
    assert isinstance(send.message, Vote)
    assert ("x" * REASON_CHARS_MAX,) * REASONS_MAX == send.message.reasons


def test_a_configuration_is_checked_once() -> None:
    """While its check is under way nothing starts another one; a foreign verdict is not its."""
    core = staging()
    get(core, blob(5, "plan"))
    ready = core.step(dev.Arrived(message=blob(5, "t5-d1")), NOW)
    digest = samples.digest("t5-d1")
    check = dev.Check(txn=T5, digest=digest, config=samples.CONFIG, data=b"config")
    assert check in ready.effects
    assert () == core.step(dev.Tick(), NOW + 0.01).effects
    foreign = dev.Checked(txn=T6, digest=digest, reasons=("no",))
    assert () == core.step(foreign, NOW + 0.02).messages
    assert core.step(replace(foreign, txn=T5, reasons=()), NOW + 0.03).writes


def test_a_blob_is_wanted_after_doubling_pauses() -> None:
    """Asked for by name while it does not come, and no more once it is there."""
    core = staging()
    want = Want(device=D1, txn=T5, digest=samples.digest("plan-t5"))
    asked = [
        at
        for at in range(1, 20)
        if want in [one.message for one in core.step(dev.Tick(), NOW + at / 16).messages]
    ]
    assert [4, 11] == asked


# --- orders that cross --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        (prepare(), prepare(6), 6),
        (prepare(6), prepare(), 6),
        (prepare(6), prepare(epoch=4), 5),
        (prepare(), prepare(epoch=4), 5),
    ],
)
def test_of_two_orders_the_newer_is_worked_on(first: Message, second: Message, wins: int) -> None:
    """The higher number, or whatever is of a higher epoch."""
    core = steady(BASE)
    for message in (first, second):
        arrives(core, message)
    assert core._order is not None
    assert samples.txn_id(wins) == core._order.message.txn
    assert second.epoch >= first.epoch  # type: ignore[union-attr]


def test_the_same_order_again_begins_nothing_anew() -> None:
    """What has arrived for it stays."""
    core = staging()
    get(core, blob(5, "plan"))
    before = core._order
    get(core, prepare())
    assert before == core._order


@pytest.mark.parametrize(("number", "phase"), [(5, Phase.IDLE), (6, Phase.IDLE)])
def test_an_abort_ends_the_order(number: int, phase: Phase) -> None:
    """Its own at once, with the blob no longer watched; a later one's because it is decided."""
    core = staging()
    core.step(dev.Arrived(message=decision(number, Outcome.ABORT)), NOW)
    ready = core.step(dev.Written(), NOW)
    unwatch = dev.Unwatch(txn=T5, digest=samples.digest("plan-t5"))
    assert (phase, (unwatch,)) == (core.phase, ready.effects)


# --- writes, and meanwhile ----------------------------------------------------------------------


def test_misuse_of_a_device_is_said() -> None:
    """An outcome that is not due, one that is missing, a yes without its record."""
    core = steady(BASE)
    with pytest.raises(ProtocolMisuse) as misuse:
        core.step(dev.Written(), NOW)
    assert "Written while writing is False" == str(misuse.value)
    arrives(core, Fence(epoch=samples.epoch(9)))
    with pytest.raises(ProtocolMisuse) as misuse:
        core.step(dev.Connected(), NOW)
    assert "Connected while writing is True" == str(misuse.value)
    with pytest.raises(InvariantViolation) as refusal:
        steady(BASE)._vote(prepare(), ())
    assert "I13: a yes that is not stored" == str(refusal.value)


def test_it_holds_while_a_disk_is_slow() -> None:
    """At hold_at, though a write is under way, it holds once; then it waits for what is next."""
    core = PHASES[Phase.PREPARED]()
    ready = core.step(dev.Arrived(message=Fence(epoch=samples.epoch(9))), NOW)
    assert ready.writes
    hold_at = pytest.approx(PROMISE.timeline.hold_at)
    assert ready.wake_at == hold_at
    assert () == core.step(dev.Tick(), NOW + 1).effects
    ready = core.step(dev.Tick(), NOW + 1.2001)
    assert (dev.Hold(reasons=("in doubt",)),) == ready.effects
    assert ready.wake_at is not None
    assert ready.wake_at > NOW + 1.2001
    assert () == core.step(dev.Tick(), NOW + 1.3).effects
    assert core.writing


def test_a_twin_goes_its_own_way() -> None:
    """What happens to a copy does not happen to the one that it was made of."""
    core = PHASES[Phase.PREPARED]()
    twin = core.fork()
    get(twin, decision(5, Outcome.COMMIT))
    twin.operation.operating = None
    assert (PROMISE, 4, 4) == (core.durable.prepared, core.durable.version, core.operating)
    assert 5 == twin.durable.version


def test_what_must_stay_on_disk_is_what_is_named() -> None:
    """The version's bytes, those that were promised, and those before a pending activation."""
    pending = PHASES[Phase.COMMITTED]().durable
    assert {samples.digest("t4-d1")} == BASE.digests_in_use()
    promised = replace(BASE, prepared=PROMISE)
    assert {samples.digest("t4-d1"), samples.digest("t5-d1")} == promised.digests_in_use()
    mended = replace(pending, digest=samples.digest("t5-d1"))
    assert {samples.digest("t4-d1"), samples.digest("t5-d1")} == mended.digests_in_use()
    assert set() == replace(BASE, digest=None).digests_in_use()


def test_an_outcome_that_is_no_longer_kept_is_not_known() -> None:
    """Only what the record still has can be told."""
    assert BASE.finished[0] == BASE.outcome_of(samples.txn_id(4))
    assert None is BASE.outcome_of(T3)
