"""One valid message of each kind, as it would be seen on fleet ``hazard-12``: for documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Heuristic,
    Message,
    Prepare,
    Presence,
    Report,
    Vote,
    Want,
    Welcome,
)
from orchestrator.protocol.types import DeviceId, Digest, Epoch, FleetId, Outcome, Timeline, TxnId

FLEET: Final = FleetId("hazard-12")
DEVICE: Final = DeviceId("d-01")
TXN: Final = TxnId("t18-7f3k")
EPOCH: Final = Epoch(1, 41)

_CONFIG_BYTES: Final = b'{"schema":1}'
_CONFIG: Final = Digest(f"sha256:{sha256(_CONFIG_BYTES).hexdigest()}")
_OLD: Final = Digest(f"sha256:{sha256(b'old').hexdigest()}")
_PLAN: Final = Digest(f"sha256:{sha256(b'plan').hexdigest()}")
_BOOT: Final = "b-9c41"
_BEGUN_AT: Final = 1_700_000_000.0

_STATE: Final = DeviceState(
    version=17,
    digest=_OLD,
    last_seq=17,
    max_epoch=EPOCH,
    prepared=None,
    pending=False,
    outcome_txn=TxnId("t17-02mq"),
    outcome=Outcome.COMMIT,
    operating=17,
    holds=(),
    clock_error_s=0.004,
    staging_s=0.002,
    activated_at=_BEGUN_AT - 3600.0,
    hold_s=0.1,
    prepared_seq=None,
    prepared_plan=None,
    prepared_digest=None,
    outcome_seq=17,
    heuristic=None,
    leased=False,
)
_IN_DOUBT: Final = replace(
    _STATE,
    prepared=TXN,
    prepared_seq=18,
    prepared_plan=_PLAN,
    prepared_digest=_CONFIG,
    heuristic=Outcome.ABORT,
)
"""It does not know what was decided, and goes on with its old version on a person's word."""

EXAMPLES: Final[Mapping[str, Message]] = {
    message.kind: message
    for message in (
        Hello(device=DEVICE, boot=_BOOT, nonce=3, sent_at_device_s=812.25, state=_STATE),
        Vote(device=DEVICE, txn=TXN, seq=18, epoch=EPOCH, plan=_PLAN, yes=True),
        Report(device=DEVICE, boot=_BOOT, number=4, state=_IN_DOUBT),
        Ask(device=DEVICE, txn=TXN, seq=18),
        Want(device=DEVICE, txn=TXN, digest=_CONFIG),
        Presence(device=DEVICE, online=True),
        Fence(epoch=EPOCH),
        Welcome(
            boot=_BOOT,
            nonce=3,
            sent_at_device_s=812.25,
            received_at=_BEGUN_AT - 20.0,
            sent_at=_BEGUN_AT - 19.999,
            epoch=EPOCH,
            version=17,
            digest=_OLD,
            last_seq=17,
            enable=True,
            clock_error_s=0.05,
            lease_s=15.0,
        ),
        Prepare(
            txn=TXN,
            seq=18,
            epoch=EPOCH,
            base_version=17,
            config="aim_lock_config.conf",
            plan=_PLAN,
            digests=(_CONFIG,),
            timeline=Timeline(
                vote_by=_BEGUN_AT + 2.0,
                hold_at=_BEGUN_AT + 2.1,
                activate_at=_BEGUN_AT + 2.2,
                clock_error_s=0.05,
            ),
        ),
        Decision(txn=TXN, seq=18, epoch=EPOCH, plan=_PLAN, outcome=Outcome.COMMIT),
        CatchUp(
            txn=TXN,
            epoch=EPOCH,
            version=18,
            digest=_CONFIG,
            config="aim_lock_config.conf",
            last_seq=18,
            activate_at=_BEGUN_AT + 2.2,
        ),
        Heuristic(txn=TXN, outcome=Outcome.ABORT),
        Blob(txn=TXN, digest=_CONFIG, data=_CONFIG_BYTES),
    )
}
