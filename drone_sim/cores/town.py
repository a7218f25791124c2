"""
A yard that runs by itself: a queue of events in true time, a judge, and points to crash at.

Everything that will happen stands in one heap, in the order of (true time, number): what was
asked for first comes first. Nothing here draws chance, and nothing depends on the order of a set,
so a run is a function of its scenario.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Protocol

from drone_sim.checker import Checker
from drone_sim.cores.yard import Yard
from drone_sim.result import Crash
from drone_sim.scenario.model import Scenario
from drone_sim.trace import Kind, Trace, Value
from orchestrator.protocol import orchestration as orc

START_S: Final = 100_000.0
"""True time, and UTC, at the start of the story: no clock of a device reads less than 0."""

STEPS_MAX: Final = 400_000
"""More steps than any story needs: beyond it, something goes round in circles."""

_NEVER: Final = 0


class EndlessError(Exception):
    """The cores step and step, and time does not pass."""


class Mortal(Protocol):
    """A process or a device."""

    def die(self) -> None:
        """Crash, now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    What a town is made of: the story, who judges it, and who writes it down.

    ``crashes`` says where somebody dies; see :class:`drone_sim.result.Crash`.
    """

    scenario: Scenario
    checker: Checker
    trace: Trace | None = None
    crashes: Sequence[Crash] = ()


class Town(Yard):
    """Time, and who is told of what happens."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(0)
        pace = setup.scenario.pace
        self.now = START_S
        self.timing = orc.Timing(
            window_s=pace.window_s,
            clock_error_s=pace.clock_error_s,
            settle_s=pace.settle_s,
            join_s=pace.join_s,
        )
        self.scenario = setup.scenario
        self.checker = setup.checker
        self.trace = setup.trace
        self.telling = False
        """Whether the story has begun: the prologue is not its business."""
        self.faulty = False
        """Whether it is still the safety phase: only there somebody is crashed."""
        self.steps = 0
        self.messages = 0
        self.seams = 0
        self.awaits = 0
        self._seams_to_die_at = _numbers(setup.crashes, await_=False)
        self._awaits_to_die_at = _numbers(setup.crashes, await_=True)
        self._next_seam = next(self._seams_to_die_at)
        self._next_await = next(self._awaits_to_die_at)
        self._queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._number = 0

    # --- time -----------------------------------------------------------------------------------

    @property
    def story_s(self) -> float:
        """True time since the start of the story, in s."""
        return self.now - START_S

    def at(self, instant: float, act: Callable[..., object], *args: Any) -> None:
        """Let ``act(*args)`` happen at a true instant, which is not in the past."""
        self._number += 1
        heapq.heappush(self._queue, (instant, self._number, act, args))

    def later(self, delay_s: float, act: Callable[..., object], *args: Any) -> None:
        """Let ``act(*args)`` happen after a while."""
        self._number += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._number, act, args))

    def run_until(self, instant: float) -> None:
        """Let everything happen that is due up to and including a true instant."""
        queue, pop, checker = self._queue, heapq.heappop, self.checker
        while queue and queue[0][0] <= instant:
            now, _, act, args = pop(queue)
            self.now = now
            checker.now_s = now - START_S
            act(*args)
        self.now = instant
        checker.now_s = instant - START_S

    def stepped(self) -> None:
        """Take note of a step of a core, and ask every invariant."""
        self.steps += 1
        if self.faulty:
            self.awaits += 1
        if self.steps > STEPS_MAX:
            raise EndlessError(f"{STEPS_MAX} steps")
        self.checker.look()

    # --- points to crash at ---------------------------------------------------------------------

    def seam(self, owner: Mortal) -> bool:
        """Count a point of input or output; true where its owner dies there."""
        if not self.faulty:
            return False
        self.seams += 1
        if self.seams != self._next_seam:
            return False
        self._next_seam = next(self._seams_to_die_at)
        owner.die()
        return True

    def dying(self, owner: Mortal) -> Callable[[], None] | None:
        """Return what is to be called before each step of ``owner``, if anybody is to die."""
        return None if self._next_await == _NEVER else partial(self.await_, owner)

    def await_(self, owner: Mortal) -> None:
        """Let the owner of the step that comes now die before it, if its number is up."""
        if self.faulty and self.awaits + 1 == self._next_await:
            self._next_await = next(self._awaits_to_die_at)
            self.awaits += 1
            owner.die()

    # --- telling --------------------------------------------------------------------------------

    def note(self, kind: Kind, who: str, text: str, /, **detail: Value) -> None:
        """Add an event to the trace; ask :attr:`trace` first where ``text`` is dear."""
        if self.trace is not None and self.telling:
            self.trace.note(self.now - START_S, kind, who, text, **detail)

    def check(self) -> None:
        """Ask every invariant; raises :class:`drone_sim.checker.Violated`."""
        self.checker.look()


def _numbers(crashes: Sequence[Crash], *, await_: bool) -> Iterator[int]:
    """Yield where to die, in order, and then for ever a number that no count reaches."""
    wanted = sorted({crash.at for crash in crashes if crash.await_ is await_ and crash.at > 0})
    return chain(wanted, repeat(_NEVER))
