"""
Episodes: chains of acts in which an old message or an old version could do harm.

Each was written because a mutant of :mod:`drone_sim.mutants` got away without it: what it breaks
needs several pushes and a device that was away in between, or something repeated at just the
wrong time. They are drawn from a stream of their own, after everything else of a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from drone_sim.scenario.dice import DIGITS, Dice
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.plot import Cast, Instants, Plot

SHARE: Final = 0.2
"""In so many seeds there is an episode."""

_PATIENCE_S: Final = 30.0


class Stage:
    """Where an episode plays: after the last push of the story, with one device that is away."""

    def __init__(self, dice: Dice, plot: Plot, cast: Cast) -> None:
        self.dice = dice
        self.plot = plot
        self.device = (dice.one(plot.devices),)
        self.who = plot.acts[-1].who
        self.at: Instants = plot.instants[-1]
        self.push_s = self.at.settled - self.at.start
        """How long a push takes that waits for nobody."""
        self.window_s = self.at.vote_by - self.at.begun
        self._cast = cast

    def push(self, at_s: float, *, without: bool = False, word: str = "") -> Act:
        """Return a push, with everybody or without the device."""
        target = self.device if without and len(self.plot.devices) > 1 else ()
        return Act(
            at_s=_at(at_s),
            verb=Verb.PUSH,
            who=self.new(),
            target=target,
            for_s=_PATIENCE_S,
            word=word,
        )

    def new(self) -> str:
        """Return the name of another process."""
        return self._cast.new(self.dice)

    def cut(self, at_s: float, until_s: float, word: str = "") -> Act:
        """Return that the device is cut off for a time."""
        for_s = max(0.01, _at(until_s - at_s))
        return Act(at_s=_at(at_s), verb=Verb.CUT, target=self.device, for_s=for_s, word=word)

    def suspend(self, at_s: float, until_s: float) -> Act:
        """Return that the device stands still for a time, and then hears all at once."""
        for_s = max(0.01, _at(until_s - at_s))
        return Act(at_s=_at(at_s), verb=Verb.SUSPEND, target=self.device, for_s=for_s)

    def asked(self, at_s: float) -> float:
        """Return when PREPARE is sent in a push at ``at_s`` that waits in vain for the device."""
        return at_s + self.plot.pace.join_s + 0.5 * (self.at.begun - self.at.start)

    def replay(self, at_s: float, word: str) -> Act:
        """Return that somebody repeats what the device once heard, or said."""
        amount = float(self.dice.count(1, 12))
        return Act(at_s=_at(at_s), verb=Verb.REPLAY, target=self.device, amount=amount, word=word)


Episode = Callable[[Stage], Iterator[Act]]


def episodes(seed: int, plot: Plot, cast: Cast) -> Iterator[Act]:
    """Yield the acts of one episode, or of none."""
    dice = Dice(seed, "episode")
    if dice.chance(SHARE):
        episode = dice.one(_EPISODES)
        yield from episode(Stage(dice, plot, cast))


def _at(at_s: float) -> float:
    return max(0.0, round(at_s, DIGITS))


def _old_orders(stage: Stage) -> Iterator[Act]:
    """Let a device be caught up, the fleet go on with it, and its old orders come again."""
    dice, away_s = stage.dice, stage.at.settled + 0.2
    back_s = away_s + stage.push_s + 0.5
    yield stage.cut(away_s, back_s)
    yield stage.push(away_s + 0.1, without=True)
    next_s = back_s + 3.0
    yield stage.push(next_s)
    for word in ("catch-up", dice.one(("welcome", "decision", "prepare"))):
        yield stage.replay(next_s + dice.number(stage.window_s, 2 * stage.push_s), word)


def _straggler(stage: Stage) -> Iterator[Act]:
    """Let a device that has missed a version come back while the next one is voted on."""
    dice, away_s = stage.dice, stage.at.settled + 0.2
    next_s = away_s + stage.push_s + 0.5
    yield stage.push(away_s + 0.1, without=True)
    yield stage.push(next_s)
    back_s = stage.asked(next_s) + dice.number(-0.1, 0.6) * stage.window_s
    away = stage.suspend if dice.chance(0.7) else stage.cut
    yield away(away_s, back_s)


def _same_bytes(stage: Stage) -> Iterator[Act]:
    """Let a fleet go on, and back to the bytes that a device had when it was left out."""
    first_s = stage.at.settled + 0.2
    away_s = first_s + stage.push_s + 0.5
    yield stage.push(first_s, word="back")
    yield stage.push(away_s + 0.1, without=True)
    last_s = away_s + 0.6 + stage.push_s
    yield stage.push(last_s, without=True, word="back")
    yield stage.cut(away_s, last_s + stage.push_s + 0.5)


def _old_votes(stage: Stage) -> Iterator[Act]:
    """Let a device be silent while the others vote, and somebody repeat its last yes."""
    next_s = stage.at.settled + 0.5
    yield stage.push(next_s)
    yield stage.suspend(next_s - 0.1, next_s + 5.0)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        yield stage.replay(stage.asked(next_s) + share * stage.window_s, "vote")


def _old_holder(stage: Stage) -> Iterator[Act]:
    """Let somebody have the lock by hand, lose it, and find that out while another one has it."""
    dice, held_s = stage.dice, stage.at.settled + 0.3
    forced_s = held_s + dice.number(1.0, 5.0)
    yield Act(at_s=_at(held_s), verb=Verb.HOLD_LOCK, who=stage.new(), for_s=30.0)
    yield Act(at_s=_at(forced_s), verb=Verb.FORCE_UNLOCK, who=stage.new())
    yield stage.suspend(forced_s - 0.1, forced_s + 3.0)  # so that the next push takes a while
    yield stage.push(forced_s + dice.number(0.05, 0.4))


def _asked(stage: Stage) -> Iterator[Act]:
    """Let the lock be asked for while everybody votes."""
    dice, at = stage.dice, stage.at
    for _ in range(2):
        asked_s = dice.number(at.begun, at.voted + 0.005)
        yield Act(at_s=_at(asked_s), verb=Verb.REQUEST_RELEASE, who=stage.new(), for_s=2.0)


def _lost_answer(stage: Stage) -> Iterator[Act]:
    """Let nobody hear whether the decision is stored."""
    lost_s = stage.at.voted - stage.dice.span(0.0005, 0.02)
    yield Act(at_s=_at(lost_s), verb=Verb.STORE_LOSES_ANSWERS, amount=1.0, for_s=0.1)


def _half_heard(stage: Stage) -> Iterator[Act]:
    """Let the store lose its end with a transaction open, and a device not be there to tell."""
    dice, at = stage.dice, stage.at
    lost_s = at.begun + dice.number(0.3, 1.5) * (at.voted - at.begun)
    yield Act(at_s=_at(lost_s), verb=Verb.KILL, who=stage.who)
    yield stage.suspend(lost_s, lost_s + dice.span(3.0, 15.0))
    lost = float(dice.count(1, 2))
    yield Act(at_s=_at(lost_s + 0.005), verb=Verb.STORE_RESTORED, amount=lost)
    yield Act(at_s=_at(lost_s + dice.span(0.2, 2.0)), verb=Verb.RESEED, who=stage.new())


_EPISODES: Final[tuple[Episode, ...]] = (
    *(_old_orders, _old_orders, _straggler, _straggler, _same_bytes, _old_votes, _old_votes),
    *(_old_holder, _asked, _asked, _lost_answer, _half_heard),
)
"""How often each is drawn is how often it stands here."""
