"""The two stores as the conformance suite sees them: something to connect to, twice."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.ports import Stamp, Store
from orchestrator.protocol.types import Digest, FleetId
from orchestrator.storage.memory import MemoryStore
from orchestrator.storage.sqlite import SqliteStore


class FakeClock:
    """UTC in s, moved by the test."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.25

    def __call__(self) -> float:
        return self.at


class FakeBoot:
    """A boot and its clock, moved by the test; without an ``id`` it is not known."""

    def __init__(self) -> None:
        self.id: str | None = "boot-1"
        self.at = 5_000.5

    def __call__(self) -> tuple[str, float] | None:
        return None if self.id is None else (self.id, self.at)


class World(Protocol):
    """A place for a journal: every connection sees the same one."""

    clock: FakeClock
    boot: FakeBoot

    def connect(self) -> Store: ...

    def backup(self) -> Callable[[], None]:
        """Copy all of it; what is returned restores it in place, under living connections."""
        ...

    def damage(self, fleet: FleetId, index: int, text: str) -> None: ...

    def damage_blob(self, digest: Digest, data: bytes) -> None: ...


def stamp(world: World) -> Stamp:
    """What a write in this instant is dated with."""
    if world.boot.id is None:
        return Stamp(utc_s=world.clock.at)
    return Stamp(utc_s=world.clock.at, boot_id=world.boot.id, boot_s=world.boot.at)


class MemoryWorld:
    def __init__(self, _directory: Path) -> None:
        self.clock = FakeClock()
        self.boot = FakeBoot()
        self._first = MemoryStore(now=self.clock, boot=self.boot)

    def connect(self) -> Store:
        return self._first.connect()

    def backup(self) -> Callable[[], None]:
        disk, image = self._first.disk, self._first.disk.durable

        def restore() -> None:
            disk.live = disk.durable = image

        return restore

    def damage(self, fleet: FleetId, index: int, text: str) -> None:
        self._first.damage(fleet, index, text)

    def damage_blob(self, digest: Digest, data: bytes) -> None:
        self._first.damage_blob(digest, data)


class SqliteWorld:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.boot = FakeBoot()
        self.path = directory / "store" / "journal.db"

    def connect(self) -> Store:
        return SqliteStore(self.path, now=self.clock, boot=self.boot)

    def backup(self) -> Callable[[], None]:
        copy = self.path.with_name("backup.db")
        _copy(self.path, copy)
        return lambda: _copy(copy, self.path)

    def damage(self, fleet: FleetId, index: int, text: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as raw, raw:
            raw.execute("PRAGMA ignore_check_constraints = ON")
            raw.execute("DROP INDEX journal_decided_once")
            raw.execute("DROP TRIGGER journal_never_updated")
            raw.execute(
                "UPDATE journal SET record = ? WHERE fleet = ? AND idx = ?", (text, fleet, index)
            )

    def damage_blob(self, digest: Digest, data: bytes) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as raw, raw:
            raw.execute("UPDATE blobs SET data = ? WHERE digest = ?", (data, digest))


def _copy(source: Path, target: Path) -> None:
    """Copy a database into the file that stands there: for SQLite a write like any other."""
    with (
        contextlib.closing(sqlite3.connect(source)) as one,
        contextlib.closing(sqlite3.connect(target)) as other,
    ):
        one.backup(other)


@pytest.fixture(params=[MemoryWorld, SqliteWorld], ids=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """One of the two stores, empty."""
    made: World = request.param(tmp_path)
    return made


@pytest.fixture
async def store(world: World) -> AsyncIterator[Store]:
    """A connection to it."""
    connection = world.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def second(world: World, store: Store) -> AsyncIterator[Store]:
    """Another connection to the same place, as another process would have it."""
    connection = world.connect()
    yield connection
    await connection.close()
