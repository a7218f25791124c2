"""The panels of one axis: step and torque, errors under load and on a moving base, Bode plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, isfinite
from typing import Any, Final

from matplotlib.axes import Axes

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment, step_profile
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.portrait import LOWEST_HZ, Portrait
from orchestrator.aim.sampled import Floats

INK: Final = "#1d232b"
DIM: Final = "#5a6472"
BAD: Final = "#b3261e"
COMMAND: Final[dict[str, Any]] = {"color": INK, "linewidth": 0.9}
SHADE: Final[dict[str, Any]] = {"facecolor": BAD, "alpha": 0.12, "linewidth": 0}

DASHES: Final[tuple[Any, ...]] = ((0, (1, 1.2)), "solid", (0, (5, 2)), (0, (5, 1.5, 1, 1.5)))
"""How a curve is dashed, by the place of its inertia in the criteria."""

GAIN_DB: Final = (-60.0, 60.0)
PHASE_DEG: Final = (-450.0, 0.0)
AROUND: Final = 1.25
PLAIN_HZ: Final = (0.1, 1.0, 10.0, 100.0, 1000.0)
OFF_SCALE: Final = 6.0
"""An error of more times its limit than this leaves the panel, which then says how large it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """One curve of every panel: a loop at one inertia, and how it looks. ``who`` is new or old."""

    loop: AxisLoop
    plant: AxisPlant
    factor: float
    seen: Portrait
    colour: str
    dash: Any
    who: str

    @property
    def line(self) -> dict[str, Any]:
        """How its curves are drawn."""
        return {"color": self.colour, "linestyle": self.dash}

    @property
    def torque_max_nm(self) -> float:
        """What clamps its torque first."""
        return min(self.loop.torque_max_nm, self.plant.torque_peak_nm)

    @property
    def crosses(self) -> bool:
        """Whether it has a phase margin: it is stable, and its gain is one somewhere."""
        margins = self.seen.margins
        return margins.stable and isfinite(margins.phase_margin_deg)

    @property
    def critical_deg(self) -> float:
        """The phase that its margin is the distance to: -180°, or that a whole turn away."""
        margins = self.seen.margins
        return self.seen.phase_at(margins.crossover_hz) - margins.phase_margin_deg

    def angle_deg(self, kind: Experiment) -> Floats:
        """Return the angle in one experiment."""
        return self.seen.responses[kind].angle_deg


# --- over time --------------------------------------------------------------------------------


def step(angle: Axes, torque: Axes, strands: Sequence[Strand], criteria: Criteria) -> None:
    """Draw the step, command and response, and the torque that the motor gives."""
    _over_time(angle, "Step: angle [°]", criteria)
    _over_time(torque, f"Its torque [N m]{_clamps(strands)}", criteria)
    torque.set_xlabel("time [s]")
    torque.locator_params(axis="y", nbins=5)
    for strand in strands:
        response = strand.seen.responses[Experiment.STEP]
        angle.plot(response.time_s, response.reference_deg, **COMMAND)
        angle.plot(response.time_s, response.angle_deg, **strand.line)
        torque.plot(response.time_s, response.torque_nm, **strand.line)
    if strands:
        _judge_step(angle, strands, criteria)


def _clamps(strands: Sequence[Strand]) -> str:
    """Say where the torque is clamped."""
    found = {strand.who: f"±{strand.torque_max_nm:g}" for strand in strands}
    if not found:
        return ""
    if len(set(found.values())) == 1:
        return f", clamped at {next(iter(found.values()))}"
    return ", clamped at " + ", ".join(f"{most} ({who.strip()})" for who, most in found.items())


def _judge_step(angle: Axes, strands: Sequence[Strand], criteria: Criteria) -> None:
    """Shade what a step may not do, and fit the panel to the step, not to what runs away."""
    targets = [degrees(step_profile(strand.loop, criteria).target) for strand in strands]
    target = targets[-1]  # the new one's: the old one is there to be compared with
    band = max(target * criteria.settling_band_pct / 100.0, criteria.settling_band_min_deg)
    most = target * (1.0 + criteria.overshoot_max_pct / 100.0)
    settled, horizon = criteria.settling_max_s, criteria.horizon_s
    angle.fill_between([0.0, settled], most, 10.0 * most, **SHADE)
    angle.fill_between([settled, horizon], target + band, 10.0 * most, **SHADE)
    angle.fill_between([settled, horizon], -10.0 * most, target - band, **SHADE)
    whole = max(targets)
    seen = [strand.angle_deg(Experiment.STEP) for strand in strands]
    lowest, highest = min(float(one.min()) for one in seen), max(float(one.max()) for one in seen)
    angle.set_ylim(
        min(-0.05 * whole, max(1.1 * lowest, -0.5 * whole)),
        max(1.25 * whole, min(1.05 * highest, 1.8 * whole)),
    )
    far = max(highest - whole, -lowest)
    if far > whole * (OFF_SCALE - 1.0):
        _off_scale(angle, far)


def errors(load: Axes, base: Axes, strands: Sequence[Strand], criteria: Criteria) -> None:
    """Draw what imbalance and a moving base leave of the aim."""
    pulls = f" of {strands[-1].plant.imbalance_nm:g} N m" if strands else ""
    _over_time(load, f"Error under an imbalance{pulls} [°]", criteria)
    sway = f"{criteria.base_amplitude_deg:g}° at {criteria.base_hz:g} Hz"
    _over_time(base, f"Error on a base that sways {sway} [°]", criteria)
    base.set_xlabel("time [s]")
    resting = criteria.horizon_s - criteria.rest_s
    swinging = criteria.horizon_s - 1.0 / criteria.base_hz
    for axes, kind, most, since in (
        (load, Experiment.LOAD, criteria.steady_error_max_deg, resting),
        (base, Experiment.BASE, criteria.base_leak_max_deg, swinging),
    ):
        for strand in strands:
            angle = strand.angle_deg(kind)
            axes.plot(strand.seen.responses[kind].time_s, angle, **strand.line)
        _judge_error(axes, [one.angle_deg(kind) for one in strands], most, since)


def _judge_error(axes: Axes, seen: Sequence[Floats], most: float, since: float) -> None:
    """Shade what an error may not reach, from when on it may not."""
    end = axes.get_xlim()[1]
    axes.fill_between([since, end], most, 1e6, **SHADE)
    axes.fill_between([since, end], -1e6, -most, **SHADE)
    lowest = min((float(one.min()) for one in seen), default=0.0)
    highest = max((float(one.max()) for one in seen), default=0.0)
    top = OFF_SCALE * most
    axes.set_ylim(
        -max(1.3 * most, min(-1.15 * lowest, top)), max(1.3 * most, min(1.15 * highest, top))
    )
    far = max(highest, -lowest)
    if far > top:
        _off_scale(axes, far)


def _over_time(axes: Axes, title: str, criteria: Criteria) -> None:
    axes.set_title(title)
    axes.set_xlim(0.0, criteria.horizon_s)


def _off_scale(axes: Axes, far_deg: float) -> None:
    told = f"leaves the panel: up to {far_deg:.3g}°"
    style: dict[str, Any] = {"ha": "right", "va": "bottom", "color": BAD, "fontsize": 8.5}
    paper = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 2.0}
    axes.text(0.98, 0.05, told, transform=axes.transAxes, bbox=paper, **style)


# --- over frequency ---------------------------------------------------------------------------


def bode(gain: Axes, phase: Axes, strands: Sequence[Strand], criteria: Criteria) -> None:
    """Draw the open loop, and mark where its gain is one and what is left of the phase there."""
    _over_frequency(gain, "Open loop: gain [dB]", GAIN_DB, 20.0, strands)
    _over_frequency(phase, "Open loop: phase [°]", PHASE_DEG, 90.0, strands)
    phase.set_xlabel("frequency [Hz]")
    gain.axhline(0.0, **COMMAND)
    phase.axhline(-180.0, **COMMAND)
    for strand in strands:
        seen = strand.seen
        gain.plot(seen.frequency_hz, seen.gain_db, **strand.line)
        phase.plot(seen.frequency_hz, seen.phase_deg, **strand.line)
    crossing = [one for one in strands if one.crosses]
    for strand in crossing:
        _mark(gain, phase, strand)
    _shade_margins(phase, crossing, criteria.phase_margin_min_deg)
    _tell_margins(phase, strands)
    _tell_structure(gain, strands)


def _over_frequency(
    axes: Axes,
    title: str,
    limits: tuple[float, float],
    tick: float,
    strands: Sequence[Strand],
) -> None:
    axes.set_title(title)
    axes.set_xscale("log")
    most = max((strand.plant.sample_rate_hz / 2.0 for strand in strands), default=PLAIN_HZ[-1])
    axes.set_xticks([hz for hz in PLAIN_HZ if hz <= most])
    axes.xaxis.set_major_formatter(lambda hz, _: f"{hz:g}")
    axes.set_xlim(LOWEST_HZ, most)
    axes.set_ylim(*limits)
    count = round((limits[1] - limits[0]) / tick)
    axes.set_yticks([limits[0] + tick * number for number in range(count + 1)])


def _mark(gain: Axes, phase: Axes, strand: Strand) -> None:
    """Mark the worst crossover, and what is missing there to oscillation."""
    hz = strand.seen.margins.crossover_hz
    there = strand.seen.phase_at(hz)
    point: dict[str, Any] = {"color": strand.colour, "markersize": 4.5, "linewidth": 1.0}
    gain.plot([hz], [0.0], marker="o", **point)
    phase.plot([hz, hz], [strand.critical_deg, there], **point)
    phase.plot([hz], [there], marker="o", **point)


def _shade_margins(phase: Axes, crossing: Sequence[Strand], asked_deg: float) -> None:
    """Shade, around the crossovers, the phases that are too near to oscillation."""
    for critical in sorted({round(one.critical_deg) for one in crossing}):
        hz = [
            one.seen.margins.crossover_hz
            for one in crossing
            if round(one.critical_deg) == critical
        ]
        low, high = min(hz) / AROUND, max(hz) * AROUND
        phase.fill_between([low, high], critical - asked_deg, critical + asked_deg, **SHADE)


def _tell_margins(phase: Axes, strands: Sequence[Strand]) -> None:
    """Write the margins where no loop of a gimbal has its phase: low at the left."""
    rows = sorted(strands, key=lambda strand: strand.who)  # new, then old, as in the legend
    for row, strand in enumerate(reversed(rows)):
        phase.text(
            0.02,
            0.03 + 0.06 * row,
            f"{strand.who}{strand.factor:g} × inertia: {_margins(strand)}",
            transform=phase.transAxes,
            color=strand.colour,
            fontsize=7.5,
        )


def _margins(strand: Strand) -> str:
    found = strand.seen.margins
    if not strand.crosses:
        return "no crossover" if found.stable else "unstable"
    return (
        f"phase margin {found.phase_margin_deg:.1f}° at {found.crossover_hz:.1f} Hz,"
        f" peak {found.sensitivity_peak:.2f}"
    )


def _tell_structure(gain: Axes, strands: Sequence[Strand]) -> None:
    """Name the structure's mode, which a loop must not excite."""
    for hz in dict.fromkeys(strand.plant.mode_hz for strand in strands):
        gain.axvline(hz, color=DIM, linewidth=0.8, linestyle=(0, (2, 2)))
        told = f"mode of the structure, {hz:g} Hz "
        style: dict[str, Any] = {"ha": "right", "va": "top", "color": DIM, "fontsize": 8.0}
        gain.text(hz, 0.96, told, transform=gain.get_xaxis_transform(), **style)
