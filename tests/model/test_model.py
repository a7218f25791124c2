"""The protocol as a Promela model, verified by spin: every interleaving of its scopes."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import pytest

from orchestrator.protocol import coordinator, participant
from orchestrator.protocol.device import Holding
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import Outcome
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scopes import DEFAULT
from tests.model.spin import Scope, verify
from tests.model.verify import find

MODEL = Path(__file__).parent


@pytest.fixture(autouse=True)
def _programs(need: Callable[[str], str]) -> None:
    """Spin makes a C program of the model."""
    need("spin")
    need("gcc")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", DEFAULT, ids=lambda scope: scope.name)
def test_no_interleaving_breaks_a_property(scope: Scope, tmp_path: Path) -> None:
    """Every state of the scope was visited, and none breaks what is asserted or claimed."""
    verified = verify(scope, tmp_path)
    assert (0, True) == (verified.errors, verified.complete), verified.violated


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.switch)
def test_a_rule_that_is_missing_is_found(mutant: Mutant) -> None:
    """The model is able to fail: each shortcut breaks the first property that it should."""
    assert mutant.finds[0] == find(mutant, mutant.finds[0]).violated


def words(name: str) -> set[str]:
    """The values of a type of the model."""
    text = (MODEL / "fleet.pml").read_text()
    found = re.search(rf"^mtype:{name} = {{(.*)}}", text, re.MULTILINE)
    assert found is not None, name
    return set(found.group(1).split(", "))


@pytest.mark.parametrize(
    ("name", "code", "left_out"),
    [
        ("Phase", coordinator.Phase, {"ADOPTING", "UNHEARD"}),
        ("DevicePhase", participant.Phase, set()),
        ("LockState", LockState, set()),
        ("Outcome", Outcome, set()),
    ],
)
def test_the_states_are_those_of_the_code(name: str, code: type[Enum], left_out: set[str]) -> None:
    """Each state has the code's name, and only a reseed's are not in the model."""
    assert {one.name for one in code} == words(name) | left_out


def test_the_reasons_to_hold_are_those_of_the_code() -> None:
    """What a device waits to be confirmed for has the code's name."""
    assert words("Holding") <= {one.name for one in Holding}
