"""A person's word that a device acts on and its journal has lost: it is recorded anew (§7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import answers
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.messages import DeviceState, Hello
from orchestrator.protocol.records import Adopted, HeuristicDecided, Record
from orchestrator.protocol.types import Epoch, Outcome
from tests.protocol.journals import (
    D1,
    D2,
    OPEN,
    adopted,
    decided,
    ended,
    looked_at,
    reborn,
    reseeded,
    retired,
    told,
    word,
)
from tests.protocol.one_desk import NOW, hello, resolver, settler
from tests.protocol.one_desk import state as says

OURS: Final = Epoch(2, 1)
COMMIT, ABORT = Outcome.COMMIT, Outcome.ABORT
REBORN: Final = (*OPEN, reborn(), reseeded())
ABORTED: Final = (
    *REBORN,
    adopted(),
    replace(decided(1, 1, ABORT), epoch=OURS),
    replace(ended(1, 1, D1), epoch=OURS),
)
"""A reseed has aborted what was open; D1 was not heard."""
ACTS: Final = says(
    max_epoch=samples.epoch(1),
    prepared=samples.txn_id(1),
    prepared_seq=1,
    prepared_plan=samples.digest("plan-t1"),
    prepared_digest=samples.digest("t1-d1"),
    heuristic=COMMIT,
    operating=1,
)
"""What D1 says, which operates on a word."""


def greeting(state: DeviceState = ACTS) -> Hello:
    """D1 says this of itself."""
    return replace(hello(D1), state=state)


def written(ready: orc.CoordinatorReady) -> list[Record]:
    """What a step appends."""
    return [record for append in ready.writes for record in append.records]


def hears(core: Coordinator, state: DeviceState = ACTS) -> orc.CoordinatorReady:
    """Let it hear D1."""
    return core.step(orc.Arrived(message=greeting(state)), NOW)


def landed(
    core: Coordinator, journal: tuple[Record, ...], ready: orc.CoordinatorReady
) -> list[str]:
    """Let its append be stored; return the kinds of what it says then."""
    _, entries = told(*journal, *written(ready))
    done = core.step(orc.Journaled(entries=tuple(entries[len(journal) :])), NOW)
    return [send.message.kind for send in done.messages]


def test_it_is_recorded_before_its_device_is_answered() -> None:
    """Then it is told the decision, and the word stays on record as overruled."""
    core = settler(told(*ABORTED)[0])
    ready = hears(core)
    (record,) = written(ready)
    assert isinstance(record, HeuristicDecided)
    assert (D1, samples.txn_id(1), COMMIT) == (record.device, record.txn, record.outcome)
    assert (True, ()) == (bool(record.reason), ready.messages)
    assert ["welcome", "decision"] == landed(core, ABORTED, ready)[:2]
    assert {D1} == set(core.state.heuristics)


def test_it_names_nobody() -> None:
    """Who gave it is lost with it: the device is all that can be named."""
    (record,) = written(hears(settler(told(*ABORTED)[0])))
    assert isinstance(record, HeuristicDecided)
    assert "unknown@d1, told by the device, pid 0" == str(record.by)


def test_it_is_recorded_once() -> None:
    """What the journal has again is not said to it twice."""
    core = settler(told(*ABORTED)[0])
    landed(core, ABORTED, hears(core))
    assert [] == written(hears(core))


def test_a_reseed_records_it_before_it_adopts() -> None:
    """What it decides the device obeys, and then nobody remembers that there was a word."""
    state, _ = told(*REBORN)
    core = resolver(state, orc.Resolve(members=(D1, D2), config=samples.CONFIG))
    core.step(orc.Connected(), NOW)
    core.step(orc.Arrived(message=hello(D2, max_epoch=OURS)), NOW)
    ready = hears(core, replace(ACTS, max_epoch=OURS))
    assert [HeuristicDecided] == [type(record) for record in written(ready)]
    _, entries = told(*REBORN, *written(ready))
    ready = core.step(orc.Journaled(entries=tuple(entries[len(REBORN) :])), NOW)
    assert Adopted in [type(record) for record in written(ready)]


def test_a_word_for_another_does_not_hide_it() -> None:
    """The journal has a word on the same transaction, and lost the one for this device."""
    journal = (*OPEN, word(D2))
    (record,) = written(hears(settler(told(*journal)[0])))
    assert isinstance(record, HeuristicDecided)
    assert D1 == record.device


@pytest.mark.parametrize(
    ("journal", "state"),
    [
        ((*OPEN, word(D1)), ACTS),
        ((*ABORTED, retired(D1)), ACTS),
        (ABORTED, replace(ACTS, heuristic=None)),
        (OPEN, ACTS),
        (ABORTED, replace(ACTS, prepared_seq=9, prepared=samples.txn_id(9))),
        ((*OPEN, word(D1), word(D2), decided(1, 1, ABORT), ended(1, 1), looked_at(D1)), ACTS),
    ],
    ids=["known", "retired", "no word", "no reseed yet", "contradicted", "settled"],
)
def test_nothing_is_recorded_that_is_not_lost(
    journal: tuple[Record, ...], state: DeviceState
) -> None:
    """What is known, given up, settled, or for a reseed to find out first."""
    assert [] == written(hears(settler(told(*journal)[0]), state))


def test_a_word_that_a_reseed_knows_to_be_lost_is_no_reason_for_another() -> None:
    """Before the reseed it is, and after it for a later transaction."""
    before, after = told(*OPEN)[0], told(*ABORTED)[0]
    assert "here nobody gave one" in (answers.contradiction(before, ACTS) or "")
    assert None is answers.contradiction(after, ACTS)
