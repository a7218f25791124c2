"""
What a simulated fleet is made of: its file, the configuration it begins with, and what is pushed.

The product's own staging makes all of it. A story pushes bytes that no push had before, so each
push gets a variant: one harmless value is another. What is pure and slow (staging, decoding) is
remembered from run to run; the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.types import DeviceId, Digest, FleetId, Plan, Version
from orchestrator.service.push import PushOrder
from orchestrator.staging.bundle import (
    Bundle,
    bundle_of,
    decode_config,
    encode_config,
    make_bundle,
)
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.fleet import Device, FleetFile, GimbalProfile
from orchestrator.staging.load import LoadedFleet, load_config, load_fleet, read
from orchestrator.staging.models import AimConfig, Kind
from orchestrator.staging.overlay import ConfigSource, OverlayName
from orchestrator.staging.plan import decode_plan, encode_plan, make_plan
from orchestrator.staging.samples import samples_directory

DRONES: Final = ("aim_lock_config.conf", "aim_lock_config.next.conf", "hazard-12.toml", "sim")
YARD: Final = ("yard_aim.conf", "yard_aim.conf", "yard-mixed.toml", "sim-yard")
"""Base, what is pushed, the fleet whose gimbals are taken, and the name of the simulated one."""

KEPT: Final = 4096
VARIANTS: Final = 10_000

plan_of = lru_cache(KEPT)(decode_plan)
config_of = lru_cache(KEPT)(decode_config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleetware:
    """
    A fleet's file, the bundle of version 1 (``base``) and the one that the story pushes.

    The timings of the file do not count: those of the scenario's pace do, its leases too. Whoever
    plays a fleet of their own takes both from the same file.
    """

    fleet: FleetFile
    base: Bundle
    pushed: Bundle

    @property
    def id(self) -> FleetId:
        """The fleet's name."""
        return FleetId(self.fleet.fleet)

    @property
    def members(self) -> tuple[DeviceId, ...]:
        """All devices of the file, in its order."""
        return tuple(DeviceId(device.id) for device in self.fleet.device)

    def bundle(self, number: int) -> Bundle:
        """Return what the push of this number brings: 0 is the base, each other one is new."""
        return self.base if number == 0 else variant(_key(self.pushed), number - 1)

    def order(
        self,
        number: int,
        version: Version,
        timing: Timing,
        *,
        left_out: Collection[DeviceId] = (),
        retired: Collection[DeviceId] = (),
    ) -> PushOrder:
        """
        Return the order of the push of this number, for a fleet that is at ``version``.

        Devices that are left out are excused, those that are retired are no more in the file.
        Raises InvalidInput where nobody is left.
        """
        bundle = without(self.bundle(number), frozenset(retired))
        excused = tuple(sorted(set(left_out) & set(bundle.digests)))
        plan = make_plan(self.fleet, bundle, version, excused)
        data = encode_plan(plan)
        return PushOrder(
            plan=plan,
            plan_digest=digest_of(data),
            blobs=(data, bundle.manifest, *bundle.configs.values()),
            timing=timing,
            spare={device: bundle.digests[device] for device in excused},
        )

    def device(self, name: DeviceId) -> Device:
        """Return a device as the file has it."""
        return next(device for device in self.fleet.device if device.id == name)

    def gimbal_of(self, name: DeviceId) -> GimbalProfile | None:
        """Return the hardware of a device's gimbal, where the file names it."""
        return self.fleet.profile_of(self.device(name))


def fleetware(
    fleet: LoadedFleet, config: ConfigSource, base: ConfigSource | None = None
) -> Fleetware:
    """
    Stage a fleet's own files: ``config`` is what the story pushes.

    Without ``base`` version 1 is a variant of ``config``. What the devices have to judge is left
    to their votes. Raises InvalidInput for what can't be staged.
    """
    pushed = make_bundle(config, fleet, check_hardware=False)
    if base is None:
        begins = variant(_key(pushed), VARIANTS)
    else:
        begins = make_bundle(base, fleet, check_hardware=False)
    return Fleetware(fleet=fleet.file, base=begins, pushed=pushed)


@lru_cache(KEPT)
def sample_fleetware(devices: tuple[tuple[str, Kind], ...]) -> Fleetware:
    """Return a fleet of these devices, each by id and kind, with the sample configurations."""
    drones = all(kind == "drone" for _, kind in devices)
    base, pushed, fleet, name = DRONES if drones else YARD
    samples = samples_directory()
    like = load_fleet(read(samples / "fleets" / fleet))
    profiles = {device.kind: device.gimbal for device in reversed(like.file.device)}
    members = tuple(
        Device(id=device, kind=kind, gimbal=profiles[kind]) for device, kind in devices
    )
    file = like.file.model_copy(update={"fleet": name, "device": members})
    loaded = replace(like, file=file)
    kinds = {kind for _, kind in devices}
    sources = [_fitting(load_config(read(samples / one)), kinds) for one in (pushed, base)]
    return fleetware(loaded, sources[0], None if base == pushed else sources[1])


def _fitting(config: ConfigSource, kinds: set[Kind]) -> ConfigSource:
    """Leave only those overlays that some device takes: the rest would be refused as mistakes."""
    taken: set[OverlayName] = {("kind", kind) for kind in kinds}
    overlays = {name: table for name, table in config.overlays.items() if name in taken}
    return replace(config, overlays=overlays)


# --- variants -----------------------------------------------------------------------------------

_Key = tuple[tuple[bytes, ...], tuple[tuple[DeviceId, Digest], ...]]


def _key(bundle: Bundle) -> _Key:
    return tuple(bundle.configs.values()), tuple(bundle.digests.items())


@lru_cache(KEPT)
def variant(key: _Key, number: int) -> Bundle:
    """Return the variant of a bundle; number 0 is the bundle itself. Each has other bytes."""
    configs, digests = key
    made = {digest_of(data): _varied(data, number) for data in configs}
    return bundle_of(
        {digest_of(data): data for data in made.values()},
        {device: digest_of(made[digest]) for device, digest in digests},
    )


def _varied(data: bytes, number: int) -> bytes:
    """Soften the stick's middle a little differently: no rule depends on it, no gimbal cares."""
    if number == 0:
        return data
    config = config_of(data)
    expo = round((config.manual.expo + number / (VARIANTS + 1)) % 1.0, 6)
    manual = config.manual.model_copy(update={"expo": expo})
    return encode_config(config.model_copy(update={"manual": manual}))


def without(bundle: Bundle, devices: frozenset[DeviceId]) -> Bundle:
    """Return the bundle of a fleet that does not have these devices any more."""
    if devices.isdisjoint(bundle.digests):
        return bundle
    digests = {name: digest for name, digest in bundle.digests.items() if name not in devices}
    used = set(digests.values())
    configs = {digest: data for digest, data in bundle.configs.items() if digest in used}
    return bundle_of(configs, digests)


def known_bytes(bundles: Iterable[Bundle]) -> frozenset[bytes]:
    """Return every whole configuration of these bundles (I27)."""
    return frozenset(data for bundle in bundles for data in bundle.configs.values())


def decode_plan_once(data: bytes) -> Plan:
    """Read a plan blob as ``decode_plan`` does, each one once."""
    return plan_of(data)


def decode_config_once(data: bytes) -> AimConfig:
    """Read a configuration as ``decode_config`` does, each one once."""
    return config_of(data)
