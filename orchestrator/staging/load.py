"""
From files to typed values: read a file (the edge), then check its text.

Everything but :func:`read` works on text. Every function raises InvalidInput with all that is
wrong: file, line, key, and how to mend it.
"""

from __future__ import annotations

import errno
import pathlib
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from orchestrator.protocol.types import CONFIG_BYTES_MAX
from orchestrator.staging.documents import Document, Source, parse
from orchestrator.staging.explain import at, checked
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.migrations import brought_up
from orchestrator.staging.notes import InvalidInput, Lines, refuse, shortened
from orchestrator.staging.overlay import ConfigSource, split

FLEET_BYTES_MAX: Final = 4 * 1024 * 1024
"""A fleet of twenty thousand devices in TOML has about two mebibytes."""

FileKind = Literal["config", "fleet", "plan", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFleet:
    """A fleet file that was checked, and where its keys stand."""

    file: FleetFile
    name: str
    lines: Lines


def read(path: pathlib.Path, bytes_max: int = FLEET_BYTES_MAX) -> Source:
    """Read a text file of at most ``bytes_max`` bytes of UTF-8."""
    name = str(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise refuse(name, "is not a regular file", fix="name a file")
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        why = error.strerror or errno.errorcode.get(error.errno or 0, "unreadable")
        raise refuse(name, f"can't be read: {why}") from error
    return source(name, data, bytes_max)


def source(name: str, data: bytes, bytes_max: int = FLEET_BYTES_MAX) -> Source:
    """Decode the bytes of a file; a byte order mark is dropped, other encodings are refused."""
    if len(data) > bytes_max:
        raise refuse(name, f"has more than {bytes_max} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse(name, f"is not UTF-8 (line {line})", fix="save it as UTF-8") from error
    return Source(name=name, text=text)


def load_fleet(text: Source) -> LoadedFleet:
    """Check the text of a fleet file."""
    _check_size(text, FLEET_BYTES_MAX)
    return fleet_of(parse(text))


def fleet_of(document: Document) -> LoadedFleet:
    """Check a document that was parsed already as a fleet file."""
    fleet = checked(FleetFile, document.values, document.name, at(document.lines))
    if isinstance(fleet, list):
        raise InvalidInput(fleet, next_command=_lint(document.name))
    return LoadedFleet(file=fleet, name=document.name, lines=document.lines)


def load_config(text: Source) -> ConfigSource:
    """
    Read the text of a configuration file and part it into base and overlays.

    The values are checked where they are put together for a device: by ``make_bundle``, or by
    ``effective``.
    """
    _check_size(text, CONFIG_BYTES_MAX)
    return config_of(parse(text))


def config_of(document: Document) -> ConfigSource:
    """Part a document that was parsed already; one of an older schema is brought up first."""
    newest, notes = brought_up(document)
    config = split(newest)
    if isinstance(config, list):
        raise InvalidInput(config, next_command=_lint(document.name))
    return replace(config, notes=notes)


def identify(values: Any) -> FileKind:
    """Tell by its top-level keys what a document is; ``push`` takes a plan or a configuration."""
    if not isinstance(values, dict):
        return "other"
    if values.get("type") == "plan-file":
        return "plan"
    if len({"fleet", "config", "device"} & set(values)) > 1:
        return "fleet"
    if "$schema" not in values and ("schema" in values or {"yaw", "pitch", "roll"} & set(values)):
        return "config"
    return "other"


def _check_size(text: Source, bytes_max: int) -> None:
    if len(text.text.encode("utf-8", "surrogatepass")) > bytes_max:
        raise refuse(text.name, f"has more than {bytes_max} bytes")


def _lint(name: str) -> str:
    return f"aimctl lint {shortened(name)}"
