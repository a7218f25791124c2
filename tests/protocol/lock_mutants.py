"""
Shortcuts around the lock, for the yard: what its stories and its random walk must find.

The other half of :mod:`.mutants`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drone_sim.cores.yard import Yard
from drone_sim.mutants.answering import ReleasesWhileOpen
from drone_sim.mutants.confirming import LeaseFromReceipt, OutlivesItsLease
from drone_sim.mutants.deciding import CommitsAnyway, IgnoresHorizon
from drone_sim.mutants.following import WordEndsDoubt
from drone_sim.mutants.joining import EnablesQuarantined
from drone_sim.mutants.locks import (
    free_while_open,
    keep_the_epoch,
    past_the_queue,
    quarantine_nobody,
)
from drone_sim.mutants.reseeding import AbortsUnheard
from orchestrator.protocol import lease


def always_past_grace(_age_s: float) -> lease.Stage:
    """An expiry that waits for nothing."""
    return lease.Stage.PAST_GRACE


PEOPLE: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "grants-past-the-queue": ({"acquire": past_the_queue}, "I26"),
    "forgets-to-quarantine": ({"shatter": quarantine_nobody}, "I15"),
    "frees-while-open": ({"shatter": free_while_open}, "I15"),
    "keeps-the-epoch": ({"resolve": keep_the_epoch}, "I9"),
    "expires-the-living": ({"stage_of": always_past_grace}, "I20"),
    "releases-while-open": ({"coordinator": ReleasesWhileOpen}, "I15"),
    "commits-when-asked-to-release": ({"coordinator": CommitsAnyway}, "I23"),
    "enables-the-quarantined": ({"coordinator": EnablesQuarantined}, "I25"),
    "ignores-the-horizon": ({"coordinator": IgnoresHorizon}, "I5"),
    "lease-from-receipt": ({"participant": LeaseFromReceipt}, "I5"),
    "outlives-its-lease": ({"participant": OutlivesItsLease}, "I5"),
    "word-ends-the-doubt": ({"participant": WordEndsDoubt}, "I1|I2|I17"),
    "aborts-with-members-unheard": ({"coordinator": AbortsUnheard}, "I1|I2|I17"),
}
"""Shortcuts around the lock: the rule that is changed, and the invariant that it breaks."""

WALKED: Final = (
    "grants-past-the-queue",
    "frees-while-open",
    "keeps-the-epoch",
    "expires-the-living",
    "releases-while-open",
)
"""What the random walk finds quickly; the others need a story of their own."""


def yard(changed: Mapping[str, Any]) -> type[Yard]:
    """Return a yard with rules and cores changed."""
    rules = {"acquire", "resolve", "shatter", "stage_of"}
    names = {name: staticmethod(one) if name in rules else one for name, one in changed.items()}
    return type("Mutated", (Yard,), names)
