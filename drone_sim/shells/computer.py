"""
The computer of a simulated device: on, off, standing still; and its disk, which may forget.

What is durable on the disk, and what stands under the name of the active file, is told to the
:class:`~.truth.Truth` as soon as it is so. What runs on the computer is :mod:`.devices`' business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drone_sim.disk import Choose, nothing_survives
from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import Act, SimulatedDevice, Verb
from drone_sim.scenario.verbs import DEVICE_REBOOT_S
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.clocks import true_s
from drone_sim.shells.controller import Controller
from drone_sim.shells.device_clock import SimDeviceClock
from drone_sim.shells.fleetware import Fleetware
from drone_sim.shells.lasting import later, nothing
from drone_sim.shells.loop import Process, spawn
from drone_sim.shells.seams import Seams
from drone_sim.shells.sim_disk import SimDisk, SimOffload
from drone_sim.shells.touched import is_crystal
from drone_sim.shells.truth import Truth, story_s
from drone_sim.trace import Kind
from orchestrator.agent import record
from orchestrator.agent.active import ACTIVE_BYTES_MAX
from orchestrator.agent.slots import RECORD, Slots
from orchestrator.errors import OperatingError
from orchestrator.protocol.device import Durable
from orchestrator.protocol.types import DeviceId

STATE: Final = Path("/state")
UNFINISHED: Final = f".new-{RECORD}"
"""The name that a record has before it is whole."""

ACTIVE_DIRECTORY: Final = Path("/device")

PAST_MAX: Final = 16

REARM_S: Final = 0.5
"""
How long after it goes on the agent of a suspended device is seen by the watchdog again.

By then it has told the controller what was overdue.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the devices of a run share."""

    seed: int
    truth: Truth
    ware: Fleetware
    broker: SimBroker
    seams: Seams


class Computer(ABC):
    """
    One computer, off until :meth:`power_on`.

    ``durable`` is its record as it really is. Times are true times of the run, in s.
    """

    def __init__(self, site: Site, described: SimulatedDevice) -> None:
        self.id = DeviceId(described.id)
        self.site = site
        self.truth = site.truth
        self.chance = stream(site.seed, "device", self.id)
        self.clock = SimDeviceClock(offset_s=described.offset_s, drift_ppm=described.drift_ppm)
        if not is_crystal(described.drift_ppm):
            self.truth.touched.began(self.id, "crystal")
        self.active = ACTIVE_DIRECTORY / site.ware.fleet.config
        self.controller = Controller(
            seed=site.seed,
            device=self.id,
            active=self.active,
            changed=self._aim_changed,
            astray=lambda why: self.truth.broke(self.id, why),
        )
        self.offload = SimOffload(site.seed, self.id, self._worked)
        self.process: Process | None = None
        self.durable = Durable(fleet=site.ware.id, device=self.id)
        self.disk = self._new_disk()
        self.next_down_s: float | None = DEVICE_REBOOT_S
        """How long it is down when it fails next; ``None``: until somebody comes."""

        self.down_until_s: float | None = 0.0
        """Until when it is down, where it is; ``None``: until somebody comes."""

        self.forgets = False
        """Whether the disk has lied since it was last found: what it called synced may be gone."""

        self.at_disk_death: Callable[[], Any] = nothing
        """Called where the disk takes the power away; see ``crash-at-write``."""

        self.at_disk_failure: Callable[[], Any] = nothing
        """Called where one change to the disk has failed; see ``fail-at-write``."""

        self.boots = 0
        self._stays_on = False
        """Whether only the agent has ended: nothing of what it has written is lost."""

        self.expected = False
        """Whether it is known already why its process ends."""

        self._past: tuple[Durable, ...] = ()
        """What was durable before, the newest last."""

        self._slots: Slots | None = None
        self._active_seen: bytes | None = None
        self._suspended = 0
        self._choose: Choose = self._by_chance

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.alive

    @abstractmethod
    def _run(self, process: Process) -> Coroutine[Any, Any, None]:
        """Run what runs on it."""

    @abstractmethod
    def _has_power(self) -> bool:
        """Whether it can run at all."""

    @abstractmethod
    def _stopped(self) -> None:
        """Take note that nothing of it runs any more."""

    @abstractmethod
    def _aim_changed(self) -> None:
        """Take note that the controller aims with something else, or not any more."""

    def _new_disk(self) -> SimDisk:
        disk = SimDisk(pass_seam=self._pass_seam, died=self._disk_died, failed=self._disk_failed)
        disk.make_directory(ACTIVE_DIRECTORY)
        self.controller.disk = disk
        return disk

    def _disk_died(self) -> None:
        died, self.at_disk_death = self.at_disk_death, nothing
        died()
        if self.up:
            self.fail(self.next_down_s)

    def _disk_failed(self) -> None:
        failed, self.at_disk_failure = self.at_disk_failure, nothing
        failed()

    def _by_chance(self, ways: int) -> int:
        return self.chance.randrange(ways)

    def _pass_seam(self, name: str) -> None:
        if self.process is not None:
            self.site.seams.hit(self.process, name)

    # --- on and off -----------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start. Nothing is done where it runs, or has no power."""
        if self.up or not self._has_power():
            return
        if self.boots and not self._stays_on:
            self.clock.restart()
        self._find()
        self.boots += 1
        self.process = Process(self.id, self.id)
        self.process.on_end.append(self._ended)
        spawn(self.process, self._run(self.process))
        self.truth.note(Kind.PROCESS, self.id, "starts", what="started")

    def fail(self, for_s: float | None, *, survives: Choose | None = None) -> None:
        """
        Lose power for so long (``None``: until somebody comes).

        What was not synced survives in part, by chance, or as ``survives`` says. Nothing is done
        where it has no power already.
        """
        if not self.up and not self._stays_on:
            return
        self._choose = survives or self._by_chance
        if self.up and self.process is not None:
            self.next_down_s, self.expected = for_s, True
            self.process.kill()
        else:  # its agent was killed before
            self._stays_on = False
            self.controller.reset(power=True)
            self._come_back_after(for_s)

    def kill_agent(self, for_s: float | None) -> None:
        """Lose the agent by a kill -9 for so long; what it has written is still to be read."""
        if self.up and self.process is not None:
            self._stays_on = self.expected = True
            self.next_down_s = for_s
            self.process.kill()

    def _ended(self) -> None:
        """Take note that nothing runs any more, and come back in time."""
        self._slots = None
        self.disk.cut_power()  # whatever of it unwinds touches nothing
        for_s, self.next_down_s = self.next_down_s, DEVICE_REBOOT_S
        self.controller.reset(power=not self._stays_on)
        self._stopped()
        self.truth.note(Kind.PROCESS, self.id, "is down", what="killed")
        self.down_until_s = None
        self._come_back_after(for_s)
        if not self.expected and for_s is not None:
            self._note_crash(for_s)
        self.expected = False

    def _note_crash(self, for_s: float) -> None:
        """Tell of a crash at a point where somebody was to die, which no act has told of."""
        act = Act(at_s=story_s(), verb=Verb.CRASH, target=(self.id,), for_s=for_s)
        self.truth.checker.fault_began(act)
        later(for_s, lambda: self.truth.checker.fault_ended(act))

    def _come_back_after(self, for_s: float | None) -> None:
        """Start again after so long, or later where it was to be down for longer."""
        if for_s is None:
            self.down_until_s = None
            return
        self.down_until_s = max(self.down_until_s or 0.0, true_s() + for_s)
        later(for_s, self._come_back)

    def _come_back(self) -> None:
        if self.down_until_s is not None and true_s() >= self.down_until_s:
            self.power_on()

    def replace(self) -> None:
        """Put another unit with an empty disk in its place, and start it."""
        if self.process is not None:
            self.expected = self.up
            self.process.kill()
        self.process = self.down_until_s = None
        self._stays_on = False
        self.disk = self._new_disk()
        self.forgets, self._active_seen = False, None
        self.durable, self._past = Durable(fleet=self.site.ware.id, device=self.id), ()
        self.truth.checker.device_replaced(self.id, self.durable)
        self.controller.reset(power=True)
        self.power_on()

    def suspend(self) -> None:
        """Stand still; the controller's watchdog bites."""
        if self.process is not None and self.up:
            self.process.pause()
            self._suspended += 1
            self.controller.starve()

    def go_on(self) -> None:
        """Go on, with what is overdue first."""
        if self.process is not None and self.process.paused:
            self.process.resume()
            process, suspended = self.process, self._suspended
            later(REARM_S, lambda: self._rearm(process, suspended))

    def _rearm(self, process: Process, suspended: int) -> None:
        """Let the watchdog see the agent again, unless it stands still once more."""
        if process is self.process and suspended == self._suspended:
            self.controller.feed()

    # --- its disk -------------------------------------------------------------------------------

    def _find(self) -> None:
        """
        Come back with what the crash has left, and take note of what that is.

        After a kill that is what was written, and none of it is more durable than before: what
        the next agent makes durable it tells itself (:meth:`_worked`).
        """
        killed, self._stays_on = self._stays_on, False
        forgot = self.forgets
        self.disk.kill()
        written = self._recorded()
        if not killed:
            self.disk.reboot(self._choose)
            self.forgets = self.disk.lies
        self._choose = self._by_chance
        self._note_torn_record()
        self._look_at_active(spoiled=forgot)
        found = self._recorded()
        if not forgot:
            self._judge_record(found, written)
        if killed or found is None or found == self.durable:
            return
        if forgot:
            self.truth.checker.device_replaced(self.id, found)
        else:  # it was being written as the power went, and it got there
            self.truth.checker.device_stored(self.id, self.durable, found)
        self._keep(found)
        self.truth.look()

    def _judge_record(self, found: Durable | None, written: Durable | None) -> None:
        """Judge a record that an honest disk has; ``written`` was the last that could be read."""
        if found is None:
            self.truth.broke(self.id, "an honest disk has a torn participant record")
        elif found in self._past and found not in (self.durable, written):
            self.truth.broke(self.id, "an honest disk has a record from before the durable one")

    def _keep(self, durable: Durable) -> None:
        if durable != self.durable:
            self._past = (*self._past, self.durable)[-PAST_MAX:]
        self.durable = durable

    def _note_torn_record(self) -> None:
        """Count it where a record stands there that was not finished."""
        if self.disk.read(STATE / UNFINISHED, record.RECORD_BYTES_MAX) is not None:
            self.truth.checker.count("torn-record-repaired")

    def _recorded(self) -> Durable | None:
        path = STATE / RECORD
        data = self.disk.read(path, record.RECORD_BYTES_MAX)
        if data is None:
            return Durable(fleet=self.site.ware.id, device=self.id)
        try:
            return record.decode(data, path).record
        except OperatingError:
            return None  # the agent will say so

    def _worked(self) -> None:
        """Take note of what is durable by now: some work on the disk is done."""
        if not self.up or self._slots is None:
            return
        before, after = self.durable, self._slots.durable
        self._keep(after)
        if after != before:
            self.truth.checker.device_stored(self.id, before, after)
            if self.truth.teller is not None:
                self.truth.teller.stored(self.id, after)
        self._look_at_active()
        self.truth.look()

    def _look_at_active(self, *, spoiled: bool = False) -> None:
        """Tell what the active file is; one ``spoiled`` by a disk that has lied may be torn."""
        data = self.disk.read(self.active, ACTIVE_BYTES_MAX)
        if data is self._active_seen:
            return
        self._active_seen = data
        if not spoiled or data in self.truth.known_bytes:
            self.truth.checker.active_file(self.id, data, self.truth.known_bytes)

    def lie(self, *, lies: bool) -> None:
        """Let syncs do nothing from now on, or lose power for what they did not do."""
        if lies:
            self.disk.lies = self.forgets = True
        elif self.disk.lies:
            self.fail(DEVICE_REBOOT_S, survives=nothing_survives)
            self.disk.lies = False

    def damage(self, for_s: float) -> None:
        """Lose power, and find other bytes in the active file when it starts again."""
        if not self.up:
            return
        self.fail(for_s)
        self.disk.reboot(self._by_chance)
        data = self.disk.read(self.active, ACTIVE_BYTES_MAX)
        if data:
            at = self.chance.randrange(len(data))
            worn = bytes((data[at] ^ (1 << self.chance.randrange(8)),))
            self.disk.damage(self.active, data[:at] + worn + data[at + 1 :])
            self._active_seen = self.disk.read(self.active, ACTIVE_BYTES_MAX)
        self.disk.cut_power()
