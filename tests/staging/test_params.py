"""Between configurations and parameter files: what knows both the models and the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.autopilot import Format, ParamDocument
from orchestrator.staging.documents import Source
from orchestrator.staging.load import load_config
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.overlay import Target, effective
from orchestrator.staging.params import (
    KIND,
    Imported,
    export_params,
    flat,
    import_params,
    nested,
    params_document,
    read_params,
)

DATA = Path(__file__).parent.parent / "autopilot" / "data"
FILES = {
    "small-gimbal.param": "ardupilot",
    "three-axes.param": "ardupilot",
    "today.param": "ardupilot",
    "px4.params": "px4",
}


def imported(name: str) -> tuple[ParamDocument, Imported]:
    """A file of the data, and what is read from it."""
    document = read_params(DATA / name)
    return document, import_params(name, document)


def made(text: str) -> AimConfig:
    """What a drone runs that is given this TOML."""
    config = load_config(Source(name="x.toml", text=text))
    found = effective(config, Target(kind=KIND))
    assert isinstance(found, AimConfig), found
    return found


def test_every_file_of_the_data_is_tried() -> None:
    """A file that is added is added here."""
    assert sorted(FILES) == sorted(path.name for path in DATA.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_import_then_export_changes_nothing(name: str) -> None:
    """The bytes of the file come back, unknown parameters and comments with them."""
    document, found = imported(name)
    exported = export_params(
        made(found.text),
        name="x.toml",
        where=lambda _path: (None, ""),
        autopilot=FILES[name],
        base=document,
    )
    assert () == exported.changed
    assert (DATA / name).read_bytes() == exported.document.render()


@pytest.mark.parametrize("name", FILES)
def test_what_is_imported_is_a_sound_configuration(name: str) -> None:
    """The text reads back as the values, and obeys every rule."""
    _, found = imported(name)
    values = flat(made(found.text))
    assert found.values == {key: values[key] for key in found.values}


def test_the_values_of_an_older_ardupilot() -> None:
    """Centidegrees become degrees; what the file lacks has the firmware's default."""
    _, found = imported("three-axes.param")
    assert "ArduPilot before 4.3" == found.table.title
    expected = {
        "pitch.angle_min_deg": -90.0,
        "pitch.angle_max_deg": 10.0,
        "yaw.angle_max_deg": 179.99,
        "roll.angle_min_deg": -45.0,
        "default_mode": "rc",
    }
    assert expected == {key: found.values[key] for key in expected}
    assert ("MNT_RC_IN_TILT", "MNT_TYPE", "SERIAL2_BAUD", "SERIAL2_PROTOCOL") == found.unknown
    assert "angle_min_deg = -90.0           # MNT_ANGMIN_TIL\n" in found.text
    assert 'default_mode = "rc"             # the firmware\'s default\n' in found.text


def test_what_no_parameter_says_is_made_to_fit() -> None:
    """The landed limits end at the pitch limits, and that is told."""
    _, found = imported("three-axes.param")
    why = "the default 20 is outside the pitch limits"
    assert {"drone.landed_pitch_max_deg": why} == found.chosen
    assert 10.0 == found.values["drone.landed_pitch_max_deg"]


def test_other_components_are_unknown_by_their_number() -> None:
    """The gimbal's own parameters are named as such."""
    _, found = imported("px4.params")
    assert (
        "BAT1_N_CELLS",
        "MNT_MAV_COMPID",
        "MNT_MODE_OUT",
        "GMB_MAX_TORQUE of component 154",
    ) == found.unknown


def test_an_axis_without_a_range_is_off() -> None:
    """Two axes are common: the third has both limits at 0."""
    data = b"MNT1_ROLL_MIN,0\nMNT1_ROLL_MAX,0\n"
    found = import_params("x.param", params_document("x.param", data))
    config = made(found.text)
    assert (False, False) == (config.roll.enabled, config.stabilisation.horizon_lock)


def test_a_narrow_axis_gets_a_rate_that_it_can_brake() -> None:
    """The default slew would not stop within a quarter of ten degrees."""
    data = b"MNT1_ROLL_MIN,-5\nMNT1_ROLL_MAX,5\n"
    found = import_params("x.param", params_document("x.param", data))
    assert 54.0 == found.values["roll.rate_max_deg_s"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"RATE_PIT_P,0.1\n", "v.param: error: holds no gimbal parameter that this program knows"),
        (b"MNT1_TYPE,1\nB\n", "v.param:2: error: 'B' is not NAME,VALUE"),
        (b"#\nMNT1_PITCH_MIN,-200\n", "v.param:2: error: pitch.angle_min_deg: -200 is below -90"),
        (
            b"MNT1_PITCH_MAX,-20\nMNT1_NEUTRAL_Y,400\nMNT1_YAW_MIN,-500\n",
            "v.param:3: error: yaw.angle_min_deg: -500 is below -360",
        ),
    ],
)
def test_a_file_that_makes_no_configuration_is_refused_by_its_line(data: bytes, said: str) -> None:
    """Nothing is put right in silence."""
    with pytest.raises(InvalidInput) as refused:
        import_params("v.param", params_document("v.param", data))
    assert said in [str(note) for note in refused.value.notes]


def test_a_file_of_another_autopilot_than_was_named() -> None:
    """It is refused, not read as something else."""
    with pytest.raises(InvalidInput, match="holds no gimbal parameter of px4"):
        import_params("x", read_params(DATA / "today.param"), "px4")


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    """The reason is the system's."""
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        read_params(tmp_path / "missing.param")


def test_export_refuses_what_the_autopilot_can_not_hold() -> None:
    """By the configuration's line, with the numbers."""
    config = AimConfig.model_validate(nested({"yaw.angle_min_deg": -12.5}))
    with pytest.raises(InvalidInput) as refused:
        export_params(
            config,
            name="a.toml",
            where=lambda path: (7, ".".join(str(part) for part in path)),
            autopilot="ardupilot",
        )
    said = "-12.5 is no whole number, which MNT1_YAW_MIN must be"
    assert [f"a.toml:7: error: yaw.angle_min_deg: {said}"] == [
        str(note) for note in refused.value.notes
    ]


def test_a_base_gets_what_it_lacks_unless_it_is_the_firmwares() -> None:
    """One value changes in place, one is added; what is at its default is not."""
    base = params_document("v.param", b"# mine\nMNT1_PITCH_MIN,-60\nOTHER,1\n")
    config = AimConfig.model_validate(nested({"neutral.pitch_deg": -10.0, "default_mode": "rc"}))
    exported = export_params(
        config, name="a", where=lambda _path: (None, ""), autopilot="ardupilot", base=base
    )
    assert ("MNT1_PITCH_MIN", "MNT1_NEUTRAL_Y", "MNT1_RC_RATE", "MNT1_OPTIONS") == exported.changed
    assert (
        b"# mine\nMNT1_PITCH_MIN,-90\nOTHER,1\n"
        b"MNT1_NEUTRAL_Y,-10.0\nMNT1_RC_RATE,30\nMNT1_OPTIONS,2\n"
    ) == exported.document.render()


@pytest.mark.parametrize(("autopilot", "form"), [("ardupilot", "param"), ("px4", "params")])
def test_a_new_file_says_the_whole_configuration(autopilot: str, form: str) -> None:
    """Read back, it says what was exported."""
    config = AimConfig.model_validate(nested({"default_mode": "mavlink"}))
    exported = export_params(
        config,
        name="a",
        where=lambda _path: (None, ""),
        autopilot=autopilot,
        form=Format(form),
    )
    again = import_params("b", exported.document)
    values = flat(config)
    assert again.values == {key: values[key] for key in again.values}
    assert {} == again.odd
