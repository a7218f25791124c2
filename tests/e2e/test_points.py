"""The lists of steps are those of the product: no step is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.faultpoints import TRACE, FaultPoints
from tests.e2e import points
from tests.e2e.conftest import Case
from tests.e2e.site import DEVICES, Site

SOME_VOTES = re.compile(r"votes:(?!(?:1|12|24):)\d+:after")
"""The counts of votes between the first, the middle and the last are one step, many times."""


def passed(trace: Path) -> set[str]:
    """The names in a trace."""
    return {line for line in trace.read_text().splitlines() if not SOME_VOTES.fullmatch(line)}


def test_a_push_passes_exactly_the_points_that_are_struck(
    site: Site, case: Case, tmp_path: Path
) -> None:
    """A healthy push passes every listed step of an orchestrator, and no other."""
    trace = tmp_path / "trace"
    case.ended(site.push(case.new(), AIMCTL_FAULT_TRACE=str(trace)), 0)
    site.assert_fleet_runs(case.new())
    case.note("orchestrator", "-", "none", "-")
    assert set(points.ORCHESTRATOR) == passed(trace)


def test_status_is_what_the_assertions_of_the_other_tests_read(site: Site, case: Case) -> None:
    """``aimctl status --output json`` prints what these tests read in their own process."""
    printed = case.ended(site.aimctl("status", "--fleet", str(site.fleet_path)), 0).document
    asked = site.status()
    for key in ("type", "fleet", "version", "digest", "txn", "split", "exceptions"):
        assert printed[key] == asked[key] or [] == printed[key] == list(asked[key])
    for device in DEVICES:
        for key in ("state", "version", "digest", "operating", "deferred"):
            assert printed["devices"][device][key] == asked["devices"][device][key]


def test_a_device_passes_exactly_the_points_that_are_struck(
    site: Site, case: Case, tmp_path: Path
) -> None:
    """A replaced device that is caught up and then votes passes every step, and no other."""
    trace = tmp_path / "trace"
    site.fleet.end()
    site.forget(DEVICES[-1])
    site.start_fleet(without=DEVICES[-1:])
    last = site.start_fleet(only=DEVICES[-1:], AIMCTL_FAULT_TRACE=str(trace))
    case.ended(site.push(case.new()), 0)
    site.assert_fleet_runs(case.new())
    last.end()
    site.fleet.end()
    site.start_fleet()
    assert {*points.DEVICE, *points.DEVICE_BESIDE} == passed(trace)


@pytest.mark.parametrize("order", ["kill", "kill@", "halt@x", "kill@x#0", "kill@X Y"])
def test_a_wrong_order_is_refused(order: str) -> None:
    """An order that names no point is an error, not a fault that never happens."""
    with pytest.raises(Exception, match="AIMCTL_FAULT"):
        FaultPoints(order)


def test_the_nth_passage_strikes(tmp_path: Path) -> None:
    """``#N`` strikes at the N-th passage of the named point alone, and the trace has them all."""
    struck: list[int] = []
    trace = tmp_path / "trace"
    environment = {"AIMCTL_FAULT": "stop@a:b#2", TRACE: str(trace)}
    found = FaultPoints.of(environment)
    found._strike = struck.append
    for name in ("a:b", "c", "a:b", "a:b"):
        found.hit(name)
    assert ["a:b", "c", "a:b", "a:b"] == trace.read_text().split()
    assert 1 == len(struck)
