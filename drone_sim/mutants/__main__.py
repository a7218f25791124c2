"""
The command: ``python -m drone_sim.mutants [--runs 5] [--limit 1000] [NAME...]``.

For each mutant, how many seeds it takes until it is caught, from several first seeds. Exit codes:
0 all were caught; 1 one was not, or something failed; 2 wrong use; 130 interrupted. The table goes
to stdout, narration to stderr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from drone_sim.arguments import count, tell
from drone_sim.explore.machine import cores
from drone_sim.mutants import MUTANTS
from drone_sim.mutants.hunting import HEAD, Hunt, hunts, median, row
from orchestrator.errors import Exit

APART: Final = 1000
"""The first seeds are 1, 1001, 2001 and so on."""

RUNS_MAX: Final = 100


def _runs(text: str) -> int:
    return count(text, RUNS_MAX)


def _limit(text: str) -> int:
    return count(text, APART)


def _name(text: str) -> str:
    if text not in MUTANTS:
        msg = f"there is no mutant {text!r}; known are {', '.join(MUTANTS)}"
        raise argparse.ArgumentTypeError(msg)
    return text


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m drone_sim.mutants",
        description="How many seeds it takes to catch each mutant of the protocol.",
    )
    add = parser.add_argument
    add("names", nargs="*", type=_name, metavar="NAME", help="mutants; all unless given")
    add("--runs", type=_runs, default=5, metavar="N", help="from so many first seeds")
    add("--limit", type=_limit, default=APART, metavar="N", help="then it has got away")
    add("--jobs", type=_runs, default=cores(), metavar="N", help="processes; one for each core")
    return parser.parse_args(given)


def _hunts(given: argparse.Namespace, names: Sequence[str]) -> dict[str, list[Hunt]]:
    """Hunt each mutant from each first seed; return the hunts in the order of those."""
    firsts = [APART * run + 1 for run in range(given.runs)]
    wanted = [(name, first, given.limit) for first in firsts for name in names]
    found: dict[str, list[Hunt]] = {name: [] for name in names}
    for number, one in enumerate(hunts(wanted, jobs=given.jobs), 1):
        tell(f"{number}/{len(wanted)} {_told(one)}")
        found[one.mutant].append(one)
    return {name: sorted(ones, key=lambda one: one.first) for name, ones in found.items()}


def _told(found: Hunt) -> str:
    caught = "got away from" if found.caught is None else f"{found.caught.id} after"
    others = "".join(f", seed {seed} shows {id_}" for seed, id_ in found.others)
    return f"{found.mutant} from {found.first}: {caught} {found.seeds} seeds{others}"


def _shown(found: dict[str, list[Hunt]]) -> str:
    middles = sorted(median(ones).seeds for ones in found.values())
    away = [name for name, ones in found.items() if any(one.caught is None for one in ones)]
    worst = max(one.seeds for ones in found.values() for one in ones)
    rows = [row(MUTANTS[name], ones) for name, ones in found.items()]
    verdict = f"not always caught: {', '.join(away)}" if away else f"the worst took {worst} seeds"
    return "\n".join(
        (HEAD, *rows, "", f"{len(found)} mutants, median {middles[len(middles) // 2]}; {verdict}")
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt and return the exit code."""
    given = _arguments(arguments)
    names = tuple(dict.fromkeys(given.names)) or tuple(MUTANTS)
    try:
        found = _hunts(given, names)
    except BrokenProcessPool:
        tell("ERROR: a process died, out of memory or killed\n  next      --jobs 1")
        return int(Exit.UNEXPECTED)
    except KeyboardInterrupt:
        tell("interrupted")
        return int(Exit.INTERRUPTED)
    sys.stdout.write(_shown(found) + "\n")
    caught = all(one.caught is not None for ones in found.values() for one in ones)
    return int(Exit.DONE if caught else Exit.UNEXPECTED)


if __name__ == "__main__":
    sys.exit(main())
