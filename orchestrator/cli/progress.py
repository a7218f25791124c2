"""
How far a transaction is: looked up in the coordinator, told in plain lines or drawn.

A look at every device costs time, so it is taken at a change of phase and otherwise a few times
a second, never per message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.cli.files import KnownFleet
from orchestrator.cli.view import View
from orchestrator.cli.waiting import waiting_document, waiting_words
from orchestrator.ports import Clock
from orchestrator.protocol.coordinator import FINAL, Coordinator, Phase
from orchestrator.protocol.fleet import Txn
from orchestrator.protocol.types import DeviceId, Outcome, Owner, Plan
from orchestrator.service.results import (
    DeviceWord,
    LockView,
    PushResult,
    device_word,
    word_since,
)

LOOK_EVERY_S: Final = 0.2
SAY_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One device, as a live table has it."""

    device: DeviceId
    vote: str | None
    state: DeviceWord
    version: int | None
    hold_ms: float | None
    note: str


class Progress:
    """
    Follows one coordinator; :meth:`watch` it after every step.

    Lines and documents go to ``view`` unless ``quiet``, as while a table is drawn. ``me`` is who
    stands in the line for the lock, and ``waiting`` says for whom, until it is ours.
    """

    def __init__(
        self,
        *,
        view: View,
        clock: Clock,
        fleet: KnownFleet,
        plan: Plan,
        me: Owner | None = None,
    ) -> None:
        self.waiting = ""
        self.fleet = fleet
        self.plan = plan
        self.quiet = False
        self.phase: Phase | None = None
        self.decision: Outcome | None = None
        self.cause = ""
        self.seq: int | None = None
        self.epoch: int | None = None
        self.votes = 0
        self.active = 0
        self._me = me
        self._view = view
        self._clock = clock
        self._coordinator: Coordinator | None = None
        self._looked_at = self._said_at = float("-inf")
        self._said = ""
        self._refused: set[DeviceId] = set()

    @property
    def members(self) -> int:
        """How many devices vote."""
        return len(self.plan.digests)

    # --- waiting ------------------------------------------------------------------------------

    def wait(self, lock: LockView) -> None:
        """Tell who is before us: called at the start and whenever that changes."""
        if self._me is None:
            return
        self.waiting = waiting_words(lock, self._me)
        if not self.quiet:
            self._view.say(f"waiting   {self.waiting}")
        self._view.progress(waiting_document(lock, self._me))

    # --- looking ------------------------------------------------------------------------------

    def watch(self, coordinator: Coordinator) -> None:
        """Take a step's outcome; cheap unless something has changed."""
        self._coordinator = coordinator
        self.waiting = ""
        txn = coordinator.state.open or coordinator.finished
        before, decided = self.phase, self.decision
        changed = coordinator.phase != before or (txn is not None and txn.outcome != decided)
        now = self._clock.monotonic()
        if not changed and now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        self._look(coordinator, txn)
        if self.quiet:
            return
        if changed:
            self._say_change(txn, before, decided)
        elif now - self._said_at >= SAY_EVERY_S:
            self._say_count()

    def _look(self, coordinator: Coordinator, txn: Txn | None) -> None:
        """Note phase and decision, count votes and activations; tell of refusals once."""
        self.phase = coordinator.phase
        self.epoch = None if coordinator.epoch is None else coordinator.epoch.number
        if txn is None:
            return
        self.seq = txn.begun.seq
        if txn.decided is not None:
            self.decision, self.cause = txn.decided.outcome, txn.decided.cause
        votes = active = 0
        for device in txn.begun.digests:
            vote = coordinator.witness.vote(device, txn.begun.txn)
            votes += vote is not None
            if vote is not None and not vote.yes and device not in self._refused:
                self._refused.add(device)
                self._tell_refusal(device, vote.reasons)
            told = coordinator.witness.of(device).state
            active += told is not None and told.operating == txn.begun.seq
        self.votes, self.active = votes, active

    def rows(self, most: int) -> list[Row]:
        """Return up to ``most`` devices, those that lag behind first where not all fit."""
        coordinator = self._coordinator
        if coordinator is None:
            return []
        txn = coordinator.state.open or coordinator.finished
        found = [self._row(coordinator, txn, device) for device in self.plan.digests]
        if len(found) > most:
            found.sort(key=lambda row: (row.state is DeviceWord.ACTIVE, row.vote == "yes"))
        return found[:most]

    def _row(self, coordinator: Coordinator, txn: Txn | None, device: DeviceId) -> Row:
        known = coordinator.witness.of(device)
        vote = None if txn is None else coordinator.witness.vote(device, txn.begun.txn)
        told = known.state
        held_s = None if told is None or vote is None or not vote.yes else told.hold_s
        refused = {} if txn is None or txn.decided is None else txn.decided.refused
        reasons = vote.reasons if vote is not None else refused.get(device, ())
        holds = () if told is None or known.online is False else told.holds
        over = coordinator.phase in FINAL
        return Row(
            device=device,
            vote=None if vote is None else ("yes" if vote.yes else "no"),
            state=word_since(known, txn) if over else device_word(known),
            version=None if told is None else told.version,
            hold_ms=None if held_s is None else held_s * 1e3,
            note="; ".join(reasons or holds),
        )

    # --- telling ------------------------------------------------------------------------------

    def _tell_refusal(self, device: DeviceId, reasons: tuple[str, ...]) -> None:
        if not self.quiet:
            self._view.say(f"refused   {device}: {'; '.join(reasons)}")

    def _say_change(self, txn: Txn | None, before: Phase | None, decided: Outcome | None) -> None:
        if before is None and self.epoch is not None:
            self._say(f"lock      {self.plan.fleet}@{self.epoch} is ours")
        if txn is not None and before in {None, Phase.JOINING}:
            since = f"begun on version {txn.begun.base_version}"
            self._say(f"begun     txn {txn.begun.seq}, {since}, {self.members} members")
        if before is Phase.PREPARING and self.phase is not Phase.PREPARING:
            self._say(f"prepare   {self.votes}/{self.members} votes")
        if decided is None and self.decision is not None:
            cause = "" if self.decision is Outcome.COMMIT else f" ({self.cause})"
            self._say(f"decided   {self.decision.value.upper()}{cause}")
        self._document()

    def _say_count(self) -> None:
        if self.phase is Phase.PREPARING:
            self._say(f"prepare   {self.votes}/{self.members} votes")
        elif self.phase is Phase.DRIVING and self.decision is Outcome.COMMIT:
            self._say(f"active    {self.active}/{self.members}")
        self._document()

    def _say(self, line: str) -> None:
        self._said_at = self._clock.monotonic()
        if line != self._said:
            self._said = line
            self._view.say(line)

    def _document(self) -> None:
        txn = None if self._coordinator is None else self._coordinator.state.open
        self._view.progress(
            {
                "type": "progress",
                "fleet": self.plan.fleet,
                "txn": None if txn is None else txn.begun.txn,
                "seq": self.seq,
                "epoch": self.epoch,
                "phase": None if self.phase is None else self.phase.value,
                "members": self.members,
                "votes": self.votes,
                "decision": None if self.decision is None else self.decision.value,
                "active": self.active,
            }
        )

    def ended(self, result: PushResult) -> None:
        """Tell the last count, from the result."""
        if result.decision is Outcome.COMMIT and not self.quiet:
            active = sum(
                part.state is DeviceWord.ACTIVE and part.version == result.seq
                for part in result.devices.values()
            )
            self._said = ""
            self._say(f"active    {active}/{self.members}")
