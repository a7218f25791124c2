"""What goes wrong between the devices: processes, the store, the broker, the network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from drone_sim.cores.acts import Acts, Fault
from drone_sim.cores.lines import Line, Way
from drone_sim.cores.party import Process, Unit
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import word_of
from orchestrator.protocol.messages import Message

KEEPALIVE_S: Final = 7.5
"""After so long without a word the broker, or the party, gives a connection up (1.5 of 5 s)."""

SAID_UP: Final = frozenset({"vote", "hello"})


class Storms(Acts):
    """The faults of everything but devices."""

    def faults(self) -> dict[Verb, Fault]:
        """Return what each verb does that is a fault."""
        return {
            **super().faults(),
            Verb.KILL: self._kill,
            Verb.REUSE_PID: self._reuse_pid,
            Verb.PAUSE: self._pause,
            Verb.POWER_CUT: self._cut_power,
            Verb.STORE_AWAY: self._store_away,
            Verb.STORE_SLOW: self._store_slow,
            Verb.STORE_LOSES_ANSWERS: self._store_loses,
            Verb.STORE_RESTORED: self._restore,
            Verb.STORE_LIES: self._store_lies,
            Verb.BROKER_KILL: self._kill_broker,
            Verb.BROKER_FORGETS: self._forget_retained,
            Verb.BROKER_SLOW: self._broker_slow,
            Verb.BROKER_DROPS: self._broker_drops,
            Verb.CUT: self._cut,
            Verb.CLOG: self._clog,
            Verb.LOSSY: self._lossy,
            Verb.REPLAY: self._replay,
            Verb.TAKE_OVER_CLIENT: self._take_over_client,
        }

    # --- processes ------------------------------------------------------------------------------

    def _kill(self, act: Act) -> None:
        process = self.processes[act.who]
        self._at_once(act)
        self.kill_process(process)

    def _reuse_pid(self, act: Act) -> None:
        """Kill, and let a program that is none of ours have the pid at once."""
        owner = self.processes[act.who].owner
        self._kill(act)
        self.kernel.admit(owner.machine_id, owner.pid, owner.start_ticks + 1)

    def _pause(self, act: Act) -> None:
        process = self.processes[act.who]
        self._begin(act)
        self.pause_process(process)
        self._last(act, process.name, partial(self.resume_process, process))

    def _cut_power(self, act: Act) -> None:
        machine = self.processes[act.who].machine
        self._at_once(act)
        self.boots[machine] = self.boots.get(machine, 1) + 1
        for process in [one for one in self.living.values() if one.machine == machine]:
            self.kill_process(process)
        self.kernel.reboot(machine)

    # --- the store ------------------------------------------------------------------------------

    def _store_away(self, act: Act) -> None:
        self._begin(act)
        self.store_up = False
        self._last(act, "", self._store_back)

    def _store_back(self) -> None:
        self.store_up = True

    def _store_slow(self, act: Act) -> None:
        self._begin(act)
        self.store_slow_s = act.amount
        self._last(act, "", self._store_quick)

    def _store_quick(self) -> None:
        self.store_slow_s = 0.0

    def _store_loses(self, act: Act) -> None:
        self._begin(act)
        self.store_loses = act.amount
        self._last(act, "", self._store_answers)

    def _store_answers(self) -> None:
        self.store_loses = 0.0

    def _restore(self, act: Act) -> None:
        self._at_once(act)
        self.restore(len(self.journal) - int(act.amount))

    def _store_lies(self, act: Act) -> None:
        self._begin(act)
        if self.lying_since is None:
            self.lying_since = len(self.journal)
        self._last(act, "", self._store_honest)

    def _store_honest(self) -> None:
        head, self.lying_since = self.lying_since, None
        if head is not None:
            self.restore(head)

    # --- the broker -----------------------------------------------------------------------------

    def _kill_broker(self, act: Act) -> None:
        self._begin(act)
        self.kill_broker(forgets=word_of(act) == "forgets")
        self._last(act, "", self.start_broker)

    def _forget_retained(self, act: Act) -> None:
        self._at_once(act)
        self.retained.clear()

    def _broker_slow(self, act: Act) -> None:
        self._begin(act)
        self.broker_slow_s = act.amount
        self._last(act, "", self._broker_quick)

    def _broker_quick(self) -> None:
        self.broker_slow_s = 0.0

    def _broker_drops(self, act: Act) -> None:
        self._begin(act)
        self.broker_drops = act.amount
        self._last(act, "", self._broker_delivers)

    def _broker_delivers(self) -> None:
        self.broker_drops = 0.0

    # --- the network ----------------------------------------------------------------------------

    def _ways(self, line: Line, word: str) -> list[tuple[str, Way]]:
        found = [("up", line.up)] if word != "down" else []
        return [*found, ("down", line.down)] if word != "up" else found

    def _cut(self, act: Act) -> None:
        self._begin(act)
        for party in self._parties_of(act):
            line = party.line
            if line.open:
                line.since = self.now
            for name, way in self._ways(line, act.word):
                way.cut = True
                self._last(act, f"{line.name} {name}", partial(self._whole, party, way))

    def _whole(self, party: Unit | Process, way: Way) -> None:
        way.cut = False
        line = party.line
        if line.open and self.now - line.since >= KEEPALIVE_S and line.connected:
            self.disconnect(party)
        self.mend_if_there(party)

    def mend_if_there(self, party: Unit | Process) -> None:
        """Connect again who lives and is not connected."""
        there = party.up if isinstance(party, Unit) else party.alive
        if there:
            self.mend(party)

    def _clog(self, act: Act) -> None:
        self._begin(act)
        for party in self._parties_of(act):
            for name, way in self._ways(party.line, act.word):
                way.held = [] if way.held is None else way.held
                self._last(act, f"{party.line.name} {name}", partial(self._unclog, party, way))

    def _unclog(self, party: Unit | Process, way: Way) -> None:
        held, way.held = way.held or [], None
        for act, args in held:
            self.later(0.0, act, *args)
        self.mend_if_there(party)

    def _lossy(self, act: Act) -> None:
        self._begin(act)
        how = word_of(act)
        for party in self._parties_of(act):
            for name, way in self._ways(party.line, ""):
                way.disturb(how, act.amount)
                end = partial(way.disturb, how, 0.0)
                self._last(act, f"{party.line.name} {name} {how}", end)

    def _replay(self, act: Act) -> None:
        past = {unit.id: self._past(unit, act) for unit in self._units_of(act)}
        heard = tuple(name for name, messages in past.items() if messages)
        if not heard:
            return
        self._at_once(replace(act, target=heard))
        for name in heard:
            for message in past[name]:
                self._again(self.units[name], message, up=act.word in SAID_UP)

    def _past(self, unit: Unit, act: Act) -> list[Message]:
        """Return the last messages of the kind that an act says, oldest first."""
        said = unit.said if act.word in SAID_UP else unit.heard
        past = [message for message in said if act.word in {"", message.kind}]
        return past[-int(act.amount) :]

    def _again(self, unit: Unit, message: Message, *, up: bool) -> None:
        if self.trace is not None:
            self.note_message("somebody", message, unit.id, "repeated")
        if up:
            self._travel(unit.line, unit.line.up, self._from_device, unit, message)
        elif unit.up and unit.line.connected:
            self.arrive(unit, "somebody", message)

    def _take_over_client(self, act: Act) -> None:
        there = [party for party in self._parties_of(act) if party.line.connected]
        if there:
            self._at_once(replace(act, target=tuple(party.line.name for party in there)))
        for party in there:
            self.disconnect(party)
