"""Plays a scenario with a script in the place of the orchestrator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from drone_sim.baseline.ground import RECONNECT_S, UNCONFIGURED, Ground, Road, Script, Unit, Way
from drone_sim.baseline.scripts import SCRIPTS
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.scenario.verbs import DEVICE_REBOOT_S, RESERVE_PERCENT, machine_of, word_of

FIRST: Final = 1
"""The version that a fleet has before the story."""

LOOK_S: Final = 0.5
"""So often a script that waits looks whether the lock file is gone."""

WAYS: Final[Mapping[str, tuple[Way, ...]]] = {"": tuple(Way), "up": (Way.UP,), "down": (Way.DOWN,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """
    What a run of a script came to: what each device runs long after everything was repaired.

    ``mixed_s`` is for how long, in all, two devices that were up ran different configurations;
    ``left_mixed`` whether they do so still.
    """

    versions: dict[str, int]
    mixed_s: float
    left_mixed: bool


def play(scenario: Scenario, script: str) -> Mixed:
    """Play the story, repair everything at its end, and wait as long as the fleet may take."""
    ground = Ground(scenario)
    _Story(ground, script).run()
    return Mixed(
        versions=ground.versions(),
        mixed_s=ground.mixed_s,
        left_mixed=len(ground.operated(by_all=True)) > 1,
    )


class _Story:
    """The acts of a scenario, and what each does to a script and its devices."""

    def __init__(self, ground: Ground, script: str) -> None:
        self._ground = ground
        self._manner = SCRIPTS[script](ground)
        ground.told = self._manner.told
        self._end = ground.scenario.safety_s

    def run(self) -> None:
        """Play it to its end, and on until everybody had time to be well again."""
        ground = self._ground
        for act in ground.scenario.acts:
            if act.at_s <= self._end:
                ground.at(act.at_s, partial(self._play, act))
        ground.run(self._end)
        self._repair()
        ground.run(self._end + ground.scenario.liveness_s)

    def _repair(self) -> None:
        """
        Heal the world: everything that lasts is over, and every device connects anew.

        Nobody pushes again: that would only hide what was left.
        """
        ground, broker = self._ground, self._ground.broker
        broker.down_until = broker.slow_until = broker.drops_until = 0.0
        for script in ground.scripts.values():
            script.away_until = 0.0
            self._resume(script)
        for unit in ground.units.values():
            unit.off_until = unit.refuses_until = unit.fails_until = 0.0
            unit.slow_until = unit.lossy_until = unit.late_until = 0.0
            unit.writes_left = None
            unit.roads = {way: Road(last=road.last) for way, road in unit.roads.items()}
            ground.connects(unit)

    def _until(self, act: Act) -> float:
        """Return when it is over: at the end of the safety phase, if not before."""
        return self._end if act.for_s is None else min(self._ground.now + act.for_s, self._end)

    def _play(self, act: Act) -> None:
        do = _DEEDS.get(act.verb)
        if do is not None:
            do(self, act)
        if act.verb in _TO_DEVICES:
            for unit in self._units(act.target):
                _TO_DEVICES[act.verb](self, unit, act)

    def _units(self, names: Iterable[str]) -> list[Unit]:
        units = self._ground.units
        return [units[name] for name in names if name in units] or (
            [] if names else list(units.values())
        )

    # --- scripts and their lock -----------------------------------------------------------------

    def push(self, act: Act) -> None:
        """Start a script, which takes the lock file, or waits for it, or ends HOT."""
        script = Script(name=act.who, goes_back=act.word == "back")
        self._ground.scripts[act.who] = script
        self._take_lock(script, self._ground.now + (act.for_s or 0.0))

    def _take_lock(self, script: Script, give_up_at: float) -> None:
        ground = self._ground
        if ground.lock is not None:
            if ground.now + LOOK_S <= give_up_at:
                again = partial(self._take_lock, script, give_up_at)
                ground.at(ground.now + LOOK_S, lambda: script.run(again))
            return
        ground.lock = script
        ground.newest += 1
        script.version = ground.newest
        goes_back = script.goes_back and FIRST in ground.contents
        ground.contents[script.version] = FIRST if goes_back else script.version
        self._manner.push(script)

    def unlock(self, _act: Act) -> None:
        """Delete the lock file, whoever's it is."""
        self._ground.lock = None

    def recover(self, _act: Act) -> None:
        """Delete the lock file of a script that has died."""
        owner = self._ground.lock
        if isinstance(owner, Script) and not owner.alive:
            self._ground.lock = None

    def hold_lock(self, act: Act) -> None:
        """Let somebody take the free lock file by hand, and give it back."""
        ground, mine = self._ground, object()
        if ground.lock is None:
            ground.lock = mine
            ground.at(self._until(act), partial(self._give_back, mine))

    def _give_back(self, mine: object) -> None:
        if self._ground.lock is mine:
            self._ground.lock = None

    def abort(self, _act: Act) -> None:
        """Ask the owner of the lock not to commit."""
        owner = self._ground.lock
        if isinstance(owner, Script):
            owner.asked_to_abort = True

    def kill(self, act: Act) -> None:
        """End the script of this name, wherever it is."""
        script = self._ground.scripts.get(act.who)
        if script is not None:
            script.alive = False

    def cut_power(self, act: Act) -> None:
        """End every script of that machine."""
        for script in self._ground.scripts.values():
            if machine_of(script.name) == machine_of(act.who):
                script.alive = False

    def pause(self, act: Act) -> None:
        """Stop a script; it goes on where it was."""
        script = self._ground.scripts.get(act.who)
        if script is not None:
            script.paused = True
            self._ground.at(self._until(act), partial(self._resume, script))

    def _resume(self, script: Script) -> None:
        script.paused = False
        held, script.held = script.held, []
        for work in held:
            script.run(work)

    # --- broker and links -----------------------------------------------------------------------

    def kill_broker(self, act: Act) -> None:
        """Let the broker be away; everybody connects again when it is back."""
        broker, until = self._ground.broker, self._until(act)
        broker.down_until = max(broker.down_until, until)
        if word_of(act) == "forgets":
            broker.lives += 1
            self.forget(act)
        for unit in self._ground.units.values():
            self._ground.at(until + RECONNECT_S, partial(self._ground.connects, unit))

    def forget(self, _act: Act) -> None:
        """Let the broker forget what it keeps."""
        self._ground.broker.retained.clear()
        for unit in self._ground.units.values():
            unit.queue.clear()

    def slow_broker(self, act: Act) -> None:
        """Let every message take longer."""
        broker = self._ground.broker
        broker.slow_until, broker.slow_s = max(broker.slow_until, self._until(act)), act.amount

    def drop(self, act: Act) -> None:
        """Let a full queue drop deliveries."""
        broker = self._ground.broker
        broker.drops_until, broker.drops = max(broker.drops_until, self._until(act)), act.amount

    def part(self, act: Act) -> None:
        """Cut or clog the links of scripts: they wait, whichever way it is, for the answer."""
        for name in act.target:
            script = self._ground.scripts.get(name)
            if script is not None:
                script.away_until = max(script.away_until, self._until(act))

    # --- devices --------------------------------------------------------------------------------

    def cut(self, unit: Unit, act: Act) -> None:
        """Let nothing pass: it comes when the session has been made anew."""
        until = self._until(act)
        for way in WAYS[act.word]:
            unit.roads[way].cut_until = max(unit.roads[way].cut_until, until)
        self._ground.at(until + RECONNECT_S, partial(self._ground.connects, unit))

    def clog(self, unit: Unit, act: Act) -> None:
        """Let everything wait."""
        for way in WAYS[act.word]:
            road = unit.roads[way]
            road.clogged_until = max(road.clogged_until, self._until(act))

    def disturb(self, unit: Unit, act: Act) -> None:
        """Let its link lose messages, or delay them; that it repeats some does no harm."""
        word = word_of(act)
        if word == "loses":
            unit.lossy_until, unit.loses = max(unit.lossy_until, self._until(act)), act.amount
        elif word == "delays":
            unit.late_until = max(unit.late_until, self._until(act))

    def reconnect(self, unit: Unit, _act: Act) -> None:
        """Break its connection: it makes another one."""
        self._ground.at(self._ground.now + RECONNECT_S, partial(self._ground.connects, unit))

    def reboot(self, unit: Unit, act: Act) -> None:
        """Turn it off; where it is not said for how long, for as long as a boot takes."""
        now = self._ground.now
        self._ground.turn_off(
            unit, now + DEVICE_REBOOT_S if act.for_s is None else self._until(act)
        )

    def reboot_at_write(self, unit: Unit, act: Act) -> None:
        """Turn it off before one of its writes."""
        unit.writes_left = int(act.amount)
        unit.writes_off_s = DEVICE_REBOOT_S if act.for_s is None else act.for_s

    def reboot_after(self, unit: Unit, act: Act) -> None:
        """Turn it off when that is over: of a disk that lies, nothing is held against it."""
        until = self._until(act)
        self._ground.at(until, partial(self._ground.turn_off, unit, until + DEVICE_REBOOT_S))

    def suspend(self, unit: Unit, act: Act) -> None:
        """Let it stand still: what is sent to it waits."""
        self._ground.turn_off(unit, self._until(act))

    def replace(self, unit: Unit, _act: Act) -> None:
        """Put a unit without a configuration in its place."""
        unit.version, unit.prepared = UNCONFIGURED, None
        self._ground.connects(unit)

    def retire(self, unit: Unit, _act: Act) -> None:
        """Take it out of the fleet."""
        unit.retired = True

    def refuse(self, unit: Unit, act: Act) -> None:
        """Let its checks say no."""
        unit.refuses_until = max(unit.refuses_until, self._until(act))

    def drain(self, unit: Unit, act: Act) -> None:
        """Let its battery be low: it refuses, and at nothing it is off."""
        if act.amount <= 0:
            self._ground.turn_off(unit, self._until(act))
        elif act.amount < RESERVE_PERCENT:
            self.refuse(unit, act)

    def fail(self, unit: Unit, act: Act) -> None:
        """Let its controller not obey."""
        unit.fails_until = max(unit.fails_until, self._until(act))

    def slow_disk(self, unit: Unit, act: Act) -> None:
        """Let what it does come later."""
        unit.slow_until, unit.slow_s = max(unit.slow_until, self._until(act)), act.amount


_DEEDS: Final[Mapping[Verb, Callable[[_Story, Act], None]]] = {
    Verb.PUSH: _Story.push,
    Verb.FORCE_UNLOCK: _Story.unlock,
    Verb.BREAK_GLASS: _Story.unlock,
    Verb.RECOVER: _Story.recover,
    Verb.HOLD_LOCK: _Story.hold_lock,
    Verb.ABORT: _Story.abort,
    Verb.KILL: _Story.kill,
    Verb.REUSE_PID: _Story.kill,
    Verb.POWER_CUT: _Story.cut_power,
    Verb.PAUSE: _Story.pause,
    Verb.BROKER_KILL: _Story.kill_broker,
    Verb.BROKER_FORGETS: _Story.forget,
    Verb.BROKER_SLOW: _Story.slow_broker,
    Verb.BROKER_DROPS: _Story.drop,
    Verb.CUT: _Story.part,
    Verb.CLOG: _Story.part,
}
"""What happens to scripts, their lock file, and the broker."""

_TO_DEVICES: Final[Mapping[Verb, Callable[[_Story, Unit, Act], None]]] = {
    Verb.RETIRE: _Story.retire,
    Verb.CUT: _Story.cut,
    Verb.CLOG: _Story.clog,
    Verb.LOSSY: _Story.disturb,
    Verb.TAKE_OVER_CLIENT: _Story.reconnect,
    Verb.CRASH: _Story.reboot,
    Verb.CRASH_AT_WRITE: _Story.reboot_at_write,
    Verb.REPLACE: _Story.replace,
    Verb.SUSPEND: _Story.suspend,
    Verb.DISK_FULL: _Story.refuse,
    Verb.DISK_FAILS: _Story.refuse,
    Verb.DISK_SLOW: _Story.slow_disk,
    Verb.DISK_LIES: _Story.reboot_after,
    Verb.DAMAGE: _Story.reboot,
    Verb.LOW_BATTERY: _Story.drain,
    Verb.REFUSE: _Story.refuse,
    Verb.HOOK_FAILS: _Story.fail,
}
"""What happens to devices."""

HARMLESS: Final = frozenset(Verb) - frozenset(_DEEDS) - frozenset(_TO_DEVICES)
"""What does nothing to a script: what concerns a store, a clock, or what only ours can do."""
