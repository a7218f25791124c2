"""
The trace of a run: what happened, when, to whom. Same scenario, same trace, byte for byte.

A run that is only to be judged keeps none: it is run again, with a trace, when there is something
to look at. Times are true time in s since the start of the story, rounded to a microsecond.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

Value = str | int | float | bool | None


class Kind(StrEnum):
    """
    What an event is about.

    STATE is the whole visible state of a device, told whenever it changes: ``version``,
    ``operating`` (a version or ``None``), ``prepared`` (a txn or ``None``), ``holds`` (why, joined
    by ", "), ``up`` and ``leased``. JOURNAL has ``index`` and ``record`` (its kind), and ``txn``,
    ``outcome``, ``seq``, ``hold_at_s``, ``activate_at_s`` where the record has them (in story
    time); those of the lock have ``epoch``, ``state`` (held, resolving, free) and ``owner`` (the
    process). MESSAGE has ``kind``, ``to``, and ``end`` (sent, arrived, lost, repeated); ``who`` is
    its sender. ACT is an act of the scenario with its ``verb``; HEALED the end of one. PROCESS has
    ``what`` (started, paused, resumed, killed, ended). NOTICE is what a component told.
    """

    ACT = "act"
    HEALED = "healed"
    MESSAGE = "message"
    JOURNAL = "journal"
    WRITE = "write"
    STATE = "state"
    PROCESS = "process"
    NOTICE = "notice"
    PHASE = "phase"
    VIOLATION = "violation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a trace; ``text`` is for people, ``detail`` for programs."""

    at_s: float
    kind: Kind
    who: str
    text: str
    detail: dict[str, Value]

    def line(self) -> str:
        """Return it as one line of JSON, the same on every Python."""
        fields = {
            "at_s": round(self.at_s, 6),
            "event": self.kind.value,  # not "kind": a message has one of its own
            "who": self.who,
            "text": self.text,
            **self.detail,
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    def __str__(self) -> str:
        """Show ``   1.203 journal  decided t-2 commit``."""
        return f"{self.at_s:9.3f} {self.kind:9} {self.who:10} {self.text}"


class Trace:
    """Keeps the events of one run, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, at_s: float, kind: Kind, who: str, text: str, /, **detail: Value) -> None:
        """Add an event."""
        self.events.append(
            Event(at_s=round(at_s, 6), kind=kind, who=who, text=text, detail=detail)
        )

    def lines(self) -> Iterator[str]:
        """Yield each event as a line of JSON."""
        return (event.line() for event in self.events)

    def digest(self) -> str:
        """Return the SHA-256 of all lines, in hexadecimal."""
        hashed = hashlib.sha256()
        for line in self.lines():
            hashed.update(line.encode())
            hashed.update(b"\n")
        return hashed.hexdigest()
