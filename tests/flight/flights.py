"""Vehicles of the sample yard, good and bad configurations of theirs, and time for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from drone_sim.flight.body import Body
from drone_sim.flight.gimbals import BLOCK_S
from drone_sim.flight.squadron import Squadron
from drone_sim.flight.vehicle import Vehicle
from orchestrator.protocol.types import DeviceId
from orchestrator.staging.bundle import decode_config, make_bundle
from orchestrator.staging.fleet import Device, FleetFile
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.plant import AXES
from orchestrator.staging.policy import Policy
from orchestrator.staging.samples import samples_directory
from orchestrator.staging.state import FlightPhase

SEED: Final = 7
PATIENCE_S: Final = 1200.0


@cache
def yard() -> tuple[FleetFile, dict[str, AimConfig]]:
    """The sample yard, and the configuration of each of its devices."""
    samples = samples_directory()
    loaded = load_fleet(read(samples / "fleets" / "yard-mixed.toml"))
    bundle = make_bundle(load_config(read(samples / "yard_aim.conf")), loaded)
    configs = {
        device.id: decode_config(bundle.configs[bundle.digests[DeviceId(device.id)]])
        for device in loaded.file.device
    }
    return loaded.file, configs


def device_of(kind: str) -> Device:
    """The yard's first device of a kind."""
    return next(device for device in yard()[0].device if device.kind == kind)


def good(kind: str = "drone") -> AimConfig:
    """The sample configuration of that device."""
    return yard()[1][device_of(kind).id]


def spoilt(**values: float) -> AimConfig:
    """The drone's with these values on every axis."""
    config = good()
    axes = {name: getattr(config, name).model_copy(update=values) for name in AXES}
    return config.model_copy(update=axes)


def policy_of(kind: str, **values: Any) -> Policy:
    """The yard's policy of a kind, with these values."""
    found = yard()[0].policy_of(kind).model_dump()
    return type(yard()[0].policy_of(kind)).model_validate({**found, **values})


def vehicle(
    kind: str = "drone",
    config: AimConfig | None = None,
    *,
    seed: int = SEED,
    policy: Policy | None = None,
    physics: bool = True,
) -> Vehicle:
    """The vehicle of that device, which aims by ``config``, or by the good one."""
    fleet, device = yard()[0], device_of(kind)
    made = Vehicle(
        device=device.id,
        kind=kind,
        profile=fleet.profile_of(device) if physics else None,
        policy=policy or policy_of(kind),
        seed=seed,
    )
    made.configure(config or good(kind))
    made.resume()
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One vehicle, and its time."""

    of: Vehicle
    squadron: Squadron

    def on(self, span_s: float) -> None:
        """Let so much pass."""
        self.squadron.go_to(self.squadron.now_s + span_s)

    def to(self, phase: FlightPhase) -> None:
        """Let time pass until it is in a phase."""
        while self.of.body.phase is not phase:
            assert self.squadron.now_s < PATIENCE_S, f"never {phase}"
            self.on(BLOCK_S)


def flight(of: Vehicle) -> Flight:
    """A vehicle that flies alone."""
    return Flight(of=of, squadron=Squadron([of]))


def phases_of(body: Body, span_s: float) -> list[FlightPhase]:
    """Let time pass for a body alone; return its phases in order, each change once."""
    seen = [body.phase]
    for _ in range(round(span_s / BLOCK_S)):
        body.go(BLOCK_S, None)
        if body.phase is not seen[-1]:
            seen.append(body.phase)
    return seen
