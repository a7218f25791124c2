"""
Coming back: FENCE (row F), and HELLO's answer, by which a device becomes sure of its version.

A WELCOME answers one HELLO, and through it one state of the device: whatever changes the version,
digest, last_seq or promise voids the answers that are on their way, and so does every new reason
to doubt. Each answer is taken once. So a device is enabled only as what the fleet was after it had
asked (I25), whatever the network does.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.protocol.clock import exchange
from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import Fence, Welcome
from orchestrator.protocol.operation import Retry
from orchestrator.protocol.ready import Level
from orchestrator.protocol.types import Epoch
from orchestrator.protocol.voting import Voter


class Joiner(Voter):
    """A device that can be fenced, welcomed and enabled."""

    def _fence(self, message: Fence, now: float) -> None:
        if message.epoch > self.durable.max_epoch:
            self._note_rebirth(message.epoch)
            if self._may_aim_reborn(message.epoch):
                self._until_stopped = message
                return
            durable = replace(self.durable, max_epoch=message.epoch)
            self._save(durable, then="fenced", message=message)
        else:
            # One below our epoch is not obeyed, but answered: who sent it must learn of ours.
            self._say_hello(now)

    def _fenced(self, _message: Fence, now: float) -> None:
        self._say_hello(now)

    def _note_rebirth(self, epoch: Epoch) -> None:
        """
        Hold from a new incarnation on: the journal may lack what others have recorded.

        Whoever was told otherwise by a journal that was rolled back would else go on aiming with
        the old version, while those are confirmed who have the one that a reseed adopts.
        """
        if epoch.incarnation > self.durable.max_epoch.incarnation:
            self.operation.unconfirmed = self.operation.unconfirmed or Holding.REBORN

    def _may_aim_reborn(self, epoch: Epoch) -> bool:
        """
        Whether the controller may still aim, and a new incarnation may not hear of it (DESIGN §6).

        Whoever has acknowledged it is taken to hold while others are confirmed in what a reseed
        adopts. A person's word ends that hold, too.
        """
        reborn = epoch.incarnation > self.durable.max_epoch.incarnation
        return reborn and self.durable.heuristic is None and not self.operation.stopped

    def _confirm(self, message: Welcome, now: float) -> None:
        """Take the answer to the HELLO that showed this very state; ignore any other."""
        if (message.boot, message.nonce) != (self.boot, self._nonce):
            return
        if message.epoch < self.durable.max_epoch:
            self._tell(Level.WARNING, "stale-welcome", epoch=str(message.epoch))
            return
        self._measure, self._nonce = False, None  # one answer to each question: see I25
        self.operation.clock = exchange(
            self.operation.clock,
            sent=message.sent_at_device_s,
            received=message.received_at,
            answered=message.sent_at,
            back=self._arrived_at,
        )
        self._note_rebirth(message.epoch)
        last_seq = self.durable.last_seq
        if self.durable.prepared is None:
            last_seq = max(last_seq, message.last_seq)
        durable = replace(self.durable, known=True, max_epoch=message.epoch, last_seq=last_seq)
        if durable == self.durable:
            self._confirmed(message, now)
        else:
            self._save(durable, then="confirmed", message=message)

    def _confirmed(self, message: Welcome, now: float) -> None:
        """Operate if this state is the fleet's, hold if it is known not to be."""
        durable, operation = self.durable, self.operation
        mine = (durable.version, durable.digest, durable.last_seq)
        lost = message.digest is None and message.version > durable.version
        self._left_behind_at = message.version if lost else None
        lease_s, asked_at = message.lease_s, message.sent_at_device_s
        over = lease_s is not None and now >= asked_at + lease_s  # it came too late to be of use
        if mine != (message.version, message.digest, message.last_seq):
            if durable.prepared is None:
                operation.unconfirmed = Holding.BEHIND
                self._hello = self._hello or Retry(at=now).again(now)
        elif message.enable and not over and not operation.clock_too_wide(durable, now):
            operation.unconfirmed, self._hello = None, None
            operation.lease(lease_s, sent_at=asked_at)
