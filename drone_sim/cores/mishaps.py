"""What goes wrong with devices: power, disks, controllers, batteries, clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from drone_sim.cores.acts import Fault
from drone_sim.cores.party import Kept, Unit
from drone_sim.cores.storms import Storms
from drone_sim.cores.town import START_S
from drone_sim.disk import BROKEN, FULL
from drone_sim.scenario.meaning import DEVICE_REBOOT_S, RESERVE_PERCENT
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import word_of

CORE_WRITES: Final = 5
"""One write of a core is so many changes to a real disk: create, write, sync, rename, sync."""

WHY: Final[Mapping[str, str]] = {"error": BROKEN, "space": FULL}
"""Why a disk fails, by the word of the act."""

HALF: Final = 0.5
"""Of the hooks that are killed half-way so many come through."""


def _write_of_a_core(act: Act) -> int:
    """Return which write of a core has the change to a real disk that an act counts to."""
    return 1 + (int(act.amount) - 1) // CORE_WRITES


class Mishaps(Storms):
    """The faults of devices."""

    def faults(self) -> dict[Verb, Fault]:
        """Return what each verb does that is a fault."""
        return {
            **super().faults(),
            Verb.CRASH: self._crash,
            Verb.CRASH_AT_WRITE: self._crash_at_write,
            Verb.REPLACE: self._replace,
            Verb.SUSPEND: self._suspend,
            Verb.DISK_FULL: self._disk_full,
            Verb.DISK_FAILS: self._disk_fails,
            Verb.FAIL_AT_WRITE: self._fail_at_write,
            Verb.DISK_SLOW: self._disk_slow,
            Verb.DISK_LIES: self._disk_lies,
            Verb.DAMAGE: self._damage,
            Verb.CLOCK_STEP: self._clock_step,
            Verb.CLOCK_DRIFT: self._clock_drift,
            Verb.LOW_BATTERY: self._low_battery,
            Verb.REFUSE: self._refuse_all,
            Verb.HOOK_FAILS: self._hook_fails,
        }

    # --- devices --------------------------------------------------------------------------------

    def _crash(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            self._take_down(act, unit, power=word_of(act) != "kill")

    def _take_down(self, act: Act, unit: Unit, *, power: bool = True) -> None:
        """Let a device be down as long as the act lasts."""
        self.crash(unit.id, power=power)
        if self._last(act, unit.id, partial(self._bring_up, unit), for_s=DEVICE_REBOOT_S):
            unit.down += 1

    def _bring_up(self, unit: Unit) -> None:
        unit.down -= 1
        self.boot(unit.id)

    def _crash_at_write(self, act: Act) -> None:
        for unit in self._units_of(act):
            unit.dies_at_write = _write_of_a_core(act)
            unit.dies_by = replace(act, target=(unit.id,))

    def die_at_write(self, unit: Unit, act: Act) -> None:
        """Let a device lose power before a write, as an act has said."""
        self._begin(act)
        self._take_down(act, unit, power=word_of(act) != "kill")

    def _fail_at_write(self, act: Act) -> None:
        for unit in self._units_of(act):
            unit.fails_at_write = _write_of_a_core(act)
            unit.fails_by = replace(act, target=(unit.id,))

    def fail_at_write(self, act: Act) -> str:
        """Return why one write fails, as an act has said."""
        self._at_once(act)
        return WHY[word_of(act)]

    def _replace(self, act: Act) -> None:
        self._at_once(act)
        for unit in self._units_of(act):
            self.replace_unit(unit.id)
            self.boot(unit.id)

    def _suspend(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            self.freeze(unit)
            self._last(act, unit.id, partial(self.thaw, unit))

    def _disk_full(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            unit.full = True
            self._last(act, unit.id, partial(setattr, unit, "full", False))

    def _disk_fails(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            unit.failing = WHY[word_of(act)]
            self._last(act, unit.id, partial(setattr, unit, "failing", None))

    def _disk_slow(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            unit.slow_s = act.amount
            self._last(act, unit.id, partial(setattr, unit, "slow_s", 0.0))

    def _disk_lies(self, act: Act) -> None:
        self._begin_untold(act)  # nobody notices before it ends
        for unit in self._units_of(act):
            if unit.lies is None:
                unit.lies = Kept(durable=unit.disk, staged=unit.staged, active=unit.active)
            self._last(act, unit.id, partial(self._forget_written, act, unit))

    def _forget_written(self, act: Act, unit: Unit) -> None:
        """End a lie: the power is gone, and nothing is there of what was written meanwhile."""
        lost = replace(act, target=(unit.id,), at_s=self.story_s, for_s=DEVICE_REBOOT_S)
        self.checker.fault_began(lost)
        self.crash(unit.id)
        unit.lies = None
        self.later(DEVICE_REBOOT_S, self._found_nothing, lost, unit)

    def _found_nothing(self, lost: Act, unit: Unit) -> None:
        self.boot(unit.id)
        self.checker.fault_ended(lost)

    def _damage(self, act: Act) -> None:
        """Let worn flash change bytes of the active files, which a start must notice."""
        self._begin(act)
        for unit in self._units_of(act):
            if unit.up and unit.active:
                unit.active = bytes((unit.active[0] ^ 1,)) + unit.active[1:]
            self._take_down(act, unit)

    def _low_battery(self, act: Act) -> None:
        """Let batteries read so much: a fault where it is below the reserve, else nothing is."""
        if act.amount < RESERVE_PERCENT:
            self._begin(act)
        else:
            self._begin_untold(act)
        for unit in self._units_of(act):
            before = unit.battery.percent(self.now)
            self._last(act, unit.id, partial(self._charge, unit, before))
            unit.battery.set(self.now, act.amount)
            self._perhaps_empty(unit)

    def _perhaps_empty(self, unit: Unit) -> None:
        """Let a device go off where nothing is left, and see when that would be, before it is."""
        if unit.battery.percent(self.now) <= 0.0:
            self.crash(unit.id)
        elif self.now < unit.battery.empty_at() < START_S + self.scenario.safety_s:
            self.at(unit.battery.empty_at(), self._perhaps_empty, unit)

    def _charge(self, unit: Unit, percent: float) -> None:
        unit.battery.set(self.now, percent)
        self.boot(unit.id)

    def _refuse_all(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            unit.refusing = act.word or "it refuses"
            self._last(act, unit.id, partial(setattr, unit, "refusing", None))

    def _hook_fails(self, act: Act) -> None:
        self._begin(act)
        for unit in self._units_of(act):
            unit.hook_fails = HALF if word_of(act) == "half-way" else 1.0
            self._last(act, unit.id, partial(setattr, unit, "hook_fails", 0.0))

    # --- clocks ---------------------------------------------------------------------------------

    def _clock_step(self, act: Act) -> None:
        self._begin(act)
        for party in self._parties_of(act):
            if isinstance(party, Unit):
                self._step_unit(party, act.amount)
                self._last(act, party.id, partial(self._step_unit, party, 0.0))
            else:
                machine = party.machine
                self._set_wall(machine, self.wall_clock(machine) + act.amount, 0.0)
                self._last(act, machine, partial(self._set_wall, machine, 0.0, 0.0))

    def _step_unit(self, unit: Unit, ahead_s: float) -> None:
        """Let a clock be so far ahead of what it would read."""
        unit.step_clock(ahead_s - unit.ahead_s)
        unit.ahead_s = ahead_s
        self.doubt_clock(unit)
        self.set_alarm(unit)

    def _clock_drift(self, act: Act) -> None:
        self._begin(act)
        for party in self._parties_of(act):
            if isinstance(party, Unit):
                party.set_drift(self.now, act.amount)
                party.drifting = True
                self.doubt_clock(party)
                self.set_alarm(party)
                self._last(act, party.id, partial(self._steady_clock, party))
            else:
                machine = party.machine
                self._set_wall(machine, self.wall_clock(machine), act.amount)
                self._last(act, machine, partial(self._set_wall, machine, 0.0, 0.0))

    def _steady_clock(self, unit: Unit) -> None:
        unit.set_drift(self.now, unit.simulated.drift_ppm)
        unit.drifting = False
        self.set_alarm(unit)

    def _set_wall(self, machine: str, ahead_s: float, drift_ppm: float) -> None:
        self.clocks[machine] = (ahead_s, self.now, drift_ppm)
