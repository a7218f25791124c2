"""
Breadth-first exploration of the cores: every interleaving of a few faults, none left out.

``python -m tests.protocol.explore --scope NAME`` explores one scope and prints its figures, or the
shortest trace to a violation; ``--scope default`` what the tests explore, ``--scope full`` the
scopes that take minutes each. What a scope leaves out is in its name and in :data:`SCOPES`; what
every scope has for free is in :mod:`tests.protocol.world`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.protocol.answers import ROLL_CALL
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.records import LockState
from tests.protocol.scope import Cores, Move, Scope, State
from tests.protocol.tables import DEVICES
from tests.protocol.world import World

DEFAULT: Final = (
    Scope(name="fences", instants=4),
    Scope(name="refusal", instants=2, noes=1, crashes=(1, 0), fences=False),
    Scope(name="zombie", instants=4, forces=1, fences=False, zombies=True),
    Scope(name="crash", instants=4, crashes=(1, 0), fences=False),
    Scope(name="lost-answers", instants=4, forces=1, lost=1, fences=False),
    Scope(name="crash-force", instants=2, crashes=(1, 0), forces=1, fences=False),
    Scope(name="second-push", instants=2, forces=1, pushes=1, fences=False),
    Scope(name="glass", instants=2, glass=1, crashes=(1, 0), fences=False),
    Scope(name="glass-second", instants=2, glass=1, pushes=1, fences=False),
    Scope(name="new-disk", instants=3, crashes=(1, 0), wiped=(1, 0), fences=False, cuts=False),
)
"""What the tests explore. Each scope is exhaustive for its faults; together they cover all."""

FULL: Final = (
    Scope(name="two-crashes", instants=4, crashes=(1, 1), fences=False),
    Scope(name="crash-force-4", instants=4, crashes=(1, 0), forces=1, fences=False),
    Scope(name="second-push-3", instants=3, forces=1, pushes=1, fences=False),
    Scope(name="new-disk-4", instants=4, crashes=(1, 0), wiped=(1, 0), fences=False),
    Scope(name="crash-fences", instants=3, crashes=(1, 0)),
    Scope(name="force-fences", instants=3, forces=1),
    Scope(name="refusal-fences", instants=2, noes=1, crashes=(1, 0)),
    Scope(name="fenced-second", instants=1, forces=1, pushes=1),
    Scope(name="glass-4", instants=4, crashes=(1, 0), glass=1, fences=False),
    Scope(name="glass-force", instants=4, forces=1, glass=1, fences=False),
    Scope(name="glass-fences", instants=2, glass=1),
    Scope(name="crash-second", instants=1, crashes=(1, 0), forces=1, pushes=1, fences=False),
)
"""What takes minutes: run by hand, before the protocol is changed."""

SCOPES: Final = {scope.name: scope for scope in (*DEFAULT, *FULL)}
ROUNDS_MAX: Final = 80
CALM_INSTANTS: Final = 9
"""Longer than any transaction with its settling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an exploration came to; ``trace`` is the shortest way to ``violations``."""

    scope: str
    states: int
    transitions: int
    depth: int
    calmed: int
    """From how many states the faults were ended, to see whether everybody gets well."""
    seconds: float
    complete: bool
    violations: tuple[Violation, ...] = ()
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Show the figures, then the trace, then what is violated at its end."""
        end = "complete" if self.complete else "not complete"
        figures = (
            f"{self.scope}: {self.states} states, {self.transitions} transitions, depth "
            f"{self.depth}, {self.calmed} calmed, {self.seconds:.1f} s, {end}, "
            f"{len(self.violations)} violations"
        )
        lines = [figures]
        lines += [f"  {number:3} {label}" for number, label in enumerate(self.trace, 1)]
        return "\n".join([*lines, *(f"  {violation}" for violation in self.violations)])


@dataclass(kw_only=True)
class Explorer:
    """
    One exploration. Each ``calm_every``-th state is also calmed: its faults end there.

    States are taken in the order of their depth, so the first violation has a shortest trace.
    """

    scope: Scope
    cores: Cores = field(default_factory=Cores)
    states_max: int = 50_000_000
    calm_every: int = 200

    def run(self) -> Found:
        self._began = time.perf_counter()
        self._world = World(scope=self.scope, cores=self.cores)
        self._seen = {self._world.start: 0}
        self._parents: list[tuple[int, str]] = [(0, "")]
        self._transitions = self._depth = self._calmed = 0
        queue = deque([(self._world.start, 0)])
        while queue:
            state, depth = queue.popleft()
            self._depth = max(self._depth, depth)
            number = self._seen[state]
            if self.calm_every and number % self.calm_every == 0:
                self._calmed += 1
                violations, story = calm(self._world, state)
                if violations:
                    return self._found(violations, number, *story)
            for move in self._world.moves(state):
                self._transitions += 1
                if move.violations:
                    return self._found(move.violations, number, move.label)
                if move.state not in self._seen:
                    self._seen[move.state] = len(self._parents)
                    self._parents.append((number, move.label))
                    queue.append((move.state, depth + 1))
            if len(self._seen) > self.states_max:
                return self._found((), 0, complete=False)
        return self._found((), 0)

    def _found(
        self, violations: Sequence[Violation], number: int, *more: str, complete: bool = True
    ) -> Found:
        return Found(
            scope=self.scope.name,
            states=len(self._seen),
            transitions=self._transitions,
            depth=self._depth,
            calmed=self._calmed,
            seconds=time.perf_counter() - self._began,
            complete=complete and not violations,
            violations=tuple(violations),
            trace=(*reversed(list(self._way_to(number))), *more) if violations else (),
        )

    def _way_to(self, number: int) -> Iterator[str]:
        while number:
            number, label = self._parents[number]
            yield label


# --- when faults stop (I6) ----------------------------------------------------------------------


def calm(world: World, state: State) -> tuple[list[Violation], list[str]]:
    """
    End all faults in ``state`` and see whether everything ends well, within a bounded time.

    Twice: once with the coordinators there are, once with all of them dead and somebody else to
    resolve what they have left. Returns what is wrong, and the story since ``state``.
    """
    for survivors in (state.desks, tuple(0 for _ in state.desks)):
        story = ["--- the faults end" if any(survivors) else "--- the coordinators die"]
        end = _calmed(world, state._replace(desks=survivors), story)
        violations = _unwell(world, end)
        if violations:
            return violations, story
    return [], []


def _calmed(world: World, state: State, story: list[str]) -> State:
    quiet = state._replace(
        crashes=(0, 0), wiped=(0, 0), noes=0, forces=0, glass=0, pushes=0, lost=0, adrift=()
    )
    until = quiet.instant + CALM_INSTANTS
    for _ in range(ROUNDS_MAX):
        before = quiet
        for move in _fair_round(world, quiet):
            if move.state != quiet:
                story.append(move.label)
            quiet = move.state
        if quiet == before:
            if quiet.instant >= until:
                break
            quiet = world.advance(quiet).state
            story.append("time passes")
    return quiet


def _fair_round(world: World, state: State) -> Iterator[Move]:
    """Let everybody do once all that they can; each move starts from the state of the last."""
    for which in range(len(DEVICES)):
        for label in [move.label for move in world.unit_moves(state, which)]:
            move = _move(world.unit_moves(state, which), label)
            if move is not None and not _fenced(world, state, which, label):
                state = move.state
                yield move
    for slot in range(len(state.desks)):
        for label in [move.label for move in _desk_moves(world, state, slot)]:
            move = _move(_desk_moves(world, state, slot), label)
            if move is not None:
                state = move.state
                yield move
    lock = world.logs[state.journal].fold.lock
    if not any(state.desks) and lock.state is not LockState.FREE:
        yield world.force(state)
    elif not any(state.desks):
        yield Move("somebody answers", world.settling(state))


def _desk_moves(world: World, state: State, slot: int) -> Iterator[Move]:
    return world.desk_moves(state, slot) if state.desks[slot] else iter(())


def _move(moves: Iterator[Move], label: str) -> Move | None:
    return next((move for move in moves if move.label == label), None)


def _fenced(world: World, state: State, which: int, label: str) -> bool:
    """Whether this is a FENCE that the device has already obeyed: it would greet for ever."""
    known = world.units.all[state.units[which]].disk.max_epoch.number
    _, fence, epoch = label.partition("gets fence epoch=")
    if fence and epoch == str(ROLL_CALL.epoch):  # it is asked what it is until it has re-joined
        return DEVICES[which] not in world.logs[state.journal].fold.quarantined
    return bool(fence) and int(epoch) <= known


def _unwell(world: World, state: State) -> list[Violation]:
    """I6: every lock free, every transaction ended, everybody operates the fleet's version."""
    fold = world.logs[state.journal].fold
    found = []
    if fold.lock.state is not LockState.FREE or fold.open is not None:
        found.append(Violation(id="I6", text=f"the lock is {fold.lock.state} for ever"))
    if fold.quarantined:
        text = f"in quarantine for ever: {', '.join(sorted(fold.quarantined))}"
        found.append(Violation(id="I6", text=text))
    for name, number in zip(DEVICES, state.units, strict=True):
        unit = world.units.all[number]
        disk = unit.disk
        if (disk.version, disk.digest) != (fold.version, fold.digest_of(name)):
            text = f"{name} stays at {disk.version}, the fleet is at {fold.version}"
            found.append(Violation(id="I6", text=text))
        elif unit.operating != fold.version:
            why = () if unit.core is None else unit.core.operation.holds(disk, world.now(state))
            found.append(Violation(id="I6", text=f"{name} holds for ever: {', '.join(why)}"))
        if disk.prepared is not None or disk.pending is not None:
            found.append(Violation(id="I6", text=f"{name} stays in doubt"))
    return found


def main() -> int:
    """Explore what the command line names; 1 if anything is violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scope", default="default", help="default, full, or a name")
    parser.add_argument("--states-max", type=int, default=50_000_000)
    chosen = parser.parse_args()
    groups = {"default": DEFAULT, "full": FULL}
    scopes = groups.get(chosen.scope) or (SCOPES[chosen.scope],)
    broken = False
    for scope in scopes:
        found = Explorer(scope=scope, states_max=chosen.states_max).run()
        broken = broken or bool(found.violations)
        sys.stdout.write(f"{found}\n")
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
