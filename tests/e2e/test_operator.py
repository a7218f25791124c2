"""What an operator does to a push, and what the world does to the operator's command."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Iterator

import pytest

from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import Outcome
from tests.conftest import free_port
from tests.e2e.conftest import Case
from tests.e2e.processes import Program, wait_for
from tests.e2e.site import Site

LONG = ("--window", "20")
"""A window that nobody waits for: the fleet is frozen, the test ends the push."""


@pytest.fixture
def frozen(site: Site) -> Iterator[None]:
    """The fleet process is stopped: connected, and silent."""
    site.fleet.signal(signal.SIGSTOP)
    yield
    site.fleet.signal(signal.SIGCONT)


def thaw(site: Site, case: Case) -> None:
    """Let the fleet go on once the decision is stored."""
    site.wait_for_decision(after=case.seq)
    site.fleet.signal(signal.SIGCONT)


def until_begun(site: Site, case: Case) -> None:
    """Wait until a transaction is open."""
    wait_for("a transaction begins", lambda: site.state().last_seq > case.seq)


def old_after(site: Site, case: Case) -> None:
    """The fleet runs what it ran before, and the lock is free."""
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.old)


# --- Ctrl-C, --timeout ------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["append:lock_taken:after", "append:begun:after"])
def test_ctrl_c_before_the_decision_aborts(site: Site, case: Case, point: str) -> None:
    """Exit code 130, and the fleet is unchanged."""
    pushed = site.push(case.new(), *LONG, fault=f"stop@{point}")
    pushed.wait_until_stopped()
    pushed.signal(signal.SIGINT)
    pushed.signal(signal.SIGCONT)
    case.ended(pushed, 130)
    site.assert_fleet_runs(case.old)
    case.note("operator", point, "Ctrl-C", "-")


def test_ctrl_c_among_the_votes_aborts_or_detaches(site: Site, case: Case) -> None:
    """The other votes have come by then: it ends by what was decided first, on every device."""
    pushed = site.push(case.new(), *LONG, fault="stop@votes:12:after")
    pushed.wait_until_stopped()
    pushed.signal(signal.SIGINT)
    pushed.signal(signal.SIGCONT)
    case.ended(pushed, 130)
    last = site.state().last
    assert last is not None
    committed = last.outcome is Outcome.COMMIT
    if committed:
        case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.new() if committed else case.old)
    case.note("operator", "votes:12:after", "Ctrl-C", "-")


@pytest.mark.parametrize("point", ["append:decided:after", "send:decision:after"])
def test_ctrl_c_after_the_decision_detaches(site: Site, case: Case, point: str) -> None:
    """Exit code 130, and the fleet takes the new version all the same."""
    pushed = site.push(case.new(), fault=f"stop@{point}")
    pushed.wait_until_stopped()
    pushed.signal(signal.SIGINT)
    pushed.signal(signal.SIGCONT)
    case.ended(pushed, 130)
    assert LockState.FREE is site.state().lock.state
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.new())
    case.note("operator", point, "Ctrl-C", "recover")


def test_a_timeout_aborts(site: Site, case: Case, frozen: None) -> None:
    """``--timeout`` ends a push that nobody answers with 10, after the ABORT was stored."""
    pushed = site.push(case.new(), *LONG, "--timeout", "2.5")
    thaw(site, case)
    ran = case.ended(pushed, 10)
    assert "abort" == ran.document["decision"]
    old_after(site, case)
    case.note("operator", "prepare", "--timeout", "recover")


# --- other commands ---------------------------------------------------------------------------


def test_a_living_owner_obeys_an_abort(site: Site, case: Case, frozen: None) -> None:
    """``abort TXN`` makes the push end with 4."""
    pushed = site.push(case.new(), *LONG)
    until_begun(site, case)
    txn = site.state().open
    assert txn is not None
    asked = site.aimctl("abort", txn.begun.txn, "--reason", "wrong day")
    thaw(site, case)
    case.ended(asked, 0)
    ran = case.ended(pushed, 4)
    assert "wrong day" in " ".join(ran.document["reasons"])
    old_after(site, case)
    case.note("operator", "prepare", "abort TXN", "recover")


def test_a_held_lock_is_hot(site: Site, case: Case) -> None:
    """A second push ends with 6, names the living owner, and the first one is not disturbed."""
    pushed = site.push(case.new(), fault="stop@send:fence:before")
    pushed.wait_until_stopped()
    ran = case.ended(site.push(case.new(2)), 6)
    assert "hot" == ran.document["type"]
    assert pushed.pid == ran.document["lock"]["owner"]["pid"]
    assert "live" == ran.document["lock"]["liveness"]["verdict"]
    assert "aim_lock_config.conf: HOT" in ran.err
    pushed.signal(signal.SIGCONT)
    case.ended(pushed, 0)
    site.assert_fleet_runs(case.new())
    case.note("operator", "locked", "second push", "-")


def test_recover_leaves_a_living_owner_alone(site: Site, case: Case) -> None:
    """``recover`` ends with 6 while the owner lives, stopped or not."""
    pushed = site.push(case.new(), fault="stop@send:fence:before")
    pushed.wait_until_stopped()
    case.ended(site.recover(), 6)
    pushed.signal(signal.SIGCONT)
    case.ended(pushed, 0)
    site.assert_fleet_runs(case.new())
    case.note("operator", "locked", "recover", "-")


def test_two_pushes_at_once(site: Site, case: Case) -> None:
    """One of them wins, the other one ends HOT."""
    first, second = site.push(case.new()), site.push(case.new(2))
    codes = [case.ended(one, 0, 6).code for one in (first, second)]
    assert [0, 6] == sorted(codes)
    site.assert_fleet_runs(case.new(1 + codes.index(0)))
    case.note("operator", "start", "two pushes", "-")


def test_the_lock_of_a_busy_holder_is_forced(site: Site, case: Case, frozen: None) -> None:
    """Forced while it waits for votes, the living holder ends with 7, the fleet stays."""
    pushed = site.push(case.new(), *LONG)
    until_begun(site, case)
    forced = site.forcing(site.lock_id)
    thaw(site, case)
    case.ended(forced, 0)
    case.ended(pushed, 7)
    site.assert_fleet_runs(case.old)
    case.note("operator", "prepare", "force-unlock", "-")


def test_two_operators_force_at_once(site: Site, case: Case) -> None:
    """One winner: it ends with 0, the other one with 8."""
    zombie = site.push(case.new(), fault="stop@votes:12:after")
    zombie.wait_until_stopped()
    lock_id = site.lock_id
    both = [site.forcing(lock_id, reason) for reason in ("mira", "tom")]
    codes = [case.ended(one, 0, 8).code for one in both]
    assert [0, 8] == sorted(codes)
    zombie.signal(signal.SIGCONT)
    case.ended(zombie, 7)
    site.assert_fleet_runs(case.old)
    case.note("operator", "votes:12:after", "two force-unlocks", "SIGCONT")


def test_a_stale_plan_is_refused(site: Site, case: Case) -> None:
    """A plan that was made before somebody else pushed ends with 8, and nothing is begun."""
    plan = site.directory / "stale-plan.json"
    made = ("--fleet", str(site.fleet_path), "--out", str(plan))
    case.ended(site.aimctl("plan", str(site.config_path(case.new(2))), *made), 0)
    case.ended(site.push(case.new()), 0)
    head = site.state().head
    stale = site.aimctl("push", str(plan), "--fleet", str(site.fleet_path), "--yes")
    case.ended(stale, 8)
    assert head == site.state().head
    site.assert_fleet_runs(case.new())
    case.note("operator", "start", "stale plan", "-")


# --- store and broker -------------------------------------------------------------------------


def test_without_a_broker_nothing_is_begun(site: Site, case: Case) -> None:
    """Exit code 11, and the journal is as it was."""
    head = site.state().head
    away = f"mqtt://127.0.0.1:{free_port()}"
    case.ended(site.push(case.new(), AIMCTL_BROKER=away), 11)
    assert head == site.state().head
    site.assert_fleet_runs(case.old)
    case.note("broker", "start", "away", "-")


@pytest.mark.parametrize("wrong", ["a file on the way", "a directory", "not a database"])
def test_without_a_store_nothing_is_begun(site: Site, case: Case, wrong: str) -> None:
    """Exit code 11 for every store that can't be used, and nothing reaches a device."""
    heard = len(site.recorder.heard)
    path = {
        "a file on the way": site.fleet_path / "store.db",
        "a directory": site.directory,
        "not a database": site.fleet_path,
    }[wrong]
    case.ended(site.push(case.new(), AIMCTL_STORE=f"sqlite:///{path}"), 11)
    assert heard == len(site.recorder.heard)
    case.note("store", "start", wrong, "-")


@contextlib.contextmanager
def another_writer(site: Site) -> Iterator[None]:
    """Hold the write lock of the store's file, as a backup tool might."""
    connection = sqlite3.connect(site.store_path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def stopped_before_the_decision(site: Site, case: Case) -> Program:
    """A push with every vote, about to decide."""
    pushed = site.push(case.new(), fault="stop@append:decided:before")
    pushed.wait_until_stopped()
    return pushed


def test_a_decision_waits_for_another_writer(site: Site, case: Case) -> None:
    """A store that is locked for a moment during the decision: the push waits, and commits."""
    pushed = stopped_before_the_decision(site, case)
    with another_writer(site):
        pushed.signal(signal.SIGCONT)
        wait_for("the push waits", lambda: "store-unavailable" in pushed.err)
    case.ended(pushed, 0)
    site.assert_fleet_runs(case.new())
    case.note("store", "append:decided:before", "locked 2 s", "-")


def test_a_store_that_stays_away_leaves_the_outcome_unknown(site: Site, case: Case) -> None:
    """A store that is locked for too long: exit code 12, then ``recover`` finds the truth."""
    pushed = stopped_before_the_decision(site, case)
    with another_writer(site):
        pushed.signal(signal.SIGCONT)
        case.ended(pushed, 12)
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.old)
    case.note("store", "append:decided:before", "locked too long", "recover")
