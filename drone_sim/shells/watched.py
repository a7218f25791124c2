"""A store that is watched: what a process learns of its own appends, for I24."""

from __future__ import annotations

from collections.abc import Sequence

from drone_sim.shells.truth import Truth
from orchestrator.ports import Conflict, OutcomeUnknown, Store
from orchestrator.protocol.records import Entry, Record
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
        self._lost: tuple[int, tuple[Record, ...]] | None = None
        self._store = store
        self.touch = store.touch
        self.leases = store.leases
        self.fleets = store.fleets
        self.put_blob = store.put_blob
        self.get_blob = store.get_blob
        self.extend_leases = store.extend_leases
        self.close = store.close

    async def append(
        self, fleet: FleetId, expected_head: int, records: Sequence[Record]
    ) -> Sequence[Entry]:
        """Append."""
        try:
            return await self._store.append(fleet, expected_head, records)
        except Conflict:
            self._truth.checker.count("conflict")
            raise
        except OutcomeUnknown:
            self._lost = expected_head, tuple(records)
            self._truth.checker.answer_lost(self._name)
            raise

    async def read(self, fleet: FleetId, after: int = 0) -> Sequence[Entry]:
        """Read."""
        entries = await self._store.read(fleet, after)
        if self._lost is not None:
            head, records = self._lost
            if after <= head:
                found = [entry.record for entry in entries[head - after :][: len(records)]]
                self._lost = None
                self._truth.checker.read_back(self._name, written=found == list(records))
        return entries
