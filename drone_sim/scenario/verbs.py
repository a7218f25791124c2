"""
What each verb of a scenario means: one table, which both speeds of the simulator play by.

Names. ``who`` is a process, ``NAME`` or ``NAME@MACHINE``, and is written alike wherever it is
meant. Without a machine it runs on :data:`MACHINE`; only processes of one machine can see of each
other that they are gone. A name may be used again: it means the last process started under it.
Every process has a pid and start ticks of its own. Store and broker run on machines that nobody
here can touch. The clock of a machine is right until an act says otherwise.

Targets. Devices by their id; where PARTIES are allowed, processes by their name too. An empty
target means all devices, but for a verb that must name some. Whoever does not exist, or not any
more, is passed over in silence; what is so already (a device that is down loses power) is nothing.

Duration. ``for_s`` counts from ``at_s``; ``None`` lasts to the end of the safety phase. What is
said of one thing twice lasts to the later end, and the later amount counts. At the end of the
safety phase everything that lasts ends, and everything that was broken is repaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from drone_sim.scenario.deeds import ON_PURPOSE, PROCESSES
from drone_sim.scenario.faults import BROKER, DEVICES, NETWORK, STORE
from drone_sim.scenario.meaning import (
    DEVICE_REBOOT_S,
    LANDING_PERCENT,
    MACHINE,
    RESERVE_PERCENT,
    TIME_MAX_S,
    Amount,
    Meaning,
    Target,
    Who,
)
from drone_sim.scenario.model import Act, Verb

__all__ = [
    "DEVICE_REBOOT_S",
    "LANDING_PERCENT",
    "MACHINE",
    "RESERVE_PERCENT",
    "TIME_MAX_S",
    "VERBS",
    "Amount",
    "Meaning",
    "Target",
    "Who",
    "machine_of",
    "problems",
    "word_of",
]

VERBS: Final[Mapping[Verb, Meaning]] = {
    **ON_PURPOSE,
    **PROCESSES,
    **STORE,
    **BROKER,
    **NETWORK,
    **DEVICES,
}
"""What each verb means, in the order of :class:`.Verb`."""


def word_of(act: Act) -> str:
    """Return the act's word, or the one that stands for an empty one."""
    words = VERBS[act.verb].words
    return act.word if act.word in words or not words else next(iter(words))


def machine_of(who: str) -> str:
    """Return the machine on which the process ``who`` runs."""
    return who.partition("@")[2] or MACHINE


def problems(act: Act) -> Iterator[str]:
    """Say everything in which an act does not fit the meaning of its verb."""
    meaning = VERBS[act.verb]
    if (meaning.who is Who.NOBODY) != (not act.who):
        yield f"who must be {meaning.who.value}"
    if meaning.target is Target.NOBODY and act.target:
        yield "target must be nobody"
    if meaning.target is Target.SOME_DEVICES and not act.target:
        yield "target must name devices"
    if act.for_s is not None and not meaning.lasts:
        yield "for_s must not be given: it has no duration"
    yield from _numbers(act, meaning)
    if not meaning.free_word and act.word and act.word not in meaning.words:
        yield f"word must be one of {', '.join(map(repr, meaning.words))}"


def _numbers(act: Act, meaning: Meaning) -> Iterator[str]:
    if not 0 <= act.at_s <= TIME_MAX_S:
        yield f"at_s must be within 0 and {TIME_MAX_S:g}"
    if act.for_s is not None and not 0 <= act.for_s <= TIME_MAX_S:
        yield f"for_s must be within 0 and {TIME_MAX_S:g}"
    amount = meaning.amount
    if amount is None:
        if act.amount:
            yield "amount must not be given"
        return
    if not amount.least <= act.amount <= amount.most:
        yield f"amount must be within {amount.least:g} and {amount.most:g} {amount.unit}".rstrip()
    if amount.whole and act.amount != int(act.amount):
        yield "amount must be a whole number"
