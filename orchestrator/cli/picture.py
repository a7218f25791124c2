"""What a figure shows: one configuration on a gimbal, or an old one and a new one. No drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from orchestrator.aim.criteria import Criteria, Finding
from orchestrator.aim.judge import STANDARD, judge
from orchestrator.aim.loop import AxisLoop, nonsense
from orchestrator.aim.margins import Margins
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.portrait import Portrait, portrait
from orchestrator.staging.checks import Component, limits_exceeded
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.models import AimConfig
from orchestrator.staging.physics import judged_axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason against a configuration; ``finding`` has the numbers where it is physics."""

    text: str
    component: Component
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisView:
    """
    One axis of one configuration. ``portraits`` are by inertia factor, in the judge's order.

    There are none where the loop makes no sense on the hardware; ``absurd`` says why.
    """

    loop: AxisLoop
    plant: AxisPlant
    portraits: Mapping[float, Portrait]
    absurd: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A configuration as it is drawn; the verdict is about all its axes, drawn or not."""

    file: str
    axes: Mapping[str, AxisView]
    verdict: tuple[Reason, ...]

    @property
    def words(self) -> str:
        """The verdict in a few words."""
        count = len(self.verdict)
        return f"no, {count} finding{'s' * (count != 1)}" if count else "sound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure before it is drawn. ``where`` says whose gimbal it is; ``old`` is optional."""

    where: str
    criteria: Criteria
    new: Side
    old: Side | None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The configurations, the old one first, so that the new one is drawn over it."""
        return (self.new,) if self.old is None else (self.old, self.new)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that any of them has, the new one's first."""
        return tuple(dict.fromkeys(name for side in reversed(self.sides) for name in side.axes))

    def changes(self, axis: str) -> str:
        """Say what the control law of an axis is, or what is new in it."""
        new = self.new.axes.get(axis)
        old = None if self.old is None else self.old.axes.get(axis)
        if new is None or (self.old is not None and old is None):
            return "not driven by the new configuration" if new is None else "not driven before"
        told = list(_told(new.loop, None if old is None else old.loop))
        return " · ".join(told) if told else "the same loop"


def _told(new: AxisLoop, old: AxisLoop | None) -> Iterator[str]:
    """Name the fields of a loop with their values; only those that differ from the old one's."""
    for field in fields(AxisLoop):
        value = getattr(new, field.name)
        if old is None:
            if new.notch_hz or not field.name.startswith("notch_"):
                yield f"{field.name} {value:g}"
        elif getattr(old, field.name) != value:
            yield f"{field.name} {getattr(old, field.name):g} → {value:g}"


def side(
    file: str,
    config: AimConfig,
    profile: GimbalProfile,
    axis: str | None,
    criteria: Criteria = STANDARD,
) -> Side:
    """Judge a configuration on a gimbal, and look at its axes, or at one of them."""
    judged = judged_axes(config, profile)
    return Side(
        file=file,
        axes={
            name: _view(loop, plant, criteria)
            for name, (loop, plant) in judged.items()
            if axis in {None, name}
        },
        verdict=(
            *(
                Reason(
                    text=f"{' '.join(map(str, path))} {message}",
                    component=Component.GIMBAL,
                )
                for path, message in limits_exceeded(config, profile)
            ),
            *(
                Reason(text=str(finding), component=Component.PHYSICS, finding=finding)
                for finding in judge(judged, criteria)
            ),
        ),
    )


def _view(loop: AxisLoop, plant: AxisPlant, criteria: Criteria) -> AxisView:
    absurd = nonsense(loop, plant)
    factors = () if absurd else criteria.inertia_factors
    portraits = {factor: portrait(loop, plant, criteria, factor) for factor in factors}
    return AxisView(loop=loop, plant=plant, portraits=portraits, absurd=absurd)


# --- as a document ----------------------------------------------------------------------------


def margins_document(shown: Side) -> dict[str, list[dict[str, Any]]]:
    """Return the margins of each axis at each inertia; what means nothing is null."""
    return {
        name: [_margins(factor, one.margins) for factor, one in view.portraits.items()]
        for name, view in shown.axes.items()
    }


def _margins(factor: float, found: Margins) -> dict[str, Any]:
    told = {
        "phase_margin_deg": found.phase_margin_deg,
        "crossover_hz": found.crossover_hz,
        "gain_margin_db": found.gain_margin_db,
        "sensitivity_peak": found.sensitivity_peak,
    }
    known = {name: value for name, value in told.items() if found.stable and isfinite(value)}
    if "phase_margin_deg" not in known:
        known.pop("crossover_hz", None)  # 0 where there is none
    head = {"inertia_factor": factor, "stable": found.stable}
    return {**head, **dict.fromkeys(told), **known}


def verdict_document(shown: Side) -> dict[str, Any]:
    """Return the verdict with every reason and its numbers."""
    return {
        "sound": not shown.verdict,
        "findings": [
            {"text": one.text, "component": one.component.value, **_numbers(one.finding)}
            for one in shown.verdict
        ],
    }


def _numbers(finding: Finding | None) -> dict[str, Any]:
    names = ("axis", "criterion", "value", "limit", "inertia_factor")
    return {name: getattr(finding, name, None) for name in names}
