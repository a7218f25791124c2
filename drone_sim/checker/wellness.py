"""
Whether everybody is well once the faults are over (I6), and a healthy push commits (I4).

Well is: nothing is open, the lock is free and nobody waits for it, nobody is deferred, in
quarantine, in doubt or on a person's word, no store is lost, and every device that is not retired
is up and operates the fleet's version with its own bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from drone_sim.checker.budgets import LIVENESS_S
from drone_sim.checker.ledger import Ledger
from drone_sim.checker.truth import Device, Truth
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, Outcome, Owner, TxnId


class Wellness:
    """Asks for I6 and I4."""

    def __init__(self, truth: Truth, ledger: Ledger) -> None:
        self._truth = truth
        self._ledger = ledger
        self._began_s: float | None = None
        self._well = False

    def begin(self) -> None:
        """Start the clock of I6."""
        self._began_s = self._truth.now_s

    def unwell(self) -> tuple[str, ...]:
        """Say what is not well yet."""
        found = (*self._of_the_fleet(), *self._of_devices())
        self._well = self._well or not found
        return found

    def overdue(self) -> bool:
        """Whether nobody has been well in time since the faults ended."""
        if self._began_s is None or self._well:
            return False
        allowed_s = min(self._truth.scenario.liveness_s, LIVENESS_S)
        return self._truth.now_s > max(self._began_s, self._activates_s()) + allowed_s

    def _activates_s(self) -> float:
        """Return when the last transaction activates: who measured a slow store waits for long."""
        found = (self._truth.fleet.open, self._truth.fleet.installed)
        instants = [txn.begun.timeline.activate_at for txn in found if txn is not None]
        return max((self._truth.story(at) for at in instants), default=0.0)

    def _of_the_fleet(self) -> Iterator[str]:
        fleet = self._truth.fleet
        lock = fleet.lock
        if lock.state is not LockState.FREE:
            yield f"the lock is {lock.state}, by {lock.owner}"
        if fleet.open is not None:
            yield f"{fleet.open.begun.txn} is open, {fleet.open.outcome or 'undecided'}"
        if any(self._waits(waiter.owner) for waiter in lock.waiters):
            yield "somebody waits for the lock"
        if fleet.reseeding is not None:
            yield "a reseed has not ended"
        for what, names in (
            ("deferred", fleet.deferred),
            ("in quarantine", fleet.quarantined),
            ("on a person's word", fleet.heuristics),
        ):
            left = sorted(name for name in names if not self._excused(name))
            if left:
                yield f"{what}: {', '.join(left)}"

    def _excused(self, name: DeviceId) -> bool:
        """Whether a device is retired, or left out of a version that a store has lost."""
        fleet = self._truth.fleet
        left_out = name in fleet.quarantined and fleet.version and fleet.digest_of(name) is None
        return name in fleet.retired or bool(left_out)

    def _waits(self, owner: Owner) -> bool:
        """Whether a waiter lives: one who is dead is passed over by whoever comes next (I26)."""
        process = self._truth.process_of(owner)
        return process is None or process.alive

    def _of_devices(self) -> Iterator[str]:
        for name, device in self._truth.devices.items():
            if name not in self._truth.fleet.retired:
                yield from (f"{name} {what}" for what in self._of_device(device))

    def _of_device(self, device: Device) -> Iterator[str]:
        fleet, durable = self._truth.fleet, device.durable
        digest = fleet.digest_of(device.id)
        if not device.up:
            yield "is down"
        if durable.prepared is not None:
            yield f"is in doubt about {durable.prepared.txn}"
        if self._truth.rolled_back:
            yield from self._contradicts(device)
        if durable.pending is not None:
            yield f"waits for the activation of {durable.version}"
        if digest is None:
            # Left out of a version that a store has lost: it holds until it is a member again.
            if device.operating not in (None, fleet.version):
                yield f"operates {device.operating}, has no configuration in {fleet.version}"
            return
        if (durable.version, durable.digest) != (fleet.version, digest):
            yield f"has version {durable.version}, the fleet {fleet.version}"
        elif device.operating != fleet.version:
            yield f"operates {device.operating} ({', '.join(device.holds)})"

    def _contradicts(self, device: Device) -> Iterator[str]:
        """Yield what a device knows that a journal which was rolled back lacks."""
        fleet, durable = self._truth.fleet, device.durable
        if durable.max_epoch > fleet.lock.epoch:
            yield f"has seen epoch {durable.max_epoch}, the journal {fleet.lock.epoch}"
        if durable.last_seq > fleet.last_seq:
            yield f"has seen txn {durable.last_seq}, the journal {fleet.last_seq}"

    # --- verdicts -------------------------------------------------------------------------------

    def must_be_well(self) -> None:
        """I6, once and for all."""
        found = self.unwell()
        for what in found:
            self._truth.blame("I6", what)
        if not found and self._truth.rolled_back:
            # Nothing was lost that anybody could miss: from here on the journal is the truth.
            self._truth.rolled_back = False

    def must_have_committed(self, txn: TxnId | None) -> None:
        """I4: the last push, without faults, has committed, and everybody operates it."""
        if txn is None:
            self._truth.blame("I4", "a healthy push was not begun")
            return
        outcomes = self._ledger.outcomes.get(txn, {})
        if Outcome.COMMIT not in outcomes:
            said = " and ".join(outcomes) or "undecided"
            self._truth.blame("I4", f"a healthy push, {txn}, is {said}")
            return
        if self._truth.fleet.lock.waiters:
            self._truth.blame("I26", "a push has come and gone, and the dead still wait in line")
        seq = self._ledger.begun[txn].seq
        for name, device in self._truth.devices.items():
            if name not in self._truth.fleet.retired and device.operating != seq:
                self._blame_late(name, device, seq)

    def _blame_late(self, name: DeviceId, device: Device, seq: int) -> None:
        text = f"{name} operates {device.operating} after a healthy push of {seq}"
        self._truth.blame("I4", text)
