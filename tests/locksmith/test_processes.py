"""The kernel's evidence: real processes and, where the machine can't do it, a made-up /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.protocol.types import Owner

BOOT = "proc/sys/kernel/random/boot_id"


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    """A real process that waits to be killed."""
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])


def owner_of(pid: int) -> Owner:
    """The identity of a real process, as it would have written it itself."""
    table = LinuxProcesses()
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return replace(table.me("test"), pid=pid, start_ticks=ticks)


def fabricated(root: Path, *, boot: str, machine: str, stat: str | None, pid: int) -> Path:
    """A made-up machine: boot id, machine id and one process."""
    (root / BOOT).parent.mkdir(parents=True)
    (root / BOOT).write_text(boot)
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text(machine)
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to("pid:[1]")
    (root / "proc/1").mkdir()
    if stat is not None:
        (root / f"proc/{pid}").mkdir()
        (root / f"proc/{pid}/stat").write_text(stat)
    return root


def owner(**changes: object) -> Owner:
    """An owner on the made-up machine."""
    plain = Owner(
        user="mira",
        host="aim-control",
        machine_id="m1",
        boot_id="b1",
        pid_namespace="pid:[1]",
        pid=4121,
        start_ticks=777,
        program="aimctl push",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


STAT = "4121 (a) name (with) R) S 1 " + "0 " * 17 + "777 0 0"


def test_this_process_is_seen_running() -> None:
    """A process finds itself, by boot, namespace, pid and start ticks."""
    table = LinuxProcesses()
    me = table.me("test")

    assert os.getpid() == me.pid
    assert me.start_ticks > 0
    assert table.look_for(me).running


def test_a_killed_process_is_seen_gone(child: subprocess.Popen[bytes]) -> None:
    """A process that was killed is gone at once, even before its parent has reaped it."""
    theirs = owner_of(child.pid)
    assert LinuxProcesses().look_for(theirs).running

    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    as_zombie = LinuxProcesses().look_for(theirs)
    child.wait()

    assert not as_zombie.running
    assert not LinuxProcesses().look_for(theirs).running


def test_a_stopped_process_still_runs(child: subprocess.Popen[bytes]) -> None:
    """SIGSTOP is not death: only the lease may judge a paused owner."""
    theirs = owner_of(child.pid)
    os.kill(child.pid, signal.SIGSTOP)

    assert LinuxProcesses().look_for(theirs).running
    child.kill()
    child.wait()


@pytest.mark.parametrize(
    ("changes", "running", "visible", "rebooted", "here"),
    [
        ({}, True, True, False, True),
        ({"start_ticks": 778}, False, True, False, True),
        ({"pid": 4122}, False, True, False, True),
        ({"boot_id": "b0"}, False, False, True, True),
        ({"pid_namespace": "pid:[2]"}, False, False, False, True),
        ({"boot_id": "b9", "machine_id": "m9"}, False, False, False, False),
    ],
)
def test_fabricated_owners(
    tmp_path: Path,
    changes: dict[str, object],
    running: bool,  # noqa: FBT001 - a column of the table
    visible: bool,  # noqa: FBT001
    rebooted: bool,  # noqa: FBT001
    here: bool,  # noqa: FBT001
) -> None:
    """A reused pid, a reboot, another namespace and another machine are told apart."""
    root = fabricated(tmp_path, boot="b1", machine="m1", stat=STAT, pid=4121)

    seen = LinuxProcesses(root).look_for(owner(**changes))

    assert (running, visible, rebooted, here) == (
        seen.running,
        seen.visible,
        seen.rebooted,
        seen.here,
    )


def test_without_a_proc_nobody_is_declared_dead(tmp_path: Path) -> None:
    """Where nothing can be seen, nothing is claimed."""
    seen = LinuxProcesses(tmp_path).look_for(owner(boot_id="unknown", machine_id="unknown"))

    assert (False, False, False) == (seen.here, seen.visible, seen.rebooted)


def test_a_process_that_can_not_be_looked_at_is_not_declared_dead(tmp_path: Path) -> None:
    """A /proc that hides other people's processes, or can't be read, proves nothing."""
    root = fabricated(tmp_path, boot="b1", machine="m1", stat="garbage", pid=4121)
    assert not LinuxProcesses(root).look_for(owner()).visible

    (root / "proc/1").rmdir()
    hidden = LinuxProcesses(root).look_for(owner(pid=4122))
    assert (False, False) == (hidden.visible, hidden.running)
