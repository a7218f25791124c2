"""From what is typed to what is meant: fleets by file or name, configurations, plan files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import ID_PATTERN, DeviceId, FleetId, Plan, Version

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.orchestration import Timing
    from orchestrator.service.push import PushOrder
    from orchestrator.service.world import World
    from orchestrator.staging.bundle import Bundle
    from orchestrator.staging.fleet import Timing as FileTiming
    from orchestrator.staging.load import LoadedFleet
    from orchestrator.staging.overlay import ConfigSource
    from orchestrator.staging.planfile import PlanFile

FLEET_PLACES: Final = ("configs/fleets/{}.toml", "fleets/{}.toml", "{}.toml")
"""Where the file of a fleet that is given by its name is looked for."""

_NAME: Final = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFleet:
    """A fleet that a command is about; ``loaded`` is its file, where there is one."""

    id: FleetId
    loaded: LoadedFleet | None

    @property
    def members(self) -> tuple[DeviceId, ...]:
        """The devices of its file."""
        if self.loaded is None:
            return ()
        return tuple(DeviceId(device.id) for device in self.loaded.file.device)

    @property
    def kinds(self) -> dict[DeviceId, str]:
        """What each device of its file is."""
        if self.loaded is None:
            return {}
        return {DeviceId(device.id): device.kind for device in self.loaded.file.device}

    @property
    def config(self) -> str:
        """The name of its configuration, as far as its file says it."""
        return "" if self.loaded is None else self.loaded.file.config

    @property
    def lease_s(self) -> float | None:
        """How long an enable lease of its file is, in s; ``None`` without."""
        return None if self.loaded is None else self.loaded.file.timing.lease_s

    @property
    def timing(self) -> Timing:
        """The timing of its file, or the defaults."""
        from orchestrator.protocol.orchestration import Timing

        return Timing() if self.loaded is None else timing_of(self.loaded.file.timing)


def fleet_path(text: str, directory: Path) -> Path | None:
    """Return the file that ``text`` names, by its path or by the fleet's name."""
    given = Path(text)
    if given.is_file() or not _NAME.fullmatch(text):
        return given
    tried = [directory / place.format(text) for place in FLEET_PLACES]
    return next((path for path in tried if path.is_file()), None)


def find_fleet(text: str) -> KnownFleet:
    """Load the file of a fleet. Raises OperatingError that lists what was tried."""
    from orchestrator.staging.load import load_fleet, read

    path = fleet_path(text, Path())
    if path is None:
        tried = ", ".join([text, *(place.format(text) for place in FLEET_PLACES)])
        raise OperatingError(
            f"there is no file of fleet {text!r}; tried {tried}",
            exit_code=Exit.INVALID,
            next_command="aimctl lint configs",
        )
    loaded = load_fleet(read(path))
    return KnownFleet(id=FleetId(loaded.file.fleet), loaded=loaded)


async def known_fleet(world: World, text: str) -> KnownFleet:
    """
    Return a fleet by file, by name, or by what the store has of it.

    Raises OperatingError (wrong use) where nobody knows it.
    """
    if fleet_path(text, Path()) is not None:
        return find_fleet(text)
    stored = await stored_fleets(world)
    if text in stored:
        return KnownFleet(id=FleetId(text), loaded=None)
    tried = ", ".join(place.format(text) for place in FLEET_PLACES)
    known = f"the store has {', '.join(stored)}" if stored else "the store has none"
    raise OperatingError(
        f"there is no fleet {text!r}: {known}; no file {tried}",
        exit_code=Exit.USAGE,
        next_command="aimctl lock list",
    )


async def stored_fleets(world: World) -> tuple[FleetId, ...]:
    """Return every fleet of the store. Raises OperatingError where it can't be read."""
    from orchestrator.service.locks import fleets

    return await fleets(world)


async def chosen_fleets(world: World, fleet: str | None) -> tuple[KnownFleet, ...]:
    """Return the fleet that was named, or all of the store."""
    if fleet is not None:
        return (await known_fleet(world, fleet),)
    return tuple(KnownFleet(id=name, loaded=None) for name in await stored_fleets(world))


def timing_of(file: FileTiming, window_s: float | None = None) -> Timing:
    """Return the protocol's timing; ``window_s`` goes before the file's."""
    from orchestrator.protocol.orchestration import Timing

    return Timing(
        window_s=file.window_s if window_s is None else window_s,
        clock_error_s=file.clock_error_ms / 1e3,
        settle_s=file.settle_s,
    )


# --- what to push -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A plan with all that a push of it needs; ``timing`` is that of the fleet's file."""

    plan: Plan
    bundle: Bundle
    timing: FileTiming

    def order(self, window_s: float | None, timeout_s: float | None) -> PushOrder:
        """Return the order to push it."""
        from orchestrator.service.push import PushOrder
        from orchestrator.staging.canonical import digest_of
        from orchestrator.staging.plan import encode_plan

        data = encode_plan(self.plan)
        return PushOrder(
            plan=self.plan,
            plan_digest=digest_of(data),
            blobs=(data, self.bundle.manifest, *self.bundle.configs.values()),
            timing=timing_of(self.timing, window_s),
            timeout_s=timeout_s,
        )


Stage = Callable[[Version], Staged]
"""Makes the plan for the version that the fleet is at."""


def open_source(path: Path, fleet: KnownFleet) -> Stage:
    """
    Read a configuration or a plan file, told apart by what is in it.

    Raises InvalidInput (9) for what is neither, OperatingError for a plan that is not this
    fleet's (2) or was made for other devices (8).
    """
    from orchestrator.staging.documents import parse
    from orchestrator.staging.load import identify, load_config, read
    from orchestrator.staging.notes import refuse
    from orchestrator.staging.planfile import PLAN_FILE_BYTES_MAX, plan_file_of

    text = read(path, PLAN_FILE_BYTES_MAX)
    document = parse(text)
    kind = identify(document.values)
    if kind == "plan":
        file = plan_file_of(document)
        check_plan_fits(file, fleet)
        return lambda _version: Staged(plan=file.plan, bundle=file.bundle, timing=file.timing)
    if kind == "fleet":
        raise refuse(str(path), "is a fleet, not a configuration", fix=f"use --fleet {path}")
    config = load_config(text)
    return lambda version: stage(config, fleet, version)


def stage(config: ConfigSource, fleet: KnownFleet, version: Version) -> Staged:
    """Bundle a configuration for a fleet, and freeze the plan from ``version``."""
    from orchestrator.staging.bundle import make_bundle
    from orchestrator.staging.plan import make_plan

    if fleet.loaded is None:
        raise OperatingError("a push needs the fleet's file", exit_code=Exit.USAGE)
    bundle = make_bundle(config, fleet.loaded)
    plan = make_plan(fleet.loaded.file, bundle, version)
    return Staged(plan=plan, bundle=bundle, timing=fleet.loaded.file.timing)


def check_plan_fits(file: PlanFile, fleet: KnownFleet) -> None:
    """Refuse a plan of another fleet, or one that was made for other members."""
    if file.plan.fleet != fleet.id:
        raise OperatingError(
            f"the plan is for fleet {file.plan.fleet}, not for {fleet.id}",
            exit_code=Exit.USAGE,
            next_command=f"--fleet {file.plan.fleet}",
        )
    if set(file.bundle.digests) != set(fleet.members):
        changed = sorted({*file.bundle.digests} ^ {*fleet.members})
        raise OperatingError(
            f"the plan is stale: the members of {fleet.id} have changed since"
            f" ({', '.join(changed[:3])}{' …' if len(changed) > 3 else ''})",  # noqa: PLR2004
            exit_code=Exit.PLAN_STALE,
            next_command="aimctl plan CONFIG --fleet FLEET",
        )
