"""
The journal of one parameter set on disk: what is being written, and what was there before.

An autopilot stores its parameters one by one, so a set of them is one unit only by this file. It
stands there from before the first parameter is written until after the last was read back; who
finds it has a half-written set to finish or to put back. Two lines, as the participant's record:
JSON, and its SHA-256.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrator.agent.disk import Disk, write_atomically
from orchestrator.agent.mavlink.vehicle import Setting
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import Digest

NAME: Final = "parameters.json"
FORMAT: Final = 1
BYTES_MAX: Final = 256 * 1024
_TEMPORARY: Final = ".new-" + NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """
    A set that was begun.

    ``digest`` is the configuration that ``target`` says, ``previous`` what the autopilot held
    when it was whole for the last time: the same parameters, in the same order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    format: int = FORMAT
    digest: Digest
    target: tuple[Setting, ...]
    previous: tuple[Setting, ...]


_UNFINISHED: Final = TypeAdapter(Unfinished)


class SetJournal:
    """
    The journal in a state directory. Its calls block, and raise DiskError.

    ``unfinished`` is what it holds; :meth:`open` it first.
    """

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._path = directory / NAME
        self.unfinished: Unfinished | None = None

    def open(self) -> None:
        """Read it. Raises OperatingError where its bytes are damaged."""
        data = self._disk.read(self._path, BYTES_MAX)
        self._disk.remove(self._path.with_name(_TEMPORARY))
        self.unfinished = None if data is None else _decode(data, self._path)

    def begin(self, unfinished: Unfinished) -> None:
        """Write it, durably: from now on the set is finished or put back."""
        line = _UNFINISHED.dump_json(unfinished)
        data = line + b"\n" + _checksum(line) + b"\n"
        write_atomically(self._disk, self._path, data, temporary=_TEMPORARY)
        self.unfinished = unfinished

    def end(self) -> None:
        """Remove it, durably: the autopilot is whole."""
        self._disk.remove(self._path)
        self._disk.sync_directory(self._path.parent)
        self.unfinished = None


def _decode(data: bytes, path: Path) -> Unfinished:
    line, _, rest = data.partition(b"\n")
    if rest != _checksum(line) + b"\n":
        raise _damaged(path, "its checksum does not fit")
    try:
        found = _UNFINISHED.validate_json(line)
    except ValidationError as error:
        raise _damaged(path, f"it has {error.error_count()} wrong values") from error
    if found.format != FORMAT:
        raise _damaged(path, f"it has format {found.format}, this program reads {FORMAT}")
    return found


def _checksum(line: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(line).hexdigest()}".encode()


def _damaged(path: Path, why: str) -> OperatingError:
    return OperatingError(
        f"{path}: the journal of a half-written parameter set can't be trusted: {why}. Nothing "
        "was changed. The autopilot may hold a mix of two sets: load its parameters from a file, "
        "then move the journal away",
        exit_code=Exit.UNEXPECTED,
        next_command=f"mv {path} {path}.damaged",
    )
