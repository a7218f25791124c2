"""
The tables of the SQLite store, and the rules that hold whoever writes to the file.

The journal is insert-only and gapless, a transaction is decided once (I7), the owner of a lock or
of a place in its queue is named (I22) and a fleet has one holder, even for a client that never
heard of this program's rules. The triggers do not rely on the delete triggers of ``INSERT OR
REPLACE``, which SQLite does not fire by default.

A file of an older schema is brought up to the present one in place; :data:`UPGRADES` says how.
The leases have a table of another name than in schema 1, so that a program of that version which
still has the file open fails at its first change of the lock and never ends a waiter's lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCHEMA_VERSION: Final = 2
"""``PRAGMA user_version``. Raised with every change of the tables."""

APPLICATION_ID: Final = 0x41494D4C
"""``PRAGMA application_id``, "AIML": tells our file from the database of another program."""

SQLITE_MIN: Final = (3, 37, 0)
"""The first SQLite with STRICT tables."""

_JOURNAL: Final = (
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
)

_BLOBS: Final = """
    CREATE TABLE blobs (
        digest TEXT NOT NULL PRIMARY KEY CHECK (digest GLOB 'sha256:*'),
        data   BLOB NOT NULL
    ) STRICT
"""

_LEASES: Final = (
    """
    CREATE TABLE leases (
        fleet            TEXT NOT NULL,
        started          INTEGER NOT NULL,
        owner            TEXT NOT NULL,
        incarnation      INTEGER,
        number           INTEGER,
        ticket           TEXT,
        renewed_utc_s    REAL NOT NULL,
        renewed_boot_id  TEXT,
        renewed_boot_s   REAL NOT NULL,
        extended_utc_s   REAL,
        extended_boot_id TEXT,
        extended_boot_s  REAL,
        PRIMARY KEY (fleet, started),
        FOREIGN KEY (fleet, started) REFERENCES journal (fleet, idx),
        CONSTRAINT lease_owner_named CHECK (
            coalesce(json_extract(owner, '$.user'), '') <> ''
            AND coalesce(json_extract(owner, '$.host'), '') <> ''
            AND coalesce(json_extract(owner, '$.program'), '') <> ''
            AND coalesce(json_extract(owner, '$.pid'), 0) > 0),
        CONSTRAINT lease_epoch_or_ticket CHECK (
            (ticket IS NULL) = (incarnation IS NOT NULL)
            AND (ticket IS NULL) = (number IS NOT NULL)),
        CONSTRAINT lease_extended_whole CHECK (
            (extended_utc_s IS NULL) = (extended_boot_s IS NULL))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX leases_one_holder ON leases (fleet) WHERE ticket IS NULL",
    "CREATE UNIQUE INDEX leases_ticket_once ON leases (fleet, ticket) WHERE ticket IS NOT NULL",
    # A trigger, not a CHECK as for lock_taken: it can be added to a table that exists.
    """
    CREATE TRIGGER journal_waiter_named BEFORE INSERT ON journal WHEN NEW.kind = 'lock_requested'
    BEGIN
        SELECT RAISE(ABORT, 'I22: the owner of a place in the queue must be named')
        WHERE coalesce(json_extract(NEW.record, '$.owner.user'), '') = ''
            OR coalesce(json_extract(NEW.record, '$.owner.host'), '') = ''
            OR coalesce(json_extract(NEW.record, '$.owner.program'), '') = ''
            OR coalesce(json_extract(NEW.record, '$.owner.pid'), 0) <= 0;
    END
    """,
)
"""What schema 2 has and schema 1 had not."""

_LEASE_OF_1: Final = (
    """
    INSERT INTO leases (fleet, started, owner, incarnation, number, renewed_utc_s, renewed_boot_s)
    SELECT fleet, taken, owner, incarnation, number, renewed_at, 0.0 FROM lease
    """,
    "DROP TABLE lease",
)

_STAMPED: Final = f"PRAGMA user_version = {SCHEMA_VERSION}"

UPGRADES: Final[Mapping[int, tuple[str, ...]]] = {
    0: (*_JOURNAL, *_LEASES, _BLOBS, f"PRAGMA application_id = {APPLICATION_ID}", _STAMPED),
    1: (*_LEASES, *_LEASE_OF_1, _STAMPED),
}
"""
From each older schema (0 is an empty file) to this one.

Run in one transaction: a file has all of the old schema or all of this one.
"""
