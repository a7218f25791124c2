"""``aimctl lock run`` with real processes: its child, its signals, its death, the ways out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Aimctl, Ran
from tests.source import ROOT

END_S = 30.0
FLEET_FILE = 'fleet = "yard"\nconfig = "c.conf"\n[[device]]\nid = "d-01"\nkind = "drone"\n'
PLACE = ("--store", "sqlite:///j.db", "--broker", "mqtt://127.0.0.1:1")
WORKS = "trap 'echo told to end; exit 9' TERM INT; echo up; while :; do sleep 0.05; done"


@dataclass
class Yard:
    """A store, a fleet of one device that is not there, and programs that hold its lock."""

    home: Path
    aimctl: Aimctl

    def do(self, *arguments: str) -> Ran:
        """Run a command in this process."""
        return self.aimctl(*PLACE, *arguments)

    def words(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command line of a lock run."""
        first = [sys.executable, "-m", "orchestrator.cli", "lock", "run", "--fleet", "yard"]
        return [*first, *PLACE, *options, "--", *command]

    def run(self, *command: str, options: tuple[str, ...] = ()) -> Ran:
        """Hold the lock until a command has ended."""
        with self.holding(*command, options=options) as process:
            out, err = process.communicate(timeout=END_S)
            return Ran(code=process.returncode, out=out, err=err)

    @contextmanager
    def holding(
        self, *command: str, options: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Hold the lock while a command runs."""
        process = subprocess.Popen(
            self.words(*command, options=options),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=END_S)

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[str]]:
        """Hold the lock for a command that works until it is told to end."""
        with self.holding("sh", "-c", WORKS) as process:
            assert process.stdout is not None
            assert "up\n" == process.stdout.readline()
            yield process

    def lock(self) -> dict[str, Any]:
        """Return the lock as `lock show` has it."""
        return self.do("lock", "show", "yard", "--output", "json").document


@pytest.fixture
def yard(home: Path, aimctl: Aimctl) -> Yard:
    """A place of work."""
    (home / "yard.toml").write_text(FLEET_FILE)
    return Yard(home=home, aimctl=aimctl)


def ended(process: subprocess.Popen[str]) -> Ran:
    """Wait for a program's end."""
    out, err = process.communicate(timeout=END_S)
    return Ran(code=process.returncode, out=out, err=err)


# --- the command's own ------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_the_exit_code_is_the_commands(yard: Yard, script: str, code: int) -> None:
    """128 + n for a signal; the lock is free afterwards, whatever it was."""
    ran = yard.run("sh", "-c", script)
    assert (code, "free") == (ran.code, yard.lock()["state"])
    assert ["lock      yard@1 is ours, for lock run sh", "lock      yard@1 is given back"] == (
        ran.err.splitlines()
    )


def test_the_command_finds_its_lock_in_its_environment(yard: Yard) -> None:
    """Its words are its own, whatever they look like."""
    ran = yard.run("sh", "-c", 'env; echo "$@"', "sh", "--output", "json", "--", "-v")
    told = dict(line.partition("=")[::2] for line in ran.out.splitlines())
    assert ("yard@1", "yard", "1", "1") == tuple(
        told[f"AIM_LOCK_{name}"] for name in ("ID", "FLEET", "EPOCH", "INCARNATION")
    )
    assert "--output json -- -v" in ran.out.splitlines()


def test_json_is_one_document_and_the_commands_words_are_beside_it(yard: Yard) -> None:
    """What COMMAND writes to stdout goes to stderr."""
    options = ("--output", "json", "--purpose", "firmware")
    ran = yard.run("sh", "-c", "echo hello; exit 4", options=options)
    document = ran.document
    assert (4, 4, 4) == (ran.code, document["code"], document["exit_code"])
    assert ("lock-run", "yard@1", "firmware", True) == (
        document["type"],
        document["id"],
        document["purpose"],
        document["given_back"],
    )
    assert "hello" in ran.err.splitlines()


def test_what_can_not_be_started_gives_the_lock_back(yard: Yard) -> None:
    """127, as a shell ends."""
    ran = yard.run("./no-such-command", options=("--output", "json"))
    assert (127, None, True) == (ran.code, ran.document["code"], ran.document["given_back"])
    assert "can't be started: ./no-such-command" in ran.err
    assert "free" == yard.lock()["state"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--purpose", "x" * 101), "more than 100 characters"),
        (("--purpose", "a\nb"), "can't be printed"),
        (("--wait-lock", "-1"), "seconds"),
    ],
)
def test_wrong_use_takes_no_lock(yard: Yard, options: tuple[str, ...], told: str) -> None:
    """2, before anything."""
    ran = yard.do("lock", "run", "--fleet", "yard", *options, "--", "true")
    assert (2, True) == (ran.code, told in ran.err)
    assert 2 == yard.do("lock", "run", "--fleet", "yard").code


# --- while it runs ----------------------------------------------------------------------------


def test_everybody_sees_who_holds_it_and_for_what(yard: Yard) -> None:
    """A push, another run: HOT, 6, with its pid and purpose."""
    with yard.working() as process:
        lock = yard.lock()
        other = yard.do("lock", "run", "--fleet", "yard", "--output", "json", "--", "true")
    assert ("held", "live", process.pid, "lock run sh") == (
        lock["state"],
        lock["liveness"]["verdict"],
        lock["owner"]["pid"],
        lock["purpose"],
    )
    assert (6, "hot", "c.conf") == (
        other.code,
        other.document["type"],
        other.document["config"],
    )
    assert f"aimctl lock run, pid {process.pid} (running; last renewal " in other.err
    assert "for       lock run sh on fleet yard, no transaction is open" in other.err


def test_it_waits_in_line_for_its_turn(yard: Yard) -> None:
    """Said on stderr; then it runs by itself."""
    with (
        yard.working() as first,
        yard.holding("echo", "mine", options=("--wait-lock", "30")) as second,
    ):
        assert second.stderr is not None
        waiting = second.stderr.readline()
        first.terminate()
        ran = ended(second)
    assert re.match(r"waiting   yard@1 is held by .*, aimctl lock run, pid \d+ ", waiting)
    assert waiting.endswith("; we are next\n")
    assert (0, "mine\n") == (ran.code, ran.out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_waits_leaves_the_line(yard: Yard, number: signal.Signals) -> None:
    """130: nothing was begun, and nobody waits for us."""
    with (
        yard.working(),
        yard.holding("echo", "mine", options=("--wait-lock", "30")) as second,
    ):
        assert second.stderr is not None
        second.stderr.readline()
        second.send_signal(number)
        ran = ended(second)
        waiters = yard.lock()["waiters"]
    assert (130, "", []) == (ran.code, ran.out, waiters)
    assert "interrupted: nothing was begun" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(yard: Yard, number: signal.Signals) -> None:
    """COMMAND decides what they mean, and with which code it ends."""
    with yard.working() as process:
        process.send_signal(number)
        ran = ended(process)
    assert (9, "told to end\n", "free") == (ran.code, ran.out, yard.lock()["state"])


def test_who_asks_for_the_lock_is_answered(yard: Yard) -> None:
    """The holder says that it finishes; COMMAND is told, and the lock is free: 0."""
    with yard.working() as process:
        ran = yard.do(
            *("lock", "request-release", "yard@1", "--reason", "urgent", "--output", "json")
        )
        told = ended(process)
    document = ran.document
    assert (0, "finish", True) == (ran.code, document["answer"], document["free"])
    assert (9, "told to end\n") == (told.code, told.out)
    assert ": urgent; the command is told to end" in told.err


def test_the_command_may_give_the_lock_back_early(yard: Yard) -> None:
    """A descendant is no stranger; the wrapper then waits for the end."""
    me = f"{sys.executable} -m orchestrator.cli {' '.join(PLACE)} lock"
    script = f"{me} release $AIM_LOCK_ID --reason done && {me} list; exit 5"
    ran = yard.run("sh", "-c", script)
    assert (5, True) == (ran.code, "✔ yard@1 is given back" in ran.out)
    assert "yard@2  free" in ran.out
    history = [one["kind"] for one in yard.lock()["history"]]
    assert ["lock_taken", "lock_released"] == history


def test_a_stranger_may_not_give_it_back(yard: Yard) -> None:
    """6, and whom to ask."""
    with yard.working() as process:
        ran = yard.do("lock", "release", "yard@1", "--reason", "why", "--output", "json")
        state = yard.lock()["state"]
    assert (6, "held") == (ran.code, state)
    assert f"pid {process.pid}: only that process may release it" in ran.document["message"]
    assert "aimctl lock request-release yard@1 --reason TEXT" == ran.document["next"]


# --- when it is lost --------------------------------------------------------------------------


def test_a_lock_that_is_taken_ends_the_command(yard: Yard) -> None:
    """7: COMMAND gets SIGTERM; the lock is free already, and is nobody's to give back."""
    with yard.working() as process:
        taken = yard.do(
            *("lock", "break-glass", "yard@1", "--reason", "stuck", "--confirm", "yard@1"),
            *("--output", "json"),
        )
        ran = ended(process)
    assert ("broken", []) == (taken.document["action"], taken.document["quarantined"])
    assert (7, "told to end\n") == (ran.code, ran.out)
    assert "ERROR: fenced: the lock was lost while it ran: " in ran.err
    assert "has taken it, by break-glass (stuck)" in ran.err


def test_a_frozen_holder_is_forced_all_the_same(yard: Yard) -> None:
    """It can't keep anybody from the way out; when it goes on, it ends its command: 7."""
    with yard.working() as process:
        process.send_signal(signal.SIGSTOP)
        shown = yard.lock()["liveness"]["evidence"][0]
        taken = yard.do(
            *("lock", "break-glass", "yard@1", "--reason", "frozen", "--confirm", "yard@1")
        )
        state = yard.lock()["state"]
        process.send_signal(signal.SIGCONT)
        ran = ended(process)
    assert f"pid {process.pid} is stopped (SIGSTOP or a debugger)" == shown
    assert "yard@1" not in taken.err
    assert ("free", 7, "told to end\n") == (state, ran.code, ran.out)


def test_kill_9_of_the_wrapper_leaves_a_proved_ghost(yard: Yard) -> None:
    """`lock show` says so at once, and how to go on; what was left running is no owner."""
    with yard.working() as process:
        group = child_of(process.pid)
        process.kill()
        process.wait(END_S)
        lock = yard.lock()
        release = yard.do("lock", "release", "yard@1", "--reason", "why", "--output", "json")
        os.killpg(group, signal.SIGKILL)
    assert ("held", "ghost", True) == (
        lock["state"],
        lock["liveness"]["verdict"],
        lock["liveness"]["proved"],
    )
    assert f"pid {process.pid} is gone: " in lock["liveness"]["evidence"][0]
    assert "recover" in [way["name"] for way in lock["ways"]]
    assert (6, "aimctl recover --fleet yard") == (release.code, release.document["next"])


def child_of(pid: int) -> int:
    """The one child of a process."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_the_list_of_a_held_lock_is_one_document(yard: Yard) -> None:
    """What INTERFACE promises for `lock list`."""
    with yard.working() as process:
        (lock,) = yard.do("lock", "list", "--output", "json").document["locks"]
    assert (process.pid, 1, []) == (lock["owner"]["pid"], lock["epoch"], lock["waiters"])
    assert json.dumps(lock["liveness"]).startswith('{"verdict": "live", "proved": false')
    assert time.time() > lock["since"]
