"""
What a fleet allows its devices to vote yes to: one policy for each kind, in the fleet file.

Every kind has these fields; a kind adds its own in its module of ``kinds``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.staging.fields import Strict, choice, number

Doing = Literal["grounded", "climbing", "transit", "hovering", "tracking", "landing", "recording"]
"""The phases in which a policy may refuse a change, and recording, which goes on beside one."""


class Policy(Strict):
    """When a device of one kind says no to a configuration that it could run."""

    require_grounded: bool = choice(
        False, what="Whether it must stand still, disarmed, to vote yes."
    )
    not_while: Annotated[tuple[Doing, ...], Field(strict=False, max_length=7)] = Field(
        default=(),
        description="Phases in which it votes no. Activation waits for a safe phase anyway; this"
        " spares a pass that the hold would spoil. Unit: none. Source: this project.",
    )
    link_quality_min_pct: float = number(
        0,
        0,
        100,
        unit="%",
        what="Link quality below which it votes no; 0 does not ask.",
        source="MAVLink RADIO_STATUS, ArduPilot SYS_STATUS drop rate",
    )
    clock_error_max_ms: float | None = number(
        None,
        1,
        10_000,
        unit="ms",
        what="Clock error above which it votes no; that of [timing] unless given.",
    )
    hold_worst_s: float = number(
        180, 1, 3600, unit="s", what="Longest hold that it must be able to afford."
    )
