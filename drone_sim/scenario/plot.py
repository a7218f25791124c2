"""
The plot of a seed: who pushes, who meddles, who serves, and the instants at which it matters.

Faults that fall anywhere mostly fall where nothing happens. So what is drawn is drawn around the
instants of a push: while its devices join, while they vote, when it is decided, at ``hold_at``, at
``activate_at``, and in the time after. Where these lie is guessed from the links and the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drone_sim.scenario.dice import Dice
from drone_sim.scenario.model import Act, Pace, Verb
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.timeline import (
    BEGIN_APPENDS,
    MARGIN_FLOOR_S,
    SLACK,
    VOTE_EXCHANGES,
    VOTE_WRITES,
    WINDOW_FLOOR_S,
)

PUSHES_MAX: Final = 4

_PEOPLE: Final = (
    *("mira", "noor", "ada", "kofi", "lena", "ravi", "yuki", "omar", "ines", "tomas"),
    *("zara", "emil", "aiko", "dario", "freya", "hugo", "jun", "maja", "nils", "pia"),
)

_ELSEWHERE: Final = ("aim-2", "laptop")

_WRITE_S: Final = 0.001
"""What a durable write of a device is guessed to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """
    Where the instants of one push are guessed to lie, in s of the story.

    It starts at ``start``, PREPARE is sent at ``begun``, the last vote is in at ``voted``.
    """

    start: float
    begun: float
    voted: float
    vote_by: float
    hold_at: float
    activate_at: float
    settled: float


def guessed(start_s: float, pace: Pace, one_way_s: float, append_s: float) -> Instants:
    """
    Guess the instants of a push that starts at ``start_s`` and that nothing disturbs.

    ``one_way_s`` is the likely time of a message. A vote waits for little more than two of its
    three exchanges: what is fetched is near, with the broker.
    """
    round_s = 2 * one_way_s
    begun = start_s + 2 * append_s + round_s
    voted = begun + 2.5 * round_s + VOTE_WRITES * _WRITE_S
    measured_s = SLACK * (VOTE_EXCHANGES * round_s + BEGIN_APPENDS * append_s)
    window_s = pace.window_s or max(WINDOW_FLOOR_S, measured_s)
    margin_s = max(MARGIN_FLOOR_S, SLACK * (round_s + append_s))
    vote_by = begun - append_s + window_s
    hold_at = vote_by + margin_s
    activate_at = hold_at + 2 * pace.clock_error_s
    return Instants(
        start=start_s,
        begun=begun,
        voted=min(voted, vote_by),
        vote_by=vote_by,
        hold_at=hold_at,
        activate_at=activate_at,
        settled=activate_at + pace.settle_s,
    )


Stretch = Callable[[Instants], tuple[float, float]]

_STRETCHES: Final[Sequence[tuple[Stretch, float]]] = (
    (lambda at: (at.start - 0.5, at.start), 1),
    (lambda at: (at.start, at.begun), 2),
    (lambda at: (at.begun, at.voted), 4),
    (lambda at: (at.voted - 0.005, at.voted + 0.02), 4),
    (lambda at: (at.voted, at.hold_at), 2),
    (lambda at: (at.hold_at - 0.02, at.hold_at + 0.02), 2),
    (lambda at: (at.hold_at, at.activate_at), 3),
    (lambda at: (at.activate_at - 0.02, at.activate_at + 0.05), 3),
    (lambda at: (at.activate_at, at.settled), 2),
    (lambda at: (at.settled, at.settled + 5.0), 1),
)
"""From where to where something may fall, and how often it falls there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """
    What everybody means to do, and what a seed's faults are placed by.

    ``fierceness`` is how many times as much happens as in an ordinary seed.
    """

    devices: tuple[str, ...]
    pace: Pace
    acts: tuple[Act, ...]
    instants: tuple[Instants, ...]
    fierceness: float = 1.0

    def times(self, dice: Dice, count: int) -> list[float]:
        """Return so many times around the instants of the pushes, in order."""
        return sorted(self._time(dice) for _ in range(count))

    def _time(self, dice: Dice) -> float:
        stretch = dice.weighted(_STRETCHES)
        least, most = stretch(dice.one(self.instants))
        return max(0.0, dice.number(least, most))

    def count(self, dice: Dice, most: int) -> int:
        """Return how often something happens: at least once, in a fierce seed more often."""
        return dice.count(1, max(1, round(most * self.fierceness)))

    def targets(self, dice: Dice) -> tuple[str, ...]:
        """Return one device, or some, or all of them."""
        if dice.chance(0.6):
            return (dice.one(self.devices),)
        return dice.some(self.devices, 1, len(self.devices))

    def running(self, dice: Dice, at_s: float) -> str | None:
        """Return a process that was started by then, the latest ones mostly."""
        names = [act.who for act in self.acts if act.who and act.at_s <= at_s]
        if not names:
            return None
        return names[-1] if dice.chance(0.6) else dice.one(names)


class Cast:
    """Gives each new process a name of its own; some run on a machine of their own."""

    def __init__(self) -> None:
        self._used = 0

    def new(self, dice: Dice) -> str:
        """Return the next name."""
        again, index = divmod(self._used, len(_PEOPLE))
        self._used += 1
        name = _PEOPLE[index] + (str(again + 1) if again else "")
        return f"{name}@{dice.one(_ELSEWHERE)}" if dice.chance(0.3) else name


# --- pushes -----------------------------------------------------------------------------------


def pushes(seed: int, cast: Cast, devices: tuple[str, ...]) -> tuple[Act, ...]:
    """Return the pushes: some at the same time, some in line, some without a device."""
    dice = Dice(seed, "pushes")
    at_s = dice.number(0.1, 1.0)
    found = [replace(_push(dice, cast, at_s, devices), word="")]  # version 1 is there already
    for _ in range(dice.weighted(((0, 4), (1, 4), (2, 2), (PUSHES_MAX - 1, 1)))):
        at_s += dice.span(0.001, 0.5) if dice.chance(0.4) else dice.span(0.5, 10.0)
        found.append(_push(dice, cast, round(at_s, 4), devices))
    return tuple(found)


def _push(dice: Dice, cast: Cast, at_s: float, devices: tuple[str, ...]) -> Act:
    return Act(
        at_s=at_s,
        verb=Verb.PUSH,
        who=cast.new(dice),
        target=dice.some(devices[1:], 1, 2)[: len(devices) - 2] if dice.chance(0.15) else (),
        for_s=dice.span(1.0, 40.0) if dice.chance(0.5) else None,
        amount=dice.span(0.05, 2.0) if dice.chance(0.1) else 0.0,
        word=dice.weighted((("", 8), ("detach", 1), ("back", 1))),
    )


# --- people around the lock -------------------------------------------------------------------

Deed = Callable[[Dice, Plot, Cast], Iterator[Act]]


def _simple(verb: Verb, most: int) -> Deed:
    """Return what draws a verb that needs a name and a time only."""

    def draw(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
        for at_s in plot.times(dice, plot.count(dice, most)):
            yield Act(at_s=at_s, verb=verb, who=cast.new(dice))

    return draw


def _forces(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
    """Somebody forces the lock; a second operator does the same at the same time, now and then."""
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(at_s=at_s, verb=Verb.FORCE_UNLOCK, who=cast.new(dice))
        if dice.chance(0.3):
            second_s = round(at_s + dice.span(0.0005, 0.3), 4)
            verb = Verb.FORCE_UNLOCK if dice.chance(0.8) else Verb.BREAK_GLASS
            yield Act(at_s=second_s, verb=verb, who=cast.new(dice))


def _requests(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        wait_s = dice.span(0.2, 10.0)
        yield Act(at_s=at_s, verb=Verb.REQUEST_RELEASE, who=cast.new(dice), for_s=wait_s)


def _holders(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
    for at_s in plot.times(dice, 1):
        held_s = dice.span(0.5, 20.0) if dice.chance(0.8) else None
        yield Act(at_s=at_s, verb=Verb.HOLD_LOCK, who=cast.new(dice), for_s=held_s)


def _retirements(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
    if len(plot.devices) > 2:  # noqa: PLR2004 - two must stay to be a fleet
        for at_s in plot.times(dice, 1):
            gone = (dice.one(plot.devices),)
            yield Act(at_s=at_s, verb=Verb.RETIRE, who=cast.new(dice), target=gone)


def _words(dice: Dice, plot: Plot, cast: Cast) -> Iterator[Act]:
    for at_s in plot.times(dice, 1):
        yield Act(
            at_s=at_s,
            verb=Verb.DECIDE,
            who=cast.new(dice),
            target=plot.targets(dice),
            word=dice.one(("commit", "abort")),
        )


DEEDS: Final[Mapping[str, tuple[Deed, float]]] = {
    "forced unlocks": (_forces, 0.5),
    "recoveries": (_simple(Verb.RECOVER, 2), 0.25),
    "broken glass": (_simple(Verb.BREAK_GLASS, 1), 0.12),
    "requests for the lock": (_requests, 0.2),
    "aborts": (_simple(Verb.ABORT, 2), 0.25),
    "lock holders": (_holders, 0.15),
    "retirements": (_retirements, 0.1),
    "heuristic words": (_words, 0.05),
}
"""What people do beside pushing, and in which share of the seeds."""


def servers(seed: int, cast: Cast, plot: Plot) -> Iterator[Act]:
    """Yield servers that come and go; where there are leases somebody serves from the start."""
    dice = Dice(seed, "servers")
    leases = plot.pace.lease_s is not None
    if not leases and not dice.chance(0.4):
        return
    at_s = 0.0 if leases or dice.chance(0.5) else plot.times(dice, 1)[0]
    while True:
        for_s = dice.span(2.0, 40.0) if dice.chance(0.4) else None
        yield Act(at_s=at_s, verb=Verb.SERVE, who=cast.new(dice), for_s=for_s)
        if for_s is None or not dice.chance(0.7):
            return
        at_s = round(at_s + for_s * dice.number(0.5, 1.5), 4)


def ending(seed: int, last_s: float) -> float:
    """
    Return the end of the safety phase of a story whose last act is at ``last_s``.

    Soon, or, in one seed of four, late enough for a silent owner to become a ghost.
    """
    dice = Dice(seed, "ending")
    wait_s = LEASE_TTL_S + GRACE_S if dice.chance(0.25) else 0.0
    return round(last_s + wait_s + dice.number(2.0, 8.0), 4)
