"""
What a device's controller does: which version it has been told of, whether it aims or holds.

Every rule here is a question about the record, the clock and the present instant; the answer
never depends on which message came last. A device operates exactly when there is no reason to
hold (DESIGN §5):

=====================  =========================================================================
knows ABORT            keeps the old version
knows COMMIT in time   the old one until ``hold_at``, nothing until ``activate_at``, then the new
knows nothing          holds from ``hold_at``
restarted, or late     holds until a WELCOME confirms this very state
=====================  =========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Activate, Durable, Hold, Holding, Pending, Resume
from orchestrator.protocol.types import Digest, Outcome, Version

RESEND_S: Final = 0.2
RESEND_MAX_S: Final = 5.0

RENEWALS_PER_LEASE: Final = 3
"""A lease is asked for again after a third of it: one lost answer costs no hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    A repetition with doubling pauses, from RESEND_S to RESEND_MAX_S; due at ``at``.

    ``since`` is when it was set, ``None`` for at once. It is due before that, too: then the clock
    was set back, and ``at`` may be further away than any pause (I19).
    """

    at: float
    pause_s: float = RESEND_S
    since: float | None = None

    def due(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self.at or now < (self.at if self.since is None else self.since)

    def again(self, now: float) -> Retry:
        """Return the retry after one at ``now``."""
        pause_s = min(2 * self.pause_s, RESEND_MAX_S)
        return Retry(at=now + self.pause_s, pause_s=pause_s, since=now)


class Aim(Enum):
    """What is known of the controller: what it does is its own word, never ours."""

    UNTOLD = auto()
    """It was not told to hold, and may aim: this boot has only begun, or a hold was left."""
    AIMS = auto()
    STOPPING = auto()
    """It was told to hold and has not answered: it may still aim."""
    REFUSES = auto()
    """It was told to hold and refuses: it is told again, and may still aim."""
    STOPPED = auto()
    """It was told to hold, and has obeyed."""


class Operation:
    """The volatile half of a device: lost in a restart, and then rebuilt by asking."""

    def __init__(self) -> None:
        self.clock: ClockBound | None = None
        self.unconfirmed: Holding | None = Holding.RESTARTED
        """Why this device may not be at the fleet's version; ``None`` once it is confirmed."""
        self.running: Version | None = None
        """The version that the controller was last told of, in this boot."""
        self.operating: Version | None = None
        self.aim = Aim.UNTOLD
        self.overruled = False
        """Whether a decision waits until the controller has ceased to aim on a person's word."""
        self.activated_at: float | None = None
        self.error: str | None = None
        """Why the last activation failed."""
        self.disobeyed: str | None = None
        """Why the controller refused to hold: until it obeys it may still aim."""
        self.lease_until: float | None = None
        """The device instant at which its lease to operate ends; ``None``: it needs none."""
        self.renew_at: float | None = None
        self._activating: tuple[Version, Digest] | None = None
        self._running_bytes: tuple[Version, Digest] | None = None
        self._again: Retry | None = None
        self._hold_since: float | None = None
        self._hold_s: float | None = None

    # --- time ---------------------------------------------------------------------------------

    def reached(self, instant: float, now: float) -> bool:
        """Whether the orchestrator's ``instant`` has come; true while the clock is unknown."""
        return self.clock is None or now >= self.clock.device_time(instant)

    def clock_too_wide(self, durable: Durable, now: float) -> bool:
        """Whether the clock's bound exceeds ε between the vote and the activation."""
        wide_at = self._wide_at(durable)
        return wide_at is not None and now >= wide_at

    def _wide_at(self, durable: Durable) -> float | None:
        """Return the device instant at which the bound will have aged beyond ε, if that binds."""
        allowed_s = 0.0
        if durable.prepared is not None:
            allowed_s = durable.prepared.timeline.clock_error_s
        elif durable.pending is not None:
            allowed_s = durable.pending.clock_error_s
        return self.clock.wider_than(allowed_s) if allowed_s and self.clock is not None else None

    def _due(self, pending: Pending, now: float) -> bool:
        """Whether ``activate_at`` has come; a bound wider than ε waits for its later edge."""
        if self.clock is None:
            return False
        return now >= self.clock.certainly(pending.activate_at, pending.clock_error_s)

    # --- enable leases (DESIGN §5) ------------------------------------------------------------

    def lease(self, lease_s: float | None, *, sent_at: float) -> None:
        """Take a lease: it counts from when it was asked for, never from when it came."""
        if lease_s is None:
            self.lease_until = self.renew_at = None
        else:
            self.lease_until = sent_at + lease_s
            self.renew_at = sent_at + lease_s / RENEWALS_PER_LEASE

    def lease_over(self, now: float) -> bool:
        """Whether this device has to hold until it is enabled anew."""
        return self.lease_until is not None and now >= self.lease_until

    # --- which version ------------------------------------------------------------------------

    def target(self, durable: Durable, now: float) -> tuple[Version, Digest] | None:
        """Return what the controller should have now: until ``activate_at`` the old version."""
        pending, prepared = durable.pending, durable.prepared
        if prepared is not None and durable.heuristic is Outcome.COMMIT:
            return prepared.seq, prepared.digest
        if pending is not None and not self._due(pending, now):
            if pending.previous_digest is None or self.clock is None:
                return None
            return pending.previous_version, pending.previous_digest
        return None if durable.digest is None else (durable.version, durable.digest)

    def activate(self, durable: Durable, now: float) -> Activate | None:
        """Return the activation that is due, and count it as started."""
        target = self.target(durable, now)
        waiting = self._again is not None and not self._again.due(now)
        config = durable.config or (durable.prepared.config if durable.prepared else None)
        if target is None or config is None or self._activating is not None or waiting:
            return None
        if self._running_bytes == target:
            return None
        self._activating = target
        return Activate(version=target[0], digest=target[1], config=config)

    def activation_done(self, durable: Durable, now: float) -> bool:
        """Whether the record may forget its pending activation (D3 is complete)."""
        waiting = self._again is not None and not self._again.due(now)
        has = self._running_bytes == (durable.version, durable.digest)
        return durable.pending is not None and has and not waiting

    def activated(self, durable: Durable, version: Version, now: float) -> None:
        """Note that the controller has ``version``."""
        self._running_bytes, self._activating = self._activating, None
        self._again, self.error = None, None
        self.running, self.disobeyed = version, None
        self._hold_left()
        if version == durable.version and self.clock is not None:
            self.activated_at = self.clock.orchestrator_time(now)

    def activation_failed(self, reason: str, now: float) -> None:
        """
        Note a failure: it will be tried again, never undone.

        Whose bytes stand in the active file now is not known any more: whatever version is due
        next, the one before it too, has to be activated anew.
        """
        self._activating, self._running_bytes, self.error = None, None, reason
        self._hold_left()
        self.retry_later(now)

    def retry_later(self, now: float) -> None:
        """Wait before the activation (or the write that ends it) is tried again."""
        self._again = (self._again or Retry(at=now)).again(now)

    # --- aim or hold --------------------------------------------------------------------------

    def holds(self, durable: Durable, now: float) -> tuple[Holding, ...]:
        """Return every reason why the device does not operate at ``now``; empty if it does."""
        new = durable.version == 0 and self.target(durable, now) is None
        found = [Holding.NEW] if new else []
        if durable.heuristic is None:
            found += self._doubts(durable, now)
        elif self.overruled:
            found.append(Holding.LATE)
        if not new and self._in_pause(durable, now):
            found.append(Holding.ACTIVATING)
        if self.error is not None:
            found.append(Holding.FAILED)
        if self.disobeyed is not None:
            found.append(Holding.DISOBEYED)
        return tuple(found)

    def _doubts(self, durable: Durable, now: float) -> list[Holding]:
        """Return what a device can't know; a person's word for it ends these holds."""
        found = [] if self.unconfirmed is None else [self.unconfirmed]
        if self.unconfirmed is None and self.lease_over(now):
            found.append(Holding.LEASE)
        if durable.prepared and self.reached(durable.prepared.timeline.hold_at, now):
            found.append(Holding.DOUBT)
        return found

    def _in_pause(self, durable: Durable, now: float) -> bool:
        pending, target = durable.pending, self.target(durable, now)
        if pending is not None and self.reached(pending.hold_at, now):
            return True
        return target is None or self._running_bytes != target

    def must_hold(self, durable: Durable, now: float) -> bool:
        """Whether it operates, and must cease to."""
        return self.operating is not None and bool(self.holds(durable, now))

    def hold(self, durable: Durable, now: float) -> Hold | None:
        """Begin to hold if that has become due; never begin to operate."""
        if not self.must_hold(durable, now):
            return None
        change = self.change(durable, now)
        return change if isinstance(change, Hold) else None

    def change(self, durable: Durable, now: float) -> Hold | Resume | None:
        """
        Begin or cease to operate as the holds say; return what the controller must be told.

        It is not told to aim before it has answered the last hold: that answer would be taken
        for the one to the next.
        """
        holds = self.holds(durable, now)
        operating = None if holds else self.running
        waits = operating is not None and self.aim is Aim.STOPPING
        if operating == self.operating or waits:
            return None
        self.operating = operating
        if operating is None:
            self._hold_since = now
            return self._tell_hold(holds)
        self._hold_s = self.held_s(now)
        self._hold_since = None
        self.aim = Aim.AIMS
        return Resume(version=operating)

    def _tell_hold(self, holds: tuple[Holding, ...]) -> Hold:
        self.aim = Aim.STOPPING
        return Hold(reasons=tuple(hold.value for hold in holds))

    def hold_untold(self, durable: Durable, now: float) -> Hold | None:
        """Return the hold that a controller must be told, which by our own word holds already."""
        if self.aim is not Aim.UNTOLD:
            return None
        return self._tell_hold(self.holds(durable, now))

    def held(self, refused: str | None) -> None:
        """Take the controller's answer to a hold; where it refuses, its host tells it again."""
        self.disobeyed = refused
        if refused is not None:
            self.aim = Aim.REFUSES
        elif self.operating is None:
            self.aim = Aim.STOPPED

    def _hold_left(self) -> None:
        """Note that an activation has ended a refused hold, which nobody repeats any more."""
        if self.aim is Aim.REFUSES:
            self.aim = Aim.UNTOLD

    @property
    def stopped(self) -> bool:
        """Whether the controller is known to have ceased to aim."""
        return self.aim is Aim.STOPPED

    def held_s(self, now: float) -> float | None:
        """Return how long the device has held since it prepared."""
        if self._hold_s is None:
            return None
        return self._hold_s + (0.0 if self._hold_since is None else now - self._hold_since)

    def count_hold_from(self, now: float) -> None:
        """Start the count anew, for a new transaction."""
        self._hold_s = 0.0
        self._hold_since = None if self.operating is not None else now
        self.activated_at = None

    # --- wake-up ------------------------------------------------------------------------------

    def instants(self, durable: Durable) -> list[float]:
        """Return the device instants at which an answer of this class may change by itself."""
        found = [] if self._again is None or self._activating is not None else [self._again.at]
        found += [at for at in (self.lease_until, self.renew_at) if at is not None]
        if self.clock is None:
            return found
        if durable.prepared is not None:
            found.append(self.clock.device_time(durable.prepared.timeline.hold_at))
        pending, wide_at = durable.pending, self._wide_at(durable)
        if pending is not None:
            found.append(self.clock.device_time(pending.hold_at))
            found.append(self.clock.certainly(pending.activate_at, pending.clock_error_s))
        return found if wide_at is None else [*found, wide_at]
