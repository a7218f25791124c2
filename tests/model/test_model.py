"""The protocol as a Promela model: verified by spin, able to fail, and named as the code is."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest

from orchestrator.protocol import device, participant, phases, records, types
from tests.conftest import Need
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scopes import DEFAULT, EVERY_STEP, SCOPES
from tests.model.spin import MODEL, Scope, Verified, build, run, story, verify
from tests.model.verify import README, find, row

INVARIANTS: Final = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 21)
"""Those of the design that are for a model checker, and need no clock."""

ENUMS: Final[dict[str, type[StrEnum]]] = {
    "Phase": phases.Phase,
    "DevicePhase": participant.Phase,
    "Holding": device.Holding,
    "LockState": records.LockState,
    "Outcome": types.Outcome,
}
"""What each mtype of the model is in the code."""

NAME: Final = r"[A-Z][A-Z_]+"

Verify = Callable[[Scope], Verified]


def model() -> str:
    """Return the whole source of the model."""
    return "\n".join(path.read_text() for path in sorted(MODEL.parent.glob("*.pml")))


@pytest.fixture(scope="module")
def verified(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Return a function that verifies a scope, once for all tests."""
    need("spin")
    need("gcc")
    built: dict[tuple[object, ...], Path] = {}
    known: dict[str, Verified] = {}

    def once(scope: Scope) -> Verified:
        same = (scope.claim is None, *scope.switches.items())
        if same not in built:
            built[same] = tmp_path_factory.mktemp(scope.name)
            build(scope, built[same], level="-O1")
        if scope.name not in known:
            known[scope.name] = run(scope, built[same])
        return known[scope.name]

    return once


# --- what is verified ---------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", DEFAULT, ids=lambda scope: scope.name)
def test_nothing_breaks_an_invariant(scope: Scope, verified: Verify) -> None:
    """Every interleaving of the scope's faults was looked at, and nothing is violated."""
    found = verified(scope)
    assert found.holds, f"{found.violated}: tell it with --scope {scope.name}"


@pytest.mark.timeout(300)
def test_everything_in_the_model_happens(verified: Verify) -> None:
    """No statement is out of reach: what never happens is not verified either."""
    assert () == verified(EVERY_STEP).unreached


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", DEFAULT, ids=lambda scope: scope.name)
def test_readme_has_the_figures(scope: Scope, verified: Verify) -> None:
    """The table says how many states there are and how deep they lie (``verify --write``)."""

    def figures(line: str) -> list[str]:
        name, about, claim, states, transitions, depth, *_ = line.strip("| ").split(" | ")
        return [name, about, claim, states, transitions, depth]

    lines = README.read_text().splitlines()
    (written,) = [line for line in lines if line.startswith(f"| `{scope.name}` |")]
    assert figures(row(scope, verified(scope))) == figures(written)


def test_readme_has_every_scope() -> None:
    """Each scope has a line in the table, and no other has one."""
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| \d devices,", README.read_text(), re.MULTILINE)
    assert list(SCOPES) == listed


# --- able to fail -------------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.switch)
def test_a_rule_that_is_missing_is_found(mutant: Mutant, need: Need) -> None:
    """Each shortcut violates the property that it is first to break, asked alone."""
    need("spin")
    need("gcc")
    assert mutant.finds[0] == find(mutant, mutant.finds[0]).violated


def test_every_property_is_able_to_fail() -> None:
    """For each property there is a mutant that it finds."""
    found = {int(name.removeprefix("I")) for mutant in MUTANTS for name in mutant.finds}
    assert set(INVARIANTS) == found


def test_mutants_are_switches_of_the_model() -> None:
    """Each mutant's switch is in the model, each is in README, and none is there twice."""
    switches = [mutant.switch for mutant in MUTANTS]
    assert len(switches) == len(set(switches))
    asked = set(re.findall(rf"(?:#ifn?def|defined\()\s*({NAME})\)?", model()))
    asked -= {"ONLY", *re.findall(rf"#ifndef ({NAME})\n#define \1", model())}
    assert set(switches) == asked
    assert switches == re.findall(rf"^\| `({NAME})` \|", README.read_text(), re.MULTILINE)


def test_a_violation_is_told(need: Need, tmp_path: Path) -> None:
    """The way to a violation is a list of steps, the last one of which breaks the rule."""
    need("spin")
    need("gcc")
    mutant = next(one for one in MUTANTS if one.switch == "FREE_WITH_OPEN")
    scope = mutant.scope("I15")
    assert "I15" == verify(scope, tmp_path, mutant=mutant.switch, level="-O0").violated
    steps = story(scope, tmp_path, mutant=mutant.switch).splitlines()
    assert "take(c)" in steps[0]
    assert "release(c)" in steps[-1]


# --- named as the code is -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ENUMS)
def test_states_are_named_as_in_the_code(name: str) -> None:
    """An mtype has the members of the code's enum, but for those that are said to be left out."""
    (declared,) = re.findall(rf"^mtype:{name} = {{(.*)}}$", MODEL.read_text(), re.MULTILINE)
    left_out = re.findall(rf"Left out of {name}: (.*?)\*/", MODEL.read_text(), re.DOTALL)
    names = [*re.findall(NAME, declared), *re.findall(rf"\b{NAME}\b", "".join(left_out))]
    assert sorted(ENUMS[name].__members__) == sorted(names)


def test_every_state_is_used() -> None:
    """A state that the model declares is one that it speaks of."""
    declared = re.findall(r"^mtype:\w+ = {(.*)}$", MODEL.read_text(), re.MULTILINE)
    names = re.findall(NAME, " ".join(declared))
    counted = {name: len(re.findall(rf"\b{name}\b", model())) for name in names}
    assert {} == {name: count for name, count in counted.items() if count < 2}


def test_every_invariant_is_expressed() -> None:
    """What the design asks of a model checker is asserted or an LTL formula, and listed."""
    asserted = {int(number) for number in re.findall(r"\bCHECK\((\d+),", model())}
    claimed = {int(number) for number in re.findall(r"^ltl I(\d+) ", model(), re.MULTILINE)}
    listed = re.findall(r"^\| I(\d+) \|", README.read_text(), re.MULTILINE)
    assert set(INVARIANTS) == asserted | claimed
    assert list(INVARIANTS) == [int(number) for number in listed]
