"""The programs that stay: an embedded broker and a device's agent, as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG_TEXT, Aimctl
from tests.conftest import Mosquitto
from tests.source import ROOT

END_S = 30.0

ONE = """\
fleet = "one"
config = "aim_lock_config.conf"
[timing]
settle_s = 2.0
[[device]]
id = "x-1"
kind = "drone"
"""


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``aimctl`` as long as the context lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", *arguments],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=END_S)


@pytest.mark.parametrize("prefer", ["auto", "amqtt"])
def test_the_broker_prints_its_url_when_it_is_ready(
    aimctl: Aimctl, home: Path, prefer: str
) -> None:
    """Doctor can reach it at once; SIGTERM ends it with 0, and it is gone."""
    arguments = ("broker", "run", "--port", "0", "--prefer", prefer, "--output", "json")
    with started(home, *arguments) as broker:
        assert broker.stdout is not None
        document = json.loads(broker.stdout.readline())
        assert ("broker", 1) == (document["type"], document["schema"])
        assert 0 == aimctl("doctor", "--broker", document["url"]).code
        broker.send_signal(signal.SIGTERM)
        assert 0 == broker.wait(END_S)
        assert "" == broker.stdout.read()
    assert 11 == aimctl("doctor", "--broker", document["url"]).code


def test_a_port_that_is_taken_is_11(
    aimctl: Aimctl, home: Path, mosquitto: Callable[..., Mosquitto]
) -> None:
    """It says so, and what to do."""
    taken = mosquitto()
    ran = aimctl("broker", "run", "--port", str(taken.port), "--output", "json")
    assert (11, "aimctl broker run --port 0") == (ran.code, ran.document["next"])


def test_an_agent_votes_and_calls_its_hook(
    aimctl: Aimctl, home: Path, mosquitto: Callable[..., Mosquitto]
) -> None:
    """A push reaches the active file of a real device process; SIGTERM stops it with 0."""
    (home / "one.toml").write_text(ONE)
    (home / "new.conf").write_text(CONFIG_TEXT.format(rate=90.0))
    (home / "hook.sh").write_text('echo "$AIM_EVENT $AIM_VERSION" >> hook.log\n')
    broker = ("--broker", mosquitto().url, "--store", "sqlite:///j.db")
    with started(
        home,
        *("agent", "--device", "x-1", "--fleet", "one", "--state-dir", "state", *broker),
        *("--active", "active.conf", "--hook", "sh hook.sh"),
    ) as agent:
        deadline = time.monotonic() + END_S
        while not (home / "hook.log").exists():
            assert agent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ran = aimctl("push", "new.conf", "--fleet", "one", "--yes", "--output", "json", *broker)
        assert (0, "active") == (ran.code, ran.document["devices"]["x-1"]["state"])
        agent.send_signal(signal.SIGTERM)
        assert 0 == agent.wait(END_S)
    assert 90.0 == json.loads((home / "active.conf").read_text())["yaw"]["rate_max_deg_s"]
    told = (home / "hook.log").read_text().splitlines()
    assert ["hold", "activate 1", "resume 1"] == [line.strip() for line in told]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("--device", "x-9"), "fleet one has no device 'x-9'; it has x-1"),
        (("--active", "no/active.conf"), "its directory does not exist"),
        (("--hook", ""), "it is empty"),
        (("--hook", "a 'b"), "No closing quotation"),
        (("--hook-timeout", "0"), "must be above 0"),
        (("--broker", "mqtt://"), "it names no host"),
    ],
)
def test_an_agent_that_is_started_wrongly_says_why(
    aimctl: Aimctl, home: Path, changed: tuple[str, str], told: str
) -> None:
    """2, before it promises anything to anybody."""
    (home / "one.toml").write_text(ONE)
    given = {
        "--device": "x-1",
        "--fleet": "one",
        "--state-dir": "state",
        "--active": "active.conf",
        "--hook": "true",
        changed[0]: changed[1],
    }
    ran = aimctl("agent", *(word for pair in given.items() for word in pair))
    assert (2, "") == (ran.code, ran.out)
    assert told in ran.err
