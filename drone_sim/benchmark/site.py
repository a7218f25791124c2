"""The files of one size of fleet, all in one temporary directory."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.errors import require
from orchestrator.staging.samples import samples_directory

CONFIG: Final = "aim_lock_config.conf"

DEVICE_PROCESSES: Final = 2
DESCRIPTORS_PER_DEVICE: Final = 4
DESCRIPTORS_BESIDE: Final = 256

_SAMPLE: Final = "hazard-12.toml"
_SAMPLE_SETTING: Final = "low_battery_pct = 20.0"
_SETTING: Final = "low_battery_pct = {:.2f}"
_TIMING: Final = """\
[timing]
window_s = {window_s}
clock_error_ms = {clock_error_ms}
settle_s = {settle_s}
"""
_DEVICE: Final = '\n[[device]]\nid = "{id}"\nkind = "drone"\ngimbal = "g30"\n'

_WINDOW_MIN_S: Final = 2.0
_WINDOW_PER_DEVICE_S: Final = 0.06
_CLOCK_ERROR_MIN_MS: Final = 50
_CLOCK_ERROR_PER_DEVICE_MS: Final = 5
"""Hundreds of devices that share one event loop answer late, and a late answer bounds a clock
badly. The freeze that follows from it is waited for by design and is no part of any ratio."""

_SETTLE_MIN_S: Final = 10.0
_SETTLE_PER_DEVICE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Files, and who is in the fleet."""

    directory: Path
    fleet: str
    devices: tuple[str, ...]
    window_s: float

    @property
    def fleet_file(self) -> Path:
        """The fleet file."""
        return self.directory / "fleet.toml"

    @property
    def idle_file(self) -> Path:
        """The file of a fleet of one device that does not run."""
        return self.directory / "idle.toml"

    @property
    def store(self) -> str:
        """The URL of the journal."""
        return f"sqlite:///{self.directory / 'journal.sqlite'}"

    def config(self, number: int) -> Path:
        """
        Write the configuration of a push, and return its file.

        Each is new: a device keeps the last ones, and would not fetch one of those again.
        """
        text = (samples_directory() / CONFIG).read_text()
        changed = text.replace(_SAMPLE_SETTING, _SETTING.format(20 + number / 100))
        require(number == 0 or changed != text, "the sample has lost the setting that we change")
        path = self.directory / f"push-{number}" / CONFIG
        path.parent.mkdir()
        path.write_text(changed)
        return path

    def shares(self) -> list[tuple[str, ...]]:
        """Return the devices of each process."""
        shares = [self.devices[start::DEVICE_PROCESSES] for start in range(DEVICE_PROCESSES)]
        return [share for share in shares if share]


def make_site(directory: Path, count: int, window_s: float | None) -> Site:
    """Write the files. ``window_s`` is the time to vote; by the size of the fleet unless given."""
    directory.mkdir()
    width = len(str(count))
    devices = tuple(f"d-{number:0{width}d}" for number in range(1, count + 1))
    window_s = window_s or max(_WINDOW_MIN_S, _WINDOW_PER_DEVICE_S * count)
    site = Site(directory=directory, fleet=f"bench-{count}", devices=devices, window_s=window_s)
    site.fleet_file.write_text(_fleet_text(site.fleet, devices, window_s))
    site.idle_file.write_text(_fleet_text("idle", ("nobody",), window_s))
    return site


def _fleet_text(fleet: str, devices: tuple[str, ...], window_s: float) -> str:
    """Return a fleet file: name and devices are ours, the hardware is that of the sample."""
    sample = (samples_directory() / "fleets" / _SAMPLE).read_text()
    hardware = sample[sample.index("[gimbal.") : sample.index("[[device]]")]
    count = len(devices)
    timing = _TIMING.format(
        window_s=window_s,
        clock_error_ms=max(_CLOCK_ERROR_MIN_MS, _CLOCK_ERROR_PER_DEVICE_MS * count),
        settle_s=max(_SETTLE_MIN_S, _SETTLE_PER_DEVICE_S * count),
    )
    head = f'fleet = "{fleet}"\nconfig = "{CONFIG}"\n'
    return head + timing + hardware + "".join(_DEVICE.format(id=name) for name in devices)


def raise_descriptor_limit(count: int) -> None:
    """
    Let this process, and so the broker and the devices, have a connection for each device.

    Raises OperatingError where the machine does not allow it.
    """
    share = -(-count // DEVICE_PROCESSES)
    needed = DESCRIPTORS_BESIDE + max(count, DESCRIPTORS_PER_DEVICE * share)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OperatingError(
            f"{count} devices need {needed} open files in one process, this machine allows {hard}",
            exit_code=Exit.USAGE,
            next_command=f"ulimit -Hn {needed}, or --devices with fewer",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
