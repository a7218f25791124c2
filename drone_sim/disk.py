"""
A disk in memory that forgets what was not synced: the device's disk of tests and simulations.

Theory of operation
===================
Every file has a live and a durable content, every directory live and durable names. A write
changes the live content only; :meth:`NewFile.sync` makes it durable. Creating, renaming and
removing change the live names and are remembered in order; :meth:`CrashDisk.sync_directory`
makes them durable. A power loss leaves of each unsynced content nothing, a part, or all, and of
the names of each directory those of some prefix of the unsynced changes (a journalling file
system keeps their order). ``choose`` picks; it is the caller's source of chance.

A kill -9 is no power loss: the next process finds all that was written, since the system still
has it in memory, and none of it is more durable for that.

A sync that fails is final: the system takes what it could not write for written, and a later
sync returns without a word ("fsyncgate": PostgreSQL 11 and the Linux page cache, 2018). Nothing
but writing it anew makes it durable: other content under a new file, the name once more.

Each call that changes something is a *seam*: the calls are counted, and the disk can be told to
lose power or to fail at the n-th one. It is not safe across threads: call it inline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.agent.disk import PRIVATE, DiskLocked, Lock, NewFile
from orchestrator.ports import DiskError

Choose = Callable[[int], int]
"""Given ``n``, return one of 0 to n - 1: 0 is the least that a crash may leave, n - 1 all."""

FULL: Final = "no space left on the disk"
BROKEN: Final = "input/output error: the disk may be failing"
CAPACITY_BYTES: Final = 64 * 1024 * 1024


def nothing_survives(_ways: int) -> int:
    """Choose that a crash leaves only what was synced."""
    return 0


def everything_survives(ways: int) -> int:
    """Choose that a power loss leaves all that was written: the disk was quick."""
    return ways - 1


class PowerLost(BaseException):
    """The machine is off. Not an Exception: nobody handles it, everything just ends."""


@dataclass(slots=True, eq=False)
class _Content:
    live: bytes = b""
    durable: bytes = b""
    lost: bool = False
    """Whether a sync of it has failed: no other one makes it durable."""

    def sync(self) -> None:
        if not self.lost:
            self.durable = self.live


@dataclass(slots=True)
class _Directory:
    live: dict[str, _Content] = field(default_factory=dict)
    durable: dict[str, _Content] = field(default_factory=dict)
    images: list[dict[str, _Content]] = field(default_factory=list)
    """The names after each change that was not synced yet, in order."""
    lost: dict[str, _Content | None] = field(default_factory=dict)
    """What stands on the disk under a name whose last change a failed sync has lost."""

    def changed(self, *names: str) -> None:
        for name in names:
            self.lost.pop(name, None)
        self.images.append(self._written())

    def sync(self) -> None:
        self.durable = self._written()
        self.images.clear()

    def fail_to_sync(self) -> None:
        """Take every change since the last sync for written, which it is not."""
        for name in dict.fromkeys((*self.durable, *self.live)):
            if self.live.get(name) is not self.durable.get(name):
                self.lost.setdefault(name, self.durable.get(name))

    def _written(self) -> dict[str, _Content]:
        """Return the live names, but for those that a failed sync has lost."""
        found = {**self.live, **self.lost}
        return {name: content for name, content in found.items() if content is not None}

    def crash(self, choose: Choose) -> None:
        states = [self.durable, *self.images]
        self.live = dict(states[choose(len(states))])
        self.lost.clear()
        self.sync()


class _MemoryFile:
    """See :class:`orchestrator.agent.disk.NewFile`."""

    def __init__(self, disk: CrashDisk, path: Path, content: _Content) -> None:
        self._disk = disk
        self._path = path
        self._content = content

    def write(self, data: bytes) -> None:
        """Append; a crash or a full disk in the middle leaves a part."""
        room = self._disk.free_bytes(self._path.parent)
        before = self._content.live
        self._content.live = before + data[: min(room, len(data) // 2)]
        self._disk.seam("written", self._path)
        if len(data) > room:
            raise _error(self._path, "written", FULL)
        self._content.live = before + data

    def sync(self) -> None:
        """Make the content durable, unless the disk lies, or has failed to before."""
        try:
            self._disk.seam("synced", self._path)
        except DiskError:
            self._content.lost = True
            raise
        if not self._disk.lies:
            self._content.sync()

    def close(self) -> None:
        """Nothing to give back."""


class _MemoryLock:
    def __init__(self, held: dict[Path, int], path: Path) -> None:
        self._held = held
        self._path = path

    def release(self) -> None:
        self._held.pop(self._path, None)


class CrashDisk:
    """
    See :class:`orchestrator.agent.disk.Disk`.

    ``seams`` counts the calls that changed something. Set ``crash_at`` to lose power just before
    the call of that number (counted from 0), ``fail_at`` to have it fail with ``failure``; with
    ``failing`` every one of them fails for that reason. ``lies`` makes every sync return without
    doing anything. After a power loss every call raises PowerLost until :meth:`reboot`.
    """

    def __init__(self, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self.seams = 0
        self.trace: list[str] = []
        self.crash_at: int | None = None
        self.fail_at: int | None = None
        self.failure = FULL
        self.failing: str | None = None
        self.lies = False
        self.pid = 1
        self._off = False
        self._directories: dict[Path, _Directory] = {}
        self._locks: dict[Path, int] = {}

    def seam(self, what: str, path: Path) -> None:
        """Count a change that is about to be made; it may be the last thing that happens."""
        self._require_power()
        number, self.seams = self.seams, self.seams + 1
        self.trace.append(f"{what} {path.name}")
        if number == self.crash_at:
            self._off = True
            raise PowerLost
        why = self.failure if number == self.fail_at else self.failing
        if why is not None:
            raise _error(path, what, why)

    def cut_power(self) -> None:
        """Lose power now."""
        self._off = True

    def kill(self) -> None:
        """
        End whoever works on it (kill -9): the next one finds all that was written.

        What was not synced is not durable: a power loss may still take it. All locks are free.
        """
        self._off = False
        self._locks.clear()

    def reboot(self, choose: Choose = nothing_survives) -> None:
        """Come back after a power loss with what it left. All locks are free."""
        self._off = False
        self.crash_at, self.fail_at = None, None
        contents = {id(file): file for file in self._contents()}
        for content in contents.values():
            _crash(content, choose)
        for directory in self._directories.values():
            directory.crash(choose)
        self._locks.clear()

    def _contents(self) -> list[_Content]:
        return [
            content
            for directory in self._directories.values()
            for names in (directory.durable, *directory.images)
            for content in names.values()
        ]

    def _require_power(self) -> None:
        if self._off:
            raise PowerLost

    def _at(self, path: Path, what: str) -> _Directory:
        self._require_power()
        found = self._directories.get(path)
        if found is None:
            raise _error(path, what, "No such file or directory")
        return found

    # --- the port -----------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        """Make directories; they are durable at once, as the port says."""
        self._require_power()
        for part in (*reversed(path.parents), path):
            if part not in self._directories:
                self.seam("made", part)
                self._directories[part] = _Directory()

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:  # noqa: ARG002 - as the port
        """Make an empty file, or empty the one that is there."""
        directory = self._at(path.parent, "be made")
        self.seam("made", path)
        content = directory.live.get(path.name)
        if content is None:
            content = directory.live[path.name] = _Content()
            directory.changed(path.name)
        content.live, content.lost = b"", False
        return _MemoryFile(self, path, content)

    def rename(self, old: Path, new: Path) -> None:
        """Move a name within its directory."""
        directory = self._at(old.parent, "be replaced")
        self.seam("replaced", new)
        if old.parent != new.parent or old.name not in directory.live:
            raise _error(new, "replaced", "No such file or directory")
        directory.live[new.name] = directory.live.pop(old.name)
        directory.changed(old.name, new.name)

    def sync_directory(self, path: Path) -> None:
        """Make the names durable, unless the disk lies, or has failed to before."""
        directory = self._at(path, "be synced")
        try:
            self.seam("synced", path)
        except DiskError:
            directory.fail_to_sync()
            raise
        if not self.lies:
            directory.sync()

    def read(self, path: Path, bytes_max: int) -> bytes | None:
        """Return the live content."""
        self._require_power()
        directory = self._directories.get(path.parent)
        content = None if directory is None else directory.live.get(path.name)
        if content is not None and len(content.live) > bytes_max:
            raise _error(path, "read", f"it has more than {bytes_max} bytes")
        return None if content is None else content.live

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the live names, directories among them."""
        inside = {part.name for part in self._directories if part.parent == path != part}
        return tuple(sorted({*self._at(path, "listed").live, *inside}))

    def remove(self, path: Path) -> None:
        """Drop a name."""
        directory = self._at(path.parent, "removed")
        if path.name in directory.live:
            self.seam("removed", path)
            del directory.live[path.name]
            directory.changed(path.name)

    def free_bytes(self, path: Path) -> int:
        """Return the capacity less all live contents."""
        self._at(path, "be measured")
        files = [file for part in self._directories.values() for file in part.live.values()]
        return max(0, self.capacity_bytes - sum(len(file.live) for file in files))

    def lock(self, path: Path) -> Lock:
        """Take a lock as process :attr:`pid`."""
        self._at(path.parent, "be locked")
        if path in self._locks:
            raise DiskLocked(self._locks[path])
        self._locks[path] = self.pid
        return _MemoryLock(self._locks, path)

    def damage(self, path: Path, data: bytes) -> None:
        """Let a file hold other bytes, durably: worn flash, or somebody's editor."""
        directory = self._at(path.parent, "written")
        directory.live[path.name] = _Content(live=data, durable=data)
        directory.changed(path.name)
        directory.sync()


def _crash(content: _Content, choose: Choose) -> None:
    """Leave of the unsynced content nothing, a part (the rest is zeros), or all."""
    if content.live != content.durable:
        torn = content.live[: choose(len(content.live) + 1)].ljust(len(content.live), b"\0")
        content.live = (content.durable, torn, content.live)[choose(3)]
    content.durable, content.lost = content.live, False


def _error(path: Path, what: str, why: str) -> DiskError:
    return DiskError(f"{path}: can't be {what}: {why}")
