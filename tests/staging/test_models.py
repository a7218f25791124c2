"""The configuration's schema and the rules between its fields."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from orchestrator.staging import axes, models, plant, policy
from orchestrator.staging import fleet as fleet_models
from orchestrator.staging.explain import checked
from orchestrator.staging.kinds import REGISTRY
from orchestrator.staging.models import AimConfig

PLAIN: dict[str, Any] = {"schema": 2, "yaw": {}, "pitch": {}, "roll": {}, "drone": {}}


def with_values(**changes: Any) -> dict[str, Any]:
    """The plain configuration with ``section__key=value`` set, or ``section=value``."""
    values = copy.deepcopy(PLAIN)
    for name, value in changes.items():
        *tables, key = name.split("__")
        table = values
        for each in tables:
            table = table.setdefault(each, {})
        table[key] = value
    return values


def said(values: dict[str, Any]) -> list[str]:
    """Return what is wrong with the values, one line a note."""
    found = checked(AimConfig, values, "x", lambda path: (None, path))
    assert isinstance(found, list)
    return [f"{note.key}: {note.message}" for note in found]


def zone(*edges: float, reason: str = "legs") -> dict[str, Any]:
    """Return a sector to keep out of."""
    keys = ("yaw_min_deg", "yaw_max_deg", "pitch_min_deg", "pitch_max_deg")
    return {**dict(zip(keys, edges, strict=True)), "reason": reason}


def test_the_plain_configuration_is_valid() -> None:
    """The three axes' tables and a kind are enough; everything else has a default."""
    assert AimConfig.model_validate(PLAIN).kind == "drone"


def test_the_defaults_are_the_measured_ones() -> None:
    """The defaults of an axis are those that were found to be stable."""
    axis = AimConfig.model_validate(PLAIN).pitch
    assert (8, 0.085, 0.7, 0, 120, 0.1) == (
        axis.angle_p, axis.rate_p, axis.rate_i, axis.rate_d, axis.gyro_lpf_hz,
        axis.integrator_max_nm,
    )  # fmt: skip


RULES = [
    ({"yaw__angle_min_deg": 180.0}, "yaw.angle_min_deg: 180 is not below angle_max_deg 180"),
    (
        {"pitch__rate_max_deg_s": 220.0},
        (
            "pitch.rate_max_deg_s: braking from 220 deg/s at 600 deg/s² takes 40.33 deg, more "
            "than a quarter of the range of 110 deg"
        ),
    ),
    (
        {"roll__integrator_max_nm": 0.3},
        "roll.integrator_max_nm: 0.3 is not below torque_max_nm 0.25",
    ),
    ({"neutral__pitch_deg": 30.0}, "neutral.pitch_deg: 30 is outside pitch's -90 to 20"),
    ({"retract__roll_deg": -31}, "retract.roll_deg: -31 is outside roll's -30 to 30"),
    ({"arm": {}}, ": needs exactly one of the sections drone, arm and node, has drone and arm"),
    ({"drone": None}, ": needs exactly one of the sections drone, arm and node, has none"),
    (
        {"tracking": {"enabled": True, "rate_max_deg_s": 130.0}, "pitch__rate_max_deg_s": 140},
        "tracking.rate_max_deg_s: 130 is above yaw.rate_max_deg_s 120",
    ),
    (
        {"tracking": {"enabled": True, "gate_px": 65}},
        "tracking.gate_px: 65 is above tracking.roi_px 64",
    ),
    (
        {"tracking__hold_confidence": 0.75},
        "tracking.hold_confidence: 0.75 is above acquire_confidence 0.7",
    ),
    (
        {"tracking__lose_confidence": 0.65},
        "tracking.lose_confidence: 0.65 is above hold_confidence 0.6",
    ),
    ({"yaw__notch_hz": 9.5}, "yaw.notch_hz: 9.5 is neither 0 (off) nor 10 or more"),
    (
        {"roll__notch_hz": 20.0},
        "roll.notch_bandwidth_hz: 20 is not below notch_hz 20",
    ),
    (
        {"manual__rate_max_deg_s": 40.0, "yaw__rate_max_deg_s": 35.0},
        "manual.rate_max_deg_s: 40 is above yaw.rate_max_deg_s 35",
    ),
    (
        {"drone": None, "arm": {"load_rate_max_deg_s": 80}, "pitch__rate_max_deg_s": 60},
        "arm.load_rate_max_deg_s: 80 is above pitch.rate_max_deg_s 60",
    ),
    (
        {"drone__landed_pitch_min_deg": 20},
        "drone.landed_pitch_min_deg: 20 is not below landed_pitch_max_deg 20",
    ),
    (
        {"pitch__angle_min_deg": -60},
        "drone.landed_pitch_min_deg: -90 is below pitch.angle_min_deg -60",
    ),
    (
        {"drone__landed_pitch_max_deg": 25},
        "drone.landed_pitch_max_deg: 25 is above pitch.angle_max_deg 20",
    ),
    (
        {"roll__enabled": False},
        "stabilisation.horizon_lock: a level horizon needs the roll axis enabled",
    ),
    (
        {"yaw__enabled": False, "tracking__enabled": True},
        "tracking.enabled: tracking needs the yaw and pitch axes enabled",
    ),
    (
        {"keep_out": [zone(20, 10, 0, 5)]},
        "keep_out[0].yaw_min_deg: 20 is not below yaw_max_deg 10",
    ),
    (
        {"keep_out": [zone(-10, 10, -5, 5)], "retract__pitch_deg": 10.0},
        "neutral: points into keep_out[0] (legs)",
    ),
    (
        {"keep_out": [zone(90, 100, -90, 20)]},
        "keep_out: cuts the range into parts that the gimbal can't go between",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), RULES)
def test_a_rule_between_fields_is_held(changes: dict[str, Any], expected: str) -> None:
    """Each rule between fields refuses its case, by key and with the numbers, and alone."""
    assert [expected] == said(with_values(**changes))


def test_a_keep_out_that_leaves_a_way_round_is_allowed() -> None:
    """A sector that does not cut the range in two is a valid configuration."""
    AimConfig.model_validate(with_values(keep_out=[zone(90, 100, -90, 15), zone(60, 80, 0, 20)]))


@pytest.mark.parametrize("middle_hz", [0, 10, 55, 400])
def test_a_notch_is_off_or_narrower_than_its_middle(middle_hz: float) -> None:
    """The ends of the range are allowed, and a notch that is off may have any width."""
    width = 9.0 if middle_hz else 100.0
    notch = {"notch_hz": middle_hz, "notch_bandwidth_hz": width}
    AimConfig.model_validate(with_values(yaw=notch, pitch=notch))


def test_equal_thresholds_are_in_order() -> None:
    """A lock may be acquired, held and lost at one match."""
    equal = {"acquire_confidence": 0.5, "hold_confidence": 0.5, "lose_confidence": 0.5}
    AimConfig.model_validate(with_values(tracking=equal))


def test_everything_left_nothing_to_point_at() -> None:
    """Sectors that cover the whole range are refused, beside the poses inside them."""
    assert "keep_out: no direction is left that the gimbal may point at" in said(
        with_values(keep_out=[zone(-180, 180, -90, 20)])
    )


def test_rules_do_not_look_at_an_axis_that_is_off() -> None:
    """An axis that is not driven can be left with any limits."""
    AimConfig.model_validate(
        with_values(
            roll={"enabled": False, "angle_min_deg": 30.0},
            stabilisation={"horizon_lock": False},
            neutral={"roll_deg": 100.0},
        )
    )


@pytest.mark.parametrize(
    "value", ["3", True, None, float("nan"), float("inf"), 10**400, [1.0], {"a": 1}]
)
def test_a_number_is_nothing_else(value: Any) -> None:
    """Numbers are strict and finite: no text, no boolean, no null, no list."""
    with pytest.raises(ValidationError):
        AimConfig.model_validate(with_values(yaw__angle_p=value))


@pytest.mark.parametrize("value", [True, 2.0, "2", 1, 3])
def test_the_schema_version_is_an_integer(value: Any) -> None:
    """Only the whole number 2 is the version, nothing that merely equals it."""
    with pytest.raises(ValidationError):
        AimConfig.model_validate(with_values(schema=value))


def test_a_configuration_does_not_change() -> None:
    """A checked configuration can't be made wrong afterwards."""
    config = AimConfig.model_validate(PLAIN)
    with pytest.raises(ValidationError):
        config.yaw.angle_p = 100.0  # type: ignore[misc]


def all_models() -> Iterator[type[BaseModel]]:
    """Yield every model of a file."""
    for kind in REGISTRY.values():
        yield from (kind.section, kind.policy)
    for module in (models, axes, fleet_models, plant, policy):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseModel):
                yield value


NUMBERS: set[Any] = {float, int, float | None, int | None}


def test_every_number_says_its_unit_range_and_source() -> None:
    """The description of each number has its unit, its range and where it comes from."""
    pattern = re.compile(r"Unit: .+\. Range: .+\. Source: .+\.$", re.DOTALL)
    silent = [
        f"{model.__name__}.{name}"
        for model in all_models()
        for name, info in model.model_fields.items()
        if info.annotation in NUMBERS and model is not axes.Axis
        and not pattern.search(info.description or "")
    ]  # fmt: skip
    assert [] == silent


def test_every_setting_is_described() -> None:
    """Each field that is not a table has a description."""
    silent = [
        f"{model.__name__}.{name}"
        for model in all_models()
        for name, info in model.model_fields.items()
        if info.annotation in {str, bool} and not info.description
    ]
    assert [] == silent
