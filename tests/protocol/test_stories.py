"""Short stories around the lock end well; with a rule taken out, each ends in a violation."""

from __future__ import annotations

from typing import Final

import pytest

from drone_sim.cores.ground import BrokenError
from drone_sim.cores.yard import Yard
from orchestrator.protocol.errors import InvariantViolation
from tests.protocol import lock_mutants
from tests.protocol.stories import STORIES

FOUND: Final = {
    "forgets-to-quarantine": "glass_in_the_middle",
    "enables-the-quarantined": "quarantined_and_left_out",
    "outlives-its-lease": "left_out_and_silent",
    "ignores-the-horizon": "left_out_and_silent",
    "lease-from-receipt": "late_answer",
    "word-ends-the-doubt": "word_in_doubt",
    "commits-when-asked-to-release": "asked_before_the_decision",
    "aborts-with-members-unheard": "lost_decision_and_one_away",
}
"""Which story finds which shortcut."""


@pytest.mark.parametrize("name", STORIES)
def test_the_story_ends_well(name: str) -> None:
    """What the story asserts is so, and no invariant breaks on the way."""
    STORIES[name](Yard(3).steady())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FOUND)
def test_a_rule_that_is_missing_is_found(name: str) -> None:
    """The story is able to fail: the shortcut breaks the invariant that the rule is for."""
    changed, finds = lock_mutants.PEOPLE[name]
    fleet = lock_mutants.yard(changed)(3).steady()
    with pytest.raises((BrokenError, InvariantViolation), match=finds):
        STORIES[FOUND[name]](fleet)  # type: ignore[arg-type]


def test_every_shortcut_is_looked_for() -> None:
    """Each shortcut around the lock is found by a story or by the random walk."""
    assert set(lock_mutants.PEOPLE) == set(FOUND) | set(lock_mutants.WALKED)
