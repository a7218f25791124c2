"""Documents about files: what the linter found, what a plan would change, figures, parameters."""

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


class MarginsPart(Part):
    """
    How far an axis is from instability at one inertia; null where there is no such number.

    Of an unstable loop nothing is told.
    """

    inertia_factor: float
    stable: bool
    phase_margin_deg: float | None
    crossover_hz: float | None
    gain_margin_db: float | None
    sensitivity_peak: float | None


class FindingPart(Part):
    """
    One reason of a verdict: a limit of the gimbal, or physics with what was found and is asked.

    Nonsense has no numbers; a limit of the gimbal has all of its own in the text.
    """

    text: str
    component: Literal["gimbal", "physics"]
    axis: str | None
    criterion: str | None
    value: float | None
    limit: float | None
    inertia_factor: float | None


class VerdictPart(Part):
    """What a device with this gimbal would say to a configuration, all axes of it."""

    sound: bool
    findings: list[FindingPart]


class PlotPart(Part):
    """A configuration in a figure: margins by axis and inertia, of the axes that are drawn."""

    config: str
    margins: dict[str, list[MarginsPart]]
    verdict: VerdictPart


class Plot(Top, PlotPart):
    """
    The figure that `aimctl plot` has written, of `profile` as `device` or `kind` runs it.

    `others` are devices with this gimbal on which the configuration has other loops.
    """

    type: Literal["plot"]
    fleet: str
    profile: str
    device: str | None
    kind: str
    others: list[str]
    files: list[str]
    against: PlotPart | None


class Import(Top):
    """
    A configuration that `aimctl import` has read.

    `odd` says what is wrong with parameters that a key says only in part, `chosen` why a value
    was put where no parameter says it.
    """

    type: Literal["import"]
    file: str
    autopilot: str
    dialect: str
    values: dict[str, bool | int | float | str]
    unknown: list[str]
    odd: dict[str, str]
    chosen: dict[str, str]
    text: str
    out: str | None
    next: Following


class Export(Top):
    """The parameters that `aimctl export` has written; `left` are keys that none says."""

    type: Literal["export"]
    config: str
    device: str
    autopilot: str
    dialect: str
    params: dict[str, float]
    changed: list[str]
    left: dict[str, str]
    text: str
    out: str | None
