"""What an exploration is about: its states, its moves, its faults and its cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from drone_sim.cores.rules import Resolve, Shatter
from orchestrator.protocol import lease
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.participant import Participant


class State(NamedTuple):
    """One state of the world, made of the numbers of its parts."""

    journal: int
    units: tuple[int, int]
    desks: tuple[int, ...]
    """The coordinators in the order of their start: the pusher, then whoever came later."""
    net: frozenset[int]
    instant: int
    crashes: tuple[int, int]
    """How often each device may still crash."""
    forces: int
    pushes: int
    lost: int
    """How many answers of appends may still be lost."""
    adrift: tuple[tuple[int, int, int], ...] = ()
    """Appends whose answer was lost and that may still land: desk number, slot, head."""
    noes: int = 0
    """How many checks may still refuse."""
    wiped: tuple[int, int] = (0, 0)
    """How often each device may still come back with an empty disk."""
    new_disk: tuple[bool, bool] = (False, False)
    glass: int = 0
    """How often somebody may still break the glass."""


class Move(NamedTuple):
    """A transition: what is done, in words, and the state after it."""

    label: str
    state: State
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may go wrong in an exploration, and how often."""

    name: str
    instants: int = 4
    crashes: tuple[int, int] = (0, 0)
    forces: int = 0
    pushes: int = 0
    lost: int = 0
    noes: int = 0
    wiped: tuple[int, int] = (0, 0)
    glass: int = 0
    fences: bool = True
    """Whether FENCE ever arrives (a PREPARE raises the device's epoch, too)."""
    cuts: bool = True
    """Whether power also fails between a write and what follows from it."""
    zombies: bool = False
    """Whether a coordinator that has lost the lock is still explored; see ``_resting``."""
    stale_answers: bool = False
    """Whether HELLO is answered without reading the journal first (a forbidden host)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """What is explored: the cores themselves, or mutants of them."""

    participant: type[Participant] = Participant
    coordinator: type[Coordinator] = Coordinator
    resolve: Resolve = lease.resolve
    shatter: Shatter = lease.break_glass
    compares: bool = True
    """Whether the journal compares before it appends."""
