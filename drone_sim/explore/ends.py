"""
Whether a story ended as its teller expected: judged by what the trace says of the journal.

A story says what the end must be before the last, healthy push; so what that one does is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from drone_sim.scenario.story import Expected
from drone_sim.trace import Event, Kind
from orchestrator.protocol.invariants import Violation

UNMET: Final = "expected"
"""The id of a violation that is no invariant: the story did not end as it was told to."""

LAST_PHASES: Final = frozenset({"last push", "healthy push"})
"""What the two engines call the phase of the last push."""

_HELD_BY: Final = re.compile(r"held by (\S+)")
NONE: Final = "none"


@dataclass(slots=True)
class End:
    """
    What the journal came to.

    ``pushes`` has the outcome of the last transaction that each process began, "open" where it
    has none, by the name of the process without its machine.
    """

    version: int
    lock_free: bool = True
    pushes: dict[str, str] = field(default_factory=dict)
    _holder: str = ""
    _seqs: dict[str, int] = field(default_factory=dict)
    _began: dict[str, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Look at one record of the journal."""
        match event.detail.get("record"):
            case "lock_taken":
                held = _HELD_BY.search(event.text)
                self.lock_free, self._holder = False, "" if held is None else held[1]
            case "lock_released":
                self.lock_free, self._holder = True, ""
            case "begun":
                self._begin(str(event.detail["txn"]), event.detail["seq"])
            case "decided":
                self._decide(str(event.detail["txn"]), str(event.detail["outcome"]))

    def _begin(self, txn: str, seq: object) -> None:
        self._seqs[txn] = int(str(seq))
        self._began[txn] = _without_machine(self._holder)
        self.pushes[self._began[txn]] = "open"

    def _decide(self, txn: str, outcome: str) -> None:
        self.pushes[self._began.get(txn, "")] = outcome
        if outcome == "commit":
            self.version = max(self.version, self._seqs.get(txn, 0))


def end_of(events: Iterable[Event], *, fresh: bool) -> End:
    """Return what the journal had come to when the last push began."""
    end = End(version=0 if fresh else 1)
    for event in takewhile(_is_before_the_last_push, events):
        if event.kind is Kind.JOURNAL:
            end.take(event)
    return end


def unmet(expected: Expected, end: End) -> Iterator[Violation]:
    """Say everything that is not as it was expected."""
    if expected.version is not None and expected.version != end.version:
        yield _violation(f"the fleet is at version {end.version}, not {expected.version}")
    if expected.lock_free is not None and expected.lock_free != end.lock_free:
        yield _violation(f"the lock is {'free' if end.lock_free else 'not free'}")
    for name, outcome in expected.pushes.items():
        found = end.pushes.get(_without_machine(name), NONE)
        if found != outcome:
            yield _violation(f"the push of {name} came to {found}, not {outcome}")


def _violation(text: str) -> Violation:
    return Violation(id=UNMET, text=text)


def _is_before_the_last_push(event: Event) -> bool:
    return event.kind is not Kind.PHASE or event.text not in LAST_PHASES


def _without_machine(name: str) -> str:
    return name.partition("@")[0]
