"""
What each device will run: the base of a configuration file with the overlays that fit it.

Order: base, ``[overlay.kind.<kind>]``, then ``[overlay.group.<name>]`` for each group in the
order in which the device lists them, then ``[overlay.device.<id>]``. Tables are merged key by
key; anything else, lists included, is replaced. Sections of the other kinds are left out, and
the own one is there with its defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.staging.documents import Document
from orchestrator.staging.explain import at, checked
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.models import AimConfig, Kind
from orchestrator.staging.notes import Note, Path, dotted, line_of

Scope = Literal["kind", "group", "device"]
SCOPES: Final[tuple[Scope, ...]] = ("kind", "group", "device")

OverlayName = tuple[Scope, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSource:
    """
    A configuration file that was read: base and overlays apart, values not checked yet.

    ``effective`` gives what one device will run. The values may be wrong; then it gives notes.
    ``notes`` are what the linter tells of the file as a whole: that it is of an older schema.
    """

    document: Document
    base: Mapping[str, Any]
    overlays: Mapping[OverlayName, Mapping[str, Any]]
    notes: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        """The name that messages call the file by."""
        return self.document.name

    def place(self, overlay: OverlayName) -> tuple[int | None, str]:
        """Return the line and the key of an overlay's table."""
        path: Path = ("overlay", *overlay)
        return line_of(self.document.lines, path), dotted(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What decides which overlays a device takes."""

    kind: Kind
    groups: tuple[str, ...] = ()
    device: str | None = None

    def overlays_in(self, config: ConfigSource) -> tuple[OverlayName, ...]:
        """Return the overlays of ``config`` that apply, in the order of their application."""
        names: list[OverlayName] = [("kind", self.kind), *(("group", g) for g in self.groups)]
        if self.device is not None:
            names.append(("device", self.device))
        return tuple(name for name in names if name in config.overlays)


def split(document: Document) -> ConfigSource | list[Note]:
    """Part a document into base and overlays; a note for each overlay that can't be one."""
    base = {key: value for key, value in document.values.items() if key != "overlay"}
    notes: list[Note] = []
    raw = document.values.get("overlay", {})
    overlays = {
        name: table
        for name, table in _tables(document, raw, notes)
        if _is_overlay(document, name, table, notes)
    }
    return notes or ConfigSource(document=document, base=base, overlays=overlays)


def _note(document: Document, path: Path, message: str, fix: str | None = None) -> Note:
    return Note(
        file=document.name,
        line=line_of(document.lines, path),
        key=dotted(path),
        message=message,
        component="overlay",
        fix=fix,
    )


def _tables(document: Document, raw: Any, notes: list[Note]) -> Iterator[tuple[OverlayName, Any]]:
    if not isinstance(raw, dict):
        notes.append(_note(document, ("overlay",), "must be a table"))
        return
    for scope, tables in raw.items():
        if scope not in SCOPES:
            notes.append(
                _note(
                    document,
                    ("overlay", scope),
                    "unknown overlay",
                    "use overlay.kind, overlay.group or overlay.device",
                )
            )
        elif not isinstance(tables, dict):
            notes.append(_note(document, ("overlay", scope), "must be a table of tables"))
        else:
            yield from (((scope, name), table) for name, table in tables.items())


def _is_overlay(document: Document, name: OverlayName, table: Any, notes: list[Note]) -> bool:
    path: Path = ("overlay", *name)
    if not isinstance(table, dict):
        notes.append(_note(document, path, "must be a table"))
        return False
    if name[0] == "kind" and name[1] not in KINDS:
        notes.append(_note(document, path, "unknown kind", f"kinds are {', '.join(KINDS)}"))
    notes += [
        _note(document, (*path, key), "can't stand in an overlay", "remove it")
        for key in ("schema", "overlay")
        if key in table
    ]
    return True


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """
    Lay ``above`` over ``below``: tables key by key, everything else replaced.

    Associative where both have tables at the same places.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


@dataclass(slots=True, kw_only=True)
class _Layers:
    """A merge that remembers where each value came from."""

    values: Mapping[str, Any]
    origin: dict[Path, Path] = field(default_factory=dict)
    clashes: list[Path] = field(default_factory=list)

    def lay(self, table: Mapping[str, Any], prefix: Path) -> None:
        self._remember(self.values, table, (), prefix)
        self.values = merge(self.values, table)

    def _remember(self, below: Any, above: Mapping[str, Any], path: Path, prefix: Path) -> None:
        for key, value in above.items():
            here = (*path, key)
            old = below.get(key) if isinstance(below, Mapping) else None
            if old is not None and isinstance(old, Mapping) != isinstance(value, Mapping):
                self.clashes.append((*prefix, *here))
            self.origin[here] = (*prefix, *here)
            if isinstance(value, Mapping):
                self._remember(old, value, here, prefix)

    def source_of(self, path: Path) -> Path:
        """Return the path in the file of what stands, or is missing, at ``path``."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origin:
                return (*self.origin[path[:end]], *path[end:])
        return path


def effective(
    config: ConfigSource, target: Target, without: OverlayName | None = None
) -> AimConfig | list[Note]:
    """Return what ``target`` will run, or a note for everything that is wrong with that."""
    layers = _layered(config, target, without)
    lines = config.document.lines
    if layers.clashes:
        return [
            _note(config.document, path, "an overlay can't turn a table into a value or back")
            for path in layers.clashes
        ]

    def where(path: Path) -> tuple[int | None, Path]:
        source = layers.source_of(path)
        return line_of(lines, source), source

    return checked(AimConfig, layers.values, config.name, where)


def where_set(config: ConfigSource, target: Target, path: Path) -> tuple[int | None, str]:
    """Return line and key of what decides the value at ``path`` for ``target``."""
    source = _layered(config, target, None).source_of(path)
    return line_of(config.document.lines, source), dotted(source)


def _layered(config: ConfigSource, target: Target, without: OverlayName | None) -> _Layers:
    layers = _Layers(values={})
    layers.lay(config.base, ())
    for name in target.overlays_in(config):
        if name != without:
            layers.lay(config.overlays[name], ("overlay", *name))
    own = {
        key: value
        for key, value in layers.values.items()
        if key == target.kind or key not in KINDS
    }
    layers.values = {target.kind: {}, **own}
    return layers


def unused_sections(config: ConfigSource, kinds: set[Kind]) -> list[Note]:
    """Check the sections of kinds that the fleet does not have; nobody else would look at them."""
    notes: list[Note] = []
    for kind in KINDS:
        if kind in kinds or kind not in config.base:
            continue
        where = at(config.document.lines, (kind,))
        values = config.base[kind]
        if isinstance(values, dict):
            found = checked(REGISTRY[kind].section, values, config.name, where)
            notes += found if isinstance(found, list) else []
        else:
            notes.append(_note(config.document, (kind,), "must be a table"))
    return notes
