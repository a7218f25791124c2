"""An orchestrator that was stopped, lost its lock, and goes on as if nothing had happened."""

from __future__ import annotations

import signal

import pytest

from tests.e2e import points
from tests.e2e.conftest import Case
from tests.e2e.site import Site


@pytest.mark.parametrize("point", points.LOCKED)
def test_a_zombie_is_fenced(site: Site, case: Case, point: str) -> None:
    """
    Stopped with the lock, forced, overtaken by another push, continued: it ends with 7.

    The fleet runs the second configuration, whole, whatever the zombie still says and writes.
    """
    zombie = site.push(case.new(), fault=f"stop@{point}")
    zombie.wait_until_stopped()
    case.ended(site.force(), 0)
    site.assert_whole_files()
    case.ended(site.push(case.new(2)), 0)
    zombie.signal(signal.SIGCONT)
    case.ended(zombie, 7)
    site.assert_fleet_runs(case.new(2))
    case.note("zombie", point, "SIGSTOP", "force, push, SIGCONT", "second")


@pytest.mark.parametrize("point", ["send:prepare:before", "append:decided:before"])
def test_a_zombie_wakes_in_the_middle_of_the_next_push(site: Site, case: Case, point: str) -> None:
    """Continued while the second push asks for votes, it ends with 7 and disturbs nothing."""
    zombie = site.push(case.new(), fault=f"stop@{point}")
    zombie.wait_until_stopped()
    case.ended(site.force(), 0)
    second = site.push(case.new(2), "--window", "4", fault="stop@votes:1:after")
    second.wait_until_stopped()
    zombie.signal(signal.SIGCONT)
    case.ended(zombie, 7)
    second.signal(signal.SIGCONT)
    case.ended(second, 0)
    site.assert_fleet_runs(case.new(2))
    case.note("zombie", point, "SIGSTOP", "force, SIGCONT in push", "second")
