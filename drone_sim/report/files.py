"""Report files, each written whole or not at all: a reader never sees half of one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from orchestrator.agent.disk import Disk
from orchestrator.agent.os_disk import OsDisk
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import DiskError

READABLE: Final = 0o644
"""Reports are for others to read; the umask may say otherwise."""


def write_whole(path: Path, text: str, disk: Disk | None = None) -> None:
    """
    Write a file under another name, then let it take its own.

    Raises OperatingError (wrong use) where that is not possible, with nothing left behind.
    """
    on = OsDisk() if disk is None else disk
    new = path.with_name(f".{path.name}.new")
    try:
        _write(on, new, text)
        on.rename(new, path)
        on.sync_directory(path.parent)
    except DiskError as error:
        raise OperatingError(
            f"the report can't be written: {error}",
            exit_code=Exit.USAGE,
            next_command="name a file in a directory that exists and may be written to",
        ) from error


def _write(disk: Disk, path: Path, text: str) -> None:
    file = disk.create(path, READABLE)
    try:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.sync()
    except DiskError:
        disk.remove(path)
        raise
    finally:
        file.close()
