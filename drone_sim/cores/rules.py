"""
The product's classes and rules, looked up when they are used.

A mutant of the product replaces an attribute of a module while a run lasts. Whoever had bound it
before, in a class body or as a default, would play without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.locksmith.processes import _Shown
from orchestrator.protocol import coordinator as coordinators
from orchestrator.protocol import lease
from orchestrator.protocol import participant as participants
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import Owner

MakeParticipant = Callable[..., Participant]
MakeCoordinator = Callable[..., Coordinator]

Resolve = Callable[..., tuple[Record, ...] | lease.NotTheLock]
"""The rule :func:`lease.resolve`, or a mutant of it."""

Acquire = Callable[..., tuple[Record, ...] | lease.Hot]
"""The rule :func:`lease.acquire`, or a mutant of it."""

Shatter = Callable[..., tuple[Record, ...] | lease.NotTheLock | lease.Refused]
"""The rule :func:`lease.break_glass`, or a mutant of it."""


def participant(*args: Any, **options: Any) -> Participant:
    """Make the core of a device."""
    return participants.Participant(*args, **options)


def coordinator(*args: Any, **options: Any) -> Coordinator:
    """Make the core of an orchestrator."""
    return coordinators.Coordinator(*args, **options)


def resolve(*args: Any) -> tuple[Record, ...] | lease.NotTheLock:
    """Return the forced unlock's append."""
    return lease.resolve(*args)


def acquire(*args: Any) -> tuple[Record, ...] | lease.Hot:
    """Return the grant of the free lock."""
    return lease.acquire(*args)


def shatter(*args: Any) -> tuple[Record, ...] | lease.NotTheLock | lease.Refused:
    """Return the append of break-glass."""
    return lease.break_glass(*args)


def stage_of(age_s: float) -> lease.Stage:
    """Return the stage of a lease of this age."""
    return lease.stage_of(age_s)


def runs(owner: Owner, ticks: int | None) -> bool:
    """Return whether what has an owner's pid now, by its start ticks, is the owner."""
    shown = _Shown() if ticks is None else _Shown(ticks=ticks, state="S")
    return shown.is_running(owner)
