"""What a push would change on each device, for a person to read before it happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.protocol.types import DeviceId
from orchestrator.staging.notes import Path, dotted, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that changes. ``None`` is a value that is not there: no configuration has null."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Show ``path: old → new``, with + and - for what comes and goes."""
        if self.old is None:
            return f"+ {self.path}: {shown(self.new)}"
        if self.new is None:
            return f"- {self.path}: {shown(self.old)}"
        return f"~ {self.path}: {shown(self.old)} → {shown(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeGroup:
    """Devices for which the same changes."""

    devices: tuple[DeviceId, ...]
    changes: tuple[Change, ...]


def diff(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[Change]:
    """
    Return what changes from ``old`` (``None``: the device has none) to ``new``, sorted by path.

    Tables are compared key by key; a list is one value.
    """
    return sorted(_changes(old or {}, new, ()), key=lambda change: change.path)


def group_changes(
    old: Mapping[DeviceId, Mapping[str, Any] | None], new: Mapping[DeviceId, Mapping[str, Any]]
) -> tuple[ChangeGroup, ...]:
    """
    Return the devices by equal change, the largest group first; unchanged devices are left out.

    A device that is missing in ``old`` has no configuration yet. Devices without configuration
    that get the same one are one group.
    """
    grouped: dict[str, list[DeviceId]] = defaultdict(list)
    changes: dict[str, tuple[Change, ...]] = {}
    for device in sorted(new):
        found = tuple(diff(old.get(device), new[device]))
        if found:
            changes.setdefault(repr(found), found)
            grouped[repr(found)].append(device)
    groups = [
        ChangeGroup(devices=tuple(ids), changes=changes[key]) for key, ids in grouped.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.devices), group.devices)))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> list[Change]:
    found: list[Change] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after and type(before) is type(after):
            continue
        if _is_table(before) or _is_table(after):
            found += _changes(_table(before), _table(after), (*path, key))
            before, after = _value(before), _value(after)
        if before is not None or after is not None:
            found.append(Change(path=dotted((*path, key)), old=before, new=after))
    return found


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value(value: Any) -> Any:
    return None if isinstance(value, Mapping) else value
