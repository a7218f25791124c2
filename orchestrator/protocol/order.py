"""
The one PREPARE or CATCH-UP that a device is working on, and the checks of D1 that are pure.

The checks of the *content* (schema, gimbal limits, free space; later physics, flight state and
battery) are the device port's: it extends this list through the Check effect. After a yes a
device may only retry, so everything must be asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Prepared
from orchestrator.protocol.messages import CatchUp, Prepare
from orchestrator.protocol.operation import RESEND_MAX_S, RESEND_S
from orchestrator.protocol.types import Digest, Plan, Version

STALE: Final = "stale: epoch "
"""How the reason begins with which a device refuses what comes from below its epoch (I10)."""

CLOCK_FRESH_S: Final = 2.0
"""An exchange this long before the order still counts as made for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What has arrived for it, and what was found. ``at`` is the device instant it came."""

    message: Prepare | CatchUp
    at: float
    digest: Digest | None = None
    data: bytes | None = None
    checking: bool = False
    reasons: tuple[str, ...] | None = None

    @property
    def missing(self) -> Digest | None:
        """The blob that is waited for: the plan, then this device's configuration."""
        if self.digest is None:
            return self.message.plan if isinstance(self.message, Prepare) else None
        return self.digest if self.data is None else None


def plan_fits(plan: Plan, durable: Durable, message: Prepare) -> bool:
    """Whether the plan blob says the same as the PREPARE that names it."""
    return (
        plan.fleet == durable.fleet
        and plan.base_version == message.base_version
        and plan.config == message.config
        and plan.digests.get(durable.device) in message.digests
    )


def refusals(
    message: Prepare, durable: Durable, left_behind_at: Version | None = None
) -> tuple[str, ...]:
    """
    Return every reason of the record against a yes (D1).

    ``left_behind_at`` is the fleet's version where it has no configuration for this device, which
    can't be caught up then, and holds until a push includes it: as a new one does.
    """
    found = []
    if message.epoch < durable.max_epoch:
        found.append(f"{STALE}{message.epoch} is below {durable.max_epoch}")
    if durable.prepared is not None:
        found.append(f"already prepared for txn {durable.prepared.txn}")
    if durable.pending is not None:
        found.append(f"the activation of version {durable.version} is still pending")
    # A device without any version has nothing that the plan could be stale against: it holds
    # until its first activation.
    left_behind = left_behind_at is not None and message.base_version >= left_behind_at
    if durable.version not in (0, message.base_version) and not left_behind:
        found.append(f"runs version {durable.version}, the plan is for {message.base_version}")
    return tuple(found)


def clock_refusals(message: Prepare, clock: ClockBound, now: float) -> tuple[str, ...]:
    """Return the reasons of the clock against a yes: its bound, and ``now + error <= vote_by``."""
    error_s, allowed_s = clock.error_s(now), message.timeline.clock_error_s
    if error_s > allowed_s:
        return (f"clock error {error_s * 1e3:.0f} ms is above {allowed_s * 1e3:.0f} ms",)
    late_s = clock.orchestrator_time(now) + error_s - message.timeline.vote_by
    return (f"too late to vote by {late_s * 1e3:.0f} ms",) if late_s > 0 else ()


def patience_s(order: Order, clock: ClockBound | None, now: float) -> float:
    """Return how long to wait for a blob before asking for it: an eighth of the time to vote."""
    if clock is None or not isinstance(order.message, Prepare):
        return RESEND_S
    left_s = clock.device_time(order.message.timeline.vote_by) - now
    return min(max(RESEND_S, left_s / 8), RESEND_MAX_S)


def may_improve(clock: ClockBound, order: Order, now: float) -> bool:
    """
    Whether there is time to measure a clock again whose bound is too wide.

    At least once for this order; then until half of the time to vote is over, unless the clock
    is known to step: it would only look right until the next time.
    """
    if clock.at < order.at - CLOCK_FRESH_S:
        return True
    return now < half_time(clock, order) and clock.stepped_at is None


def half_time(clock: ClockBound, order: Order) -> float:
    """Return the device instant at which half of the time to vote is over."""
    if not isinstance(order.message, Prepare):
        return order.at
    return (clock.device_time(order.message.timeline.vote_by) + order.at) / 2


def prepared(message: Prepare, digest: Digest, version: Version) -> Prepared:
    """Make the PREPARED record of a device that has ``version``."""
    return Prepared(
        txn=message.txn,
        seq=message.seq,
        epoch=message.epoch,
        plan=message.plan,
        digest=digest,
        config=message.config,
        timeline=message.timeline,
        left_behind=version != message.base_version,
    )
