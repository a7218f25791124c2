"""All that is known of one device: what the journal has of it, and its own last word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import Txn
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.records import (
    Adopted,
    Ended,
    Entry,
    HeuristicDecided,
    HeuristicSettled,
    Rejoined,
    Retired,
)
from orchestrator.protocol.types import DeviceId, Digest, FleetId
from orchestrator.service import examination, reading
from orchestrator.service.examination import Heard
from orchestrator.service.results import DeviceWord, device_word
from orchestrator.service.world import World

_Retired = tuple[Retired | None, float | None]
_Word = tuple[HeuristicDecided | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """
    One device. Times are UTC in s.

    ``digest`` is the configuration that the fleet's version has for it, ``deferred`` the decided
    transactions that it has still to follow, ``horizon`` the instant beyond which no enable lease
    of it runs. ``agreement`` says how a person's word for it fits what was decided,
    ``contradiction`` what it knows that the journal lacks.
    """

    device: DeviceId
    found: Heard
    evidence: Evidence
    member: bool
    excused: bool
    digest: Digest | None
    deferred: tuple[Txn, ...]
    quarantined_since: float | None
    horizon: float | None
    retired: Retired | None
    retired_at: float | None
    heuristic: HeuristicDecided | None
    heuristic_at: float | None
    agreement: str | None
    contradiction: str | None

    @property
    def fleet(self) -> FleetId:
        """The fleet that it is of."""
        return self.found.state.fleet

    @property
    def told(self) -> DeviceState | None:
        """Its last word, ``None`` where it was not heard."""
        return self.evidence.state

    @property
    def word(self) -> DeviceWord:
        """What it is doing, in one word."""
        return device_word(self.evidence)

    def document(self, kind: str | None) -> dict[str, Any]:
        """Return the ``device`` document; ``kind`` is what the fleet's file says that it is."""
        retired, word, state = self.retired, self.heuristic, self.found.state
        return {
            "type": "device",
            "fleet": self.fleet,
            "device": self.device,
            "kind": kind,
            "fleet_version": state.version,
            "member": self.member,
            "excused": self.excused,
            "digest": self.digest,
            "deferred": [
                {"txn": txn.begun.txn, "seq": txn.begun.seq, "decision": txn.outcome}
                for txn in self.deferred
            ],
            "quarantined": self.device in state.quarantined,
            "quarantined_since": self.quarantined_since,
            "enable_lease_s": state.lease_s,
            "horizon": self.horizon,
            "retired": None
            if retired is None
            else {"by": str(retired.by), "reason": retired.reason, "at": self.retired_at},
            "heuristic": None
            if word is None
            else {
                "txn": word.txn,
                "outcome": word.outcome,
                "by": str(word.by),
                "reason": word.reason,
                "at": self.heuristic_at,
                "agreement": self.agreement,
            },
            "contradiction": self.contradiction,
            "asked": self.found.why is None,
            "why": self.found.why,
            "state": self.word,
            "online": self.evidence.online,
            "heard_at": self.evidence.at,
            "word": None if self.told is None else told_document(self.told),
        }


def told_document(told: DeviceState) -> dict[str, Any]:
    """Return what a device says that it is."""
    error_s = told.clock_error_s
    return {
        "version": told.version,
        "digest": told.digest,
        "operating": told.operating,
        "holds": list(told.holds),
        "last_seq": told.last_seq,
        "max_epoch": str(told.max_epoch),
        "prepared": told.prepared,
        "prepared_seq": told.prepared_seq,
        "pending": told.pending,
        "outcome_txn": told.outcome_txn,
        "outcome": told.outcome,
        "heuristic": told.heuristic,
        "clock_error_ms": None if error_s is None else round(error_s * 1e3, 3),
    }


async def open_dossier(
    world: World, fleet: FleetId, device: DeviceId, members: Sequence[DeviceId] = ()
) -> Dossier:
    """
    Read the journal, and ask the device; nothing is changed.

    Raises OperatingError where the store can't be read; a broker that is away is told in it.
    """
    found = await examination.hear(world, fleet, members, only=device)
    state, installed = found.state, found.state.installed
    (retired, retired_at), (word, word_at) = _said_of(found.entries, device)
    return Dossier(
        device=device,
        found=found,
        evidence=found.witness.of(device),
        member=installed is not None and device in installed.begun.digests,
        excused=installed is not None and device in installed.begun.excused,
        digest=state.digest_of(device),
        deferred=state.deferred.get(device, ()),
        quarantined_since=_quarantined_since(found.entries, device),
        horizon=state.horizons.get(device),
        retired=retired,
        retired_at=retired_at,
        heuristic=word,
        heuristic_at=word_at,
        agreement=reading.heuristic(state, device),
        contradiction=found.contradictions.get(device),
    )


def _said_of(entries: Sequence[Entry], device: DeviceId) -> tuple[_Retired, _Word]:
    """Return what people have last said of the device, and when."""
    retired: _Retired = (None, None)
    word: _Word = (None, None)
    for entry in entries:
        record = entry.record
        if isinstance(record, Retired) and record.device == device:
            retired = (record, entry.at)
        elif isinstance(record, HeuristicDecided) and record.device == device:
            word = (record, entry.at)
        elif isinstance(record, HeuristicSettled) and record.device == device:
            word = (None, None)
    return retired, word


def _quarantined_since(entries: Sequence[Entry], device: DeviceId) -> float | None:
    """Return since when the device is in quarantine, ``None`` where it is not."""
    since: float | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, Ended | Adopted) and device in record.quarantined:
            since = entry.at if since is None else since
        elif isinstance(record, Rejoined | Retired) and record.device == device:
            since = None
    return since
