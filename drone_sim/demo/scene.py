"""What every story is made of: its running world, the steps, the promises, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from drone_sim.demo.processes import Children, Done, Started, command
from drone_sim.demo.teller import Row, Teller
from drone_sim.demo.workspace import Workspace
from orchestrator.ports import Clock
from orchestrator.protocol.types import DeviceId, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A promise, and whether this run kept it."""

    claim: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnd:
    """What a device runs at the end: ``digest`` is that of its active file, read from the disk."""

    version: int | None
    digest: Digest | None
    state: str
    hold_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a story ended. ``hold_ms`` is the longest; times of a naive run are unknown."""

    story: str
    devices: Mapping[DeviceId, DeviceEnd]
    activation_skew_ms: float | None
    total_ms: float
    checks: tuple[Check, ...]
    commands: tuple[Done, ...]

    @property
    def kept(self) -> bool:
        """Whether everything was as told."""
        return all(check.kept for check in self.checks)

    @property
    def versions(self) -> tuple[int | None, ...]:
        """The distinct versions that devices run."""
        found = {device.version for device in self.devices.values()}
        return tuple(sorted(found, key=lambda version: -1 if version is None else version))

    @property
    def hold_ms(self) -> float | None:
        """The longest time that a device held, in ms."""
        held = [end.hold_ms for end in self.devices.values() if end.hold_ms is not None]
        return max(held, default=None)

    def document(self) -> dict[str, Any]:
        """Return one element of ``runs``."""
        return {
            "story": self.story,
            "versions": list(self.versions),
            "uniform": len(self.versions) == 1,
            "devices": self.devices_document(),
            "hold_ms_by_device": {name: end.hold_ms for name, end in self.devices.items()},
            "activation_skew_ms": self.activation_skew_ms,
            "hold_ms": self.hold_ms,
            "total_ms": self.total_ms,
            "checks": [{"claim": check.claim, "kept": check.kept} for check in self.checks],
            "commands": [done.document() for done in self.commands],
        }

    def devices_document(self) -> dict[str, dict[str, Any]]:
        """Return the devices as INTERFACE has them."""
        return {
            name: {"version": end.version, "digest": end.digest, "state": end.state}
            for name, end in self.devices.items()
        }


@dataclass(slots=True, kw_only=True)
class Scene:
    """The running world of one story."""

    name: str
    workspace: Workspace
    broker: str
    children: Children
    teller: Teller
    clock: Clock
    began: float
    fleet: Started | None = None
    checks: list[Check] = field(default_factory=list)

    async def run(self, line: str, **environment: str) -> Done:
        """Show a command, run it to its end, and return what came of it."""
        wanted = command(line, **environment)
        self.teller.command(str(wanted))
        if self.fleet is not None:
            self.fleet.require_running()
        return await self.children.run(wanted)

    async def start(self, line: str) -> Started:
        """Show a command and start it beside the story."""
        wanted = command(line)
        self.teller.command(f"{wanted} &")
        self.fleet = await self.children.start(wanted)
        return self.fleet

    def check(self, claim: str, *, kept: bool) -> None:
        """Note a promise; the end of the story shows all of them."""
        self.checks.append(Check(claim=claim, kept=kept))

    def ended(self, devices: Mapping[DeviceId, DeviceEnd], skew_ms: float | None = None) -> Run:
        """Show what each device runs and what was promised; return how the story ended."""
        rows = [
            Row(
                device=name,
                version="-" if end.version is None else f"version {end.version}",
                state=end.state,
                digest=end.digest or "none",
                held_ms=end.hold_ms,
            )
            for name, end in devices.items()
        ]
        self.teller.table(rows)
        self.teller.line()
        for check in self.checks:
            self.teller.check(check.claim, kept=check.kept)
        return Run(
            story=self.name,
            devices=devices,
            activation_skew_ms=skew_ms,
            total_ms=round((self.clock.monotonic() - self.began) * 1e3, 1),
            checks=tuple(self.checks),
            commands=tuple(self.children.done),
        )


@asynccontextmanager
async def open_scene(
    name: str, workspace: Workspace, broker: str, teller: Teller, clock: Clock
) -> AsyncIterator[Scene]:
    """Make a world whose processes all end with this context."""
    began = clock.monotonic()
    async with Children(workspace, broker, clock) as children:
        teller.fact("folder", f"{workspace.directory}, removed at the end")
        teller.line()
        yield Scene(
            name=name,
            workspace=workspace,
            broker=broker,
            children=children,
            teller=teller,
            clock=clock,
            began=began,
        )
