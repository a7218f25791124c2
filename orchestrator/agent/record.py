"""
Between the participant record and its file: strict, checked, never guessed at.

Two lines: the record as JSON with the number of its format, and the SHA-256 of that line. A
record that was torn, edited or half restored from a backup is told as damage: a device that
guessed what it had promised could break a promise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.device import Durable
from orchestrator.protocol.errors import require
from orchestrator.protocol.types import Digest

FORMAT: Final = 1
RECORD_BYTES_MAX: Final = 1024 * 1024
_CAUSES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """
    What the file holds. ``kept`` are the configurations of the last two versions, newest first.

    They stay on disk even when the record no longer needs them: the way back of a whole fleet
    is a transaction whose bytes every device still has.
    """

    # Reaches the dataclasses inside as well: they have no configuration of their own.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    format: int = FORMAT
    kept: tuple[Digest, ...] = ()
    record: Durable


_STORED: Final = TypeAdapter(Stored)


def encode(stored: Stored) -> bytes:
    """Return the bytes of the file. A record that would not read back breaks an invariant."""
    line = _STORED.dump_json(stored)
    require(_STORED.validate_json(line) == stored, "a participant record does not read back")
    return line + b"\n" + _checksum(line) + b"\n"


def decode(data: bytes, path: Path) -> Stored:
    """Return what the bytes of ``path`` say. Raises OperatingError that names the way out."""
    line, _, rest = data.partition(b"\n")
    if rest != _checksum(line) + b"\n":
        raise damaged(path, "its checksum does not fit: it was torn, edited or half restored")
    found = _format_of(line)
    if found != FORMAT:
        raise _foreign(path, found)
    try:
        return _STORED.validate_json(line)
    except ValidationError as error:
        raise damaged(path, _causes(error)) from error


def damaged(path: Path, why: str) -> OperatingError:
    """Make the error of a state directory that no longer says what this device has promised."""
    return OperatingError(
        f"{path}: the device's record can't be trusted: {why}. Nothing was changed. Without it "
        "nobody knows what this device has promised, so it is never made anew by itself. "
        f"Restore {path.parent} only if you are sure that it is the latest state; otherwise move "
        "it away: the device then joins as a replaced unit and is caught up by the fleet",
        exit_code=Exit.UNEXPECTED,
        next_command=f"mv {path.parent} {path.parent}.damaged",
    )


def _checksum(line: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(line).hexdigest()}".encode()


def _format_of(line: bytes) -> object:
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read.get("format") if isinstance(read, dict) else None


def _foreign(path: Path, found: object) -> OperatingError:
    return OperatingError(
        f"{path}: the device's record has format {found!r}, this program reads {FORMAT}: it was "
        "written by another version. Nothing was changed",
        exit_code=Exit.UNEXPECTED,
        next_command="run the version of aimctl that wrote it, or a newer one",
    )


def _causes(error: ValidationError) -> str:
    causes = [
        f"{'.'.join(str(part) for part in cause['loc'])}: {cause['msg']}"
        for cause in error.errors(include_url=False, include_input=False)[:_CAUSES_SHOWN]
    ]
    return "; ".join(causes)
