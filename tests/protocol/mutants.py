"""
In which scope breadth-first exploration finds each of :mod:`drone_sim.mutants`, and as what.

A checker that does not find one of them checks less than it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from drone_sim.mutants.answering import AbortsInSilence
from drone_sim.mutants.confirming import BootsConfirmed, LateIsFine
from drone_sim.mutants.deciding import CommitsOnMajority, NeverFenced, PresumesAbort, TellsFirst
from drone_sim.mutants.following import AbortsAlone, ActivatesAtOnce, CommitsAlone
from drone_sim.mutants.joining import EnablesMembers
from drone_sim.mutants.locks import (
    delete_the_lock,
    free_while_open,
    keep_the_epoch,
    quarantine_nobody,
)
from drone_sim.mutants.voting import NoEpochCheck, NoSeqCheck, StaleOrder, VotesFirst
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.participant import Participant
from tests.protocol.scope import Cores, Scope

PLAIN: Final = Scope(name="plain", instants=4, fences=False)
FORCE: Final = Scope(name="force", instants=4, forces=1, fences=False, zombies=True)


class NeverHolds(Participant):
    """Goes on with the old version while in doubt."""

    def _pursue_operation(self, now: float) -> None:
        known = self.durable
        self.durable = replace(known, prepared=None)
        super()._pursue_operation(now)
        self.durable = known


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One shortcut; ``scope`` is where breadth-first exploration finds it, and as what."""

    name: str
    cores: Cores
    scope: Scope
    finds: tuple[str, ...]


def _device(core: type[Participant], scope: Scope, *finds: str) -> Mutant:
    return Mutant(name=core.__name__, cores=Cores(participant=core), scope=scope, finds=finds)


def _coordinator(core: type[Coordinator], scope: Scope, *finds: str) -> Mutant:
    return Mutant(name=core.__name__, cores=Cores(coordinator=core), scope=scope, finds=finds)


FENCES: Final = replace(PLAIN, name="fences", fences=True, forces=1)
REFUSAL: Final = replace(PLAIN, name="refusal", instants=1, noes=1, crashes=(1, 0))
NEW_DISK: Final = replace(
    PLAIN, name="new-disk", instants=3, crashes=(1, 0), wiped=(1, 0), cuts=False
)
CRASH: Final = replace(PLAIN, name="crash", crashes=(1, 0))

MUTANTS: Final[Sequence[Mutant]] = (
    _device(NoEpochCheck, FENCES, "I10"),
    _device(NoSeqCheck, REFUSAL, "I11"),
    _device(StaleOrder, REFUSAL, "I11"),
    _device(AbortsAlone, PLAIN, "I1", "I2", "I17"),
    _device(CommitsAlone, PLAIN, "I1", "I2", "I17"),
    _device(VotesFirst, PLAIN, "I3"),
    _device(NeverHolds, PLAIN, "I5"),
    _device(ActivatesAtOnce, PLAIN, "I5"),
    _device(BootsConfirmed, CRASH, "I25"),
    _device(LateIsFine, PLAIN, "I25"),
    _coordinator(PresumesAbort, PLAIN, "I1", "I2", "I17"),
    _coordinator(TellsFirst, PLAIN, "I2", "I17"),
    _coordinator(AbortsInSilence, PLAIN, "I15"),
    _coordinator(CommitsOnMajority, PLAIN, "I3"),
    _coordinator(NeverFenced, FORCE, "I14"),
    _coordinator(EnablesMembers, NEW_DISK, "I5"),
    Mutant(
        name="no_comparing",
        cores=Cores(coordinator=NeverFenced, compares=False),
        scope=FORCE,
        finds=("I7", "I8", "I14"),
    ),
    Mutant(name="just_steal", cores=Cores(resolve=keep_the_epoch), scope=FORCE, finds=("I9",)),
    Mutant(
        name="forgets_to_quarantine",
        cores=Cores(shatter=quarantine_nobody),
        scope=replace(PLAIN, name="glass", glass=1),
        finds=("I15",),
    ),
    Mutant(
        name="frees_while_open",
        cores=Cores(shatter=free_while_open),
        scope=replace(PLAIN, name="glass", glass=1),
        finds=("I15",),
    ),
    Mutant(name="just_delete", cores=Cores(resolve=delete_the_lock), scope=FORCE, finds=("I14",)),
)
