"""
A :class:`orchestrator.storage.sqlite.Medium` on a :class:`PowerDisk`.

The store's own SQL and its own handling of errors run unchanged: a connection of apsw is made to
look like one of the standard library's, as far as the store uses it.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import apsw

from drone_sim.power.disk import PowerCut, PowerDisk
from drone_sim.power.vfs import PowerVfs

_NUMBERS: Final = itertools.count()
"""The name under which a file system is registered must be its own; nothing depends on it."""


class PowerMedium:
    """Where a store's file is, when it is on a disk that can lose power."""

    def __init__(self, disk: PowerDisk) -> None:
        self._disk = disk
        self._name = f"power-{next(_NUMBERS)}"
        self._vfs = PowerVfs(self._name, disk)

    def make_file(self, path: Path) -> None:
        """Make an empty file unless there is one."""
        self._disk.open(str(path)).named = True

    def identity(self, path: Path) -> tuple[int, int] | None:
        """Return which file stands there: the disk's only one of this name."""
        return (0, 1) if str(path) in self._disk.files else None

    def connect(self, path: Path, busy_timeout_s: float) -> PowerConnection:
        """Open the file, exclusively."""
        try:
            connection = apsw.Connection(
                str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._name
            )
            connection.set_busy_timeout(round(busy_timeout_s * 1000))
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        except (apsw.Error, PowerCut) as error:
            raise as_standard(error) from error
        return PowerConnection(connection)


class PowerConnection:
    """A connection, as :class:`sqlite3.Connection` is one, but for what the store never asks."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def raw(self) -> apsw.Connection:
        """What it wraps."""
        return self._connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> PowerRows:
        """Run one statement to its end."""
        try:
            rows = self._connection.execute(sql, tuple(parameters)).fetchall()
        except (apsw.Error, PowerCut) as error:
            raise as_standard(error) from error
        return PowerRows(rows, self._connection.changes())

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> PowerRows:
        """Run one statement for each of the parameters."""
        done = PowerRows([], 0)
        for each in parameters:
            done = self.execute(sql, each)
        return done

    def close(self) -> None:
        """Close it; a disk that is gone by then is no news, as with the standard library."""
        with suppress(apsw.Error, PowerCut):
            self._connection.close()


class PowerRows:
    """What a statement came to."""

    def __init__(self, rows: list[Any], changes: int) -> None:
        self._rows = rows
        self.rowcount = changes

    def fetchone(self) -> Any:
        """Return the next row, or ``None``."""
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        rows, self._rows = self._rows, []
        return rows


def as_standard(error: apsw.Error | PowerCut) -> sqlite3.Error:
    """Return the exception that the standard library's module would have raised."""
    refused = isinstance(error, apsw.ConstraintError)
    made = (sqlite3.IntegrityError if refused else sqlite3.OperationalError)(str(error))
    made.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_IOERR)
    return made
