"""The verdict on an owner, as a table."""

from __future__ import annotations

import pytest

from orchestrator.locksmith.liveness import Verdict, judge
from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Lease
from orchestrator.protocol.types import Epoch, FleetId, Owner

NOW = 1_000_000.0
OWNER = Owner(
    user="mira",
    host="aim-control",
    machine_id="m1",
    boot_id="b1",
    pid_namespace="pid:[1]",
    pid=4121,
    start_ticks=777,
    program="aimctl push",
)
RUNNING = Sighting(here=True, rebooted=False, visible=True, running=True)
GONE = Sighting(here=True, rebooted=False, visible=True, running=False)
REBOOTED = Sighting(here=True, rebooted=True, visible=False, running=False)
HIDDEN = Sighting(here=True, rebooted=False, visible=False, running=False)
ELSEWHERE = Sighting(here=False, rebooted=False, visible=False, running=False)


def lease(ago_s: float) -> Lease:
    """A lease that was renewed so long ago."""
    return Lease(fleet=FleetId("f"), epoch=Epoch(1, 1), owner=OWNER, renewed_at=NOW - ago_s)


@pytest.mark.parametrize(
    ("sighting", "ago_s", "verdict", "proved"),
    [
        (RUNNING, 1.0, Verdict.LIVE, False),
        (RUNNING, 16.0, Verdict.SUSPECT, False),
        (RUNNING, 31.0, Verdict.GHOST, False),  # paused for longer than TTL + grace
        (GONE, 1.0, Verdict.GHOST, True),
        (REBOOTED, 1.0, Verdict.GHOST, True),
        (HIDDEN, 1.0, Verdict.LIVE, False),
        (HIDDEN, 16.0, Verdict.SUSPECT, False),
        (HIDDEN, 31.0, Verdict.GHOST, False),
        (ELSEWHERE, 14.9, Verdict.LIVE, False),
        (ELSEWHERE, 29.9, Verdict.SUSPECT, False),
        (ELSEWHERE, 30.1, Verdict.GHOST, False),
        (ELSEWHERE, -5.0, Verdict.LIVE, False),  # a clock that was stepped back
    ],
)
def test_verdicts(
    sighting: Sighting,
    ago_s: float,
    verdict: Verdict,
    proved: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Death is said on proof, or after TTL + grace (I20)."""
    found = judge(OWNER, lease(ago_s), sighting, NOW)

    assert (verdict, proved) == (found.verdict, found.proved)


def test_without_a_lease_a_running_owner_is_only_suspect() -> None:
    """A missing lease is no proof of anything."""
    assert Verdict.SUSPECT is judge(OWNER, None, RUNNING, NOW).verdict


def test_the_evidence_is_in_words() -> None:
    """An operator reads why."""
    found = judge(OWNER, lease(41.0), GONE, NOW)

    assert ("pid 4121 is gone", "last renewal 13:45:59, 41 s ago") == found.evidence


def test_an_owner_elsewhere_is_said_to_be_judged_by_its_lease() -> None:
    """Nobody mistakes a lease for a process table."""
    found = judge(OWNER, lease(1.0), ELSEWHERE, NOW)

    assert "judged by its lease alone" in found.evidence[0]
