"""One device and its clock: it wakes when it must, and holds when it cannot know."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.participant import Participant
from tests.protocol.one_device import (
    BASE,
    NOW,
    PENDING,
    PROMISE,
    perform,
)

RECORDS: Final = (
    BASE,
    replace(BASE, prepared=PROMISE),
    replace(BASE, version=5, digest=samples.digest("t5-d1"), last_seq=5, pending=PENDING),
    replace(
        BASE,
        version=5,
        digest=samples.digest("t5-d1"),
        last_seq=5,
        pending=replace(PENDING, clock_error_s=0.0, previous_version=0, previous_digest=None),
    ),
)


def intervals(core: Participant, *, dense_s: float | None) -> list[tuple[float, int | None]]:
    """What a device operates from when on, if it is woken only when it asked, or all the time."""
    now, found = NOW, [(NOW, core.operating)]
    until = NOW + 3.0
    while now < until:
        ready = core.fork().step(dev.Tick(), now)
        perform(core, dev.Tick(), now)
        if core.operating != found[-1][1]:
            found.append((now, core.operating))
        ready = core.fork().step(dev.Tick(), now)
        wake_at = until if ready.wake_at is None else ready.wake_at
        now = now + dense_s if dense_s is not None else wake_at
    return found


@settings(max_examples=60)
@given(
    record=st.sampled_from(RECORDS),
    error_s=st.floats(min_value=0.0005, max_value=0.3),
    middle_s=st.floats(min_value=-0.3, max_value=0.3),
    confirmed=st.booleans(),
)
@example(record=RECORDS[1], error_s=0.0996, middle_s=0.0, confirmed=True)
@example(record=RECORDS[3], error_s=0.25, middle_s=0.1, confirmed=True)
def test_waking_when_asked_is_enough(
    record: Durable, error_s: float, middle_s: float, *, confirmed: bool
) -> None:
    """A device that is woken at ``wake_at`` alone operates as one that is woken all the time."""
    core = Participant(record, boot="b", decode_plan=samples.decode)
    core.operation.clock = ClockBound(low=middle_s - error_s, high=middle_s + error_s, at=NOW - 1)
    core.operation.unconfirmed = None if confirmed else Holding.RESTARTED
    perform(core, dev.Connected(), NOW)
    sparse = intervals(core.fork(), dense_s=None)
    dense = intervals(core.fork(), dense_s=0.005)
    assert [one for _, one in sparse] == [one for _, one in dense]
    for (early, _), (late, _) in zip(sparse, dense, strict=True):
        assert -1e-6 <= late - early <= 0.0051


def test_a_bound_that_ages_beyond_what_was_promised_holds_by_itself() -> None:
    """Between the vote and the activation a clock that grows too uncertain holds, unasked."""
    core = Participant(replace(BASE, prepared=PROMISE), boot="b", decode_plan=samples.decode)
    core.operation.clock = ClockBound(low=-0.0999, high=0.0999, at=NOW)
    core.operation.unconfirmed = None
    perform(core, dev.Connected(), NOW)
    before = core.operating
    wake_at = core.step(dev.Tick(), NOW).wake_at
    assert wake_at is not None
    assert wake_at == pytest.approx(NOW + 0.5)
    perform(core, dev.Tick(), wake_at)
    assert (4, None) == (before, core.operating)
    assert Holding.CLOCK is core.operation.unconfirmed
