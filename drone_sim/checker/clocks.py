"""
Wrong clocks: whom they excuse from I5, and that a broken I5 is found out (I19).

A device whose bound does not hold the true offset may operate another version; nobody can know
that at once. But the next exchange of it must prove that a clock was stepped: two intervals that
do not meet. Where another step or a restart has put the clock right before, nothing was left to
prove, and nobody is blamed.

A device whose bound has just become right needs a step or two before it does what it then knows
(it holds, it activates): it is excused until it agrees with the others, for a while at the most.
"""

from __future__ import annotations

from collections.abc import Collection

from drone_sim.checker.budgets import concerned, terms_of
from drone_sim.checker.truth import Device, Truth
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol.clock import STEP_MEMORY_S
from orchestrator.protocol.invariants import excepted
from orchestrator.protocol.types import DeviceId


class Clocks:
    """Keeps who lies, and what came of it."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._lying: dict[DeviceId, Device] = {}
        self._righting: dict[DeviceId, float] = {}
        """Whose bound is right again, and until when that excuses them."""
        self._unproved: dict[DeviceId, str] = {}
        self._patience_s = terms_of(truth.scenario).asked_again_s

    @property
    def excused(self) -> frozenset[DeviceId]:
        """The devices for which I5 is not judged now."""
        return frozenset((*self._lying, *self._righting))

    def lied(self, device: Device) -> None:
        """Take that a bound is wrong from now on."""
        device.lying, device.mixed, device.righted = True, False, False
        self._lying[device.id] = device
        device.moved = True

    def honest(self, device: Device, *, measured: bool) -> None:
        """Take that it is right again; see :meth:`.Checker.clock_honest`."""
        if self._lying.pop(device.id, None) is not None:
            self._righting[device.id] = self._truth.now_s + self._patience_s
        device.lying = False
        if device.mixed and measured and not device.righted and not self._warned(device):
            text = f"{device.id} operated another version by a wrong clock, and has not found out"
            self._unproved[device.id] = text

    def _warned(self, device: Device) -> bool:
        """Whether its core has proved a step, and not forgotten yet that clocks step here."""
        at_s = device.detected_s
        return at_s is not None and self._truth.now_s - at_s <= STEP_MEMORY_S

    def fault_ended(self, act: Act) -> None:
        """Take that an act is over: a clock that it had put wrong is right again."""
        if act.verb not in (Verb.CLOCK_STEP, Verb.CLOCK_DRIFT):
            return
        for name in concerned(self._truth.scenario, act):
            device = self._truth.device(DeviceId(name))
            device.righted = device.moved = True
            self._unproved.pop(device.id, None)  # at the same instant: no exchange found out

    def look(self) -> bool:
        """
        Note whether I5 is broken by a wrong clock now, and blame what was not found out.

        Returns whether fewer devices are excused from now on.
        """
        for text in self._unproved.values():
            self._truth.blame("I19", text)
        self._unproved.clear()
        if not self._lying and not self._righting:
            return False
        if self._mixed(self._lying):
            for device in self._lying.values():
                device.mixed |= device.operating is not None
        now_s, before = self._truth.now_s, len(self._righting)
        agree = not self._mixed(self._righting)
        self._righting = {
            name: until_s
            for name, until_s in self._righting.items()
            if not agree and now_s < until_s
        }
        return len(self._righting) < before

    def _mixed(self, among: Collection[DeviceId]) -> bool:
        """Whether two versions are operated, by ``among`` and those who are not excused."""
        devices = self._truth.devices
        views = {
            name: device.view()
            for name, device in devices.items()
            if name in among or name not in self.excused
        }
        out = excepted(self._truth.fleet, views)
        aimed = {one.operating for name, one in views.items() if name not in out}
        return len(aimed - {None}) > 1
