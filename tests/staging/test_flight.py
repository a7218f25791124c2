"""What the flight state says against a vote, and against the beginning of a new version."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from orchestrator.staging.flight import (
    PHASES,
    FlightPhase,
    FlightState,
    flight_refusals,
    unsafe_to_activate,
)
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.models import AimConfig
from orchestrator.staging.policy import Policy

MINUS = "\N{MINUS SIGN}"
STILL = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0}
ZONE = {
    "yaw_min_deg": 90, "yaw_max_deg": 120, "pitch_min_deg": -10, "pitch_max_deg": 5,
    "reason": "mast",
}  # fmt: skip

HOVERING = FlightState(
    phase=FlightPhase.HOVERING,
    armed=True,
    battery_pct=80,
    link_quality_pct=90,
    clock_error_ms=5,
    gimbal_angles_deg=STILL,
    gimbal_rates_deg_s=STILL,
)
"""A drone that stands in the air and looks ahead: nothing speaks against a change."""

PARKED = replace(HOVERING, phase=FlightPhase.GROUNDED, armed=False)


def policy(kind: str = "drone", **values: Any) -> Policy:
    """The default policy of a kind, with these values."""
    made: Policy = REGISTRY[kind].policy.model_validate(values)
    return made


def config(kind: str = "drone", **values: Any) -> AimConfig:
    """A plain configuration with a sector to keep out of."""
    base = {"schema": 2, "yaw": {}, "pitch": {}, "roll": {}, "keep_out": [ZONE], kind: {}}
    return AimConfig.model_validate({**base, **values})


def refusals(state: FlightState = HOVERING, kind: str = "drone", **values: Any) -> tuple[str, ...]:
    """Return what a device of a kind with such a policy says to a change in this state."""
    return flight_refusals(policy(kind, **values), kind, state)


def unsafe(state: FlightState, made: AimConfig | None = None, **values: Any) -> str | None:
    """Why a drone with such a policy may not begin in this state."""
    return unsafe_to_activate(policy(**values), state, made or config())


# --------------------------------------------------------------------------------------- phases


def test_every_phase_that_an_autopilot_tells_is_folded() -> None:
    """The finer phases stand for the one that makes the same difference here."""
    assert {
        "parked": "grounded", "armed": "grounded", "landed": "grounded", "grounded": "grounded",
        "takeoff": "climbing", "climb": "climbing", "climbing": "climbing",
        "return": "transit", "transit": "transit",
        "hover": "hovering", "hover-inspect": "hovering", "hovering": "hovering",
        "orbit": "tracking", "tracking": "tracking",
        "landing": "landing", "failsafe": "failsafe",
    } == {name: phase.value for name, phase in PHASES.items()}  # fmt: skip


# ---------------------------------------------------------------------------------------- votes


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, FlightPhase)])
def test_a_vote_is_yes_in_every_phase_but_a_failsafe(kind: str, phase: FlightPhase) -> None:
    """Staging is harmless: without a stricter policy only a failsafe refuses it."""
    expected = ("phase is failsafe: nothing is changed in it",)
    found = refusals(replace(HOVERING, phase=phase), kind)
    assert (expected if phase is FlightPhase.FAILSAFE else ()) == found


@pytest.mark.parametrize(("phase", "armed"), [*product(FlightPhase, [False, True])])
def test_a_policy_may_require_the_ground(
    phase: FlightPhase,
    armed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Only a device that stands still, disarmed, says yes then."""
    found = refusals(replace(HOVERING, phase=phase, armed=armed), require_grounded=True)
    asked = [each for each in found if "requires grounded" in each]
    grounded = phase is FlightPhase.GROUNDED and not armed
    told = f"phase is {phase}{', armed' if armed else ''}"
    why = f"{told}: [policy.drone] requires grounded and disarmed"
    assert ([] if grounded else [why]) == asked


LANDABLE = [phase for phase in FlightPhase if phase is not FlightPhase.FAILSAFE]


@pytest.mark.parametrize(("named", "phase"), [*product(LANDABLE, LANDABLE)])
def test_a_policy_may_name_phases(named: FlightPhase, phase: FlightPhase) -> None:
    """A phase that the policy names refuses, by name; every other does not."""
    found = refusals(replace(HOVERING, phase=phase), not_while=[named.value])
    why = f"phase is {phase}: [policy.drone] says not while {phase}"
    assert ((why,) if named is phase else ()) == found


def test_a_policy_may_name_recording() -> None:
    """Recording goes on beside a phase; it counts only where the policy says so."""
    recording = replace(HOVERING, recording=True)
    assert () == refusals(recording)
    assert () == refusals(HOVERING, not_while=["recording"])
    assert ("a pass is being recorded: [policy.drone] says not while recording",) == refusals(
        recording, not_while=["recording"]
    )


LINKS = [
    (0, None, ()),
    (0, 0, ()),
    (50, 50, ()),
    (50, 49.9, ("link quality 49.9 % < 50 %",)),
    (50, None, ("link quality unknown, at least 50 % is required",)),
]


@pytest.mark.parametrize(("least", "quality", "expected"), LINKS)
def test_a_poor_link_refuses(
    least: float, quality: float | None, expected: tuple[str, ...]
) -> None:
    """Where the policy asks for a link, one below it or unknown is a no."""
    state = replace(HOVERING, link_quality_pct=quality)
    assert expected == refusals(state, link_quality_min_pct=least)


CLOCKS = [
    (None, None, ()),
    (None, 900, ()),
    (20, 20, ()),
    (20, 20.5, ("clock error 20.5 ms > 20 ms",)),
    (20, None, ("clock error unknown, at most 20 ms is allowed",)),
]


@pytest.mark.parametrize(("most", "error", "expected"), CLOCKS)
def test_a_clock_that_is_too_far_off_refuses(
    most: float | None, error: float | None, expected: tuple[str, ...]
) -> None:
    """The same for the clock; without an own bound the fleet's is the protocol's business."""
    limits: dict[str, Any] = {} if most is None else {"clock_error_max_ms": most}
    assert expected == refusals(replace(HOVERING, clock_error_ms=error), **limits)


@pytest.mark.parametrize(("phase", "armed"), [*product(FlightPhase, [False, True])])
def test_what_needs_a_reboot_is_changed_at_rest_only(
    phase: FlightPhase,
    armed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """An autopilot does not restart in flight, nor armed on the ground."""
    state = replace(
        HOVERING, phase=phase, armed=armed, reboot_required_changed=("MNT1_TYPE", "MNT1_OPTIONS")
    )
    found = [each for each in refusals(state) if "reboot" in each]
    told = f"phase is {phase}{', armed' if armed else ''}"
    why = f"MNT1_TYPE, MNT1_OPTIONS changes only by a reboot, and {told}"
    assert ([] if phase is FlightPhase.GROUNDED and not armed else [why]) == found


BATTERIES = [
    (28.4, {}, ()),
    (28.3, {}, (f"battery 28.3 % {MINUS} 8.34 % for 180 s of hover < reserve 20 %",)),
    (None, {}, ("battery unknown, reserve 20 %",)),
    (None, {"battery_reserve_pct": 0}, ()),
    (
        31,
        {"hover_power_w": 632},
        (f"battery 31 % {MINUS} 12 % for 180 s of hover < reserve 20 %",),
    ),
    (31, {"hover_power_w": 632, "battery_reserve_pct": 15}, ()),
    (31, {"hover_power_w": 632, "hold_worst_s": 60}, ()),
    (31, {"hover_power_w": 632, "battery_wh": 500}, ()),
]


@pytest.mark.parametrize(("charge", "values", "expected"), BATTERIES)
def test_a_battery_must_last_for_the_worst_hold(
    charge: float | None, values: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """Charge less the hover of the worst hold must leave the reserve; the reason has the sum."""
    assert expected == refusals(replace(HOVERING, battery_pct=charge), **values)


def test_what_a_drone_measures_of_itself_counts_first() -> None:
    """A load or a gust that takes more power than the published hover is seen."""
    heavy = replace(HOVERING, battery_pct=40, hover_power_w=1200, battery_wh=263.2)
    assert (f"battery 40 % {MINUS} 22.8 % for 180 s of hover < reserve 20 %",) == refusals(heavy)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("drone", replace(PARKED, battery_pct=3)),
        ("arm", replace(HOVERING, battery_pct=None)),
        ("node", replace(HOVERING, battery_pct=None)),
    ],
)
def test_who_does_not_hover_needs_no_reserve(kind: str, state: FlightState) -> None:
    """A drone at rest, an arm and a node hold without a battery."""
    assert () == refusals(state, kind)


def test_every_reason_is_told_at_once() -> None:
    """A person sees all that speaks against it, not the first of it."""
    bad = replace(
        HOVERING, phase=FlightPhase.TRACKING, battery_pct=10, link_quality_pct=10,
        clock_error_ms=100, reboot_required_changed=("MNT1_TYPE",),
    )  # fmt: skip
    found = refusals(
        bad, not_while=["tracking"], link_quality_min_pct=50, clock_error_max_ms=50,
        require_grounded=True,
    )  # fmt: skip
    assert 6 == len(found)


# ----------------------------------------------------------------------------------- activation


@pytest.mark.parametrize("phase", FlightPhase)
def test_a_new_version_begins_in_a_safe_phase_only(phase: FlightPhase) -> None:
    """At rest, hovering, and in transit with the gimbal in neutral; nowhere else (I30)."""
    safe = {FlightPhase.GROUNDED, FlightPhase.HOVERING, FlightPhase.TRANSIT}
    expected = None if phase in safe else f"phase is {phase}"
    assert expected == unsafe(replace(HOVERING, phase=phase))


UNSAFE: list[tuple[dict[str, Any], str]] = [
    ({"recording": True}, "a pass is being recorded"),
    ({"calibrating": True}, "gimbal or IMU is calibrating"),
    ({"battery_pct": 19.5}, "battery 19.5 % < reserve 20 %"),
    ({"attitude_error_deg": 12.0}, "attitude error 12 deg > 10 deg"),
    (
        {"reboot_required_changed": ("MNT1_TYPE",)},
        "MNT1_TYPE changes only by a reboot, and phase is hovering, armed",
    ),
    ({"gimbal_angles_deg": {}}, "yaw: angle or rate unknown"),
    ({"gimbal_rates_deg_s": {"yaw": 0.0, "roll": 0.0}}, "pitch: angle or rate unknown"),
    (
        {"gimbal_rates_deg_s": {**STILL, "yaw": -5.5}},
        "yaw turns at 5.5 deg/s > 5 deg/s",
    ),
    (
        {"gimbal_angles_deg": {**STILL, "pitch": 16}},
        "pitch at 16 deg is 4 deg < 5 deg from a stop",
    ),
    (
        {"gimbal_angles_deg": {**STILL, "roll": -33}},
        "roll at -33 deg is 3 deg beyond a stop of the new version",
    ),
    (
        {"gimbal_angles_deg": {**STILL, "yaw": 86}},
        "aim is 4 deg < 5 deg from keep_out[0] (mast)",
    ),
    (
        {"gimbal_angles_deg": {"yaw": 100, "pitch": -5, "roll": 0}},
        "aim is 0 deg < 5 deg from keep_out[0] (mast)",
    ),
]


@pytest.mark.parametrize(("state", "expected"), UNSAFE)
def test_what_makes_a_change_of_aim_unsafe(state: dict[str, Any], expected: str) -> None:
    """Each condition alone keeps the old aim frozen, and is told with its numbers."""
    assert expected == unsafe(replace(HOVERING, **state))


SAFE: list[dict[str, Any]] = [
    {"battery_pct": 20.0},
    {"battery_pct": None},
    {"attitude_error_deg": 10.0},
    {"gimbal_rates_deg_s": {**STILL, "yaw": 5.0}},
    {"gimbal_angles_deg": {**STILL, "pitch": 15}},
    {"gimbal_angles_deg": {**STILL, "yaw": 85}},
    {"gimbal_angles_deg": {**STILL, "yaw": 100, "pitch": 10}},
    {"phase": FlightPhase.GROUNDED, "armed": False, "battery_pct": 2.0},
    {"phase": FlightPhase.GROUNDED, "armed": False, "reboot_required_changed": ("MNT1_TYPE",)},
]


@pytest.mark.parametrize("state", SAFE)
def test_what_is_just_safe(state: dict[str, Any]) -> None:
    """The limits themselves are safe."""
    assert None is unsafe(replace(HOVERING, **state))


@pytest.mark.parametrize(
    ("yaw", "expected"),
    [(5.0, None), (-6.0, "in transit, and yaw at -6 deg is 6 deg > 5 deg from neutral")],
)
def test_in_transit_the_gimbal_must_be_in_neutral(yaw: float, expected: str | None) -> None:
    """On its way somewhere a drone that looks elsewhere is looking at something."""
    state = replace(HOVERING, phase=FlightPhase.TRANSIT, gimbal_angles_deg={**STILL, "yaw": yaw})
    assert expected == unsafe(state)


def test_a_configuration_may_ask_for_rest() -> None:
    """apply.allow_in_flight = false waits for the ground."""
    made = config(apply={"allow_in_flight": False})
    assert "apply.allow_in_flight is false, and phase is hovering" == unsafe(HOVERING, made)
    assert None is unsafe(PARKED, made)


def test_a_policy_holds_at_activation_too() -> None:
    """What would have been a no to the vote is no time to begin."""
    why = "phase is hovering: [policy.drone] says not while hovering"
    assert why == unsafe(HOVERING, not_while=["hovering"])
    poor = replace(HOVERING, link_quality_pct=10)
    assert "link quality 10 % < 50 %" == unsafe(poor, link_quality_min_pct=50)


def test_an_axis_that_is_off_says_nothing() -> None:
    """Only axes that are driven have to be known and clear of their stops."""
    made = config(roll={"enabled": False}, stabilisation={"horizon_lock": False})
    two = {"yaw": 0.0, "pitch": 0.0}
    state = replace(HOVERING, gimbal_angles_deg=two, gimbal_rates_deg_s=two)
    assert None is unsafe(state, made)


@pytest.mark.parametrize("kind", ["arm", "node"])
def test_arms_and_nodes_begin_at_rest(kind: str) -> None:
    """The same question for the other kinds; they have no battery to ask for."""
    state = replace(PARKED, battery_pct=None)
    assert None is unsafe_to_activate(policy(kind), state, config(kind))
