"""The evidence in words, as an operator reads it. Every process table here is fabricated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.locksmith.liveness import clock_time, judge
from orchestrator.locksmith.processes import Sighting
from tests.locksmith.samples import (
    ELSEWHERE,
    GONE,
    HIDDEN,
    NOW,
    OTHER_NAMESPACE,
    OWNER,
    REBOOTED,
    REUSED,
    RUNNING,
    STOPPED,
    ZOMBIE,
    here,
    lease,
)


@pytest.mark.parametrize(
    ("sighting", "short", "full"),
    [
        (RUNNING, "running", "pid 4121 is running"),
        (STOPPED, "paused", "pid 4121 is stopped (SIGSTOP or a debugger)"),
        (
            GONE,
            "gone",
            (
                "pid 4121 is gone: this boot (7f3a91c2…) has no process with that pid and start"
                " ticks 8812"
            ),
        ),
        (
            ZOMBIE,
            "gone",
            "pid 4121 is gone: it has ended, and its parent has not taken note yet",
        ),
        (
            REUSED,
            "gone",
            "pid 4121 is now another process: it started at tick 9001, the owner at 8812",
        ),
        (
            REBOOTED,
            "gone",
            (
                "pid 4121 is gone: aim-control has been started again since"
                " (boot e0e0e0e0… now, 7f3a91c2… then)"
            ),
        ),
        (
            replace(REBOOTED, boot_now=None),
            "gone",
            "pid 4121 is gone: aim-control has been started again since",
        ),
        (
            OTHER_NAMESPACE,
            "in another pid namespace, judged by its lease alone",
            "pid 4121 is in another pid namespace (pid:[4026531836]), judged by its lease alone",
        ),
        (
            HIDDEN,
            "hidden from us, judged by its lease alone",
            "pid 4121 can't be looked up: /proc does not show it to us, judged by its lease alone",
        ),
        (
            ELSEWHERE,
            "on aim-control, judged by its lease alone",
            "pid 4121 is on aim-control, judged by its lease alone",
        ),
    ],
)
def test_fabricated_process_in_words(sighting: Sighting, short: str, full: str) -> None:
    """An operator reads what is known of the process, and from where."""
    found = judge(OWNER, lease(here(1.0)), sighting, NOW)

    assert (short, full) == (found.process, found.evidence[0])


def test_the_lease_in_words() -> None:
    """An operator reads how old it is, and what that age counts from."""
    found = judge(OWNER, lease(here(41.0), here(10.0)), RUNNING, NOW)

    assert (
        "pid 4121 is running",
        "last renewal 41 s ago at 13:45:59",
        "the lock manager was restarted at 13:46:30: the lease counts from then",
    ) == found.evidence


def test_a_missing_lease_in_words() -> None:
    """Nobody reads a time that is not known."""
    assert ("pid 4121 is running", "no lease is stored") == judge(
        OWNER, None, RUNNING, NOW
    ).evidence


def test_a_short_boot_id_is_shown_whole() -> None:
    """Nothing is cut off that is not there."""
    found = judge(replace(OWNER, boot_id="b1"), None, GONE, NOW)

    assert "this boot (b1) has" in found.evidence[0]


def test_a_time_of_day() -> None:
    """UTC, as everywhere."""
    assert "13:46:40" == clock_time(NOW.utc_s)
