"""Records, messages and disks in a line each, without what only machines need."""

from __future__ import annotations

from orchestrator.protocol.device import Durable
from orchestrator.protocol.messages import Message
from orchestrator.protocol.records import AbortRequested, LockTaken, Record

MORE = ("quarantined", "ticket", "answer", "lease_s", "devices")


def show_record(record: Record) -> str:
    """Show a record in a line, without what only machines need."""
    match record:
        case LockTaken():
            return f"lock_taken {record.state} by {record.owner.user} epoch {record.epoch}"
        case AbortRequested():
            return f"abort_requested {record.txn}"
    parts: list[str] = [record.kind]
    for name in ("txn", "device", "epoch", "seq", "outcome", "cause", "deferred", *MORE):
        value = getattr(record, name, None)
        if value not in (None, (), ""):
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            parts.append(text if name in {"txn", "device"} else f"{name}={text}")
    return " ".join(parts)


def show_message(message: Message) -> str:
    """Show a message in a line."""
    parts: list[str] = [message.kind]
    for name in ("txn", "epoch", "seq", "version", "last_seq", "enable", "yes", "outcome"):
        value = getattr(message, name, None)
        if value is not None:
            parts.append(str(value) if name == "txn" else f"{name}={value}")
    state = getattr(message, "state", None)
    if state is not None:
        parts.append(f"version={state.version} last_seq={state.last_seq}")
        parts += [f"prepared={state.prepared}"] if state.prepared else []
        parts += ["pending"] if state.pending else []
        parts.append(f"operating={state.operating}")
    reasons = getattr(message, "reasons", ())
    if reasons:
        parts.append(f"({'; '.join(reasons)})")
    return " ".join(parts)


def show_disk(disk: Durable) -> str:
    """Show a device's record in a line."""
    parts = [f"version={disk.version} last_seq={disk.last_seq} max_epoch={disk.max_epoch}"]
    parts += [f"prepared={disk.prepared.txn}"] if disk.prepared else []
    parts += ["pending"] if disk.pending else []
    parts += [f"{done.txn}={done.outcome}" for done in disk.finished[-1:]]
    return " ".join(parts)
