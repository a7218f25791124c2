"""
A file of an older schema is brought up in place: all of it or nothing, whoever dies or races.

The old statements are those of the first version, kept in schema_1.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import OperatingError
from orchestrator.ports import Lease, Stamp, StoreUnavailable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import LockState, Record
from orchestrator.protocol.types import Epoch, Outcome
from orchestrator.storage.schema import SCHEMA_VERSION
from orchestrator.storage.sqlite import SqliteStore
from tests.storage.conftest import FakeBoot, FakeClock
from tests.storage.samples import (
    D2,
    FLEET,
    MIRA,
    NOA,
    W1,
    begun,
    decided,
    ended,
    head_of,
    noise,
    released,
    requested,
    taken,
)
from tests.storage.schema_1 import RENEWED_AT, make_file_of_1
from tests.storage.writers import imaging, killed_at, torn_logs, writing

HELD: list[Record] = [taken(7), begun(1, 7)]
LEASE = Lease(fleet=FLEET, claim=Epoch(1, 7), owner=MIRA, renewed=Stamp(utc_s=RENEWED_AT))
OPENERS, APPENDS = 3, 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of schema 1 with a held lock and an open transaction."""
    path = tmp_path / "old" / "journal.db"
    make_file_of_1(path, HELD)
    return path


def opened(path: Path) -> SqliteStore:
    """A store that knows its boot and does not wait long."""
    return SqliteStore(path, now=FakeClock(), boot=FakeBoot(), busy_timeout_s=0.2)


def schema(path: Path) -> list[tuple[Any, ...]]:
    """All that the file says of its own form, without the white space."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        tables = raw.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
        pragmas = [
            ("pragma", name, raw.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("application_id", "user_version", "integrity_check")
        ]
    return [(kind, name, sql and " ".join(sql.split())) for kind, name, sql in tables] + pragmas


def schemas(directory: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The form of a file of schema 1, and that of a file which is made today."""
    old, new = directory / "schemas" / "old.db", directory / "schemas" / "new.db"
    make_file_of_1(old, [])
    asyncio.run(opened(new).close())
    return {"old": schema(old), "new": schema(new)}


async def content(path: Path) -> tuple[list[Record], list[Lease]]:
    """What a store finds in the file, which it brings up if it has to."""
    store = opened(path)
    try:
        records = [entry.record for entry in await store.read(FLEET)]
        return records, list((await store.leases(FLEET)).values())
    finally:
        await store.close()


# ---- what becomes of the content --------------------------------------------------------------


async def test_a_held_lock_keeps_its_lease(path: Path) -> None:
    """Journal and lease are as they were; the old heartbeat knew of no boot."""
    assert (HELD, [LEASE]) == await content(path)
    assert (HELD, [LEASE]) == await content(path)


async def test_the_holder_goes_on(path: Path) -> None:
    """The owner of the old lease renews it, waiters queue behind it, and it releases."""
    store = opened(path)
    assert True is await store.touch(FLEET, Epoch(1, 7), MIRA)
    renewed = (await store.leases(FLEET))[Epoch(1, 7)].renewed
    assert FakeBoot()() == (renewed.boot_id, renewed.boot_s)
    await store.append(FLEET, await head_of(store), [requested(W1)])
    await store.append(FLEET, await head_of(store), [decided(1, 7), ended(1, 7), released(8)])
    await store.append(FLEET, await head_of(store), [taken(9, NOA, ticket=W1)])
    assert [Epoch(1, 9)] == list(await store.leases(FLEET))
    await store.close()


async def test_a_restart_extends_the_old_lease(path: Path) -> None:
    """A migrated row is a lease like any other."""
    store = opened(path)
    await store.extend_leases()
    extended = (await store.leases(FLEET))[Epoch(1, 7)].extended
    assert FakeBoot().id == (extended and extended.boot_id)
    await store.close()


async def test_records_of_the_first_version_fold(tmp_path: Path) -> None:
    """A journal that ends with a takeover, a deferred device and a free lock reads as before."""
    records: list[Record] = [
        taken(1),
        begun(1, 1),
        decided(1, 1),
        ended(1, 1, deferred=(D2,)),
        released(2),
        taken(3),
        begun(2, 3, base_version=1),
        taken(4, NOA, LockState.RESOLVING),
        decided(2, 4, Outcome.ABORT),
        ended(2, 4),
        released(5, NOA),
    ]
    path = tmp_path / "journal.db"
    make_file_of_1(path, records)
    assert (records, []) == await content(path)
    store = opened(path)
    state = fold(FleetState(fleet=FLEET), await store.read(FLEET))
    assert (11, 1, LockState.FREE) == (state.head, state.version, state.lock.state)
    await store.close()


def test_a_migrated_file_has_the_form_of_a_new_one(path: Path, tmp_path: Path) -> None:
    """Every table, index, trigger and number is that of a file which is made today."""
    asyncio.run(opened(path).close())
    assert schemas(tmp_path)["new"] == schema(path)


async def test_a_migrated_file_is_as_durable(path: Path) -> None:
    """The connection that has migrated syncs every commit: WAL, synchronous=FULL (2)."""
    store = opened(path)
    assert store._connection is not None
    found = [
        store._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    ]
    assert ["wal", 2, 1] == found
    await store.close()


# ---- who dies in the middle -------------------------------------------------------------------


def test_death_at_every_statement_leaves_one_schema_or_the_other(
    path: Path, tmp_path: Path
) -> None:
    """Whatever is on disk between two statements is all old or all new, and can be opened."""
    form = schemas(tmp_path)
    with imaging(path.parent, tmp_path) as images:
        asyncio.run(opened(path).close())
    images.append(path.parent)
    found = ["old" if schema(image / path.name) == form["old"] else "new" for image in images]
    assert sorted(found, reverse=True) == found
    assert {"old", "new"} == set(found)
    for image in images:
        assert (HELD, [LEASE]) == asyncio.run(content(image / path.name))
        assert form["new"] == schema(image / path.name)


def test_a_torn_log_leaves_one_schema_or_the_other(path: Path, tmp_path: Path) -> None:
    """Cut the log of the migration at every frame: what is left is all old or all new."""
    form, kept, torn = schemas(tmp_path), tmp_path / "kept", tmp_path / "torn"
    kept.mkdir()
    torn.mkdir()
    store = opened(path)
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(path.with_name(name), kept / name)
    asyncio.run(store.close())
    found = []
    for _ in torn_logs(kept, torn):
        found.append(schema(torn / path.name))
        assert (HELD, [LEASE]) == asyncio.run(content(torn / path.name))
    assert len(found) > 3
    assert [form["old"]] * (len(found) - 1) + [form["new"]] == found


@pytest.mark.parametrize("at", ["CREATE TRIGGER", "INSERT INTO leases", "DROP TABLE", "COMMIT"])
def test_a_failure_in_the_middle_leaves_the_old_schema(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """What fails before COMMIT is undone, told as unavailable, and done at the next opening."""

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if at in sql and self.in_transaction and SCHEMA_VERSION != _version(self):
                raise sqlite3.OperationalError("the disk went away")
            return super().execute(sql, *args)

    form, connect = schemas(tmp_path), sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Failing))
        with pytest.raises(StoreUnavailable, match="the disk went away"):
            opened(path)
    assert form["old"] == schema(path)
    assert (HELD, [LEASE]) == asyncio.run(content(path))


@pytest.mark.parametrize("at", ["CREATE TABLE leases", "INSERT INTO leases", "DROP TABLE"])
def test_kill_9_in_the_middle_leaves_the_old_schema(path: Path, tmp_path: Path, at: str) -> None:
    """A process that is killed between two statements has changed nothing; the next one has."""
    form = schemas(tmp_path)
    assert -signal.SIGKILL == killed_at(path, at)
    assert form["old"] == schema(path)
    assert (HELD, [LEASE]) == asyncio.run(content(path))
    assert form["new"] == schema(path)


# ---- who is there at the same time ------------------------------------------------------------


@contextlib.contextmanager
def just_before_the_lock(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> Iterator[None]:
    """Let somebody else act between the look at the version and the lock of the migration."""
    connect = sqlite3.connect
    acted: list[str] = []

    class Late(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE" and not acted:
                acted.append(sql)
                act()
            return super().execute(sql, *args)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Late))
        yield


def test_the_second_of_two_openers_finds_the_new_schema(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One migrates; the other, which saw schema 1, finds it done once it has the lock."""
    expected = schemas(tmp_path)["new"]
    with just_before_the_lock(monkeypatch, lambda: asyncio.run(opened(path).close())):
        second = opened(path)
    assert expected == schema(path)
    asyncio.run(second.close())
    assert (HELD, [LEASE]) == asyncio.run(content(path))


def test_a_newer_schema_that_comes_first_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of a later version may be the faster one: its file is not touched."""

    def newer() -> None:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with (
        just_before_the_lock(monkeypatch, newer),
        pytest.raises(OperatingError, match="a newer aimctl wrote it"),
    ):
        opened(path)
    assert ("pragma", "user_version", SCHEMA_VERSION + 1) in schema(path)


def test_several_processes_open_an_old_file_at_once(tmp_path: Path) -> None:
    """Real processes race for the migration, and all of them write afterwards."""
    path = tmp_path / "journal.db"
    make_file_of_1(path, [taken(7), noise(1)])
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(writing(path, APPENDS)) for _ in range(OPENERS)]
        heads = sorted(head for writer in writers for head in writer.heads())
    assert list(range(4, 2 * OPENERS * APPENDS + 3, 2)) == heads
    records, leases = asyncio.run(content(path))
    assert (heads[-1], [LEASE]) == (len(records), leases)


async def test_a_program_of_the_first_version_cannot_end_a_waiters_lease(path: Path) -> None:
    """Its open connection fails at the lock's next change, and no lease is lost."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("SELECT count(*) FROM lease").fetchall()
        store = opened(path)
        await store.append(FLEET, await head_of(store), [requested(W1)])
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            old.execute("DELETE FROM lease WHERE fleet = ?", (FLEET,))
    assert [Epoch(1, 7), W1] == list(await store.leases(FLEET))
    await store.close()


def _version(connection: sqlite3.Connection) -> object:
    return sqlite3.Connection.execute(connection, "PRAGMA user_version").fetchone()[0]
