"""
The durable slots of one device: its record, and the configurations that it may have to run.

In the state directory stand ``participant.json`` (see :mod:`orchestrator.agent.record`),
``blobs/<hex>`` (each configuration under its own digest) and ``lock`` (one agent at a time).
Methods block on the disk: call them off the event loop, one write at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from orchestrator.agent import record
from orchestrator.agent.disk import Disk, DiskLocked, Lock, write_atomically
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Durable, Save, Stage, Write
from orchestrator.protocol.errors import require
from orchestrator.protocol.types import CONFIG_BYTES_MAX, DeviceId, Digest, FleetId

RECORD: Final = "participant.json"
BLOBS: Final = "blobs"
LOCK: Final = "lock"
VERSIONS_KEPT: Final = 2
ROOM_BYTES: Final = 64 * 1024
"""With less than this a disk is full: far more than a record has."""

_TEMPORARY: Final = ".new-"
_PREFIX: Final = "sha256:"


class Slots:
    """
    An open state directory. ``durable`` is what its record says.

    Made by :func:`open_slots`; call :meth:`close` when the agent has ended.
    """

    def __init__(self, disk: Disk, directory: Path, *, lock: Lock, stored: record.Stored) -> None:
        self._disk = disk
        self._directory = directory
        self._lock = lock
        self._stored = stored
        self._sure = set(_in_use(stored))
        """
        The configurations that are durable, their names too.

        Those that the record needs: it was stored after them. And those that were staged here. Of
        any other it can't be told: what is there may be what a failed sync has left, and a second
        sync of that returns without having written anything.
        """

    @property
    def durable(self) -> Durable:
        """The record as it was last stored."""
        return self._stored.record

    def found(self) -> tuple[Durable, tuple[Digest, ...]]:
        """
        Return the record as far as the bytes are there, and the digests of those that are not.

        A device whose own configuration was lost must not vouch for it: it says that it runs an
        unknown one, and is caught up.
        """
        durable = self.durable
        lost = sorted(digest for digest in durable.digests_in_use() if self.blob(digest) is None)
        if durable.digest in lost:
            durable = replace(durable, digest=None)
        return durable, tuple(lost)

    def perform(self, write: Write) -> None:
        """Do one write of the core, durably. Raises DiskError; nothing was promised then."""
        match write:
            case Stage(digest=digest, data=data):
                self._stage(digest, data)
            case Save(durable=durable):
                self._save(durable)

    def _stage(self, digest: Digest, data: bytes) -> None:
        require(_digest_of(data) == digest, "bytes are staged under their own digest only")
        path = self._path_of(digest)
        if digest in self._sure and self.blob(digest) == data:
            return
        self._sure.discard(digest)
        write_atomically(self._disk, path, data, temporary=_TEMPORARY + path.name)
        self._sure.add(digest)

    def _save(self, durable: Durable) -> None:
        before = self._stored
        kept = _kept(before.kept, durable.digest)
        stored = replace(before, record=durable, kept=kept)
        self._store(stored)
        if _in_use(before) - _in_use(stored):
            self._collect()

    def _store(self, stored: record.Stored) -> None:
        path = self._directory / RECORD
        write_atomically(self._disk, path, record.encode(stored), temporary=_TEMPORARY + RECORD)
        self._stored = stored

    def renew(self) -> None:
        """
        Store the record as it was found; called once, before anybody is told of it.

        The agent before this one may have been killed, or refused, between the record's new name
        and its sync: what can be read would then be gone after a power loss. On a full disk the
        name is synced at least: a device must be able to start there. Raises DiskError.
        """
        try:
            self._store(self._stored)
        except DiskError:
            if self._disk.free_bytes(self._directory) >= ROOM_BYTES:
                raise
            self._disk.sync_directory(self._directory)

    def blob(self, digest: Digest) -> bytes | None:
        """Return a configuration; ``None`` where there is none or its bytes are damaged."""
        try:
            data = self._disk.read(self._path_of(digest), CONFIG_BYTES_MAX)
        except DiskError:
            return None
        return data if data is not None and _digest_of(data) == digest else None

    def _path_of(self, digest: Digest) -> Path:
        return self._directory / BLOBS / digest.removeprefix(_PREFIX)

    def _collect(self) -> None:
        """Remove what no promise needs. A failure costs space only, and is tried again."""
        used = {digest.removeprefix(_PREFIX) for digest in _in_use(self._stored)}
        self._sure &= _in_use(self._stored)
        with suppress(DiskError):
            blobs = self._directory / BLOBS
            for name in self._disk.names(blobs):
                if name not in used:
                    self._disk.remove(blobs / name)

    def clean(self) -> None:
        """Remove what a crash left half done; called once, before anything is written."""
        with suppress(DiskError):
            self._disk.remove(self._directory / (_TEMPORARY + RECORD))
        self._collect()

    def close(self) -> None:
        """Let another agent have the directory. Idempotent."""
        self._lock.release()


def open_slots(disk: Disk, directory: Path, *, fleet: FleetId, device: DeviceId) -> Slots:
    """
    Open the state directory of a device, or make it where there is none.

    Raises OperatingError, each with the way out: another agent runs on it, the disk refuses, it
    is another device's, its record is damaged or missing.
    """
    try:
        disk.make_directory(directory / BLOBS)
        lock = disk.lock(directory / LOCK)
    except DiskLocked as locked:
        raise _in_use_by(directory, locked.pid) from None
    except DiskError as error:
        raise _unusable(error) from error
    try:
        return _open(disk, directory, lock, Durable(fleet=fleet, device=device))
    except BaseException:
        lock.release()
        raise


def _open(disk: Disk, directory: Path, lock: Lock, new: Durable) -> Slots:
    path = directory / RECORD
    try:
        data = disk.read(path, record.RECORD_BYTES_MAX)
        names = disk.names(directory / BLOBS)
    except DiskError as error:
        raise _unusable(error) from error
    if data is not None:
        slots = Slots(disk, directory, lock=lock, stored=record.decode(data, path))
        _require_own(slots.durable, new, directory)
        _renew(slots)
        slots.clean()
        return slots
    if any(not name.startswith(".") for name in names):
        raise record.damaged(path, "it is missing, though configurations stand beside it")
    return _first(Slots(disk, directory, lock=lock, stored=record.Stored(record=new)))


def _renew(slots: Slots) -> None:
    try:
        slots.renew()
    except DiskError as error:
        raise _unusable(error) from error


def _first(slots: Slots) -> Slots:
    """Write the record of a device that never had one, so that its loss can be noticed."""
    try:
        slots.perform(Save(durable=slots.durable))
    except DiskError as error:
        raise _unusable(error) from error
    return slots


def _require_own(found: Durable, wanted: Durable, directory: Path) -> None:
    if (found.fleet, found.device) == (wanted.fleet, wanted.device):
        return
    raise OperatingError(
        f"{directory} is the state of device {found.device} of fleet {found.fleet}, not of "
        f"{wanted.device} of {wanted.fleet}. Nothing was changed",
        exit_code=Exit.USAGE,
        next_command=f"--device {found.device}, or another --state-dir",
    )


def _in_use_by(directory: Path, pid: int | None) -> OperatingError:
    who = "another agent" if pid is None else f"another agent, pid {pid},"
    return OperatingError(
        f"{who} works in {directory}: a device has one agent",
        exit_code=Exit.USAGE,
        next_command="stop it first" if pid is None else f"kill {pid}, or another --state-dir",
    )


def _unusable(error: DiskError) -> OperatingError:
    return OperatingError(
        f"the state directory can't be used: {error}",
        exit_code=Exit.UNEXPECTED,
        next_command="check the disk and its permissions",
    )


def _digest_of(data: bytes) -> Digest:
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def _kept(kept: Iterable[Digest], digest: Digest | None) -> tuple[Digest, ...]:
    """Return the configurations of the last versions, without repetition, newest first."""
    newest = () if digest is None else (digest,)
    return tuple(dict.fromkeys((*newest, *kept)))[:VERSIONS_KEPT]


def _in_use(stored: record.Stored) -> frozenset[Digest]:
    return stored.record.digests_in_use() | frozenset(stored.kept)
