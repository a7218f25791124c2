"""
Who works under a lock: nobody who knows that it is lost, nobody who can't renew it (I14, I21).

A process that has not noticed yet that its lock was taken is a zombie: it may say what it likes,
the epoch makes it harmless. But a process that has itself read the record by which it was taken
stops; and one that could not renew for STOP_S stops before anybody else may take over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drone_sim.checker.ledger import Ledger
from drone_sim.checker.truth import Process, Truth
from drone_sim.scenario.model import Verb
from orchestrator.ports import Claim, Lease, Stamp
from orchestrator.protocol.messages import CatchUp, Fence, Message, Prepare
from orchestrator.protocol.types import Epoch

STOP_S: Final = 10.0
"""A holder stops itself so long after its last renewal (DESIGN §6)."""

ENDS_S: Final = 15.0
"""
A driver that stops has ended so much later: an append's patience (8 s), and what is on its way
(2 s), with some room. So before TTL and grace are over.
"""

COMMAND_ENDS_S: Final = 6.0
"""A command that is run under the lock has 5 s to end by itself, and then is killed."""

TELLS_ON_S: Final = 0.2
"""What is on its way when a process reads something still leaves, or arrives, unchanged."""


class Holders:
    """Keeps what each process has read of the lock, and looks at those who hold it."""

    def __init__(self, truth: Truth, ledger: Ledger) -> None:
        self._truth = truth
        self._ledger = ledger
        self._read: dict[str, list[tuple[float, Epoch]]] = {}
        """Which epochs each process has read, and when first; rising."""
        self._seen: dict[Claim, tuple[Stamp, float]] = {}
        """The stamp of each lease when it was last shown, and when that was."""
        slow_s = [one.amount for one in truth.scenario.acts if one.verb is Verb.STORE_SLOW]
        self._patience_s = TELLS_ON_S + 2 * max(slow_s, default=0.0)

    def has_read(self, process: str, head: int) -> None:
        """Take that a process has read the journal up to ``head``."""
        epochs = self._ledger.epochs
        if head >= len(epochs):
            return  # a journal that the store has lost since
        known = self._read.setdefault(process, [])
        if not known or epochs[head] > known[-1][1]:
            known.append((self._truth.now_s, epochs[head]))

    def restored(self) -> None:
        """Take that the journal is another one: what was read of the old one is void."""
        self._read.clear()
        self._seen.clear()

    def resumed(self, process: Process) -> None:
        """Take that a process goes on: it needs a moment to obey what it had read."""
        process.resumed_s = self._truth.now_s
        known = self._read.get(process.name, [])
        self._read[process.name] = [(self._truth.now_s, epoch) for _, epoch in known[-1:]]

    def said(self, sender: str, message: Message) -> None:
        """I14: what is told under a lock is not told by who has read that it is lost."""
        if not isinstance(message, Prepare | Fence | CatchUp):
            return
        if isinstance(message, Fence) and not message.epoch.number:
            return  # a roll call, by nobody in particular
        for at_s, epoch in self._read.get(sender, ()):
            if epoch > message.epoch and at_s + self._patience_s < self._truth.now_s:
                text = f"{sender}: {message.kind} under epoch {message.epoch}"
                self._truth.blame("I14", f"{text}, it has read of {epoch} at {at_s:.2f}")
                return

    def leases_are(self, leases: Iterable[Lease]) -> None:
        """I21: a lease whose stamp is another one now was renewed by its owner meanwhile."""
        for lease in leases:
            row, before = self._ledger.rows.get(lease.claim), self._seen.get(lease.claim)
            self._seen[lease.claim] = (lease.renewed, self._truth.now_s)
            if row is None or row.lost or before is None or before[0] == lease.renewed:
                continue
            if row.since_s + self._patience_s < before[1]:
                text = f"the lease {lease.claim} of {lease.owner} was renewed, not by its owner"
                self._truth.blame("I21", f"{text}, who last did at {row.since_s:.2f}")

    def look(self) -> None:
        """I14: who could not renew its lock for long has ended."""
        lock = self._ledger.lock
        row, process = self._ledger.rows.get(lock.epoch), self._truth.process_of(lock.owner)
        if row is None or row.lost or process is None or not process.runs:
            return
        since_s = max(row.since_s, process.resumed_s)
        silent_s = self._truth.now_s - since_s
        ends_s = COMMAND_ENDS_S if process.verb is Verb.HOLD_LOCK else ENDS_S
        if process.verb is not Verb.SERVE and silent_s > STOP_S + ends_s:
            text = f"{process.name} holds {lock.epoch}, and has not renewed it"
            self._truth.blame("I14", f"{text} for {silent_s:.1f} s: it had to stop itself")
