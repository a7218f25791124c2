"""
The network: one link for each device and each process, to and from the broker.

Every message of the product is one packet, which is lost, repeated, delayed and overtaken by the
quality of the link and by what is wrong with it now. TCP would hide loss and order from MQTT; this
network does not, since the product treats MQTT of any QoS as lossy, repeating and reordering.
What makes, keeps and ends a connection is *reliable*: it is never lost by chance, only to a cut,
and it comes after all that was sent before it over the same link. A cut is harder than a real one:
nothing is sent again once it is healed; a clog is the cut that loses nothing.

Packets on their way belong to the world: the death of who sent them does not lose them.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import Link

PAST_MAX: Final = 1000
"""How many published packets of each direction of a link can be replayed."""


class Way(StrEnum):
    """The direction of a packet."""

    UP = "up"
    """To the broker."""

    DOWN = "down"
    """From the broker."""


class End(StrEnum):
    """What became of a packet; the words of the trace."""

    SENT = "sent"
    ARRIVED = "arrived"
    LOST = "lost"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """
    What is published, as the network sees it.

    ``link`` is who it goes from or to. ``retain`` asks the broker to retain it.
    """

    link: str
    way: Way
    topic: str
    payload: bytes
    retain: bool = False


OnMessage = Callable[[End, Packet], None]
"""Told what becomes of each packet. SENT and LOST come in the context of who sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """
    One thing to hand over, and what to do at the other end.

    ``packet`` is ``None`` for what only makes, keeps or ends a connection: that is reliable.
    ``lost``, if it is there, is called in place of ``deliver`` where the packet was lost by
    chance: a broker acknowledges what it then drops. Both are called in ``context``, which is
    whose callback it is; ``None`` is the world's own.
    """

    deliver: Callable[[], None]
    lost: Callable[[], None] | None = None
    packet: Packet | None = None
    context: contextvars.Context | None = None


class _Line:
    """One direction of one link."""

    def __init__(self, seed: int, name: str, way: Way) -> None:
        self.way = way
        self.quality = Link()
        self.chance = stream(seed, "link", name, way)
        self.is_cut = False
        self.is_clogged = False
        self.held: list[Parcel] = []
        self.loss = 0.0
        self.duplicate = 0.0
        self.extra_s = 0.0
        self.past: deque[Packet] = deque(maxlen=PAST_MAX)
        self.last_at_s = 0.0
        """When the last of all that is on its way arrives."""

    def heal(self) -> None:
        """Take every fault away; the clog is the caller's."""
        self.is_cut = False
        self.loss = self.duplicate = self.extra_s = 0.0
        self.quality = replace(self.quality, loss=0.0, duplicate=0.0, spike=0.0)

    def delay_s(self) -> float:
        """Draw how long something takes: as many draws for each, whatever the quality."""
        chance, quality = self.chance.random, self.quality
        jitter, spikes, spike = chance(), chance(), chance()
        delay_s = quality.delay_s + jitter * quality.jitter_s + self.extra_s
        if self.way is Way.UP:
            delay_s += quality.up_s
        return delay_s + spike * quality.spike_s if spikes < quality.spike else delay_s


class Network:
    """
    The links, by name. Every link is made by :meth:`join` before anything is sent over it.

    ``on_message(end, packet)`` is called for what is published. Faults name links, in any order;
    an empty collection of names means all of them, and names of links that do not exist are
    ignored. ``repeat`` is the broker's: it sends a packet of the past once more.
    """

    def __init__(self, *, seed: int = 0, on_message: OnMessage | None = None) -> None:
        self.on_message = on_message
        self.repeat: Callable[[Packet], None] | None = None
        self._seed = seed
        self._lines: dict[str, dict[Way, _Line]] = {}
        self._world = contextvars.Context()
        self._chance = stream(seed, "network")

    def join(self, name: str, quality: Link | None = None) -> None:
        """Make a link, or give one that exists another quality; it keeps its faults."""
        if name not in self._lines:
            self._lines[name] = {way: _Line(self._seed, name, way) for way in Way}
        for line in self._lines[name].values():
            line.quality = quality or Link()

    def names(self) -> tuple[str, ...]:
        """Return all links, in the order in which they were made."""
        return tuple(self._lines)

    # --- faults -------------------------------------------------------------------------------

    def cut(self, names: Collection[str] = (), way: Way | None = None) -> None:
        """Lose everything that is sent from now on, in one direction or (``None``) in both."""
        for line in self._lines_of(names, way):
            line.is_cut = True

    def heal(self, names: Collection[str] = ()) -> None:
        """Undo :meth:`cut`."""
        for line in self._lines_of(names):
            line.is_cut = False

    def clog(self, names: Collection[str] = (), way: Way | None = None) -> None:
        """Hold everything that is sent from now on."""
        for line in self._lines_of(names, way):
            line.is_clogged = True

    def unclog(self, names: Collection[str] = ()) -> None:
        """Send what was held: what was published in another order, then the rest in its own."""
        for line in self._lines_of(names):
            held, line.held, line.is_clogged = line.held, [], False
            published = [parcel for parcel in held if parcel.packet is not None]
            line.chance.shuffle(published)
            for parcel in (*published, *(one for one in held if one.packet is None)):
                self._carry(line, parcel)

    def lossy(
        self, names: Collection[str] = (), *, loss: float = 0.0, duplicate: float = 0.0
    ) -> None:
        """Lose and repeat at these rates beside the link's own, until called again."""
        for line in self._lines_of(names):
            line.loss, line.duplicate = loss, duplicate

    def delay(self, names: Collection[str] = (), *, extra_s: float = 0.0) -> None:
        """Let everything take so much longer, until called again."""
        for line in self._lines_of(names):
            line.extra_s = extra_s

    def replay(self, names: Collection[str] = (), *, count: int) -> int:
        """Send ``count`` published packets of the past once more; return how many there were."""
        past = list(itertools.chain(*(line.past for line in self._lines_of(names))))
        chosen = self._chance.sample(past, min(count, len(past)))
        for packet in chosen:
            if self.repeat is not None:
                self.repeat(packet)
        return len(chosen)

    def perfect(self) -> None:
        """Take all faults away, the links' own among them; what was held is sent."""
        for line in self._lines_of(()):
            line.heal()
        self.unclog()

    def _lines_of(self, names: Collection[str], way: Way | None = None) -> Iterator[_Line]:
        """Yield in the order in which the links were made, whatever that of the names."""
        for name, ways in self._lines.items():
            if not names or name in names:
                yield from (line for one, line in ways.items() if way in {None, one})

    # --- packets ------------------------------------------------------------------------------

    def send(self, name: str, way: Way, parcel: Parcel) -> None:
        """Hand something over to a link: from now on it is the world's."""
        line = self._lines[name][way]
        if parcel.packet is None:
            self._send_reliably(line, parcel)
            return
        self._tell(End.SENT, parcel.packet)
        line.past.append(parcel.packet)
        loses, repeats = line.chance.random(), line.chance.random()
        if line.is_cut:
            self._tell(End.LOST, parcel.packet)
        elif loses < line.quality.loss + line.loss:
            self._lose(line, parcel)
        else:
            self._pass(line, parcel)
            if repeats < line.quality.duplicate + line.duplicate:
                self._tell(End.REPEATED, parcel.packet)
                self._pass(line, parcel)

    def _send_reliably(self, line: _Line, parcel: Parcel) -> None:
        if not line.is_cut:
            self._pass(line, parcel)

    def _lose(self, line: _Line, parcel: Parcel) -> None:
        if parcel.packet is not None:
            self._tell(End.LOST, parcel.packet)
        if parcel.lost is not None:
            self._pass(line, Parcel(deliver=parcel.lost, context=parcel.context))

    def _pass(self, line: _Line, parcel: Parcel) -> None:
        if line.is_clogged:
            line.held.append(parcel)
        else:
            self._carry(line, parcel)

    def _carry(self, line: _Line, parcel: Parcel) -> None:
        """Schedule the arrival; a reliable parcel overtakes nothing."""
        loop = asyncio.get_running_loop()
        at_s = loop.time() + line.delay_s()
        if parcel.packet is None:
            at_s = max(at_s, line.last_at_s)
        line.last_at_s = max(at_s, line.last_at_s)
        loop.call_at(at_s, self._arrive, parcel, context=parcel.context or self._world)

    def _arrive(self, parcel: Parcel) -> None:
        if parcel.packet is not None:
            self._tell(End.ARRIVED, parcel.packet)
        parcel.deliver()

    def _tell(self, end: End, packet: Packet) -> None:
        if self.on_message is not None:
            self.on_message(end, packet)
