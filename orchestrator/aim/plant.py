"""What is pointed: the inertia, friction, motor, dead time and structure of one gimbal axis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

FRICTION_RATE_RAD_S: Final = 0.02
"""Coulomb friction is ``coulomb_nm * tanh(rate / FRICTION_RATE_RAD_S)``: smooth through zero."""

RANGES: Final[dict[str, tuple[float, float]]] = {
    "inertia_kg_m2": (1e-6, 100.0),
    "viscous_nms_rad": (0.0, 100.0),
    "coulomb_nm": (0.0, 100.0),
    "imbalance_nm": (0.0, 100.0),
    "torque_peak_nm": (1e-4, 1000.0),
    "motor_lag_s": (1e-4, 0.1),
    "dead_time_samples": (1, 20),
    "sample_rate_hz": (200.0, 2000.0),
    "mode_hz": (2.0, 1000.0),
    "mode_damping": (0.001, 1.0),
    "mode_participation": (0.0, 1.0),
}
"""What a profile may say, per field: least and most. The physics is sure inside these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisPlant:
    """
    One axis of a gimbal's hardware. Raises ValueError outside :data:`RANGES`.

    The motion, with the torque of the motor and the rate of the base (all SI, rad)::

        inertia · rate'  = torque - viscous · slip - coulomb · tanh(slip / 0.02) + load
        motor_lag · torque' = command - torque        slip = rate - base_rate

    ``inertia_kg_m2`` is the nominal one: lenses change it, so the judge varies it.
    ``imbalance_nm`` is the most that gravity pulls at a camera whose centre of mass is off the
    axis. A command takes effect ``dead_time_samples`` after its measurement (and lasts one
    sample). The gyro sits on a structure that bends: it sees, beside the rate, that of one mode
    of ``mode_hz``, ``mode_damping`` (share of critical), driven by the motor's torque over the
    inertia times ``mode_participation`` (0: stiff). J. M. Hilkert, "Inertially stabilized
    platform technology", IEEE Control Systems Magazine 28(1), 2008, has the model and why
    friction, imbalance and structural bending are what limits it.
    """

    inertia_kg_m2: float
    viscous_nms_rad: float
    coulomb_nm: float
    imbalance_nm: float
    torque_peak_nm: float
    motor_lag_s: float
    dead_time_samples: int
    sample_rate_hz: float
    mode_hz: float
    mode_damping: float
    mode_participation: float

    def __post_init__(self) -> None:
        """Refuse what the physics is not made for."""
        for field in fields(self):
            least, most = RANGES[field.name]
            value = getattr(self, field.name)
            if not least <= value <= most:
                msg = f"{field.name} {value:g} is not from {least:g} to {most:g}"
                raise ValueError(msg)

    @property
    def step_s(self) -> float:
        """The time from one sample to the next."""
        return 1.0 / self.sample_rate_hz
