"""The disk of this machine: the adapter that knows ``os`` and ``fcntl``."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.agent.disk import PRIVATE, DiskLocked, Lock, NewFile
from orchestrator.agent.flight import Aged
from orchestrator.ports import DiskError

_WHY: Final = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "input/output error: the disk may be failing",
}
_PID_BYTES_MAX: Final = 32


@contextlib.contextmanager
def _mapped(what: str, path: Path) -> Iterator[None]:
    """Let no OSError travel inward."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
        msg = f"{path}: can't {what}: {why}"
        raise DiskError(msg) from error


class _OsFile:
    """See :class:`orchestrator.agent.disk.NewFile`."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor: int | None = os.open(path, flags, mode)

    def write(self, data: bytes) -> None:
        """Write all: the kernel may take a part at a time."""
        rest = memoryview(data)
        with _mapped("be written", self._path):
            while rest:
                rest = rest[os.write(self._open(), rest) :]

    def sync(self) -> None:
        """Sync by fsync(2)."""
        with _mapped("be synced", self._path):
            os.fsync(self._open())

    def close(self) -> None:
        """Close the descriptor; what matters was synced before."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _open(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        return self._descriptor


class _OsLock:
    """A lock by flock(2) on a descriptor that no child process inherits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Free the lock by closing; the file stays, since removing it would race."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class OsDisk:
    """The file system of this machine; see :class:`orchestrator.agent.disk.Disk`."""

    def make_directory(self, path: Path) -> None:
        """Make what is missing with mode 0700 and sync each parent."""
        with _mapped("be made", path):
            missing = [part for part in (path, *path.parents) if not part.exists()]
            for part in reversed(missing):
                part.mkdir(mode=0o700, exist_ok=True)
                _sync_directory(part.parent)
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "it is no directory")

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:
        """Open with O_TRUNC and O_NOFOLLOW; ``mode`` is subject to the umask."""
        with _mapped("be made", path):
            return _OsFile(path, mode)

    def rename(self, old: Path, new: Path) -> None:
        """Let the new file take the name."""
        with _mapped("be replaced", new):
            old.replace(new)

    def sync_directory(self, path: Path) -> None:
        """Call fsync(2) on the directory."""
        with _mapped("be synced", path):
            _sync_directory(path)

    def read(self, path: Path, bytes_max: int) -> bytes | None:
        """Read a whole file of at most ``bytes_max`` bytes."""
        with _mapped("be read", path):
            try:
                with path.open("rb") as file:
                    data = file.read(bytes_max + 1)
            except FileNotFoundError:
                return None
        return _at_most(bytes_max, data, path)

    def read_aged(self, path: Path, bytes_max: int) -> Aged | None:
        """See :class:`orchestrator.agent.flight.AgedFiles`: wall clock against mtime."""
        with _mapped("be read", path):
            try:
                # O_NONBLOCK: a FIFO that nobody writes to must not stop a vote.
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor, not a path
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(errno.EINVAL, "it is no regular file")
                data = file.read(bytes_max + 1)
                age_s = time.time() - found.st_mtime
        return Aged(data=_at_most(bytes_max, data, path), age_s=age_s)

    def names(self, path: Path) -> tuple[str, ...]:
        """List a directory."""
        with _mapped("be listed", path):
            return tuple(sorted(entry.name for entry in path.iterdir()))

    def remove(self, path: Path) -> None:
        """Call unlink(2)."""
        with _mapped("be removed", path):
            path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """Ask statvfs(3) for what an unprivileged process may use."""
        with _mapped("be measured", path):
            found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def lock(self, path: Path) -> Lock:
        """Take flock(2) and write our pid into the file, for the one who comes next."""
        with _mapped("be locked", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            try:
                _lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        return _OsLock(descriptor)


def _at_most(bytes_max: int, data: bytes, path: Path) -> bytes:
    if len(data) > bytes_max:
        msg = f"{path}: can't be read: it has more than {bytes_max} bytes"
        raise DiskError(msg)
    return data


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DiskLocked(_pid_in(descriptor)) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _pid_in(descriptor: int) -> int | None:
    text = os.pread(descriptor, _PID_BYTES_MAX, 0).strip()
    return int(text) if text.isdigit() else None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
