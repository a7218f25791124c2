"""The ground that the scripts stand on: time, devices, a broker, and a lock that is a file."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import Scenario, SimulatedDevice

RESEND_S: Final = 0.2
"""After so long TCP sends again what the link has lost (the least that Linux waits)."""

RECONNECT_S: Final = 1.0
LATE_S: Final = 1.0
"""A link that delays messages delays each by up to so much."""

LOSS_MAX: Final = 0.95
"""A link that loses everything for ever is no link: TCP gets through at some time."""

UNCONFIGURED: Final = 0
"""The version of a unit that was never configured: it operates nothing."""

Do = Callable[[], None]


class Way(StrEnum):
    """From a party to the broker, and back."""

    UP = "up"
    DOWN = "down"


@dataclass(kw_only=True)
class Road:
    """One way of a device's link: until when nothing passes, and when the last message came."""

    cut_until: float = 0.0
    """What is sent meanwhile is kept for the session that is made anew."""
    clogged_until: float = 0.0
    last: float = 0.0


@dataclass(kw_only=True)
class Unit:
    """One device: what it runs from its disk, what it has promised, and what is wrong with it."""

    made: SimulatedDevice
    version: int
    prepared: int | None = None
    retired: bool = False
    off_until: float = 0.0
    refuses_until: float = 0.0
    """Until when its own checks say no."""
    fails_until: float = 0.0
    """Until when its controller obeys nothing."""
    slow_until: float = 0.0
    slow_s: float = 0.0
    lossy_until: float = 0.0
    loses: float = 0.0
    late_until: float = 0.0
    writes_left: int | None = None
    """Before which of its writes from now on it loses power, and for how long."""
    writes_off_s: float = 0.0
    roads: dict[Way, Road] = field(default_factory=lambda: {way: Road() for way in Way})
    queue: list[Do] = field(default_factory=list)
    """What the broker keeps for it while it is away."""

    @property
    def id(self) -> str:
        """Its name."""
        return self.made.id


@dataclass(kw_only=True, eq=False)
class Script:
    """One process that pushes, step by step; a paused one goes on where it stopped."""

    name: str
    version: int = UNCONFIGURED
    goes_back: bool = False
    """Whether it pushes the bytes of version 1 once more."""
    alive: bool = True
    paused: bool = False
    asked_to_abort: bool = False
    away_until: float = 0.0
    held: list[Do] = field(default_factory=list)
    steps: deque[Do] = field(default_factory=deque)

    def run(self, work: Do) -> None:
        """Do something, unless it is dead; later, while it is stopped."""
        if self.alive and self.paused:
            self.held.append(work)
        elif self.alive:
            work()


@dataclass(kw_only=True)
class Broker:
    """What is between them; ``lives`` counts how often it has forgotten what was under way."""

    down_until: float = 0.0
    lives: int = 0
    slow_until: float = 0.0
    slow_s: float = 0.0
    drops_until: float = 0.0
    drops: float = 0.0
    retained: dict[tuple[str, str], int] = field(default_factory=dict)


class Ground:
    """The world of one run."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now = 0.0
        first = UNCONFIGURED if scenario.fresh else 1
        self.units = {device.id: Unit(made=device, version=first) for device in scenario.devices}
        self.lock: object | None = None
        self.newest = first
        self.contents = {first: first}
        """Whose bytes a version has: one that goes back has those of another one."""
        self.scripts: dict[str, Script] = {}
        self.broker = Broker()
        self.mixed_s = 0.0
        self.told: Callable[[Unit, str, int], None] = lambda _unit, _topic, _version: None
        """What a device does with what is retained; the script says it."""
        self._chance = stream(scenario.seed, "baseline")
        self._events: list[tuple[float, int, Do]] = []
        self._numbers = itertools.count()

    # --- time ---------------------------------------------------------------------------------

    def at(self, when: float, do: Do) -> None:
        """Let something happen at a true time."""
        heapq.heappush(self._events, (when, next(self._numbers), do))

    def run(self, until: float) -> None:
        """Let everything happen until then."""
        while self._events and self._events[0][0] <= until:
            when, _, do = heapq.heappop(self._events)
            self._pass(when)
            do()
        self._pass(until)

    def _pass(self, when: float) -> None:
        if len(self.operated()) > 1:
            self.mixed_s += when - self.now
        self.now = when

    def operated(self, *, by_all: bool = False) -> set[int]:
        """Return the configurations that run now; ``by_all``: on devices that are off, too."""
        return {
            self.contents[unit.version]
            for unit in self.units.values()
            if unit.version != UNCONFIGURED and not unit.retired and (by_all or self.is_up(unit))
        }

    def versions(self) -> dict[str, int]:
        """Return what each device runs."""
        return {name: unit.version for name, unit in self.units.items()}

    def is_up(self, unit: Unit) -> bool:
        """Whether a device runs."""
        return self.now >= unit.off_until

    # --- scripts ------------------------------------------------------------------------------

    def go_on(self, script: Script, between_s: float) -> None:
        """Do the next step of a script, and after a while the others; wait while it must."""
        wait_until = max(script.away_until, self.broker.down_until)
        if wait_until > self.now:
            self.at(wait_until, lambda: script.run(partial(self.go_on, script, between_s)))
        elif script.steps:
            script.steps.popleft()()
            later = partial(self.go_on, script, between_s)
            self.at(self.now + between_s, lambda: script.run(later))

    # --- messages -----------------------------------------------------------------------------

    def _arrives(self, unit: Unit, way: Way) -> float:
        """Draw when a message is there that sets out now: not before the one before it."""
        link, chance, road = unit.made.link, self._chance, unit.roads[way]
        when = self.now + link.delay_s + link.jitter_s * chance.random()
        when += link.up_s if way is Way.UP else 0.0
        if chance.random() < link.spike:
            when += link.spike_s * chance.random()
        if when < unit.late_until:
            when += LATE_S * chance.random()
        if self.now < unit.slow_until:
            when += unit.slow_s
        if self.now < self.broker.slow_until:
            when += self.broker.slow_s
        while chance.random() < self._loss(unit, when):
            when += RESEND_S
        road.last = max(road.last, when)
        return road.last

    def _loss(self, unit: Unit, when: float) -> float:
        loses = unit.loses if when < unit.lossy_until else 0.0
        return max(min(unit.made.link.loss, LOSS_MAX), loses)

    def _drops(self) -> bool:
        """Draw whether a full queue drops a delivery."""
        return self.now < self.broker.drops_until and self._chance.random() < self.broker.drops

    def tell(self, unit: Unit, topic: str, version: int, take: Do) -> None:
        """Publish to a device, retained; ``take`` is what the device does when it has come."""
        self.broker.retained[unit.id, topic] = version
        self.deliver(unit, take)

    def deliver(self, unit: Unit, take: Do) -> None:
        """Carry a message to a device: once it is there, if it is away."""
        if not self._drops():
            lives = self.broker.lives
            self.at(self._arrives(unit, Way.DOWN), partial(self._arrive, unit, take, lives))

    def _arrive(self, unit: Unit, take: Do, lives: int) -> None:
        road = unit.roads[Way.DOWN]
        if lives != self.broker.lives:
            return
        if self.now < max(road.cut_until, unit.off_until, self.broker.down_until):
            unit.queue.append(take)
        elif self.now < road.clogged_until:
            self.at(road.clogged_until, partial(self._arrive, unit, take, lives))
        else:
            take()

    def answer(self, unit: Unit, script: Script, take: Do) -> None:
        """Carry a vote to a script: a device that is cut off sends it when it is not."""
        if not self._drops():
            self.at(self._arrives(unit, Way.UP), partial(self._heard, unit, script, take))

    def _heard(self, unit: Unit, script: Script, take: Do) -> None:
        road = unit.roads[Way.UP]
        away = max(road.cut_until, self.broker.down_until)
        if self.now < away:
            self.at(away + RECONNECT_S, partial(self._heard, unit, script, take))
        elif self.now < max(road.clogged_until, script.away_until):
            later = max(road.clogged_until, script.away_until)
            self.at(later, partial(self._heard, unit, script, take))
        else:
            script.run(take)

    def connects(self, unit: Unit) -> None:
        """Give a device that has its session again what was kept, then what was retained."""
        if self.now < max(unit.off_until, unit.roads[Way.DOWN].cut_until, self.broker.down_until):
            return  # it comes again when that is over
        kept, unit.queue = unit.queue, []
        for take in kept:
            self.deliver(unit, take)
        for (name, topic), value in sorted(self.broker.retained.items()):
            if name == unit.id:
                self.deliver(unit, partial(self.told, unit, topic, value))

    # --- devices ------------------------------------------------------------------------------

    def writes(self, unit: Unit) -> bool:
        """Let a device change its disk; false where it loses power just before."""
        if unit.writes_left is None:
            return True
        unit.writes_left -= 1
        if unit.writes_left > 0:
            return True
        unit.writes_left = None
        self.turn_off(unit, self.now + unit.writes_off_s)
        return False

    def turn_off(self, unit: Unit, until: float) -> None:
        """Let a device be off: what was on its disk is there when it comes back."""
        unit.off_until = max(unit.off_until, until)
        self.at(until, partial(self.connects, unit))
