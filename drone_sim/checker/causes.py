"""
Why devices hold: the faults of the scenario, and the states that only somebody can end.

:mod:`.budgets` says what each allows, :mod:`.holding` keeps the accounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from drone_sim.checker.budgets import Because, Cause, concerned
from drone_sim.checker.holding import Holds
from drone_sim.checker.truth import Device, Process, Truth
from drone_sim.checker.words import Disturbance
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol.device import Holding
from orchestrator.protocol.records import Begun, Entry, LockState, LockTaken, Retired
from orchestrator.protocol.types import DeviceId

HITS: Final = frozenset({Verb.KILL, Verb.PAUSE, Verb.REUSE_PID, Verb.POWER_CUT})
"""What happens to processes: what comes of it depends on what they held."""

_FOR_A_PUSH: Final = frozenset({Holding.DOUBT.value, Holding.ACTIVATING.value})
ROUNDING_S: Final = 1e-6

_IDLE: Final = frozenset({Verb.HOLD_LOCK})
"""Who holds a lock and answers no device."""


class Causes:
    """Turns what is told into causes that begin, end or strike."""

    def __init__(self, truth: Truth, holds: Holds) -> None:
        self._truth = truth
        self._holds = holds
        self._states: dict[Because, dict[DeviceId, None]] = {}
        self._orphan: Cause | None = None
        self._orphan_since_s = math.inf
        self._forced: Cause | None = None
        """The cause for which an orphan is in force: nobody serves who could resolve it."""
        self._served_since_s: float | None = None

    # --- faults ---------------------------------------------------------------------------------

    def fault_began(self, act: Act) -> None:
        """Take an act that takes place."""
        if act.verb in HITS:
            process = self._truth.process_named(act.who)
            if process is not None:
                process.hit = act.verb
            self._holds.strike(Because.NOBODY, self._everybody())
        else:
            self._holds.begin(act.verb, self._of(act))

    def fault_ended(self, act: Act) -> None:
        """Take that it is over."""
        if act.verb in HITS:
            self._holds.strike(Because.NOBODY, self._everybody())
        else:
            self._holds.end(act.verb, self._of(act), act.amount)

    def disturbed(self, what: Disturbance, device: DeviceId | None) -> None:
        """Take a message that was lost, late or repeated."""
        if what is not Disturbance.DUPLICATE:
            self._holds.strike(what, self._everybody() if device is None else (device,))

    def _of(self, act: Act) -> Iterable[DeviceId]:
        return [DeviceId(name) for name in concerned(self._truth.scenario, act)]

    def _everybody(self) -> Iterable[DeviceId]:
        return self._truth.devices

    # --- records --------------------------------------------------------------------------------

    def appended(self, entries: Iterable[Entry]) -> None:
        """Take what records do to devices that hold, or may have to."""
        for entry in entries:
            record = entry.record
            if isinstance(record, Retired):
                self._holds.leave(record.device)
            elif isinstance(record, LockTaken) and record.state is LockState.RESOLVING:
                self._holds.strike(Because.RESOLVED, self._everybody())
            elif isinstance(record, Begun):
                held = [name for name in self._everybody() if self._holds.holding(name)]
                self._pushed(record, held)

    def _pushed(self, begun: Begun, devices: Iterable[DeviceId]) -> None:
        activate_s = self._truth.story(begun.timeline.activate_at)
        if activate_s > self._truth.now_s:
            self._holds.strike(Because.PUSHED_OVER, devices, at_s=activate_s)

    def early(self, device: Device) -> None:
        """
        I28: nobody holds for a push before its ``hold_at``, but for the error of its clock.

        To be asked before :meth:`aims`. A device that does not aim anyway may begin to wait for
        an activation at any time; what it doubts it doubts from ``hold_at``.
        """
        durable, why = device.durable, frozenset(device.holds)
        when = durable.prepared.timeline if durable.prepared is not None else durable.pending
        if device.operating is not None or when is None or durable.heuristic is not None:
            return
        if not why or not why <= _FOR_A_PUSH:
            return
        account = self._holds.account(device.id)
        if account.excused_by(Because.WORD, self._truth.now_s):
            return  # it has operated what is now to come, and goes back to what it was
        begins = account.aims or Holding.DOUBT in why
        early_s = self._truth.story(when.hold_at) - when.clock_error_s - self._truth.now_s
        if begins and early_s > ROUNDING_S:
            text = f"{device.id} holds {early_s:.3f} s too early ({', '.join(device.holds)})"
            self._truth.blame("I28", text)

    def aims(self, device: Device) -> None:
        """Take a controller that begins or ceases to aim."""
        operates = device.operating is not None
        account = self._holds.account(device.id)
        if device.id in self._truth.fleet.retired or account.aims == operates:
            return
        if not operates and self._behind(device):
            self._holds.strike(Because.BEHIND, (device.id,))
        self._holds.aims(device.id, aims=operates)
        fleet = self._truth.fleet
        for txn in (fleet.open, fleet.installed):
            if not operates and account.causes and txn is not None:
                self._pushed(txn.begun, (device.id,))

    def _behind(self, device: Device) -> bool:
        """Whether a device has to be caught up: it is in no doubt, and not where the fleet is."""
        durable, fleet = device.durable, self._truth.fleet
        if durable.prepared is not None or durable.pending is not None:
            return False
        mine, theirs = (
            (durable.version, durable.digest),
            (fleet.version, fleet.digest_of(device.id)),
        )
        return mine != theirs

    # --- states ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the lock, the processes and the fleet again, after any of them has changed."""
        serving = any(one.runs and one.verb is Verb.SERVE for one in self._processes())
        if not serving:
            self._served_since_s = None
        elif self._served_since_s is None:
            self._served_since_s = self._truth.now_s
        self._refresh_orphan()
        for because, devices in self._in_force(serving=serving).items():
            known = self._states.get(because, {})
            self._holds.begin(because, [name for name in devices if name not in known])
            self._holds.end(because, [name for name in known if name not in devices])
            self._states[because] = devices

    def _processes(self) -> Iterable[Process]:
        return self._truth.processes.values()

    def _in_force(self, *, serving: bool) -> Mapping[Because, dict[DeviceId, None]]:
        truth, fleet = self._truth, self._truth.fleet
        txn, everybody = fleet.open, dict.fromkeys(truth.devices)
        lost = truth.rolled_back or fleet.reseeding is not None
        members = None if txn is None else txn.begun.digests
        return {
            Because.NOBODY: {} if serving or self._driven() else everybody,
            Because.ROLLED_BACK: everybody if lost else {},
            Because.LEFT_OUT: {
                name: None
                for name in truth.devices
                if (members is not None and name not in members)
                or (fleet.version and fleet.digest_of(name) is None)
            },
            Because.QUARANTINE: dict.fromkeys(n for n in truth.devices if n in fleet.quarantined),
            Because.WORD: dict.fromkeys(n for n in truth.devices if n in fleet.heuristics),
        }

    def _driven(self) -> bool:
        """Whether whoever holds the lock is at work, and answers devices; leases only serve."""
        fleet = self._truth.fleet
        if fleet.lock.state is LockState.FREE or fleet.lease_s is not None:
            return False
        owner = self._truth.process_of(fleet.lock.owner)
        return owner is None or (owner.runs and owner.verb not in _IDLE)

    def _refresh_orphan(self) -> None:
        """
        See to a lock whose owner is gone or stopped in the middle of something.

        It is in force until somebody serves; then TTL and grace run. A cause that is in force
        keeps its name until it ends.
        """
        cause, served_s = self._orphaned_by(), self._served_since_s
        if cause is not None and self._orphan is None:
            self._orphan_since_s = self._truth.now_s
        if cause is None and self._orphan is not None:  # somebody drives it again
            self._holds.shorten(self._orphan, self._everybody(), Because.RESOLVED)
        self._orphan = cause
        forced = None if cause is None or served_s is not None else self._forced or cause
        if forced != self._forced:
            if self._forced is not None:
                self._holds.end(self._forced, self._everybody())
            if forced is not None:
                self._holds.begin(forced, self._everybody())
            self._forced = forced
        if cause is not None and served_s is not None:
            at_s = max(self._orphan_since_s, served_s)
            self._holds.strike(cause, self._everybody(), at_s=at_s)

    def _orphaned_by(self) -> Cause | None:
        fleet = self._truth.fleet
        owner = self._truth.process_of(fleet.lock.owner)
        open_work = fleet.open is not None or fleet.reseeding is not None
        if owner is None or owner.runs or not open_work:
            return None
        return Because.ORPHAN if owner.hit is None else owner.hit

    def extended(self) -> None:
        """Take that every lease has a fresh TTL: who is gone is taken for a ghost later."""
        if self._served_since_s is not None:
            self._served_since_s = self._truth.now_s
            self._refresh_orphan()
