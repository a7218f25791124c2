"""SQLite's view of a :class:`PowerDisk`: a virtual file system, through apsw."""

from __future__ import annotations

from typing import Any, Final

import apsw

from drone_sim.power.disk import SECTOR_BYTES, PowerCut, PowerDisk, SectorFile

_SLEPT_US: Final = 0


def of_this_boot(disk: PowerDisk, boot: int) -> PowerDisk:
    """Return the disk, or raise PowerCut: whoever was there before the last boot is gone."""
    if disk.boots != boot:
        raise PowerCut("the machine was started again since")
    return disk


class PowerVfs(apsw.VFS):
    """
    The file system ``name`` over ``disk``. It is registered as long as it lives.

    One connection at a time: it has no shared memory, so a connection must hold its file
    exclusively (``PRAGMA locking_mode = EXCLUSIVE``) before it can keep a write-ahead log. It is
    of one boot of the machine: close its connection, which reaches nothing any more, before the
    next one.
    """

    def __init__(self, name: str, disk: PowerDisk) -> None:
        self._whole = disk
        self._boot = disk.boots
        super().__init__(name, base="")

    @property
    def _disk(self) -> PowerDisk:
        return of_this_boot(self._whole, self._boot)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        """Open or make a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else (name or "temporary")
        flags[1] = flags[0]
        return PowerFile(self._disk, path, self._disk.open(path))

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        """Remove a file."""
        self._disk.remove(name, durably=syncdir)

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: ARG002, N802
        """Whether a file exists."""
        self._disk.require_power()
        return name in self._disk.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Return the name: there is one folder."""
        return name

    def xRandomness(self, count: int) -> bytes:  # noqa: N802
        """Return no randomness: two runs must do the same."""
        return bytes(count)

    def xSleep(self, microseconds: int) -> int:  # noqa: ARG002, N802
        """Wait for nobody: there is one connection."""
        return _SLEPT_US

    def xCurrentTime(self) -> float:  # noqa: N802
        """Return a date, always the same: nothing of ours asks for one."""
        return 2_440_587.5

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        """Say nothing more."""
        return 0, ""


class PowerFile:
    """One open file."""

    def __init__(self, disk: PowerDisk, name: str, file: SectorFile) -> None:
        self._whole = disk
        self._boot = disk.boots
        self._name = name
        self._file = file

    @property
    def _disk(self) -> PowerDisk:
        return of_this_boot(self._whole, self._boot)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Return what is there; SQLite fills up what is missing."""
        self._disk.require_power()
        return bytes(self._file.live[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write."""
        self._disk.write(self._file, bytes(data), offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """Cut it short."""
        self._disk.truncate(self._file, size)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        """Sync."""
        self._disk.sync(self._file)

    def xFileSize(self) -> int:  # noqa: N802
        """Return its size in bytes."""
        self._disk.require_power()
        return len(self._file.live)

    def xLock(self, level: int) -> None:  # noqa: N802
        """Lock nobody out: there is one connection."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Do the same."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """Nobody else has one."""
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: ARG002, N802
        """Know no control."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """Return the sector's size in bytes."""
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """Promise nothing: not even that a sector survives the writing of its neighbour."""
        return 0

    def xClose(self) -> None:  # noqa: N802
        """Close it."""
