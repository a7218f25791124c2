"""
A push whose decision is withheld: what the protocol lets every device do, and what that costs it.

The whole services and agents play the push in virtual time (:mod:`drone_sim.shells`): everybody
votes yes, COMMIT is decided and durable, and the orchestrator is cut off before a word of it gets
out. What the controllers then truly do, hold and go on, is done to vehicles that fly meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drone_sim.flight.body import Lost
from drone_sim.flight.gimbals import BLOCK_S
from drone_sim.flight.squadron import Squadron
from drone_sim.flight.vehicle import Vehicle
from drone_sim.scenario.model import Act, Pace, Scenario, SimulatedDevice, Verb
from drone_sim.shells.engine import play
from drone_sim.shells.fleetware import Fleetware, decode_config_once, sample_fleetware
from drone_sim.trace import Event, Kind, Trace
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import DeviceId
from orchestrator.staging.bundle import Bundle
from orchestrator.staging.state import FlightPhase

DEVICES: Final = (
    SimulatedDevice(id="drone-01", kind="drone", offset_s=0.8, drift_ppm=20.0),
    SimulatedDevice(id="drone-02", kind="drone", offset_s=-1.7, drift_ppm=-35.0),
    SimulatedDevice(id="arm-01", kind="arm", offset_s=0.3, drift_ppm=50.0),
    SimulatedDevice(id="node-01", kind="node", offset_s=-0.1, drift_ppm=-10.0),
)
"""What a person might set up: clocks are a second or two wrong, and drift."""

SLOW: Final = "node-01"
"""Its vote comes last, when the orchestrator can't be heard any more."""

VOTES_S: Final = 2.0
CUT_AT_S: Final = 1.7
WINDOW_S: Final = 3.0
BEFORE_S: Final = 4.0
AFTER_S: Final = 8.0
"""What is shown before everybody holds, and after the decision is told."""

QUIET_S: Final = 20.0
"""How long the story goes on after the decision is told."""

ALOFT_S: Final = 40.0
"""How long the vehicles have flown when the story begins: the drones are on their way by then."""

SEED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A vehicle at one instant of the story. Battery and power are those of drones alone."""

    at_s: float
    phase: FlightPhase
    held: bool
    battery_wh: float | None
    power_w: float | None
    lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """
    What one device did: it held from ``held_from_s`` to ``held_until_s`` (exact; story time).

    ``lost`` is what the hold has cost it in all. ``samples`` are one per block.
    """

    device: str
    kind: str
    held_from_s: float
    held_until_s: float
    lost: Lost
    hover_power_w: float | None
    samples: tuple[Sample, ...]

    @property
    def held_s(self) -> float:
        """For how long it held."""
        return self.held_until_s - self.held_from_s

    @property
    def held_power_w(self) -> float | None:
        """The mean of what it took while it held, as its battery has it; ``None`` without one."""
        found = [sample for sample in self.samples if sample.held]
        first, last = found[0], found[-1]
        if first.battery_wh is None or last.battery_wh is None:
            return None
        return (first.battery_wh - last.battery_wh) * 3600.0 / (last.at_s - first.at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The push. Instants are of the story, in s; ``told_at_s`` is when the decision gets out."""

    hold_at_s: float
    activate_at_s: float
    decided_at_s: float
    told_at_s: float
    clock_error_s: float
    tracks: tuple[Track, ...]

    def wrong(self) -> list[str]:
        """Return what did not go as the protocol promises."""
        found: list[str] = []
        for track in self.tracks:
            late_s = track.held_from_s - self.hold_at_s
            if abs(late_s) > self.clock_error_s:
                found.append(f"{track.device} holds {late_s * 1e3:+.3g} ms from hold_at")
            if track.held_until_s < self.told_at_s:
                found.append(f"{track.device} goes on before it knows")
        return found


def withheld(withhold_s: float) -> Withheld:
    """
    Play a push whose decision gets out ``withhold_s`` after everybody must hold.

    Same argument, same result. Raises OperatingError where an invariant breaks.
    """
    planned = _played(_scenario(0.0, 0.0))
    hold_at_s = _number(_record(planned, "begun"), "hold_at_s")
    events = _played(_scenario(hold_at_s + withhold_s, withhold_s))
    begun, decided = _record(events, "begun"), _record(events, "decided")
    hold_at_s, told_at_s = _number(begun, "hold_at_s"), hold_at_s + withhold_s
    ware = sample_fleetware(tuple((device.id, device.kind) for device in DEVICES))
    return Withheld(
        hold_at_s=hold_at_s,
        activate_at_s=_number(begun, "activate_at_s"),
        decided_at_s=decided.at_s,
        told_at_s=told_at_s,
        clock_error_s=_scenario(0.0, 0.0).pace.clock_error_s,
        tracks=_fly(ware, events, hold_at_s - BEFORE_S, told_at_s + AFTER_S),
    )


# --- the push -----------------------------------------------------------------------------------


def _scenario(until_s: float, withhold_s: float) -> Scenario:
    """Return the story: the orchestrator is not heard until ``until_s``; 0: it always is."""
    acts = [
        Act(at_s=0.0, verb=Verb.CLOG, target=(SLOW,), for_s=VOTES_S, word="up"),
        Act(at_s=0.0, verb=Verb.PUSH, who="mira"),
    ]
    if until_s > 0:
        for_s = until_s - CUT_AT_S
        acts.append(Act(at_s=CUT_AT_S, verb=Verb.CUT, target=("mira",), for_s=for_s, word="up"))
    return Scenario(
        name="withheld",
        seed=SEED,
        devices=DEVICES,
        pace=Pace(window_s=WINDOW_S, settle_s=withhold_s + QUIET_S),
        acts=tuple(acts),
        safety_s=until_s + QUIET_S,
    )


def _played(scenario: Scenario) -> Sequence[Event]:
    trace = Trace()
    result = play(scenario, trace=trace)
    if result.violations:
        raise OperatingError(
            f"the push broke an invariant: {result.violations[0]}", exit_code=Exit.UNEXPECTED
        )
    return trace.events


def _record(events: Sequence[Event], kind: str) -> Event:
    """Return the story's first record of a kind."""
    return next(
        event
        for event in events
        if event.kind is Kind.JOURNAL and event.detail["record"] == kind and event.at_s > 0
    )


def _number(event: Event, name: str) -> float:
    value = event.detail[name]
    if not isinstance(value, float | int):
        raise TypeError(f"{name} is {value!r}")
    return float(value)


# --- the flight ---------------------------------------------------------------------------------


def _fly(
    ware: Fleetware, events: Sequence[Event], from_s: float, until_s: float
) -> tuple[Track, ...]:
    """Let the vehicles do what the controllers did."""
    vehicles = {name: _aloft(ware, name) for name in ware.members}
    squadron = Squadron(vehicles.values())
    samples: dict[DeviceId, list[Sample]] = {name: [] for name in vehicles}
    due = list(_operating(events))
    for block in range(round((until_s + ALOFT_S) / BLOCK_S)):
        at_s = block * BLOCK_S - ALOFT_S
        while due and due[0][0] <= at_s:
            _, name, version = due.pop(0)
            _obey(vehicles[name], ware, version)
        if at_s >= from_s:
            for name, vehicle in vehicles.items():
                samples[name].append(_sample(vehicle, at_s))
        squadron.go_to((block + 1) * BLOCK_S)
    return tuple(_track(vehicles[name], samples[name], events) for name in vehicles)


def _operating(events: Sequence[Event]) -> Iterator[tuple[float, DeviceId, int | None]]:
    """Yield what each controller truly aims with, as it changes in the story."""
    now: dict[str, object] = {}
    for event in events:
        if event.kind is not Kind.STATE:
            continue
        version = event.detail["operating"]
        if event.at_s > 0 and now.get(event.who) != version:
            yield event.at_s, DeviceId(event.who), version if isinstance(version, int) else None
        now[event.who] = version


def _aloft(ware: Fleetware, name: DeviceId) -> Vehicle:
    """Return the vehicle of a device, which operates version 1."""
    device = ware.device(name)
    vehicle = Vehicle(
        device=name,
        kind=device.kind,
        profile=ware.gimbal_of(name),
        policy=ware.fleet.policy_of(device.kind),
        seed=SEED,
    )
    _obey(vehicle, ware, 1)
    return vehicle


def _obey(vehicle: Vehicle, ware: Fleetware, version: int | None) -> None:
    """Hold, or aim with a version: that of the push is the second."""
    if version is None:
        vehicle.hold()
        return
    bundle: Bundle = ware.bundle(version - 1)
    data = bundle.configs[bundle.digests[DeviceId(vehicle.id)]]
    vehicle.configure(decode_config_once(data))
    vehicle.resume()


def _sample(vehicle: Vehicle, at_s: float) -> Sample:
    battery = vehicle.body.battery
    return Sample(
        at_s=at_s,
        phase=vehicle.body.phase,
        held=vehicle.held,
        battery_wh=None if battery is None else battery.left_wh,
        power_w=None if battery is None else battery.power_w,
        lost=vehicle.lost().amount,
    )


def _track(vehicle: Vehicle, samples: list[Sample], events: Sequence[Event]) -> Track:
    """Return the track of a device; what it had lost before is not counted."""
    mine = [(at, version) for at, name, version in _operating(events) if name == vehicle.id]
    begins = next(place for place, (_, version) in enumerate(mine) if version is None)
    battery, lost = vehicle.body.battery, vehicle.lost()
    return Track(
        device=vehicle.id,
        kind=vehicle.kind,
        held_from_s=mine[begins][0],
        held_until_s=mine[begins + 1][0],
        lost=replace(lost, amount=samples[-1].lost - samples[0].lost),
        hover_power_w=None if battery is None else battery.hover_power_w,
        samples=tuple(samples),
    )
