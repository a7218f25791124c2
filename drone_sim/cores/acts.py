"""
What goes wrong, and how it heals: the acts of a scenario; see :mod:`drone_sim.scenario.verbs`.

What lasts is remembered by what it is about: said twice of one thing, it lasts to the later end.
At the end of the safety phase everything that lasts ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drone_sim.cores.lines import HEALTHY
from drone_sim.cores.party import Process, Unit
from drone_sim.cores.people import People
from drone_sim.cores.town import START_S, Setup
from drone_sim.scenario.meaning import Target, Who
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import VERBS
from drone_sim.trace import Kind
from orchestrator.protocol.types import DeviceId

FULL_PERCENT: Final = 100.0

Key = tuple[str, str]
Fault = Callable[[Act], None]


@dataclass(kw_only=True, eq=False)
class Lasting:
    """What is in force until a true instant, how it is ended, and by which acts it was begun."""

    until: float
    end: Callable[[], None]
    acts: list[Act] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class Begun:
    """
    What an act has begun that is not over yet, and what the checker was told of it.

    ``told`` has the targets that the act had as it began, whoever is gone by its end; ``None``:
    nothing was told, since it has touched nobody or its fault is told of by itself.
    """

    told: Act | None
    lasts: int = 0


class Acts(People):
    """A town in which acts take place."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.lasting: dict[Key, Lasting] = {}
        self._begun: dict[int, Begun] = {}
        """By the identity of the act: two that are alike end each for itself."""
        self._faults = self.faults()
        self.keeps_history = any(act.verb is Verb.REPLAY for act in setup.scenario.acts)

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
        self.check()

    def _running(self, act: Act) -> Process | None:
        process = self.processes.get(act.who)
        return process if process is not None and process.alive else None

    def _units_of(self, act: Act) -> list[Unit]:
        names = dict.fromkeys(act.target or tuple(self.units))
        return [self.units[DeviceId(name)] for name in names if name in self.units]

    def _parties_of(self, act: Act) -> list[Unit | Process]:
        found: list[Unit | Process] = []
        for name in dict.fromkeys(act.target or tuple(self.units)):
            process = self.processes.get(name)
            if name in self.units:
                found.append(self.units[DeviceId(name)])
            elif process is not None and process.alive:
                found.append(process)
        return found

    def _at_once(self, act: Act) -> None:
        """Tell of an act that takes no time."""
        told = self._touching(act)
        if told is not None:
            self.checker.fault_began(told)
            self.checker.fault_ended(told)

    def _begin(self, act: Act) -> None:
        """Tell that an act takes place; it is over with the last of what it has begun."""
        told = self._touching(act)
        if told is not None:
            self.checker.fault_began(told)
        self._begin_untold(act, told)

    def _begin_untold(self, act: Act, told: Act | None = None) -> None:
        """Take note of an act that takes place; what the checker is to be told, it was told."""
        self._begun[id(act)] = Begun(told=told)

    def _touching(self, act: Act) -> Act | None:
        """
        Return an act with the targets that are there; ``None`` where it touches nobody.

        No target means everybody to the checker: who touches nobody must not say so.
        """
        about = VERBS[act.verb].target
        if about is Target.NOBODY:
            return act
        parties: Sequence[Unit | Process] = self._units_of(act)
        if about is Target.PARTIES:
            parties = self._parties_of(act)
        names = tuple(one.line.name for one in parties)
        return replace(act, target=names) if names else None

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
        self._begun[id(act)].lasts += 1
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
            begun = self._begun[id(act)]
            begun.lasts -= 1
            if not begun.lasts:
                self._end(act, begun)
                if self.trace is not None:
                    self.note(Kind.HEALED, key[1] or act.who or "-", key[0], verb=key[0])
        self.check()

    def _end(self, act: Act, begun: Begun) -> None:
        """Tell that all is over that an act has begun."""
        del self._begun[id(act)]
        if begun.told is not None:
            self.checker.fault_ended(begun.told)

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
            unit.dies_at_write = unit.dies_by = unit.fails_at_write = unit.fails_by = None
            unit.battery.set(self.now, FULL_PERCENT)
            self.boot(unit.id)
