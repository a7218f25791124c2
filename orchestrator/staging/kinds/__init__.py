"""
The kinds of devices: every module of this package is one, by its constant ``KIND``.

The configuration has a section for each, a fleet file its name as ``kind`` and its policy; both
take them from :data:`REGISTRY`. To add a kind, add a module: nothing else names the kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from orchestrator.staging.kind import DeviceKind

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")


def _registered() -> Mapping[str, DeviceKind[Any, Any]]:
    """Import every module of the package and return their kinds, by rank and name."""
    found: list[DeviceKind[Any, Any]] = []
    for module in iter_modules(__path__):
        kind: DeviceKind[Any, Any] = import_module(f"{__name__}.{module.name}").KIND
        if kind.name != module.name or not _NAME.fullmatch(kind.name):
            raise TypeError(f"the kind {kind.name!r} must be called as its module {module.name}")
        found.append(kind)
    return {kind.name: kind for kind in sorted(found, key=lambda kind: (kind.rank, kind.name))}


REGISTRY: Final = _registered()
KINDS: Final = tuple(REGISTRY)
