"""The adapter "file and hook", with real files and real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from drone_sim.disk import Choose, CrashDisk, PowerLost, everything_survives, nothing_survives
from orchestrator.agent.active import temporary_of
from orchestrator.agent.device import DeviceRefused
from orchestrator.agent.hook import FileAndHook, Hook, parse_hook
from orchestrator.agent.os_disk import OsDisk
from orchestrator.agent.processes import OsCommands
from orchestrator.errors import OperatingError
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Activate
from tests.agent.histories import CONFIG, DEVICE, FLEET, config, digest_of
from tests.agent.inline import inline

QUICK_S = 0.3
LONG_S = 20.0

WITH_ENVIRONMENT = """\
import json, os, sys
told = {key: value for key, value in os.environ.items() if key.startswith("AIM_")}
with open(sys.argv[1], "a") as file: print(json.dumps(told), file=file)
"""


def activation(version: int) -> Activate:
    """The activation of a version."""
    return Activate(version=version, digest=digest_of(config(version)), config=CONFIG)


def device(home: Path, *command: str, time_limit_s: float = LONG_S) -> FileAndHook:
    """A device whose hook is ``command``, if there is one."""
    hook = Hook(argv=command, commands=OsCommands(), time_limit_s=time_limit_s)
    return FileAndHook(
        fleet=FLEET,
        device=DEVICE,
        active=home / CONFIG,
        disk=OsDisk(),
        hook=hook if command else None,
    )


def shell(home: Path, script: str, time_limit_s: float = LONG_S) -> FileAndHook:
    """A device whose hook is a shell script."""
    return device(home, "/bin/sh", "-c", script, time_limit_s=time_limit_s)


async def test_activation_writes_the_file_then_tells_the_hook(tmp_path: Path) -> None:
    """When the hook runs, the active file holds the new bytes already."""
    copy = tmp_path / "seen"
    hooked = device(tmp_path, "/bin/cp", str(tmp_path / CONFIG), str(copy))
    await hooked.activate(activation(1), config(1))
    assert config(1) == copy.read_bytes()


async def test_the_hook_is_told_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event comes with all AIM_ variables, empty where they do not apply."""
    monkeypatch.delenv("AIM_TESTS_STRICT", raising=False)
    log = tmp_path / "log"
    hooked = device(tmp_path, sys.executable, "-c", WITH_ENVIRONMENT, str(log))
    await hooked.hold(("in doubt", "restarted"))
    await hooked.activate(activation(7), config(7))
    await hooked.resume(7)
    always = {"AIM_DEVICE": "d-01", "AIM_FLEET": "f", "AIM_ACTIVE": str(tmp_path / CONFIG)}
    nothing = {"AIM_VERSION": "", "AIM_DIGEST": "", "AIM_REASON": ""}
    told = [
        {"AIM_EVENT": "hold", "AIM_REASON": "in doubt; restarted"},
        {"AIM_EVENT": "activate", "AIM_VERSION": "7", "AIM_DIGEST": digest_of(config(7))},
        {"AIM_EVENT": "resume", "AIM_VERSION": "7"},
    ]
    expected = [{**always, **nothing, **one} for one in told]
    assert expected == [json.loads(line) for line in log.read_text().splitlines()]


async def test_a_hook_that_fails_refuses_with_its_last_words(tmp_path: Path) -> None:
    """The reason has the exit code and the last line of stderr, without control characters."""
    hooked = shell(tmp_path, r"echo first >&2; printf 'motor\033 stuck\n\n' >&2; exit 3")
    with pytest.raises(DeviceRefused) as refused:
        await hooked.activate(activation(1), config(1))
    assert "the hook ended with code 3 at activate: motor? stuck" == str(refused.value)


async def test_last_words_are_cut(tmp_path: Path) -> None:
    """A hook that floods stderr neither blocks nor fills the reason."""
    hooked = shell(tmp_path, "yes x | head -c 300000 | tr -d '\\n' >&2; exit 1")
    with pytest.raises(DeviceRefused) as refused:
        await hooked.hold(())
    assert 300 > len(str(refused.value))


async def test_a_hook_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    """After the time-out nothing of the hook's process group runs any more."""
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait; wait"
    hooked = shell(tmp_path, script, time_limit_s=QUICK_S)
    with pytest.raises(DeviceRefused, match=r"did not end within 0\.3 s and was killed"):
        await hooked.activate(activation(1), config(1))
    for pid in pids.read_text().split():
        await gone(int(pid))


async def test_a_cancelled_hook_is_killed(tmp_path: Path) -> None:
    """An agent that stops leaves no command behind."""
    pids = tmp_path / "pids"
    hooked = shell(tmp_path, f"echo $$ > {pids}; exec sleep 60")
    task = asyncio.create_task(hooked.resume(1))
    await written(pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int(pids.read_text()))


async def written(path: Path) -> None:
    """Wait until another process has written a line."""
    async with asyncio.timeout(10):
        while not (path.exists() and path.read_text().endswith("\n")):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    """Wait until a process has ended (a zombie of a foreign parent counts)."""
    async with asyncio.timeout(10):
        while True:
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()  # noqa: ASYNC240 - /proc
                state = stat.rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state == "Z":
                return
            await asyncio.sleep(0.01)


async def test_a_daemon_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A hook ends when its own process does, even if a child keeps its stderr open."""
    pids = tmp_path / "pids"
    hooked = shell(tmp_path, f"sleep 60 & echo $! > {pids}; exit 0")
    async with asyncio.timeout(10):
        await hooked.resume(1)
    os.kill(int(pids.read_text()), signal.SIGKILL)


async def test_a_hook_that_dies_of_a_signal(tmp_path: Path) -> None:
    """The signal is named."""
    hooked = shell(tmp_path, "kill -9 $$")
    with pytest.raises(DeviceRefused, match="was ended by signal 9 at hold"):
        await hooked.hold(())


async def test_a_hook_that_does_not_exist(tmp_path: Path) -> None:
    """It is refused with the reason, not with a traceback."""
    hooked = device(tmp_path, "/no/such/program")
    with pytest.raises(DeviceRefused, match="can't be started: /no/such/program: No such file"):
        await hooked.hold(())


def test_a_command_line_is_split_as_a_shell_would() -> None:
    """Quotes and blanks are understood; nothing is expanded."""
    assert ("/bin/x", "two words", "$HOME") == parse_hook("/bin/x 'two words' $HOME")


@pytest.mark.parametrize("command", ["", "   ", "'open"])
def test_a_wrong_command_line_is_refused(command: str) -> None:
    """An empty or unfinished command is wrong use."""
    with pytest.raises(OperatingError, match="can't be used"):
        parse_hook(command)


# --- the active file ------------------------------------------------------------------------


async def test_the_right_file_is_not_written_again_but_told_again(tmp_path: Path) -> None:
    """After a restart the controller is told even where the bytes are there."""
    hooked = shell(tmp_path, f"echo told >> {tmp_path}/log")
    await hooked.activate(activation(1), config(1))
    before = (tmp_path / CONFIG).stat()
    await hooked.activate(activation(1), config(1))
    after = (tmp_path / CONFIG).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert "told\ntold\n" == (tmp_path / "log").read_text()


async def test_a_file_that_somebody_changed_is_written_again(tmp_path: Path) -> None:
    """What a person put in its place does not stay."""
    (tmp_path / CONFIG).write_text("by hand")
    await device(tmp_path).activate(activation(1), config(1))
    assert config(1) == (tmp_path / CONFIG).read_bytes()


async def test_nothing_else_stands_beside_the_active_file(tmp_path: Path) -> None:
    """The directory of the active file holds it alone."""
    await device(tmp_path).activate(activation(1), config(1))
    assert [tmp_path / CONFIG] == list(tmp_path.iterdir())  # noqa: ASYNC240 - quick


@pytest.mark.parametrize("name", [CONFIG, ".activating", "a"])
def test_the_temporary_name_is_never_taken_for_the_configuration(name: str) -> None:
    """It is hidden, and does not contain the configuration's name."""
    temporary = temporary_of(Path("/x") / f"{name}.conf")
    assert temporary.startswith(".")
    assert f"{name}.conf" not in temporary


async def test_a_directory_that_is_missing_is_a_disk_error(tmp_path: Path) -> None:
    """The agent makes an activation failure of it."""
    with pytest.raises(DiskError, match="No such file"):
        await device(tmp_path / "missing").activate(activation(1), config(1))


@pytest.mark.parametrize("choose", [nothing_survives, everything_survives])
async def test_crash_at_every_seam_of_an_activation(choose: Choose) -> None:
    """The active file is at every instant entirely the old or entirely the new one (I27)."""
    seam = 0
    while await crash_in_activation(seam, choose):
        seam += 1
    assert 5 == seam, "make, write, sync, rename, sync"


async def test_an_activation_that_could_not_be_synced_is_written_anew() -> None:
    """It is there to be read, and a second sync says yes: after a power loss it would be gone."""
    disk, home = CrashDisk(), Path("/device")
    disk.make_directory(home)
    hooked = FileAndHook(
        fleet=FLEET, device=DEVICE, active=home / CONFIG, disk=disk, offload=inline
    )
    disk.fail_at = disk.seams + 4
    with pytest.raises(DiskError):
        await hooked.activate(activation(1), config(1))
    await hooked.activate(activation(1), config(1))
    disk.cut_power()
    disk.reboot()
    assert config(1) == disk.read(home / CONFIG, 10_000)


async def crash_in_activation(seam: int, choose: Choose) -> bool:
    """Lose power at one seam of the second activation; false where it had ended before."""
    disk, home = CrashDisk(), Path("/device")
    disk.make_directory(home)
    hooked = FileAndHook(
        fleet=FLEET, device=DEVICE, active=home / CONFIG, disk=disk, offload=inline
    )
    await hooked.activate(activation(1), config(1))
    disk.crash_at = disk.seams + seam
    try:
        await hooked.activate(activation(2), config(2))
    except PowerLost:
        disk.reboot(choose)
        assert disk.read(home / CONFIG, 10_000) in {config(1), config(2)}
        return True
    return False
