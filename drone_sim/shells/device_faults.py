"""What may go wrong with one device: each fault, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from drone_sim.disk import BROKEN, FULL
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import DEVICE_REBOOT_S, word_of
from drone_sim.shells.devices import SimDevice
from drone_sim.shells.lasting import Undo, nothing, sets

OnDevice = Callable[[Act, SimDevice], Undo]
"""Lets something go wrong with a device, and returns how that is undone."""


def down_s(act: Act) -> float:
    """Return how long a device that crashes is down, in s."""
    return DEVICE_REBOOT_S if act.for_s is None else act.for_s


def crash(act: Act, device: SimDevice) -> None:
    """Let a device lose power, or its agent alone, as the act has it."""
    if word_of(act) == "kill":
        device.kill_agent(down_s(act))
    else:
        device.fail(down_s(act))


def why(act: Act) -> str:
    """Return why a disk fails."""
    return FULL if word_of(act) == "space" else BROKEN


def _crash(act: Act, device: SimDevice) -> Undo:
    crash(act, device)
    return nothing


def _replace(_act: Act, device: SimDevice) -> Undo:
    device.replace()
    return nothing


def _suspend(_act: Act, device: SimDevice) -> Undo:
    device.suspend()
    return device.go_on


def _disk_full(_act: Act, device: SimDevice) -> Undo:
    device.disk.full = True
    return sets(device.disk, "full", False)


def _disk_fails(act: Act, device: SimDevice) -> Undo:
    device.disk.failing = why(act)
    return sets(device.disk, "failing", None)


def _disk_slow(act: Act, device: SimDevice) -> Undo:
    device.offload.slow_s = act.amount
    return sets(device.offload, "slow_s", 0.0)


def _disk_lies(_act: Act, device: SimDevice) -> Undo:
    device.lie(lies=True)
    return lambda: device.lie(lies=False)


def _damage(act: Act, device: SimDevice) -> Undo:
    device.damage(down_s(act))
    return nothing


def _low_battery(act: Act, device: SimDevice) -> Undo:
    device.drain(act.amount)
    return device.charge


def _refuse(act: Act, device: SimDevice) -> Undo:
    device.refuses[act.verb] = act.word or "simulated: it does not want to"
    return lambda: device.refuses.pop(act.verb, None)


def _hook_fails(act: Act, device: SimDevice) -> Undo:
    how = "dies" if word_of(act) == "half-way" else "fails"
    setattr(device.controller, how, True)
    return sets(device.controller, how, False)


ON_DEVICE: Final[Mapping[Verb, OnDevice]] = {
    Verb.CRASH: _crash,
    Verb.REPLACE: _replace,
    Verb.SUSPEND: _suspend,
    Verb.DISK_FULL: _disk_full,
    Verb.DISK_FAILS: _disk_fails,
    Verb.DISK_SLOW: _disk_slow,
    Verb.DISK_LIES: _disk_lies,
    Verb.DAMAGE: _damage,
    Verb.LOW_BATTERY: _low_battery,
    Verb.REFUSE: _refuse,
    Verb.HOOK_FAILS: _hook_fails,
}
"""The faults that each device has for itself."""
