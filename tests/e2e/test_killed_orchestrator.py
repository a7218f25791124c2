"""An orchestrator killed with -9 at each step: whoever comes next makes the fleet whole."""

from __future__ import annotations

import signal

import pytest

from orchestrator.protocol.records import LockState
from tests.e2e import points
from tests.e2e.conftest import Case
from tests.e2e.site import Site


@pytest.mark.parametrize("point", points.ORCHESTRATOR)
def test_recover_after_a_kill(site: Site, case: Case, point: str) -> None:
    """
    Killed at any step, then recovered by another process: the decision of the journal holds.

    Before the decision was stored the fleet ends on the old version, after it on the new one.
    """
    case.ended(site.push(case.new(), fault=f"kill@{point}"), -signal.SIGKILL)
    site.assert_whole_files()
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.new() if point in points.COMMITTED else case.old)
    case.note("orchestrator", point, "kill -9", "recover")


@pytest.mark.parametrize(
    "point",
    [
        "append:lock_taken:after",
        "append:begun:after",
        "votes:24:after",
        "append:decided:before",
        "append:decided:after",
        "send:decision:after",
        "append:ended:after",
    ],
)
def test_force_unlock_after_a_kill(site: Site, case: Case, point: str) -> None:
    """Killed with the lock held, then forced by an operator: the decision of the journal holds."""
    case.ended(site.push(case.new(), fault=f"kill@{point}"), -signal.SIGKILL)
    assert site.state().lock.state is LockState.HELD
    case.ended(site.force(), 0)
    site.assert_fleet_runs(case.new() if point in points.COMMITTED else case.old)
    case.note("orchestrator", point, "kill -9", "force-unlock")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("append:decided:before", "append:lock_taken+decided:before"),
        ("append:decided:before", "append:lock_taken+decided:after"),
        ("append:decided:after", "append:lock_taken:after"),
        ("append:decided:before", "send:fence:after"),
        ("append:decided:after", "send:decision:after"),
        ("append:decided:after", "append:ended:before"),
        ("append:decided:before", "append:ended:after"),
        ("append:decided:after", "append:lock_released:after"),
    ],
)
def test_recover_after_the_resolver_was_killed_too(
    site: Site, case: Case, first: str, second: str
) -> None:
    """A resolver that is killed at any of its own steps is resolved by the next one."""
    case.ended(site.push(case.new(), fault=f"kill@{first}"), -signal.SIGKILL)
    case.ended(site.recover(AIMCTL_FAULT=f"kill@{second}"), -signal.SIGKILL)
    site.assert_whole_files()
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.new() if first in points.COMMITTED else case.old)
    case.note("resolver", f"{first}, {second}", "kill -9 twice", "recover")
