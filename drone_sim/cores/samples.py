"""A small fleet for the cores: names, configurations, plans, owners."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from orchestrator.protocol.orchestration import Push, Timing
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Owner,
    Plan,
    Timeline,
    TxnId,
    Version,
)

FLEET: Final = FleetId("f")
CONFIG: Final = "aim_lock_config.conf"


def device_id(number: int) -> DeviceId:
    """Name the device of this number."""
    return DeviceId(f"d{number}")


def txn_id(number: int) -> TxnId:
    """Name the transaction of this number."""
    return TxnId(f"t{number}")


def digest(name: str) -> Digest:
    """Make a digest that a person can read: the cores only compare them."""
    return Digest(f"sha256:{name}")


def owner(name: str) -> Owner:
    """Name a process of this user."""
    return Owner(
        user=name,
        host="h",
        machine_id="m",
        boot_id="b",
        pid_namespace="n",
        pid=1,
        start_ticks=1,
        program="aimctl",
    )


def plan(
    txn: TxnId, base: Version, members: Collection[DeviceId], excused: Collection[DeviceId] = ()
) -> Plan:
    """Make the plan of ``txn``: every device has a configuration of its own in it."""
    return Plan(
        fleet=FLEET,
        config=CONFIG,
        base_version=base,
        bundle=digest(f"bundle-{txn}"),
        digests={device: digest(f"{txn}-{device}") for device in members},
        excused=tuple(excused),
    )


def encode(made: Plan) -> bytes:
    """Return a text that names everything :func:`decode` needs."""
    txn = made.bundle.removeprefix("sha256:bundle-")
    members, excused = ",".join(made.digests), ",".join(made.excused)
    return f"{txn} {made.base_version} {members} {excused}".encode()


def decode(data: bytes) -> Plan:
    """Return the plan that :func:`encode` was given; ValueError for anything else."""
    txn, base, members, excused = data.decode().split(" ")
    return plan(
        TxnId(txn),
        int(base),
        [DeviceId(name) for name in members.split(",")],
        [DeviceId(name) for name in excused.split(",") if name],
    )


def push(
    number: int,
    base: Version,
    members: Collection[DeviceId],
    excused: Collection[DeviceId] = (),
    spare: Mapping[DeviceId, Digest] | None = None,
) -> Push:
    """Make the goal of pushing transaction ``number`` on top of ``base``."""
    txn = txn_id(number)
    if spare is None:
        spare = {device: digest(f"{txn}-{device}") for device in excused}
    made = plan(txn, base, members, excused)
    return Push(txn=txn, plan=made, digest=digest(f"plan-{txn}"), spare=spare)


def timing(*, window_s: float | None = 0.5, settle_s: float = 2.0, join_s: float = 0.5) -> Timing:
    """Make the timing of a fleet that does not take long."""
    return Timing(window_s=window_s, clock_error_s=0.05, settle_s=settle_s, join_s=join_s)


def timeline(at: float = 0.0) -> Timeline:
    """Make the instants of a transaction that begins at ``at``."""
    return Timeline(vote_by=at + 1, hold_at=at + 1.1, activate_at=at + 1.2, clock_error_s=0.05)


def epoch(number: int) -> Epoch:
    """Return the epoch of this number, in the first incarnation."""
    return Epoch(1, number)
