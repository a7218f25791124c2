"""
A disk of sectors in memory: what is written lives at once, and is durable after a sync.

A power cut leaves of every sector that was written since the last sync of its file the old or the
new content, each by chance, and of a file that has grown the old or the new size. The first sync
of a new file syncs the directory too, as SQLite's unix layer does: names and removals are durable
then, or where a removal asks for it.

Every write, truncation, sync and removal is a *seam*: they are counted, and the power can be cut
at the n-th one, before or after it has been done by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

SECTOR_BYTES: Final = 512

Choose = Callable[[int], int]
"""Given ``n``, return one of 0 to n - 1."""


class PowerCut(Exception):  # noqa: N818 - what happened, not whose mistake it was
    """The machine is off; nothing of the disk answers."""


@dataclass(slots=True, eq=False)
class SectorFile:
    """One file: its live content, its durable content, and which sectors differ."""

    live: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    dirty: dict[int, None] = field(default_factory=dict)
    named: bool = False
    """Whether its name is durable."""

    def write(self, data: bytes, offset: int) -> None:
        """Write; a gap before it is zeros."""
        if offset > len(self.live):
            self.live.extend(bytes(offset - len(self.live)))
        self.live[offset : offset + len(data)] = data
        last = (offset + len(data) - 1) // SECTOR_BYTES
        self.dirty.update(dict.fromkeys(range(offset // SECTOR_BYTES, last + 1)))

    def truncate(self, size: int) -> None:
        """Cut it short; durable with the next sync."""
        self.dirty.update(dict.fromkeys(range(size // SECTOR_BYTES, self._sectors())))
        del self.live[size:]

    def _sectors(self) -> int:
        return -(-max(len(self.live), len(self.durable)) // SECTOR_BYTES)

    def sync(self) -> None:
        """Make its content durable."""
        self.durable = bytes(self.live)
        self.dirty.clear()

    def crash(self, choose: Choose) -> None:
        """Keep of each unsynced sector the old or the new content."""
        if not self.dirty:
            return
        size = (len(self.durable), len(self.live))[choose(2)]
        image = bytearray(self.durable.ljust(size, b"\0")[:size])
        for sector in self.dirty:
            begin = sector * SECTOR_BYTES
            if choose(2) and begin < size:
                new = self.live[begin : begin + SECTOR_BYTES][: size - begin]
                image[begin : begin + len(new)] = new
        self.live, self.durable = image, bytes(image)
        self.dirty.clear()


class PowerDisk:
    """
    The files by their names. ``choose`` is the source of chance of a power cut.

    ``cut_at`` plans one at that seam. ``lies`` makes a sync that does nothing, as some drives do.
    After a cut every call raises PowerCut until :meth:`reboot`.
    """

    def __init__(self, choose: Choose, *, lies: bool = False) -> None:
        self.files: dict[str, SectorFile] = {}
        self.seams = 0
        self.cut_at: int | None = None
        self.lies = lies
        self.off = False
        self.boots = 0
        self._choose = choose
        self._removed: dict[str, SectorFile] = {}

    def require_power(self) -> None:
        """Raise PowerCut while the machine is off."""
        if self.off:
            raise PowerCut("the power is off")

    def seam(self, act: Callable[[], None]) -> None:
        """Do something that changes the disk, unless the power is cut at this very seam."""
        self.require_power()
        self.seams += 1
        if self.cut_at is None or self.seams < self.cut_at:
            act()
            return
        if self._choose(2):
            act()
        self.off = True
        raise PowerCut(f"the power was cut at seam {self.seams}")

    def open(self, name: str) -> SectorFile:
        """Return a file, made if it is missing."""
        self.require_power()
        return self.files.setdefault(name, SectorFile())

    def write(self, file: SectorFile, data: bytes, offset: int) -> None:
        """Write into a file."""
        self.seam(lambda: file.write(data, offset))

    def truncate(self, file: SectorFile, size: int) -> None:
        """Cut a file short."""
        self.seam(lambda: file.truncate(size))

    def sync(self, file: SectorFile) -> None:
        """Sync a file, unless the disk lies."""
        self.seam(lambda: None if self.lies else self._sync(file))

    def _sync(self, file: SectorFile) -> None:
        file.sync()
        if not file.named:
            self._removed.clear()
            for known in self.files.values():
                known.named = True

    def remove(self, name: str, *, durably: bool) -> None:
        """Remove a name; one that is not synced may be back after a power cut."""
        self.seam(lambda: self._remove(name, durably=durably and not self.lies))

    def _remove(self, name: str, *, durably: bool) -> None:
        gone = self.files.pop(name, None)
        if gone is not None and not durably:
            self._removed[name] = gone

    def cut_power(self) -> None:
        """Cut the power now."""
        self.off = True

    def reboot(self) -> None:
        """Come up with what the cut has left."""
        self.off, self.cut_at = False, None
        self.boots += 1
        for name, file in self._removed.items():
            if self._choose(2):
                self.files.setdefault(name, file)
        self._removed.clear()
        for name, file in list(self.files.items()):
            file.crash(self._choose)
            if not file.named and not self._choose(2):
                del self.files[name]
