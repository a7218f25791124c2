"""
What goes wrong with links, as the verbs have it, on the :class:`~.network.Network`.

It also remembers what has travelled: to replay it, and to tell what a link did by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from drone_sim.checker import Disturbance
from drone_sim.scenario.model import Act, Link, Scenario
from drone_sim.scenario.verbs import word_of
from drone_sim.shells.clocks import true_s
from drone_sim.shells.lasting import Undo
from drone_sim.shells.network import End, Network, Packet, Way
from drone_sim.shells.truth import Truth
from orchestrator.transport.topics import parse

LATE_S: Final = 1.0
"""How late a message comes at most that an act delays."""

PAST_MAX: Final = 200
"""How many messages of each device and direction are remembered."""

KIND: Final = Link(delay_s=0.001, jitter_s=0.001)
"""A link that does nothing wrong: of the prologue, and of the time after everything healed."""

MUCH_S: Final = 0.05
"""How much later than usual a message is much delayed."""

_DISTURBANCES: Final = {End.LOST: Disturbance.LOSS, End.REPEATED: Disturbance.DUPLICATE}

_SENT: Final = frozenset({"vote", "hello"})
"""What is replayed from a device; all else is replayed to it."""


class Links:
    """The links of a run; ``spoils`` says whether their own qualities count yet, and still."""

    def __init__(self, scenario: Scenario, network: Network, truth: Truth) -> None:
        self._scenario = scenario
        self._network = network
        self._truth = truth
        self._own = {device.id: device.link for device in scenario.devices}
        self._cuts: dict[str, dict[str, Way | None]] = {}
        self._worse: dict[str, dict[str, float]] = {}
        self._past: dict[tuple[str, Way], deque[Packet]] = {}
        self._sent_s: dict[int, tuple[Packet, float]] = {}
        self.spoils = False
        network.on_message = self._travelled

    def quality(self, name: str) -> Link:
        """Return what a link is now, by itself and by what makes it worse."""
        own = self._own.get(name, self._scenario.control) if self.spoils else KIND
        late = self._worse.get(name, {}).get("delays", 0.0)
        if not late:
            return own
        return replace(own, spike=max(own.spike, late), spike_s=max(own.spike_s, LATE_S))

    def spoil(self, *, spoils: bool) -> None:
        """Let every link have its own quality from now on, or be kind."""
        self.spoils = spoils
        for name in self._network.names():
            self._network.join(name, self.quality(name))

    def heal(self) -> None:
        """Take everything away; what was held is sent."""
        self._cuts.clear()
        self._worse.clear()
        self._network.perfect()
        self.spoil(spoils=False)

    # --- faults ---------------------------------------------------------------------------------

    def cut(self, act: Act, name: str) -> Undo:
        """Cut one link, in one direction or both."""
        word = word_of(act)
        self._cuts.setdefault(name, {})[word] = Way(word) if word else None
        self._cut_again(name)

        def undo() -> None:
            self._cuts.get(name, {}).pop(word, None)
            self._cut_again(name)

        return undo

    def _cut_again(self, name: str) -> None:
        self._network.heal([name])
        for way in self._cuts.get(name, {}).values():
            self._network.cut([name], way)

    def clog(self, act: Act, name: str) -> Undo:
        """Hold what is sent over one link."""
        word = word_of(act)
        self._network.clog([name], Way(word) if word else None)
        return lambda: self._network.unclog([name])

    def lossy(self, act: Act, name: str) -> Undo:
        """Lose, repeat or delay messages of one link."""
        word = word_of(act)
        self._worse.setdefault(name, {})[word] = act.amount
        self._spoil_more(name)

        def undo() -> None:
            self._worse.get(name, {}).pop(word, None)
            self._spoil_more(name)

        return undo

    def _spoil_more(self, name: str) -> None:
        worse = self._worse.get(name, {})
        self._network.lossy(
            [name], loss=worse.get("loses", 0.0), duplicate=worse.get("repeats", 0.0)
        )
        if name in self._network.names():
            self._network.join(name, self.quality(name))

    # --- what has travelled ---------------------------------------------------------------------

    def replay(self, act: Act, name: str) -> None:
        """Let the last messages of a kind arrive once more: at a device, or from it."""
        kind = word_of(act)
        way = Way.UP if kind in _SENT else Way.DOWN
        past = [one for one in self._past.get((name, way), ()) if _is(one, kind)]
        for packet in past[-int(act.amount) :]:
            if self._network.repeat is not None:
                self._network.repeat(packet)

    def _travelled(self, end: End, packet: Packet) -> None:
        kept = End.ARRIVED if packet.way is Way.DOWN else End.SENT
        if end is kept and packet.link in self._own and packet.payload:
            key = (packet.link, packet.way)
            past = self._past.get(key)
            if past is None:
                past = self._past[key] = deque(maxlen=PAST_MAX)
            past.append(packet)
        disturbance = _DISTURBANCES.get(end)
        if disturbance is not None and not self._is_cut(packet):
            self._truth.disturbed(disturbance, packet)
        self._look_at_delay(end, packet)
        if self._truth.teller is not None:
            self._truth.teller.packet(end, packet)

    def _look_at_delay(self, end: End, packet: Packet) -> None:
        """Tell of a packet that comes much later than its link's ordinary time."""
        if end is End.SENT and self.quality(packet.link).spike:
            self._sent_s[id(packet)] = packet, true_s()
        elif end is End.ARRIVED:
            _, sent_s = self._sent_s.pop(id(packet), (packet, true_s()))
            link = self.quality(packet.link)
            if true_s() - sent_s > link.delay_s + link.up_s + link.jitter_s + MUCH_S:
                self._truth.disturbed(Disturbance.SPIKE, packet)

    def _is_cut(self, packet: Packet) -> bool:
        ways: Collection[Way | None] = self._cuts.get(packet.link, {}).values()
        return None in ways or packet.way in ways


def _is(packet: Packet, kind: str) -> bool:
    if not kind:
        return True
    address = parse(packet.topic)
    return address is not None and address.route.kind == kind
