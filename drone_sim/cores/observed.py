"""
The truth about the devices of a town, as the checker is told it.

What a controller aims with, when a lease ends, when a device is sure of its version, and whether
what it believes of the orchestrators' clocks is true.
"""

from __future__ import annotations

from drone_sim.checker import Violated
from drone_sim.cores.certainty import rash
from drone_sim.cores.party import Shown, Unit
from drone_sim.cores.shelf import Shelf
from drone_sim.cores.town import START_S
from drone_sim.trace import Kind
from orchestrator.protocol import device as dev
from orchestrator.protocol.device import Holding


class Observed(Shelf):
    """A town that looks at its devices after every step."""

    def look_at(self, unit: Unit) -> None:
        """Tell the checker what a device's controller aims with, where that has changed."""
        core = unit.core
        if core is None or unit.frozen:
            shown: Shown = (core is not None, None, False, ())
        else:
            operation = core.operation
            holds: tuple[Holding, ...] = ()
            if operation.operating is None:
                holds = operation.holds(core.durable, unit.reading(self.now))
            shown = (True, operation.operating, operation.lease_until is not None, holds)
            if operation.lease_until != unit.lease_until:
                unit.lease_until = operation.lease_until
                self._tell_lease(unit)
            if operation.clock is not unit.bound or unit.clock_wrong:
                self._judge_clock(unit)
        if shown != unit.shown:
            unit.shown = shown
            self.show(unit)

    def show(self, unit: Unit) -> None:
        """Tell what a device is and does, as it is now."""
        up, operating, leased, holds = unit.shown
        unit.battery.hover(self.now, hovers=operating is None)
        names = tuple(hold.value for hold in holds)
        self.checker.device_is(unit.id, up=up, operating=operating, leased=leased, holds=names)
        if self.trace is not None:
            self.note_state(unit)

    def note_state(self, unit: Unit) -> None:
        """Add to the trace what a device is and does."""
        up, operating, leased, holds = unit.shown
        why, prepared = ", ".join(hold.value for hold in holds), unit.disk.prepared
        text = f"holds: {why}" if operating is None else f"operates {operating}"
        self.note(
            Kind.STATE,
            unit.id,
            text if up else "is down",
            version=unit.disk.version,
            operating=operating,
            prepared=None if prepared is None else prepared.txn,
            holds=why,
            up=up,
            leased=leased,
        )

    def _tell_lease(self, unit: Unit) -> None:
        until = unit.lease_until
        until_s = None if until is None else unit.true(until) - START_S
        self.checker.lease_runs_until(unit.id, until_s)

    def judge_certainty(self, unit: Unit, event: dev.Event) -> None:
        """Ask I25 of a device that has become sure that it is the fleet's, or has just learned."""
        core, unsure, before = unit.core, unit.unsure, unit.before
        if core is None:
            return
        unit.unsure, unit.before = core.operation.unconfirmed, unit.disk
        asked, unit.asked_before = unit.asked_before, unit.asked_at_head
        if isinstance(event, dev.Written | dev.WriteFailed):
            event = unit.cause  # what the write was about
        if unit.unsure is not None or before is None:
            return
        if unsure is not None or before.prepared is not unit.disk.prepared:
            broken = list(rash(core, unsure, event, before, unit.reading(self.now)))
            if broken:
                raise Violated(broken, self.story_s)
        if unsure is not None:
            known = self.folds[min(asked, unit.asked_at_head) :]
            self.checker.confirmed(unit.id, unit.disk, known)

    def _judge_clock(self, unit: Unit) -> None:
        """Tell whether a clock that was wrong is known again, and what its core has proved."""
        bound = unit.bound = None if unit.core is None else unit.core.operation.clock
        if bound is not None and bound.stepped_at != unit.stepped_at:
            unit.stepped_at = bound.stepped_at
            if bound.stepped_at is not None:
                self.checker.clock_detected(unit.id)
        if unit.clock_wrong and self._is_right(unit):
            unit.clock_wrong = False
            measured = bound is not None and bound is not unit.bound_before
            self.checker.clock_honest(unit.id, measured=measured)

    def _is_right(self, unit: Unit) -> bool:
        """Whether a device knows the time again, and does nothing any more that it should not."""
        misled = any(process.offset_s for process in self.living.values())
        if misled or unit.drifting or not self._knows_time(unit):
            return False
        return all(
            txn.begun.seq != unit.disk.version or txn.begun.timeline.activate_at <= self.now
            for txn in (self.state.open, self.state.installed)
            if txn is not None
        )

    def _knows_time(self, unit: Unit) -> bool:
        """
        Whether what a device believes of the orchestrators' clocks is true, or off by ε at most.

        So it is where it believes nothing.
        """
        bound = None if unit.core is None else unit.core.operation.clock
        if bound is None:
            return True  # it holds until it has measured its clock anew
        reading = unit.reading(self.now)
        aged = bound.aged(reading)
        for ahead_s in {0.0: None, **{one.offset_s: None for one in self.living.values()}}:
            true_s = self.now + ahead_s - reading
            error_s = abs(true_s - (aged.low + aged.high) / 2)
            within = aged.low <= true_s <= aged.high or error_s <= self.timing.clock_error_s
            if not within:
                return False
        return True

    def doubt_clock(self, unit: Unit) -> None:
        """Tell if what a device believes of the orchestrators' clocks is not true any more."""
        if not unit.clock_wrong and (unit.drifting or not self._knows_time(unit)):
            unit.clock_wrong = True
            unit.bound_before = None if unit.core is None else unit.core.operation.clock
            self.checker.clock_lied(unit.id)
