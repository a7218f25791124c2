"""Coordinators that let the wrong device operate: one rule of a HELLO's answer out of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, coordinator, replaced
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import Hello
from orchestrator.protocol.types import DeviceId


class EnablesMembers(Coordinator):
    """Catches up and enables a member of the open transaction that does not show its yes."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        txn = known.open
        if txn is not None and txn.decided is None:
            self.state = replace(known, open=None)
        super()._welcome(hello, received, now)
        self.state = known


class EnablesTheOld(Coordinator):
    """Enables on the old version until everybody has the new one."""

    before: Txn | None = None

    def _fold(self, event: orc.Journaled, now: float) -> None:
        if self.state.open is None:
            self.before = self.state.installed
        super()._fold(event, now)

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        if known.open is not None and known.open is known.installed and self.before is not None:
            seq = self.before.begun.seq
            self.state = replace(known, open=None, installed=self.before, decided_seq=seq)
        super()._welcome(hello, received, now)
        self.state = known


class EnablesQuarantined(Coordinator):
    """Enables whoever has the right version, whether it has re-joined or not."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        self.state = replace(known, quarantined=frozenset())
        super()._welcome(hello, received, now)
        self.state = known


class EnablesTheRetired(Coordinator):
    """Answers a device that is out of the fleet for good."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        self.state = replace(known, retired=frozenset())
        super()._welcome(hello, received, now)
        self.state = known


class EnablesInAReseed(Coordinator):
    """Says what the fleet is while it is finding that out."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        self.state = replace(known, reseeding=None)
        super()._welcome(hello, received, now)
        self.state = known


def lease_without_horizon(fleet: FleetState, _device: DeviceId, _received: float) -> float | None:
    """Issue a whole lease, whatever the journal says of how long it may run."""
    return fleet.lease_s


MUTANTS: Final[tuple[Mutant, ...]] = (
    coordinator(
        "enables-members",
        "no member of an open txn is enabled that does not show its yes",
        EnablesMembers,
        "I5",
        "I13",
        "I25",
    ),
    coordinator(
        "enables-on-the-old",
        "a COMMIT is the fleet's version from its record on",
        EnablesTheOld,
        "I5",
        "I13",
        "I25",
    ),
    coordinator(
        "enables-the-quarantined",
        "who is in quarantine is enabled after Rejoined",
        EnablesQuarantined,
        "I13",
        "I25",
    ),
    coordinator(
        "enables-the-retired",
        "who is retired is answered no more",
        EnablesTheRetired,
        "I13",
    ),
    coordinator(
        "enables-in-a-reseed",
        "nobody is enabled in a reseed",
        EnablesInAReseed,
        "I13",
        "I25",
    ),
    replaced(
        "leases-beyond-the-horizon",
        "no lease runs beyond the journal's horizon",
        ("orchestrator.protocol.answers", "lease_for", lease_without_horizon),
        "I5",
        "I13",
    ),
)
