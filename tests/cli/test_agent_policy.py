"""``aimctl agent --flight-state``: a policy of the fleet file is asked, or the agent says no."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG_TEXT, Aimctl
from tests.cli.test_programs import END_S, ONE, started
from tests.conftest import Mosquitto

POLICY = ONE + "[policy.drone]\nnot_while = ['tracking']\n"
AGENT = ("agent", "--device", "x-1", "--fleet", "one", "--state-dir", "state")
HOOK = ("--active", "active.conf", "--hook", "true")
PILOT = ("--active", "active.conf", "--mavlink", "udpin:127.0.0.1:1")


def test_a_policy_without_a_flight_state_is_refused(aimctl: Aimctl, home: Path) -> None:
    """2 before it promises anything, and what to give; the policy is never ignored."""
    (home / "one.toml").write_text(POLICY)
    ran = aimctl(*AGENT, *HOOK, "--output", "json")
    assert (2, "--flight-state PATH") == (ran.code, ran.document["next"])
    assert "has a [policy.drone], and nothing says what the device is doing" in ran.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*HOOK, "--flight-state-age", "3"), "needs --flight-state PATH"),
        ((*HOOK, "--flight-state", "f", "--flight-state-age", "0"), "must be above 0"),
        ((*HOOK, "--flight-state", "f", "--flight-state-age", "61"), "at most 60"),
        ((*PILOT, "--flight-state", "f"), "an autopilot says itself what it does"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    aimctl: Aimctl, home: Path, arguments: tuple[str, ...], told: str
) -> None:
    """2, and why."""
    (home / "one.toml").write_text(POLICY)
    ran = aimctl(*AGENT, *arguments)
    assert (2, "") == (ran.code, ran.out)
    assert told in ran.err


def test_a_real_agent_votes_by_its_flight_state(
    aimctl: Aimctl, home: Path, mosquitto: Callable[..., Mosquitto]
) -> None:
    """Tracking is a no that the push tells; on the ground the same push goes through."""
    (home / "one.toml").write_text(POLICY)
    (home / "new.conf").write_text(CONFIG_TEXT.format(rate=90.0))
    state = home / "flight.json"
    broker = ("--broker", mosquitto().url, "--store", "sqlite:///j.db")
    push = ("push", "new.conf", "--fleet", "one", "--yes", "--output", "json", *broker)
    flying = ("--flight-state", "flight.json", "--flight-state-age", "60")
    said = {"phase": "tracking", "armed": True, "battery_pct": 80}
    with started(home, *AGENT, *HOOK, *flying, *broker) as agent:
        deadline = time.monotonic() + END_S
        while aimctl("status", "--fleet", "one", *broker).out.count("empty") != 1:
            assert agent.poll() is None
            assert time.monotonic() < deadline
        state.write_text(json.dumps(said))
        refused = aimctl(*push)
        state.write_text(json.dumps({"phase": "grounded", "armed": False}))
        done = aimctl(*push)
    assert 0 != refused.code
    assert "phase is tracking: [policy.drone] says not while tracking" in refused.out
    assert (0, "active") == (done.code, done.document["devices"]["x-1"]["state"])
