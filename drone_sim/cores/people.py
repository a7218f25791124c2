"""
What each verb on purpose does, as the service does it: one job for each.

Every command reads the journal, asks a pure rule, appends what that returns, and drives with a
coordinator what there is to drive. The sources are the files of :mod:`orchestrator.service`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from drone_sim.checker import Said
from drone_sim.cores import samples
from drone_sim.cores.jobs import Job
from drone_sim.cores.party import Process, Session
from drone_sim.cores.resolvers import Resolvers
from drone_sim.cores.town import START_S
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol import answers, lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol import records as rec
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import LockState, Record
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, TxnId

LOOK_S: Final = 0.5
ANSWER_S: Final = 10.0
"""How long who asks for the lock waits for an answer, where it is not said."""

Deed = Callable[[Process, Act], Job[None]]


class People(Resolvers):
    """The commands of a town."""

    pushes = 1
    """How many were begun, the one of the prologue among them."""
    last_push: TxnId | None = None

    def deeds(self) -> Mapping[Verb, Deed]:
        """Return what each verb on purpose does."""
        return {
            Verb.PUSH: self.push_once,
            Verb.FORCE_UNLOCK: self.force_unlock,
            Verb.RECOVER: self.recover,
            Verb.BREAK_GLASS: self.break_the_glass,
            Verb.REQUEST_RELEASE: self.ask_for_lock,
            Verb.ABORT: self.ask_for_abort,
            Verb.RESEED: self.reseed_fleet,
            Verb.SERVE: self.serve_fleet,
            Verb.HOLD_LOCK: self.hold_lock,
            Verb.RETIRE: self.retire_devices,
            Verb.DECIDE: self.decide_for_devices,
        }

    # --- push -----------------------------------------------------------------------------------

    def push_once(self, me: Process, act: Act) -> Job[None]:
        """Push new bytes, or those of version 1, to everybody who is not left out."""
        if not (yield self.dial(me)):
            return
        held = yield from self.acquire_lock(me, "push", act.for_s)
        if held is None:
            return
        goal = self._goal(act, held.state)
        if goal is None:
            yield from self.give_back_lock(me, held.state.lock.epoch)
            return
        session = self.begin_session(me, goal, held=held)
        session.detaches = act.word == "detach"
        if act.amount:
            self.later_in(me, act.amount, self._time_out, session)
        yield self.end_of(session)
        self._tell_result(session)

    def _goal(self, act: Act, state: FleetState) -> orc.Push | None:
        """Make the plan for the version that the fleet is at; ``None`` where nothing is to do."""
        members = [d for d in self.devices if d not in act.target and d not in state.retired]
        excused = [d for d in self.devices if d in act.target and d not in state.retired]
        if not members:
            return None
        txn = samples.txn_id(self.pushes + 1)
        content = samples.txn_id(1) if act.word == "back" else txn
        plan = samples.plan(content, state.version, members, excused)
        installed = state.installed
        same = installed is not None and dict(installed.begun.digests) == dict(plan.digests)
        if same and not state.deferred:
            return None
        self.pushes += 1
        spare = {device: samples.digest(f"{content}-{device}") for device in excused}
        goal = orc.Push(txn=txn, plan=plan, digest=samples.digest(f"plan-{txn}"), spare=spare)
        self.blobs[goal.digest] = samples.encode(plan)
        for one in (*plan.digests.values(), *spare.values()):
            self.blobs[one] = data = one.encode()
            self.configurations[data] = None
        self.last_push = txn
        return goal

    def _time_out(self, session: Session) -> None:
        txn = session.core.state.open
        undecided = txn is None or txn.decided is None
        if undecided and session.core.finished is None:
            self.tell_session(session, orc.AbortAsked(cause="no decision within its time"))

    def _tell_result(self, session: Session) -> None:
        """Tell what a push says when it ends (I17, I29)."""
        core, offset_s = session.core, session.process.offset_s
        txn = core.finished
        if txn is not None and txn.outcome is not None and core.phase is Phase.DONE:
            self.checker.told_outcome(session.name, txn.begun.txn, txn.outcome)
        for device, known in core.witness.devices.items():
            told, at = known.state, known.at
            said = Said(device=device, known=False)
            if told is not None and at is not None:
                said = Said(
                    device=device,
                    known=True,
                    version=told.version,
                    operating=told.operating,
                    heard_at_s=at - offset_s - START_S,
                )
            self.checker.told(said)

    # --- somebody else's lock, and one by hand --------------------------------------------------

    def ask_for_lock(self, me: Process, act: Act) -> Job[None]:
        """Ask a living holder for the lock, and wait for its answer."""
        lock = self.state.lock
        if lock.state is LockState.FREE or self.lock_is_a_ghosts(me):
            return

        def rule(state: FleetState) -> tuple[Record, ...] | None:
            asked = lease.request_release(state, lock.epoch, me.owner, "please")
            return None if isinstance(asked, lease.NotTheLock) else asked

        yield from self.change(me, rule)
        until = self.now + (ANSWER_S if act.for_s is None else act.for_s)
        while self.now < until and self.state.lock.epoch == lock.epoch:
            yield self.rest(me, LOOK_S)

    def ask_for_abort(self, me: Process, _act: Act) -> Job[None]:
        """Ask the living owner of the open transaction to abort it."""
        txn = self.state.open
        if txn is None or self.lock_is_a_ghosts(me):
            return
        record = rec.AbortRequested(txn=txn.begun.txn, by=me.owner, reason="asked")

        def rule(state: FleetState) -> tuple[Record, ...]:
            return () if state.open is None or state.open.decided is not None else (record,)

        yield from self.change(me, rule)

    def hold_lock(self, me: Process, act: Act) -> Job[None]:
        """Hold the lock by hand, alive; give it back at the end, or when asked to."""
        held = yield from self.acquire_lock(me, "lock run", None)
        if held is None:
            return
        epoch, renewed = held.state.lock.epoch, held.since
        until = self.ends_at(act)
        renew_at = renewed + lease.RENEW_EVERY_S
        while self.now < until and self.holds_lock(epoch, me.owner):
            if self.state.lock.release_requested is not None:
                yield from self.change(me, lambda state: self._answer_holder(state, me, epoch))
                break
            yield self.rest(me, min(LOOK_S, max(until - self.now, 0.0)))
            if self.now >= renewed + lease.STOP_SELF_AFTER_S:
                return
            if self.now >= renew_at and self.store_up:
                renew_at = self.now + lease.RENEW_EVERY_S
                if not self.touch(epoch, me.owner):
                    return
                renewed = self.now
        yield from self.give_back_lock(me, epoch)

    def _answer_holder(self, state: FleetState, me: Process, epoch: Epoch) -> tuple[Record, ...]:
        mine = (state.lock.epoch, state.lock.owner) == (epoch, me.owner)
        return lease.answer(state, me.owner, rec.Answer.FINISH) if mine else ()

    # --- a person's word ------------------------------------------------------------------------

    def retire_devices(self, me: Process, act: Act) -> Job[None]:
        """Write that devices are out of the fleet for good."""
        for name in act.target:
            device = DeviceId(name)
            yield from self.change(me, partial(self._retired, me, device))

    def _retired(self, me: Process, device: DeviceId, state: FleetState) -> tuple[Record, ...]:
        txn = state.open
        member = txn is not None and device in txn.begun.digests and state.reseeding is None
        if member or device in state.retired or device not in self.devices:
            return ()
        return (rec.Retired(device=device, by=me.owner, reason="sold"),)

    def decide_for_devices(self, me: Process, act: Act) -> Job[None]:
        """Let devices in doubt operate on somebody's word, and tell them."""
        outcome = Outcome(act.word or "commit")
        done = False
        for name in act.target:
            unit = self.units.get(DeviceId(name))
            prepared = None if unit is None else unit.disk.prepared
            if unit is None or prepared is None:
                continue
            device, txn = unit.id, prepared.txn
            state = yield from self.change(me, partial(self._word, me, device, txn, outcome))
            done = done or (state is not None and device in state.heuristics)
        if done and (yield self.dial(me)):
            goal = orc.Settle(until=math.inf, leases=orc.Leases(keep=True))
            session = self.begin_session(me, goal)
            self.later_in(me, self.timing.settle_s, self.end_session, session)
            yield self.end_of(session)

    def _word(
        self, me: Process, device: DeviceId, txn: TxnId, outcome: Outcome, state: FleetState
    ) -> tuple[Record, ...]:
        known = state.heuristics.get(device)
        same = known is not None and (known.txn, known.outcome) == (txn, outcome)
        if answers.decided(state, txn) is not None or same:
            return ()
        word = rec.HeuristicDecided(
            device=device, txn=txn, outcome=outcome, by=me.owner, reason="it must fly"
        )
        return (word,)

    def settle_heuristics(self, me: Process) -> Job[None]:
        """Look at every device that operated on somebody's word."""
        for device in tuple(self.state.heuristics):
            yield from self.change(me, partial(self._seen, me, device))

    def _seen(self, me: Process, device: DeviceId, state: FleetState) -> tuple[Record, ...]:
        if device not in state.heuristics or state.acts_on_word(device):
            return ()
        return (rec.HeuristicSettled(device=device, by=me.owner, reason="looked at"),)
