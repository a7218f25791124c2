"""Where the file of the SQLite store is, and what the store asks of a connection to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.storage.files import make_file


class Rows(Protocol):
    """What a statement came to, as :class:`sqlite3.Cursor` has it."""

    @property
    def rowcount(self) -> int:
        """How many rows it has changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or ``None``."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...


class Connection(Protocol):
    """What the store asks of a connection; raises :class:`sqlite3.Error`."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Run one statement for each of the parameters."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Medium(Protocol):
    """Where the file is: the machine's disk, or a simulated one that can lose power."""

    def make_file(self, path: Path) -> None:
        """Make an empty file unless there is one. Raises StoreUnavailable."""
        ...

    def identity(self, path: Path) -> tuple[int, int] | None:
        """Return which file stands at ``path``; ``None`` where there is none."""
        ...

    def connect(self, path: Path, busy_timeout_s: float) -> Connection:
        """Open the file, which exists: one that vanished must not come back as an empty one."""
        ...


class OsMedium:
    """The machine's disk."""

    def make_file(self, path: Path) -> None:
        """Make the file, private and durable."""
        make_file(path)

    def identity(self, path: Path) -> tuple[int, int] | None:
        """Return its device and inode."""
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def connect(self, path: Path, busy_timeout_s: float) -> sqlite3.Connection:
        """Open it with the standard library's SQLite."""
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,  # transactions are begun and ended here, explicitly
            timeout=busy_timeout_s,
        )
