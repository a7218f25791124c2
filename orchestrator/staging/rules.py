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

if TYPE_CHECKING:  # models imports this module
    from orchestrator.staging.models import AimConfig, Axis, Kind, Pose

ERROR_TYPE: Final = "aim_rules"
"""The type of the pydantic error that carries what :func:`problems` found."""

STOPPING_SHARE_MAX: Final = 0.25
"""Share of an axis' range that braking from full rate may take."""

REST_MARGIN_DEG: Final = 5.0
"""A gimbal nearer than this to a stop is in no safe phase to take a new configuration."""

Found = tuple[tuple[str | int, ...], str]
Box = tuple[float, float, float, float]
"""A sector: yaw from, yaw to, pitch from, pitch to, in degrees."""


def axes(config: AimConfig) -> tuple[tuple[str, Axis], ...]:
    """Return the three axes by name."""
    return (("yaw", config.yaw), ("pitch", config.pitch), ("roll", config.roll))


def poses(config: AimConfig) -> tuple[tuple[str, Pose], ...]:
    """Return the poses at rest by name."""
    return (("neutral", config.neutral), ("retract", config.retract))


def kinds_of(config: AimConfig) -> tuple[Kind, ...]:
    """Return the kinds whose section is present; exactly one in a valid configuration."""
    sections: tuple[tuple[Kind, object], ...] = (
        ("drone", config.drone),
        ("arm", config.arm),
        ("node", config.node),
    )
    return tuple(kind for kind, section in sections if section is not None)


def problems(config: AimConfig) -> list[Found]:
    """Return everything that is wrong between the fields of ``config``."""
    found = [problem for name, axis in axes(config) for problem in _axis(name, axis)]
    found += [problem for name, pose in poses(config) for problem in _pose(config, name, pose)]
    found += [*_one_kind(config), *_rates(config), *_landed(config), *_modes(config)]
    sectors = [*_keep_out(config)]
    return found + (sectors or [*_free_region(config)])


def near_stop(config: AimConfig) -> Iterator[Found]:
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


def _pose(config: AimConfig, name: str, pose: Pose) -> Iterator[Found]:
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


def _one_kind(config: AimConfig) -> Iterator[Found]:
    present = kinds_of(config)
    if len(present) != 1:
        what = " and ".join(present) or "none"
        yield (), f"needs exactly one of the sections drone, arm and node, has {what}"


def _rates(config: AimConfig) -> Iterator[Found]:
    limits: list[tuple[str, str, float]] = []
    if config.tracking.enabled:
        limits.append(("tracking", "rate_max_deg_s", config.tracking.rate_max_deg_s))
    if config.manual.mode == "rate":
        limits.append(("manual", "rate_max_deg_s", config.manual.rate_max_deg_s))
    if config.arm is not None:
        limits.append(("arm", "load_rate_max_deg_s", config.arm.load_rate_max_deg_s))
    for section, key, rate in limits:
        for name, axis in (("yaw", config.yaw), ("pitch", config.pitch)):
            if axis.enabled and rate > axis.rate_max_deg_s:
                yield (
                    (section, key),
                    (f"{rate:g} is above {name}.rate_max_deg_s {axis.rate_max_deg_s:g}"),
                )
    if config.tracking.enabled and config.tracking.gate_px > config.tracking.roi_px:
        yield (
            ("tracking", "gate_px"),
            (f"{config.tracking.gate_px} is above tracking.roi_px {config.tracking.roi_px}"),
        )


def _landed(config: AimConfig) -> Iterator[Found]:
    drone = config.drone
    if drone is None or not config.pitch.enabled:
        return
    low, high = drone.landed_pitch_min_deg, drone.landed_pitch_max_deg
    if low >= high:
        yield (
            ("drone", "landed_pitch_min_deg"),
            (f"{low:g} is not below landed_pitch_max_deg {high:g}"),
        )
    if low < config.pitch.angle_min_deg:
        yield (
            ("drone", "landed_pitch_min_deg"),
            (f"{low:g} is below pitch.angle_min_deg {config.pitch.angle_min_deg:g}"),
        )
    if high > config.pitch.angle_max_deg:
        yield (
            ("drone", "landed_pitch_max_deg"),
            (f"{high:g} is above pitch.angle_max_deg {config.pitch.angle_max_deg:g}"),
        )


def _modes(config: AimConfig) -> Iterator[Found]:
    if config.stabilisation.horizon_lock and not config.roll.enabled:
        yield ("stabilisation", "horizon_lock"), "a level horizon needs the roll axis enabled"
    if config.tracking.enabled and not (config.yaw.enabled and config.pitch.enabled):
        yield ("tracking", "enabled"), "tracking needs the yaw and pitch axes enabled"


def _keep_out(config: AimConfig) -> Iterator[Found]:
    for index, zone in enumerate(config.keep_out):
        for axis in ("yaw", "pitch"):
            low = getattr(zone, f"{axis}_min_deg")
            high = getattr(zone, f"{axis}_max_deg")
            if low >= high:
                yield (
                    ("keep_out", index, f"{axis}_min_deg"),
                    (f"{low:g} is not below {axis}_max_deg {high:g}"),
                )


def _free_region(config: AimConfig) -> Iterator[Found]:
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


def _free_cells(config: AimConfig, box: Box) -> set[tuple[int, int]]:
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
