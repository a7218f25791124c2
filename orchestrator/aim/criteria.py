"""What is asked of an axis, with sources, and how a refusal reads. Needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """
    The limits of a verdict. Everything is asked at each of ``inertia_factors``.

    ``inertia_factors``: lenses and filters are changed in the field; 0.7 to 1.4 of the nominal
    inertia is what one tuning must bear.

    ``phase_margin_min_deg``: 30° is the lower end of what textbooks let pass (Åström, Murray,
    "Feedback systems", 2nd ed., §10.3: 30° to 60°). ``sensitivity_peak_max``: sound loops are at
    1.25 to 2 (ibid., as its inverse, a stability margin of 0.8 to 0.5); 2.5 for the lightest
    and heaviest camera. It implies a gain margin of 2.5 / 1.5 = 4.4 dB, which is therefore not
    asked.

    A step of ``step_deg``, or as far as the motion profile gets in ``step_profile_max_s`` where
    that is less: overshoot up to ``overshoot_max_pct`` of the step; inside ``settling_band_pct``
    of it (or ``settling_band_min_deg``, where that is more) for good ``settling_max_s`` after
    the reference left; then at rest to ``residual_max_deg`` rms, about two pixels of a 4K camera
    with a lens of 90°; a rate up to ``rate_overshoot_max`` times the configured one.

    ``base_amplitude_deg`` at ``base_hz``: how a multirotor of a few kg sways in gusts. Of it
    ``base_leak_max_deg``, a tenth, may reach the camera.

    ``steady_error_max_deg``: what may be left after ``horizon_s`` of a load as large as the
    plant's imbalance: a loop without an integrator stands beside its target for ever.

    The figures of step, base motion and load are this project's own, set so that a loop tuned by
    hand passes and one that rings, creeps or leans does not; a fleet may set others.
    """

    inertia_factors: tuple[float, ...] = (0.7, 1.0, 1.4)
    phase_margin_min_deg: float = 30.0
    sensitivity_peak_max: float = 2.5
    step_deg: float = 30.0
    step_profile_max_s: float = 0.75
    overshoot_max_pct: float = 15.0
    settling_max_s: float = 1.2
    settling_band_pct: float = 2.0
    settling_band_min_deg: float = 0.1
    residual_max_deg: float = 0.05
    rate_overshoot_max: float = 1.25
    base_amplitude_deg: float = 5.0
    base_hz: float = 1.5
    base_leak_max_deg: float = 0.5
    steady_error_max_deg: float = 0.3
    horizon_s: float = 2.0
    """How long each experiment lasts; longer than ``settling_max_s`` and a period of the base."""

    rest_s: float = 0.25
    """The end of it, over which residual and steady error are taken."""


class Criterion(StrEnum):
    """What a configuration can fail."""

    NONSENSE = "nonsense"
    STABILITY = "stability"
    PHASE_MARGIN = "phase margin"
    SENSITIVITY_PEAK = "sensitivity peak"
    TORQUE = "torque"
    OVERSHOOT = "overshoot"
    SETTLING = "settling"
    RESIDUAL = "residual"
    RATE = "rate"
    BASE_LEAK = "base motion"
    STEADY_ERROR = "steady error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One reason for a no: ``str()`` is ``phase margin 18° < 30° on yaw at 1.4 × inertia``.

    ``value`` is what was found and ``limit`` what is asked, in the criterion's own unit, at the
    ``inertia_factor`` where it was worst; all three are ``None`` for nonsense.
    """

    axis: str
    criterion: Criterion
    said: str
    value: float | None = None
    limit: float | None = None
    inertia_factor: float | None = None

    def __str__(self) -> str:
        """Return the reason as a person reads it."""
        where = f"{self.said} on {self.axis}"
        if self.inertia_factor is None:
            return where
        return f"{where} at {self.inertia_factor:g} × inertia"


_SAID: Final[dict[Criterion, str]] = {
    Criterion.PHASE_MARGIN: "phase margin {0}° < {1}°",
    Criterion.SENSITIVITY_PEAK: "sensitivity peak {0} > {1}",
    Criterion.TORQUE: "accel_max_deg_s2 needs a torque of {0} N m > {1} N m",
    Criterion.OVERSHOOT: "overshoot {0} % > {1} % of a step",
    Criterion.SETTLING: "settling {0} s > {1} s after a step",
    Criterion.RESIDUAL: "residual {0}° rms > {1}° rms after a step",
    Criterion.RATE: "rate {0}°/s > {1}°/s in a step",
    Criterion.BASE_LEAK: "error {0}° > {1}° while the base moves",
    Criterion.STEADY_ERROR: "steady error {0}° > {1}° under imbalance",
}


_SLOW_PER_S: Final = 0.01
"""What grows more slowly than this does not grow in any flight; it does not die away either."""


def say(criterion: Criterion, value: float, limit: float) -> str:
    """Return what was found against what is asked, in as many digits as tell the two apart."""
    limit_text = f"{limit:.4g}"
    texts = [_figure(value, digits) for digits in range(2, 17)]
    told = next((text for text in texts if text != limit_text), texts[-1])
    return _SAID[criterion].format(told, limit_text)


def _figure(value: float, digits: int) -> str:
    """Return so many significant digits, and no powers of ten for what is large."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text else text


def unstable(radius: float, turn_hz: float, step_s: float) -> str:
    """Return how an unstable loop behaves; ``radius`` is its growth per sample of ``step_s``."""
    growth = log(radius) / step_s if radius > 0 else 0.0
    if growth < _SLOW_PER_S:
        return "unstable: never comes to rest"
    swing = f"oscillation of {_figure(turn_hz, 2)} Hz" if turn_hz > 0 else "error"
    return f"unstable: {swing} grows tenfold in {_figure(log(10.0) / growth * 1e3, 2)} ms"
