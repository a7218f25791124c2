"""
What is wrong with a fleet's lock, and the one command that helps. Pure.

:func:`advise` turns a few facts into a sentence and a command. Its rules stand in the order in
which they are asked, and every :class:`Way` has its own condition, apart from the rules: a rule
that leads to a way which the situation forbids is passed over. So nobody is ever sent to take a
living owner's lock, to answer devices from a store that was rolled back, or to a verb that needs
a broker while there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from orchestrator.service.symptoms import Broker, Facts, Holder, Request, Work

NAMED_MAX: Final = 3


class Way(StrEnum):
    """What can be recommended; the gravest finding first."""

    RESEED = "aimctl reseed --fleet {fleet} --dry-run"
    BREAK_GLASS = "aimctl lock break-glass {lock} --dry-run"
    RECOVER = "aimctl recover --fleet {fleet}"
    START_BROKER = "aimctl broker run"
    FORCE = "aimctl lock force-unlock {lock} --dry-run"
    ASK = "aimctl lock request-release {lock} --reason TEXT"
    RECOVER_LATER = "sleep {wait} && aimctl recover --fleet {fleet}"
    WATCH = "aimctl status --fleet {fleet} --watch"
    LOOK = "aimctl lock show {lock}"

    @property
    def rank(self) -> int:
        """Return its place: of several fleets the lowest is told first."""
        return list(Way).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is wrong, in one sentence, and the one command that helps."""

    wrong: str
    way: Way
    command: str


# --- what a situation allows --------------------------------------------------------------------


def allowed(facts: Facts, way: Way) -> bool:
    """Whether the situation allows a way, whatever the rules say of it."""
    return _ALLOWED[way](facts)


_ALLOWED: Final[Mapping[Way, Callable[[Facts], bool]]] = {
    # Only the devices can tell what was lost, and a living reseed hears them already.
    Way.RESEED: lambda f: f.reached and not f.sound and not (f.reseed and f.holder is Holder.LIVE),
    # Whoever can tell the devices needs no glass broken; in a reseed nothing is known to end.
    Way.BREAK_GLASS: lambda f: f.ghost and f.broker is Broker.GONE and f.sound,
    Way.RECOVER: lambda f: (
        f.reached and f.sound and (f.ghost or (f.holder is Holder.NOBODY and bool(f.waiting)))
    ),
    Way.START_BROKER: lambda f: not f.reached,
    # Of a living owner only after it was asked, and does not answer.
    Way.FORCE: lambda f: (
        f.reached and f.sound and ((f.stuck and f.ghost_in_s is None) or _deaf(f))
    ),
    Way.ASK: lambda f: (
        f.sound
        and f.holder is Holder.LIVE
        and not f.resolving
        and f.work in {Work.NOTHING, Work.OVERDUE}
        and f.request is Request.NONE
    ),
    Way.RECOVER_LATER: lambda f: f.reached and f.sound and f.stuck and f.ghost_in_s is not None,
    Way.WATCH: lambda f: f.holder is Holder.LIVE,
    Way.LOOK: lambda _facts: True,
}


def _deaf(facts: Facts) -> bool:
    """Whether a living owner was asked to let go and has not answered for too long."""
    driving = facts.resolving or facts.work is Work.DECIDED
    unanswered = facts.request is Request.UNANSWERED
    return facts.holder is Holder.LIVE and unanswered and not driving


# --- the rules ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    when: Callable[[Facts], bool]
    wrong: Callable[[Facts], str]
    way: Way


def advise(facts: Facts) -> Advice | None:
    """Return what is wrong and what to do; ``None`` where the lock is free and nobody waits."""
    if facts.holder is Holder.NOBODY and not facts.contradictions and not facts.waiting:
        return None
    for rule in _RULES:
        if rule.when(facts) and allowed(facts, rule.way):
            return _advice(facts, rule.wrong(facts), rule.way)
    return _advice(facts, "the lock is held", Way.LOOK)


def _advice(facts: Facts, wrong: str, way: Way) -> Advice:
    wait = ceil(facts.ghost_in_s or 0.0) + 1
    command = way.value.format(fleet=facts.fleet, lock=facts.lock, wait=wait)
    return Advice(wrong=wrong, way=way, command=command)


def _rolled_back(facts: Facts) -> str:
    named = "; ".join(facts.contradictions[:NAMED_MAX])
    more = len(facts.contradictions) - NAMED_MAX
    rest = f"; and {more} devices more" if more > 0 else ""
    return f"the store was rolled back, or is not this fleet's: {named}{rest}"


def _gone(facts: Facts) -> str:
    """Say what a ghost leaves behind."""
    proved = facts.holder is Holder.PROVED
    why = "is proved gone" if proved else "counts as gone, since TTL and grace are over"
    who = "whoever was resolving the lock" if facts.resolving else "the owner"
    return f"{who} {why}, and leaves {_left(facts)}"


def _left(facts: Facts) -> str:
    if facts.work is Work.NOTHING:
        return "nothing open"
    if facts.work is Work.DECIDED:
        return f"{facts.txn} decided and not told to everybody"
    return f"{facts.txn} undecided"


def _no_broker(facts: Facts) -> str:
    where = "on this machine is away" if facts.broker is Broker.AWAY else "can't be reached"
    ghost = f"{_gone(facts)}; and " if facts.ghost and not facts.reseed else ""
    return f"{ghost}the broker {where}: no device can be told anything"


def _stuck(facts: Facts) -> str:
    if facts.holder is Holder.PAUSED:
        return "the owner's process is stopped: it does not renew, and its lease runs out"
    return "the owner has not renewed within its TTL: it may be slow, or gone"


_RULES: Final = (
    _Rule(
        when=lambda f: f.reached and f.reseed and f.holder is Holder.LIVE,
        wrong=lambda _f: "a reseed is at work and its owner lives: let it hear the devices",
        way=Way.WATCH,
    ),
    _Rule(when=lambda f: bool(f.contradictions), wrong=_rolled_back, way=Way.RESEED),
    _Rule(
        when=lambda f: f.ghost,
        wrong=lambda f: f"{_gone(f)}; and the broker is gone: nobody can be told anything",
        way=Way.BREAK_GLASS,
    ),
    _Rule(when=lambda f: not f.reached, wrong=_no_broker, way=Way.START_BROKER),
    _Rule(
        when=lambda f: f.reseed,
        wrong=lambda _f: "a reseed has not heard all devices, and nobody goes on with it",
        way=Way.RESEED,
    ),
    _Rule(when=lambda f: f.ghost, wrong=_gone, way=Way.RECOVER),
    _Rule(when=lambda f: f.stuck, wrong=_stuck, way=Way.RECOVER_LATER),
    _Rule(
        when=lambda f: f.stuck,
        wrong=lambda f: f"{_stuck(f)}; no lease of it is stored, so no time will tell",
        way=Way.FORCE,
    ),
    _Rule(
        when=lambda f: f.work is Work.DECIDED,
        wrong=lambda f: f"nothing: {f.txn} is decided, and its owner lives and drives it",
        way=Way.WATCH,
    ),
    _Rule(
        when=lambda f: f.resolving,
        wrong=lambda _f: "nothing: the lock is being resolved by somebody who lives",
        way=Way.WATCH,
    ),
    _Rule(
        when=lambda f: f.request is Request.UNANSWERED,
        wrong=lambda _f: "the owner lives, was asked to let go, and does not answer",
        way=Way.FORCE,
    ),
    _Rule(
        when=lambda f: f.request is not Request.NONE,
        wrong=lambda _f: "nothing: the owner lives, and was asked to let go",
        way=Way.WATCH,
    ),
    _Rule(
        when=lambda f: f.work is Work.UNDECIDED,
        wrong=lambda f: f"nothing: {f.txn} is at work, and its owner lives",
        way=Way.WATCH,
    ),
    _Rule(
        when=lambda f: f.work is Work.OVERDUE,
        wrong=lambda f: f"the owner lives, and {f.txn} should have been decided by now",
        way=Way.ASK,
    ),
    _Rule(
        when=lambda f: f.work is Work.NOTHING,
        wrong=lambda _f: "nothing is open, and an owner who lives holds the lock",
        way=Way.ASK,
    ),
    _Rule(
        when=lambda f: f.holder is Holder.NOBODY,
        wrong=lambda f: (
            f"the lock is free, and {len(f.waiting)} of its devices wait for an answer"
        ),
        way=Way.RECOVER,
    ),
)
