"""
How a configuration of an older schema becomes one of the newest.

Each step is a pure function from one plain document to the next; what it was called with is not
changed. A document may be a configuration file, overlays included, or the canonical bytes that a
device or a store holds: both go the same way, and a value that is wrong stays wrong, for the
models to tell. The digest of old bytes is and stays that of the old bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from orchestrator import __version__
from orchestrator.staging.documents import Document
from orchestrator.staging.models import SCHEMA_VERSION
from orchestrator.staging.notes import InvalidInput, Note, Path, Severity, dotted, line_of

Table = dict[str, Any]
Key = tuple[str, str]
"""A section and a key in it."""

AXES: Final = ("yaw", "pitch", "roll")
ACQUIRE: Final = 0.7
LOSE: Final = 0.4

TRACKING_1_TO_2: Final = {
    "confidence_min": "hold_confidence",
    "coast_s": "prediction_horizon_s",
    "reacquire_s": "reacquire_timeout_s",
}
NOTCH_OFF: Final = {"notch_hz": 0, "notch_bandwidth_hz": 20, "notch_attenuation_db": 30}


def from_1_to_2(document: Mapping[str, Any]) -> Table:
    """
    Rename what the target lock had, and write that there is no notch.

    ``confidence_min`` is ``hold_confidence`` now; the thresholds beside it get their defaults
    where these are in order with it. Schema 1 knew no notch, so every axis of the base says that
    its notch is off, whatever the default of a later program is.
    """
    base = {**document, "schema": 2}
    for axis in AXES:
        if isinstance(base.get(axis), Mapping):
            base[axis] = {**NOTCH_OFF, **base[axis]}
    return _everywhere(base, _tracking_1_to_2)


def _tracking_1_to_2(table: Mapping[str, Any]) -> Table:
    tracking = table.get("tracking")
    if not isinstance(tracking, Mapping):
        return dict(table)
    moved = {TRACKING_1_TO_2.get(key, key): value for key, value in tracking.items()}
    hold = tracking.get("confidence_min")
    if isinstance(hold, int | float) and not isinstance(hold, bool):
        moved["acquire_confidence"] = max(ACQUIRE, hold)
        moved["lose_confidence"] = min(LOSE, hold)
    return {**table, "tracking": moved}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One step, to schema ``to``. ``renamed`` are keys by their new names, ``new`` those it brought.

    An older document that has a new key is refused: programs of its time did not know it.
    """

    to: int
    change: Callable[[Mapping[str, Any]], Table]
    renamed: Mapping[Key, Key]
    new: tuple[Key, ...]


STEPS: Final = (
    Step(
        to=2,
        change=from_1_to_2,
        renamed={("tracking", old): ("tracking", new) for old, new in TRACKING_1_TO_2.items()},
        new=(
            *((axis, key) for axis in AXES for key in NOTCH_OFF),
            *(("tracking", key) for key in TRACKING_1_TO_2.values()),
            ("tracking", "acquire_confidence"),
            ("tracking", "lose_confidence"),
        ),
    ),
)
"""Every step there is, oldest first; the last one leads to SCHEMA_VERSION."""

OLDEST: Final = STEPS[0].to - 1


def migrate(document: Mapping[str, Any]) -> Table:
    """Return a document of any known schema as one of the newest; others are left as they are."""
    found = dict(document)
    for step in STEPS:
        if _schema(found) == step.to - 1:
            found = step.change(found)
    return found


def brought_up(document: Document) -> tuple[Document, tuple[Note, ...]]:
    """
    Return a file's document as one of the newest schema, and what is to be said of that.

    Lines are kept, under the new names too. Raises InvalidInput for a schema that this program
    does not know yet, and for keys that the document's own schema did not have.
    """
    schema = _schema(document.values)
    if schema is None or schema == SCHEMA_VERSION:
        return document, ()
    if schema > SCHEMA_VERSION:
        raise InvalidInput([_too_new(document, schema)])
    steps = [step for step in STEPS if schema < step.to]
    early = [note for step in steps for note in _too_early(document, schema, step)]
    if early or schema < OLDEST:
        raise InvalidInput(early or [_unknown(document, schema)])
    lines, told = dict(document.lines), []
    for step in steps:
        for table in _tables(document.values):
            for old, new in step.renamed.items():
                if (*table, *old) in lines:
                    lines[*table, *new] = lines[*table, *old]
                    told.append(f"{'.'.join(old)} is {new[1]}")
    migrated = replace(document, values=migrate(document.values), lines=lines)
    return migrated, (_migrated(document, schema, dict.fromkeys(told)),)


def _schema(document: Mapping[str, Any]) -> int | None:
    found = document.get("schema")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _everywhere(document: Table, change: Callable[[Mapping[str, Any]], Table]) -> Table:
    """Change the base and every overlay; what is no table is left for others to refuse."""
    changed = change(document)
    overlay = document.get("overlay")
    if isinstance(overlay, Mapping):
        changed["overlay"] = {
            scope: {
                name: change(table) if isinstance(table, Mapping) else table
                for name, table in tables.items()
            }
            if isinstance(tables, Mapping)
            else tables
            for scope, tables in overlay.items()
        }
    return changed


def _tables(document: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the key path of the base and of every overlay."""
    yield ()
    overlay = document.get("overlay")
    for scope, tables in overlay.items() if isinstance(overlay, Mapping) else ():
        for name in tables if isinstance(tables, Mapping) else ():
            yield ("overlay", scope, name)


def _too_early(document: Document, schema: int, step: Step) -> Iterator[Note]:
    for table in _tables(document.values):
        for key in step.new:
            path = (*table, *key)
            if path in document.lines:
                yield _note(
                    document,
                    path,
                    f"is new in schema {step.to}, this file says schema {schema}",
                    f"write schema = {SCHEMA_VERSION}",
                )


def _too_new(document: Document, schema: int) -> Note:
    return _note(
        document,
        ("schema",),
        f"{schema} is newer than what this program knows: {__version__} reads {OLDEST} to"
        f" {SCHEMA_VERSION}",
        f"use an aim-fleet later than {__version__}",
    )


def _unknown(document: Document, schema: int) -> Note:
    return _note(
        document,
        ("schema",),
        f"{schema} is no schema; known are {OLDEST} to {SCHEMA_VERSION}",
        f"write schema = {SCHEMA_VERSION}",
    )


def _migrated(document: Document, schema: int, told: Mapping[str, None]) -> Note:
    renamed = f": {', '.join(told)}" if told else ""
    note = _note(
        document,
        ("schema",),
        f"{schema} is an older schema, read as {SCHEMA_VERSION}{renamed}",
        f"write schema = {SCHEMA_VERSION}" + (", and the keys by their new names" if told else ""),
    )
    return replace(note, severity=Severity.INFO)


def _note(document: Document, path: Path, message: str, fix: str) -> Note:
    return Note(
        file=document.name,
        line=line_of(document.lines, path),
        key=dotted(path),
        message=message,
        component="schema",
        fix=fix,
    )
