"""The journal, the leases and the blobs behind one port; :func:`open_store` picks the adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Store
from orchestrator.storage.leases import Boot, no_boot

__all__ = ["open_store"]

_SQLITE: Final = "sqlite:///"
_HINT: Final = "use sqlite:///relative/path, sqlite:////absolute/path or memory:"


def open_store(url: str, *, now: Callable[[], float], boot: Boot = no_boot) -> Store:
    """
    Open the store at ``url``; the caller closes it.

    ``sqlite:///PATH`` is a path relative to the working directory, so an absolute one has four
    slashes (SQLAlchemy's form); a leading ``~`` is the home directory. ``memory:`` is forgotten
    when the process ends. ``now`` is UTC in s and dates what is written; ``boot`` reads boot id
    and CLOCK_BOOTTIME in s, which date leases where nobody must be able to step the clock. Raises
    OperatingError for any other URL, StoreUnavailable where the file cannot be used.
    """
    if url == "memory:":
        from orchestrator.storage.memory import MemoryStore  # noqa: PLC0415 - loaded on demand

        return MemoryStore(now=now, boot=boot)
    if url.startswith(_SQLITE):
        from orchestrator.storage.sqlite import SqliteStore  # noqa: PLC0415 - loaded on demand

        return SqliteStore(_path(url), now=now, boot=boot)
    raise _refusal(url)


def _path(url: str) -> Path:
    name = url.removeprefix(_SQLITE)
    if not name or name == ":memory:":
        raise _wrong("a sqlite store needs a path")
    if "?" in name or "\0" in name:
        raise _wrong("the path of a sqlite store takes no parameters")
    return Path(name).expanduser() if name.startswith("~") else Path(name)


def _refusal(url: str) -> OperatingError:
    """Name the scheme only: the rest of a URL may hold a password."""
    scheme = url.partition(":")[0] if ":" in url else ""
    if scheme.partition("+")[0] in {"postgresql", "postgres"}:
        return _wrong("PostgreSQL stores are not available in this version")
    if scheme == "sqlite":
        return _wrong("a sqlite store is written with three slashes and a path")
    return _wrong(f"a store of kind {scheme!r} is not known" if scheme else "it has no scheme")


def _wrong(why: str) -> OperatingError:
    return OperatingError(
        f"the store URL cannot be used: {why}; {_HINT}",
        exit_code=Exit.USAGE,
        next_command="aimctl doctor",
    )
