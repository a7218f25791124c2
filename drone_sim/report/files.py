"""Report files, each written whole or not at all: a reader never sees half of one."""

from __future__ import annotations

import itertools
import shlex
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


def require_writable(path: Path, what: str, disk: Disk | None = None) -> None:
    """
    See that a report can be written, before hours are spent on it; ``what`` is how it was named.

    A file beside it is made and removed; whatever exists stays as it is. Raises OperatingError
    (wrong use) where the report could not be written.
    """
    try:
        found = _obstacle(path, what) or _refusal(path, OsDisk() if disk is None else disk)
    except OSError as error:  # a name that no file can have
        found = (error.strerror or str(error), f"name another file for {what}")
    if found is not None:
        why, following = found
        raise OperatingError(
            f"{what} {path} can't be written: {why}; nothing was begun",
            exit_code=Exit.USAGE,
            next_command=following,
        )


def _obstacle(path: Path, what: str) -> tuple[str, str] | None:
    """Return what stands in the way, and what to do about it."""
    home = path.parent
    if path.is_dir():
        return "it is a directory", f"{what} {shlex.quote(str(path / 'report'))}"
    if not home.exists():
        return f"there is no directory {home}", f"mkdir -p {shlex.quote(str(home))}"
    if not home.is_dir():
        return f"{home} is no directory", f"name a file in a directory for {what}"
    return None


def _refusal(path: Path, disk: Disk) -> tuple[str, str] | None:
    """Return why the directory takes no new file, and what shows it."""
    trial = _unused(path)
    try:
        disk.create(trial, READABLE).close()
        disk.remove(trial)
    except DiskError as error:
        return str(error), f"ls -ld {shlex.quote(str(path.parent))}"
    return None


def _unused(path: Path) -> Path:
    """Return a name beside a file that nothing has."""
    names = (path.with_name(f".{path.name}.{number}.new") for number in itertools.count())
    return next(name for name in names if not (name.exists() or name.is_symlink()))


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
