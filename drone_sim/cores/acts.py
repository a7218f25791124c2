"""
What goes wrong, and how it heals: the acts of a scenario; see :mod:`drone_sim.scenario.verbs`.

What lasts is remembered by what it is about: said twice of one thing, it lasts to the later end.
At the end of the safety phase everything that lasts ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drone_sim.checker import Checker
from drone_sim.cores.lines import HEALTHY
from drone_sim.cores.party import Process, Unit
from drone_sim.cores.people import People
from drone_sim.cores.town import START_S
from drone_sim.result import Crash
from drone_sim.scenario.meaning import Target, Who
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.scenario.verbs import VERBS
from drone_sim.trace import Kind, Trace
from orchestrator.protocol.types import DeviceId

KEEPALIVE_S: Final = 7.5
"""After so long without a word the broker, or the party, gives a connection up (1.5 of 5 s)."""

CORE_WRITES: Final = 5
"""One write of a core is so many changes to a real disk: create, write, sync, rename, sync."""

FULL_PERCENT: Final = 100.0

SAID_UP: Final = frozenset({"vote", "hello"})

Key = tuple[str, str]
Fault = Callable[[Act], None]


@dataclass(kw_only=True, eq=False)
class Lasting:
    """What is in force until a true instant, how it is ended, and by which acts it was begun."""

    until: float
    end: Callable[[], None]
    acts: list[Act] = field(default_factory=list)


class Acts(People):
    """A town in which acts take place."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        checker: Checker,
        trace: Trace | None = None,
        crashes: Sequence[Crash] = (),
    ) -> None:
        super().__init__(scenario, checker=checker, trace=trace, crashes=crashes)
        self.lasting: dict[Key, Lasting] = {}
        self._open_ends: dict[int, int] = {}
        self._faults = self.faults()
        self.keeps_history = any(act.verb is Verb.REPLAY for act in scenario.acts)

    def faults(self) -> dict[Verb, Fault]:
        """Return what each verb does that is a fault."""
        return {}

    # --- taking place ---------------------------------------------------------------------------

    def take_place(self, act: Act) -> None:
        """Let an act take place now; nothing where its process or its targets are not there."""
        meaning = VERBS[act.verb]
        if self.trace is not None:
            self.note(Kind.ACT, act.who or "-", act.verb.value, verb=act.verb.value)
        if meaning.who is Who.NEW:
            self.checker.fault_began(act)
            process = self.start(act.who, act.verb)
            self.spawn(process, self.deeds()[act.verb](process, act))
            return
        if meaning.who is Who.RUNNING and self._running(act) is None:
            return
        self._faults[act.verb](act)
        if self._open_ends.get(id(act)) == 0:  # whom it was about is not there
            self.checker.fault_ended(self._with_targets(act))
        self.check()

    def _running(self, act: Act) -> Process | None:
        process = self.processes.get(act.who)
        return process if process is not None and process.alive else None

    def _units_of(self, act: Act) -> list[Unit]:
        names = act.target or tuple(self.units)
        return [self.units[DeviceId(name)] for name in names if name in self.units]

    def _parties_of(self, act: Act) -> list[Unit | Process]:
        found: list[Unit | Process] = []
        for name in act.target or tuple(self.units):
            process = self.processes.get(name)
            if name in self.units:
                found.append(self.units[DeviceId(name)])
            elif process is not None and process.alive:
                found.append(process)
        return found

    def _at_once(self, act: Act) -> None:
        """Tell of an act that takes no time."""
        told = self._with_targets(act)
        self.checker.fault_began(told)
        self.checker.fault_ended(told)

    def _begin(self, act: Act) -> None:
        """Tell that an act takes place; it is over with the last of what it has begun."""
        self.checker.fault_began(self._with_targets(act))
        self._open_ends[id(act)] = 0

    def _with_targets(self, act: Act) -> Act:
        """Return an act with the targets that it really has."""
        about = VERBS[act.verb].target
        if about is Target.NOBODY:
            return act
        parties: Sequence[Unit | Process] = self._units_of(act)
        if about is Target.PARTIES:
            parties = self._parties_of(act)
        return replace(act, target=tuple(one.line.name for one in parties))

    def _last(
        self, act: Act, name: str, end: Callable[[], None], *, for_s: float | None = None
    ) -> bool:
        """
        Keep what an act has begun in force; false where it was so already, and only lasts longer.

        ``for_s`` is how long it lasts where the act does not say; to the end of the phase if that
        is ``None``.
        """
        key = (act.verb.value, name)
        given_s = act.for_s if act.for_s is not None else for_s
        end_s = self.scenario.safety_s if given_s is None else self.story_s + given_s
        until = START_S + min(end_s, max(self.scenario.safety_s, self.story_s))
        known = self.lasting.get(key)
        self._open_ends[id(act)] += 1
        if known is None:
            self.lasting[key] = known = Lasting(until=until, end=end)
        known.acts.append(act)
        if len(known.acts) > 1 and until <= known.until:
            return False
        known.until = until
        self.at(until, self._perhaps_over, key)
        return len(known.acts) == 1

    def _perhaps_over(self, key: Key) -> None:
        lasting = self.lasting.get(key)
        if lasting is not None and self.now >= lasting.until:
            self._over(key, lasting)

    def _over(self, key: Key, lasting: Lasting) -> None:
        del self.lasting[key]
        lasting.end()
        for act in lasting.acts:
            self._open_ends[id(act)] -= 1
            if not self._open_ends[id(act)]:
                self.checker.fault_ended(self._with_targets(act))
                if self.trace is not None:
                    self.note(Kind.HEALED, key[1] or act.who or "-", key[0], verb=key[0])
        self.check()

    def heal(self) -> None:
        """End everything that lasts, and make links and store as good as they can be."""
        for key, lasting in list(self.lasting.items()):
            if key in self.lasting:
                self._over(key, lasting)
        self.heal_store()
        self.control_quality = HEALTHY
        for process in self.living.values():
            process.line.be(HEALTHY)
        for unit in self.units.values():
            unit.line.be(HEALTHY)
            unit.dies_at_write = unit.dies_by = None
            unit.battery_percent = max(unit.battery_percent, FULL_PERCENT)
            self.boot(unit.id)
