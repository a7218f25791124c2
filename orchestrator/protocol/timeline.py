"""
The instants of a transaction, measured (DESIGN §5).

``vote_by = begun + window``, ``hold_at = vote_by + margin``, ``activate_at = hold_at + 2ε``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.types import Timeline

WINDOW_FLOOR_S: Final = 0.05
WINDOW_MAX_S: Final = 60.0
MARGIN_FLOOR_S: Final = 0.02
MARGIN_MAX_S: Final = 10.0
"""Whoever was paused while it waited has measured its own sleep, not the network."""

RTT_UNKNOWN_S: Final = 0.25

VOTE_EXCHANGES: Final = 3
"""A vote takes three exchanges: for the plan, for the configuration, PREPARE and the vote."""

VOTE_WRITES: Final = 2
"""... and two durable writes: the staged bytes and the PREPARED record."""

BEGIN_APPENDS: Final = 1
"""... after one append of ours: nobody hears PREPARE before Begun is stored (row C1)."""

SLACK: Final = 4
"""Four times what was measured, so that an ordinary hiccup does not abort."""


def measured(
    now: float,
    timing: Timing,
    told: Iterable[Evidence],
    append_s: float,
    leases_until: float = 0.0,
) -> Timeline:
    """
    Return the timeline of a transaction that begins at ``now`` (UTC s).

    The window covers our own append of Begun (``append_s``) and the slowest round trip and durable
    write that members have shown, unless the fleet file or the operator gives one; the margin
    covers one durable decision and one broadcast. ``leases_until`` (UTC s) is until when a device
    that is left out may operate the old version on its enable lease: nobody holds, and nobody
    begins with the new one, before that (DESIGN §5).
    """
    known = list(told)
    rtt_s = max((e.rtt_s for e in known if e.rtt_s is not None), default=RTT_UNKNOWN_S)
    write_s = max((e.state.staging_s for e in known if e.state is not None), default=0.0)
    vote_s = VOTE_EXCHANGES * rtt_s + VOTE_WRITES * write_s + BEGIN_APPENDS * append_s
    window_s = SLACK * vote_s
    window_s = min(max(WINDOW_FLOOR_S, window_s), WINDOW_MAX_S)
    if timing.window_s is not None:
        window_s = timing.window_s
    margin_s = min(max(MARGIN_FLOOR_S, SLACK * (rtt_s + append_s)), MARGIN_MAX_S)
    hold_at = max(now + window_s + margin_s, leases_until + 2 * timing.clock_error_s)
    return Timeline(
        vote_by=now + window_s,
        hold_at=hold_at,
        activate_at=hold_at + 2 * timing.clock_error_s,
        clock_error_s=timing.clock_error_s,
    )
