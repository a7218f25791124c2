"""
What is true in a run of whole shells, told to the checker and to the trace.

Everything that the simulated world sees passes through here. Nothing here raises into the product:
what the checker finds ends the run by :meth:`SimLoop.fail`, which no task can catch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from drone_sim.checker import Checker, Disturbance, Violated
from drone_sim.cores.showing import show_record
from drone_sim.scenario.model import Act, Scenario
from drone_sim.shells.clocks import UTC_AT_START_S, true_s
from drone_sim.shells.loop import sim_loop
from drone_sim.shells.network import Packet
from drone_sim.shells.telling import Teller
from drone_sim.shells.touched import Touched
from drone_sim.trace import Kind, Trace, Value
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import apply, fold
from orchestrator.protocol.messages import Decision, Message
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.records import Entry
from orchestrator.protocol.types import DeviceId, FleetId, TxnId

STORY_AT_S: Final = 8.0
"""True time of the run at which the story begins: the prologue needs less."""

_GOALS: Final = {
    "store-contradicted": "contradiction-seen",
    "broker-found": "reconnected",
    "disk-refused": "disk-write-failed",
}
"""Which goal of the checker is seen by a notice."""


def story_s() -> float:
    """Return true time of the story in s; negative in the prologue."""
    return true_s() - STORY_AT_S


def story_of_utc(utc_s: float) -> float:
    """Return which instant of the story an honest UTC clock calls ``utc_s``."""
    return utc_s - UTC_AT_START_S - STORY_AT_S


class Truth:
    """
    The journal as it is, every fold that it ever had, and the checker that is told.

    ``folds`` are in the order of true time: where a store was rolled back the fold of the shorter
    journal follows. ``known_bytes`` are all whole configurations that were ever pushed,
    ``decisions`` says when each was last told by an orchestrator (story time). ``steps``,
    ``messages`` and ``rollbacks`` (of the store) count. ``touched`` is whose clock is, or was,
    another than it should be. ``teller`` is there with a trace.
    """

    def __init__(self, scenario: Scenario, fleet: FleetId, trace: Trace | None) -> None:
        self.teller = None if trace is None else Teller(trace, STORY_AT_S)
        self.journal: list[Entry] = []
        self.fleet = FleetState(fleet=fleet)
        self.folds: list[FleetState] = [self.fleet]
        self.known_bytes: set[bytes] = set()
        self.decisions: dict[TxnId, float] = {}
        self.touched = Touched()
        self.rollbacks = 0
        self.steps = 0
        self.messages = 0
        self._devices = frozenset(scenario.names)
        self._checker = Checker(scenario, trace=trace, utc_at_start_s=UTC_AT_START_S + STORY_AT_S)

    @property
    def checker(self) -> Checker:
        """The checker, which knows what time it is."""
        self._checker.now_s = story_s()
        return self._checker

    @property
    def judge(self) -> Checker:
        """The checker when the run is over and no time passes any more."""
        return self._checker

    def look(self) -> None:
        """Ask every invariant; a violation ends the run."""
        loop = sim_loop()
        checker = self.checker
        for line in loop.unhandled:
            checker.unexpected("asyncio", line)
        loop.unhandled.clear()
        try:
            checker.look()
        except Violated as found:
            loop.fail(found)

    def stepped(self) -> None:
        """Count a step of a core, and look."""
        self.steps += 1
        self.look()

    def note(self, kind: Kind, who: str, text: str, /, **detail: Value) -> None:
        """Add to the trace, where there is one."""
        if self.teller is not None:
            self.teller.note(kind, who, text, **detail)

    def broke(self, who: str, error: BaseException | str) -> None:
        """Tell that the program itself broke."""
        self.checker.unexpected(who, error)
        self.look()

    # --- the journal --------------------------------------------------------------------------

    def appended(self, _fleet: FleetId, entries: Sequence[Entry]) -> None:
        """Take note of an append, as it becomes durable."""
        for entry in entries:
            if self.teller is not None:
                self.teller.record(entry)
            try:
                self.fleet = apply(self.fleet, entry)
            except InvariantViolation as error:
                self.broke(
                    "the journal", f"no reader can fold {show_record(entry.record)}: {error}"
                )
                return
            self.journal.append(entry)
            self.folds.append(self.fleet)
        self.checker.appended(entries, self.fleet)
        self.look()

    def rolled_back(self, journal: Sequence[Entry]) -> None:
        """Take note that the store has only this now."""
        self.rollbacks += 1
        self.journal = list(journal)
        self.fleet = fold(FleetState(fleet=self.fleet.fleet), journal)
        self.folds.append(self.fleet)
        self.checker.rolled_back(journal, self.fleet)
        self.look()

    def restarted(self) -> None:
        """Take note that the lock manager has given every lease a fresh TTL."""
        self.checker.manager_restarted()

    def noticed(self, who: str, notice: Notice) -> None:
        """Take note of what a component has told."""
        goal = _GOALS.get(notice.event)
        if goal is not None:
            self.checker.count(goal)
        if self.teller is not None:
            self.teller.notice(who, notice)

    # --- messages -------------------------------------------------------------------------------

    def sent(self, sender: str, message: Message, to: DeviceId | None) -> None:
        """Take note that somebody hands a message to the network."""
        self.messages += 1
        if isinstance(message, Decision):
            self.decisions[message.txn] = story_s()
        self.checker.sent(sender, message, to)
        self.look()

    def disturbed(self, what: Disturbance, packet: Packet) -> None:
        """Take note of what a link has done to a packet by its own quality."""
        device = DeviceId(packet.link) if packet.link in self._devices else None
        self.checker.disturbed(what, device)

    # --- acts -----------------------------------------------------------------------------------

    def began(self, act: Act) -> None:
        """Tell that an act takes place."""
        self.checker.fault_began(act)
        if self.teller is not None:
            self.teller.began(act)

    def ended(self, act: Act) -> None:
        """Tell that what an act did is over."""
        self.checker.fault_ended(act)
        if self.teller is not None:
            self.teller.ended(act)


async def until_s(at_s: float) -> None:
    """Wait for an instant of the story."""
    await asyncio.sleep(max(0.0, at_s - story_s()))
