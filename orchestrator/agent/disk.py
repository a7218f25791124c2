"""
The disk, as a device sees it: the few calls that an atomic, durable write is made of.

Whole files only: a new one is created under a temporary name in the same directory, written,
synced and renamed, and then the directory is synced; :func:`write_atomically` is that sequence
and nobody writes in another way. So at every instant the name holds the old bytes or the new
ones (I27), whatever dies between two calls. The calls are separate so that a test can crash
between any two of them. They block: call them off the event loop.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from orchestrator.ports import DiskError

PRIVATE: int = 0o600
READABLE: int = 0o644


class DiskLocked(Exception):  # noqa: N818 - an answer, not an error
    """Somebody else holds the lock file. ``pid`` is theirs, ``None`` where it can't be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"locked by pid {pid}")
        self.pid = pid


class NewFile(Protocol):
    """A file that is being made. Nothing is durable before :meth:`sync` has returned."""

    def write(self, data: bytes) -> None:
        """Append all of ``data``."""
        ...

    def sync(self) -> None:
        """Return when the bytes survive a power loss (fsync)."""
        ...

    def close(self) -> None:
        """Give the handle back. Idempotent."""
        ...


class Lock(Protocol):
    """A lock file that is held; the kernel frees it when the process dies."""

    def release(self) -> None:
        """Free it. Idempotent."""
        ...


class Disk(Protocol):
    """What a device asks of its disk. Everything raises DiskError with a human reason."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its missing parents, durably. Nothing to do where it exists."""
        ...

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:
        """Open an empty file for writing; one of this name is emptied."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Let ``new`` be what ``old`` was, atomically. Durable after :meth:`sync_directory`."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory survive a power loss (fsync)."""
        ...

    def read(self, path: Path, bytes_max: int) -> bytes | None:
        """Return a file's bytes, ``None`` where there is none; DiskError over ``bytes_max``."""
        ...

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the names in a directory, sorted."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file. Nothing to do where there is none."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Return what this process may still write in the file system of a directory."""
        ...

    def lock(self, path: Path) -> Lock:
        """Take the lock file or raise :class:`DiskLocked` at once."""
        ...


def write_atomically(
    disk: Disk, path: Path, data: bytes, *, temporary: str, mode: int = PRIVATE
) -> None:
    """
    Replace ``path`` by ``data``: all of it or nothing, and durable when this returns.

    ``temporary`` is a name in the same directory that nobody else uses. Raises DiskError;
    ``path`` then holds what it held, or, if the last sync failed, perhaps ``data``.
    """
    beside = path.with_name(temporary)
    try:
        _write(disk, beside, data, mode)
        disk.rename(beside, path)
    except DiskError:
        with suppress(DiskError):  # a full disk: give the space back
            disk.remove(beside)
        raise
    disk.sync_directory(path.parent)


def _write(disk: Disk, path: Path, data: bytes, mode: int) -> None:
    file = disk.create(path, mode)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
