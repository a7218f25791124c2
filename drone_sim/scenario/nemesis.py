"""
What goes wrong in a seed: fault classes, each of which draws its own acts from its own stream.

Swarm testing (Groce and others, "Swarm testing", ISSTA 2012): a seed first draws *which* classes
are on. A seed with everything on hides what only shows when something is off: a fleet that is
always cut off never gets far enough to be killed after its decision.

Classes under which an invariant cannot be kept by design (a store that was rolled back, a clock
that lies, a disk that does) are on seldom, and in few seeds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from drone_sim.scenario.dice import Dice
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.plot import Plot
from drone_sim.scenario.wear import (
    WRITES_MAX,
    dying_hooks,
    failing_disks,
    failing_writes,
    kills_at_writes,
)

Draw = Callable[[Dice, Plot], Iterator[Act]]

_WAYS: Final = (("", 3), ("up", 1), ("down", 1))
_REPLAYED: Final = ("", "", "prepare", "decision", "catch-up", "fence", "welcome", "vote", "hello")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultClass:
    """Some faults that are on or off together; ``seldom`` where they are beyond the design."""

    name: str
    draw: Draw
    seldom: bool = False


def _of_devices(verb: Verb, most: int, least_s: float, most_s: float) -> Draw:
    """Return what draws a fault of devices that only lasts."""

    def draw(dice: Dice, plot: Plot) -> Iterator[Act]:
        for at_s in plot.times(dice, plot.count(dice, most)):
            for_s = dice.lasting(least_s, most_s)
            yield Act(at_s=at_s, verb=verb, target=plot.targets(dice), for_s=for_s)

    return draw


# --- processes --------------------------------------------------------------------------------


def _kills(dice: Dice, plot: Plot) -> Iterator[Act]:
    ways = ((Verb.KILL, 8), (Verb.REUSE_PID, 2), (Verb.POWER_CUT, 1))
    for at_s in plot.times(dice, plot.count(dice, 3)):
        who = plot.running(dice, at_s)
        if who is not None:
            yield Act(at_s=at_s, verb=dice.weighted(ways), who=who)


def _zombies(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Most are woken while it matters; some sleep past TTL and grace."""
    for at_s in plot.times(dice, plot.count(dice, 2)):
        who = plot.running(dice, at_s)
        if who is not None:
            for_s = dice.span(0.01, 12.0) if dice.chance(0.8) else dice.span(12.0, 45.0)
            yield Act(at_s=at_s, verb=Verb.PAUSE, who=who, for_s=for_s)


# --- store and broker -------------------------------------------------------------------------


def _store_away(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(at_s=at_s, verb=Verb.STORE_AWAY, for_s=dice.span(0.02, 12.0))


def _slow_store(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        for_s, more_s = dice.span(0.1, 10.0), dice.span(0.005, 2.0)
        yield Act(at_s=at_s, verb=Verb.STORE_SLOW, for_s=for_s, amount=more_s)


def _lost_answers(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        for_s, rate = dice.span(0.05, 5.0), dice.number(0.1, 1.0)
        yield Act(at_s=at_s, verb=Verb.STORE_LOSES_ANSWERS, for_s=for_s, amount=rate)


def _restored(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, 1):
        lost = float(dice.count(1, 8))
        yield Act(at_s=at_s, verb=Verb.STORE_RESTORED, amount=lost)
        yield from _reseeds(dice, at_s, "warden")


def _lying_store(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, 1):
        for_s = dice.span(0.2, 6.0)
        yield Act(at_s=at_s, verb=Verb.STORE_LIES, for_s=for_s)
        yield from _reseeds(dice, at_s + for_s, "keeper")


def _reseeds(dice: Dice, at_s: float, name: str) -> Iterator[Act]:
    """Mostly somebody notices, sooner or later, and sometimes two do."""
    for number in range(dice.weighted(((0, 1), (1, 4), (2, 1)))):
        later_s = round(at_s + dice.span(0.05, 10.0), 4)
        yield Act(at_s=later_s, verb=Verb.RESEED, who=f"{name}{number + 1}")


def _broker_kills(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        word = dice.weighted((("forgets", 2), ("keeps", 1)))
        for_s = dice.span(0.02, 8.0)
        yield Act(at_s=at_s, verb=Verb.BROKER_KILL, for_s=for_s, word=word)


def _broker_forgets(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(at_s=at_s, verb=Verb.BROKER_FORGETS)


def _slow_broker(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        for_s, more_s = dice.span(0.1, 10.0), dice.span(0.005, 2.0)
        yield Act(at_s=at_s, verb=Verb.BROKER_SLOW, for_s=for_s, amount=more_s)


def _broker_drops(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        for_s, rate = dice.span(0.1, 5.0), dice.number(0.1, 1.0)
        yield Act(at_s=at_s, verb=Verb.BROKER_DROPS, for_s=for_s, amount=rate)


# --- network ----------------------------------------------------------------------------------


def _parties(dice: Dice, plot: Plot, at_s: float) -> tuple[str, ...]:
    """Return devices, or an orchestrator, or devices and an orchestrator."""
    who = plot.running(dice, at_s)
    if who is None or dice.chance(0.7):
        return plot.targets(dice)
    return (who,) if dice.chance(0.7) else (*plot.targets(dice), who)


def _partitions(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 3)):
        yield Act(
            at_s=at_s,
            verb=Verb.CUT,
            target=_parties(dice, plot, at_s),
            for_s=dice.lasting(0.02, 10.0),
            word=dice.weighted(_WAYS),
        )


def _swizzle_clog(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Clog links one after the other, and unclog them in another order (FoundationDB)."""
    for at_s in plot.times(dice, plot.count(dice, 2)):
        for device in dice.some(plot.devices, 1, len(plot.devices)):
            yield Act(
                at_s=round(at_s + dice.number(0.0, 0.1), 4),
                verb=Verb.CLOG,
                target=(device,),
                for_s=dice.span(0.02, 5.0),
                word=dice.weighted(_WAYS),
            )


def _lossy(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 3)):
        yield Act(
            at_s=at_s,
            verb=Verb.LOSSY,
            target=_parties(dice, plot, at_s),
            for_s=dice.lasting(0.1, 10.0),
            amount=dice.number(0.05, 0.9),
            word=dice.one(("loses", "repeats", "delays")),
        )


def _replays(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 4)):
        yield Act(
            at_s=at_s,
            verb=Verb.REPLAY,
            target=plot.targets(dice),
            amount=float(dice.count(1, 12)),
            word=dice.one(_REPLAYED),
        )


def _takeovers(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        target = _parties(dice, plot, at_s)
        yield Act(at_s=at_s, verb=Verb.TAKE_OVER_CLIENT, target=target)


# --- devices ----------------------------------------------------------------------------------


def _crashes(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 3)):
        yield Act(
            at_s=at_s,
            verb=Verb.CRASH,
            target=plot.targets(dice),
            for_s=dice.span(0.02, 10.0) if dice.chance(0.9) else None,
            word=dice.weighted((("power", 2), ("kill", 1))),
        )


def _crashes_at_writes(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 3)):
        yield Act(
            at_s=at_s,
            verb=Verb.CRASH_AT_WRITE,
            target=(dice.one(plot.devices),),
            for_s=dice.span(0.02, 10.0),
            amount=float(round(dice.span(1, WRITES_MAX))),
        )


def _replacements(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 1)):
        yield Act(at_s=at_s, verb=Verb.REPLACE, target=(dice.one(plot.devices),))


def _slow_disks(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.DISK_SLOW,
            target=plot.targets(dice),
            for_s=dice.lasting(0.1, 10.0),
            amount=dice.span(0.001, 1.0),
        )


def _damage(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 1)):
        for_s = dice.span(0.1, 5.0)
        yield Act(at_s=at_s, verb=Verb.DAMAGE, target=plot.targets(dice), for_s=for_s)


def _batteries(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.LOW_BATTERY,
            target=plot.targets(dice),
            for_s=dice.lasting(1.0, 20.0),
            amount=float(dice.count(0, 25)),
        )


def _refusals(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.REFUSE,
            target=plot.targets(dice),
            for_s=dice.lasting(0.2, 8.0),
            word="tracking a target",
        )


# --- clocks -----------------------------------------------------------------------------------


def _small_steps(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Clocks that are set by a little, within ε: as a time service does."""
    small_s = plot.pace.clock_error_s / 4
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.CLOCK_STEP,
            target=plot.targets(dice),
            for_s=dice.lasting(0.1, 10.0),
            amount=dice.number(-small_s, small_s),
        )


def _lying_clocks(dice: Dice, plot: Plot) -> Iterator[Act]:
    for at_s in plot.times(dice, plot.count(dice, 2)):
        step = dice.chance(0.6)
        size = dice.span(0.02, 600.0) if step else dice.span(500.0, 300_000.0)
        yield Act(
            at_s=at_s,
            verb=Verb.CLOCK_STEP if step else Verb.CLOCK_DRIFT,
            target=_parties(dice, plot, at_s),
            for_s=dice.lasting(0.1, 10.0),
            amount=size if dice.chance(0.5) else -size,
        )


FAULTS: Final[tuple[FaultClass, ...]] = (
    FaultClass(name="kills", draw=_kills),
    FaultClass(name="zombies", draw=_zombies),
    FaultClass(name="store away", draw=_store_away),
    FaultClass(name="slow store", draw=_slow_store),
    FaultClass(name="lost answers", draw=_lost_answers),
    FaultClass(name="broker kills", draw=_broker_kills),
    FaultClass(name="forgetful broker", draw=_broker_forgets),
    FaultClass(name="slow broker", draw=_slow_broker),
    FaultClass(name="full queues", draw=_broker_drops),
    FaultClass(name="partitions", draw=_partitions),
    FaultClass(name="swizzle-clog", draw=_swizzle_clog),
    FaultClass(name="lossy links", draw=_lossy),
    FaultClass(name="replays", draw=_replays),
    FaultClass(name="client take-overs", draw=_takeovers),
    FaultClass(name="device crashes", draw=_crashes),
    FaultClass(name="crashes at writes", draw=_crashes_at_writes),
    FaultClass(name="replaced units", draw=_replacements),
    FaultClass(name="frozen devices", draw=_of_devices(Verb.SUSPEND, 2, 0.02, 10.0)),
    FaultClass(name="full disks", draw=_of_devices(Verb.DISK_FULL, 2, 0.1, 10.0)),
    FaultClass(name="slow disks", draw=_slow_disks),
    FaultClass(name="damaged flash", draw=_damage),
    FaultClass(name="low batteries", draw=_batteries),
    FaultClass(name="refusals", draw=_refusals),
    FaultClass(name="failing hooks", draw=_of_devices(Verb.HOOK_FAILS, 2, 0.05, 8.0)),
    FaultClass(name="small clock steps", draw=_small_steps),
    FaultClass(name="lying clocks", draw=_lying_clocks, seldom=True),
    FaultClass(name="restored store", draw=_restored, seldom=True),
    FaultClass(name="lying store", draw=_lying_store, seldom=True),
    FaultClass(name="lying disks", draw=_of_devices(Verb.DISK_LIES, 1, 0.2, 8.0), seldom=True),
    FaultClass(name="kills at writes", draw=kills_at_writes),
    FaultClass(name="failing writes", draw=failing_writes),
    FaultClass(name="failing disks", draw=failing_disks),
    FaultClass(name="dying hooks", draw=dying_hooks),
)
