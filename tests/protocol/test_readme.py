"""The theory of operation says what the code does."""

from __future__ import annotations

import re

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import lease
from orchestrator.protocol.coordinator import DUE
from orchestrator.protocol.participant import TRANSITIONS
from orchestrator.protocol.records import LockState
from tests.protocol.diagrams import COORDINATOR, DIAGRAMS, LOCK, MOVES, README, drawn
from tests.protocol.journals import STORIES, told


def test_the_diagrams_are_up_to_date(request: pytest.FixtureRequest) -> None:
    """What stands between the markers is drawn from the tables (``--rewrite`` draws it anew)."""
    written = README.read_text()
    if request.config.getoption("--rewrite", default=False):
        README.write_text(drawn(written))
    else:
        assert drawn(written) == written
    assert all(f"<!-- {name} -->" in written for name in DIAGRAMS)


def test_the_diagrams_speak_of_the_tables() -> None:
    """Every move that is drawn is one of a method that the tables know."""
    assert all(method in TRANSITIONS[phase].values() for phase, method in MOVES)
    assert set(COORDINATOR) <= set(DUE)


@pytest.mark.parametrize("story", STORIES)
def test_the_lock_moves_as_it_is_drawn(story: str) -> None:
    """What may be appended to the lock in a state is what the diagram shows for it."""
    state, _ = told(*STORIES[story])
    here = state.lock.state
    drawn_after = {after for before, after, _ in LOCK if before is here}
    assert (LockState.HELD in drawn_after) == (here is LockState.FREE)
    assert LockState.RESOLVING in drawn_after
    forced = lease.resolve(state, state.lock.epoch, samples.owner("o"), "why")
    assert isinstance(forced, lease.NotTheLock) == (here is LockState.FREE)
    freed = lease.release(state, state.lock.epoch, samples.owner("o"))
    may_free = not isinstance(freed, lease.NotTheLock)
    assert not may_free or LockState.FREE in drawn_after


def test_every_invariant_is_listed() -> None:
    """README has one line for each of I1 to I30."""
    found = re.findall(r"^\| I(\d+) ", README.read_text(), re.MULTILINE)
    assert list(range(1, 31)) == [int(number) for number in found]
