"""Documents about files: what the linter found, what a plan would change."""

from __future__ import annotations

from typing import Any, Literal

from orchestrator.cli.documents.parts import NotePart
from orchestrator.service.parts import DigestText, Following, Part, Top


class Lint(Top):
    """What `aimctl lint` found."""

    type: Literal["lint"]
    ok: bool
    errors: int
    warnings: int
    infos: int
    notes: list[NotePart]


class ChangePart(Part):
    """One value that changes; null is a value that is not there."""

    path: str
    old: Any
    new: Any


class GroupPart(Part):
    """Devices for which the same changes."""

    devices: list[str]
    changes: list[ChangePart]


class PlanDocument(Top):
    """What a push would change."""

    type: Literal["plan"]
    fleet: str
    config: str
    base_version: int
    digest: DigestText
    devices: dict[str, DigestText]
    changes: bool
    groups: list[GroupPart]
    unchanged: list[str]
    first: list[str]
    blocked: str | None
    out: str | None
    next: Following
