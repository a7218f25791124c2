"""The life of a device's slots as a script, and the records that it goes through."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from drone_sim.disk import CrashDisk
from orchestrator.agent.os_disk import OsDisk
from orchestrator.agent.slots import Slots, open_slots
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
HOME = Path("/state/d-01")


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


def worded(outcome: Outcome) -> list[Write]:
    """
    The writes of a device that takes a person's word for its second version: COMMIT.

    ``outcome`` is what is decided then.
    """
    first = transaction(Durable(fleet=FLEET, device=DEVICE), 1)
    runs = first[-1]
    assert isinstance(runs, Save)
    stage, yes, decided, activated = transaction(runs.durable, 2)
    assert isinstance(yes, Save)
    word = Save(durable=replace(yes.durable, heuristic=Outcome.COMMIT))
    if outcome is Outcome.COMMIT:
        return [*first, stage, yes, word, decided, activated]
    done = Finished(txn=TxnId("t2"), seq=2, outcome=Outcome.ABORT)
    finished = (*runs.durable.finished, done)
    aborted = replace(yes.durable, prepared=None, last_seq=2, finished=finished)
    return [*first, stage, yes, word, Save(durable=aborted)]


def opened(disk: CrashDisk | OsDisk, home: Path = HOME) -> Slots:
    """The slots of the device of the histories."""
    return open_slots(disk, home, fleet=FLEET, device=DEVICE)


def perform(slots: Slots, writes: list[Write]) -> None:
    """Do all writes in order."""
    for write in writes:
        slots.perform(write)
