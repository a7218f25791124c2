"""How vehicles aim: well with a good configuration, worse with a bad one; and they say so."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pytest

from drone_sim.flight.battery import GROUNDED_W
from drone_sim.flight.gimbals import BLOCK_S, Bench
from drone_sim.flight.health import ERROR_RMS_MAX_DEG, Health
from drone_sim.flight.pointer import Pace, Pointer
from drone_sim.flight.squadron import Squadron
from drone_sim.flight.vehicle import Vehicle
from orchestrator.aim.rig import INPUTS, Rig
from orchestrator.aim.sampled import Lane
from orchestrator.staging.checks import check_against_gimbal
from orchestrator.staging.models import AimConfig
from orchestrator.staging.physics import judged_axes
from orchestrator.staging.plant import AXES
from orchestrator.staging.state import FlightPhase
from tests.flight.flights import device_of, flight, good, policy_of, spoilt, vehicle, yard

KINDS = ("drone", "arm", "node")


def verdict(config: AimConfig, kind: str = "drone") -> list[str]:
    """What the judge says to a configuration on the device that flies with it."""
    profile = yard()[0].profile_of(device_of(kind))
    assert profile is not None
    return check_against_gimbal(config, profile)


def tracking(config: AimConfig) -> Health:
    """How a drone is that has tracked by a configuration for 20 s."""
    flown = flight(vehicle(config=config))
    flown.to(FlightPhase.TRACKING)
    flown.on(20.0)
    return flown.of.health()


# --- good and bad -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_configuration_is_healthy_in_every_phase(kind: str) -> None:
    """Through a whole flight of 5 min, looked at every 5 s once it has aimed for a second."""
    flown = flight(vehicle(kind))
    assert [] == verdict(good(kind), kind)
    found = []
    for _ in range(60):
        flown.on(5.0)
        found.append(flown.of.health())
    assert [] == [health.why for health in found if not health.healthy]
    assert max(health.tracking_error_rms_deg or 0.0 for health in found) < ERROR_RMS_MAX_DEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A bad configuration: what the health report names, and how much worse it aims at least."""

    values: dict[str, float]
    why: str
    times: float


BAD = {
    "sluggish": Bad(
        values={"rate_p": 0.01, "rate_i": 0.02, "angle_p": 1.0}, why="error", times=4.0
    ),
    "no integral": Bad(values={"rate_i": 0.0}, why="error", times=2.0),
    "integrator clamped": Bad(values={"integrator_max_nm": 5e-4}, why="error", times=2.0),
    "gyro filter far too low": Bad(
        values={"gyro_lpf_hz": 8.0}, why="motor at its limit", times=30.0
    ),
    "rings with the structure": Bad(values={"rate_p": 0.5}, why="motor at its limit", times=0.0),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_aims_worse_and_says_so(name: str) -> None:
    """
    What the judge refuses is unhealthy in the air, with the numbers; its error is a multiple of
    the good one's, but where the motor shakes a camera that hardly moves.
    """
    bad = BAD[name]
    assert [] != verdict(spoilt(**bad.values))
    best, found = tracking(good()), tracking(spoilt(**bad.values))
    assert (False, True) == (found.healthy, bad.why in found.why)
    assert best.tracking_error_rms_deg is not None
    assert found.tracking_error_rms_deg is not None
    assert found.tracking_error_rms_deg > bad.times * best.tracking_error_rms_deg


def test_health_gives_the_numbers() -> None:
    """Error and limit of each axis that aims badly, in degrees."""
    expected = "yaw error 0.553° rms > 0.35° rms; pitch error 0.419° rms > 0.35° rms"
    assert expected == tracking(spoilt(rate_i=0.0)).why


def test_a_rate_that_is_too_slow_never_catches_its_target() -> None:
    """1°/s for what passes at ten times as much: not locked, which health says after 5 s."""
    slow = spoilt(rate_max_deg_s=1.0, accel_max_deg_s2=10.0)
    flown = flight(vehicle(config=slow))
    flown.to(FlightPhase.TRACKING)
    flown.on(4.5)
    assert flown.of.health().healthy
    flown.on(5.0)
    assert "yaw has not caught its target for 9.45 s" in flown.of.health().why


def test_a_loop_that_is_nonsense_does_not_run() -> None:
    """Its axis is off and sways with its base; the others go on, and health says why."""
    config = good()
    yaw = config.yaw.model_copy(update={"gyro_lpf_hz": 600.0})
    flown = flight(vehicle(config=config.model_copy(update={"yaw": yaw})))
    flown.to(FlightPhase.TRACKING)
    flown.on(20.0)
    health = flown.of.health()
    assert "yaw does not run: gyro_lpf_hz 600 Hz ≥ 500 Hz, half the sample rate" == health.why
    assert health.tracking_error_rms_deg is not None
    assert pytest.approx(0.0) == flown.of.state().gimbal_angles_deg["yaw"]


def test_a_better_configuration_heals_in_flight() -> None:
    """After a bad one the good one is as good as ever, once it was measured anew."""
    flown = flight(vehicle(config=spoilt(gyro_lpf_hz=8.0)))
    flown.to(FlightPhase.TRACKING)
    flown.on(5.0)
    flown.of.configure(good())
    flown.on(0.5)
    assert "yaw has aimed for 0.5 s < 1 s" in flown.of.health().why
    flown.on(7.0)
    assert flown.of.health().healthy


def test_without_a_configuration_nothing_is_healthy() -> None:
    """A vehicle that was never configured says so, waits on the ground, and aims at nothing."""
    policy = policy_of("drone")
    fresh = flight(Vehicle(device="x", kind="drone", profile=None, policy=policy, seed=1))
    fresh.on(120.0)
    health = fresh.of.health()
    assert (False, "it has no configuration", FlightPhase.GROUNDED) == (
        health.healthy,
        health.why,
        health.phase,
    )


def test_waiting_for_the_first_configuration_is_no_hold() -> None:
    """What holding costs is counted from then on."""
    fresh = flight(
        Vehicle(device="x", kind="drone", profile=None, policy=policy_of("drone"), seed=1)
    )
    fresh.on(60.0)
    assert 0.0 == fresh.of.lost().amount
    fresh.of.configure(good())
    fresh.on(36.0)
    assert pytest.approx(36.0) == fresh.of.held_s
    assert pytest.approx(36.0 * GROUNDED_W / 3600.0) == fresh.of.lost().amount


def test_without_physics_the_aim_is_where_it_is_told() -> None:
    """A gimbal that is not described is exact; there is no error to measure."""
    flown = flight(vehicle(physics=False))
    flown.to(FlightPhase.TRACKING)
    flown.on(20.0)
    health = flown.of.health()
    assert (True, None) == (health.healthy, health.tracking_error_rms_deg)


# --- holding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_holding_freezes_the_aim(kind: str) -> None:
    """While it tracks: the camera stops within a second and stays, in space, to half a degree."""
    flown = flight(vehicle(kind))
    flown.to(FlightPhase.TRACKING)
    flown.on(10.0)
    flown.of.hold()
    flown.on(1.0)
    driven = [name for name in AXES if getattr(good(kind), name).enabled]
    seen = []
    for _ in range(100):
        flown.on(BLOCK_S)
        seen.append([flown.of.aim_deg(name) for name in driven])
    assert np.ptp(seen, axis=0).max() < 1.0
    assert pytest.approx(6.0) == flown.of.held_s


def test_a_resumed_vehicle_tracks_again() -> None:
    """It catches what went on meanwhile, and is healthy."""
    flown = flight(vehicle())
    flown.to(FlightPhase.TRACKING)
    flown.on(5.0)
    flown.of.hold()
    flown.on(10.0)
    flown.of.resume()
    flown.on(10.0)
    assert (FlightPhase.TRACKING, True) == (flown.of.body.phase, flown.of.health().healthy)


# --- the same numbers ---------------------------------------------------------------------------


def report(seed: int, beside: int = 0) -> dict[str, object]:
    """How a drone is after 70 s, flown beside others."""
    mine = vehicle(seed=seed)
    others = [vehicle(kind) for kind in KINDS[:beside]]
    for place, other in enumerate(others):
        other.id = f"other-{place}"
    Squadron([*others, mine]).go_to(70.0)
    return {**asdict(mine.health()), "state": asdict(mine.state()), "lost": mine.lost()}


def test_same_seed_same_numbers() -> None:
    """To the last bit."""
    assert report(3) == report(3)


def test_another_seed_other_numbers() -> None:
    """Wind, route and sway are others."""
    assert report(3) != report(4)


def test_others_do_not_matter() -> None:
    """A vehicle flies beside others of other sizes as it does alone."""
    assert report(3) == report(3, beside=3)


def test_steps_do_not_matter() -> None:
    """Time in one go or in crumbs is the same time."""
    whole, crumbs = flight(vehicle()), flight(vehicle())
    whole.squadron.go_to(30.0)
    for now in range(3000):
        crumbs.squadron.go_to((now + 1) * 0.01)
    assert whole.of.state() == crumbs.of.state()
    assert whole.of.health() == crumbs.of.health()


# --- parts --------------------------------------------------------------------------------------


def test_a_bench_that_takes_a_state_goes_on_as_the_old_one() -> None:
    """A lane that moves to another bench, among others, does what it would have done."""
    profile = yard()[0].profile_of(device_of("drone"))
    assert profile is not None
    lanes = [Lane(loop=loop, plant=plant) for loop, plant in judged_axes(good(), profile).values()]
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.0, 0.01, (2, 200, len(lanes), INPUTS))
    rig = Rig(lanes)
    rig.run(first)
    expected = rig.run(second).angle[:, 1]
    old = Bench(lanes)
    old.run(first)
    new = Bench([lanes[1], lanes[0]])
    new.take(0, old.state_of(1))
    found = new.run(second[:, [1, 0]]).angle[:, 0]
    assert expected.tolist() == found.tolist()


@pytest.mark.parametrize("goal_deg", [0.3, 5.0, -40.0, 120.0])
def test_a_reference_keeps_its_limits_and_arrives(goal_deg: float) -> None:
    """Rate and acceleration stay below theirs; it stands at the goal in the end, not beyond."""
    pointer, pace = Pointer(), Pace(rate_deg_s=60.0, accel_deg_s2=200.0)
    rates, accels, angles = [], [], []
    for _ in range(120):
        accels.append(abs(pointer.toward(goal_deg, 0.0, pace, BLOCK_S)))
        rates.append(abs(pointer.rate_deg_s))
        angles.append(pointer.angle_deg / goal_deg)
    assert max(rates) <= 60.0 + 1e-9
    assert max(accels) <= 200.0 + 1e-9
    assert max(angles) < 1.02
    assert pytest.approx(1.0, abs=1e-3) == angles[-1]
