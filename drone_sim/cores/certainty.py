"""I25 as seen from inside a device: when it may become sure that it is at the fleet's version."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.protocol import device as dev
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.messages import Welcome
from orchestrator.protocol.participant import Participant


def rash(
    core: Participant, unsure: Holding | None, event: dev.Event, disk: Durable, now: float
) -> Iterator[Violation]:
    """
    Yield where a device is sure that it is at the fleet's version and cannot know it (I25).

    It may become sure only by a WELCOME that names its very version, digest and last_seq; a
    doubt that ends after ``activate_at`` makes it unsure.
    """
    if core.operation.unconfirmed is not None:
        return
    name, after = disk.device, core.durable
    was = disk.prepared
    late = was is not None and core.operation.reached(was.timeline.activate_at, now)
    if was is not None and after.prepared is None and late:
        yield Violation(id="I25", text=f"{name} is sure of what it learned late of {was.txn}")
    message = event.message if isinstance(event, dev.Arrived) else None
    if unsure is None:
        return
    mine = (after.version, after.digest, after.last_seq)
    if not isinstance(message, Welcome):
        yield Violation(id="I25", text=f"{name} is sure of {mine} unasked")
    elif not message.enable or mine != (message.version, message.digest, message.last_seq):
        yield Violation(id="I25", text=f"{name} is sure of {mine} after {message}")
