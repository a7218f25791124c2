"""From what is typed to a gimbal and to what runs on it: fleets, profiles, devices, overlays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.cli.files import FLEET_PLACES, find_fleet
from orchestrator.cli.text import some
from orchestrator.errors import Exit, OperatingError
from orchestrator.staging.bundle import members
from orchestrator.staging.documents import parse
from orchestrator.staging.fleet import Device, GimbalProfile
from orchestrator.staging.kinds import KINDS
from orchestrator.staging.lint import names_of
from orchestrator.staging.load import LoadedFleet, fleet_of, identify, load_config, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.overlay import ConfigSource, Target, effective
from orchestrator.staging.physics import judged_axes

Say = Callable[[str], None]

_NEXT: Final = "--profile NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A gimbal of a fleet and whose configuration it gets; ``device`` where it is one's own."""

    fleet: LoadedFleet
    profile: GimbalProfile
    target: Target
    device: str | None

    @property
    def words(self) -> str:
        """What it is, for a title."""
        kind = f"with the overlay of kind {self.target.kind} alone"
        whose = kind if self.device is None else f"as {self.device} runs it"
        return f"gimbal {self.profile.name} of fleet {self.fleet.file.fleet}, {whose}"

    def configured(self, source: ConfigSource) -> AimConfig:
        """Return what it would run. Raises InvalidInput (9)."""
        made = effective(source, self.target)
        if isinstance(made, list):
            raise InvalidInput(made, next_command=f"aimctl lint {source.name}")
        return made

    def others(self, source: ConfigSource) -> tuple[str, ...]:
        """Return the devices with this gimbal on which ``source`` has other loops."""
        own = judged_axes(self.configured(source), self.profile)
        found: list[str] = []
        for member in members(source, self.fleet):
            if member.gimbal != self.profile:
                continue
            made = effective(source, member.target)
            if isinstance(made, AimConfig) and judged_axes(made, self.profile) != own:
                found += member.devices
        return tuple(found)


def open_config(path: Path) -> ConfigSource:
    """Read a configuration. Raises InvalidInput (9)."""
    return load_config(read(path))


def find_mount(
    config: Path, profile: str, fleet: str | None, device: str | None, kind: str | None, say: Say
) -> Mount:
    """
    Return the gimbal that is meant, and whose configuration it gets.

    Without a device and a kind it is the first device of the fleet that carries it. Raises
    OperatingError (2) that names what there is.
    """
    if device is not None and kind is not None:
        raise _wrong("--device has a kind already: give --device or --kind", "--device ID")
    named = None if fleet is None else find_fleet(fleet).loaded
    loaded = _only_fleet(config, profile, say) if named is None else named
    gimbal = loaded.file.gimbal.get(profile)
    if gimbal is None:
        known = some(tuple(loaded.file.gimbal)) or "none"
        raise _wrong(f"{loaded.name} has no [gimbal.{profile}]; known are {known}", _NEXT)
    if gimbal.plant is None:
        message = f"{loaded.name} has no [gimbal.{profile}.plant]: nothing is known of its physics"
        raise _wrong(message, f"aimctl lint {loaded.name}")
    target, whose = _target(loaded, gimbal, device, kind, say)
    return Mount(fleet=loaded, profile=gimbal, target=target, device=whose)


def _wrong(message: str, following: str) -> OperatingError:
    return OperatingError(message, exit_code=Exit.USAGE, next_command=following)


def _target(
    loaded: LoadedFleet, gimbal: GimbalProfile, device: str | None, kind: str | None, say: Say
) -> tuple[Target, str | None]:
    if kind is not None:
        if kind not in KINDS:
            raise _wrong(f"there is no kind {kind!r}; known are {', '.join(KINDS)}", "--kind KIND")
        return Target(kind=kind), None
    one = _device(loaded, gimbal, device)
    if one.gimbal != gimbal.name:
        say(f"note      {one.id} carries {one.gimbal or 'no gimbal'}, and not {gimbal.name}")
    return Target(kind=one.kind, groups=one.groups, device=one.id), one.id


def _device(loaded: LoadedFleet, gimbal: GimbalProfile, device: str | None) -> Device:
    devices = loaded.file.device
    for one in devices:
        if device in {None, one.id} and (device is not None or one.gimbal == gimbal.name):
            return one
    name = loaded.file.fleet
    if device is None:
        raise _wrong(f"no device of fleet {name} carries {gimbal.name}", "--kind KIND")
    known = some([one.id for one in devices])
    raise _wrong(f"fleet {name} has no device {device!r}; it has {known}", "--device ID")


# --- which fleet ------------------------------------------------------------------------------


def _only_fleet(config: Path, profile: str, say: Say) -> LoadedFleet:
    """Return the one fleet in the usual places that can be meant; those of ``config`` first."""
    there = list(_fleets(say))
    fitting = [one for one in there if one.file.config in names_of(str(config))] or there
    having = [one for one in fitting if profile in one.file.gimbal]
    if len(having) == 1 or (len(fitting) == 1 and not having):
        return (having or fitting)[0]
    tried = ", ".join(place.format("*") for place in FLEET_PLACES)
    if not there:
        raise _wrong(f"no fleet file was found; tried {tried}", "--fleet FLEET")
    if having:
        names = some([one.name for one in having])
        raise _wrong(f"several fleets have a [gimbal.{profile}]: {names}", "--fleet FLEET")
    known = some([f"{name} of {one.name}" for one in fitting for name in one.file.gimbal])
    raise _wrong(f"no fleet has a [gimbal.{profile}]; known are {known}", _NEXT)


def _fleets(say: Say) -> Iterator[LoadedFleet]:
    """Return every fleet file in the usual places; one that can't be read is named."""
    for place in FLEET_PLACES:
        for path in sorted(Path().glob(place.format("*"))):
            try:
                document = parse(read(path))
                if identify(document.values) == "fleet":
                    yield fleet_of(document)
            except InvalidInput as error:
                first = error.notes[0]
                say(f"note      passed over: {first}")
