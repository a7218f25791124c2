"""
Rules between the fields of one configuration. Limits of a particular gimbal are in ``checks``.

Each rule returns what it found as ``(key path, message)``; all of them are run, so that a person
sees everything at once. None is about control theory: whether the loops are stable is judged
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from orchestrator.staging.fields import Found
from orchestrator.staging.kinds import KINDS, REGISTRY

if TYPE_CHECKING:  # models imports this module
    from orchestrator.staging.axes import Axis
    from orchestrator.staging.models import AimFields, Kind, Pose

STOPPING_SHARE_MAX: Final = 0.25
"""Share of an axis' range that braking from full rate may take."""

REST_MARGIN_DEG: Final = 5.0
"""A gimbal nearer than this to a stop is in no safe phase to take a new configuration."""

NOTCH_MIN_HZ: Final = 10.0
"""A notch below this would eat into what the rate loop needs; 0 switches it off."""

Box = tuple[float, float, float, float]
"""A sector: yaw from, yaw to, pitch from, pitch to, in degrees."""


def axes(config: AimFields) -> tuple[tuple[str, Axis], ...]:
    """Return the three axes by name."""
    return (("yaw", config.yaw), ("pitch", config.pitch), ("roll", config.roll))


def poses(config: AimFields) -> tuple[tuple[str, Pose], ...]:
    """Return the poses at rest by name."""
    return (("neutral", config.neutral), ("retract", config.retract))


def kinds_of(config: AimFields) -> tuple[Kind, ...]:
    """Return the kinds whose section is present; exactly one in a valid configuration."""
    return tuple(kind for kind in KINDS if getattr(config, kind) is not None)


def problems(config: AimFields) -> list[Found]:
    """Return everything that is wrong between the fields of ``config``."""
    found = [problem for name, axis in axes(config) for problem in _axis(name, axis)]
    found += [problem for name, pose in poses(config) for problem in _pose(config, name, pose)]
    found += [*_one_kind(config), *_rates(config), *_tracking(config), *_modes(config)]
    for kind in kinds_of(config):
        found += REGISTRY[kind].rules(config, getattr(config, kind))
    sectors = [*_keep_out(config)]
    return found + (sectors or [*_free_region(config)])


def near_stop(config: AimFields) -> Iterator[Found]:
    """Find poses at rest so near to a stop that a device there can't activate a new version."""
    for name, pose in poses(config):
        for axis_name, axis in axes(config):
            angle = getattr(pose, f"{axis_name}_deg")
            room = min(angle - axis.angle_min_deg, axis.angle_max_deg - angle)
            if axis.enabled and 0 <= room < REST_MARGIN_DEG:
                yield (
                    (name, f"{axis_name}_deg"),
                    (
                        f"{angle:g} is {room:g} deg from a stop of {axis_name}: nearer than "
                        f"{REST_MARGIN_DEG:g} deg no new version is activated"
                    ),
                )


def blind_slew(config: AimFields) -> Iterator[Found]:
    """Find a target lock that may turn farther by prediction alone than an axis can turn."""
    tracking = config.tracking
    blind = tracking.prediction_horizon_s * tracking.rate_max_deg_s
    for name, axis in (("yaw", config.yaw), ("pitch", config.pitch)):
        span = axis.angle_max_deg - axis.angle_min_deg
        if tracking.enabled and blind > span:
            yield (
                ("tracking", "prediction_horizon_s"),
                (
                    f"{tracking.prediction_horizon_s:g} s of prediction at "
                    f"{tracking.rate_max_deg_s:g} deg/s is {blind:g} deg unseen, more than the "
                    f"whole range of {name}, {span:g} deg"
                ),
            )


def _axis(name: str, axis: Axis) -> Iterator[Found]:
    if not axis.enabled:
        return
    span = axis.angle_max_deg - axis.angle_min_deg
    if span <= 0:
        yield (
            (name, "angle_min_deg"),
            (f"{axis.angle_min_deg:g} is not below angle_max_deg {axis.angle_max_deg:g}"),
        )
    stopping = axis.rate_max_deg_s**2 / (2 * axis.accel_max_deg_s2)
    if span > 0 and stopping > STOPPING_SHARE_MAX * span:
        yield (
            (name, "rate_max_deg_s"),
            (
                f"braking from {axis.rate_max_deg_s:g} deg/s at {axis.accel_max_deg_s2:g} deg/s² "
                f"takes {stopping:.4g} deg, more than a quarter of the range of {span:g} deg"
            ),
        )
    if axis.integrator_max_nm >= axis.torque_max_nm:
        yield (
            (name, "integrator_max_nm"),
            (f"{axis.integrator_max_nm:g} is not below torque_max_nm {axis.torque_max_nm:g}"),
        )
    yield from _notch(name, axis)


def _notch(name: str, axis: Axis) -> Iterator[Found]:
    if 0 < axis.notch_hz < NOTCH_MIN_HZ:
        yield (
            (name, "notch_hz"),
            f"{axis.notch_hz:g} is neither 0 (off) nor {NOTCH_MIN_HZ:g} or more",
        )
    elif axis.notch_hz and axis.notch_bandwidth_hz >= axis.notch_hz:
        yield (
            (name, "notch_bandwidth_hz"),
            f"{axis.notch_bandwidth_hz:g} is not below notch_hz {axis.notch_hz:g}",
        )


def _pose(config: AimFields, name: str, pose: Pose) -> Iterator[Found]:
    for axis_name, axis in axes(config):
        angle = getattr(pose, f"{axis_name}_deg")
        if not axis.enabled or axis.angle_min_deg >= axis.angle_max_deg:
            continue
        if not axis.angle_min_deg <= angle <= axis.angle_max_deg:
            yield (
                (name, f"{axis_name}_deg"),
                (
                    f"{angle:g} is outside {axis_name}'s "
                    f"{axis.angle_min_deg:g} to {axis.angle_max_deg:g}"
                ),
            )
    for index, zone in enumerate(config.keep_out):
        if _inside(
            (zone.yaw_min_deg, zone.yaw_max_deg, zone.pitch_min_deg, zone.pitch_max_deg),
            pose.yaw_deg,
            pose.pitch_deg,
        ):
            yield (name,), f"points into keep_out[{index}] ({zone.reason})"


def _one_kind(config: AimFields) -> Iterator[Found]:
    present = kinds_of(config)
    if len(present) != 1:
        *some, last = KINDS
        what = " and ".join(present) or "none"
        yield (), f"needs exactly one of the sections {', '.join(some)} and {last}, has {what}"


def _rates(config: AimFields) -> Iterator[Found]:
    limits: list[tuple[str, float]] = []
    if config.tracking.enabled:
        limits.append(("tracking", config.tracking.rate_max_deg_s))
    if config.manual.mode == "rate":
        limits.append(("manual", config.manual.rate_max_deg_s))
    for section, rate in limits:
        for name, axis in (("yaw", config.yaw), ("pitch", config.pitch)):
            if axis.enabled and rate > axis.rate_max_deg_s:
                yield (
                    (section, "rate_max_deg_s"),
                    f"{rate:g} is above {name}.rate_max_deg_s {axis.rate_max_deg_s:g}",
                )


def _tracking(config: AimFields) -> Iterator[Found]:
    tracking = config.tracking
    if tracking.enabled and tracking.gate_px > tracking.roi_px:
        yield (
            ("tracking", "gate_px"),
            f"{tracking.gate_px} is above tracking.roi_px {tracking.roi_px}",
        )
    thresholds = ("acquire_confidence", "hold_confidence", "lose_confidence")
    for upper, lower in pairwise(thresholds):
        above, below = getattr(tracking, upper), getattr(tracking, lower)
        if below > above:
            yield ("tracking", lower), f"{below:g} is above {upper} {above:g}"


def _modes(config: AimFields) -> Iterator[Found]:
    if config.stabilisation.horizon_lock and not config.roll.enabled:
        yield ("stabilisation", "horizon_lock"), "a level horizon needs the roll axis enabled"
    if config.tracking.enabled and not (config.yaw.enabled and config.pitch.enabled):
        yield ("tracking", "enabled"), "tracking needs the yaw and pitch axes enabled"


def _keep_out(config: AimFields) -> Iterator[Found]:
    for index, zone in enumerate(config.keep_out):
        for axis in ("yaw", "pitch"):
            low = getattr(zone, f"{axis}_min_deg")
            high = getattr(zone, f"{axis}_max_deg")
            if low >= high:
                yield (
                    ("keep_out", index, f"{axis}_min_deg"),
                    (f"{low:g} is not below {axis}_max_deg {high:g}"),
                )


def _free_region(config: AimFields) -> Iterator[Found]:
    """
    Demand that the gimbal can go between any two allowed directions.

    The edges of the sectors cut the range into at most 33 by 33 cells, each wholly allowed or
    wholly not, so a flood fill over the cells is exact.
    """
    box = (
        config.yaw.angle_min_deg,
        config.yaw.angle_max_deg,
        config.pitch.angle_min_deg,
        config.pitch.angle_max_deg,
    )
    if not config.keep_out or box[0] >= box[1] or box[2] >= box[3]:
        return
    free = _free_cells(config, box)
    if not free:
        yield ("keep_out",), "no direction is left that the gimbal may point at"
    elif _reachable(next(iter(free)), free) != free:
        yield ("keep_out",), "cuts the range into parts that the gimbal can't go between"


def _free_cells(config: AimFields, box: Box) -> set[tuple[int, int]]:
    zones = [
        (z.yaw_min_deg, z.yaw_max_deg, z.pitch_min_deg, z.pitch_max_deg) for z in config.keep_out
    ]
    yaws = _middles(box[0], box[1], [edge for zone in zones for edge in zone[:2]])
    pitches = _middles(box[2], box[3], [edge for zone in zones for edge in zone[2:]])
    return {
        (column, row)
        for column, yaw in enumerate(yaws)
        for row, pitch in enumerate(pitches)
        if not any(_inside(zone, yaw, pitch) for zone in zones)
    }


def _middles(low: float, high: float, edges: list[float]) -> list[float]:
    cuts = sorted({low, high, *(edge for edge in edges if low < edge < high)})
    return [(left + right) / 2 for left, right in pairwise(cuts)]


def _reachable(start: tuple[int, int], free: set[tuple[int, int]]) -> set[tuple[int, int]]:
    seen = {start}
    todo = [start]
    while todo:
        column, row = todo.pop()
        around = {(column - 1, row), (column + 1, row), (column, row - 1), (column, row + 1)}
        todo += sorted((around & free) - seen)
        seen |= around & free
    return seen


def _inside(box: Box, yaw: float, pitch: float) -> bool:
    return box[0] <= yaw <= box[1] and box[2] <= pitch <= box[3]
