"""A broker killed with -9, and started again with nothing of what it had retained."""

from __future__ import annotations

import signal

import pytest

from tests.e2e import points
from tests.e2e.conftest import Case
from tests.e2e.site import Site


@pytest.mark.parametrize(
    "point",
    [
        "append:lock_taken:after",
        "send:prepare:after",
        "votes:24:after",
        "append:decided:after",
        "send:decision:after",
        "append:ended:before",
    ],
)
def test_a_broker_that_forgets_everything(site: Site, case: Case, point: str) -> None:
    """The push goes on over the new broker: what was decided reaches every device."""
    pushed = site.push(case.new(), fault=f"stop@{point}")
    pushed.wait_until_stopped()
    site.restart_broker()
    pushed.signal(signal.SIGCONT)
    ran = case.ended(pushed, 0, 4, 5)
    committed = site.current == case.new()
    assert committed == (ran.document["decision"] == "commit")
    assert committed or point not in {*points.COMMITTED, "votes:24:after"}
    case.recovered()
    site.assert_fleet_runs(case.new() if committed else case.old)
    case.note("broker", point, "kill -9, empty", "restart")


@pytest.mark.parametrize("point", ["append:decided:before", "append:decided:after"])
def test_broker_and_orchestrator_at_once(site: Site, case: Case, point: str) -> None:
    """Both killed in the same instant: the journal alone is left, and it is enough."""
    case.ended(site.push(case.new(), fault=f"kill@{point}"), -signal.SIGKILL)
    site.restart_broker()
    case.recovered()
    site.assert_fleet_runs(case.new() if point in points.COMMITTED else case.old)
    case.note("both", point, "kill -9, empty", "restart, recover")
