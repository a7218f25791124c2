"""``aimctl import`` and ``aimctl export``, on real files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Aimctl
from tests.source import ROOT

DATA = ROOT / "tests" / "autopilot" / "data"
FLEET = """\
fleet = "f"
config = "aim.conf"
[gimbal.g]
yaw = { min_deg = -200.0, max_deg = 200.0 }
pitch = { min_deg = -110.0, max_deg = 35.0 }
roll = { min_deg = -50.0, max_deg = 50.0 }
rate_max_deg_s = 180.0
accel_max_deg_s2 = 1200.0
torque_peak_nm = 0.25
modes = ["lock", "follow", "fpv"]
[[device]]
id = "d-01"
kind = "drone"
gimbal = "g"
groups = ["low"]
"""


@pytest.fixture
def work(home: Path) -> Path:
    """A directory with a fleet and the parameter files."""
    for path in DATA.iterdir():
        shutil.copy(path, home)
    (home / "fleet.toml").write_text(FLEET)
    return home


@pytest.mark.parametrize(
    ("name", "autopilot"),
    [
        ("small-gimbal.param", "ardupilot"),
        ("three-axes.param", "ardupilot"),
        ("today.param", "ardupilot"),
        ("px4.params", "px4"),
    ],
)
def test_import_lint_export(work: Path, aimctl: Aimctl, name: str, autopilot: str) -> None:
    """A parameter file becomes a configuration that lints, and comes back byte for byte."""
    assert 0 == aimctl("import", name, "--out", "aim.toml").code
    assert 0 == aimctl("lint", "aim.toml").code
    whose = ("--fleet", "fleet.toml", "--device", "d-01", "--autopilot", autopilot)
    ran = aimctl("export", "aim.toml", *whose, "--base", name, "--out", "back")
    assert (0, True) == (ran.code, "changed   nothing" in ran.err)
    assert (work / name).read_bytes() == (work / "back").read_bytes()


def test_import_names_what_it_does_not_know(work: Path, aimctl: Aimctl) -> None:
    """On stderr, and in the document; the configuration alone is on stdout."""
    ran = aimctl("import", "three-axes.param")
    assert 'default_mode = "rc"' in ran.out
    assert "unknown   4: MNT_RC_IN_TILT, MNT_TYPE, SERIAL2_BAUD, SERIAL2_PROTOCOL" in ran.err
    found = aimctl("import", "three-axes.param", "--output", "json").document
    names = ["MNT_RC_IN_TILT", "MNT_TYPE", "SERIAL2_BAUD", "SERIAL2_PROTOCOL"]
    assert (names, ran.out) == (found["unknown"], found["text"])
    assert ("ardupilot", None) == (found["autopilot"], found["out"])


def test_import_refuses_by_file_and_line(work: Path, aimctl: Aimctl) -> None:
    """Exit code 9, and the line that is wrong."""
    (work / "bad.param").write_text("MNT1_TYPE,1\nMNT1_PITCH_MIN,x\n")
    ran = aimctl("import", "bad.param")
    assert 9 == ran.code
    assert "bad.param:2: error: 'MNT1_PITCH_MIN,x' is not NAME,VALUE" in ran.err


def test_export_applies_the_devices_overlays(work: Path, aimctl: Aimctl) -> None:
    """What is written is what that device would run, with tabs as QGroundControl has them."""
    aimctl("import", "px4.params", "--out", "aim.toml")
    with (work / "aim.toml").open("a") as file:
        file.write("[overlay.group.low]\nstabilisation = { follow_tau_s = 0.5 }\n")
    whose = ("--fleet", "fleet.toml", "--device", "d-01", "--autopilot", "px4")
    ran = aimctl("export", "aim.toml", *whose, "--base", "px4.params")
    assert "changed   1: MNT_TAU" in ran.err
    assert "1\t1\tMNT_TAU\t0.5\t9\n" in ran.out
    found = aimctl("export", "aim.toml", *whose, "--output", "json").document
    assert 0.5 == found["params"]["MNT_TAU"]
    assert "no parameter of PX4 says it" == found["left"]["yaw.rate_p"]


def test_export_refuses_what_does_not_fit_by_its_line(work: Path, aimctl: Aimctl) -> None:
    """Exit code 9; the line is the overlay's, which decides the value."""
    aimctl("import", "today.param", "--out", "aim.toml")
    with (work / "aim.toml").open("a") as file:
        file.write("[overlay.group.low]\nyaw = { angle_min_deg = -60.25 }\n")
    line = len((work / "aim.toml").read_text().splitlines())
    whose = ("--fleet", "fleet.toml", "--device", "d-01", "--autopilot", "ardupilot")
    ran = aimctl("export", "aim.toml", *whose)
    assert 9 == ran.code
    assert f"aim.toml:{line}: error: overlay.group.low.yaw.angle_min_deg: -60.25 is no" in ran.err


@pytest.mark.parametrize(
    ("out", "first"),
    [("x.param", "# ArduPilot: gimbal parameters from aim.toml"), ("x.params", "# Vehicle-Id")],
)
def test_the_ending_chooses_the_format(work: Path, aimctl: Aimctl, out: str, first: str) -> None:
    """.param is ArduPilot's, .params QGroundControl's."""
    aimctl("import", "today.param", "--out", "aim.toml")
    whose = ("--fleet", "fleet.toml", "--device", "d-01", "--autopilot", "ardupilot")
    assert 0 == aimctl("export", "aim.toml", *whose, "--out", out).code
    assert first in (work / out).read_text()
    assert (out == "x.params") == ("1\t1\tMNT1_PITCH_MIN\t-80\t4\n" in (work / out).read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--device", "d-99", "--autopilot", "px4"), 2, "fleet f has no device 'd-99'"),
        (("--device", "d-01", "--autopilot", "acme"), 2, "acme"),
        (("--device", "d-01", "--autopilot", "px4", "--base", "none"), 9, "none: error: can't be"),
        (("--device", "d-01", "--autopilot", "px4", "--out", "no/x"), 2, "no/x: can't be written"),
    ],
)
def test_wrong_use_of_export(
    work: Path, aimctl: Aimctl, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Each ends with its code and what is wrong."""
    aimctl("import", "px4.params", "--out", "aim.toml")
    ran = aimctl("export", "aim.toml", "--fleet", "fleet.toml", *arguments)
    assert (code, True) == (ran.code, said in ran.err)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--hook", "true", "--mavlink", "udpin:127.0.0.1:1"), ("--autopilot", "px4")],
)
def test_an_agent_has_one_controller(
    work: Path, aimctl: Aimctl, arguments: tuple[str, ...]
) -> None:
    """A hook or an autopilot, not both and not none."""
    paths = ("--state-dir", "state", "--active", "aim.conf")
    ran = aimctl("agent", "--device", "d-01", "--fleet", "fleet.toml", *paths, *arguments)
    assert (2, True) == (ran.code, "a device has one controller" in ran.err)
