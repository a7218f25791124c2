"""The programs themselves: ``aimctl agent --mavlink`` beside ``drone-sim autopilot``."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.mavlink.flights import CONFIG, NEW, config
from tests.agent.mavlink.test_killed_agent import FLEET_FILE, Home
from tests.e2e.processes import Program, wait_for


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[list[Program]]:
    """What was started; all of it ends with the test."""
    started: list[Program] = []
    yield started
    for program in started:
        program.end()


def test_an_agent_tells_a_simulated_autopilot(tmp_path: Path, programs: list[Program]) -> None:
    """The device's own version is written to file and autopilot; both end at SIGTERM with 0."""
    (tmp_path / "fleet.toml").write_text(FLEET_FILE)
    home = Home(path=tmp_path, point="none")
    home.record(NEW, 1)
    stored = tmp_path / "parameters.json"
    flown = Program(
        name="autopilot",
        argv=("-m", "drone_sim", "autopilot", "--port", "0", "--state", str(stored)),
        directory=tmp_path,
    )
    programs.append(flown.start())
    found = wait_for("its port", lambda: re.search(r"ardupilot on (\S+)", flown.err))
    agent = Program(
        name="agent",
        argv=(
            *("-m", "orchestrator.cli", "agent", "--device", "d-01", "--fleet", "fleet.toml"),
            *("--state-dir", "state", "--active", CONFIG, "--mavlink", found[1]),
            *("--autopilot", "ardupilot", "--broker", "mqtt://127.0.0.1:1"),
        ),
        directory=tmp_path,
        environment={"HOME": str(tmp_path)},
    )
    programs.append(agent.start())
    wait_for("the set is written", lambda: stored.exists() and json.loads(stored.read_text()))
    wait_for("it is whole", lambda: json.loads(stored.read_text())["MNT1_RC_RATE"] == 45)
    assert config(NEW) == (tmp_path / CONFIG).read_bytes()
    agent.signal(signal.SIGTERM)
    flown.signal(signal.SIGTERM)
    assert (0, 0) == (agent.wait().code, flown.wait().code)
    assert "agent     stopped" in agent.err
