"""
The way out of a store that was rolled back: a new incarnation, and what the devices know (§6).

A backup, a lying disk or a failover may lose the end of a journal, and with it a decision that
devices have recorded. Nothing can be decided from such a journal. A reseed

1. takes the lock in a new incarnation, whose epochs are above all old ones, and goes on above the
   highest sequence number that any device reports (:func:`begin`);
2. fences every member into it: whoever has acknowledged takes no decision of the old incarnation
   any more, holds until it is told what the fleet's version is, and has told what it knows;
3. adopts that (:func:`adopt`): a recorded COMMIT or ABORT is the decision; a transaction about
   which nobody knows more than a doubt is aborted, once every member was heard or retired by
   name; until then it stays open, and those who were not heard are quarantined.

Under lost durable writes agreement is detected to be in danger; no protocol without a quorum of
devices can do more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.records import (
    Adopted,
    Decided,
    LockState,
    LockTaken,
    Record,
    Relisted,
    Reseeded,
    Verb,
)
from orchestrator.protocol.types import (
    NOT_KNOWN,
    DeviceId,
    Digest,
    Epoch,
    Outcome,
    Owner,
    TxnId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """
    The reseed can't end: nobody that was heard knows how ``txns`` ended.

    ``unheard`` must be heard, or retired by name, first. Where that is nobody, ``waiting`` are in
    doubt about what others have left behind and can't tell any more: those must be retired.
    """

    txns: tuple[TxnId, ...]
    unheard: tuple[DeviceId, ...]
    waiting: tuple[DeviceId, ...] = ()


def begin(
    state: FleetState,
    told: Mapping[DeviceId, DeviceState],
    by: Owner,
    reason: str,
    members: Collection[DeviceId] = (),
) -> tuple[Record, ...]:
    """
    Return the first append of a reseed, from what the devices have ``told`` at the roll call.

    ``members`` are those of the fleet's file. The caller then drives it with the goal Resolve
    under the epoch of its ``LockTaken``.
    """
    heard = list(told.values())
    highest = max((one.max_epoch for one in heard), default=state.lock.epoch)
    epoch = max(highest, state.lock.epoch).reborn()
    taken = LockTaken(
        epoch=epoch,
        state=LockState.RESOLVING,
        owner=by,
        purpose=Verb.RESEED.value,
        reason=reason,
    )
    begun = Reseeded(
        epoch=epoch,
        last_seq=max((_highest_seq(one) for one in heard), default=0),
        by=by,
        reason=reason,
        members=tuple(sorted({*told, *members})),
    )
    return (taken, begun)


def _highest_seq(told: DeviceState) -> int:
    return max(told.last_seq, told.version, told.prepared_seq or 0)


def to_be_heard(state: FleetState, members: Collection[DeviceId]) -> tuple[DeviceId, ...]:
    """Return everybody who may know how a lost transaction ended; those retired are given up."""
    txns = [txn for txn in (state.installed, state.open) if txn is not None]
    named = {device for txn in txns for device in txn.begun.digests}
    named |= set() if state.reseeding is None else set(state.reseeding.members)
    away = {*state.deferred, *state.quarantined, *state.outside}
    return tuple(sorted({*named, *members, *away} - state.retired))


def adopt(
    state: FleetState,
    epoch: Epoch,
    witness: Witness,
    unheard: tuple[DeviceId, ...],
    config: str,
) -> tuple[Record, ...] | Doubtful:
    """
    Return the append that ends the reseed, or what can't be known yet.

    ``unheard`` have not acknowledged the new incarnation; ``config`` is the name of the fleet's
    configuration.
    """
    told = {
        device: evidence.state
        for device, evidence in witness.devices.items()
        if evidence.state is not None
        and witness.heard_in(device, epoch)
        and device not in state.retired  # given up by name, whatever it may know
    }
    found = [_fate(txn, seq, told, unheard) for txn, seq in _in_question(state, told).items()]
    doubtful = tuple(fate.txn for fate in found if fate.outcome is None)
    if doubtful:
        waiting = tuple(device for device, one in told.items() if one.prepared in doubtful)
        return Doubtful(txns=doubtful, unheard=unheard, waiting=waiting)
    mine = {txn.begun.txn for txn in state.known_txns()}
    lost = [fate for fate in found if fate.txn not in mine]
    adopted = Adopted(
        epoch=epoch,
        last_seq=max((_highest_seq(one) for one in told.values()), default=0),
        relisted=tuple(_relist(fate, state, told, config) for fate in lost),
        quarantined=unheard,
    )
    if state.open is None or state.open.decided is not None:
        return (adopted,)
    own = next(fate for fate in found if fate.txn == state.open.begun.txn)
    outcome = own.outcome or Outcome.ABORT
    decided = Decided(txn=own.txn, epoch=epoch, outcome=outcome, cause=f"reseed: {own.why}")
    return (adopted, decided)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What the devices say became of a transaction; ``outcome`` is ``None`` where none can."""

    txn: TxnId
    seq: int
    outcome: Outcome | None
    why: str = ""


def _in_question(state: FleetState, told: Mapping[DeviceId, DeviceState]) -> dict[TxnId, int]:
    """Return what is undecided here, what devices doubt, and the version that they are at."""
    known = {txn.begun.txn: txn for txn in state.known_txns()}
    found: dict[TxnId, int] = {}
    if state.open is not None and state.open.decided is None:
        found[state.open.begun.txn] = state.open.begun.seq
    for one in told.values():
        doubted = None if one.prepared is None else known.get(one.prepared)
        if one.prepared is not None and (doubted is None or doubted.decided is None):
            found[one.prepared] = one.prepared_seq or 0
    newest = max((one.version for one in told.values()), default=0)
    if newest > state.version:
        found.setdefault(_name_of(newest, told, known), newest)
    return found


def _name_of(
    version: int, told: Mapping[DeviceId, DeviceState], known: Mapping[TxnId, Txn]
) -> TxnId:
    """
    Return the transaction that installed ``version``, or a name for it if nobody says more.

    A rolled-back journal may have aborted what its devices had committed: that decision stands
    (I2), and the version that they are at nevertheless gets a name of its own.
    """
    for one in told.values():
        name = one.outcome_txn
        decided = name is not None and name in known and known[name].decided is not None
        if one.outcome_seq == version and name is not None and not decided:
            return name
    return _lost_name(version)


def _lost_name(version: int) -> TxnId:
    return TxnId(f"lost-{version}")


def _fate(
    txn: TxnId,
    seq: int,
    told: Mapping[DeviceId, DeviceState],
    unheard: Collection[DeviceId],
) -> _Fate:
    for device, one in sorted(told.items()):
        if one.outcome_txn == txn and one.outcome is not None:
            why = f"{device} has recorded it"
            return _Fate(txn=txn, seq=seq, outcome=one.outcome, why=why)
    for device, one in sorted(told.items()):
        if one.version == seq and not _by_another(one, txn, seq):
            why = f"{device} is at version {seq}"
            return _Fate(txn=txn, seq=seq, outcome=Outcome.COMMIT, why=why)
    # Who has gone on to a later version may have recorded a COMMIT of this one before, and can't
    # tell any more. It matters to whoever is still in doubt about it, and to nobody else.
    gone_on = [device for device, one in told.items() if one.version > seq]
    waiting = [device for device, one in told.items() if one.prepared == txn]
    if unheard or (gone_on and waiting):
        return _Fate(txn=txn, seq=seq, outcome=None)
    why = "every member was heard, and none has recorded COMMIT"
    if gone_on:
        why = "every member was heard, none waits for it, and later ones were committed"
    return _Fate(txn=txn, seq=seq, outcome=Outcome.ABORT, why=why)


def _by_another(told: DeviceState, txn: TxnId, seq: int) -> bool:
    """Whether a device is at version ``seq`` by another transaction of the same number."""
    named = told.outcome_txn if told.outcome_seq == seq else None
    return named not in (None, txn) and txn != _lost_name(seq)


def _relist(
    fate: _Fate, state: FleetState, told: Mapping[DeviceId, DeviceState], config: str
) -> Relisted:
    waiting = tuple(sorted(device for device, one in told.items() if one.prepared == fate.txn))
    plans = [told[device].prepared_plan for device in waiting]
    at_it = fate.outcome is Outcome.COMMIT
    known = {
        device: digest
        for device, one in sorted(told.items())
        if at_it and (digest := _digest_in(fate, one)) is not None
    }
    return Relisted(
        txn=fate.txn,
        seq=fate.seq,
        outcome=fate.outcome or Outcome.ABORT,
        config=config,
        plan=next((plan for plan in plans if plan is not None), NOT_KNOWN),
        digests={**_planned(fate, state, known), **known},
        waiting=waiting,
    )


def _planned(
    fate: _Fate, state: FleetState, known: Mapping[DeviceId, Digest]
) -> Mapping[DeviceId, Digest]:
    """
    Return the configurations of a lost version as the journal had planned it.

    It has lost the decision and kept the plan: then whoever lacks the version can be caught up. It
    is the same plan if it says of every device that has the version what the device says.
    """
    for txn in state.known_txns():
        planned = txn.begun.digests
        same = all(planned.get(device) == digest for device, digest in known.items())
        if known and same and txn.begun.seq == fate.seq:
            return {one: planned[one] for one in sorted(planned) if one not in state.retired}
    return {}


def _digest_in(fate: _Fate, told: DeviceState) -> Digest | None:
    """Return the configuration that a device has, or will have, in a lost version."""
    if told.prepared == fate.txn:
        return told.prepared_digest
    return told.digest if told.version == fate.seq else None
