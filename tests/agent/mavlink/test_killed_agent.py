"""
Real agents, killed with -9 at every parameter of a write, and started again.

The agent is the real one on the real disk; the autopilot is another process, over UDP on the
loopback. All the agents of a test run side by side, one for each point.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator.agent import open_slots
from orchestrator.agent.mavlink.journal import NAME
from orchestrator.agent.os_disk import OsDisk
from orchestrator.protocol.device import Durable, Save, Stage
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.staging.canonical import digest_of
from tests.agent.mavlink.flights import CONFIG, NEW, OLD, Values, config
from tests.agent.mavlink.hangar import STORED
from tests.agent.mavlink.test_parameter_unit import BACK, POINTS
from tests.e2e.processes import END_S, wait_for
from tests.source import ROOT

FLEET_FILE = f"""\
fleet = "f"
config = "{CONFIG}"
[[device]]
id = "d-01"
kind = "drone"
"""
OLD_PARAMS = {"MNT1_PITCH_MIN": -60, "MNT1_NEUTRAL_Y": -10, "MNT1_RC_RATE": 30}
NEW_PARAMS = {
    "MNT1_PITCH_MIN": -80,
    "MNT1_PITCH_MAX": 25,
    "MNT1_YAW_MIN": -90,
    "MNT1_YAW_MAX": 90,
    "MNT1_NEUTRAL_Y": -20.5,
    "MNT1_RETRACT_Y": 15,
    "MNT1_DEFLT_MODE": 2,
    "MNT1_RC_RATE": 45,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One device with its autopilot; ``point`` is where its agent dies."""

    path: Path
    point: str
    url: str = ""

    @property
    def params(self) -> dict[str, float]:
        """What the autopilot has stored."""
        path = self.path / STORED
        found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        return found

    @property
    def settled(self) -> bool:
        """Whether no set is half-written."""
        return not (self.path / "state" / NAME).exists()

    def holds(self, expected: Mapping[str, float]) -> bool:
        """Whether the autopilot is whole and has these values."""
        return self.settled and expected.items() <= self.params.items()

    def record(self, values: Values, version: int) -> None:
        """Let the device's record say that ``values`` are its configuration."""
        data = config(values)
        state = self.path / "state"
        slots = open_slots(OsDisk(), state, fleet=FleetId("f"), device=DeviceId("d-01"))
        slots.perform(Stage(digest=digest_of(data), data=data))
        slots.perform(
            Save(
                durable=Durable(
                    fleet=FleetId("f"),
                    device=DeviceId("d-01"),
                    known=True,
                    last_seq=version,
                    version=version,
                    digest=digest_of(data),
                    config=CONFIG,
                )
            )
        )
        slots.close()


class Started:
    """A process whose lines we read; it ends with its stdin, and what it started with it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self, asked: object) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> None:
        self.process.communicate(timeout=END_S)


@pytest.fixture
def zygote() -> Iterator[Started]:
    """What starts agents."""
    started = Started("tests.agent.mavlink.zygote")
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def refusing() -> list[str]:
    """The parameters that autopilots refuse to change: none."""
    return []


@pytest.fixture
def homes(
    request: pytest.FixtureRequest, tmp_path: Path, zygote: Started, refusing: list[str]
) -> Iterator[list[Home]]:
    """A device for each point, all of them on the old configuration."""
    (tmp_path / "fleet.toml").write_text(FLEET_FILE)
    made = [
        Home(path=tmp_path / f"{number:02}", point=point)
        for number, point in enumerate(request.param)
    ]
    for home in made:
        home.path.mkdir()
        home.record(OLD, 1)
    with hangar(made, []) as willing:
        settle(zygote, willing, OLD_PARAMS)
    for home in made:
        home.record(NEW, 2)
    with hangar(made, refusing) as flown:
        yield flown


@contextmanager
def hangar(homes: Sequence[Home], refusing: Sequence[str]) -> Iterator[list[Home]]:
    """Run an autopilot for each."""
    paths = [str(home.path) for home in homes]
    autopilots = Started("tests.agent.mavlink.hangar", *paths, "--", *refusing)
    try:
        urls = [f"udpout:127.0.0.1:{port}" for port in autopilots.line().split()]
        yield [replace(home, url=url) for home, url in zip(homes, urls, strict=True)]
    finally:
        autopilots.end()


def start(zygote: Started, home: Home, fault: str = "") -> int:
    """Start an agent; return its process id."""
    return int(zygote.say([str(home.path), home.url, fault]))


def killed_at_their_points(zygote: Started, homes: Sequence[Home]) -> None:
    """Start all of them, each to die at its point, and see that it was killed there."""
    pids = [start(zygote, home, f"kill@{home.point}") for home in homes]
    assert {-signal.SIGKILL} == {int(zygote.say(pid)) for pid in pids}


def settle(zygote: Started, homes: Sequence[Home], expected: Mapping[str, float]) -> None:
    """Start all of them and wait until each autopilot is whole and has what is expected."""
    pids = [start(zygote, home) for home in homes]
    for home in homes:
        wait_for(f"{home.point}: {home.path}", partial(home.holds, expected))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        zygote.say(pid)


@pytest.mark.parametrize("homes", [POINTS], indirect=True, ids=["every point"])
def test_wholly_the_new_set_after_a_kill(zygote: Started, homes: list[Home]) -> None:
    """Killed at every parameter, and around them: the restarted agent finishes the set."""
    killed_at_their_points(zygote, homes)
    mixed = [home.point for home in homes if not home.settled]
    assert list(POINTS[1:-1]) == mixed
    settle(zygote, homes, NEW_PARAMS)


class TestRefused:
    """The autopilot does not take the last parameter of the set."""

    @pytest.fixture
    def refusing(self) -> list[str]:
        """The last one."""
        return ["MNT1_RC_RATE"]

    @pytest.mark.parametrize("homes", [BACK], indirect=True, ids=["every point"])
    def test_wholly_the_old_set_after_a_kill(self, zygote: Started, homes: list[Home]) -> None:
        """Killed while a set is put back: the restarted agent brings it back wholly."""
        killed_at_their_points(zygote, homes)
        assert list(BACK) == [home.point for home in homes if not home.settled]
        settle(zygote, homes, OLD_PARAMS)
