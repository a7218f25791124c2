"""A file as the first version wrote it: its tables, its rows, and what it did with the lease."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.protocol.records import LockReleased, LockTaken, Record
from orchestrator.storage import codec
from tests.storage.samples import FLEET

RENEWED_AT = 1_690_000_003.5
"""When the last heartbeat came, in UTC s."""

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE journal (
        fleet  TEXT NOT NULL CHECK (fleet <> ''),
        idx    INTEGER NOT NULL CHECK (idx > 0),
        at     REAL NOT NULL,
        kind   TEXT NOT NULL CHECK (kind IS json_extract(record, '$.kind')),
        record TEXT NOT NULL CHECK (json_valid(record)),
        PRIMARY KEY (fleet, idx),
        CONSTRAINT lock_owner_named CHECK (
            kind <> 'lock_taken'
            OR (coalesce(json_extract(record, '$.owner.user'), '') <> ''
                AND coalesce(json_extract(record, '$.owner.host'), '') <> ''
                AND coalesce(json_extract(record, '$.owner.program'), '') <> ''
                AND coalesce(json_extract(record, '$.owner.pid'), 0) > 0))
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX journal_decided_once
    ON journal (fleet, json_extract(record, '$.txn')) WHERE kind = 'decided'
    """,
    """
    CREATE TRIGGER journal_decides_once BEFORE INSERT ON journal WHEN NEW.kind = 'decided'
    BEGIN
        SELECT RAISE(ABORT, 'I7: the transaction is decided already')
        WHERE EXISTS (
            SELECT 1 FROM journal
            WHERE kind = 'decided' AND fleet = NEW.fleet
            AND json_extract(record, '$.txn') IS json_extract(NEW.record, '$.txn'));
    END
    """,
    """
    CREATE TRIGGER journal_gapless BEFORE INSERT ON journal
    BEGIN
        SELECT RAISE(ABORT, 'the journal has no gaps')
        WHERE NEW.idx IS NOT
            (SELECT coalesce(max(idx), 0) + 1 FROM journal WHERE fleet = NEW.fleet);
    END
    """,
    """
    CREATE TRIGGER journal_never_updated BEFORE UPDATE ON journal
    BEGIN
        SELECT RAISE(ABORT, 'I2: the journal is insert-only');
    END
    """,
    """
    CREATE TRIGGER journal_never_deleted BEFORE DELETE ON journal
    BEGIN
        SELECT RAISE(ABORT, 'I2: the journal is insert-only');
    END
    """,
    """
    CREATE TABLE lease (
        fleet       TEXT NOT NULL PRIMARY KEY,
        taken       INTEGER NOT NULL,
        incarnation INTEGER NOT NULL,
        number      INTEGER NOT NULL,
        owner       TEXT NOT NULL CHECK (coalesce(json_extract(owner, '$.user'), '') <> ''),
        renewed_at  REAL NOT NULL,
        FOREIGN KEY (fleet, taken) REFERENCES journal (fleet, idx)
    ) STRICT
    """,
    """
    CREATE TABLE blobs (
        digest TEXT NOT NULL PRIMARY KEY CHECK (digest GLOB 'sha256:*'),
        data   BLOB NOT NULL
    ) STRICT
    """,
    "PRAGMA application_id = 1095322956",
    "PRAGMA user_version = 1",
)
"""Never changed again: files of this schema exist."""

LATER_FIELDS = {"lock_taken": {"ticket"}, "ended": {"quarantined"}}
"""What later versions have added to the records of the first."""


def old_text(record: Record) -> str:
    """The text of a record as the first version wrote it."""
    plain: dict[str, Any] = json.loads(codec.encode_record(record))
    later = LATER_FIELDS.get(record.kind, set())
    kept = {key: value for key, value in plain.items() if key not in later}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def make_file_of_1(path: Path, records: Sequence[Record]) -> None:
    """Make a file of schema 1 with one fleet's journal, and the lease where its lock is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA foreign_keys = ON")
        for statement in STATEMENTS:
            raw.execute(statement)
        for index, record in enumerate(records, start=1):
            raw.execute(
                "INSERT INTO journal (fleet, idx, at, kind, record) VALUES (?, ?, ?, ?, ?)",
                (FLEET, index, RENEWED_AT - 3, record.kind, old_text(record)),
            )
            _write_lease(raw, index, record)


def _write_lease(raw: sqlite3.Connection, index: int, record: Record) -> None:
    if isinstance(record, LockTaken | LockReleased):
        raw.execute("DELETE FROM lease WHERE fleet = ?", (FLEET,))
    if isinstance(record, LockTaken):
        epoch, owner = record.epoch, codec.encode_owner(record.owner)
        raw.execute(
            "INSERT INTO lease (fleet, taken, incarnation, number, owner, renewed_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (FLEET, index, epoch.incarnation, epoch.number, owner, RENEWED_AT),
        )
