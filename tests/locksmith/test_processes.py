"""The kernel's evidence: real processes and, where the machine can't do it, a made-up /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.locksmith.processes import LinuxProcesses, Sighting
from orchestrator.protocol.types import Owner
from tests.source import ROOT

BOOT = "proc/sys/kernel/random/boot_id"
MOUNT = "22 27 0:21 / /proc rw,relatime - proc proc rw"
STAT = "4121 (a) name (with) R) S 1 " + "0 " * 17 + "777 0 0"


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    """A real process that waits to be killed."""
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])


def owner_of(pid: int) -> Owner:
    """The identity of a real process, as it would have written it itself."""
    table = LinuxProcesses()
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return replace(table.me("test"), pid=pid, start_ticks=ticks)


def fabricated(root: Path, *, boot: str = "b1", machine: str = "m1", stat: str = STAT) -> Path:
    """A made-up machine: boot id, machine id, this process, and one with pid 4121."""
    (root / BOOT).parent.mkdir(parents=True)
    (root / BOOT).write_text(boot)
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text(machine)
    me = root / "proc" / str(os.getpid())
    (me / "ns").mkdir(parents=True)
    (me / "ns/pid").symlink_to("pid:[1]")
    (me / "mountinfo").write_text(MOUNT + "\n")
    (root / "proc/self").symlink_to(me.name)
    (root / "proc/1").mkdir()
    (root / "proc/4121").mkdir()
    (root / "proc/4121/stat").write_text(stat)
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


def test_a_stopped_process_runs_and_is_seen_stopped(child: subprocess.Popen[bytes]) -> None:
    """SIGSTOP is not death: only the lease may judge a paused owner."""
    theirs = owner_of(child.pid)
    before = LinuxProcesses().look_for(theirs)
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)

    seen = LinuxProcesses().look_for(theirs)
    child.kill()
    child.wait()

    assert (True, False) == (before.running, before.stopped)
    assert (True, True) == (seen.running, seen.stopped)


def test_this_boot_is_known_by_its_id() -> None:
    """Stamps of this process name the boot that the kernel names."""
    assert Path("/", BOOT).read_text().strip() == LinuxProcesses().boot_id


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {},
            Sighting(here=True, rebooted=False, visible=True, running=True, ticks_now=777),
            id="the-owner",
        ),
        pytest.param(
            {"start_ticks": 778},
            Sighting(here=True, rebooted=False, visible=True, running=False, ticks_now=777),
            id="pid-reuse",
        ),
        pytest.param(
            {"pid": 4122},
            Sighting(here=True, rebooted=False, visible=True, running=False),
            id="gone",
        ),
        pytest.param(
            {"boot_id": "b0"},
            Sighting(here=True, rebooted=True, visible=False, running=False),
            id="rebooted-host",
        ),
        pytest.param(
            {"pid_namespace": "pid:[2]"},
            Sighting(here=True, rebooted=False, visible=False, running=False),
            id="another-namespace",
        ),
        pytest.param(
            {"boot_id": "b9", "machine_id": "m9"},
            Sighting(here=False, rebooted=False, visible=False, running=False),
            id="another-machine",
        ),
        pytest.param(
            {"boot_id": "unknown"},
            Sighting(here=True, rebooted=False, visible=False, running=False, hidden=True),
            id="a-boot-that-is-not-known-is-no-other-boot",
        ),
        pytest.param(
            {"pid_namespace": "unknown"},
            Sighting(here=True, rebooted=False, visible=False, running=False, hidden=True),
            id="a-namespace-that-is-not-known",
        ),
        pytest.param(
            {"start_ticks": 0},
            Sighting(here=True, rebooted=False, visible=False, running=False, hidden=True),
            id="an-owner-that-did-not-know-its-own-start",
        ),
    ],
)
def test_fabricated_owners(tmp_path: Path, changes: dict[str, object], expected: Sighting) -> None:
    """A reused pid, a reboot, another namespace and another machine are told apart."""
    root = fabricated(tmp_path)

    assert replace(expected, boot_now="b1") == LinuxProcesses(root).look_for(owner(**changes))


@pytest.mark.parametrize(
    ("state", "running", "stopped"),
    [
        ("R", True, False),
        ("D", True, False),
        ("T", True, True),
        ("t", True, True),
        ("Z", False, False),
        ("X", False, False),
    ],
)
def test_fabricated_states(*, tmp_path: Path, state: str, running: bool, stopped: bool) -> None:
    """Stopped by a signal (T) or a debugger (t) is alive; a zombie process is not."""
    root = fabricated(tmp_path, stat=STAT.replace(") S 1", f") {state} 1"))

    seen = LinuxProcesses(root).look_for(owner())

    assert (True, running, stopped, 777) == (
        seen.visible,
        seen.running,
        seen.stopped,
        seen.ticks_now,
    )


def test_fabricated_machine_without_a_proc_declares_nobody_dead(tmp_path: Path) -> None:
    """Where nothing can be seen, nothing is claimed, of others or of itself."""
    table = LinuxProcesses(tmp_path)
    me = table.me("test")

    seen = table.look_for(owner(boot_id="unknown", machine_id="unknown"))

    assert Sighting(here=False, rebooted=False, visible=False, running=False) == seen
    assert (None, "unknown", "unknown", 0) == (
        table.boot_id,
        me.boot_id,
        me.pid_namespace,
        me.start_ticks,
    )


@pytest.mark.parametrize("machine", ["", "uninitialized\n"])
def test_fabricated_machine_without_an_id_is_nobody_elses(tmp_path: Path, machine: str) -> None:
    """Images that have not been started yet all hold the same word: it identifies nothing."""
    root = fabricated(tmp_path, machine=machine)

    seen = LinuxProcesses(root).look_for(owner(boot_id="b0", machine_id=machine.strip()))

    assert (False, False) == (seen.here, seen.rebooted)


def test_fabricated_stat_that_can_not_be_read_proves_nothing(tmp_path: Path) -> None:
    """Garbage is no absence."""
    seen = LinuxProcesses(fabricated(tmp_path, stat="garbage")).look_for(owner())

    assert (False, True) == (seen.visible, seen.hidden)


@pytest.mark.parametrize(
    ("mount", "visible"),
    [
        (MOUNT, True),
        (f"{MOUNT},hidepid=0", True),
        (f"{MOUNT},hidepid=off", True),
        (f"{MOUNT},hidepid=2", False),
        (f"{MOUNT},hidepid=invisible,gid=4", False),
        (f"{MOUNT},hidepid=ptraceable", False),
    ],
)
def test_fabricated_hidepid_proves_nothing(*, tmp_path: Path, mount: str, visible: bool) -> None:
    """A /proc that hides other people's processes does not show that one is gone."""
    root = fabricated(tmp_path)
    mountinfo = root / "proc/self/mountinfo"
    mountinfo.write_text(f"21 27 0:20 / /sys rw - sysfs sysfs rw\n{mount}\n")

    seen = LinuxProcesses(root).look_for(owner(pid=4122))

    assert (visible, not visible, False) == (seen.visible, seen.hidden, seen.running)


@pytest.mark.parametrize("lacks", ["proc/1", "proc/self/mountinfo"])
def test_fabricated_proc_with_gaps_proves_nothing(tmp_path: Path, lacks: str) -> None:
    """Where even the first process is not shown, or nothing tells how /proc is mounted."""
    root = fabricated(tmp_path)
    gone = root / lacks
    gone.rmdir() if gone.is_dir() else gone.unlink()

    seen = LinuxProcesses(root).look_for(owner(pid=4122))

    assert (False, True) == (seen.visible, seen.hidden)


def test_fabricated_proc_of_another_namespace_is_not_ours(tmp_path: Path) -> None:
    """After `unshare --pid` without a new /proc its pids are somebody else's: nothing is said."""
    root = fabricated(tmp_path)
    (root / "proc/self").unlink()
    (root / "proc/self").symlink_to("1")
    (root / "proc/1/ns").mkdir()
    (root / "proc/1/ns/pid").symlink_to("pid:[1]")
    (root / "proc/1/mountinfo").write_text(MOUNT)

    seen = LinuxProcesses(root).look_for(owner(pid=4122))

    assert (False, True) == (seen.visible, seen.hidden)


# --- who was started by whom ------------------------------------------------------------------

ASK = """\
import sys
from dataclasses import replace
from orchestrator.locksmith.processes import LinuxProcesses
table = LinuxProcesses()
owner = replace(table.me("test"), pid=int(sys.argv[1]), start_ticks=int(sys.argv[2]))
print(table.descends_from(owner))
"""


def says(owner: Owner, *before: str) -> str:
    """What a process that is started with ``before`` says of its coming from ``owner``."""
    ask = [sys.executable, "-c", ASK, str(owner.pid), str(owner.start_ticks)]
    done = subprocess.run([*before, *ask], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_process_descends_from_itself_and_from_who_has_started_it() -> None:
    """A child and a grandchild both find this process above them."""
    table = LinuxProcesses()
    me = table.me("test")

    assert table.descends_from(me)
    assert ["True", "True"] == [says(me), says(me, "sh", "-c", '"$@"; exit', "sh")]


def test_a_stranger_does_not_descend(child: subprocess.Popen[bytes]) -> None:
    """A brother is no ancestor, nor is a process of the same pid that started at another tick."""
    theirs = owner_of(child.pid)
    me = LinuxProcesses().me("test")

    asked = [theirs, replace(me, start_ticks=me.start_ticks + 1)]
    found = [LinuxProcesses().descends_from(one) for one in asked]
    told = [says(one) for one in asked]
    child.kill()
    child.wait()

    assert ([False, False], ["False", "False"]) == (found, told)


def family(root: Path, *pids: int) -> LinuxProcesses:
    """A made-up machine on which this process was started by the first pid, that by the next."""
    fabricated(root)
    parents = [*pids, 0]
    for pid, parent in zip([os.getpid(), *pids], parents, strict=True):
        (root / f"proc/{pid}").mkdir(exist_ok=True)
        line = STAT.replace(") S 1 ", f") S {parent} ").replace("4121 ", f"{pid} ", 1)
        (root / f"proc/{pid}/stat").write_text(line)
    return LinuxProcesses(root)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="the-owner"),
        pytest.param({"start_ticks": 778}, False, id="pid-reuse"),
        pytest.param({"start_ticks": 0}, False, id="an-owner-that-did-not-know-its-own-start"),
        pytest.param({"pid": 4122}, False, id="another-process"),
        pytest.param({"boot_id": "b0"}, False, id="another-boot"),
        pytest.param({"boot_id": "unknown"}, False, id="a-boot-that-is-not-known"),
        pytest.param({"pid_namespace": "pid:[2]"}, False, id="another-namespace"),
        pytest.param({"pid_namespace": "unknown"}, False, id="a-namespace-that-is-not-known"),
    ],
)
def test_fabricated_families(
    *, tmp_path: Path, changes: dict[str, object], expected: bool
) -> None:
    """The owner is found by boot, namespace, pid and start ticks, or not at all."""
    table = family(tmp_path, 4200, 4121, 1)

    assert expected == table.descends_from(owner(**changes))


@pytest.mark.parametrize("pids", [(4200, 1), (4200, 4201, 4200)], ids=["orphan", "circle"])
def test_fabricated_families_end(tmp_path: Path, pids: tuple[int, ...]) -> None:
    """An adopted child has lost its origin, and a circle is left."""
    assert not family(tmp_path, *pids).descends_from(owner())
