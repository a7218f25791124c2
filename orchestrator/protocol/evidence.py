"""
What devices have told a coordinator, and when: never more than this is known (I29).

Evidence decides what to do next, never what is true: the truth is the journal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from orchestrator.protocol.device import Holding
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import DeviceState, Hello, Presence, Report, Vote
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, TxnId


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    The last word of one device.

    ``at`` is when it came (UTC s), ``boot`` and ``number`` order what it says, ``rtt_s`` is how
    long it took to answer our FENCE, ``online`` is the broker's hint.
    """

    state: DeviceState | None = None
    boot: str = ""
    number: int = 0
    at: float | None = None
    answered_fence: bool = False
    rtt_s: float | None = None
    vote: Vote | None = None
    online: bool | None = None


_NOTHING = Evidence()


class Witness:
    """
    Collects the evidence of a fleet, and answers who is still missing for something.

    ``left`` is asked after every message, so it looks again only at the devices that have
    spoken since: a push stays linear in the size of the fleet.
    """

    def __init__(self) -> None:
        self.devices: dict[DeviceId, Evidence] = {}
        self.votes_counted = 0
        self._fenced_at: float | None = None
        self._spoke: list[DeviceId] = []
        self._left_for: object = None
        self._left: dict[DeviceId, None] = {}

    def fork(self) -> Witness:
        """Return an independent copy."""
        twin = copy.copy(self)
        twin.devices = dict(self.devices)
        twin._spoke, twin._left = list(self._spoke), dict(self._left)  # noqa: SLF001 - ourselves
        return twin

    def of(self, device: DeviceId) -> Evidence:
        """Return what is known of ``device``; empty evidence if nothing is."""
        return self.devices.get(device, _NOTHING)

    def fence_sent(self, now: float) -> None:
        """Note when FENCE was first sent: HELLOs after it measure the round trip."""
        if self._fenced_at is None:
            self._fenced_at = now

    def learn(self, message: Hello | Report, now: float) -> None:
        """Take a device's word, unless a later one of the same boot is known."""
        known = self.of(message.device)
        hello = isinstance(message, Hello)
        number = message.nonce if isinstance(message, Hello) else message.number
        if known.boot == message.boot and known.number >= number:
            return
        first = hello and self._fenced_at is not None and not known.answered_fence
        self._note(
            message.device,
            replace(
                known,
                state=message.state,
                boot=message.boot,
                number=number,
                at=now,
                answered_fence=known.answered_fence or first,
                rtt_s=now - self._fenced_at if first and self._fenced_at else known.rtt_s,
                online=True,
            ),
        )

    def count(self, vote: Vote) -> None:
        """Keep the first vote of a device for a transaction: a vote never changes."""
        known = self.of(vote.device)
        if known.vote is None or known.vote.txn != vote.txn:
            self.votes_counted += 1
            self._note(vote.device, replace(known, vote=vote))

    def presence(self, message: Presence) -> None:
        """Note the broker's hint."""
        self.devices[message.device] = replace(self.of(message.device), online=message.online)

    def vote(self, device: DeviceId, txn: TxnId) -> Vote | None:
        """Return the device's vote for ``txn``, if it has come."""
        vote = self.of(device).vote
        return vote if vote is not None and vote.txn == txn else None

    def left(
        self, purpose: object, members: Iterable[DeviceId], done: Callable[[DeviceId], bool]
    ) -> dict[DeviceId, None]:
        """Return the ``members`` for whom ``done`` is not true yet; ``purpose`` names the set."""
        if purpose != self._left_for:
            self._left_for = purpose
            self._left = {device: None for device in members if not done(device)}
        else:
            for device in self._spoke:
                if device in self._left and done(device):
                    del self._left[device]
        self._spoke.clear()
        return self._left

    def _note(self, device: DeviceId, evidence: Evidence) -> None:
        self.devices[device] = evidence
        self._spoke.append(device)

    # --- what the evidence says ---------------------------------------------------------------

    def behind(self, device: DeviceId, fleet: FleetState) -> bool:
        """Whether the device, by its own last word, lacks the fleet's version or its bytes."""
        told, digest = self.of(device).state, fleet.digest_of(device)
        if told is None or digest is None or told.version > fleet.version:
            return False
        return (told.version, told.digest) != (fleet.version, digest)

    def joined(self, device: DeviceId, fleet: FleetState, epoch: Epoch) -> bool:
        """Whether the device is fenced, in doubt about nothing, and at the fleet's version."""
        known = self.of(device)
        if not known.answered_fence or known.state is None:
            return False
        clean = known.state.prepared is None and not known.state.pending
        return clean and known.state.max_epoch >= epoch and not self.behind(device, fleet)

    def acknowledged(self, device: DeviceId, txn: Txn) -> bool:
        """
        Whether the device has durably followed the decision of ``txn``.

        For a COMMIT that means that it operates it (or a newer one); one that has not is
        deferred by name when the transaction ends.
        """
        told, begun = self.of(device).state, txn.begun
        if told is None or told.prepared == begun.txn or told.last_seq < begun.seq:
            return False
        if txn.outcome is Outcome.ABORT or told.version > begun.seq:
            return True
        active = told.operating == begun.seq and not told.pending
        return active and told.digest == begun.digests.get(device)

    def recorded(self, device: DeviceId, txn: Txn) -> bool:
        """Whether the device has durably recorded the decision (D2): it need not hear it again."""
        told = self.of(device).state
        return (
            told is not None and told.prepared != txn.begun.txn and told.last_seq >= txn.begun.seq
        )

    def followed(self, device: DeviceId, txn: Txn) -> bool:
        """Whether the device has acknowledged and waits for no confirmation of ours either."""
        told = self.of(device).state
        if told is None or not self.acknowledged(device, txn):
            return False
        waits = {Holding.LATE.value, Holding.RESTARTED.value, Holding.REBORN.value}
        return told.operating == told.version or not waits.intersection(told.holds)

    def rejoined(self, device: DeviceId, fleet: FleetState) -> bool:
        """Whether a quarantined device, by its own last word, is exactly the fleet's (I25)."""
        told = self.of(device).state
        if told is None or told.prepared is not None:
            return False
        theirs = (fleet.version, fleet.digest_of(device), fleet.decided_seq)
        return theirs == (told.version, told.digest, told.last_seq)

    def heard_in(self, device: DeviceId, epoch: Epoch) -> bool:
        """Whether the device has acknowledged a FENCE of this incarnation (DESIGN §6)."""
        told = self.of(device).state
        return told is not None and told.max_epoch.incarnation == epoch.incarnation

    def settled(self, device: DeviceId, fleet: FleetState) -> bool:
        """Whether the device has said that it operates, and is not behind the fleet."""
        told = self.of(device).state
        return told is not None and told.operating is not None and not self.behind(device, fleet)

    def silence(self, device: DeviceId) -> str:
        """Say in words why there is no vote of ``device``."""
        known = self.of(device)
        if known.online is False:
            return "offline: it is not connected to the broker"
        if not known.answered_fence:
            return "silent: no answer since the push began"
        return "no vote by vote_by"
