"""The cores, explored breadth-first: no interleaving of a scope's faults breaks an invariant."""

from __future__ import annotations

import pytest

from tests.protocol.explore import DEFAULT, Explorer, calm
from tests.protocol.mutants import MUTANTS, Mutant
from tests.protocol.scope import Scope, State
from tests.protocol.world import World

QUIET = Scope(name="quiet", instants=0, fences=False)
MUTANT_STATES_MAX = 120_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", DEFAULT, ids=lambda scope: scope.name)
def test_no_interleaving_breaks_an_invariant(scope: Scope) -> None:
    """Every state that a scope's faults can lead to keeps the invariants; some are calmed."""
    found = Explorer(scope=scope).run()
    assert found.complete, str(found)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_rule_that_is_missing_is_found(mutant: Mutant) -> None:
    """The explorer is able to fail: each shortcut is found, as a violation of its invariant."""
    explorer = Explorer(
        scope=mutant.scope, cores=mutant.cores, states_max=MUTANT_STATES_MAX, calm_every=0
    )
    found = explorer.run()
    assert set(mutant.finds) & {violation.id for violation in found.violations}, str(found)


def test_without_faults_it_commits() -> None:
    """No faults, all yes, in time: COMMIT (I4), and everybody operates the new version."""
    world = World(scope=QUIET)
    end = world.start
    labels: list[str] = []
    while True:
        move = next((move for move in world.moves(end) if "asks again" not in move.label), None)
        if move is None:
            break
        end = move.state
        labels.append(move.label)
    assert "commit" in next(label for label in labels if "decided" in label)


def test_faults_that_stop_are_got_over() -> None:
    """From the very first state on, calm ends with a fleet that operates one version (I6)."""
    world = World(scope=QUIET)
    assert ([], []) == calm(world, world.start)


def test_equal_states_are_one() -> None:
    """The same moves in another order lead to the same state, or nothing would ever end."""
    world = World(scope=QUIET)
    start = _after(world, world.start, "c1 appends")
    prepared = "gets prepare"
    one = _after(world, _after(world, start, f"d1 {prepared}"), f"d2 {prepared}")
    other = _after(world, _after(world, start, f"d2 {prepared}"), f"d1 {prepared}")
    assert one == other


def _after(world: World, state: State, label: str) -> State:
    return next(move.state for move in world.moves(state) if move.label.startswith(label))
