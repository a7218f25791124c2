"""What only the file can get wrong: its durability, its rules, its modes and its failures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import OutcomeUnknown, StoreUnavailable
from orchestrator.protocol.records import START
from orchestrator.protocol.types import Outcome
from orchestrator.storage.codec import encode_owner
from orchestrator.storage.schema import SCHEMA_VERSION
from orchestrator.storage.sqlite import SqliteStore
from tests.storage.conftest import FakeClock
from tests.storage.samples import FLEET, MIRA, decided, head_of, noise, released, taken

NOBODY = 65534
THIRD = "INTO journal SELECT fleet, 3, at,"
SECOND_LEASE = (
    "INSERT INTO leases (fleet, owner, renewed_utc_s, renewed_boot_s, started, number, "
    "ticket, incarnation) SELECT fleet, owner, 0, 0, 2, 2, NULL, 1 FROM leases"
)
"""A second holder of the fleet."""


def waiting(old: str, new: str) -> str:
    """The SQL of a request for the lock, made of the grant with one thing replaced."""
    request = f"replace(replace(record, 'lock_taken', 'lock_requested'), '{old}', '{new}')"
    return f"INSERT {THIRD} 'lock_requested', {request} FROM journal WHERE idx = 1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be; its directory is missing."""
    return tmp_path / "state" / "aim" / "journal.db"


def opened(path: Path, *, busy_timeout_s: float = 0.2) -> SqliteStore:
    """A store that does not wait long for a lock."""
    return SqliteStore(path, now=FakeClock(), busy_timeout_s=busy_timeout_s)


def closed(path: Path, appends: int = 0) -> None:
    """A file with so many records, that nobody has open."""

    async def run() -> None:
        store = opened(path)
        if appends:
            await store.append(FLEET, START, [noise(number) for number in range(appends)])
        await store.close()

    asyncio.run(run())


@contextlib.contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """A client that knows nothing of this program's rules."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def pragma(store: SqliteStore, name: str) -> object:
    """Read a setting back from the store's own connection."""
    assert store._connection is not None
    return store._connection.execute(f"PRAGMA {name}").fetchone()[0]


# ---- durability settings --------------------------------------------------------------------


async def test_every_commit_is_synced(path: Path) -> None:
    """WAL with synchronous=FULL (2): NORMAL (1) may lose an acknowledged commit at power loss."""
    store = opened(path)
    assert ("wal", 2, 1) == (
        pragma(store, "journal_mode"),
        pragma(store, "synchronous"),
        pragma(store, "fullfsync"),
    )
    await store.close()


async def test_full_does_not_depend_on_the_build(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FULL is set, not hoped for: a connection whose default is OFF ends at FULL too."""
    connect = sqlite3.connect

    def lax(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", lax)
    store = opened(path)
    assert 2 == pragma(store, "synchronous")
    await store.close()


def test_a_connection_that_stays_below_full_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set is read back; a build that ignores it must not be trusted with a decision."""

    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("= FULL", "= NORMAL"), *args)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Deaf))
    with pytest.raises(StoreUnavailable, match="synchronous is 1, not 2"):
        opened(path)


async def test_foreign_keys_and_the_time_out_are_on(path: Path) -> None:
    """A lease without its ``LockTaken`` cannot exist, and a short wait is not an error."""
    store = opened(path, busy_timeout_s=1.5)
    assert (1, 1500) == (pragma(store, "foreign_keys"), pragma(store, "busy_timeout"))
    await store.close()


# ---- the file -------------------------------------------------------------------------------


async def test_the_file_is_private(path: Path) -> None:
    """Mode 0600 for the file and its log, 0700 for the directories made, whatever the umask."""
    before = os.umask(0)
    try:
        store = opened(path)
        await store.append(FLEET, START, [noise(1)])
        files = [path, *path.parent.glob("journal.db-*")]
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files}
    finally:
        os.umask(before)
    assert (3, {0o600}) == (len(files), modes)
    directories = [path.parent, path.parent.parent]
    assert [0o700, 0o700] == [stat.S_IMODE(d.stat().st_mode) for d in directories]
    await store.close()


def test_an_existing_file_keeps_its_mode(path: Path) -> None:
    """An operator who shares the file with a group has decided so."""
    closed(path)
    path.chmod(0o660)
    closed(path)
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)


async def test_a_newer_schema_is_refused(path: Path) -> None:
    """A file of a later version is not touched, and the error says what to do."""
    await opened(path).close()
    with raw(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(OperatingError, match="a newer aimctl wrote it") as caught:
        opened(path)
    assert Exit.UNREACHABLE is caught.value.exit_code


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """Somebody else's tables are neither used nor added to."""
    path = tmp_path / "photos.db"
    with raw(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(OperatingError, match="another program"):
        opened(path)
    assert before == path.read_bytes()


async def test_a_file_that_vanished_does_not_come_back_empty(path: Path) -> None:
    """A connection that is made anew needs the journal that was there."""
    store = opened(path)
    store._disconnect()
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StoreUnavailable):
        await store.read(FLEET)
    assert [] == list(path.parent.iterdir())


REFUSED = (sqlite3.IntegrityError, sqlite3.OperationalError)  # the latter: no JSON at all

# ---- the file's own rules, for a client that ignores ours -------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE journal SET at = 0",
        "UPDATE journal SET record = replace(record, 'commit', 'abort')",
        "DELETE FROM journal",
        "INSERT OR REPLACE INTO journal SELECT fleet, 2, at, kind, record FROM journal",
        f"INSERT OR REPLACE {THIRD} kind, record FROM journal WHERE idx = 2",
        f"INSERT {THIRD} kind, replace(record, 'commit', 'abort') FROM journal WHERE idx = 2",
        "INSERT INTO journal SELECT fleet, 4, at, kind, record FROM journal WHERE idx = 1",
        f"INSERT {THIRD} 'ended', record FROM journal WHERE idx = 1",
        f"INSERT {THIRD} kind, replace(record, 'mira', '') FROM journal WHERE idx = 1",
        f"INSERT {THIRD} kind, 'text' FROM journal WHERE idx = 1",
        f"INSERT {THIRD} kind, NULL FROM journal WHERE idx = 1",
        waiting("mira", ""),
        waiting("aim-control", ""),
        waiting("aimctl push", ""),
        waiting("4121,", "0,"),
        waiting("owner", "by"),
        "UPDATE leases SET owner = '{}'",
        "UPDATE leases SET owner = NULL",
        "UPDATE leases SET owner = replace(owner, 'mira', '')",
        "UPDATE leases SET owner = replace(owner, '4121', '0')",
        "UPDATE leases SET ticket = 'w1'",
        "UPDATE leases SET incarnation = NULL, number = NULL",
        "UPDATE leases SET number = NULL",
        "UPDATE leases SET extended_utc_s = 0.0",
        SECOND_LEASE,
    ],
)
async def test_the_file_keeps_its_rules_by_itself(path: Path, sql: str) -> None:
    """Insert-only, gapless, decided once (I7), owner named (I22), one holder: whoever writes."""
    store = opened(path)
    written = list(await store.append(FLEET, START, [taken(), decided(outcome=Outcome.COMMIT)]))
    leases = await store.leases(FLEET)
    with raw(path) as connection, pytest.raises(REFUSED):
        connection.execute(sql)
    assert (written, leases) == (await store.read(FLEET), await store.leases(FLEET))
    await store.close()


async def test_the_file_takes_a_waiter_with_a_name(path: Path) -> None:
    """The rule refuses the nameless, not the requests: a client may write what is right."""
    store = opened(path)
    await store.append(FLEET, START, [taken(), noise(1)])
    with raw(path) as connection:
        connection.execute(waiting("mira", "noa"))
    await store.close()
    with raw(path) as connection:
        assert [(3,)] == connection.execute("SELECT max(idx) FROM journal").fetchall()


async def test_a_lease_needs_the_record_that_took_the_lock(path: Path) -> None:
    """With foreign keys on, a lease out of nothing is refused."""
    store = opened(path)
    assert store._connection is not None
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        store._connection.execute(
            "INSERT INTO leases (fleet, started, owner, incarnation, number, renewed_utc_s, "
            "renewed_boot_s) VALUES (?, 1, ?, 1, 1, 0.0, 0.0)",
            (FLEET, encode_owner(MIRA)),
        )
    await store.close()


# ---- failures -------------------------------------------------------------------------------


async def test_a_long_writer_makes_the_store_unavailable(path: Path) -> None:
    """The wait for another process is bounded, the error says why, nothing was written."""
    store = opened(path, busy_timeout_s=0.05)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process"):
            await store.append(FLEET, START, [noise(1)])
        assert [] == list(await store.read(FLEET))
        other.execute("ROLLBACK")
    await store.append(FLEET, START, [noise(1)])
    await store.close()


async def test_a_full_disk_before_commit_has_written_nothing(path: Path) -> None:
    """SQLITE_FULL in the middle of an append is StoreUnavailable; all of it is undone."""
    store = opened(path)
    await store.append(FLEET, START, [taken()])
    pages = pragma(store, "page_count")
    pragma(store, f"max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await store.append(FLEET, await head_of(store), [released(), *map(noise, range(200))])
    assert (1, 1) == (len(await store.read(FLEET)), len(await store.leases(FLEET)))
    pragma(store, f"max_page_count = {2**30}")
    await store.append(FLEET, await head_of(store), [released()])
    await store.close()


@contextlib.contextmanager
def no_file_grows() -> Iterator[None]:
    """The kernel refuses (EFBIG) every write past the first byte of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_commit_that_fails_is_of_unknown_outcome(path: Path) -> None:
    """The log cannot be written at COMMIT: the caller must read back, and finds out here."""
    store = opened(path)
    [first] = await store.append(FLEET, START, [noise(1)])
    with no_file_grows(), pytest.raises(OutcomeUnknown, match="COMMIT failed"):
        await store.append(FLEET, first.head, [noise(2)])
    found = len(await store.read(FLEET))
    await store.append(FLEET, await head_of(store), [noise(3)])
    assert found + 1 == len(await store.read(FLEET))
    await store.close()


async def test_absence_is_not_claimed_while_a_failed_commit_may_come_to_life(path: Path) -> None:
    """
    After a failed COMMIT a read succeeds only once the log behind it was overwritten.

    Else a reader that was told "absent" could be contradicted by the next recovery of the log.
    """
    store = opened(path)
    [first] = await store.append(FLEET, START, [noise(1)])
    log = path.with_name(f"{path.name}-wal")
    with no_file_grows():
        with pytest.raises(OutcomeUnknown):
            await store.append(FLEET, first.head, [noise(2)])
        with pytest.raises(StoreUnavailable):
            await store.read(FLEET)
    before = os.stat(log).st_size  # noqa: PTH116 - a blocking call is what is wanted here
    assert [noise(1)] == [entry.record for entry in await store.read(FLEET)]
    after_first = os.stat(log).st_size  # noqa: PTH116
    await store.read(FLEET)
    assert before < after_first == os.stat(log).st_size  # noqa: PTH116
    await store.close()


async def test_settling_a_doubt_does_not_take_an_upgrade_back(path: Path) -> None:
    """A program of a later version may have raised the schema since the COMMIT that failed."""
    store = opened(path)
    with no_file_grows(), pytest.raises(OutcomeUnknown):
        await store.append(FLEET, START, [noise(1)])
    with raw(path) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    await store.read(FLEET)
    assert SCHEMA_VERSION + 1 == pragma(store, "user_version")
    await store.close()


async def test_a_blob_whose_commit_fails_may_be_put_again(path: Path) -> None:
    """A put is idempotent, so for it not knowing is no worse than unavailable."""
    store = opened(path)
    with no_file_grows(), pytest.raises(StoreUnavailable, match="COMMIT failed"):
        await store.put_blob(b"bundle")
    digest = await store.put_blob(b"bundle")
    assert b"bundle" == await store.get_blob(digest)
    await store.close()


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A directory in which this process may not write; root gives its rights up for the test."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield directory
    os.seteuid(user)
    directory.chmod(0o700)
    directory.rmdir()


@pytest.mark.parametrize("name", ["journal.db", "sub/journal.db"])
def test_a_directory_without_permission_is_a_clear_error(forbidden: Path, name: str) -> None:
    """Neither the file nor its directory can be made: no traceback of the system's."""
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        opened(forbidden / name)


def test_a_file_without_permission_is_a_clear_error(forbidden: Path) -> None:
    """A file that may not be read is not overwritten, it is reported."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    forbidden.chmod(0o755)
    path = forbidden / "journal.db"
    path.touch(mode=0o000)
    os.seteuid(user)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        opened(path)
    os.seteuid(os.getuid())
    path.unlink()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    """Whatever it is, it is not touched."""
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n" * 200)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="not a database"):
        opened(path)
    assert before == path.read_bytes()


def test_a_directory_in_the_files_place_is_a_clear_error(tmp_path: Path) -> None:
    """The error says which of the two it is."""
    with pytest.raises(StoreUnavailable, match="is a directory"):
        opened(tmp_path)


def test_a_file_in_the_directorys_place_is_a_clear_error(tmp_path: Path) -> None:
    """``a.txt/journal.db`` cannot be."""
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        opened(tmp_path / "a.txt" / "journal.db")


def test_a_damaged_page_is_an_operating_error(path: Path) -> None:
    """SQLite's own "malformed" is told as damage with a next command."""
    closed(path, appends=400)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(OperatingError, match="damaged") as caught:
        asyncio.run(read_and_close(path))
    assert "aimctl doctor" == caught.value.next_command


async def read_and_close(path: Path) -> None:
    """Read once."""
    store = opened(path)
    try:
        await store.read(FLEET)
    finally:
        await store.close()


def test_a_file_that_was_replaced_is_not_written_to_any_more(path: Path, tmp_path: Path) -> None:
    """A backup in its place: two files would grant the same epochs, so neither side goes on."""
    closed(path, appends=1)
    backup = tmp_path / "backup.db"
    shutil.copy2(path, backup)
    asyncio.run(goes_on_after(path, lambda: backup.replace(path)))


def test_a_file_that_was_removed_is_not_made_anew(path: Path) -> None:
    """What is appended to a file without a name nobody would ever read."""
    closed(path, appends=1)
    asyncio.run(goes_on_after(path, path.unlink))
    assert not path.exists()


async def goes_on_after(path: Path, change: Callable[[], object]) -> None:
    """Use an open store after a change of its file: it refuses, now and later."""
    store = opened(path)
    [first] = await store.read(FLEET)
    change()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="was replaced or removed"):
            await store.append(FLEET, first.head, [noise(1)])
    await store.close()
