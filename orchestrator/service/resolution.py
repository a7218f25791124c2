"""What became of a lock that was resolved, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orchestrator.errors import Exit
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.reseed import Doubtful
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, FleetId
from orchestrator.service.results import DeviceWord, LockView, device_word, txn_document

NAMED_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """
    What became of a fleet's lock and open transaction.

    ``before`` is the lock as it was found; ``txn`` the transaction that was driven, if there was
    one; ``deferred`` who has still not followed a decision, ``quarantined`` who has to re-join;
    ``timing_ms`` the parts.
    """

    fleet: FleetId
    before: LockView
    action: str
    txn: Txn | None
    deferred: tuple[DeviceId, ...]
    quarantined: tuple[DeviceId, ...] = ()
    devices: dict[DeviceId, DeviceWord] = field(default_factory=dict)
    timing_ms: dict[str, float] = field(default_factory=dict)
    exit_code: Exit = Exit.DONE
    message: str = ""
    next_command: str | None = None

    def document(self, kind: str) -> dict[str, Any]:
        """Return the document of the verb that is its ``kind``."""
        return {
            "type": kind,
            "fleet": self.fleet,
            "lock": self.before.document(),
            "action": self.action,
            "txn": None if self.txn is None else txn_document(self.txn),
            "decision": None if self.txn is None else self.txn.outcome,
            "deferred": list(self.deferred),
            "quarantined": list(self.quarantined),
            "devices": dict(self.devices),
            "timing_ms": dict(self.timing_ms),
            "message": self.message,
            "next": self.next_command,
        }


def resolved(
    coordinator: Coordinator, before: LockView, action: str, timing_ms: dict[str, float]
) -> Resolution:
    """Say what a coordinator has come to."""
    state = coordinator.state
    resolution = Resolution(
        fleet=state.fleet,
        before=before,
        action=action,
        txn=coordinator.finished or _as_it_is_now(state, before.txn),
        deferred=tuple(sorted(state.deferred)),
        quarantined=tuple(sorted(state.quarantined)),
        devices={d: device_word(e) for d, e in sorted(coordinator.witness.devices.items())},
        timing_ms=timing_ms,
    )
    return _with_words(resolution, coordinator)


def _as_it_is_now(state: FleetState, before: Txn | None) -> Txn | None:
    if before is None:
        return None
    known = {txn.begun.txn: txn for txn in state.known_txns()}
    return known.get(before.begun.txn, before)


def _with_words(found: Resolution, coordinator: Coordinator) -> Resolution:
    code, message, following = _ending(found, coordinator)
    if found.txn is not None and found.txn.outcome is not None:
        message = f"txn {found.txn.begun.seq}: {found.txn.outcome.value.upper()}; {message}"
    return replace(found, exit_code=code, message=message, next_command=following)


def _ending(found: Resolution, coordinator: Coordinator) -> tuple[Exit, str, str | None]:
    """Return the exit code, what has happened, and the next command."""
    recover = f"aimctl recover --fleet {found.fleet}"
    if coordinator.phase is Phase.FENCED:
        why = "fenced: somebody else has taken the lock meanwhile"
        return Exit.FENCED, why, "aimctl lock list"
    if coordinator.phase in {Phase.UNKNOWN, Phase.STOPPED}:
        return Exit.UNKNOWN, "the store went away before the end was stored", recover
    if coordinator.doubtful is not None:
        return _unheard(found.fleet, coordinator.doubtful)
    if coordinator.contradiction is not None:
        reseed = f"aimctl reseed --fleet {found.fleet} --dry-run"
        return Exit.UNKNOWN, contradicted(coordinator.contradiction), reseed
    waiting = sorted({*found.deferred, *found.quarantined})
    if waiting:
        away = named(found.quarantined)
        quarantined = f" (in quarantine: {away})" if away else ""
        message = f"not settled yet on: {named(waiting)}{quarantined}"
        return Exit.ACTIVATING, message, _way_back(coordinator.state, found.fleet) or recover
    code, message = _whole(found, coordinator)
    leased = code is Exit.ACTIVATING and coordinator.state.lease_s is not None
    return code, message, f"aimctl serve --fleet {found.fleet}" if leased else None


def _way_back(state: FleetState, fleet: FleetId) -> str | None:
    """Return what brings a device back whose configuration a reseed could not learn: a push."""
    installed = state.installed
    lost = installed is not None and installed.begun.bundle == NOT_KNOWN
    unknown = [device for device in state.quarantined if state.digest_of(device) is None]
    return f"aimctl push CONFIG --fleet {fleet}" if lost and unknown else None


def _unheard(fleet: FleetId, doubtful: Doubtful) -> tuple[Exit, str, str | None]:
    """Say what a reseed still has to hear, and that it goes on from there."""
    txns = ", ".join(doubtful.txns)
    again = f"aimctl reseed --fleet {fleet} --reason TEXT --confirm {fleet}"
    if doubtful.unheard:
        why = f"who may know how {txns} ended was not heard: {named(doubtful.unheard)}"
        way = "run it again when they are back, or give them up: aimctl devices retire ID"
    else:
        why = f"nobody knows any more how {txns} ended, and {named(doubtful.waiting)} waits for it"
        way = "give up who waits (aimctl devices retire ID), and run it again"
    return Exit.ACTIVATING, f"the reseed can't end: {why}; the lock stays taken: {way}", again


def named(devices: Sequence[DeviceId]) -> str:
    """Return the names, the first of them where there are many."""
    return ", ".join(devices[:NAMED_MAX]) + (" ..." if len(devices) > NAMED_MAX else "")


def contradicted(why: str) -> str:
    """Say that the store can't be this fleet's, or not the latest of it."""
    return f"the store was rolled back, or is not this fleet's: {why}"


def _whole(found: Resolution, coordinator: Coordinator) -> tuple[Exit, str]:
    """Say that the fleet is whole only where every member was heard to operate its version."""
    state = coordinator.state
    installed = () if state.installed is None else tuple(state.installed.begun.digests)
    members = [device for device in installed if device not in state.retired]
    version = state.version
    unheard = [d for d in members if not coordinator.witness.settled(d, state)]
    if not unheard:
        return Exit.DONE, f"the lock is free and the fleet is whole, at version {version}"
    code = Exit.ACTIVATING if found.action == "settled" else Exit.DONE
    return code, f"the lock is free; not heard to operate version {version} yet: {named(unheard)}"
