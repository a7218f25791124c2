"""What a run of a scenario came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from drone_sim.scenario.model import Scenario
from drone_sim.trace import Trace
from orchestrator.protocol.invariants import Violation


class Speed(StrEnum):
    """Pure cores, for breadth; whole shells (service, agent, transport, codec), for depth."""

    CORES = "cores"
    SHELLS = "shells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """
    Where a process or a device dies: at the ``at``-th seam of a run, or before its ``at``-th step.

    A run numbers, from 1, every seam of every process and device in the order in which they come:
    each message handed over, each append, each write, sync and rename of a disk. An ``await_``
    counts the callbacks of all processes instead. Whoever gets to that number dies there. A device
    comes back a second later; an orchestrator does not.
    """

    at: int
    await_: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    One time in which a device did not aim, in true time of the story, in s.

    ``causes`` are the verbs of the faults that were in force then or had just ended, sorted; empty
    in a healthy push. ``budget_s`` is what I28 allowed it.
    """

    device: str
    began_s: float
    lasted_s: float
    causes: tuple[str, ...] = ()
    budget_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What a run was made of.

    ``acts`` counts by verb, random loss and repetition among it as ``loss`` and ``duplicate``.
    ``skews_s`` are the spans between the first and the last activation of each committed version.
    """

    virtual_s: float = 0.0
    steps: int = 0
    """Steps of cores, each of which was checked."""
    messages: int = 0
    seams: int = 0
    """How many points of I/O there were to crash at; see :class:`Crash`."""
    awaits: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    committed: int = 0
    aborted: int = 0
    forced: int = 0
    holds: tuple[Hold, ...] = ()
    skews_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    The outcome of one run: no ``violations``, or those of the step at which it was stopped.

    ``goals`` counts what was seen to happen that must be seen sometimes; see
    :mod:`drone_sim.checker.goals`. ``trace`` is there where it was asked for.
    """

    scenario: Scenario
    speed: Speed
    violations: tuple[Violation, ...] = ()
    violated_at_s: float | None = None
    goals: Counter[str] = field(default_factory=Counter)
    figures: Figures = field(default_factory=Figures)
    trace: Trace | None = None

    @property
    def held(self) -> bool:
        """Whether every invariant held."""
        return not self.violations
