"""
The file that holds the token: made at the first start, and never readable by others.

It is the adapter between a secret and the disk. Whoever can read the file may do with every lock
of the store what its owner may.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final, NoReturn

from orchestrator.errors import Exit, OperatingError

NAME: Final = "serve-token"
TOKEN_CHARS_MIN: Final = 16
TOKEN_BYTES_MAX: Final = 1024

_RANDOM_BYTES: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_or_make(path: Path) -> str:
    """
    Return the token in ``path``; where there is no such file, make one of mode 0600.

    Raises OperatingError (wrong use) for a file that others may read or write, that belongs to
    another user, or that holds no token; (11) where the disk refuses.
    """
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise OperatingError(
            f"{path}: the token file can't be used: {error.strerror or error}",
            exit_code=Exit.UNREACHABLE,
            next_command="aimctl serve --token-file PATH",
        ) from error


def _read(path: Path) -> str:
    with path.open("rb") as file:
        # What was opened is judged, not what the name led to a moment before.
        _check(path, os.fstat(file.fileno()))
        data = file.read(TOKEN_BYTES_MAX + 1)
    token = data.strip()
    if not token:
        _refuse(path, "it is empty", f"rm {path}   (a new one is made at the next start)")
    printable = token.isascii() and all(0x21 <= byte <= 0x7E for byte in token)  # noqa: PLR2004
    if not TOKEN_CHARS_MIN <= len(token) <= TOKEN_BYTES_MAX or not printable:
        _refuse(
            path,
            f"it holds no token: {TOKEN_CHARS_MIN} to {TOKEN_BYTES_MAX} characters of printable"
            " ASCII without blanks",
            f"rm {path}   (a new one is made at the next start)",
        )
    return token.decode("ascii")


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        _refuse(path, "it is not a regular file", "aimctl serve --token-file PATH")
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        _refuse(path, f"its mode is {mode:04o}, so others may get at it", f"chmod 600 {path}")
    if found.st_uid not in {0, os.geteuid()}:
        _refuse(path, f"it belongs to user {found.st_uid}", "aimctl serve --token-file PATH")


def _refuse(path: Path, why: str, following: str) -> NoReturn:
    raise OperatingError(
        f"{path}: the token file can't be used: {why}",
        exit_code=Exit.USAGE,
        next_command=following,
    )


def _make(path: Path) -> None:
    """
    Write a new token beside ``path`` and link it there: a reader sees a whole file or none.

    Of two servers that start at once one wins, and the other reads the winner's.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    finally:
        draft.unlink()


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
