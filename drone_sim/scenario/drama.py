"""
Dramas: a few acts that belong together, without which what matters hardly ever meets.

A push that dies by chance is seldom the one whose lock is forced by chance while a device is cut
off by chance. Each drama is one of the situations for which the protocol exists, drawn with all
its times and people; whatever else a seed draws falls into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from drone_sim.scenario.dice import DIGITS, Dice
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.plot import Cast, Instants, Plot
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S

SHARE: Final = 0.45
"""In so many seeds there is a drama."""

_GHOST_S: Final = LEASE_TTL_S + GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The push around which it plays, ``who`` with its ``instants``, and the seed's plot."""

    dice: Dice
    plot: Plot
    cast: Cast
    who: str
    instants: Instants

    def new(self) -> str:
        """Return the name of another process."""
        return self.cast.new(self.dice)

    def device(self) -> tuple[str, ...]:
        """Return one of the devices."""
        return (self.dice.one(self.plot.devices),)

    def voting(self) -> float:
        """Return a time between PREPARE and a little after the decision."""
        return _at(self.dice.number(self.instants.begun, self.instants.voted + 0.01))


Drama = Callable[[Scene], Iterator[Act]]


def dramas(seed: int, plot: Plot, cast: Cast) -> Iterator[Act]:
    """Yield the acts of one drama around one push, or of none."""
    dice = Dice(seed, "drama")
    if dice.chance(SHARE):
        index = dice.count(0, len(plot.instants) - 1)
        drama = dice.one(_DRAMAS)
        who, instants = plot.acts[index].who, plot.instants[index]
        yield from drama(Scene(dice=dice, plot=plot, cast=cast, who=who, instants=instants))


def _at(*parts_s: float) -> float:
    return max(0.0, round(sum(parts_s), DIGITS))


def _abandoned(scene: Scene) -> Iterator[Act]:
    """Let the orchestrator be gone in the middle, and somebody find its lock HOT."""
    dice, gone_s = scene.dice, scene.voting()
    verb = dice.one((Verb.KILL, Verb.KILL, Verb.REUSE_PID, Verb.POWER_CUT, Verb.CUT))
    if verb is Verb.CUT:
        yield Act(at_s=gone_s, verb=verb, target=(scene.who,), word=dice.one(("", "up")))
    else:
        yield Act(at_s=gone_s, verb=verb, who=scene.who)
    found_s = dice.span(0.05, 20.0) if dice.chance(0.7) else dice.span(20.0, 40.0)
    ways = ((Verb.FORCE_UNLOCK, 4), (Verb.RECOVER, 3), (Verb.BREAK_GLASS, 1), (Verb.ABORT, 1))
    yield Act(at_s=_at(gone_s, found_s), verb=dice.weighted(ways), who=scene.new())
    if dice.chance(0.5):
        again_s = _at(gone_s, found_s, dice.span(0.5, 10.0))
        yield Act(at_s=again_s, verb=Verb.PUSH, who=scene.new(), for_s=dice.span(1.0, 30.0))


def _zombie(scene: Scene) -> Iterator[Act]:
    """Let the orchestrator be stopped, its lock forced, another push begun; then it goes on."""
    dice, at_s = scene.dice, scene.voting()
    sleep_s = dice.span(1.0, 20.0)
    yield Act(at_s=at_s, verb=Verb.PAUSE, who=scene.who, for_s=sleep_s)
    forced_s = dice.number(0.0, sleep_s)
    yield Act(at_s=_at(at_s, forced_s), verb=Verb.FORCE_UNLOCK, who=scene.new())
    if dice.chance(0.6):
        next_s = _at(at_s, dice.number(forced_s, sleep_s))
        yield Act(at_s=next_s, verb=Verb.PUSH, who=scene.new(), for_s=dice.span(1.0, 20.0))


def _left_behind(scene: Scene) -> Iterator[Act]:
    """Let a device be away from its vote on, and the fleet go on without it, once or twice."""
    dice, device, instants = scene.dice, scene.device(), scene.instants
    nearly_s = 0.8 * (instants.voted - instants.begun)
    at_s = _at(dice.number(instants.begun + nearly_s, instants.voted + 0.02))
    more_s = dice.span(1.0, 12.0)
    away_s = _at(instants.settled, more_s, -at_s)
    verb = dice.weighted(((Verb.CUT, 3), (Verb.CRASH, 1), (Verb.SUSPEND, 1)))
    yield Act(at_s=at_s, verb=verb, target=device, for_s=away_s)
    for _ in range(dice.count(0, 2)):
        yield Act(
            at_s=_at(instants.settled, dice.number(0.0, more_s)),
            verb=Verb.PUSH,
            who=scene.new(),
            target=device if dice.chance(0.8) and len(scene.plot.devices) > 1 else (),
            for_s=dice.span(1.0, 20.0),
        )


def _doubt(scene: Scene) -> Iterator[Act]:
    """Let nobody decide, and everybody hold: a person lets some of them fly."""
    dice, instants, silent = scene.dice, scene.instants, scene.device()
    early_s = _at(instants.begun, 0.2 * (instants.voted - instants.begun))
    yield Act(at_s=early_s, verb=Verb.CUT, target=silent, word="up", for_s=5.0)
    gone_s = _at(dice.number(early_s, instants.vote_by))
    if dice.chance(0.5):
        yield Act(at_s=gone_s, verb=Verb.KILL, who=scene.who)
    else:  # nobody can tell that it does not live: no server takes its lock at once
        yield Act(at_s=gone_s, verb=Verb.PAUSE, who=scene.who, for_s=dice.span(5.0, 40.0))
    word_s = _at(instants.hold_at, dice.span(0.005, 1.0))
    yield Act(
        at_s=word_s,
        verb=Verb.DECIDE,
        who=scene.new(),
        target=scene.plot.targets(dice),
        word=dice.one(("commit", "abort")),
    )
    forced_s = _at(word_s, dice.span(0.5, 10.0))
    yield Act(at_s=forced_s, verb=Verb.FORCE_UNLOCK, who=scene.new())


def _overtaken(scene: Scene) -> Iterator[Act]:
    """Let PREPARE be overtaken by the fence of whoever forces the lock meanwhile."""
    dice, instants = scene.dice, scene.instants
    before_s = 0.3 * (instants.begun - instants.start)
    yield Act(
        at_s=_at(instants.begun, -before_s),
        verb=Verb.LOSSY,
        for_s=_at(before_s, dice.span(0.05, 1.0)),
        amount=dice.number(0.5, 1.0),
        word="delays",
    )
    forced_s = _at(instants.begun, dice.span(0.01, 0.5))
    yield Act(at_s=forced_s, verb=Verb.FORCE_UNLOCK, who=scene.new())


def _retained(scene: Scene) -> Iterator[Act]:
    """Let a device miss the decision, and whoever decided die: the broker still has it."""
    dice, voted_s = scene.dice, scene.instants.voted
    yield Act(
        at_s=_at(voted_s, -dice.span(0.001, 0.01)),
        verb=Verb.CUT,
        target=scene.device(),
        word="down",
        for_s=dice.span(0.5, 8.0),
    )
    yield Act(at_s=_at(voted_s, dice.span(0.005, 0.5)), verb=Verb.KILL, who=scene.who)


def _store_gone(scene: Scene) -> Iterator[Act]:
    """Let the store go away in the middle of the decision, for longer than anybody waits."""
    dice, instants = scene.dice, scene.instants
    slow_s, away_s = dice.span(0.005, 0.1), dice.span(3.0, 25.0)
    yield Act(at_s=_at(instants.begun), verb=Verb.STORE_SLOW, amount=slow_s, for_s=2.0)
    at_s = _at(instants.voted, dice.number(-0.005, 0.01))
    yield Act(at_s=at_s, verb=Verb.STORE_AWAY, for_s=away_s)


def _silent_holder(scene: Scene) -> Iterator[Act]:
    """Let somebody elsewhere hold the lock and die, sleep, or lose the store: it must expire."""
    dice = scene.dice
    held_s = _at(scene.instants.settled, dice.span(0.5, 3.0))
    holder = f"{scene.new().partition('@')[0]}@elsewhere"
    yield Act(at_s=held_s, verb=Verb.HOLD_LOCK, who=holder)
    silent_s = _at(held_s, dice.span(0.1, 5.0))
    verb = dice.weighted(((Verb.KILL, 3), (Verb.PAUSE, 2), (Verb.STORE_AWAY, 2)))
    if verb is Verb.STORE_AWAY:
        yield Act(at_s=silent_s, verb=verb, for_s=dice.span(9.0, 20.0))
    else:
        for_s = dice.span(10.0, 45.0) if verb is Verb.PAUSE else None
        yield Act(at_s=silent_s, verb=verb, who=holder, for_s=for_s)
    if dice.chance(0.5):
        yield Act(at_s=_at(silent_s, -0.05), verb=Verb.SERVE, who=scene.new())
    found_s = _at(silent_s, _GHOST_S, dice.span(0.05, 8.0))
    yield Act(at_s=found_s, verb=Verb.RECOVER, who=scene.new())


def _queue(scene: Scene) -> Iterator[Act]:
    """Let several stand in line, and those at its head die before it is their turn."""
    dice = scene.dice
    held_s = _at(scene.instants.settled, dice.span(0.5, 2.0))
    yield Act(at_s=held_s, verb=Verb.HOLD_LOCK, who=scene.new(), for_s=dice.span(1.0, 8.0))
    names = [scene.new() for _ in range(dice.count(2, 3))]
    for number, name in enumerate(names, 1):
        stands_s = _at(held_s, 0.1 * number, dice.span(0.01, 0.1))
        yield Act(at_s=stands_s, verb=Verb.PUSH, who=name, for_s=60.0)
    for name in names[:-1]:
        yield Act(at_s=_at(held_s, dice.span(0.4, 6.0)), verb=Verb.KILL, who=name)


def _restored(scene: Scene) -> Iterator[Act]:
    """Let the store lose its end with a transaction open: a reseed must find out what was."""
    dice, instants = scene.dice, scene.instants
    nearly_s = 0.6 * (instants.voted - instants.begun)
    if dice.chance(0.5):
        yield Act(at_s=_at(instants.begun, nearly_s), verb=Verb.KILL, who=scene.who)
    elif dice.chance(0.5):
        who, word = scene.device(), "tracking a target"
        yield Act(at_s=instants.start, verb=Verb.REFUSE, target=who, for_s=3.0, word=word)
    lost_s = _at(instants.begun, nearly_s, dice.span(0.001, 0.3))
    yield Act(at_s=lost_s, verb=Verb.STORE_RESTORED, amount=float(dice.count(1, 3)))
    yield Act(at_s=_at(lost_s, dice.span(0.5, 8.0)), verb=Verb.RESEED, who=scene.new())


def _half_told(scene: Scene) -> Iterator[Act]:
    """Let some hear that the lock was forced, nobody what was decided, and the store lose both."""
    dice, instants = scene.dice, scene.instants
    late_s = 0.9 * (instants.voted - instants.begun)
    yield Act(at_s=_at(instants.begun, late_s), verb=Verb.KILL, who=scene.who)
    forced_s, rate = _at(instants.voted, dice.span(0.05, 0.5)), dice.number(0.5, 0.8)
    yield Act(at_s=_at(forced_s), verb=Verb.BROKER_DROPS, amount=rate, for_s=1.0)
    second = scene.new()
    yield Act(at_s=forced_s, verb=Verb.FORCE_UNLOCK, who=second)
    told_s = 1.5 * (instants.begun - instants.start)
    lost_s = _at(forced_s, told_s, dice.span(0.002, 0.1))
    yield Act(at_s=lost_s, verb=Verb.KILL, who=second)
    yield Act(at_s=lost_s, verb=Verb.STORE_RESTORED, amount=2.0)
    yield Act(at_s=_at(lost_s, dice.span(1.0, 6.0)), verb=Verb.RESEED, who=scene.new())


def _clock_set(scene: Scene) -> Iterator[Act]:
    """Let a clock be set between the vote and the activation, and its device ask for the time."""
    dice, instants, device = scene.dice, scene.instants, scene.device()
    size_s = round(scene.plot.pace.clock_error_s * dice.number(1.5, 6.0), DIGITS)
    step_s = size_s if dice.chance(0.5) else -size_s
    at_s = _at(dice.number(instants.voted, instants.hold_at))
    yield Act(at_s=at_s, verb=Verb.CLOCK_STEP, target=device, amount=step_s)
    asks_s = _at(at_s, dice.number(0.0, 0.5 * (instants.activate_at - at_s)))
    yield Act(at_s=asks_s, verb=Verb.TAKE_OVER_CLIENT, target=device)


_DRAMAS: Final[tuple[Drama, ...]] = (
    *(_abandoned, _abandoned, _abandoned),
    *(_zombie, _zombie),
    *(_left_behind, _left_behind, _left_behind, _overtaken),
    *(_doubt, _doubt, _retained, _store_gone, _silent_holder, _queue),
    *(_restored, _half_told, _clock_set, _clock_set),
)
"""How often each is drawn is how often it stands here."""
