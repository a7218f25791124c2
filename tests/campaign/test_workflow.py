"""The workflow that README.md shows: it lets a good configuration pass, and no bad one."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestrator.staging.samples import samples_directory
from tests.campaign import workflow

CONFIG = Path("configs/aim_lock_config.conf")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that has the samples, as the user's has the user's own files."""
    shutil.copytree(samples_directory(), tmp_path / "configs")
    return tmp_path


def changed(checkout: Path, was: str, now: str) -> int:
    """Change a line of the configuration; returns its number."""
    path = checkout / CONFIG
    before, found, _ = path.read_text().partition(was)
    assert found == was
    path.write_text(path.read_text().replace(was, now, 1))
    return before.count("\n") + 1


def value_of(option: str) -> str:
    """What the command says for an option."""
    words = workflow.command()
    return words[words.index(option) + 1]


def test_a_pull_request_that_touches_a_configuration_runs_it() -> None:
    """Neither more nor less: the paths are those that the command reads."""
    (paths,) = (event["paths"] for event in workflow.workflow()[True].values())
    assert ["configs/**"] == paths
    assert str(CONFIG) in workflow.command()
    assert value_of("--fleet").startswith("configs/")


def test_the_program_is_installed_before_it_runs() -> None:
    """Checkout, Python, installation, then the check."""
    words = ["actions/checkout@", "actions/setup-python@", "pip install ", "drone-sim check "]
    done = [step.get("uses") or step["run"] for step in workflow.steps()]
    assert [True] * 4 == [one.startswith(word) for one, word in zip(done, words, strict=False)]


def test_reports_are_uploaded_when_it_has_failed_too() -> None:
    """Those are the ones that somebody wants to read."""
    (upload,) = (step for step in workflow.steps() if "upload" in step.get("uses", ""))
    assert "always()" == upload["if"]
    assert {value_of("--junit"), value_of("--html")} <= set(upload["with"]["path"].split())


def test_a_good_configuration_passes(checkout: Path) -> None:
    """The step ends with 0, and leaves its reports where the next one looks for them."""
    step = workflow.run(checkout, seeds=3)
    assert 0 == step.code, step.out + step.err
    assert f"✔ {CONFIG} may be rolled out to hazard-12" in step.out
    cases = ET.parse(checkout / value_of("--junit")).iter("testcase")
    shown = [case.get("name") for case in cases]
    assert ["files", "vote of d-01", "seed 3"] == [shown[0], shown[1], shown[-1]]
    assert "<svg" in (checkout / value_of("--html")).read_text()
    assert step.summary.startswith("### ✅")


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ("angle_min_deg = -160.0", "angle_min_deg = 165.0", "165 is not below angle_max_deg 160"),
        ("angle_max_deg = 160.0", "angle_max_deg = 175.0", "yaw.angle_max_deg: 175 > 170"),
        ("gyro_lpf_hz", "gyro_lfp_hz", "gyro_lfp_hz"),
    ],
    ids=["beyond-itself", "beyond-the-hardware", "misspelt"],
)
def test_a_bad_configuration_fails_with_its_reason(
    checkout: Path, was: str, now: str, why: str
) -> None:
    """With 1, naming file, line and what is wrong; GitHub shows it at the line."""
    line = changed(checkout, was, now)
    step = workflow.run(checkout, seeds=3)
    verdict = step.out.splitlines()[-1]
    assert 1 == step.code
    assert verdict.startswith(f"✘ {CONFIG} must not be rolled out to hazard-12: ")
    assert f"{CONFIG}:{line}: " in verdict
    assert why in verdict
    assert f"file={CONFIG},line={line}" in step.err
    assert why in step.summary
