"""
The night of 03:12, with real processes: the ghost is named, and one command makes the fleet whole.

Beside it, who must *not* be taken for a ghost, and who is one although its process still exists.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.records import LockState
from tests.e2e.conftest import Case
from tests.e2e.processes import Program, wait_for
from tests.e2e.site import DEVICES, FLEET, Site

LONG_WINDOW = ("--window", "60")


def ask(site: Site, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command that reads, and return its document."""
    ran = site.aimctl(*arguments).wait()
    assert code == ran.code, ran.text()
    return ran.document


@contextlib.contextmanager
def frozen_fleet(site: Site) -> Iterator[None]:
    """Stop the process of all devices: connected, and silent."""
    site.fleet.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        site.fleet.signal(signal.SIGCONT)


def wait_until_open(site: Site, seq: int) -> None:
    """Wait until a transaction after ``seq`` is open."""
    wait_for("a transaction is open", lambda: site.state().last_seq > seq)


# --- 1: the seed incident ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "committed"),
    [("votes:24:after", False), ("append:decided:after", True)],
)
def test_the_night_of_03_12(
    site: Site,
    case: Case,
    point: str,
    committed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    Heartbeat frozen, pid gone, lock HOT: ``doctor`` names ghost, evidence and the one command.

    After it the fleet is whole, and the next push works.
    """
    died = case.ended(site.push(case.new(), fault=f"kill@{point}"), -signal.SIGKILL)
    assert "" == died.out
    hot = case.ended(site.push(case.new(2)), 6).document
    assert ("hot", "ghost", True) == (
        hot["type"],
        hot["lock"]["liveness"]["verdict"],
        hot["lock"]["liveness"]["proved"],
    )
    told = ask(site, "doctor")
    owner = hot["lock"]["owner"]
    assert f"aimctl recover --fleet {FLEET}" == told["next"]
    shown = " ".join(str(one) for one in (*told["checks"], *told["diagnoses"]))
    assert f"pid {owner['pid']} is gone" in shown

    began = time.monotonic()
    ran = case.ended(site.recover(), 0)
    took_s = time.monotonic() - began
    assert LockState.FREE is site.state().lock.state
    site.assert_fleet_runs(case.new() if committed else case.old)
    parts = ran.document["timing_ms"]
    assert {"connect", "take", "drive", "total"} <= set(parts)
    told_parts = ", ".join(f"{name} {parts[name]:.0f}" for name in ("connect", "take", "drive"))
    case.note(
        "03:12",
        point,
        "kill -9",
        f"recover: {took_s:.2f} s from the command to a free lock ({told_parts} ms)",
    )
    following = case.new(2)
    case.ended(site.push(following), 0)
    site.assert_fleet_runs(following)


# --- 2: slow is not dead, and paused is not alive ---------------------------------------


def test_a_living_slow_holder_is_not_taken_for_a_ghost(site: Site, case: Case) -> None:
    """It renews while it waits for its devices: LIVE beyond TTL, and ``recover`` ends HOT."""
    with frozen_fleet(site):
        push = site.push(case.new(), *LONG_WINDOW)
        wait_until_open(site, case.seq)
        time.sleep(LEASE_TTL_S + 2.0)  # the claim is about real time: a whole lease and more
        shown = ask(site, "lock", "show", FLEET)
        assert "live" == shown["liveness"]["verdict"]
        assert "is running" in shown["liveness"]["evidence"][0]
        case.ended(site.recover(), 6)
    push.signal(signal.SIGINT)
    case.ended(push, 130)
    case.recovered()
    site.assert_fleet_runs(case.old)
    case.note("slow holder", "votes awaited", "fleet frozen 17 s", "left alone; Ctrl-C aborts")


def test_a_paused_holder_is_taken_over_and_fenced(site: Site, case: Case) -> None:
    """Stopped for longer than TTL + grace it is taken over; continued, its first append fails."""
    push = site.push(case.new(), fault="stop@append:decided:before")
    push.wait_until_stopped()
    shown = ask(site, "lock", "show", FLEET)
    assert shown["liveness"]["verdict"] in {"live", "suspect"}
    case.ended(site.recover(), 6)  # too early: nobody has proved anything
    time.sleep(LEASE_TTL_S + GRACE_S + 1.0)
    shown = ask(site, "lock", "show", FLEET)
    assert ("ghost", False) == (shown["liveness"]["verdict"], shown["liveness"]["proved"])
    case.ended(site.recover(), 0)
    site.assert_fleet_runs(case.old)
    following = case.new(2)
    case.ended(site.push(following), 0)

    push.signal(signal.SIGCONT)
    case.ended(push, 7)
    site.assert_fleet_runs(following)
    case.note("paused holder", "append:decided:before", "SIGSTOP 31 s", "recover, zombie", "other")


# --- the server takes it unasked --------------------------------------------------------


@contextlib.contextmanager
def serving(site: Site, fault: str | None = None) -> Iterator[Program]:
    """Run ``aimctl serve`` for the fleet; unless it is to die, wait until it listens."""
    program = site.program(
        "serve",
        *("-m", "orchestrator.cli", "serve", "--fleet", str(site.fleet_path)),
        *("--listen", "127.0.0.1:0", "--token-file", str(site.directory / "serve-token")),
        **({} if fault is None else {"AIMCTL_FAULT": fault}),
    )
    try:
        if fault is None:
            wait_for("the server listens", lambda: "http://127.0.0.1:" in program.err)
        yield program
    finally:
        program.end()


def test_the_server_resolves_a_ghost_unasked(site: Site, case: Case) -> None:
    """Proved death needs no waiting and no operator: the fleet is whole within seconds."""
    with serving(site):
        case.ended(site.push(case.new(), fault="kill@votes:24:after"), -signal.SIGKILL)
        began = time.monotonic()
        wait_for("the lock is free", lambda: site.state().lock.state is LockState.FREE)
        took_s = time.monotonic() - began
        site.assert_fleet_runs(case.old)
    case.note("orchestrator", "votes:24:after", "kill -9", f"serve, {took_s:.1f} s")


@pytest.mark.parametrize(
    "point",
    [
        "append:lock_taken+decided:before",
        "append:lock_taken+decided:after",
        "send:fence:after",
        "append:ended:before",
        "append:ended:after",
        "append:lock_released:before",
        "append:lock_released:after",
    ],
)
def test_the_server_killed_in_a_clean_up_is_followed_by_the_next(
    site: Site, case: Case, point: str
) -> None:
    """Locksmith dies at each sync of a resolve: the job resumes, no lock is ever without owner."""
    case.ended(site.push(case.new(), fault="kill@votes:24:after"), -signal.SIGKILL)
    with serving(site, f"kill@{point}") as first:
        case.ended(first, -signal.SIGKILL)
    lock = site.state().lock
    assert (lock.owner is None) == (lock.state is LockState.FREE)
    with serving(site):
        wait_for("the lock is free", lambda: site.state().lock.state is LockState.FREE)
        site.assert_fleet_runs(case.old)
    case.note("locksmith", point, "kill -9", "restarted")


def test_a_fleet_that_restarted_is_answered_by_the_server(site: Site, case: Case) -> None:
    """Devices hold after a restart until somebody answers: the server does, without a command."""
    with serving(site):
        site.fleet.end()
        site.start_fleet()
        site.assert_fleet_runs(case.old)
    case.note("whole fleet", "operating", "kill -9", "serve answers")


# --- the queue --------------------------------------------------------------------------


def test_a_waiting_push_gets_the_lock_and_a_dead_waiter_is_passed_over(
    site: Site, case: Case
) -> None:
    """The first in line is killed while it waits; the second gets the lock and pushes."""
    holder = site.push(case.new(), fault="stop@append:decided:before")
    holder.wait_until_stopped()
    first = site.push(case.new(2), "--wait-lock", "60")
    wait_for("one waits", lambda: len(site.state().lock.waiters) == 1)
    second = site.push(case.new(2), "--wait-lock", "60")
    wait_for("two wait", lambda: len(site.state().lock.waiters) == 2)
    first.kill()
    holder.signal(signal.SIGCONT)
    # Stopped for a moment it may have missed its vote_by: then it aborts. Either way it ends.
    case.ended(holder, 0, 4)
    case.ended(second, 0)
    site.assert_fleet_runs(case.new(2))
    assert () == site.state().lock.waiters
    case.note("first waiter", "in line", "kill -9", "second pushes", "other")


def test_a_waiter_that_is_interrupted_leaves_the_queue(site: Site, case: Case) -> None:
    """Ctrl-C while waiting: nothing was begun, and nobody waits behind an empty place."""
    holder = site.push(case.new(), fault="stop@append:decided:before")
    holder.wait_until_stopped()
    waiter = site.push(case.new(2), "--wait-lock", "60")
    wait_for("one waits", lambda: len(site.state().lock.waiters) == 1)
    waiter.signal(signal.SIGINT)
    case.ended(waiter, 130)
    assert () == site.state().lock.waiters
    case.ended(site.force(), 0)
    holder.signal(signal.SIGCONT)
    case.ended(holder, 7)
    site.assert_fleet_runs(case.old)
    case.note("waiter", "in line", "SIGINT", "leaves the queue")


# --- break-glass ------------------------------------------------------------------------


def test_break_glass_without_a_broker_then_the_fleet_re_joins(site: Site, case: Case) -> None:
    """The lock is free at once, everybody is quarantined; recover lets them re-join."""
    case.ended(site.push(case.new(), fault="kill@append:decided:after"), -signal.SIGKILL)
    lock_id = site.lock_id
    with broker_away(site):
        broken = case.ended(
            site.aimctl(
                *("lock", "break-glass", lock_id, "--reason", "the broker is gone"),
                *("--confirm", lock_id),
            ),
            5,
        ).document
        state = site.state()
        assert (LockState.FREE, None) == (state.lock.state, state.open)
        assert sorted(DEVICES) == sorted(state.quarantined) == broken["quarantined"]
    case.recovered()
    site.assert_fleet_runs(case.new())
    assert frozenset() == site.state().quarantined
    case.note("orchestrator", "append:decided:after", "kill -9, broker gone", "break-glass")


@contextlib.contextmanager
def broker_away(site: Site) -> Iterator[None]:
    """Kill the broker, and start it again at the end with nothing remembered."""
    site.broker.kill()
    site.recorder.close()
    try:
        yield
    finally:
        site.broker.start()
        site.record()


# --- a store that was rolled back -------------------------------------------------------


def test_a_restored_backup_is_refused_and_reseeded(site: Site, case: Case) -> None:
    """The store is put back to before a push: nothing begins, doctor says why, reseed heals it."""
    backup = site.directory / "backup"
    backup.mkdir()
    _copy_store(site.store_path, backup)
    case.ended(site.push(case.new()), 0)
    site.assert_fleet_runs(case.new())
    for path in _store_files(site.store_path):
        path.unlink()
    _copy_store(backup / site.store_path.name, site.store_path.parent)

    refused = case.ended(site.push(case.new(2)), 11)
    assert "rolled back" in refused.document["message"]
    healed = case.ended(
        site.aimctl(
            *("reseed", "--fleet", str(site.fleet_path), "--reason", "backup restored"),
            *("--confirm", FLEET),
        ),
        0,
    )
    assert "whole" in healed.document["message"]
    state = site.state()
    assert (2, case.seq + 1) == (state.lock.epoch.incarnation, state.version)
    following = case.new(2)
    case.ended(site.push(following), 0)
    site.assert_fleet_runs(following)
    shutil.rmtree(backup)
    case.note("store", "between pushes", "backup restored", "reseed", "other")


def _store_files(path: Path) -> list[Path]:
    return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]


def _copy_store(path: Path, to: Path) -> None:
    for file in _store_files(path):
        shutil.copy2(file, to / file.name)
