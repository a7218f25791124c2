"""One party's link to the broker: its quality, its chance, and what an act does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from drone_sim.checker import Disturbance
from drone_sim.scenario.model import Link

LATE_S: Final = 1.0
"""How late a link that 'delays' lets a message come, at most; see the verb 'lossy'."""

HEALTHY: Final = Link(delay_s=0.001, jitter_s=0.0)
"""A link in the liveness phase: nothing overtakes anything."""

Waiting = tuple[Callable[..., object], tuple[Any, ...]]


class Chance(Protocol):
    """A stream of chance."""

    def random(self) -> float:
        """Draw a number of 0 to 1."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Way:
    """One direction of a line. ``held`` is what waits while it is clogged; rates are 0 to 1."""

    cut: bool = False
    held: list[Waiting] | None = None
    loses: float = 0.0
    repeats: float = 0.0
    delays: float = 0.0

    bad: bool = False
    """Whether an act disturbs single messages."""

    def disturb(self, how: str, rate: float) -> None:
        """Let an act lose, repeat or delay messages (``loses``, ``repeats``, ``delays``)."""
        setattr(self, how, rate)
        self.bad = bool(self.loses or self.repeats or self.delays)


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """
    The link between a party, called ``name``, and the broker; ``up`` goes to the broker.

    ``connected`` is whether the broker has a session of the party.
    """

    name: str
    quality: Link
    chance: Chance
    calm: bool = field(init=False)
    """Whether its quality is such that it only delays."""
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    connected: bool = False
    broken: bool = False
    """Whether the connection is to be made again, as soon as it can be."""
    attempt: int = 0
    """The number of the last attempt to connect."""
    since: float = 0.0
    """When it was last cut."""

    def __post_init__(self) -> None:
        """See what its quality is."""
        self.be(self.quality)

    def be(self, quality: Link) -> None:
        """Have another quality from now on."""
        self.quality = quality
        self.calm = not (quality.loss or quality.duplicate or quality.spike)

    @property
    def open(self) -> bool:
        """Whether both ways let something pass."""
        return not (self.up.cut or self.down.cut)

    def delay_s(self, way: Way) -> float:
        """Draw how long one message takes, without spikes."""
        quality = self.quality
        delay_s = quality.delay_s + quality.jitter_s * self.chance.random()
        return delay_s + quality.up_s if way is self.up else delay_s

    def delays_s(self, way: Way) -> tuple[tuple[float, ...], tuple[Disturbance, ...]]:
        """
        Draw how long each copy of a message takes, and what quality does to it.

        What an act does is not counted as a disturbance.
        """
        quality, draw, delay_s = self.quality, self.chance.random, self.delay_s(way)
        found: tuple[Disturbance, ...] = ()
        if quality.loss and draw() < quality.loss:
            return (), (Disturbance.LOSS,)
        if way.loses and draw() < way.loses:
            return (), ()
        if quality.spike and draw() < quality.spike:
            delay_s += quality.spike_s * draw()
            found = (Disturbance.SPIKE,)
        if way.delays and draw() < way.delays:
            delay_s += LATE_S * draw()
        if quality.duplicate and draw() < quality.duplicate:
            return (delay_s, self.delay_s(way)), (*found, Disturbance.DUPLICATE)
        if way.repeats and draw() < way.repeats:
            return (delay_s, self.delay_s(way)), found
        return (delay_s,), found
