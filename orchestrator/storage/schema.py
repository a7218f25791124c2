"""
The tables of the SQLite store, and the rules that hold whoever writes to the file.

The journal is insert-only and gapless, a transaction is decided once (I7) and a lock's owner is
named (I22) even for a client that never heard of this program's rules. The triggers do not rely
on the delete triggers of ``INSERT OR REPLACE``, which SQLite does not fire by default.
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 1
"""``PRAGMA user_version``. Raised with every change of the tables."""

APPLICATION_ID: Final = 0x41494D4C
"""``PRAGMA application_id``, "AIML": tells our file from the database of another program."""

SQLITE_MIN: Final = (3, 37, 0)
"""The first SQLite with STRICT tables."""

STATEMENTS: Final[tuple[str, ...]] = (
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
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
"""Run in one transaction: a file is either empty or has all of this."""
