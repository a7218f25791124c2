"""Makes the store's file: private, and durable in its directory before anything is put in it."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.ports import StoreUnavailable


def make_file(path: Path) -> None:
    """
    Make an empty file of mode 0600 unless it exists; its missing directories get mode 0700.

    A file that exists is not opened: closing it again would drop the POSIX locks that another
    connection of this process holds on it. Raises StoreUnavailable.
    """
    try:
        _make_directories(path.parent)
        if not path.exists():
            path.touch(mode=0o600, exist_ok=True)
            _sync_directory(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{path}: it cannot be made: {error.strerror}") from error
    if path.is_dir():
        raise StoreUnavailable(f"{path}: it is a directory, not a file")


def _make_directories(directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
