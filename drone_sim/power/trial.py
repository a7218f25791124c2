"""A store on a disk that loses power: what it was told to keep, and what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from drone_sim.power.disk import PowerDisk
from drone_sim.power.medium import PowerConnection, PowerMedium, PowerRows
from drone_sim.scenario.chance import stream
from orchestrator.errors import OperatingError
from orchestrator.ports import OutcomeUnknown, StoreUnavailable
from orchestrator.protocol.errors import require
from orchestrator.protocol.records import START, Record
from orchestrator.protocol.types import FleetId
from orchestrator.storage.sqlite import SqliteStore

PATH: Final = Path("/journal.db")
FLEET: Final = FleetId("hazard-12")

Append = Sequence[Record]


class Careless(PowerMedium):
    """The same disk with ``synchronous = NORMAL`` behind the store's back."""

    def connect(self, path: Path, busy_timeout_s: float) -> PowerConnection:
        """Open the file."""
        return _Careless(super().connect(path, busy_timeout_s))


class _Careless(PowerConnection):
    def __init__(self, inner: PowerConnection) -> None:
        super().__init__(inner.raw)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> PowerRows:
        """Run one statement; lower the setting once it was read back."""
        rows = super().execute(sql, parameters)
        if sql == "PRAGMA synchronous":
            super().execute("PRAGMA synchronous = NORMAL")
        return rows


class Machine:
    """A disk, and the store on it that is open now."""

    def __init__(
        self, seed: int, *, lies: bool = False, medium: type[PowerMedium] = PowerMedium
    ) -> None:
        self.disk = PowerDisk(stream(seed, "power").randrange, lies=lies)
        self._medium = medium
        self._store: SqliteStore | None = None

    def play(self, story: Sequence[Append]) -> tuple[list[Record], list[Record]]:
        """
        Append the story until its end or the cut.

        Returns what the file is known to hold, and what it would hold with the append that was
        under way; what it has held before is in both.
        """
        told: list[Record] = []
        tried: list[Record] = []

        async def run() -> None:
            store = self._open()
            entries = list(await store.read(FLEET))
            told.extend(entry.record for entry in entries)
            tried.extend(told)
            for records in story:
                tried.extend(records)
                head = entries[-1].head if entries else START
                entries = list(await store.append(FLEET, head, records))
                told.extend(records)

        try:
            asyncio.run(run())
        except (OutcomeUnknown, StoreUnavailable, OperatingError):
            if not self.disk.off:
                raise
        return told, tried

    def _open(self) -> SqliteStore:
        self._store = SqliteStore(PATH, now=_noon, medium=self._medium(self.disk))
        return self._store

    def found(self) -> list[Record]:
        """Cut the power, come up and read, as any next process would; and check the file."""

        async def read() -> list[Record]:
            entries = await self._open().read(FLEET)
            await self._close()
            return [entry.record for entry in entries]

        self.disk.cut_power()
        asyncio.run(self._close())  # a process that is gone: it reaches nothing any more
        self.disk.reboot()
        records = asyncio.run(read())
        raw = PowerMedium(self.disk).connect(PATH, 0.0)
        sound = raw.execute("PRAGMA integrity_check").fetchall()
        raw.close()
        require(sound == [("ok",)], f"the file is damaged: {sound}")
        return records

    async def _close(self) -> None:
        if self._store is not None:
            await self._store.close()


def _noon() -> float:
    """Date every entry alike."""
    return 1_700_000_000.0
