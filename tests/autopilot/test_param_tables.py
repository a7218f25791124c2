"""The tables: what each autopilot's parameters say, and what they can't."""

from __future__ import annotations

import pytest

from orchestrator.autopilot import (
    ARDUPILOT,
    ARDUPILOT_OLDER,
    PX4,
    ParamType,
    Plain,
    Table,
    params_of,
    table_for,
    values_of,
)
from orchestrator.autopilot.numbers import fits
from orchestrator.autopilot.rows import Scaled
from orchestrator.autopilot.tables import TABLES
from orchestrator.staging.models import AimConfig
from orchestrator.staging.params import flat, nested

YAW: dict[str, Plain] = {"yaw.angle_min_deg": -170.0, "yaw.angle_max_deg": 170.0}
WHOLE: dict[str, Plain] = flat(AimConfig.model_validate(nested(YAW)))


def with_values(**values: Plain) -> dict[str, Plain]:
    """The default configuration with these; ``__`` stands for a dot."""
    return {**WHOLE, **{key.replace("__", "."): value for key, value in values.items()}}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_every_key_of_a_table_exists(table: Table) -> None:
    """A row that names a key that no configuration has would do nothing, silently."""
    assert set() == table.keys - WHOLE.keys()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_every_parameter_is_well_formed(table: Table) -> None:
    """At most 16 characters, the default in its own range and type, each once."""
    names = [param.name for row in table.rows for param in row.params]
    assert len(names) == len(set(names))
    for param in table.params.values():
        assert 16 >= len(param.name)
        assert fits(param.type, param.default)
        assert param.default == param.fit(param.name, param.default)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_the_firmwares_defaults_come_back(table: Table) -> None:
    """What an untouched autopilot says is what it would be told."""
    defaults = {param.name: float(param.default) for param in table.params.values()}
    decoded = values_of(table, defaults)
    assert () == decoded.unknown
    unsaid = {"MNT_MODE_IN": "-1 has no counterpart in default_mode"} if table is PX4 else {}
    assert unsaid == decoded.odd
    back = params_of(table, {**WHOLE, **decoded.values}, defaults)
    assert () == back.unfit
    assert {name: defaults[name] for name in back.params} == back.params


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_the_ends_of_every_number_come_back(table: Table) -> None:
    """Both ends of the range of each plain parameter survive the way there and back."""
    for row in table.rows:
        if not isinstance(row, Scaled) or row.inside is not None:
            continue
        for end in (row.param.low, row.param.high):
            if end is not None:
                found = row.read({row.param.name: end}, {})
                assert {row.param.name: end} == row.write(found, {})


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        (ARDUPILOT, {"pitch__angle_min_deg": -60.5}, "-60.5 is no whole number, which MNT1_PITCH"),
        (
            ARDUPILOT,
            {"yaw__angle_max_deg": 200.0},
            "200 is outside MNT1_YAW_MAX's -180 to 180 deg",
        ),
        (ARDUPILOT, {"failsafe__link_loss_action": "retract"}, "MNT1_OPTIONS knows neutral and"),
        (ARDUPILOT_OLDER, {"roll__angle_max_deg": 180.0}, "18000 is outside MNT_ANGMAX_ROL's"),
        (ARDUPILOT_OLDER, {"default_mode": "home"}, "MNT_DEFLT_MODE knows retract, neutral, mav"),
        (PX4, {"yaw__angle_max_deg": 90.0}, "-170 to 90 is not symmetric, as MNT_RANGE_YAW must"),
        (PX4, {"stabilisation__mode": "follow"}, "follow with stabilisation.horizon_lock True"),
    ],
)
def test_what_an_autopilot_can_not_hold(table: Table, values: dict[str, Plain], said: str) -> None:
    """It is refused by its key, never rounded or clamped; the other parameters are there."""
    encoded = params_of(table, with_values(**values))
    assert [True] == [one.why.startswith(said) for one in encoded.unfit]
    sections = {key.split("__")[0] for key in values}
    assert sections == {one.where.split(".")[0] for one in encoded.unfit}


def test_a_mode_that_px4_does_not_know_leaves_it_as_it_is() -> None:
    """Nothing unsafe follows from the mode after power-up."""
    encoded = params_of(PX4, WHOLE, {"MNT_MODE_IN": 0})
    assert () == encoded.unfit
    assert "MNT_MODE_IN" not in encoded.params
    assert "MNT_MODE_IN knows rc, mavlink, not neutral" == encoded.left["default_mode"]


def test_keys_that_no_parameter_says_are_named() -> None:
    """The gains are the gimbal's own business on both autopilots."""
    for table in TABLES:
        left = params_of(table, WHOLE).left
        assert f"no parameter of {table.title} says it" == left["yaw.rate_p"]
        assert set() == left.keys() & (table.keys - {"default_mode"})


def test_a_limit_beyond_the_pitch_limits_stays() -> None:
    """PX4's landed limits end at the pitch limits anyway: -90 means -45, and stays -90."""
    present = {"MNT_MIN_PITCH": -45.0, "MNT_LND_P_MIN": -90.0}
    values = values_of(PX4, present).values
    assert -45 == values["drone.landed_pitch_min_deg"]
    assert -90 == params_of(PX4, values, present).params["MNT_LND_P_MIN"]


def test_an_older_name_is_kept() -> None:
    """MNT_MODE became MNT_DEFLT_MODE; who has the old one is told by it."""
    present = {"MNT_MODE": 3.0}
    values = values_of(ARDUPILOT_OLDER, present).values
    assert "rc" == values["default_mode"]
    back = params_of(ARDUPILOT_OLDER, {**values, "default_mode": "neutral"}, present).params
    assert (1, False) == (back["MNT_MODE"], "MNT_DEFLT_MODE" in back)


def test_parameters_that_would_be_written_back_otherwise_are_named() -> None:
    """One rate here for two of PX4's; a number that no key says."""
    params = {"MNT_RATE_PITCH": 30.0, "MNT_RATE_YAW": 20.0, "MNT_DO_STAB": 3.0, "MNT_X": 1.0}
    decoded = values_of(PX4, params)
    assert {
        "MNT_RATE_PITCH": "30 would be written back as 20",
        "MNT_DO_STAB": "3 has no counterpart in stabilisation.mode and stabilisation.horizon_lock",
    } == decoded.odd
    assert ("MNT_X",) == decoded.unknown


def test_a_value_out_of_its_range_is_named() -> None:
    """What the firmware would not take back is told where it is read."""
    decoded = values_of(ARDUPILOT, {"MNT1_RC_RATE": 120.0})
    assert "120 is outside MNT1_RC_RATE's 0 to 90 deg/s" == decoded.odd["MNT1_RC_RATE"]


@pytest.mark.parametrize(
    ("names", "autopilot", "table"),
    [
        (["MNT1_PITCH_MIN", "MNT_TYPE"], None, ARDUPILOT),
        (["MNT_ANGMIN_TIL", "RATE_PIT_P"], None, ARDUPILOT_OLDER),
        (["MNT_ANGMIN_TIL"], "ardupilot", ARDUPILOT_OLDER),
        (["MNT_DO_STAB", "MNT_TAU"], None, PX4),
        (["MNT_DO_STAB"], "ardupilot", ARDUPILOT),
        ([], "px4", PX4),
        (["RATE_PIT_P"], None, None),
    ],
)
def test_the_table_is_told_by_the_names(
    names: list[str], autopilot: str | None, table: Table | None
) -> None:
    """The one that knows most of them, of the autopilot that was named."""
    assert table == table_for(names, autopilot)


def test_what_needs_a_restart() -> None:
    """PX4's input mode is heeded at start only."""
    found = [name for table in TABLES for name, param in table.params.items() if param.reboot]
    assert ["MNT_MODE_IN"] == found


def test_the_types_are_those_of_the_firmware() -> None:
    """ArduPilot keeps limits in 16 bits, PX4 in floats."""
    assert ParamType.INT16 is ARDUPILOT.params["MNT1_PITCH_MIN"].type
    assert ParamType.REAL32 is PX4.params["MNT_MIN_PITCH"].type
