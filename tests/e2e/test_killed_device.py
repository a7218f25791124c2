"""A device, or all of them at once, killed with -9 at each step and started again."""

from __future__ import annotations

import signal

import pytest

from tests.e2e import points
from tests.e2e.conftest import Case
from tests.e2e.processes import Program, wait_for
from tests.e2e.site import DEVICES, FLEET, Site

AGAIN = {"activate:before": 2, "activate:after": 2}
"""These steps are passed once at the start of a device already: strike at the second time."""

PATIENT_HELLOS = 5
"""After so many the pause between two of them is longer than ``settle_s``."""

APART = DEVICES[-len(points.DEVICE_BESIDE) :]
"""Enough devices for each step of a list to have a victim of its own, in the same push."""


@pytest.fixture
def apart() -> tuple[str, ...]:
    """The last devices are processes of their own."""
    return APART


def start_victims(site: Site, steps: tuple[str, ...]) -> dict[str, Program]:
    """Start one device for each step, to be killed there; the rest of those apart lives on."""
    victims = {
        step: site.start_fleet(only=(device,), AIMCTL_FAULT=f"kill@{step}#{AGAIN.get(step, 1)}")
        for step, device in zip(steps, APART, strict=False)
    }
    spared = APART[len(steps) :]
    if spared:
        site.start_fleet(only=spared)
    return victims


def all_killed(victims: dict[str, Program]) -> None:
    """Wait until each victim has met its fate."""
    assert {-signal.SIGKILL} == {victim.wait().code for victim in victims.values()}


def note_all(case: Case, who: str, steps: tuple[str, ...]) -> None:
    """One row for each step."""
    for step in steps:
        case.note(who, step, "kill -9", "restart, recover")


@pytest.mark.parametrize("voted", [False, True])
def test_devices_killed_in_a_push(site: Site, case: Case, *, voted: bool) -> None:
    """
    One device killed at each step of a device, started again: all end where the fleet ends.

    Without their yes that is the old version, with it the new one.
    """
    steps = points.DEVICE_VOTED if voted else points.DEVICE_TO_VOTE
    victims = start_victims(site, steps)
    pushed = site.push(case.new(), "--window", "1.5")
    all_killed(victims)
    site.wait_for_decision(after=case.seq)
    site.start_fleet(only=APART[: len(steps)])
    case.ended(pushed, *((0, 5) if voted else (4,)))
    case.recovered()
    site.assert_fleet_runs(case.new() if voted else case.old)
    note_all(case, "device", steps)


def test_new_devices_killed_while_they_join(site: Site, case: Case) -> None:
    """Replaced devices, one killed at each step of its joining, join when they start again."""
    steps = points.DEVICE_BESIDE
    for device in APART[: len(steps)]:
        site.forget(device)
    victims = start_victims(site, steps)
    pushed = site.push(case.new())
    all_killed(victims)
    site.wait_for_decision(after=case.seq)
    site.start_fleet(only=APART[: len(steps)])
    case.ended(pushed, 4)
    case.recovered()
    site.assert_fleet_runs(case.old)
    note_all(case, "new device", steps)


class TestWholeFleet:
    """All 24 devices at once: a site without power."""

    @pytest.fixture
    def apart(self) -> tuple[str, ...]:
        """All devices are in one process."""
        return ()

    @pytest.mark.parametrize(
        ("point", "voted"),
        [
            ("stage:after#12", False),
            ("save:prepared:after#12", False),
            ("send:vote:after#24", True),
            ("save:decision:after#12", True),
            ("activate:after#36", True),
            ("save:activated:after#12", True),
        ],
    )
    def test_a_fleet_killed_in_a_push(
        self, site: Site, case: Case, point: str, *, voted: bool
    ) -> None:
        """Every device killed at the same instant of a push: all end on the same version."""
        site.fleet.end()
        fleet = site.start_fleet(AIMCTL_FAULT=f"kill@{point}")
        pushed = site.push(case.new())
        assert -signal.SIGKILL == fleet.wait().code
        site.wait_for_decision(after=case.seq)
        site.assert_whole_files()
        site.start_fleet()
        case.ended(pushed, *((0, 5) if voted else (4,)))
        case.recovered()
        site.assert_fleet_runs(case.new() if voted else case.old)
        case.note("whole fleet", point, "kill -9", "restart, recover")

    def test_recover_reaches_devices_that_have_grown_tired(self, site: Site, case: Case) -> None:
        """A fleet that came back while nobody was there is answered at once by ``recover``."""
        site.fleet.end()
        since = len(site.recorder.heard)
        site.start_fleet()

        def tired() -> bool:
            topics = [one.topic for one in site.recorder.heard[since:]]
            return topics.count(f"aim/v1/{FLEET}/from/{DEVICES[0]}/hello") >= PATIENT_HELLOS

        wait_for("the devices say HELLO seldom", tired)
        case.ended(site.recover(), 0)
        site.assert_fleet_runs(case.old)
        case.note("whole fleet", "idle", "kill -9", "restart, silence, recover")
