"""
How long a device may hold, and for what: the stated budgets of I28, one line for each cause.

A cause is *in force* for a device while its fault lasts; when it ends the device has a *recovery*
to be operating again. So the budget of a hold is the time from its beginning to the end of its
last cause, plus that cause's recovery; a hold without a cause has the budget of a healthy push.
Recoveries are made of the product's own constants: how long it pauses before it asks, connects or
looks again. They are sums of worst cases, not what usually happens.

Those constants are stated here once more, as numbers (:data:`STATED_S`): a budget that read them
from the product would grow with a mistake in them. A test holds each beside the product's.

Some causes are no fault of the scenario but a state that only somebody can end
(:class:`Because`): while nobody who answers devices is at work, a device that has restarted holds,
however long that is. They are in force as long as that state lasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drone_sim.checker.words import Disturbance
from drone_sim.scenario.meaning import DEVICE_REBOOT_S
from drone_sim.scenario.model import Act, Scenario, Verb

ASKS_AGAIN_S: Final = 5.0
"""The longest pause of a device before it asks, or activates, again."""

TELLS_AGAIN_S: Final = 2.0
"""The longest pause of an orchestrator before it tells again who has not answered."""

LOOKS_S: Final = 0.5
"""How often whoever drives looks at the journal."""

SWEEPS_S: Final = 1.0
"""How often a server looks at every lock, and whether leases are due."""

BACK_OFF_S: Final = 15.0
"""The longest pause of a server before it begins again; a device's is shorter."""

NOTICES_S: Final = 7.5
"""A broken connection is noticed after 1.5 keep-alives of 5 s (MQTT 3.1.1 §3.1.2.10)."""

LEASE_S: Final = 30.0
"""TTL and grace: for so long a silent owner may still live (DESIGN §6)."""

STATED_S: Final[Mapping[str, float]] = {
    "orchestrator.protocol.operation:RESEND_MAX_S": ASKS_AGAIN_S,
    "orchestrator.protocol.desk:RESEND_MAX_S": TELLS_AGAIN_S,
    "orchestrator.service.session:LOOK_EVERY_S": LOOKS_S,
    "orchestrator.service.serving:SWEEP_S": SWEEPS_S,
    "orchestrator.protocol.closing:IDLE_S": SWEEPS_S,
    "orchestrator.service.serving:AGAIN_MAX_S": BACK_OFF_S,
    "orchestrator.agent.agent:CONNECT_AGAIN_MAX_S": 10.0,
    "orchestrator.transport.mqtt:KEEPALIVE_S": 5.0,
    "orchestrator.protocol.lease:LEASE_TTL_S": 15.0,
    "orchestrator.protocol.lease:GRACE_S": 15.0,
}
"""What the budgets say of the product's constants, each by its module and name."""

FIRST_BACK_OFF_S: Final = 1.0
"""Pauses double: the next is at most as long as what has gone by, and the first one."""

PROCESSING_S: Final = 0.25
"""What a device's disk and controller may take for one activation on a good day."""

EXCHANGES: Final = 2
"""A decision that is just late costs a question with its answer, and a confirmation."""

LIVENESS_S: Final = 60.0
"""
The bound of I6: all must be well so long after the faults, or sooner where the scenario says so.

A server in its longest pause, a lease with its grace and a sweep, the decision, and a device in
its longest pause; a scenario whose settle time or links are very slow has no right to more.
"""


class Because(StrEnum):
    """A state of the fleet for which devices hold, beside the faults of a scenario."""

    NOBODY = "nobody-answers"
    """Nobody who answers devices is at work."""
    ORPHAN = "orphaned-lock"
    """The lock's owner has gone by itself and left something open."""
    LEFT_OUT = "left-out"
    """A transaction is open that leaves the device out: its lease is not renewed."""
    BEHIND = "behind"
    """It is caught up with a version that it has missed."""
    PUSHED_OVER = "pushed-over"
    """A push went over it while it held for another reason."""
    QUARANTINE = "quarantine"
    """Named by break-glass or unheard in a reseed, it has not re-joined."""
    WORD = "person's-word"
    """It operated on a person's word, and follows the decision."""
    ROLLED_BACK = "store-rolled-back"
    """The store was rolled back, and no reseed has ended."""
    RESOLVED = "resolved"
    """Somebody has taken the lock in the middle of a transaction, and drives it."""


Cause = str
"""The value of a :class:`Verb`, a :class:`Disturbance` or a :class:`Because`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    What the recoveries are made of, in s; made once for a scenario.

    ``trip_s`` is a worst round trip of good links, ``spike_s`` how late a message may be,
    ``amount`` what the fault adds to each message, append or write, ``lasted_s`` how long it was
    in force.
    """

    error_s: float
    trip_s: float
    spike_s: float
    append_s: float
    amount: float = 0.0
    lasted_s: float = math.inf

    @property
    def healthy_s(self) -> float:
        """The freeze of a healthy push: 2ε and processing; exchanges where links jitter."""
        return 2 * self.error_s + PROCESSING_S + EXCHANGES * self.trip_s

    @property
    def asked_again_s(self) -> float:
        """A device that is not answered asks again after its longest pause, and is answered."""
        return ASKS_AGAIN_S + self.trip_s + self.spike_s

    @property
    def followed_s(self) -> float:
        """
        From the first word to operating: the decision, CATCH-UP, its bytes, WELCOME.

        Nobody is in a long pause. Whoever answers reads the journal first.
        """
        return LOOKS_S + 4 * self.trip_s + 3 * PROCESSING_S + self.healthy_s

    @property
    def rejoined_s(self) -> float:
        """The same for a device in its longest pause: the steps after it begin with short ones."""
        return self.asked_again_s + self.followed_s

    @property
    def resolved_s(self) -> float:
        """Who has taken a lock connects, fences, and tells the decision."""
        return self.trip_s + self.append_s + TELLS_AGAIN_S + self.followed_s

    @property
    def expired_s(self) -> float:
        """A lock whose owner is gone is resolved by whoever serves (DESIGN §6)."""
        return LEASE_S + SWEEPS_S + self.resolved_s

    @property
    def back_off_s(self) -> float:
        """Who could not connect, or not write, tries again after a pause."""
        return min(BACK_OFF_S, self.lasted_s + FIRST_BACK_OFF_S)

    @property
    def connected_s(self) -> float:
        """Devices and servers notice a broken connection, or are in the pause after one."""
        return max(NOTICES_S, self.back_off_s) + self.trip_s

    @property
    def stored_again_s(self) -> float:
        """A server that had no store begins again."""
        return self.back_off_s + self.append_s


def terms_of(scenario: Scenario, amount: float = 0.0, lasted_s: float = math.inf) -> Terms:
    """Return the terms of a scenario; ``amount`` and ``lasted_s`` are the fault's own."""
    links = [device.link for device in scenario.devices]
    way_s = max((link.delay_s + link.up_s + link.jitter_s for link in links), default=0.0)
    control = scenario.control
    pace = scenario.pace
    return Terms(
        error_s=pace.clock_error_s,
        trip_s=2 * (way_s + control.delay_s + control.jitter_s),
        spike_s=max((link.spike_s for link in (*links, control)), default=0.0),
        append_s=scenario.store.append_s,
        amount=amount,
        lasted_s=lasted_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    The recovery that a cause gives when it has ended, and in words why.

    ``everybody`` is whether it concerns every device whoever its targets are; ``excuses`` is
    false where it is no cause of a hold at all, ``waits`` true where it excuses only a device
    that does not aim when it ends: who aims then has not waited for it.
    """

    recovery_s: Callable[[Terms], float]
    says: str
    everybody: bool = False
    excuses: bool = True
    waits: bool = False


def _follows(terms: Terms) -> float:
    return terms.followed_s


def _rejoins(terms: Terms) -> float:
    return terms.rejoined_s


def _connects(terms: Terms) -> float:
    return terms.connected_s + terms.rejoined_s


def _boots(terms: Terms) -> float:
    return terms.trip_s + terms.followed_s


def _no_time(_terms: Terms) -> float:
    return 0.0


def _slowly(terms: Terms) -> float:
    """Whatever is under way when it ends takes the added time: a message, and an append."""
    return 2 * terms.amount + terms.rejoined_s


_NOTHING: Final = Budget(
    recovery_s=_no_time,
    says="no device holds for it, but for what it leaves behind",
    excuses=False,
)
_FOLLOWS: Final = Budget(recovery_s=_follows, says="it is told, and is confirmed or caught up")
_REJOINS: Final = Budget(recovery_s=_rejoins, says="it says HELLO and is confirmed or caught up")
_ALL_REJOIN: Final = Budget(
    recovery_s=_rejoins, says="who waits asks again, and is answered", everybody=True
)
_BOOTS: Final = Budget(
    recovery_s=_boots, says="it connects at once, says HELLO, is confirmed or caught up"
)
_FAILS: Final = Budget(
    recovery_s=lambda terms: DEVICE_REBOOT_S + terms.rejoined_s,
    says="its agent is started again, or writes again after a pause; then it re-joins",
)
_CONNECTS: Final = Budget(
    recovery_s=_connects, says="keep-alive or back-off, HELLO, confirmed or caught up"
)
_ALL_CONNECT: Final = Budget(
    recovery_s=_connects, says="keep-alive or back-off, HELLO, for everybody", everybody=True
)
_SLOWLY: Final = Budget(recovery_s=_slowly, says="what is under way ends late, then it re-joins")
_ALL_SLOWLY: Final = Budget(
    recovery_s=_slowly, says="what is under way ends late, then they re-join", everybody=True
)
_ORPHANS: Final = Budget(
    recovery_s=lambda terms: terms.expired_s,
    says="TTL + grace + sweep once somebody serves, or a person; until then it is in force",
    everybody=True,
)
_STORE: Final = Budget(
    recovery_s=lambda terms: terms.stored_again_s + terms.rejoined_s,
    says="the server's back-off, then they are answered",
    everybody=True,
)
_RESOLVES: Final = Budget(
    recovery_s=lambda terms: terms.resolved_s,
    says="who has taken the lock tells the decision",
    everybody=True,
)

BUDGETS: Final[Mapping[Cause, Budget]] = {
    # on purpose: what they do to a fleet is a state, see Because
    Verb.PUSH: _NOTHING,
    Verb.FORCE_UNLOCK: _NOTHING,
    Verb.RECOVER: _NOTHING,
    Verb.BREAK_GLASS: _NOTHING,
    Verb.REQUEST_RELEASE: _NOTHING,
    Verb.ABORT: _NOTHING,
    Verb.RESEED: _NOTHING,
    Verb.SERVE: _NOTHING,
    Verb.HOLD_LOCK: _NOTHING,
    Verb.RETIRE: _NOTHING,
    Verb.DECIDE: _NOTHING,
    # processes: what they held is an orphan; the act itself only costs one more question
    Verb.KILL: _ORPHANS,
    Verb.PAUSE: _ORPHANS,
    Verb.REUSE_PID: _ORPHANS,
    Verb.POWER_CUT: _ORPHANS,
    # the store
    Verb.STORE_AWAY: _STORE,
    Verb.STORE_SLOW: _ALL_SLOWLY,
    Verb.STORE_LOSES_ANSWERS: _ALL_REJOIN,
    Verb.STORE_RESTORED: _NOTHING,
    Verb.STORE_LIES: _NOTHING,
    # the broker
    Verb.BROKER_KILL: _ALL_CONNECT,
    Verb.BROKER_FORGETS: _ALL_REJOIN,
    Verb.BROKER_SLOW: _ALL_SLOWLY,
    Verb.BROKER_DROPS: _ALL_REJOIN,
    # the network
    Verb.CUT: _CONNECTS,
    Verb.CLOG: _REJOINS,
    Verb.LOSSY: _REJOINS,
    Verb.REPLAY: _ALL_REJOIN,
    Verb.TAKE_OVER_CLIENT: _REJOINS,
    # devices
    Verb.CRASH: _BOOTS,
    Verb.CRASH_AT_WRITE: _BOOTS,
    Verb.REPLACE: _BOOTS,
    Verb.SUSPEND: _BOOTS,
    Verb.DISK_FULL: _REJOINS,
    Verb.DISK_FAILS: _FAILS,
    Verb.FAIL_AT_WRITE: _FAILS,
    Verb.DISK_SLOW: _SLOWLY,
    Verb.DISK_LIES: _BOOTS,
    Verb.DAMAGE: _BOOTS,
    Verb.CLOCK_STEP: _REJOINS,
    Verb.CLOCK_DRIFT: _REJOINS,
    Verb.LOW_BATTERY: _REJOINS,
    Verb.REFUSE: _REJOINS,
    Verb.HOOK_FAILS: Budget(
        recovery_s=_rejoins,
        says="the activation is tried again after its longest pause, then confirmed",
    ),
    # one message
    Disturbance.LOSS: _REJOINS,
    Disturbance.SPIKE: _REJOINS,
    Disturbance.DUPLICATE: _NOTHING,
    # states
    Because.NOBODY: Budget(
        recovery_s=_rejoins,
        says="in force until somebody is at work who answers devices; then who waits asks again",
        everybody=True,
        waits=True,
    ),
    Because.ORPHAN: _ORPHANS,
    Because.LEFT_OUT: Budget(
        recovery_s=lambda terms: SWEEPS_S + terms.rejoined_s,
        says="in force until the transaction ends; then it is caught up or has a lease again",
    ),
    Because.BEHIND: _FOLLOWS,
    Because.PUSHED_OVER: Budget(
        recovery_s=lambda terms: terms.healthy_s,
        says="in force until its activate_at; then it activates as everybody does",
    ),
    Because.QUARANTINE: _FOLLOWS,
    Because.WORD: _FOLLOWS,
    Because.ROLLED_BACK: Budget(
        recovery_s=_rejoins, says="in force until a person's reseed has ended", everybody=True
    ),
    Because.RESOLVED: _RESOLVES,
}
"""Every cause of a hold, with the recovery that is its budget."""


def concerned(scenario: Scenario, act: Act) -> tuple[str, ...]:
    """Return the devices that a fault may make hold: nobody, its targets, or everybody."""
    names, budget = scenario.names, BUDGETS[act.verb]
    if not budget.excuses:
        return ()
    mine = tuple(name for name in names if name in act.target)
    parties = len(mine) != len(act.target)  # a process among them: who drives or answers
    return names if budget.everybody or parties or not act.target else mine
