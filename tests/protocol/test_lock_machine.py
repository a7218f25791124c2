"""
Many people around one lock, at random but the same everywhere; and a store that loses its end.

``AIM_MACHINE_EXAMPLES=20000`` draws so many new examples; a failure prints the steps.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from drone_sim.cores.ground import BrokenError
from orchestrator.protocol.errors import InvariantViolation
from tests.protocol import lock_mutants
from tests.protocol.lock_machine import LockMachine
from tests.protocol.rollback_machine import RollbackMachine
from tests.protocol.test_machine import EXAMPLES, SETTINGS

WALKS: Final = (LockMachine, RollbackMachine)
QUICK: Final = settings(
    SETTINGS,
    max_examples=2000,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


@pytest.mark.timeout(0 if EXAMPLES else 300)
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.__name__)
def test_any_people_in_any_order(walk: type[RuleBasedStateMachine]) -> None:
    """I5 to I9, I14 to I17, I20 to I23 and I26 hold whoever does what, and all gets well."""
    run_state_machine_as_test(
        walk, settings=SETTINGS if EXAMPLES else settings(SETTINGS, max_examples=200)
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", lock_mutants.WALKED)
def test_a_rule_that_is_missing_is_found(name: str) -> None:
    """The walk is able to fail: each shortcut around the lock is found as what it breaks."""
    changed, finds = lock_mutants.PEOPLE[name]

    class Mutated(LockMachine):
        participant = changed.get("participant", LockMachine.participant)
        coordinator = changed.get("coordinator", LockMachine.coordinator)
        make = lock_mutants.yard(changed)

    with pytest.raises((BrokenError, InvariantViolation), match=finds):
        run_state_machine_as_test(Mutated, settings=QUICK)
