"""
The files of one story: samples, fleet, journal and slots, all in one directory.

What stands in a device's active file is read here, from the disk, and compared with the
canonical bytes that were to be pushed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import DeviceId, Digest, FleetId
from orchestrator.staging.bundle import make_bundle
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.load import LoadedFleet, load_config, load_fleet, read
from orchestrator.staging.samples import samples_directory

DEVICES_MIN: Final = 2
DEVICES_MAX: Final = 200
"""What the broker that pip installs can carry; see ``orchestrator.transport.embedded``."""

SAMPLE_DEVICES: Final = 12
SAMPLE_ERROR_MS: Final = 50
ERROR_MS_PER_DEVICE: Final = 5
OLD: Final = "aim_lock_config.conf"
NEW: Final = "aim_lock_config.next.conf"
SLOTS: Final = "devices"
STORE: Final = "aim.db"

_SAMPLE_FLEET: Final = f"hazard-{SAMPLE_DEVICES}.toml"
_DEVICE: Final = '\n[[device]]\nid = "{id}"\nkind = "drone"\ngimbal = "g30"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """
    Where a story takes place. File names are relative to ``directory``, where commands run.

    ``old`` and ``new`` are the canonical bytes that each device is to run.
    """

    directory: Path
    fleet: FleetId
    fleet_file: str
    config: str
    devices: tuple[DeviceId, ...]
    old: Mapping[DeviceId, bytes]
    new: Mapping[DeviceId, bytes]

    @property
    def store_url(self) -> str:
        """The URL of the journal."""
        return f"sqlite:///{self.directory / STORE}"

    def active(self, device: DeviceId) -> bytes | None:
        """Return what stands in the device's active file; ``None`` where there is none."""
        try:
            return (self.directory / SLOTS / device / self.config).read_bytes()
        except FileNotFoundError:
            return None

    def active_digest(self, device: DeviceId) -> Digest | None:
        """Return the digest of the device's active file."""
        data = self.active(device)
        return None if data is None else digest_of(data)


def check_size(devices: int) -> None:
    """Refuse a fleet that the demo can't carry (wrong use)."""
    if not DEVICES_MIN <= devices <= DEVICES_MAX:
        raise OperatingError(
            f"the demo takes {DEVICES_MIN} to {DEVICES_MAX} devices, not {devices}",
            exit_code=Exit.USAGE,
            next_command=f"aimctl demo --devices {SAMPLE_DEVICES}",
        )


def make_workspace(directory: Path, devices: int) -> Workspace:
    """Lay the sample files out in ``directory``, which is made, for a fleet of this size."""
    samples = samples_directory()
    directory.mkdir()
    for name in (OLD, NEW):
        shutil.copyfile(samples / name, directory / name)
    fleet_file = f"hazard-{devices}.toml"
    sample = (samples / "fleets" / _SAMPLE_FLEET).read_text()
    text = sample if devices == SAMPLE_DEVICES else _resized(sample, devices)
    (directory / fleet_file).write_text(text)
    fleet = load_fleet(read(directory / fleet_file))
    return Workspace(
        directory=directory,
        fleet=FleetId(fleet.file.fleet),
        fleet_file=fleet_file,
        config=fleet.file.config,
        devices=tuple(DeviceId(device.id) for device in fleet.file.device),
        old=_bytes_by_device(directory / OLD, fleet),
        new=_bytes_by_device(directory / NEW, fleet),
    )


def _resized(sample: str, devices: int) -> str:
    """Return the sample fleet with another number of drones, and a name that says so."""
    head, _, _ = sample.partition("\n[[device]]")
    head = head.replace("The twelve drones", f"The {devices} drones", 1)
    head = head.replace(f'"hazard-{SAMPLE_DEVICES}"', f'"hazard-{devices}"', 1)
    # All clocks are measured at once, through one broker, by one process: the more devices, the
    # longer an answer takes and the less certain a clock is.
    error_ms = max(SAMPLE_ERROR_MS, ERROR_MS_PER_DEVICE * devices)
    head = head.replace(f"clock_error_ms = {SAMPLE_ERROR_MS} ", f"clock_error_ms = {error_ms} ", 1)
    width = max(2, len(str(devices)))
    ids = (f"d-{number:0{width}d}" for number in range(1, devices + 1))
    return head + "".join(_DEVICE.format(id=name) for name in ids)


def _bytes_by_device(path: Path, fleet: LoadedFleet) -> dict[DeviceId, bytes]:
    bundle = make_bundle(load_config(read(path)), fleet)
    return {device: bundle.configs[digest] for device, digest in bundle.digests.items()}
