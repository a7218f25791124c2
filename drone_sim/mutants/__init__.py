"""
Mutants of the protocol: named, plausible bugs, each of which the simulator must catch.

Each is a shortcut that somebody might take, or that others have taken (DESIGN §11). A checker that
does not find one of them checks less than it says. ``drone-sim explore --mutant NAME`` switches
one on; ``python -m drone_sim.mutants`` measures how many seeds it takes to catch each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drone_sim.mutants import (
    answering,
    confirming,
    deciding,
    following,
    holding,
    joining,
    locks,
    reseeding,
    shells,
    voting,
)
from drone_sim.mutants.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS: Final[Mapping[str, Mutant]] = {
    mutant.name: mutant
    for mutant in (
        *voting.MUTANTS,
        *following.MUTANTS,
        *confirming.MUTANTS,
        *deciding.MUTANTS,
        *answering.MUTANTS,
        *joining.MUTANTS,
        *reseeding.MUTANTS,
        *locks.MUTANTS,
        *holding.MUTANTS,
        *shells.MUTANTS,
    )
}
"""All mutants, by name."""
