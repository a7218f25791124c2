"""
The network of a town: a broker in the middle, a line to each device and to each process.

A message is handed over (a point to crash at), travels its sender's line up to the broker, is
retained there where its topic says so, and travels down the line of each receiver. Each hop may
lose it, repeat it, or let it be overtaken. A broker that was killed is a new generation: what was
on its way then is gone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

from drone_sim.checker import Disturbance
from drone_sim.cores.lines import Line, Way
from drone_sim.cores.party import Process, Unit
from drone_sim.cores.showing import show_message
from drone_sim.cores.town import Setup, Town
from drone_sim.scenario.chance import stream
from drone_sim.trace import Kind
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.messages import (
    Blob,
    Decision,
    DeviceMessage,
    Message,
    OrchestratorMessage,
)
from orchestrator.protocol.ready import Send
from orchestrator.protocol.types import DeviceId, Digest, TxnId

BROKER: Final = "broker"
AGAIN_S: Final = 0.5
"""Within so long whose connection was broken connects again, once it can."""


class Wires(Town):
    """The messages of a town."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.units: dict[DeviceId, Unit] = {}
        self.processes: dict[str, Process] = {}
        """The last process that was started under each name."""
        self.living: dict[str, Process] = {}
        """The processes that live, by their own name, in the order of their start."""
        self.broker_up = True
        self.broker_slow_s = 0.0
        self.broker_drops = 0.0
        self._generation = 0
        self._broker_chance = stream(setup.scenario.seed, "broker")
        self.keeps_history = False
        """Whether somebody will ask for messages to be replayed."""

    # --- from a party to the broker -------------------------------------------------------------

    def say(self, process: Process, send: Send) -> None:
        """Hand over a message of an orchestrator."""
        if self.seam(process):
            return
        message = send.message
        self.messages += 1
        self.checker.sent(process.name, message, send.to)
        if self.trace is not None:
            self.note_message(process.name, message, send.to or "*", "sent")
        args = (process.name, message, send.to)
        self._travel(process.line, process.line.up, self._from_orchestrator, *args)

    def say_up(self, unit: Unit, send: Send) -> None:
        """Hand over a message of a device."""
        if self.seam(unit):
            return
        message = send.message
        self.messages += 1
        self.checker.sent(unit.id, message)
        if self.trace is not None:
            self.note_message(unit.id, message, "orchestrator", "sent")
        if self.keeps_history:
            unit.said.append(message)
        self._travel(unit.line, unit.line.up, self._from_device, unit, message)

    def clear(self, process: Process, effect: orc.ClearRetained) -> None:
        """Let the broker forget what an orchestrator takes back."""
        if not self.seam(process):
            self._travel(process.line, process.line.up, self._forget, effect)

    def _travel(self, line: Line, way: Way, arrive: Callable[..., None], *args: Any) -> None:
        if not line.connected or way.cut:
            self._lost(args)
            return
        if way.held is not None:
            way.held.append((self._hop, (self._generation, way, arrive, args)))
            return
        if line.calm and not way.bad:
            self.later(line.delay_s(way), self._hop, self._generation, way, arrive, args)
            return
        delays, disturbances = line.delays_s(way)
        for what in disturbances:
            self._disturbed(line, what, args)
        for delay_s in delays:
            self.later(delay_s, self._hop, self._generation, way, arrive, args)

    def _hop(
        self,
        generation: int,
        way: Way,
        arrive: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        if generation != self._generation or way.cut:
            self._lost(args)
        else:
            arrive(*args)

    def _lost(self, args: tuple[Any, ...]) -> None:
        if self.trace is not None:
            self._note_end(args, "lost")

    def _disturbed(self, line: Line, what: Disturbance, args: tuple[Any, ...]) -> None:
        self.checker.disturbed(what, DeviceId(line.name) if line.name in self.units else None)
        if self.trace is not None and what is not Disturbance.SPIKE:
            self._note_end(args, "lost" if what is Disturbance.LOSS else "repeated")

    def _note_end(self, args: tuple[Any, ...], end: str) -> None:
        match args:
            case (str(sender), message, to):
                self.note_message(sender, message, to or "*", end)
            case (Unit(id=name), str(sender), message):
                self.note_message(sender, message, name, end)
            case (Unit(id=sender), message) if not isinstance(message, tuple):
                self.note_message(sender, message, "orchestrator", end)
            case (Process(name=name), sender, message):
                self.note_message(sender, message, name, end)

    def note_message(self, who: str, message: Message, to: str, end: str) -> None:
        """Add a message to the trace: what became of it at ``end``."""
        text = f"{end} {show_message(message)}"
        self.note(Kind.MESSAGE, who, text, kind=message.kind, to=to, end=end)

    # --- at the broker --------------------------------------------------------------------------

    def _from_orchestrator(self, *args: Any) -> None:
        if self.broker_slow_s:
            self.later(self.broker_slow_s, self._if_it_lives, self._generation, self._relay, args)
        else:
            self._relay(*args)

    def _if_it_lives(
        self, generation: int, relay: Callable[..., None], args: tuple[Any, ...]
    ) -> None:
        """Go on with a message that was inside the broker, unless it was killed meanwhile."""
        if generation == self._generation:
            relay(*args)

    def _relay(self, sender: str, message: OrchestratorMessage, to: DeviceId | None) -> None:
        """Retain and deliver a message of an orchestrator."""
        if to is not None:
            self._deliver(self.units[to], sender, message)
            return
        if isinstance(message, Decision):
            self.retained[message.txn] = message
        elif isinstance(message, Blob):
            key = (message.txn, message.digest)
            self.retained[key] = message
            for unit in self.units.values():
                if key in unit.watching:
                    self._deliver(unit, sender, message)
            return
        for unit in self.units.values():
            self._deliver(unit, sender, message)

    def _dropped(self) -> bool:
        """Draw whether a full queue drops a delivery."""
        return bool(self.broker_drops) and self._broker_chance.random() < self.broker_drops

    def _deliver(self, unit: Unit, sender: str, message: OrchestratorMessage) -> None:
        if not self._dropped():
            self._travel(unit.line, unit.line.down, self.arrive, unit, sender, message)

    def _from_device(self, *args: Any) -> None:
        if self.broker_slow_s:
            args = (self._generation, self._relay_up, args)
            self.later(self.broker_slow_s, self._if_it_lives, *args)
        else:
            self._relay_up(*args)

    def _relay_up(self, unit: Unit, message: DeviceMessage) -> None:
        """Deliver a message of a device to every orchestrator."""
        for process in self.living.values():
            if not self._dropped():
                line = process.line
                self._travel(line, line.down, self.hear, process, unit.id, message)

    def _forget(self, effect: orc.ClearRetained) -> None:
        for digest in effect.digests:
            self.retained.pop((effect.txn, digest), None)
        if effect.decision:
            self.retained.pop(effect.txn, None)

    # --- from the broker to a party -------------------------------------------------------------

    @abstractmethod
    def arrive(self, unit: Unit, sender: str, message: Message) -> None:
        """Take a message that has reached a device."""

    @abstractmethod
    def hear(self, process: Process, sender: str, message: Message) -> None:
        """Take a message that has reached a process."""

    # --- connections ----------------------------------------------------------------------------

    def reachable(self, line: Line) -> bool:
        """Whether the broker could be reached over a line now."""
        clogged = line.up.held is not None or line.down.held is not None
        return self.broker_up and line.open and not clogged

    def connect(self, party: Unit | Process, *, within_s: float = 0.0) -> None:
        """Make a connection, or make it as soon as it can be made."""
        line = party.line
        line.connected, line.broken = False, not self.reachable(line)
        if not line.broken:
            delay_s = (
                line.delay_s(line.up) + line.delay_s(line.down) + within_s * line.chance.random()
            )
            line.attempt += 1
            self.later(delay_s, self._connected, party, line.attempt)

    def _connected(self, party: Unit | Process, attempt: int) -> None:
        line = party.line
        if attempt != line.attempt:
            return  # a later one counts
        if not self.reachable(line):
            line.broken = True
            return
        line.connected = True
        if isinstance(party, Unit):
            self.joined(party)
        else:
            self.rejoined(party)

    @abstractmethod
    def joined(self, unit: Unit) -> None:
        """Let a device know that it has a session."""

    @abstractmethod
    def rejoined(self, process: Process) -> None:
        """Let a process know that it has a session."""

    def greet(self, unit: Unit) -> None:
        """Deliver to a device what is retained under what it listens to."""
        for key, message in self.retained.items():
            if isinstance(message, Decision) or key in unit.watching:
                self._deliver(unit, BROKER, message)

    def watch(self, unit: Unit, txn: TxnId, digest: Digest) -> None:
        """Deliver a blob to a device, now if it is retained, and whenever it is published."""
        unit.watching.add((txn, digest))
        self._travel(unit.line, unit.line.up, self._watched, unit, (txn, digest))

    def _watched(self, unit: Unit, key: tuple[TxnId, Digest]) -> None:
        blob = self.retained.get(key)
        if blob is not None and key in unit.watching:
            self._deliver(unit, BROKER, blob)

    def disconnect(self, party: Unit | Process) -> None:
        """Break a connection: it is made again by itself."""
        self.connect(party, within_s=AGAIN_S)

    def mend(self, party: Unit | Process) -> None:
        """Connect again whom nothing keeps from it any more."""
        if party.line.broken:
            self.connect(party, within_s=AGAIN_S)

    # --- the broker -----------------------------------------------------------------------------

    def parties(self) -> list[Unit | Process]:
        """Return everybody who has, or wants, a connection."""
        return [*(unit for unit in self.units.values() if unit.up), *self.living.values()]

    def kill_broker(self, *, forgets: bool) -> None:
        """End every session; what is on its way is lost."""
        self.broker_up = False
        self._generation += 1
        if forgets:
            self.retained.clear()
        for party in self.parties():
            party.line.connected, party.line.broken = False, True

    def start_broker(self) -> None:
        """Run again: everybody connects."""
        self.broker_up = True
        for party in self.parties():
            self.mend(party)
