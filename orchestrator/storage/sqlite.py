"""
The store in one SQLite file, for one machine and any number of processes.

Durability is WAL with ``synchronous=FULL``, set explicitly and read back: in WAL mode NORMAL
does not sync at COMMIT, and a power failure may roll back what was acknowledged
(https://www.sqlite.org/pragma.html#pragma_synchronous). Every write is ``BEGIN IMMEDIATE``, a
check, a write, ``COMMIT``: a failure before COMMIT has written nothing, a failure *of* COMMIT is
of unknown outcome, since the frames may be in the log already.

Who has the file open and finds another in its place is refused, by its inode. A backup that was
copied *into* the file is told by the marks of its entries, as in every store: see
:class:`orchestrator.ports.Journal`.

The methods are coroutines for the port's sake and never wait: transactions are short, and
threads would make simulated runs differ from one another. Only a writer of another process can
hold one up, for ``busy_timeout_s`` at most.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Claim, Lease, OutcomeUnknown, Stamp, StoreUnavailable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import Digest, FleetId, Owner
from orchestrator.storage import codec, lease_rows
from orchestrator.storage.leases import Boot, lease_changes, no_boot, read_stamp
from orchestrator.storage.medium import Connection, Medium, OsMedium
from orchestrator.storage.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    SQLITE_MIN,
    UPGRADES,
)

BUSY_TIMEOUT_S: Final = 2.0
"""Far above a transaction (0.2 ms), well below the 10 s after which a lock's holder stops."""

_WAL_ATTEMPTS: Final = 50

_PRAGMAS: Final = (
    # (name, what is set, what must be read back)
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("fullfsync", "ON", 1),  # macOS: fsync alone leaves the data in the drive's cache
)

_WHY: Final = {
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_BUSY: "another process is writing to it for too long",
    sqlite3.SQLITE_LOCKED: "another process is writing to it for too long",
    sqlite3.SQLITE_READONLY: "it is read-only, or permission is denied",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_NOTADB: "it is not a database",
}


class SqliteStore:
    """
    :class:`orchestrator.ports.Store` in the file ``path``, made with mode 0600 if it is missing.

    A file of an older schema is brought up to the present one. ``now`` is UTC in s and dates
    entries and leases; ``boot`` reads boot id and CLOCK_BOOTTIME in s, which date leases too. Not
    for use across a fork. Raises StoreUnavailable where the file cannot be used, OperatingError
    for a newer schema, another program's database or damage; close it when done.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float],
        boot: Boot = no_boot,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        medium: Medium | None = None,
    ) -> None:
        self._path = path.absolute()
        self._medium: Medium = medium or OsMedium()
        self._now = now
        self._boot = boot
        self._busy_timeout_s = busy_timeout_s
        # All of the mutable state. No connection: closed for good, or lost until the next use.
        # In doubt: a COMMIT failed, and what it left in the log is not overwritten yet.
        self._connection: Connection | None = None
        self._closed = False
        self._in_doubt = False
        self._identity: tuple[int, int] | None = None
        _require_sqlite()
        self._medium.make_file(self._path)
        self._identity = self._medium.identity(self._path)
        self._connection = self._connect()

    async def read(self, fleet: FleetId, after: Head = START) -> Sequence[Entry]:
        """
        Return the entries after the head ``after``, in order.

        Raises RolledBack where that head is not in the journal, OperatingError at damage.
        """
        # With the entry that is known, in one statement: both are of one snapshot.
        sql = "SELECT idx, at, record FROM journal WHERE fleet = ? AND idx >= ? ORDER BY idx"
        return codec.decode_entries(fleet, after, self._select(sql, fleet, after.index))

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """
        Append ``records`` in one durable transaction and return their entries.

        Raises Conflict and StoreUnavailable with nothing written; OutcomeUnknown where COMMIT
        itself failed: read the journal back, never retry blindly. InvariantViolation for what
        the file's own rules refuse (I7, I22, a ticket used twice).
        """
        rows = codec.encode_rows(records)
        codec.decisions(rows)
        stamp = self._stamp()
        entries = codec.place_entries(rows, expected, stamp.utc_s)
        with self._transaction(lost=OutcomeUnknown) as connection:
            codec.compare_head(fleet, _head(connection, fleet), expected)
            connection.executemany(
                "INSERT INTO journal (fleet, idx, at, kind, record) VALUES (?, ?, ?, ?, ?)",
                [
                    (fleet, entry.index, entry.at, row.record.kind, row.text)
                    for entry, row in zip(entries, rows, strict=True)
                ],
            )
            for change in lease_changes(entries):
                connection.execute(*lease_rows.statement(fleet, change, stamp))
        return entries

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; change nothing and return false unless claim and owner match (I21)."""
        match = (fleet, codec.encode_owner(owner), *lease_rows.claim_columns(claim))
        with self._transaction(lost=StoreUnavailable) as connection:
            renewed = lease_rows.stamp_columns(self._stamp())
            return connection.execute(lease_rows.RENEW, (*renewed, *match)).rowcount == 1

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        """Return every lease of the fleet: the holder's and the waiters'."""
        return lease_rows.decode_leases(fleet, self._select(lease_rows.SELECT, fleet))

    async def extend_leases(self) -> None:
        """Give every lease of every fleet a fresh TTL: the lock manager has been restarted."""
        with self._transaction(lost=StoreUnavailable) as connection:
            connection.execute(lease_rows.EXTEND, lease_rows.stamp_columns(self._stamp()))

    async def fleets(self) -> Sequence[FleetId]:
        """Return every fleet that has a journal, sorted."""
        rows = self._select("SELECT DISTINCT fleet FROM journal ORDER BY fleet")
        return [FleetId(fleet) for (fleet,) in rows]

    async def put_blob(self, data: bytes) -> Digest:
        """Store ``data`` durably and return its digest; bytes that rotted are replaced."""
        digest = codec.blob_to_store(data)
        with self._transaction(lost=StoreUnavailable) as connection:
            connection.execute(
                "INSERT INTO blobs (digest, data) VALUES (?, ?) ON CONFLICT (digest) "
                "DO UPDATE SET data = excluded.data WHERE data IS NOT excluded.data",
                (digest, bytes(data)),
            )
        return digest

    async def get_blob(self, digest: Digest) -> bytes | None:
        """Return the bytes, verified against ``digest``, or ``None``."""
        for (data,) in self._select("SELECT data FROM blobs WHERE digest = ?", digest):
            return codec.verified_blob(digest, data)
        return None

    async def close(self) -> None:
        """Give the file back. Idempotent; every later call raises StoreUnavailable."""
        self._closed = True
        self._disconnect()

    def _stamp(self) -> Stamp:
        return read_stamp(self._now, self._boot)

    @contextlib.contextmanager
    def _transaction(
        self, *, lost: type[OutcomeUnknown | StoreUnavailable]
    ) -> Iterator[Connection]:
        """Write in one transaction; ``lost`` is raised where COMMIT itself fails."""
        connection = self._connected()
        try:
            with self._mapped():
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._in_doubt = True
            self._roll_back(connection)
            raise lost(f"{self._path}: COMMIT failed: {_why(error)}") from error
        self._in_doubt = False

    def _settle_doubt(self) -> None:
        """
        Make absence final, or fail.

        The frames of a failed COMMIT may lie valid in the log, unseen by the connections of now,
        and come to life when the next process recovers it. A commit after them overwrites them;
        this one changes nothing else, whoever has upgraded the file meanwhile.
        """
        with self._transaction(lost=StoreUnavailable) as connection:
            version = _pragma(connection, "user_version")
            connection.execute(f"PRAGMA user_version = {version}")

    def _select(self, sql: str, *arguments: object) -> list[Any]:
        if self._in_doubt:
            self._settle_doubt()
        connection = self._connected()
        with self._mapped():
            return connection.execute(sql, arguments).fetchall()

    def _connected(self) -> Connection:
        if self._closed:
            raise StoreUnavailable(f"{self._path}: the store was closed")
        self._check_identity()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _check_identity(self) -> None:
        """
        Refuse to go on with a file that is not the one in its place any more.

        A backup that was put there, or a file that was removed: what we append to the old one
        nobody else would ever read, and both would grant the same epochs.
        """
        found = self._medium.identity(self._path)
        if self._identity is None:
            self._identity = found
        elif found != self._identity:
            self._disconnect()
            raise StoreUnavailable(
                f"{self._path}: the file was replaced or removed while it was open: start again"
            )

    def _roll_back(self, connection: Connection) -> None:
        """Give up the transaction; a connection that cannot even do that is given up too."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> Connection:
        with self._mapped():
            connection = self._medium.connect(self._path, self._busy_timeout_s)
        try:
            with self._mapped():
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        _set_pragmas(connection, self._path)
        _check_ours(connection, self._path)
        _switch_to_wal(connection, self._path)
        if _pragma(connection, "user_version") != SCHEMA_VERSION:
            _upgrade(connection, self._path)

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        """Let no exception of sqlite3 travel inward."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise InvariantViolation(f"the store refused it: {error}") from error
        except sqlite3.Error as error:
            if _primary(error) == sqlite3.SQLITE_CORRUPT:
                raise codec.damaged(str(self._path), str(error)) from error
            raise StoreUnavailable(f"{self._path}: {_why(error)}") from error


def _head(connection: Connection, fleet: FleetId) -> Head:
    sql = "SELECT idx, at, record FROM journal WHERE fleet = ? ORDER BY idx DESC LIMIT 1"
    return codec.head_of(connection.execute(sql, (fleet,)).fetchone())


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        _refuse(f"SQLite {sqlite3.sqlite_version} is too old: the store needs 3.37")


def _set_pragmas(connection: Connection, path: Path) -> None:
    for name, value, expected in _PRAGMAS:
        connection.execute(f"PRAGMA {name} = {value}")
        found = _pragma(connection, name)
        if found != expected:
            raise StoreUnavailable(f"{path}: PRAGMA {name} is {found!r}, not {expected}")


def _check_ours(connection: Connection, path: Path) -> None:
    """Refuse another program's database and a newer schema, before anything is changed."""
    connection.execute("BEGIN")  # one snapshot: another process may be making the tables now
    version = _pragma(connection, "user_version")
    application = _pragma(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    connection.execute("COMMIT")
    if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        _refuse(f"{path} is the database of another program")
    _refuse_newer(version, path)


def _refuse_newer(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        _refuse(
            f"{path} has schema {version}, this version knows up to {SCHEMA_VERSION}: "
            "a newer aimctl wrote it, use that one"
        )


def _refuse(message: str) -> NoReturn:
    raise OperatingError(message, exit_code=Exit.UNREACHABLE, next_command="aimctl doctor")


def _switch_to_wal(connection: Connection, path: Path) -> None:
    """Leave the rollback journal; the mode stays with the file."""
    mode = _wal_mode(connection)
    if mode != "wal":
        raise StoreUnavailable(f"{path}: it cannot hold a write-ahead log, its mode is {mode}")


def _wal_mode(connection: Connection) -> object:
    """SQLite answers BUSY at once here while others do the same; a write does wait for them."""
    for _ in range(_WAL_ATTEMPTS):
        try:
            return connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY:
                raise
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return "busy"


def _upgrade(connection: Connection, path: Path) -> None:
    """Make the tables, or bring them up to the present schema; a failure leaves all as it was."""
    connection.execute("BEGIN IMMEDIATE")
    version = _pragma(connection, "user_version")  # read again: somebody may have been faster
    _refuse_newer(version, path)
    for statement in UPGRADES.get(version, ()):
        connection.execute(statement)
    connection.execute("COMMIT")


def _pragma(connection: Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _primary(error: sqlite3.Error) -> int:
    """Return the primary result code; the extended one has it in its low byte."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return sqlite3.SQLITE_ERROR if code is None else code & 0xFF


def _why(error: sqlite3.Error) -> str:
    known = _WHY.get(_primary(error))
    return str(error) if known is None else f"{known} ({error})"
