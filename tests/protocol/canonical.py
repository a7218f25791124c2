"""
What an explored world is made of, in canonical form: equal futures are equal states.

Explicit-state exploration needs states that can be compared. A core is compared by a key that
holds everything its future depends on and nothing else:

* counters that only grow are renamed: of a device's HELLOs only the last counts, so its nonce is
  1, that of every earlier one is void, and an answer to a void one is dropped;
* timers of repetitions may fire at any instant or never, so only the instants that the protocol
  itself names (vote_by, hold_at, activate_at, the end of settling) are kept;
* what a coordinator has heard is kept only where it can still matter (see ``_forget``): messages
  stay deliverable for ever, so what is forgotten may be heard again later;
* an older report may overtake a newer one even within one boot: more than can happen, never less.

A step of a core is a function of its key, the event and the instant; it is computed once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import (
    Ask,
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Message,
    Prepare,
    Report,
    Vote,
    Welcome,
)
from orchestrator.protocol.records import Begun, Record
from orchestrator.protocol.types import Epoch, Timeline

INSTANT_S: Final = 10.0
"""The distance of two explored instants; between two, exactly one thing comes due."""

VOTE_S, HOLD_S, ACTIVATE_S, EPSILON_S, SETTLE_S = 6.0, 16.0, 24.0, 4.0, 10.0
WAITS: Final = frozenset({Holding.LATE.value, Holding.RESTARTED.value})


PLANS: Final[dict[str, bytes]] = {}
"""The plan blobs, by transaction: a device that asks for one has it at once."""


def timed(core: type[Coordinator]) -> type[Coordinator]:
    """Return ``core`` with a timeline of which every instant has one explored instant before."""

    class Timed(core):  # type: ignore[misc,valid-type]
        def _begin(self, goal: orc.Push, epoch: Epoch, now: float) -> Record:
            begun = super()._begin(goal, epoch, now)
            assert isinstance(begun, Begun)
            timeline = Timeline(
                vote_by=now + VOTE_S,
                hold_at=now + HOLD_S,
                activate_at=now + ACTIVATE_S,
                clock_error_s=EPSILON_S,
            )
            return replace(begun, timeline=timeline)

    return Timed


def plain(message: Message) -> Message | None:
    """Return the message with only what a receiver may act on; ``None`` if nobody would."""
    match message:
        case Hello(state=state):
            shown = replace(
                _told(state),
                operating=None,
                holds=(),
                outcome_txn=state.outcome_txn,
                outcome=state.outcome,
                outcome_seq=state.outcome_seq,
            )
            return replace(message, boot="", nonce=1, sent_at_device_s=0.0, state=shown)
        case Report(state=state):
            if state.prepared is not None or state.pending:
                return None  # acknowledges nothing
            return replace(message, boot="", number=1, state=_told(state))
        case Welcome():
            return replace(message, boot="", sent_at_device_s=0.0, received_at=0.0, sent_at=0.0)
        case Vote():
            return replace(message, reasons=() if message.yes else ("no",))
        case Decision():
            return replace(message, epoch=Epoch(message.epoch.incarnation, 0))
        case Ask() | Prepare() | Fence() | CatchUp():
            return message
        case _:
            return None


def _told(state: DeviceState) -> DeviceState:
    holds = tuple(hold for hold in state.holds if hold in WAITS)
    return replace(
        state,
        holds=holds,
        max_epoch=Epoch(),
        outcome_txn=None,
        outcome=None,
        outcome_seq=None,
        clock_error_s=None,
        staging_s=0.0,
        activated_at=None,
        hold_s=0.0,
    )
