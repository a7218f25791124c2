"""
Real processes on one file: who dies, dies by SIGKILL, in the middle of whatever it did.

kill -9 alone never shows a missing sync (the page cache survives it), so the settings are tested
in test_sqlite, and torn logs here by cutting the write-ahead log at every frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from orchestrator.ports import Claim
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Entry, Record
from orchestrator.storage.sqlite import SqliteStore
from tests.storage.conftest import FakeClock
from tests.storage.samples import FLEET, STORY, claims_of, noise, play
from tests.storage.writers import FRAME_BYTES, imaging, torn_logs, writing

KILLS = 20
WRITERS = 3
APPENDS = 25

PREFIXES: list[list[Record]] = [
    [record for append in STORY[:count] for record in append] for count in range(len(STORY) + 1)
]
"""Every state of the journal between two appends of the story."""


def records_in(path: Path) -> list[Record]:
    """The records that a recovery finds: gapless, foldable, in a sound file, with their leases."""

    async def run() -> tuple[list[Entry], set[Claim]]:
        store = SqliteStore(path, now=FakeClock())
        found = list(await store.read(FLEET)), set(await store.leases(FLEET))
        await store.close()
        return found

    entries, claims = asyncio.run(run())
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert [("ok",)] == raw.execute("PRAGMA integrity_check").fetchall()
    assert claims_of(fold(FleetState(fleet=FLEET), entries)) == claims
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


def test_death_at_every_statement_leaves_a_usable_file(tmp_path: Path) -> None:
    """
    From the first opening on, whatever is on disk between two statements can be opened.

    It holds whole appends of the story and takes further ones: a half-made file too.
    """
    path = tmp_path / "live" / "journal.db"
    with imaging(path.parent, tmp_path) as images:
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
    found = [
        PREFIXES.index(records_in(tmp_path / "journal.db"))
        for _ in torn_logs(log_of_the_story, tmp_path, torn_by)
    ]
    assert sorted(found) == found
    assert set(range(len(PREFIXES))) == set(found)
