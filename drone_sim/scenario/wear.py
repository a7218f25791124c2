"""
What breaks under an agent in a seed: a write that fails or is cut short, a hook that dies.

What is lost by it often shows only when the power goes afterwards, so mostly that happens too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drone_sim.scenario.dice import Dice
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.plot import Plot

WRITES_MAX: Final = 30
"""Up to so many changes to a disk are counted off: some six writes of a record."""

CHANGES: Final = 5
"""An atomic write is made of so many: create, write, sync, rename, sync the name."""

_HOW: Final = ("error", "error", "space")


def kills_at_writes(dice: Dice, plot: Plot) -> Iterator[Act]:
    """
    Let an agent die in the middle of a write, the next one go on, and the power go too.

    Mostly it dies in one of the writes of a push, with nothing left to do but the last sync.
    """
    for at_s in plot.times(dice, plot.count(dice, 2)):
        target, at = (dice.one(plot.devices),), dice.one(plot.instants)
        in_push = dice.chance(0.7)
        last = dice.count(2, WRITES_MAX // CHANGES) * CHANGES
        yield Act(
            at_s=dice.number(at.start, at.begun) if in_push else at_s,
            verb=Verb.CRASH_AT_WRITE,
            target=target,
            for_s=dice.span(0.02, 0.3),
            amount=float(last if in_push else round(dice.span(1, WRITES_MAX))),
            word="kill",
        )
        yield from _power_loss(dice, at.activate_at if in_push else at_s, target)


def _power_loss(dice: Dice, at_s: float, target: tuple[str, ...]) -> Iterator[Act]:
    """Mostly, sooner or later, the power goes: what was never durable is gone."""
    if dice.chance(0.7):
        lost_s, for_s = round(at_s + dice.span(0.05, 5.0), 4), dice.span(0.1, 3.0)
        yield Act(at_s=lost_s, verb=Verb.CRASH, target=target, for_s=for_s, word="power")


def failing_writes(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Let one change to a disk fail."""
    for at_s in plot.times(dice, plot.count(dice, 3)):
        target = (dice.one(plot.devices),)
        yield Act(
            at_s=at_s,
            verb=Verb.FAIL_AT_WRITE,
            target=target,
            amount=float(round(dice.span(1, WRITES_MAX))),
            word=dice.one(_HOW),
        )
        yield from _power_loss(dice, at_s, target)


def failing_disks(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Let every change to a disk fail for a while."""
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.DISK_FAILS,
            target=plot.targets(dice),
            for_s=dice.lasting(0.02, 8.0),
            word=dice.one(_HOW),
        )


def dying_hooks(dice: Dice, plot: Plot) -> Iterator[Act]:
    """Let hooks be killed in the middle."""
    for at_s in plot.times(dice, plot.count(dice, 2)):
        yield Act(
            at_s=at_s,
            verb=Verb.HOOK_FAILS,
            target=plot.targets(dice),
            for_s=dice.lasting(0.05, 8.0),
            word="half-way",
        )
