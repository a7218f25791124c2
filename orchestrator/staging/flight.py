"""
What the flight state says against a change: when a device votes no, and when it may not begin.

A vote may be yes in any phase but a failsafe, since staging is harmless; the fleet's policy may
ask for more. Beginning with a new version is another matter (DESIGN §5, I30): the aim may jump,
so it waits for a phase in which nobody depends on it, and begins with a blend then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.staging.kinds import REGISTRY
from orchestrator.staging.models import AimFields, Kind
from orchestrator.staging.policy import Policy
from orchestrator.staging.rules import REST_MARGIN_DEG, axes
from orchestrator.staging.state import PHASES, FlightPhase, FlightState

__all__ = ["PHASES", "FlightPhase", "FlightState", "flight_refusals", "unsafe_to_activate"]

RATE_SAFE_MAX_DEG_S: Final = 5.0
"""A gimbal that turns faster is on its way somewhere."""

ATTITUDE_ERROR_SAFE_MAX_DEG: Final = 10.0
"""A body that is farther from where it wants to be fights a gust."""

UNSAFE_PHASES: Final = (
    FlightPhase.FAILSAFE,
    FlightPhase.CLIMBING,
    FlightPhase.TRACKING,
    FlightPhase.LANDING,
)


def flight_refusals(policy: Policy, kind: Kind, state: FlightState) -> tuple[str, ...]:
    """Return every reason to vote no in this state, with its numbers; empty for a yes."""
    return (
        *_phase(policy, kind, state),
        *_link(policy, state),
        *_clock(policy, state),
        *_reboot(state),
        *REGISTRY[kind].refusals(policy, state),
    )


def unsafe_to_activate(policy: Policy, state: FlightState, config: AimFields) -> str | None:
    """
    Return why ``config`` may not begin to aim now, or ``None`` where it may (I30).

    What is not known is not safe. The caller holds its aim and asks again at the next state.
    """
    return next(_against_activation(policy, state, config), None)


# ---------------------------------------------------------------------------------------- votes


def _phase(policy: Policy, kind: Kind, state: FlightState) -> Iterator[str]:
    whose = f"[policy.{kind}]"
    if state.phase is FlightPhase.FAILSAFE:
        yield "phase is failsafe: nothing is changed in it"
    if policy.require_grounded and not state.at_rest:
        armed = ", armed" if state.armed else ""
        yield f"phase is {state.phase}{armed}: {whose} requires grounded and disarmed"
    if state.phase.value in policy.not_while:
        yield f"phase is {state.phase}: {whose} says not while {state.phase}"
    if state.recording and "recording" in policy.not_while:
        yield f"a pass is being recorded: {whose} says not while recording"


def _link(policy: Policy, state: FlightState) -> Iterator[str]:
    least = policy.link_quality_min_pct
    if least and state.link_quality_pct is None:
        yield f"link quality unknown, at least {least:g} % is required"
    elif state.link_quality_pct is not None and state.link_quality_pct < least:
        yield f"link quality {state.link_quality_pct:.3g} % < {least:g} %"


def _clock(policy: Policy, state: FlightState) -> Iterator[str]:
    most = policy.clock_error_max_ms
    if most is None:
        return
    if state.clock_error_ms is None:
        yield f"clock error unknown, at most {most:g} ms is allowed"
    elif state.clock_error_ms > most:
        yield f"clock error {state.clock_error_ms:.3g} ms > {most:g} ms"


def _reboot(state: FlightState) -> Iterator[str]:
    if state.reboot_required_changed and not state.at_rest:
        names = ", ".join(state.reboot_required_changed)
        armed = ", armed" if state.armed else ""
        yield f"{names} changes only by a reboot, and phase is {state.phase}{armed}"


# ----------------------------------------------------------------------------------- activation


def _against_activation(policy: Policy, state: FlightState, config: AimFields) -> Iterator[str]:
    kind = config.kind
    if state.phase in UNSAFE_PHASES:
        yield f"phase is {state.phase}"
    if state.recording:
        yield "a pass is being recorded"
    if state.calibrating:
        yield "gimbal or IMU is calibrating"
    if not config.apply.allow_in_flight and not state.at_rest:
        yield f"apply.allow_in_flight is false, and phase is {state.phase}"
    yield from _phase(policy, kind, state)
    yield from _link(policy, state)
    yield from _reboot(state)
    own = REGISTRY[kind].unsafe(policy, state)
    if own is not None:
        yield own
    yield from _attitude(state)
    for name, axis in axes(config):
        if axis.enabled:
            yield from _joint(name, state, config)
    yield from _near_keep_out(state, config)


def _attitude(state: FlightState) -> Iterator[str]:
    error, most = state.attitude_error_deg, ATTITUDE_ERROR_SAFE_MAX_DEG
    if error is not None and error > most:
        yield f"attitude error {error:.3g} deg > {most:g} deg"


def _joint(name: str, state: FlightState, config: AimFields) -> Iterator[str]:
    angle, rate = state.gimbal_angles_deg.get(name), state.gimbal_rates_deg_s.get(name)
    if angle is None or rate is None:
        yield f"{name}: angle or rate unknown"
        return
    if abs(rate) > RATE_SAFE_MAX_DEG_S:
        yield f"{name} turns at {abs(rate):.3g} deg/s > {RATE_SAFE_MAX_DEG_S:g} deg/s"
    axis = getattr(config, name)
    room = min(angle - axis.angle_min_deg, axis.angle_max_deg - angle)
    if room < 0:
        yield f"{name} at {angle:.3g} deg is {-room:.3g} deg beyond a stop of the new version"
    elif room < REST_MARGIN_DEG:
        yield f"{name} at {angle:.3g} deg is {room:.3g} deg < {REST_MARGIN_DEG:g} deg from a stop"
    neutral = getattr(config.neutral, f"{name}_deg")
    away = abs(angle - neutral)
    if state.phase is FlightPhase.TRANSIT and away > REST_MARGIN_DEG:
        yield (
            f"in transit, and {name} at {angle:.3g} deg is {away:.3g} deg > "
            f"{REST_MARGIN_DEG:g} deg from neutral"
        )


def _near_keep_out(state: FlightState, config: AimFields) -> Iterator[str]:
    angles = state.gimbal_angles_deg
    if "yaw" not in angles or "pitch" not in angles:
        return
    for index, zone in enumerate(config.keep_out):
        yaw = _outside(angles["yaw"], zone.yaw_min_deg, zone.yaw_max_deg)
        pitch = _outside(angles["pitch"], zone.pitch_min_deg, zone.pitch_max_deg)
        if max(yaw, pitch) < REST_MARGIN_DEG:
            yield (
                f"aim is {max(yaw, pitch):.3g} deg < {REST_MARGIN_DEG:g} deg from "
                f"keep_out[{index}] ({zone.reason})"
            )


def _outside(angle: float, low: float, high: float) -> float:
    """Return how far an angle is outside a range; 0 inside."""
    return max(low - angle, angle - high, 0.0)
