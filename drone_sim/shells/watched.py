"""A store that is watched: what a process learns from it, for I14, I21 and I24."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drone_sim.shells.truth import Truth
from orchestrator.ports import Claim, Conflict, Lease, OutcomeUnknown, Store
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import FleetId


class WatchedStore:
    """
    :class:`orchestrator.ports.Store` of one process: tells when an answer was lost, and read back.

    An append whose answer was lost is read back at its head; what is there says whether it was
    written.
    """

    def __init__(self, store: Store, truth: Truth, process: str) -> None:
        self._truth = truth
        self._name = process
        self._lost: tuple[Head, tuple[Record, ...]] | None = None
        self._store = store
        self.touch = store.touch
        self.fleets = store.fleets
        self.put_blob = store.put_blob
        self.get_blob = store.get_blob
        self.extend_leases = store.extend_leases
        self.close = store.close

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """Append."""
        try:
            return await self._store.append(fleet, expected, records)
        except Conflict:
            self._truth.checker.count("conflict")
            raise
        except OutcomeUnknown:
            self._lost = expected, tuple(records)
            self._truth.checker.answer_lost(self._name)
            raise

    async def read(self, fleet: FleetId, after: Head = START) -> Sequence[Entry]:
        """Read."""
        entries = await self._store.read(fleet, after)
        self._truth.checker.has_read(self._name, after.index + len(entries))
        if self._lost is not None:
            head, records = self._lost
            if after.index <= head.index:
                asked = entries[head.index - after.index :][: len(records)]
                found = [entry.record for entry in asked]
                self._lost = None
                self._truth.checker.read_back(self._name, written=found == list(records))
        return entries

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        """Return every lease of the fleet."""
        found = await self._store.leases(fleet)
        self._truth.checker.leases_are(found.values())
        return found
