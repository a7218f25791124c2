"""What the linter says of configurations, fleets, plans and directories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.staging.lint import lint_paths, lint_texts, names_of
from orchestrator.staging.notes import Note, Severity, by_severity
from orchestrator.staging.planfile import encode_plan_file
from tests.staging.test_plan import plan_file
from tests.staging.texts import CONFIG, CONFIGS, DATA, FLEET, source

GIMBALLED = FLEET.replace('kind = "arm"', 'kind = "arm"\ngimbal = "g30"')


def lint(text: str = "", fleet: str = GIMBALLED) -> list[str]:
    """What is said of the small configuration with ``text`` at its end, in its fleet."""
    return [str(note) for note in lint_texts([source(CONFIG + text), source(fleet, "f.toml")])]


def alone(text: str) -> list[str]:
    """What is said of it without a fleet, but for the note that says so."""
    *notes, last = sorted(lint_texts([source(CONFIG + text)]), key=lambda note: note.line is None)
    if "no fleet of this configuration" not in last.message:
        notes.append(last)
    return [str(note) for note in notes]


def test_the_samples_have_no_fault() -> None:
    """Nothing at all is to be said of the configurations and fleets that people start from."""
    assert () == lint_paths(
        [*CONFIGS.glob("*aim*.conf"), CONFIGS / "fleets" / "hazard-12.toml",
         CONFIGS / "fleets" / "yard-mixed.toml"]
    )  # fmt: skip


def test_a_good_pair_has_no_note() -> None:
    """Nothing is said of a good configuration and its fleet."""
    assert [] == lint()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[overlay.group.a.failsafe]\novertemp_c = 80",
            "aim.conf:7: warning: overlay.group.a: changes nothing",
        ),
        ("[overlay.group.a]", "aim.conf:7: warning: overlay.group.a: changes nothing"),
        (
            "[overlay.kind.node.failsafe]\novertemp_c = 70",
            "aim.conf:7: warning: overlay.kind.node: fits no device of the fleet",
        ),
        (
            "[neutral]\npitch_deg = -87",
            ("aim.conf:8: warning: neutral.pitch_deg: -87 is 3 deg from a stop of pitch: nearer "
            "than 5 deg no new version is activated"),
        ),
        (
            "[overlay.kind.arm.yaw]\naccel_max_deg_s2 = 2000",
            ("aim.conf:8: error: overlay.kind.arm.yaw.accel_max_deg_s2: 2000 > 1200 of gimbal "
            "'g30' (for arm-01)"),
        ),
        ("[neutral]\npitch_deg = 40", ("aim.conf:8: error: neutral.pitch_deg: 40 is outside "
         "pitch's -90 to 20")),
    ],
)  # fmt: skip
def test_a_pair_is_told(text: str, expected: str) -> None:
    """Idle overlays, rests near a stop and what the hardware can't do are told by line."""
    assert [expected] == lint(text)


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (
            FLEET,
            ("f.toml:20: warning: device[2]: no gimbal profile, so hardware limits are not "
            "checked: arm-01"),
        ),
        (
            GIMBALLED.replace("[[device]]", '[gimbal.old]\nrate_max_deg_s = 9\nmodes = ["lock"]\n'
                              "accel_max_deg_s2 = 90\ntorque_peak_nm = 1\n[[device]]", 1),
            "f.toml:11: info: gimbal.old: no device has this gimbal",
        ),
        ("fleet = 3\ndevice = 3\n", "f.toml:1: error: config: is missing"),
    ],
)  # fmt: skip
def test_a_fleet_is_told(fleet: str, expected: str) -> None:
    """Devices without hardware profile, idle profiles and invalid fleets are told by line."""
    assert expected in lint(fleet=fleet)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[neutral]\npitch_deg = 40", [("aim.conf:8: error: neutral.pitch_deg: 40 is outside "
         "pitch's -90 to 20")]),
        ("[overlay.group.x.failsafe]\novertemp = 3",
         ["aim.conf:8: error: overlay.group.x.failsafe.overtemp: unknown key"]),
        ("[overlay.device.x.arm]\nload_rate_max_deg_s = 3", []),
        ("[overlay.kind.node.node]\nframe_rate_hz = 0",
         ["aim.conf:8: error: overlay.kind.node.node.frame_rate_hz: 0 is below 1"]),
        ("[node]\nframe_rate_hz = 25\n", []),
    ],
)  # fmt: skip
def test_a_configuration_alone_is_told(text: str, expected: list[str]) -> None:
    """Without a fleet everything is checked that does not need one."""
    assert expected == alone(text)


def test_a_configuration_alone_says_what_was_not_checked() -> None:
    """That hardware and names were not looked at is said."""
    (note,) = lint_texts([source(CONFIG)])
    assert (Severity.INFO, "name the fleet file too") == (note.severity, note.fix)


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ({"aim.conf"}, "x/aim.conf"),
        ({"aim.next.conf", "aim.conf"}, "aim.next.conf"),
        ({"aim"}, "aim"),
    ],
)
def test_a_successor_is_checked_as_what_it_replaces(expected: set[str], path: str) -> None:
    """aim.next.conf may be pushed as aim.conf."""
    assert expected == names_of(path)


def test_a_directory_is_searched(tmp_path: Path) -> None:
    """Of a directory the files of ours are checked, others are passed over, hidden ones unseen."""
    for name in ("bad_aim.conf", "bad_fleet.toml"):
        shutil.copy(DATA / name, tmp_path)
    (tmp_path / "mosquitto.conf").write_text("listener 1883\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.toml").write_text("schema = 1\n")
    notes = lint_paths([tmp_path])
    files = {Path(note.file).name for note in notes if note.severity is Severity.ERROR}
    assert {"bad_aim.conf", "bad_fleet.toml"} == files
    assert [f"{tmp_path}/mosquitto.conf: info: neither a configuration nor a fleet: skipped"] == [
        str(note) for note in notes if "mosquitto" in note.file
    ]


def test_a_broken_file_of_ours_is_not_passed_over(tmp_path: Path) -> None:
    """A syntax error in a configuration is an error, in a directory too."""
    (tmp_path / "aim.conf").write_text("schema = 2\n[yaw\n")
    (note,) = lint_paths([tmp_path])
    assert (Severity.ERROR, 2) == (note.severity, note.line)


def test_a_named_file_must_be_one_of_ours(tmp_path: Path) -> None:
    """A file that was named and is none of ours is an error, as is one that is not there."""
    other, missing = tmp_path / "other.toml", tmp_path / "missing.toml"
    other.write_text("x = 1\n")
    assert [
        f"{missing}: error: can't be read: No such file or directory",
        f"{other}: error: is neither a configuration nor a fleet nor a plan",
    ] == [str(note) for note in lint_paths([other, missing])]


def test_a_plan_file_is_verified(tmp_path: Path) -> None:
    """A plan is checked by its digests."""
    path = tmp_path / "p.json"
    data = encode_plan_file(plan_file())
    path.write_bytes(data)
    assert () == lint_paths([path])
    path.write_bytes(data.replace(b"overtemp_c", b"overtemp_f"))
    assert Severity.ERROR in [note.severity for note in lint_paths([path])]


def test_notes_can_be_sorted_by_severity() -> None:
    """The worst is first, then by place."""

    def note(line: int, severity: Severity) -> Note:
        return Note(file="a", line=line, key="", message="", component="", severity=severity)

    notes = [note(1, Severity.INFO), note(3, Severity.ERROR), note(2, Severity.ERROR)]
    assert [2, 3, 1] == [each.line for each in by_severity(notes)]


def test_a_note_is_one_json_object() -> None:
    """A note carries everything in a form for scripts."""
    (note,) = lint_texts([source(CONFIG + "[fialsafe]")])[:1]
    assert {
        "file": "aim.conf", "line": 7, "key": "fialsafe", "severity": "error",
        "component": "schema", "message": "unknown key", "fix": "did you mean failsafe?",
    } == note.as_json()  # fmt: skip
