"""
The "sometimes" goals: what must be seen to happen in a run of many seeds, or the run fails.

A test that never gets to where it hurts finds nothing. Most goals are recognised by the checker
from what it is fed (:mod:`.seen`); the rest are counted by the engine, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from drone_sim.result import Speed
from drone_sim.scenario.model import Verb

BOTH: Final = frozenset(Speed)
SHELLS: Final = frozenset({Speed.SHELLS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    One thing that must be seen sometimes. ``text`` says what.

    ``speeds`` are those at which it exists; ``counted`` is true where the engine has to count it
    by name, because it can't be seen from what the checker is fed.
    """

    name: str
    text: str
    speeds: frozenset[Speed] = BOTH
    counted: bool = False


def in_force(verb: Verb) -> str:
    """Return the goal that an act of this verb takes place."""
    return f"act-{verb.value}"


_SEEN: Final = {
    # how a transaction ends
    "commit": "a transaction commits",
    "abort-by-no": "a transaction aborts because a member votes no",
    "abort-by-missing-votes": "a transaction aborts because votes are missing at vote_by",
    "abort-by-time-out": "a push gives up when its --timeout has run out",
    "abort-by-person": "a transaction aborts because a person asks for it (`abort`)",
    "abort-by-request": "a holder that is asked for its lock aborts",
    "abort-by-force": "a forced unlock aborts what was undecided",
    "abort-by-takeover": "recover or serve aborts what a ghost has left undecided",
    "abort-by-glass": "break-glass aborts what was undecided",
    "abort-by-reseed": "a reseed aborts what no device knows to be committed",
    # the lock
    "force-before-decision": "a lock is forced while its transaction is undecided",
    "force-after-decision": "a lock is forced after the decision: it is driven forward",
    "force-with-nothing-open": "a lock is forced with no transaction open",
    "takeover-by-recover": "recover resolves a ghost's lock",
    "takeover-by-serve": "serve resolves a ghost's lock",
    "takeover-of-the-dead": "a lock is taken over because its owner is provably dead",
    "takeover-after-grace": "a lock is taken over because its lease is past TTL and grace",
    "break-glass": "the glass is broken in the middle of a transaction",
    "request-answered": "a holder answers a request for its lock",
    "waiter-served": "the lock is granted to the first in the line",
    "dead-waiter-passed-over": "a waiter that is gone is taken out of the line by another",
    "zombie-fenced": "a process whose lock was taken while it lived finds out, and ends",
    "resolved-twice": "a resolver's lock is resolved by somebody else",
    # devices that were away
    "deferred": "a transaction ends with a member deferred",
    "deferred-followed": "a deferred device has followed after all",
    "quarantined": "a device is in quarantine",
    "quarantine-rejoined": "a device in quarantine has re-joined",
    "caught-up": "a device that has missed a version is caught up (row K)",
    "replaced-rejoined": "a replaced unit is confirmed at the fleet's version",
    "doubt-ended-by-asking": "a device in doubt has asked, and obeys the answer",
    "late-decision": "a device learns the decision only after activate_at",
    "late-then-caught-up": "what a device learned late was not the fleet's version any more",
    "left-out-caught-up": "a device that a push left out is caught up afterwards",
    "retired": "a device is retired",
    "torn-file-repaired": "a device finds its active file damaged, and writes it anew",
    # refusals and repetitions
    "duplicate-prepare-answered": "a repeated PREPARE is answered by the stored yes",
    "stale-prepare-refused": "a PREPARE below a device's epoch is refused",
    # holds
    "held-in-doubt": "a device holds because it is in doubt",
    "held-for-its-clock": "a device holds because its clock's bound is too wide",
    "held-activation-failed": "a device holds because its activation failed",
    "lease-ran-out": "a device holds because its lease has run out",
    # people
    "word": "a person's word is recorded for a device in doubt",
    "word-obeyed": "a device operates on a person's word",
    "word-overruled": "the decision is another than the person's word",
    # the store
    "answer-lost-written": "an append whose answer was lost is found written",
    "answer-lost-not-written": "an append whose answer was lost is found not written",
    "store-rolled-back": "the store is restored from a backup",
    "reseeded": "a store that was rolled back is reseeded to the end",
    "relisted": "a reseed adopts a decision that the journal has lost",
    # clocks
    "clock-step-detected": "a device proves that a clock was stepped",
}

_COUNTED: Final = {
    "stopped-itself": "a holder that can't renew stops itself",
    "outcome-unknown": "the store stays away in the middle of an append: the outcome is unknown",
    "doubt-ended-by-retained": "a device in doubt obeys a decision that the broker has retained",
    "contradiction-seen": "an orchestrator finds that a device knows what the journal lacks",
    "conflict": "two append at one head, and one of them loses",
}

_SHELLS_COUNTED: Final = {
    "disk-write-failed": "a device's disk refuses what its agent has to store",
    "torn-record-repaired": "a device starts with a torn temporary file beside its record",
    "hot": "a push ends HOT",
    "interrupted-detached": "a push detaches after the decision",
    "reconnected": "a transport makes another connection",
}


def _goals() -> Iterator[Goal]:
    for name, text in _SEEN.items():
        yield Goal(name=name, text=text)
    for name, text in _COUNTED.items():
        yield Goal(name=name, text=text, counted=True)
    for name, text in _SHELLS_COUNTED.items():
        yield Goal(name=name, text=text, speeds=SHELLS, counted=True)
    for verb in Verb:
        yield Goal(name=in_force(verb), text=f"an act '{verb.value}' takes place")


GOALS: Final[Mapping[str, Goal]] = {goal.name: goal for goal in _goals()}
"""Every goal, by its name."""


def missing(seen: Mapping[str, int], speed: Speed) -> tuple[str, ...]:
    """Return the names of the goals of ``speed`` that were never seen."""
    return tuple(
        goal.name for goal in GOALS.values() if speed in goal.speeds and not seen.get(goal.name)
    )
