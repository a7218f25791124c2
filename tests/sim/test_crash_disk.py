"""The disk that forgets: what a kill, a power loss and a failed sync leave of what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from drone_sim.disk import BROKEN, CrashDisk, everything_survives, nothing_survives
from orchestrator.agent.disk import write_atomically
from orchestrator.ports import DiskError

HOME = Path("/home")
FILE = HOME / "file"
OLD, NEW = b"old bytes", b"new bytes"
LAST_SYNC = 4
"""The last of the five changes that an atomic write is made of: the sync of the name."""


def disk() -> CrashDisk:
    """A disk with a file on it, durably."""
    made = CrashDisk()
    made.make_directory(HOME)
    write(made, OLD)
    return made


def write(on: CrashDisk, data: bytes) -> None:
    """Write the file as everybody does."""
    write_atomically(on, FILE, data, temporary=".new")


def read(on: CrashDisk) -> bytes | None:
    """What can be read now."""
    return on.read(FILE, 100)


def lose_power(on: CrashDisk) -> bytes | None:
    """What can be read after a power loss that leaves the least that it may."""
    on.cut_power()
    on.reboot(nothing_survives)
    return read(on)


def write_unsynced(on: CrashDisk) -> None:
    """Write the file and rename it, and sync no name."""
    beside = FILE.with_name(".new")
    file = on.create(beside)
    file.write(NEW)
    file.sync()
    on.rename(beside, FILE)


def test_after_a_kill_all_is_there_that_was_written() -> None:
    """The system has it in memory, whoever wrote it."""
    on = disk()
    write_unsynced(on)
    on.cut_power()
    on.kill()
    assert NEW == read(on)


def test_a_kill_makes_nothing_durable() -> None:
    """What the next one finds may be gone after a power loss."""
    on = disk()
    write_unsynced(on)
    on.kill()
    assert OLD == lose_power(on)


def test_what_is_synced_after_a_kill_is_durable() -> None:
    """The next one can make it so."""
    on = disk()
    write_unsynced(on)
    on.kill()
    on.sync_directory(HOME)
    assert NEW == lose_power(on)


def test_a_kill_frees_the_locks() -> None:
    """They are the process's."""
    on = disk()
    on.lock(HOME / "lock")
    on.kill()
    on.lock(HOME / "lock")


def fail_to_write(on: CrashDisk, change: int) -> None:
    """Write with one of the five changes failing."""
    on.failure, on.fail_at = BROKEN, on.seams + change
    with pytest.raises(DiskError, match="input/output error"):
        write(on, NEW)


@pytest.mark.parametrize("change", range(LAST_SYNC))
def test_a_write_that_fails_leaves_the_old_file(change: int) -> None:
    """Nothing was renamed yet."""
    on = disk()
    fail_to_write(on, change)
    assert (OLD, OLD) == (read(on), lose_power(on))


def test_a_name_whose_sync_has_failed_is_made_durable_by_no_other() -> None:
    """The system has taken it for written: it can be read, and a power loss takes it."""
    on = disk()
    fail_to_write(on, LAST_SYNC)
    on.sync_directory(HOME)
    assert (NEW, OLD) == (read(on), lose_power(on))


def test_a_name_that_was_written_anew_is_durable() -> None:
    """That is the only way."""
    on = disk()
    fail_to_write(on, LAST_SYNC)
    write(on, NEW)
    assert NEW == lose_power(on)


def test_bytes_whose_sync_has_failed_are_made_durable_by_no_other() -> None:
    """The second sync returns, and has written nothing."""
    on = disk()
    file = on.create(FILE)
    file.write(NEW)
    on.fail_at = on.seams
    with pytest.raises(DiskError):
        file.sync()
    file.sync()
    assert (NEW, OLD) == (read(on), lose_power(on))


def test_what_a_failed_sync_has_left_may_be_there_all_the_same() -> None:
    """Nobody knows how much of it had been written."""
    on = disk()
    fail_to_write(on, LAST_SYNC)
    on.cut_power()
    on.reboot(everything_survives)
    assert NEW == read(on)


def test_another_name_is_not_lost_with_it() -> None:
    """Only what changed before the sync that failed is."""
    on = disk()
    fail_to_write(on, LAST_SYNC)
    write_atomically(on, HOME / "other", NEW, temporary=".new")
    on.cut_power()
    on.reboot(nothing_survives)
    assert (OLD, NEW) == (read(on), on.read(HOME / "other", 100))


def test_a_failing_disk_refuses_every_change_until_it_is_repaired() -> None:
    """It can be read meanwhile."""
    on = disk()
    on.failing = BROKEN
    with pytest.raises(DiskError):
        write(on, NEW)
    with pytest.raises(DiskError):
        on.remove(FILE)
    meanwhile, on.failing = read(on), None
    write(on, NEW)
    assert (OLD, NEW) == (meanwhile, read(on))
