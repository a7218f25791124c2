"""
Real processes on one file: who dies, dies by SIGKILL, in the middle of whatever it did.

kill -9 alone never shows a missing sync (the page cache survives it), so the settings are tested
in test_sqlite, and torn logs here by cutting the write-ahead log at every frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ports import Conflict
from orchestrator.protocol.records import Entry, FleetState, Record, fold
from orchestrator.storage.sqlite import SqliteStore
from tests.storage.conftest import FakeClock
from tests.storage.samples import FLEET, STORY, noise, play

KILLS = 20
WRITERS = 3
APPENDS = 25
WAL_HEADER_BYTES = 32
FRAME_BYTES = 24 + 4096

# A process of its own that has imported all this forks the writers: quick, and no thread of the
# test runner is copied into them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])

PREFIXES: list[list[Record]] = [
    [record for append in STORY[:count] for record in append] for count in range(len(STORY) + 1)
]
"""Every state of the journal between two appends of the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process, and the pipe on which it tells the head of each acknowledged append."""

    process: ForkServerProcess
    told: Connection

    def head(self) -> int | None:
        """The next acknowledged head; ``None`` when the process is gone."""
        try:
            return int.from_bytes(self.told.recv_bytes(4), "big")
        except EOFError:
            return None

    def heads(self) -> list[int]:
        """All that it still tells, until it is gone."""
        return list(iter(self.head, None))

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def writing(path: Path, appends: int) -> Iterator[Writer]:
    """Start a writer of ``appends`` appends."""
    told, telling = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=write, args=(path, telling, appends))
    process.start()
    telling.close()
    writer = Writer(process=process, told=told)
    try:
        yield writer
    finally:
        writer.kill()
        told.close()


def write(path: Path, telling: Connection, appends: int) -> None:
    """Append pairs of records, at whatever head there is, and tell each that was acknowledged."""

    async def run() -> None:
        store = SqliteStore(path, now=FakeClock())
        head, done = 0, 0
        while done < appends:
            try:
                written = await store.append(FLEET, head, [noise(head), noise(head + 1)])
            except Conflict:
                head += len(await store.read(FLEET, after=head))
                continue
            head, done = written[-1].index, done + 1
            telling.send_bytes(head.to_bytes(4, "big"))
        await store.close()

    asyncio.run(run())


def read(path: Path) -> list[Entry]:
    """Recover: every entry, which must be gapless and decode, in a file that is sound."""

    async def run() -> list[Entry]:
        store = SqliteStore(path, now=FakeClock())
        entries = list(await store.read(FLEET))
        await store.close()
        return entries

    entries = asyncio.run(run())
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert [("ok",)] == raw.execute("PRAGMA integrity_check").fetchall()
    return entries


def records_in(path: Path) -> list[Record]:
    """The records that a recovery finds, which must fold."""
    entries = read(path)
    fold(FleetState(fleet=FLEET), entries)
    return [entry.record for entry in entries]


@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_9_loses_no_acknowledged_append(tmp_path: Path, kill: int) -> None:
    """A writer dies in mid-work: what it was told is there, and appends are whole."""
    path = tmp_path / "journal.db"
    with writing(path, 10**9) as writer:
        waited = [writer.head() for _ in range(1 + kill * 37 % 200)]
        writer.kill()
        told = max(head for head in (*waited, *writer.heads()) if head is not None)
    records = records_in(path)
    assert told <= len(records) <= told + 2
    assert [noise(number) for number in range(len(records))] == records


def test_kill_9_again_and_again(tmp_path: Path) -> None:
    """Each writer recovers, by itself, the file in which its predecessor was killed."""
    path, told = tmp_path / "journal.db", 0
    for kill in range(KILLS):
        with writing(path, 10**9) as writer:
            waited = [writer.head() for _ in range(1 + kill % 7)]
            writer.kill()
            told = max([told, *(head for head in (*waited, *writer.heads()) if head)])
    records = records_in(path)
    assert told <= len(records) <= told + 2
    assert [noise(number) for number in range(len(records))] == records


def test_several_processes_append_in_one_total_order(tmp_path: Path) -> None:
    """All open, make and write the same file at once; each append wins exactly one place."""
    path = tmp_path / "new" / "journal.db"
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(writing(path, APPENDS)) for _ in range(WRITERS)]
        heads = sorted(head for writer in writers for head in writer.heads())
    assert list(range(2, 2 * WRITERS * APPENDS + 1, 2)) == heads
    assert [noise(number) for number in range(heads[-1])] == records_in(path)


def test_death_at_every_statement_leaves_a_usable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    From the first opening on, whatever is on disk between two statements can be opened.

    It holds whole appends of the story and takes further ones: a half-made file too.
    """
    path = tmp_path / "live" / "journal.db"
    images: list[Path] = []

    class Imaging(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            images.append(tmp_path / str(len(images)))
            shutil.copytree(path.parent, images[-1])
            return super().execute(*args)

    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Imaging))
        asyncio.run(play_and_close(path))
    assert len(images) > 60
    found = [PREFIXES.index(records_in(image / path.name)) for image in images]
    assert sorted(found) == found
    assert set(range(len(PREFIXES))) == set(found)


async def play_and_close(path: Path) -> None:
    """Play the story into a new file."""
    store = SqliteStore(path, now=FakeClock())
    await play(store)
    await store.close()


@pytest.fixture(scope="module")
def log_of_the_story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose write-ahead log has the whole story, copied while its writer was open."""
    made = tmp_path_factory.mktemp("made")
    copied = tmp_path_factory.mktemp("copied")

    async def run() -> None:
        store = SqliteStore(made / "journal.db", now=FakeClock())
        await play(store)
        for name in ("journal.db", "journal.db-wal"):
            shutil.copy(made / name, copied / name)
        await store.close()

    asyncio.run(run())
    return copied


@pytest.mark.parametrize("torn_by", [0, 1, FRAME_BYTES // 2])
def test_a_torn_log_leaves_whole_appends(
    log_of_the_story: Path, tmp_path: Path, torn_by: int
) -> None:
    """Cut the log at every frame, and inside it: what is left folds and is a prefix."""
    size = (log_of_the_story / "journal.db-wal").stat().st_size
    found = []
    for end in range(WAL_HEADER_BYTES + FRAME_BYTES, size + 1, FRAME_BYTES):
        for file in log_of_the_story.iterdir():
            shutil.copy(file, tmp_path / file.name)
        os.truncate(tmp_path / "journal.db-wal", end - torn_by)
        found.append(PREFIXES.index(records_in(tmp_path / "journal.db")))
    assert sorted(found) == found
    assert set(range(len(PREFIXES))) == set(found)
