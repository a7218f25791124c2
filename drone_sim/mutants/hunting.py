"""
How many seeds it takes to catch a mutant.

A mutant is caught by the first seed that shows a violation of one of the invariants that it
breaks, which the product without it does not show for the very same seed. A violation of another
id does not count: a checker that blames the wrong rule has not understood what is wrong.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from drone_sim.explore.runs import Case, play
from drone_sim.mutants import MUTANTS, Mutant
from orchestrator.protocol.invariants import Violation

OTHERS_MAX: Final = 5
"""How many seeds are remembered that showed something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """
    What came of playing seeds with a mutant, from ``first`` on, until it was caught.

    ``seeds`` were played; the last one shows ``caught``, which is ``None`` where none did.
    ``others`` are seeds that showed what the mutant is not said to break, and which id.
    """

    mutant: str
    first: int
    seeds: int
    caught: Violation | None = None
    others: tuple[tuple[int, str], ...] = ()


def hunt(name: str, first: int, limit: int) -> Hunt:
    """Play up to ``limit`` seeds from ``first`` on with the mutant of that name."""
    others: list[tuple[int, str]] = []
    for seed in range(first, first + limit):
        found = _found(name, seed)
        caught = [one for one in found if one.id in MUTANTS[name].breaks]
        if caught:
            return Hunt(
                mutant=name,
                first=first,
                seeds=seed - first + 1,
                caught=caught[0],
                others=tuple(others),
            )
        if found and len(others) < OTHERS_MAX:
            others.append((seed, found[0].id))
    return Hunt(mutant=name, first=first, seeds=limit, others=tuple(others))


def _found(name: str, seed: int) -> list[Violation]:
    """Return what a seed shows with the mutant, and does not show without it."""
    speed = MUTANTS[name].speed
    found = play(Case(seed=seed, speed=speed, mutant=name)).violations
    if not found:
        return []
    anyway = {one.id for one in play(Case(seed=seed, speed=speed)).violations}
    return [one for one in found if one.id not in anyway]


Wanted = tuple[str, int, int]
"""A mutant, the first seed, and how many at most."""


def hunts(wanted: Sequence[Wanted], *, jobs: int) -> Iterator[Hunt]:
    """Hunt in so many processes at once; yield each as it ends. Raises BrokenProcessPool."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin) as executor:
        try:
            for future in as_completed([executor.submit(hunt, *one) for one in wanted]):
                yield future.result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _begin() -> None:
    """Leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- the table ----------------------------------------------------------------------------------


def row(mutant: Mutant, hunts: Sequence[Hunt]) -> str:
    """Return a mutant's line of the table; :data:`HEAD` has the columns."""
    found = dict.fromkeys(one.caught.id for one in hunts if one.caught is not None)
    cells = (
        mutant.name,
        mutant.rule,
        mutant.speed.value,
        ", ".join(sorted(found, key=_number)) or "nothing",
        _counts(hunts),
    )
    return f"| {' | '.join(cells)} |"


HEAD: Final = (
    "| mutant | rule it breaks | speed | found as | seeds: first, median, worst |\n"
    "|---|---|---|---|---|"
)


def _number(id_: str) -> tuple[int, str]:
    return (int(id_[1:]), id_) if id_[1:].isdigit() else (0, id_)


def _counts(hunts: Sequence[Hunt]) -> str:
    first, middle, worst = hunts[0], median(hunts), max(hunts, key=_effort)
    return ", ".join(_shown(one) for one in (first, middle, worst))


def median(hunts: Sequence[Hunt]) -> Hunt:
    """Return the hunt in the middle, the worse one of two: a number that was measured."""
    return sorted(hunts, key=_effort)[len(hunts) // 2]


def _effort(one: Hunt) -> tuple[bool, int]:
    return one.caught is None, one.seeds


def _shown(one: Hunt) -> str:
    return f"over {one.seeds}" if one.caught is None else str(one.seeds)
