"""The immutable set of configurations of one version, named by the digests of its bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    CONFIG_BYTES_MAX,
    DIGEST_PATTERN,
    FLEET_DEVICES_MAX,
    DeviceId,
    Digest,
)
from orchestrator.staging.canonical import canonical, digest_of
from orchestrator.staging.checks import Component, gimbal_problems
from orchestrator.staging.documents import Document, parse
from orchestrator.staging.explain import M, at, checked
from orchestrator.staging.fields import Strict
from orchestrator.staging.fleet import Device, GimbalProfile, Id
from orchestrator.staging.load import LoadedFleet, source
from orchestrator.staging.migrations import brought_up
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput, Note, refuse
from orchestrator.staging.overlay import (
    ConfigSource,
    Target,
    effective,
    unused_sections,
    where_set,
)

DigestText = Annotated[str, Field(pattern=f"^{DIGEST_PATTERN}$")]
Devices = Annotated[
    dict[DigestText, Annotated[tuple[Id, ...], Field(strict=False, min_length=1)]],
    Field(min_length=1, max_length=FLEET_DEVICES_MAX),
]
"""The devices by the digest of what they run: short where many run the same."""

_FIXES: Final[Mapping[Component, str]] = {
    Component.GIMBAL: "stay inside the hardware's limit",
    Component.PHYSICS: "tune the loop for this gimbal",
}

NAMED_MAX: Final = 3
"""Devices that a message names before it counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """
    What every device of a fleet will run.

    ``manifest`` says it in canonical bytes and ``digest`` is their digest. ``configs`` are the
    canonical bytes of each distinct configuration. Store manifest and configs as blobs before
    a plan refers to them.
    """

    digest: Digest
    manifest: bytes
    configs: Mapping[Digest, bytes]
    digests: Mapping[DeviceId, Digest]


class Manifest(Strict):
    """The wire form of a bundle's manifest."""

    schema_version: int = Field(alias="schema", ge=1, le=1)
    type: Literal["bundle"]
    devices: Devices


def encode_config(config: AimConfig) -> bytes:
    """Return the canonical bytes of an effective configuration, defaults made explicit."""
    return canonical(config.model_dump(mode="json", exclude_none=True))


def decode_config(data: bytes) -> AimConfig:
    """
    Read the canonical bytes that a device received. Raises InvalidInput, never anything else.

    Bytes that are not canonical are refused: a second spelling would have a second digest. Bytes
    of an older schema are read as they stand, and as the newest: their digest stays their own.
    """
    document = _document(data, "configuration", CONFIG_BYTES_MAX)
    newest, _ = brought_up(document)
    config = checked(AimConfig, newest.values, document.name, at(newest.lines))
    if isinstance(config, list):
        raise InvalidInput(config)
    whole = encode_config(config) == canonical(newest.values)
    if not whole or canonical(document.values) != data:
        raise refuse("configuration", "is not in canonical form", component="syntax")
    return config


def decoded(model: type[M], data: bytes, what: str, bytes_max: int) -> M:
    """Read JSON bytes into ``model``; raises InvalidInput with every reason."""
    document = _document(data, what, bytes_max)
    found = checked(model, document.values, what, at(document.lines))
    if isinstance(found, list):
        raise InvalidInput(found)
    return found


def _document(data: bytes, what: str, bytes_max: int) -> Document:
    text = replace(source(what, data, bytes_max), suffix="json")
    if data.startswith(b"\xef\xbb\xbf"):
        raise refuse(what, "begins with a byte order mark", component="syntax")
    return parse(text)


def devices_by_digest(digests: Mapping[DeviceId, Digest]) -> dict[str, list[str]]:
    """Turn the map around, sorted: the form in which blobs carry it."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for device, digest in sorted(digests.items()):
        grouped[digest].append(device)
    return dict(sorted(grouped.items()))


def digests_by_device(devices: Mapping[str, tuple[str, ...]], what: str) -> dict[DeviceId, Digest]:
    """Turn :func:`devices_by_digest` back, sorted; a device that stands there twice is refused."""
    pairs = sorted((device, digest) for digest, ids in devices.items() for device in ids)
    found = {DeviceId(device): Digest(digest) for device, digest in pairs}
    if len(found) != len(pairs):
        raise refuse(what, "names a device twice", component="rules")
    if len(found) > FLEET_DEVICES_MAX:
        raise refuse(what, f"names more than {FLEET_DEVICES_MAX} devices", component="rules")
    return found


def bundle_of(configs: Mapping[Digest, bytes], digests: Mapping[DeviceId, Digest]) -> Bundle:
    """Make a bundle of bytes that were checked already."""
    ordered = dict(sorted(digests.items()))
    manifest = canonical({"schema": 1, "type": "bundle", "devices": devices_by_digest(ordered)})
    return Bundle(
        digest=digest_of(manifest),
        manifest=manifest,
        configs=dict(sorted(configs.items())),
        digests=ordered,
    )


def decode_manifest(data: bytes) -> dict[DeviceId, Digest]:
    """Read a bundle's manifest: the digest of each device. Raises InvalidInput."""
    manifest = decoded(Manifest, data, "bundle", BLOB_BYTES_MAX)
    return digests_by_device(manifest.devices, "bundle")


# -------------------------------------------------------------------------- from files to bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Devices that must run the same: same kind, groups and overlays, same hardware."""

    target: Target
    gimbal: GimbalProfile | None
    devices: tuple[DeviceId, ...]


def members(config: ConfigSource, fleet: LoadedFleet) -> list[Member]:
    """Group the devices by what decides their configuration, in the file's order."""
    grouped: dict[tuple[Target, str | None], list[Device]] = defaultdict(list)
    for device in fleet.file.device:
        own = device.id if ("device", device.id) in config.overlays else None
        target = Target(kind=device.kind, groups=device.groups, device=own)
        grouped[target, device.gimbal].append(device)
    return [
        Member(
            target=target,
            gimbal=fleet.file.profile_of(same[0]),
            devices=tuple(DeviceId(device.id) for device in same),
        )
        for (target, _), same in grouped.items()
    ]


@dataclass(slots=True)
class _Collected:
    configs: dict[Digest, bytes] = field(default_factory=dict)
    digests: dict[DeviceId, Digest] = field(default_factory=dict)
    notes: dict[Note, list[DeviceId]] = field(default_factory=dict)

    def blame(self, notes: list[Note], devices: tuple[DeviceId, ...]) -> None:
        for note in notes:
            self.notes.setdefault(note, []).extend(devices)


def problems_with(
    config: ConfigSource, fleet: LoadedFleet, *, check_hardware: bool = True
) -> list[Note]:
    """Return everything that keeps ``config`` from being bundled for ``fleet``."""
    return _collect(config, fleet, check_hardware=check_hardware)[1]


def make_bundle(
    config: ConfigSource, fleet: LoadedFleet, *, check_hardware: bool = True
) -> Bundle:
    """
    Put together what each device will run, check it, and name it by its digest.

    ``check_hardware`` leaves the gimbals' limits to the devices' votes where it is false.
    Raises InvalidInput with everything that is wrong.
    """
    collected, notes = _collect(config, fleet, check_hardware=check_hardware)
    if notes:
        raise InvalidInput(notes, next_command=f"aimctl lint {config.name} {fleet.name}")
    return bundle_of(collected.configs, collected.digests)


def _collect(
    config: ConfigSource, fleet: LoadedFleet, *, check_hardware: bool
) -> tuple[_Collected, list[Note]]:
    collected = _Collected()
    for member in members(config, fleet):
        _collect_member(collected, config, member, check_hardware=check_hardware)
    kinds = {device.kind for device in fleet.file.device}
    notes = [*_unknown_overlays(config, fleet), *unused_sections(config, kinds)]
    total = len(fleet.file.device)
    notes += [_named(note, devices, total) for note, devices in collected.notes.items()]
    return collected, notes


def _collect_member(
    collected: _Collected, config: ConfigSource, member: Member, *, check_hardware: bool
) -> None:
    made = effective(config, member.target)
    if isinstance(made, list):
        collected.blame(made, member.devices)
        return
    if check_hardware and member.gimbal is not None:
        found = hardware_notes(config, member.target, made, member.gimbal)
        collected.blame(found, member.devices)
    data = encode_config(made)
    collected.configs[digest_of(data)] = data
    collected.digests |= dict.fromkeys(member.devices, digest_of(data))


def hardware_notes(
    config: ConfigSource, target: Target, made: AimConfig, gimbal: GimbalProfile
) -> list[Note]:
    """Return what the gimbal can't do, by the line that asks it: its limits, then its physics."""
    notes: list[Note] = []
    for component, (path, message) in gimbal_problems(made, gimbal):
        line, key = where_set(config, target, path)
        notes.append(
            Note(
                file=config.name,
                line=line,
                key=key,
                message=message,
                component=component.value,
                fix=_FIXES[component],
            )
        )
    return notes


def _named(note: Note, devices: list[DeviceId], total: int) -> Note:
    """Say which devices are concerned, unless all are."""
    if len(devices) == total:
        return note
    named = ", ".join(devices[:NAMED_MAX])
    rest = len(devices) - NAMED_MAX
    more = f" and {rest} more" if rest > 0 else ""
    return replace(note, message=f"{note.message} (for {named}{more})")


def _unknown_overlays(config: ConfigSource, fleet: LoadedFleet) -> list[Note]:
    known = {
        "group": {group for device in fleet.file.device for group in device.groups},
        "device": {device.id for device in fleet.file.device},
    }
    notes: list[Note] = []
    for scope, name in config.overlays:
        if scope != "kind" and name not in known[scope]:
            line, key = config.place((scope, name))
            message = f"fleet '{fleet.file.fleet}' has no {scope} of this name"
            notes.append(
                Note(
                    file=config.name,
                    line=line,
                    key=key,
                    message=message,
                    component="overlay",
                    fix=f"see {fleet.name}",
                )
            )
    return notes
