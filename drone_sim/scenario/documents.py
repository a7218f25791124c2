"""
A run as a plain JSON document: the scenario, and where something was made to crash.

What a failing run is shrunk to is kept and replayed in this form. It is versioned and strict: an
unknown key, a wrong type or a value out of range is refused, since a document that is read as
something else replays something else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from drone_sim.result import Crash, Speed
from drone_sim.scenario.checks import wrong
from drone_sim.scenario.model import Scenario
from orchestrator.staging.notes import InvalidInput, Note, dotted, refuse

SCHEMA: Final = 1
BYTES_MAX: Final = 8 * 1024 * 1024
CRASHES_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What can be replayed: ``speed`` is ``None`` where it does not matter."""

    scenario: Scenario
    crashes: Annotated[tuple[Crash, ...], Field(max_length=CRASHES_MAX)] = ()
    speed: Speed | None = None
    schema: Literal[1] = SCHEMA
    type: Literal["scenario"] = "scenario"


_ADAPTER: Final = TypeAdapter(Recorded)


def document(recorded: Recorded) -> dict[str, Any]:
    """Return it as plain values, as JSON has them."""
    found: dict[str, Any] = _ADAPTER.dump_python(recorded, mode="json")
    return found


def encode(recorded: Recorded) -> bytes:
    """Return it as one line of JSON: the same bytes for the same run."""
    text = json.dumps(document(recorded), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def decode(data: bytes | str, *, name: str = "scenario") -> Recorded:
    """Read a document. Raises InvalidInput with everything that is wrong; ``name`` is the file."""
    if len(data) > BYTES_MAX:
        raise refuse(name, f"has more than {BYTES_MAX} bytes")
    try:
        recorded = _ADAPTER.validate_json(data, strict=True, extra="forbid")
    except ValidationError as error:
        raise InvalidInput(_notes(error, name)) from None
    found = [_note(name, "scenario", message) for message in wrong(recorded.scenario)]
    if found:
        raise InvalidInput(found)
    return recorded


def _notes(error: ValidationError, name: str) -> list[Note]:
    return [
        _note(name, dotted(details["loc"]), details["msg"])
        for details in error.errors(include_url=False, include_input=False)
    ]


def _note(name: str, key: str, message: str) -> Note:
    return Note(file=name, line=None, key=key, message=message, component="schema")
