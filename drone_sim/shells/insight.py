"""
What is looked at in a simulated device after each step of its core.

Whether it has become sure of its version (I25), how long its lease runs, whether what it knows of
the orchestrator's clock is true, and what its controller does.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

from drone_sim.shells.clocks import UTC_AT_START_S, true_s
from drone_sim.shells.controller import Controller
from drone_sim.shells.device_clock import SimDeviceClock
from drone_sim.shells.lasting import later
from drone_sim.shells.truth import Truth, story_s
from orchestrator.agent import Agent
from orchestrator.driver import LOOK_AGAIN_S
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Effect, Event, Holding, Write
from orchestrator.protocol.messages import Hello
from orchestrator.protocol.operation import Operation
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.ready import Ready
from orchestrator.protocol.types import DeviceId, TxnId

EXACT_S: Final = 1e-6
"""What a float of UTC may be off."""

BLAMED_S: Final = 10 * EXACT_S
"""And several of them, where one bound is cut with another."""

RETAINED_S: Final = 3.0
"""A decision that nobody has told for so long, and that arrives, was retained by the broker."""

LOOKS_WITHIN_S: Final = LOOK_AGAIN_S + 0.1
"""A device looks at its clock at least so often, and obeys what it sees within a moment more."""


class Seen(Protocol):
    """The device that is looked at."""

    id: DeviceId
    agent: Agent | None
    clock: SimDeviceClock
    controller: Controller
    durable: Durable

    @property
    def truth(self) -> Truth:
        """Whom it is told."""
        ...

    @property
    def up(self) -> bool:
        """Whether its computer runs."""
        ...


class Insight:
    """Looks at one device, and tells what has changed."""

    def __init__(self, device: Seen) -> None:
        self._device = device
        self._unsure = True
        self._asked_at = 0
        self._asked_s = 0.0
        """When it last said HELLO: only the answer to that one counts."""
        self._lease_until: float | None = None
        self._bound: ClockBound | None = None
        self._lied = False
        self._lies = 0
        self._stepped_at: float | None = None
        self._told: object = None
        self._reasons: tuple[str, ...] = ()
        self._doubted: TxnId | None = None

    def began(self) -> None:
        """Take note that an agent has been made."""
        self._unsure, self._asked_at = True, len(self._device.truth.folds) - 1
        self._asked_s = true_s()
        self._stepped_at = None
        self.tell()

    def ended(self) -> None:
        """Take note that the agent has ended."""
        self._note_lease(None)
        self._note_lie(lied=False, measured=False)
        self.tell()
        self._device.truth.look()

    def stepped(self, _event: Event, ready: Ready[Write, Effect]) -> None:
        """Look after a step."""
        truth, agent = self._device.truth, self._device.agent
        if agent is None:
            return
        core = agent.participant
        self._look_at_doubt(core)
        self._look_at_certainty(core)
        if any(isinstance(send.message, Hello) for send in ready.messages):
            self._asked_at, self._asked_s = len(truth.folds) - 1, true_s()
        self._look_at_lease(core.operation)
        self.look_at_clock()
        self.tell()
        truth.stepped()

    def _look_at_doubt(self, core: Participant) -> None:
        """Count it where a doubt ends by a decision that nobody has told for a while."""
        doubted, prepared = self._doubted, core.durable.prepared
        in_doubt = prepared is not None and Holding.DOUBT.value in self._reasons
        self._doubted = prepared.txn if prepared is not None and in_doubt else None
        truth = self._device.truth
        told_s = None if doubted is None else truth.decisions.get(doubted)
        if prepared is None and told_s is not None and told_s < story_s() - RETAINED_S:
            truth.checker.count("doubt-ended-by-retained")

    def _look_at_certainty(self, core: Participant) -> None:
        unsure = core.operation.unconfirmed is not None
        if self._unsure and not unsure:
            truth = self._device.truth
            known = truth.folds[self._asked_at :]
            truth.checker.confirmed(self._device.id, core.durable, known)
        self._unsure = unsure

    def _look_at_lease(self, operation: Operation) -> None:
        if operation.lease_until != self._lease_until:
            self._note_lease(operation.lease_until)

    def _note_lease(self, until: float | None) -> None:
        if until == self._lease_until:
            return
        self._lease_until = until
        left_s = None if until is None else until - self._device.clock.now()
        until_s = None if left_s is None else story_s() + left_s
        self._device.truth.checker.lease_runs_until(self._device.id, until_s)

    # --- its clock ------------------------------------------------------------------------------

    def look_at_clock(self) -> None:
        """See whether what the core knows of the orchestrator's clock is true."""
        agent = self._device.agent
        bound = None if agent is None else agent.participant.operation.clock
        if bound is not None and bound.stepped_at not in {None, self._stepped_at}:
            self._device.truth.checker.clock_detected(self._device.id)
        self._stepped_at = None if bound is None else bound.stepped_at
        measured, self._bound = bound is not self._bound, bound
        off_s = 0.0 if bound is None else self._off_s(bound)
        wrong = off_s > EXACT_S
        if wrong and not self._lied and not self._is_excused():
            self._blame(off_s)
            return
        wild = self._device.clock.runs_wild  # it is wrong before its core has looked
        self._note_lie(lied=wild or wrong, measured=measured)

    def _off_s(self, bound: ClockBound) -> float:
        """Return how far the true offset lies outside of the bound."""
        now = self._device.clock.now()
        offset_s, aged = UTC_AT_START_S + true_s() - now, bound.aged(now)
        return max(aged.low - offset_s, offset_s - aged.high, 0.0)

    def _is_excused(self) -> bool:
        """Whether somebody has touched a clock by which this one is, or was, measured."""
        return self._device.truth.touched.excuses(self._device.id, self._asked_s)

    def _blame(self, off_s: float) -> None:
        """Tell of a bound that is wrong by itself; less than a few roundings is nothing."""
        if off_s > BLAMED_S:
            text = f"its clock's bound is {1000 * off_s:.3f} ms off, and nobody touched a clock"
            self._device.truth.broke(self._device.id, text)

    def _note_lie(self, *, lied: bool, measured: bool) -> None:
        if lied == self._lied:
            return
        self._lied = lied
        self._lies += 1
        if lied:
            self._device.truth.checker.clock_lied(self._device.id)
        else:  # what it has begun to do by the wrong clock it ends only when it looks again
            later(LOOKS_WITHIN_S, partial(self._be_honest, self._lies, measured=measured))

    def _be_honest(self, lies: int, *, measured: bool) -> None:
        if lies == self._lies:
            self._device.truth.checker.clock_honest(self._device.id, measured=measured)

    # --- its controller -------------------------------------------------------------------------

    def tell(self) -> None:
        """Tell what the controller does, where that has changed."""
        device, operation = self._device, None
        holds: tuple[str, ...] = ()
        agent = device.agent
        if device.up and agent is not None:
            operation = agent.participant.operation
            holds = tuple(
                why.value for why in operation.holds(agent.participant.durable, device.clock.now())
            )
        leased = operation is not None and operation.lease_until is not None
        told = (device.up, device.controller.operating, leased, holds)
        if told == self._told:
            return
        self._told, self._reasons = told, holds
        up, operating, *_ = told
        device.truth.checker.device_is(
            device.id, up=up, operating=operating, leased=leased, holds=holds
        )
        if device.truth.teller is not None:
            device.truth.teller.state(
                device.id, device.durable, up=up, operating=operating, leased=leased, holds=holds
            )
        device.truth.look()
