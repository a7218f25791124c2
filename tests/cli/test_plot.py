"""``aimctl plot``: real figures of real configurations, and how it is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestrator.staging.checks import check_against_gimbal
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.overlay import Target, effective
from tests.cli.conftest import Aimctl
from tests.source import ROOT

GOOD = "aim_lock_config.conf"
PNG = b"\x89PNG\r\n\x1a\n"
PANELS = {
    "Step: angle [°]",
    "Its torque [N m], clamped at ±0.25",
    "Error under an imbalance of 0.005 N m [°]",
    "Error on a base that sways 5° at 1.5 Hz [°]",
    "Open loop: gain [dB]",
    "Open loop: phase [°]",
    "time [s]",
    "frequency [Hz]",
}


@pytest.fixture
def work(home: Path) -> Path:
    """A directory with the samples, and variants of the drones' configuration."""
    shutil.copytree(ROOT / "configs", home, dirs_exist_ok=True)
    text = (home / GOOD).read_text()
    for name, old, new in (
        ("hot.conf", "rate_p = 0.085", "rate_p = 0.34"),
        ("late.conf", "gyro_lpf_hz = 120.0", "gyro_lpf_hz = 40.0"),
        ("wide.conf", "angle_max_deg = 160.0", "angle_max_deg = 175.0"),
        ("bad.conf", "rate_p = 0.085", "rate_p = -1.0"),
    ):
        assert old in text
        (home / name).write_text(text.replace(old, new))
    return home


def texts(path: Path) -> list[str]:
    """Every text that a person reads in an SVG."""
    tree = ET.parse(path)
    assert "{http://www.w3.org/2000/svg}svg" == tree.getroot().tag
    found = ["".join(one.itertext()).strip() for one in tree.iter() if one.tag.endswith("}text")]
    return [one for one in found if one]


def drawn(aimctl: Aimctl, *arguments: str, out: str = "x.svg") -> list[str]:
    """Draw one axis for the first fleet, and return the texts of the figure."""
    ran = aimctl("plot", *arguments, "--fleet", "hazard-12", "--axis", "yaw", "--out", out)
    assert 0 == ran.code, ran.err
    return texts(Path(out))


# --- figures ----------------------------------------------------------------------------------


def test_a_png_by_default(work: Path, aimctl: Aimctl) -> None:
    """Named after configuration and profile, in this directory; large enough to read."""
    ran = aimctl("plot", GOOD, "--profile", "g30", "--fleet", "hazard-12")
    data = (work / "aim_lock_config-g30.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert (0, PNG, True) == (ran.code, data[:8], "✔ aim_lock_config-g30.png" in ran.out)
    assert (1500, True) == (width, 1500 < height < 2000)


def test_an_svg_has_its_labels_as_text(work: Path, aimctl: Aimctl) -> None:
    """Every panel with its unit, what is drawn, every inertia with its margin, the verdict."""
    found = drawn(aimctl, GOOD, "--profile", "g30")
    assert set() == PANELS - set(found)
    assert {GOOD, "yaw", "gimbal g30 of fleet hazard-12, as d-01 runs it"} <= set(found)
    assert {"0.7 × inertia", "1 × inertia", "1.4 × inertia", "command"} <= set(found)
    assert "1 × inertia: phase margin 52.7° at 11.4 Hz, peak 1.64" in found
    assert f"Verdict on {GOOD}: sound" in found
    assert "pitch" not in found


def test_every_axis_has_a_band(work: Path, aimctl: Aimctl) -> None:
    """Without --axis all that the gimbal and the configuration have: a mast has two."""
    ran = aimctl("plot", "yard_aim.conf", "--profile", "mast-2", "--out", "x.svg")
    found = texts(work / "x.svg")
    assert (0, ["yaw", "pitch"]) == (ran.code, [t for t in found if t in {"yaw", "pitch", "roll"}])


def test_old_against_new_in_one_picture(work: Path, aimctl: Aimctl) -> None:
    """Both have their curves and their verdicts, and what has changed is said."""
    found = drawn(aimctl, "late.conf", "--against", GOOD, "--profile", "g30")
    assert {f"late.conf  against  {GOOD}", "gyro_lpf_hz 120 → 40"} <= set(found)
    assert {"new 1.4 × inertia", "old 1.4 × inertia"} <= set(found)
    assert "old 1 × inertia: phase margin 52.7° at 11.4 Hz, peak 1.64" in found
    assert f"Verdict on old {GOOD}: sound" in found
    assert any(one.startswith("Verdict on new late.conf: no, ") for one in found)


def test_an_unsound_configuration_is_drawn_with_every_finding(work: Path, aimctl: Aimctl) -> None:
    """Exit code 0; the caption has what a device would answer, word for word, of all axes."""
    fleet = load_fleet(read(work / "fleets" / "hazard-12.toml")).file
    config = effective(load_config(read(work / "late.conf")), Target(kind="drone"))
    assert isinstance(config, AimConfig)
    reasons = check_against_gimbal(config, fleet.gimbal["g30"])
    found = drawn(aimctl, "late.conf", "--profile", "g30")
    assert any(one.startswith("phase margin") for one in reasons)
    assert [f"• {one}" for one in reasons] == [one for one in found if one.startswith("•")]
    assert f"Verdict on late.conf: no, {len(reasons)} findings" in found


def test_an_unstable_configuration_is_drawn(work: Path, aimctl: Aimctl) -> None:
    """It has no margins, and says so; its torque goes to the clamps."""
    found = drawn(aimctl, "hot.conf", "--profile", "g30")
    assert ["0.7", "1", "1.4"] == sorted(
        one.partition(" ×")[0] for one in found if one.endswith("× inertia: unstable")
    )
    assert not any("phase margin" in one for one in found)


def test_what_no_controller_can_run_is_drawn_without_curves(work: Path, aimctl: Aimctl) -> None:
    """A filter above half of a slow controller's sample rate: the panel says why it is empty."""
    fleet = (work / "fleets" / "hazard-12.toml").read_text()
    (work / "slow.toml").write_text(fleet.replace("hz = 1000.0", "hz = 220.0"))
    arguments = ("--profile", "g30", "--fleet", "slow", "--axis", "yaw", "--out", "x.svg")
    ran = aimctl("plot", GOOD, *arguments, "--output", "json")
    told = " ".join(texts(work / "x.svg"))
    why = "gyro_lpf_hz 120 Hz ≥ 110 Hz, half the sample rate"
    assert (0, {"yaw": []}) == (ran.code, ran.document["margins"])
    assert f"can't be run: {why}" in told
    assert f"• {why} on yaw" in told


def test_what_hardware_can_not_do_is_a_finding(work: Path, aimctl: Aimctl) -> None:
    """The judge of the loops has nothing to say, the gimbal's limits have."""
    found = drawn(aimctl, "wide.conf", "--profile", "g30")
    assert "• yaw angle_max_deg 175 > 170 of gimbal 'g30'" in found


def test_a_name_is_no_formula(work: Path, aimctl: Aimctl) -> None:
    """What stands in a file's name is written as it is; a long one is shortened."""
    name = "$x^2$ & <b>.conf"
    shutil.copy(work / GOOD, work / name)
    long = f"{'x' * 80}.conf"
    shutil.copy(work / GOOD, work / long)
    found = drawn(aimctl, name, "--against", long, "--profile", "g30")
    assert f"{name}  against  {'x' * 59}…" in found


def test_the_same_picture_is_the_same_bytes(work: Path) -> None:
    """In another process, with other hashes, at another time, with a style of one's own."""
    plot = ("plot", GOOD, "--profile", "g30", "--fleet", "hazard-12", "--axis", "yaw")
    for name, seed in (("a", "1"), ("b", "7")):
        outs = ("--out", f"{name}.png", "--out", f"{name}.svg")
        subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *plot, *outs],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
        )
        (work / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\n")
    for form in ("png", "svg"):
        assert (work / f"a.{form}").read_bytes() == (work / f"b.{form}").read_bytes()


# --- the document -----------------------------------------------------------------------------


def test_the_document_has_files_margins_and_verdicts(work: Path, aimctl: Aimctl) -> None:
    """By axis and inertia; of both configurations; every file that was written."""
    ran = aimctl(
        *("plot", "late.conf", "--against", GOOD, "--profile", "g30", "--fleet", "hazard-12"),
        *("--axis", "pitch", "--out", "a.svg", "--out", "b.png", "--output", "json"),
    )
    found = ran.document
    assert (0, ["a.svg", "b.png"], "late.conf") == (ran.code, found["files"], found["config"])
    assert all((work / name).is_file() for name in found["files"])
    assert ("g30", "hazard-12", "d-01", "drone", []) == tuple(
        found[name] for name in ("profile", "fleet", "device", "kind", "others")
    )
    old = found["against"]
    assert {"pitch"} == set(old["margins"]) == set(found["margins"])
    assert [0.7, 1.0, 1.4] == [one["inertia_factor"] for one in old["margins"]["pitch"]]
    assert 52.7 == pytest.approx(old["margins"]["pitch"][1]["phase_margin_deg"], abs=0.1)
    assert (GOOD, True, []) == (old["config"], old["verdict"]["sound"], old["verdict"]["findings"])


def test_a_finding_in_the_document_has_its_numbers(work: Path, aimctl: Aimctl) -> None:
    """What was found, what is asked, on which axis and at which inertia."""
    arguments = ("--profile", "g30", "--fleet", "hazard-12", "--axis", "yaw", "--out", "x.png")
    found = aimctl("plot", "late.conf", *arguments, "--output", "json").document["verdict"]
    (phase,) = (
        one
        for one in found["findings"]
        if ("phase margin", "yaw") == (one["criterion"], one["axis"])
    )
    assert ("physics", 30.0) == (phase["component"], phase["limit"])
    assert phase["value"] < 30.0
    assert f"at {phase['inertia_factor']:g} × inertia" in phase["text"]


def test_of_an_unstable_loop_the_document_has_no_margins(work: Path, aimctl: Aimctl) -> None:
    """JSON has no infinity, and a number would be one that means nothing."""
    arguments = ("--profile", "g30", "--fleet", "hazard-12", "--axis", "yaw", "--out", "x.png")
    ran = aimctl("plot", "hot.conf", *arguments, "--output", "json")
    first = ran.document["margins"]["yaw"][0]
    assert {"inertia_factor": 0.7, "stable": False} == {
        name: value for name, value in first.items() if value is not None
    }


# --- which gimbal, which device ---------------------------------------------------------------


def test_without_a_fleet_the_one_that_locks_the_configuration_is_taken(
    work: Path, aimctl: Aimctl
) -> None:
    """Two sample fleets have a g30; one of them is about this configuration. A wreck is named."""
    (work / "wreck.toml").write_text("fleet = \n")
    arguments = ("--profile", "g30", "--axis", "yaw", "--out", "x.png", "--output", "json")
    ran = aimctl("plot", "yard_aim.conf", *arguments)
    assert (0, "yard-mixed") == (ran.code, ran.document["fleet"])
    assert "passed over: wreck.toml:1: error" in ran.err


def test_the_devices_overlays_decide_what_is_drawn(work: Path, aimctl: Aimctl) -> None:
    """The first that carries the gimbal, with a note on those that differ; or a named one."""
    arguments = ("--profile", "g30", "--axis", "yaw", "--out", "x.svg")
    ran = aimctl("plot", "yard_aim.conf", *arguments)
    assert "note      other loops run on drone-02, drone-03: use --device ID" in ran.err
    assert any("rate_max_deg_s 90 " in one for one in texts(work / "x.svg"))
    ran = aimctl("plot", "yard_aim.conf", *arguments, "--device", "drone-02")
    assert (0, "") == (ran.code, ran.err)
    assert any("rate_max_deg_s 60 " in one for one in texts(work / "x.svg"))
    ran = aimctl("plot", "yard_aim.conf", *arguments, "--kind", "arm")
    found = texts(work / "x.svg")
    assert "gimbal g30 of fleet yard-mixed, with the overlay of kind arm alone" in found
    assert any("rate_p 0.3 " in one for one in found)


def test_a_device_on_a_gimbal_that_it_does_not_carry_is_noted(work: Path, aimctl: Aimctl) -> None:
    """What would happen if: drawn, and said."""
    arguments = ("--profile", "arm-eye", "--axis", "yaw", "--out", "x.png")
    ran = aimctl("plot", "yard_aim.conf", *arguments, "--device", "drone-01")
    assert (0, True) == (ran.code, "drone-01 carries g30, and not arm-eye" in ran.err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--profile", "g31", "--fleet", "hazard-12"), "no [gimbal.g31]; known are g30"),
        (("--profile", "g31"), "known are g30 of fleets/hazard-12.toml"),
        (("--profile", "g30", "--fleet", "bare"), "nothing is known of its physics"),
        (("--profile", "g30", "--fleet", "hazard-12", "--device", "d-99"), "it has d-01, d-02"),
        (
            ("--profile", "g30", "--fleet", "hazard-12", "--kind", "x"),
            "known are drone, arm, node",
        ),
        (("--profile", "g30", "--kind", "drone", "--device", "d-01"), "--device or --kind"),
        (("--profile", "g30", "--fleet", "hazard-12", "--out", "x.pdf"), "ends in .png or .svg"),
        (("--profile", "g30", "--fleet", "hazard-12", "--axis", "tilt"), '"yaw", "pitch", "roll"'),
        (("--profile", "g30", "--fleet", "none-here"), "there is no file of fleet 'none-here'"),
        (("--profile", "g30", "--fleet", "hazard-12", "--out", "no/x.svg"), "can't be written"),
        (("--profile", "arm-eye", "--fleet", "idle"), "no device of fleet idle carries arm-eye"),
        (("--fleet", "hazard-12"), "--profile"),
    ],
)
def test_wrong_use_says_what_there_is(
    work: Path, aimctl: Aimctl, arguments: tuple[str, ...], told: str
) -> None:
    """2, or 9 where a fleet is not found; nothing is written."""
    fleet = (work / "fleets" / "hazard-12.toml").read_text()
    head, _, rest = fleet.partition("[gimbal.g30.plant]")
    (work / "bare.toml").write_text(head + rest[rest.index("[policy") :])
    (work / "idle.toml").write_text(
        fleet.replace('"hazard-12"', '"idle"')
        .replace("gimbal.g30", "gimbal.arm-eye")
        .replace('gimbal = "g30"', "")
    )
    ran = aimctl("plot", GOOD, *arguments, "--output", "json")
    assert 9 if "none-here" in arguments else 2 == ran.code
    assert told in ran.document["message"]
    assert [] == [*work.glob("*.png"), *work.glob("*.svg")]


def test_several_fleets_must_be_told_apart(work: Path, aimctl: Aimctl) -> None:
    """2, and their names; no fleet at all is told with where was looked."""
    shutil.copy(work / GOOD, work / "other.conf")
    ran = aimctl("plot", "other.conf", "--profile", "g30")
    assert 2 == ran.code
    assert "have a [gimbal.g30]: fleets/hazard-12.toml, fleets/yard-mixed.toml" in ran.err
    shutil.rmtree(work / "fleets")
    ran = aimctl("plot", "other.conf", "--profile", "g30")
    assert (2, True) == (ran.code, "tried configs/fleets/*.toml, fleets/*.toml" in ran.err)


def test_an_axis_that_is_not_driven_is_refused(work: Path, aimctl: Aimctl) -> None:
    """A mast has no roll."""
    ran = aimctl("plot", "yard_aim.conf", "--profile", "mast-2", "--axis", "roll")
    assert (2, True) == (ran.code, "does not drive roll of gimbal mast-2" in ran.err)


@pytest.mark.parametrize("files", [("bad.conf",), (GOOD, "--against", "bad.conf")])
def test_an_invalid_configuration_is_9(work: Path, aimctl: Aimctl, files: tuple[str, ...]) -> None:
    """By file and line, old or new; nothing is drawn."""
    ran = aimctl("plot", *files, "--profile", "g30", "--fleet", "hazard-12", "--out", "x.png")
    assert (9, True) == (ran.code, "bad.conf:21: error: yaw.rate_p: -1 is below" in ran.err)
    assert not (work / "x.png").exists()


# --- what draws -------------------------------------------------------------------------------

BLOCKED = """\
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
from orchestrator.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_matplotlib_it_says_how_to_get_it(work: Path) -> None:
    """2, one document and the command; no traceback, and nothing written."""
    arguments = ("plot", GOOD, "--profile", "g30", "--fleet", "hazard-12", "--output", "json")
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found = json.loads(done.stdout)
    assert (2, 2, "error") == (done.returncode, found["exit_code"], found["type"])
    assert "matplotlib, which is not installed" in found["message"]
    assert "pip install 'aim-fleet[plot]'" == found["next"]
    assert ("", False) == (done.stderr.partition("ERROR")[0], "Traceback" in done.stderr)
    assert [] == list(work.glob("*.png"))


def test_the_other_commands_need_no_matplotlib(work: Path) -> None:
    """Neither the help of plot nor a linter that judges loads it."""
    for arguments in (("plot", "--help"), ("lint", GOOD, "fleets/hazard-12.toml")):
        subprocess.run(
            [sys.executable, "-c", BLOCKED, *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )


def test_the_extra_that_is_named_exists() -> None:
    """The command in the message installs what is missing."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert any(one.startswith("matplotlib") for one in extras["plot"])


# --- the figures of the documentation ---------------------------------------------------------

README = ROOT / "orchestrator" / "aim" / "README.md"
FIGURES = re.findall(r"```sh\n(.*)\n```", README.read_text())


def test_the_documentation_has_figures() -> None:
    """One command each, and no two write the same file."""
    assert 6 == len(FIGURES) == len({one.split()[-1] for one in FIGURES})


@pytest.mark.parametrize("command", FIGURES, ids=[one.split()[-1] for one in FIGURES])
def test_the_command_of_a_figure_makes_it(home: Path, command: str) -> None:
    """As it stands there, from the root; every number that is said of it is in it."""
    shutil.copytree(ROOT / "configs", home / "configs")
    program = f"{sys.executable} -m orchestrator.cli"
    subprocess.run(
        ["sh", "-c", command.replace("aimctl plot", f"{program} plot")],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    out = command.rsplit(maxsplit=1)[-1]
    found = " ".join(texts(home / out))
    said = {
        "ringing.svg": ("phase margin 33.9°", "peak 5.88", "• sensitivity peak 5.9 > 2.5 on yaw"),
        "late.svg": ("phase margin 22.7°", "• phase margin 23° < 30° on yaw at 0.7 × inertia"),
        "leaning.svg": ("• steady error 0.42° > 0.3° under imbalance on yaw",),
        "notch.svg": ("notch_hz 0 → 38", "Verdict on new configs/yard_aim.conf: sound"),
        "next.svg": ("angle_p 8 → 9",),
        "sound.svg": ("Verdict on configs/aim_lock_config.conf: sound",),
    }
    assert [] == [one for one in said[out] if one not in found]
