"""What every disk keeps to, the real one and the simulated one alike."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from drone_sim.disk import CrashDisk
from orchestrator.agent.disk import READABLE, Disk, DiskLocked, write_atomically
from orchestrator.agent.os_disk import OsDisk
from orchestrator.ports import DiskError

Place = tuple[Disk, Path]


def real(tmp_path: Path) -> Place:
    """The disk of this machine."""
    return OsDisk(), tmp_path


def simulated(_tmp_path: Path) -> Place:
    """The disk in memory."""
    disk = CrashDisk()
    disk.make_directory(Path("/device"))
    return disk, Path("/device")


@pytest.fixture(params=[real, simulated])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A disk and an empty directory on it."""
    make: Callable[[Path], Place] = request.param
    return make(tmp_path)


def write(disk: Disk, path: Path, data: bytes) -> None:
    """Write as everybody does."""
    write_atomically(disk, path, data, temporary=".new")


def test_what_was_written_is_read(place: Place) -> None:
    """A file holds exactly the bytes that were last written to it."""
    disk, home = place
    write(disk, home / "file", b"old, and longer")
    write(disk, home / "file", b"new")
    assert b"new" == disk.read(home / "file", 100)


def test_nothing_is_left_beside_the_file(place: Place) -> None:
    """The temporary name is gone after an atomic write."""
    disk, home = place
    write(disk, home / "file", b"new")
    assert ("file",) == disk.names(home)


def test_a_missing_file_is_none(place: Place) -> None:
    """Reading what is not there is no error."""
    disk, home = place
    assert disk.read(home / "missing", 100) is None


def test_removing_is_idempotent(place: Place) -> None:
    """A file may be removed twice."""
    disk, home = place
    write(disk, home / "file", b"new")
    disk.remove(home / "file")
    disk.remove(home / "file")
    assert () == disk.names(home)


def test_a_file_that_is_too_large_is_refused(place: Place) -> None:
    """Nothing reads more bytes than it has allowed for."""
    disk, home = place
    write(disk, home / "file", b"12345")
    with pytest.raises(DiskError, match="more than 4 bytes"):
        disk.read(home / "file", 4)


def test_directories_are_made_with_their_parents_and_twice(place: Place) -> None:
    """Making a directory makes its parents, and is idempotent."""
    disk, home = place
    disk.make_directory(home / "a" / "b")
    disk.make_directory(home / "a" / "b")
    assert ("b",) == disk.names(home / "a")


def test_writing_into_a_missing_directory_is_a_disk_error(place: Place) -> None:
    """The error names the file and says why; it is no OSError."""
    disk, home = place
    with pytest.raises(DiskError, match=r"missing.*: No such file or directory"):
        write(disk, home / "missing" / "file", b"new")


def test_a_lock_is_held_once_and_names_its_holder(place: Place) -> None:
    """The second to ask is told who holds it."""
    disk, home = place
    lock = disk.lock(home / "lock")
    with pytest.raises(DiskLocked) as refused:
        disk.lock(home / "lock")
    assert refused.value.pid is not None
    lock.release()


def test_a_released_lock_is_free(place: Place) -> None:
    """Releasing is idempotent, and then the lock can be taken again."""
    disk, home = place
    lock = disk.lock(home / "lock")
    lock.release()
    lock.release()
    disk.lock(home / "lock").release()


def test_free_space_is_known(place: Place) -> None:
    """The free space of a directory is a number of bytes."""
    disk, home = place
    assert disk.free_bytes(home) > 0


def test_state_is_private_and_the_active_file_is_readable(tmp_path: Path) -> None:
    """On a real disk state has mode 0600, and what a controller reads 0644 at most."""
    disk = OsDisk()
    write(disk, tmp_path / "state", b"x")
    write_atomically(disk, tmp_path / "active", b"x", temporary=".new", mode=READABLE)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("state", "active")]
    assert 0o600 == modes[0]
    assert 0 == modes[1] & 0o133


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """A symbolic link in the place of the temporary name is refused, its target untouched."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / ".new").symlink_to(target)
    with pytest.raises(DiskError):
        write(OsDisk(), tmp_path / "file", b"new")
    assert b"precious" == target.read_bytes()


def test_unsynced_bytes_are_lost_in_a_power_loss() -> None:
    """The simulated disk forgets what was written and renamed but not synced."""
    disk, home = simulated(Path())
    write(disk, home / "file", b"old")
    file = disk.create(home / ".new")
    file.write(b"new")
    disk.rename(home / ".new", home / "file")
    disk.sync_directory(home)
    assert isinstance(disk, CrashDisk)
    disk.cut_power()
    disk.reboot()
    assert b"" == disk.read(home / "file", 100), "renamed before its bytes were synced"
