"""What a verb would do to a lock: owner, evidence, votes, decision, who is in doubt, outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from orchestrator.service.reading import DeviceView, FleetView
from orchestrator.service.results import LockView

_WAITING: Final = frozenset({"prepared", "in-doubt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A lock, what its devices say right now, and what would be done to it."""

    view: LockView
    asked: FleetView
    would: str

    @property
    def votes(self) -> int | None:
        """How many members say that they have voted yes and wait, or have followed."""
        txn = self.view.txn
        if txn is None or not self.asked.asked:
            return None
        return sum(
            device.state in _WAITING or device.version == txn.begun.seq
            for name, device in self.asked.devices.items()
            if name in txn.begun.digests
        )

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Who waits for the decision."""
        if self.view.txn is None:
            return ()
        return tuple(n for n, device in self.asked.devices.items() if device.state in _WAITING)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """The members that are not heard to have followed what is or would be decided."""
        txn = self.view.txn
        if txn is None:
            return ()
        commit = txn.outcome is not None and txn.outcome.value == "commit"
        version = txn.begun.seq if commit else txn.begun.base_version
        devices = self.asked.devices
        return tuple(n for n in txn.begun.digests if not _at(devices.get(n), version))

    def document(self) -> dict[str, Any]:
        """Return what the documents of all dry runs have in common."""
        found = self.view.document()
        return {
            "fleet": self.view.fleet,
            "lock": found,
            "dry_run": True,
            "txn": found["txn"],
            "decision": None if self.view.txn is None else self.view.txn.outcome,
            "votes": self.votes,
            "in_doubt": list(self.in_doubt),
            "devices": {name: device.state for name, device in self.asked.devices.items()},
            "asked": self.asked.asked,
            "message": self.would,
        }


def _at(device: DeviceView | None, version: int) -> bool:
    if device is None or device.state in _WAITING:
        return False
    return device.version == version
