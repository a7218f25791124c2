"""What the bodies do: their phases, what flying and holding take, what wins over a hold."""

from __future__ import annotations

import pytest

from drone_sim.flight.battery import CLIMB_SHARE, CRUISE_SHARE, GROUNDED_W, Battery
from drone_sim.flight.bodies import body_of
from drone_sim.flight.drone import DroneBody
from drone_sim.flight.gimbals import BLOCK_S
from orchestrator.staging.kind import Hold, Resource
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.kinds.drone import DronePolicy
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightPhase
from tests.flight.flights import SEED, good, phases_of, policy_of, vehicle

GROUNDED, CLIMBING, TRANSIT = FlightPhase.GROUNDED, FlightPhase.CLIMBING, FlightPhase.TRANSIT
HOVERING, TRACKING, LANDING = FlightPhase.HOVERING, FlightPhase.TRACKING, FlightPhase.LANDING
FAILSAFE = FlightPhase.FAILSAFE

SHARES = {
    GROUNDED: None,
    CLIMBING: CLIMB_SHARE,
    TRANSIT: CRUISE_SHARE,
    HOVERING: 1.0,
    TRACKING: 1.0,
    LANDING: 1.0,
    FAILSAFE: 1.0,
}


def drone() -> DroneBody:
    """A drone on the ground."""
    return DroneBody(seed=SEED, device="drone-01", policy=policy_of("drone"))


def order_of(kind: str) -> Hold:
    """What a kind is told to do while it is held."""
    return REGISTRY[kind].hold(good(kind).own)


def to(body: DroneBody, phase: FlightPhase) -> None:
    """Let it fly until it is in a phase."""
    while body.phase is not phase:
        body.go(BLOCK_S, None)


def go(body: DroneBody, span_s: float, hold: Hold | None) -> None:
    """Let time pass."""
    for _ in range(round(span_s / BLOCK_S)):
        body.go(BLOCK_S, hold)


# --- phases -------------------------------------------------------------------------------------


def test_a_drone_flies_its_route() -> None:
    """Up, out, past and round again, home, down; and another flight after it."""
    seen = phases_of(drone(), 600.0)
    around = [TRANSIT, TRACKING, HOVERING]
    assert [GROUNDED, CLIMBING, *around] == seen[:5]
    assert [TRANSIT, LANDING, GROUNDED, CLIMBING] == seen[(at := seen.index(LANDING)) - 1 : at + 3]


def test_every_phase_is_reached() -> None:
    """Those of the flight, and the failsafe where the battery is empty."""
    flown = drone()
    seen = set(phases_of(flown, 600.0))
    to(flown, TRACKING)
    flown.battery.left_wh = 0.05 * flown.battery.full_wh
    seen.update(phases_of(flown, 60.0))
    assert set(FlightPhase) == seen


@pytest.mark.parametrize("kind", ["arm", "node"])
def test_what_stands_on_the_ground_rests_and_tracks(kind: str) -> None:
    """A node by turns; an arm moves in between."""
    body = body_of(kind, seed=SEED, device="x", policy=policy_of(kind))
    moves = {TRANSIT} if kind == "arm" else set()
    assert {GROUNDED, TRACKING} | moves == set(phases_of(body, 400.0))


def test_an_arm_sets_loads_down() -> None:
    """It has set one down each time that it watches."""
    body = body_of("arm", seed=SEED, device="x", policy=policy_of("arm"))
    watched = phases_of(body, 400.0).count(TRACKING)
    assert watched == vars(body)["loads"] > 0


def test_a_further_kind_stands_still() -> None:
    """Without a body of its own it is on the ground, whatever time passes; holding costs time."""
    body = body_of("crane", seed=SEED, device="x", policy=Policy())
    assert [GROUNDED] == phases_of(body, 100.0)
    body.go(3.0, order_of("node"))
    assert (3.0, "s") == (body.lost().amount, body.lost().unit)


# --- energy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(FlightPhase))
def test_drain_is_power_times_time(phase: FlightPhase) -> None:
    """In each phase its share of what hovering takes, for 60 s; on the ground the avionics."""
    battery = Battery(full_wh=263.2, hover_power_w=439.0, wind_m_s=0.0)
    share = SHARES[phase]
    power_w = GROUNDED_W if share is None else share * 439.0
    for _ in range(1200):
        battery.drain(phase, BLOCK_S)
    assert pytest.approx(263.2 - power_w * 60.0 / 3600.0) == battery.left_wh


def test_a_full_battery_hovers_as_long_as_the_maker_says() -> None:
    """36 min in still air, and 41 min on the way."""
    found = []
    for phase in (HOVERING, TRANSIT):
        battery, spent_s = Battery(full_wh=263.2, hover_power_w=439.0, wind_m_s=0.0), 0
        while battery.left_wh > 0:
            battery.drain(phase, 1.0)
            spent_s += 1
        found.append(spent_s / 60.0)
    assert [pytest.approx(36.0, abs=0.05), pytest.approx(41.0, abs=0.05)] == found


def test_wind_is_dear() -> None:
    """A tenth more at 5 m/s, and nothing on the ground."""
    still, windy = (
        Battery(full_wh=263.2, hover_power_w=439.0, wind_m_s=wind) for wind in (0.0, 5.0)
    )
    assert pytest.approx(1.1 * still.hover_power_w) == windy.hover_power_w
    assert still.drain(GROUNDED, 60.0) == windy.drain(GROUNDED, 60.0)


@pytest.mark.parametrize("phase", [CLIMBING, TRANSIT, TRACKING])
def test_a_held_drone_takes_hover_power(phase: FlightPhase) -> None:
    """Wherever it was told: 10 s cost power × 10 s, and all of it is counted."""
    body = drone()
    to(body, phase)
    before = body.battery.left_wh
    go(body, 10.0, order_of("drone"))
    expected = body.battery.hover_power_w * 10.0 / 3600.0
    assert HOVERING is body.phase
    assert pytest.approx(expected) == before - body.battery.left_wh
    assert pytest.approx(expected) == body.lost().amount


@pytest.mark.parametrize("phase", [CLIMBING, TRANSIT, TRACKING])
def test_a_held_drone_stays_and_goes_on_after_it(phase: FlightPhase) -> None:
    """It does not move, and then flies the same route as one that was never held."""
    held, free = drone(), drone()
    to(held, phase)
    to(free, phase)
    there = held.place
    go(held, 10.0, order_of("drone"))
    assert there == held.place
    go(held, 100.0, None)
    go(free, 100.0, None)
    assert (free.place, free.phase) == (held.place, held.phase)


def test_a_held_drone_does_not_take_off() -> None:
    """It waits on the ground, at the power of the ground."""
    body = drone()
    go(body, 60.0, order_of("drone"))
    assert GROUNDED is body.phase
    assert pytest.approx(GROUNDED_W / 60.0) == body.lost().amount


@pytest.mark.parametrize(
    ("percent", "phases"),
    [
        pytest.param(50.0, [TRANSIT, HOVERING], id="enough: it hovers"),
        pytest.param(15.0, [TRANSIT, LANDING, GROUNDED], id="reserve: it flies home"),
        pytest.param(9.0, [TRANSIT, FAILSAFE, GROUNDED], id="empty: it lands where it is"),
    ],
)
def test_flying_wins_over_the_hold(percent: float, phases: list[FlightPhase]) -> None:
    """A drone that is held comes home, or down, where its battery asks for it."""
    body = drone()
    to(body, TRANSIT)
    body.battery.left_wh = percent / 100.0 * body.battery.full_wh
    seen = [body.phase]
    for _ in range(round(120.0 / BLOCK_S)):
        body.go(BLOCK_S, order_of("drone"))
        if body.phase is not seen[-1]:
            seen.append(body.phase)
    assert phases == seen


def test_a_landing_is_not_held() -> None:
    """It goes on to the ground."""
    body = drone()
    to(body, LANDING)
    go(body, 60.0, order_of("drone"))
    assert GROUNDED is body.phase


@pytest.mark.parametrize("kind", ["arm", "node"])
def test_holding_costs_what_the_kind_says(kind: str) -> None:
    """For 10 s: an arm the time that its load waits, ramps included; a node the pictures."""
    made = vehicle(kind)
    body, own = made.body, good(kind).own
    while body.phase is not (TRANSIT if kind == "arm" else TRACKING):
        body.go(BLOCK_S, None)
    before = body.lost().amount
    for held in (True, False):
        for _ in range(round(10.0 / BLOCK_S)):
            body.go(BLOCK_S, order_of(kind) if held else None)
    cost = REGISTRY[kind].cost(own, policy_of(kind), 10.0)
    lost = body.lost()
    assert (cost.taken_from, cost.unit) == (lost.taken_from, lost.unit)
    assert pytest.approx(cost.amount) == lost.amount - before


def test_holding_costs_a_drone_what_its_kind_says() -> None:
    """The share of the battery that the vote reckons with is what the hold then takes."""
    made = vehicle("drone")
    body = made.body
    while body.phase is not TRANSIT:
        body.go(BLOCK_S, None)
    for _ in range(round(120.0 / BLOCK_S)):
        body.go(BLOCK_S, order_of("drone"))
    policy = policy_of("drone")
    assert isinstance(policy, DronePolicy)
    cost = REGISTRY["drone"].cost(good().own, policy, 120.0, made.state())
    lost = body.lost()
    assert (Resource.BATTERY, "Wh") == (lost.taken_from, lost.unit)
    assert pytest.approx(cost.amount) == 100.0 * lost.amount / policy.battery_wh


def test_a_held_arm_comes_to_rest_within_its_ramp() -> None:
    """Half a second in the sample configuration: it moves for so long, and then stands."""
    body = vehicle("arm").body
    while body.phase is not TRANSIT:
        body.go(BLOCK_S, None)
    phases = []
    for _ in range(12):
        body.go(BLOCK_S, order_of("arm"))
        phases.append(body.phase)
    assert [*[TRANSIT] * 9, GROUNDED, GROUNDED, GROUNDED] == phases


def test_all_kinds_of_the_registry_have_been_thought_of() -> None:
    """A kind that is added stands still until somebody gives it a body; then this changes."""
    bodies = {
        kind: type(body_of(kind, seed=1, device="x", policy=REGISTRY[kind].policy())).__name__
        for kind in KINDS
    }
    assert {"drone": "DroneBody", "arm": "ArmBody", "node": "NodeBody"} == bodies
