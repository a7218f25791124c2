"""``drone-sim check``: a verdict on a configuration and a fleet, in words."""

from __future__ import annotations

import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from drone_sim.cli.documents import document_schemas
from drone_sim.scenario.model import Scenario
from orchestrator.staging.samples import samples_directory
from tests.sim.playing import Done, engine, never, run

CONFIG, FLEET = "aim_lock_config.conf", "hazard-12.toml"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    samples = samples_directory()
    (tmp_path / CONFIG).write_bytes((samples / CONFIG).read_bytes())
    (tmp_path / FLEET).write_bytes((samples / "fleets" / FLEET).read_bytes())


def changed(path: str, was: str, now: str) -> None:
    """Change the text of a file."""
    text = Path(path).read_text()
    assert was in text
    Path(path).write_text(text.replace(was, now, 1))


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Check the sample configuration."""
    return run(capsys, "check", CONFIG, "--fleet", FLEET, "--jobs", "1", *words)


def test_a_good_configuration_may_be_rolled_out(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 0, and says why in a sentence."""
    with engine():
        done = checked(capsys, "--seeds", "5")
    assert 0 == done.code
    assert (
        f"✔ {CONFIG} may be rolled out to hazard-12: all 12 devices vote yes; in 5 runs with"
        " 25 faults 5 pushes reached every device, 0 none" in done.out
    )


def test_it_is_played_with_these_files(capsys: pytest.CaptureFixture[str]) -> None:
    """The devices and timings of the fleet's file, the bytes of the configuration."""
    with engine() as asked:
        checked(capsys, "--seeds", "3")
    assert [1, 2, 3] == [scenario.seed for scenario, _ in asked]
    scenario, more = asked[0]
    assert [f"d-{number:02}" for number in range(1, 13)] == list(scenario.names)
    assert 5.0 == scenario.pace.settle_s
    assert ("hazard-12", CONFIG) == (more["fleetware"].id, more["fleetware"].fleet.config)
    assert b'"angle_max_deg":160' in next(iter(more["fleetware"].pushed.configs.values()))


def test_seeds_may_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """Another range on another day."""
    with engine() as asked:
        checked(capsys, "--seeds", "7..8")
    assert [7, 8] == [scenario.seed for scenario, _ in asked]


def test_a_fleet_may_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """As aimctl finds its file by its name."""
    with engine():
        done = run(capsys, "check", CONFIG, "--fleet", "hazard-12", "--seeds", "1", "--jobs", "1")
    assert 0 == done.code


def test_a_configuration_that_breaks_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 1 as the linter tells it: file, line, key, and how to mend it."""
    changed(CONFIG, "angle_max_deg = 160.0", "angle_max_deg = -165.0")
    with engine() as asked:
        done = checked(capsys)
    assert (1, []) == (done.code, asked)
    assert f"{CONFIG}:" in done.out
    assert "must not be rolled out to hazard-12: the files are wrong" in done.out
    assert [] == done.reproduce


def test_a_configuration_that_is_no_toml(capsys: pytest.CaptureFixture[str]) -> None:
    """A bad file is the answer of a check, no wrong use of it."""
    Path(CONFIG).write_text("yaw = {\n")
    done = checked(capsys)
    assert 1 == done.code
    assert f"error: {CONFIG}" in done.out or f"{CONFIG}:" in done.out


def test_devices_that_would_vote_no(capsys: pytest.CaptureFixture[str]) -> None:
    """What the hardware can't do is told by file and line, and by device."""
    changed(FLEET, "max_deg = 170.0", "max_deg = 120.0")
    with engine() as asked:
        done = checked(capsys)
    assert (1, []) == (done.code, asked)
    assert "votes: 0 of 12 yes" in done.out
    assert "no, all 12: yaw angle_max_deg 160 > 120 of gimbal 'g30'" in done.out


SMALL = """\
[gimbal.small]
yaw = { min_deg = -90.0, max_deg = 90.0 }
pitch = { min_deg = -110.0, max_deg = 35.0 }
roll = { min_deg = -40.0, max_deg = 40.0 }
rate_max_deg_s = 180.0
accel_max_deg_s2 = 1200.0
torque_peak_nm = 0.25
modes = ["lock", "follow", "fpv"]

"""
FIRST = '[[device]]\nid = "d-01"\nkind = "drone"\ngimbal = "{}"'


def test_a_device_that_would_vote_no_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """One of twelve has another gimbal: it is named, and what is wrong for it."""
    changed(FLEET, FIRST.format("g30"), SMALL + FIRST.format("small"))
    done = checked(capsys)
    assert "votes: 11 of 12 yes\n  no, d-01: yaw angle_min_deg -160 < -90 of" in done.out


def test_a_violation_means_no(capsys: pytest.CaptureFixture[str]) -> None:
    """The seed and the invariant are the reason; the line repeats it with the same files."""

    def second(scenario: Scenario) -> bool:
        return scenario.seed == 2

    with engine(second):
        done = checked(capsys, "--seeds", "5", "--shrink", "0")
        (line,) = done.reproduce
        again = run(capsys, *shlex.split(line)[1:])
    assert (1, 1) == (done.code, again.code)
    assert "must not be rolled out to hazard-12: seed 2: I5: d-01 operates 1" in done.out
    assert f"drone-sim replay 2 --speed shells --config {CONFIG} --fleet {FLEET}" == line


def test_the_trace_of_a_violation_names_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    """It is replayed with the same configuration."""
    with engine(lambda _: True) as asked:
        checked(capsys, "--seeds", "1", "--trace", "t.trace")
        done = run(capsys, "replay", "t.trace")
    assert 1 == done.code
    assert "hazard-12" == asked[-1][1]["fleetware"].id


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["nowhere.conf", "--fleet", FLEET], id="no configuration"),
        pytest.param([CONFIG, "--fleet", "nowhere.toml"], id="no fleet file"),
        pytest.param([CONFIG, "--fleet", "nobody"], id="no fleet"),
        pytest.param([CONFIG], id="no fleet named"),
        pytest.param([CONFIG, "--fleet", FLEET, "--seeds", "0"], id="no runs"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """A file that is not there is no bad configuration: it ends with 2."""
    with engine() as asked:
        done = run(capsys, "check", *words)
    assert (2, "", []) == (done.code, done.out, asked)


@pytest.mark.parametrize("fails", [never, lambda _: True])
def test_one_document(capsys: pytest.CaptureFixture[str], fails: object) -> None:
    """Whatever the answer, it is as its schema says."""
    with engine(fails):  # type: ignore[arg-type]
        done = checked(capsys, "--seeds", "2", "--output", "json")
    document = done.document
    Draft202012Validator(document_schemas()["check"]).validate(document)
    assert (done.code == 0, 12) == (document["ok"], len(document["votes"]))


def test_one_document_of_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was played: the notes and the votes say why."""
    changed(FLEET, "max_deg = 170.0", "max_deg = 120.0")
    document = checked(capsys, "--output", "json").document
    Draft202012Validator(document_schemas()["check"]).validate(document)
    assert (False, None, "no") == (
        *(document["ok"], document["played"]),
        document["votes"]["d-01"]["vote"],
    )


def test_github_shows_it_beside_the_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An annotation with file and line, a summary with the verdict."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    changed(FLEET, "max_deg = 170.0", "max_deg = 120.0")
    done = checked(capsys)
    assert f"::error file={CONFIG},line=" in done.err
    assert "must not be rolled out" in (tmp_path / "summary.md").read_text()


def test_junit_has_files_votes_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A case for the linter, one for each device, one for each run."""
    with engine():
        checked(capsys, "--seeds", "2", "--junit", "good.xml")
    changed(FLEET, "max_deg = 170.0", "max_deg = 120.0")
    checked(capsys, "--junit", "bad.xml")
    names = [case.get("name") for case in ET.parse("good.xml").iter("testcase")]
    votes = [f"vote of d-{number:02}" for number in range(1, 13)]
    assert ["files", *votes, "seed 1", "seed 2"] == names
    failed = [case.get("name") for case in ET.parse("bad.xml").iter("testcase") if len(case)]
    assert ["files", *votes] == failed


def test_nothing_is_checked_without_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict that a CI waits for would be lost."""
    with engine() as asked:
        done = checked(capsys, "--seeds", "5", "--junit", "reports/check.xml")
    assert (2, []) == (done.code, asked)
    assert "  next  mkdir -p reports" in done.err.splitlines()
