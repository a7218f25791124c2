"""The life of a device's slots as a script, and the records that it goes through."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from orchestrator.agent.slots import Slots
from orchestrator.protocol.device import Durable, Finished, Pending, Prepared, Save, Stage, Write
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Timeline,
    TxnId,
)

FLEET = FleetId("f")
DEVICE = DeviceId("d-01")
CONFIG = "aim_lock_config.conf"


def digest_of(data: bytes) -> Digest:
    """The digest of bytes."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def config(number: int) -> bytes:
    """Bytes of about the size of a real configuration."""
    return f"configuration {number}; ".encode() * 100


def prepared(number: int) -> Prepared:
    """The promise of transaction ``number``."""
    timeline = Timeline(vote_by=1.5, hold_at=2, activate_at=2.25, clock_error_s=0.05)
    return Prepared(
        txn=TxnId(f"t{number}"),
        seq=number,
        epoch=Epoch(1, 2 * number),
        plan=digest_of(b"plan"),
        digest=digest_of(config(number)),
        config=CONFIG,
        timeline=timeline,
    )


def transaction(before: Durable, number: int) -> list[Write]:
    """All that a device writes in one transaction: staged, prepared, decided, activated."""
    promise = prepared(number)
    yes = replace(before, known=True, prepared=promise, max_epoch=promise.epoch)
    done = Finished(txn=promise.txn, seq=number, outcome=Outcome.COMMIT)
    decided = replace(
        yes,
        prepared=None,
        last_seq=number,
        version=number,
        digest=promise.digest,
        config=CONFIG,
        finished=(*before.finished, done),
        pending=Pending(
            hold_at=2.0,
            activate_at=2.25,
            clock_error_s=0.05,
            previous_version=before.version,
            previous_digest=before.digest,
        ),
    )
    return [
        Stage(digest=promise.digest, data=config(number)),
        Save(durable=yes),
        Save(durable=decided),
        Save(durable=replace(decided, pending=None)),
    ]


def history(transactions: int) -> list[Write]:
    """The writes of a device's first transactions."""
    durable = Durable(fleet=FLEET, device=DEVICE)
    writes: list[Write] = []
    for number in range(1, transactions + 1):
        writes += transaction(durable, number)
        last = writes[-1]
        assert isinstance(last, Save)
        durable = last.durable
    return writes


def perform(slots: Slots, writes: list[Write]) -> None:
    """Do all writes in order."""
    for write in writes:
        slots.perform(write)
