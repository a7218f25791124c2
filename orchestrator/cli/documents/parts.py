"""What several documents have in common, beside what both faces show of a lock."""

from __future__ import annotations

from typing import Literal

from orchestrator.service.parts import Part


class EntryPart(Part):
    """One journal record; ``at`` is UTC in s."""

    index: int
    at: float
    time: str
    kind: str
    txn: str | None
    seq: int | None
    text: str


class NotePart(Part):
    """One finding of the linter."""

    file: str
    line: int | None
    key: str
    severity: Literal["error", "warning", "info"]
    component: str
    message: str
    fix: str | None
