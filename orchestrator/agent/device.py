"""
The device port: what an agent asks of the hardware that it speaks for.

Beside it stand the checks of row D1 that need no hardware; a device port extends that list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from orchestrator.agent.disk import Disk
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Activate, Check
from orchestrator.staging.bundle import decode_config
from orchestrator.staging.checks import check_against_gimbal
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.models import AimConfig, Kind
from orchestrator.staging.notes import InvalidInput

SPACE_RESERVE_BYTES: Final = 256 * 1024
"""What must stay free beside a configuration: the record is written anew at every step."""


class DeviceRefused(Exception):  # noqa: N818 - an answer, not an error
    """The controller did not do what it was told; the message says why. It is told again."""


class Device(Protocol):
    """
    One device's hardware. No two calls of ``activate``, ``hold`` and ``resume`` overlap.

    ``activate``, ``hold`` and ``resume`` raise DeviceRefused or DiskError where it did not work.
    Any of them may be repeated with the same arguments; after a restart of the agent they are.
    """

    async def check(self, check: Check) -> tuple[str, ...]:
        """Return every reason why this device can't run a configuration; empty if it can."""
        ...

    async def activate(self, activate: Activate, data: bytes) -> None:
        """Make ``data`` the configuration, durably, then tell the controller (row D3)."""
        ...

    async def hold(self, reasons: tuple[str, ...]) -> None:
        """Tell the controller to freeze its aim. Flying is not touched."""
        ...

    async def resume(self, version: int) -> None:
        """Tell the controller to aim again."""
        ...


Judge = Callable[[Check], Iterable[str]]
"""One check of row D1: the reasons against a configuration. May block; never raises."""


def judged(judges: Sequence[Judge], check: Check) -> tuple[str, ...]:
    """Return the reasons of all judges, so that a person sees everything at once."""
    return tuple(reason for judge in judges for reason in judge(check))


def fits_name(config: str) -> Judge:
    """Judge the name: a device has one configuration file."""

    def judge(check: Check) -> Iterable[str]:
        if check.config != config:
            yield f"this device runs '{config}', the plan is for '{check.config}'"

    return judge


def fits_hardware(
    *,
    kind: Kind | None = None,
    gimbal: GimbalProfile | None = None,
    decode: Callable[[bytes], AimConfig] = decode_config,
) -> Judge:
    """Judge the content: it decodes, is for this kind of device, fits the gimbal's limits."""

    def judge(check: Check) -> Iterable[str]:
        try:
            config = decode(check.data)
        except InvalidInput as invalid:
            yield from invalid.reasons
            return
        if kind is not None and config.kind != kind:
            yield f"the configuration is for a {config.kind}, this device is a {kind}"
        if gimbal is not None:
            yield from check_against_gimbal(config, gimbal)

    return judge


def fits_space(disk: Disk, *directories: Path) -> Judge:
    """Judge the free space: twice the bytes (staged and active) and a reserve."""

    def judge(check: Check) -> Iterable[str]:
        needed = 2 * len(check.data) + SPACE_RESERVE_BYTES
        for directory in dict.fromkeys(directories):
            try:
                free = disk.free_bytes(directory)
            except DiskError as error:
                yield f"disk: {error}"
                continue
            if free < needed:
                yield f"disk: {directory} has {free} bytes free, {needed} are needed"

    return judge
