"""
The cores under everything at once, at random but the same everywhere.

In the suite the examples are derandomized and few. For longer: ``AIM_MACHINE_EXAMPLES=20000``
draws so many new ones; a failure prints the steps that reproduce it.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from drone_sim.cores.ground import BrokenError
from drone_sim.mutants.answering import AbortsInSilence
from drone_sim.mutants.confirming import BootsConfirmed, LateIsFine
from drone_sim.mutants.deciding import CommitsOnMajority, NeverFenced
from drone_sim.mutants.following import AbortsAlone, ActivatesAtOnce
from drone_sim.mutants.voting import VotesFirst
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.participant import Participant
from tests.protocol.machine import FleetMachine
from tests.protocol.mutants import NeverHolds

EXAMPLES: Final = int(os.environ.get("AIM_MACHINE_EXAMPLES", "0"))

SETTINGS: Final = settings(
    max_examples=EXAMPLES or 300,
    stateful_step_count=60,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

FOUND: Final[tuple[type[Participant | Coordinator], ...]] = (
    AbortsAlone,
    ActivatesAtOnce,
    BootsConfirmed,
    CommitsOnMajority,
    LateIsFine,
    NeverFenced,
    NeverHolds,
    VotesFirst,
    AbortsInSilence,
)


@pytest.mark.timeout(0 if EXAMPLES else 300)
def test_anything_in_any_order() -> None:
    """Whatever happens in whatever order, the invariants hold, and the fleet gets well after."""
    run_state_machine_as_test(FleetMachine, settings=SETTINGS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("core", FOUND, ids=lambda core: core.__name__)
def test_a_rule_that_is_missing_is_found(core: type[Participant | Coordinator]) -> None:
    """The random walk is able to fail: it finds the shortcuts that need more than one fault."""

    class Mutated(FleetMachine):
        participant = core if issubclass(core, Participant) else Participant
        coordinator = core if issubclass(core, Coordinator) else Coordinator

    quick = settings(
        SETTINGS,
        max_examples=3000,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    with pytest.raises((BrokenError, InvariantViolation)):
        run_state_machine_as_test(Mutated, settings=quick)
