"""The facts by which a fleet's lock is judged, taken from what was seen of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.locksmith.liveness import Liveness, Verdict
from orchestrator.protocol.lease import GRACE_S
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service.results import LockView

OVERDUE_S: Final = 5.0
"""How long after ``vote_by`` a living owner has to store its decision, before that is odd."""

ANSWER_S: Final = 5.0
"""How long a living owner has to answer a request: it looks for one twice a second."""


class Holder(StrEnum):
    """Who holds the lock, and does that owner live."""

    NOBODY = "nobody"
    LIVE = "live"
    PAUSED = "paused"
    """It lives by its lease, and its process is stopped: it renews no more."""
    SUSPECT = "suspect"
    GHOST = "ghost"
    PROVED = "ghost, proved"


class Work(StrEnum):
    """What is open under the lock."""

    NOTHING = "nothing"
    UNDECIDED = "undecided"
    OVERDUE = "undecided, and late"
    DECIDED = "decided"
    RESEED = "reseed"


class Request(StrEnum):
    """Whether somebody has asked the owner to let go, and what it did."""

    NONE = "none"
    ASKED = "asked"
    UNANSWERED = "unanswered for too long"
    ANSWERED = "answered"


class Broker(StrEnum):
    """Whether devices can be told anything."""

    REACHED = "reached"
    AWAY = "away"
    """It should run on this machine: somebody can start it here."""
    GONE = "gone"
    """It is elsewhere, and can't be reached from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What is known of a fleet's lock.

    ``txn`` names what is open, for people. ``ghost_in_s`` is when a SUSPECT becomes a GHOST by
    its lease, ``None`` where no lease is stored: then it never does. ``contradictions`` say what
    a device knows that the journal lacks; ``waiting`` are the devices that need an answer.
    """

    fleet: FleetId
    lock: str
    holder: Holder
    resolving: bool = False
    work: Work = Work.NOTHING
    txn: str = ""
    request: Request = Request.NONE
    ghost_in_s: float | None = None
    broker: Broker = Broker.REACHED
    contradictions: tuple[str, ...] = ()
    waiting: tuple[DeviceId, ...] = ()

    @property
    def ghost(self) -> bool:
        """Whether the owner counts as gone."""
        return self.holder in {Holder.GHOST, Holder.PROVED}

    @property
    def stuck(self) -> bool:
        """Whether the owner does not move, and is not known to be gone."""
        return self.holder in {Holder.SUSPECT, Holder.PAUSED}

    @property
    def reached(self) -> bool:
        """Whether devices can be told anything."""
        return self.broker is Broker.REACHED

    @property
    def reseed(self) -> bool:
        """Whether a reseed has begun and not ended."""
        return self.work is Work.RESEED

    @property
    def sound(self) -> bool:
        """Whether the journal can be built on: nothing contradicts it, and it is whole."""
        return not self.contradictions and not self.reseed


def facts_of(
    view: LockView,
    *,
    now: float,
    broker: Broker,
    stopped: bool = False,
    asked_ago_s: float | None = None,
    contradictions: tuple[str, ...] = (),
    waiting: tuple[DeviceId, ...] = (),
) -> Facts:
    """
    Return the facts of a lock at ``now`` (UTC s).

    ``stopped`` is whether the kernel shows the owner's process as stopped, ``asked_ago_s`` how
    long ago its release was asked for.
    """
    live, txn = view.liveness, view.txn
    return Facts(
        fleet=view.fleet,
        lock=view.id,
        holder=_holder(live, stopped=stopped),
        resolving=view.lock.state is LockState.RESOLVING,
        work=_work(view, now),
        txn="" if txn is None else f"txn {txn.begun.seq}",
        request=_request(view, asked_ago_s),
        ghost_in_s=_ghost_in_s(live),
        broker=broker,
        contradictions=contradictions,
        waiting=waiting,
    )


def _holder(live: Liveness | None, *, stopped: bool) -> Holder:
    if live is None:
        return Holder.NOBODY
    if live.verdict is Verdict.GHOST:
        return Holder.PROVED if live.proved else Holder.GHOST
    if live.verdict is Verdict.SUSPECT:
        return Holder.SUSPECT
    return Holder.PAUSED if stopped else Holder.LIVE


def _ghost_in_s(live: Liveness | None) -> float | None:
    if live is None or live.expires_in_s is None:
        return None
    return max(0.0, live.expires_in_s + GRACE_S)


def _work(view: LockView, now: float) -> Work:
    if view.reseeding:
        return Work.RESEED
    txn = view.txn
    if txn is None:
        return Work.NOTHING
    if txn.decided is not None:
        return Work.DECIDED
    late = now > txn.begun.timeline.vote_by + OVERDUE_S
    return Work.OVERDUE if late else Work.UNDECIDED


def _request(view: LockView, asked_ago_s: float | None) -> Request:
    if view.lock.release_requested is None:
        return Request.NONE
    if view.lock.release_answered is not None:
        return Request.ANSWERED
    late = asked_ago_s is not None and asked_ago_s > ANSWER_S
    return Request.UNANSWERED if late else Request.ASKED
