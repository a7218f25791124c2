"""Small configurations and fleets that the tests of this directory start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.staging.bundle import Bundle, make_bundle
from orchestrator.staging.documents import Source
from orchestrator.staging.load import LoadedFleet, load_config, load_fleet
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.overlay import ConfigSource

ROOT = Path(__file__).parent.parent.parent
CONFIGS = ROOT / "configs"
DATA = Path(__file__).parent / "data"

CONFIG = """\
schema = 2
[yaw]
angle_min_deg = -160
angle_max_deg = 160
[pitch]
[roll]
"""

FLEET = """\
fleet = "f"
config = "aim.conf"
[gimbal.g30]
yaw = { min_deg = -170, max_deg = 170 }
pitch = { min_deg = -110, max_deg = 35 }
roll = { min_deg = -40, max_deg = 40 }
rate_max_deg_s = 180
accel_max_deg_s2 = 1200
torque_peak_nm = 0.25
modes = ["lock", "follow"]
[[device]]
id = "d-01"
kind = "drone"
gimbal = "g30"
groups = ["a", "b"]
[[device]]
id = "d-02"
kind = "drone"
gimbal = "g30"
[[device]]
id = "arm-01"
kind = "arm"
[timing]
clock_error_ms = 500
[gimbal.g30.plant]
inertia_kg_m2 = 1.2e-3
viscous_nms_rad = 2e-3
coulomb_nm = 4e-3
imbalance_nm = 5e-3
motor_lag_s = 0.002
dead_time_samples = 2
sample_rate_hz = 1000
mode_hz = 55
mode_damping = 0.03
mode_participation = 0.12
"""


def source(text: str, name: str = "aim.conf") -> Source:
    """A text under a short name."""
    return Source(name=name, text=text)


def config(text: str = "") -> ConfigSource:
    """The small configuration with ``text`` at its end."""
    return load_config(source(CONFIG + text))


def fleet(text: str = FLEET) -> LoadedFleet:
    """The small fleet, or another."""
    return load_fleet(source(text, "f.toml"))


def bundle(text: str = "") -> Bundle:
    """What the small fleet runs with ``text`` at the end of the small configuration."""
    return make_bundle(config(text), fleet())


def sayings(call: Any, *args: Any, **options: Any) -> list[str]:
    """What the call refuses, one line a note; empty where it refuses nothing."""
    try:
        call(*args, **options)
    except InvalidInput as error:
        return [str(note) for note in error.notes]
    return []
