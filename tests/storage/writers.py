"""Processes that write to one file and are killed by SIGKILL; copies of it between two steps."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ports import Conflict
from orchestrator.protocol.records import START
from orchestrator.storage.sqlite import SqliteStore
from tests.storage.conftest import FakeClock
from tests.storage.samples import FLEET, noise

WAL_HEADER_BYTES = 32
FRAME_BYTES = 24 + 4096

# A process of its own that has imported all this forks the writers: quick, and no thread of the
# test runner is copied into them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


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
        head, done = START, 0
        while done < appends:
            try:
                pair = [noise(head.index), noise(head.index + 1)]
                written = await store.append(FLEET, head, pair)
            except Conflict:
                head = (await store.read(FLEET, after=head))[-1].head
                continue
            head, done = written[-1].head, done + 1
            telling.send_bytes(head.index.to_bytes(4, "big"))
        await store.close()

    asyncio.run(run())


def killed_at(path: Path, statement: str) -> int | None:
    """Start an opener that is killed before this statement; return how it ended."""
    process = FORKS.Process(target=open_and_die, args=(path, statement))
    process.start()
    process.join()
    return process.exitcode


def open_and_die(path: Path, statement: str) -> None:
    """Open the file, and die by SIGKILL before the first statement of this kind."""

    class Dying(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if statement in sql:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(sql, *args)

    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Dying))
        SqliteStore(path, now=FakeClock())


@contextlib.contextmanager
def imaging(directory: Path, images: Path) -> Iterator[list[Path]]:
    """Copy ``directory`` before each statement of a connection that is opened meanwhile."""
    made: list[Path] = []

    class Imaging(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            made.append(images / str(len(made)))
            shutil.copytree(directory, made[-1])
            return super().execute(*args)

    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Imaging))
        yield made


def torn_logs(source: Path, copy: Path, torn_by: int = 0) -> Iterator[None]:
    """Put into ``copy`` the file of ``source`` with its log cut at every frame, or inside it."""
    size = (source / "journal.db-wal").stat().st_size
    for end in range(WAL_HEADER_BYTES + FRAME_BYTES, size + 1, FRAME_BYTES):
        for file in source.iterdir():
            shutil.copy(file, copy / file.name)
        os.truncate(copy / "journal.db-wal", end - torn_by)
        yield
