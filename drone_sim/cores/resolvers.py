"""
Those who resolve: by force, unasked after a death, with broken glass, after a restored store.

And the server, which does so all its life. The sources are ``resolving``, ``reseeding`` and
``serving`` of :mod:`orchestrator.service`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from drone_sim.cores.jobs import Job, Jobs
from drone_sim.cores.party import Held, Process
from drone_sim.cores.town import START_S
from drone_sim.scenario.model import Act
from orchestrator.protocol import answers, lease, reseed
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol import records as rec
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import DeviceState, Hello, Message, Report
from orchestrator.protocol.ready import Send
from orchestrator.protocol.records import LockState, Record
from orchestrator.protocol.types import DeviceId, Epoch

LISTEN_S: Final = 1.5
"""How long a reseed hears the devices before it begins."""

LISTEN_AGAIN_S: Final = 0.1
SWEEP_S: Final = 1.0
AGAIN_S: Final = 1.0
AGAIN_MAX_S: Final = 15.0


class Resolvers(Jobs):
    """The commands that take a lock from somebody, and the server."""

    doubtful: reseed.Doubtful | None = None
    """Why the last reseed could not end."""

    # --- ways out of a held lock ----------------------------------------------------------------

    def force_unlock(self, me: Process, _act: Act) -> Job[None]:
        """Resolve the lock whoever holds it."""
        epoch, state = self.state.lock.epoch, self.state.lock.state
        if state is LockState.FREE or not self.store_up:
            return
        if (yield self.dial(me)):
            yield from self._resolve_lock(me, epoch, "it hangs", rec.Verb.FORCE_UNLOCK)

    def _resolve_lock(self, me: Process, epoch: Epoch, reason: str, verb: rec.Verb) -> Job[None]:
        """Take the lock of that epoch from whoever holds it, and drive what is open to its end."""
        since = self.now

        def rule(state: FleetState) -> tuple[Record, ...] | None:
            taken = self.resolve(state, epoch, me.owner, reason, verb)
            return None if isinstance(taken, lease.NotTheLock) else taken

        state = yield from self.change(me, rule)
        if state is not None:
            held = Held(state=state, since=since)
            yield self.end_of(self.begin_session(me, self._resolve_goal(), held=held))

    def recover(self, me: Process, _act: Act) -> Job[None]:
        """Resolve a ghost's lock, or answer who waits for a decision."""
        if not self.store_up or not (yield self.dial(me)):
            return
        lock = self.state.lock
        if lock.state is LockState.FREE:
            yield from self._tell_decisions(me)
        elif self.lock_is_a_ghosts(me):
            yield from self._resolve_lock(me, lock.epoch, "recover: gone", rec.Verb.RECOVER)

    def break_the_glass(self, me: Process, _act: Act) -> Job[None]:
        """End everything and free the lock at once; then tell whoever can be reached."""
        epoch = self.state.lock.epoch

        def rule(state: FleetState) -> tuple[Record, ...] | None:
            broken = self.shatter(state, epoch, me.owner, "no time to wait")
            return None if isinstance(broken, lease.NotTheLock | lease.Refused) else broken

        if (yield from self.change(me, rule)) is not None and (yield self.dial(me)):
            yield from self._tell_decisions(me)

    def _tell_decisions(self, me: Process) -> Job[None]:
        """Answer who waits for an old decision, for ``settle_s`` at most."""
        installed = self.state.installed
        members = () if installed is None else tuple(installed.begun.digests)
        until = self.now + me.offset_s + self.timing.settle_s
        self.say(me, Send(message=answers.ROLL_CALL))
        yield self.end_of(self.begin_session(me, orc.Settle(until=until, members=members)))

    # --- a store that was rolled back -----------------------------------------------------------

    def reseed_fleet(self, me: Process, _act: Act) -> Job[None]:
        """Hear the devices; where one contradicts the journal, begin a new incarnation."""
        if not self.store_up or not (yield self.dial(me)):
            return
        judged = self.state.lock
        witness = Witness()
        yield from self._call_the_roll(me, witness)
        told = {d: one.state for d, one in sorted(witness.devices.items()) if one.state}
        if not self.contradicted(told) and self.state.reseeding is None:
            return
        fresh = self.lease_stage(judged.epoch) is lease.Stage.FRESH
        if judged.owner is not None and fresh and not self.gone(judged.owner, me):
            return  # HOT: a living owner is at it
        since = self.now
        state = yield from self.change(me, lambda now: self._begin_reseed(now, me, told, judged))
        if state is None:
            return
        held = Held(state=state, since=since)
        session = self.begin_session(me, self._resolve_goal(), held=held)
        yield self.end_of(session)
        self.doubtful = session.core.doubtful
        if session.core.phase is Phase.DONE and self.state.deferred:
            yield from self._tell_decisions(me)

    def contradicted(self, told: Mapping[DeviceId, DeviceState]) -> bool:
        """Whether a device that is not retired knows what the journal lacks."""
        return any(
            answers.contradiction(self.state, one) is not None
            for device, one in told.items()
            if device not in self.state.retired
        )

    def _call_the_roll(self, me: Process, witness: Witness) -> Job[None]:
        def listen(message: Message) -> None:
            if isinstance(message, Hello | Report):
                witness.learn(message, self.now)

        me.listeners.append(listen)
        self.say(me, Send(message=answers.ROLL_CALL))
        until = self.now + LISTEN_S
        while self.now < until and len(witness.devices) < len(self.devices):
            yield self.rest(me, LISTEN_AGAIN_S)
        me.listeners.remove(listen)

    def _begin_reseed(
        self,
        state: FleetState,
        me: Process,
        told: Mapping[DeviceId, DeviceState],
        judged: object,
    ) -> tuple[Record, ...] | None:
        if judged != state.lock:
            return None
        ahead = any(one.max_epoch > state.lock.epoch for one in told.values())
        if state.reseeding is None or state.lock.state is LockState.FREE or ahead:
            return reseed.begin(state, told, me.owner, "rolled back", tuple(self.devices))
        taken = self.resolve(state, state.lock.epoch, me.owner, "rolled back", rec.Verb.RESEED)
        return None if isinstance(taken, lease.NotTheLock) else taken

    # --- serve ----------------------------------------------------------------------------------

    def serve_fleet(self, me: Process, act: Act) -> Job[None]:
        """Answer devices for ever, and resolve the locks of ghosts."""
        if not self.store_up:
            return
        until = self.ends_at(act)
        self.manager_restarts()
        self.spawn(me, self._answer_for_ever(me), main=False)
        cleaned: list[Process] = []
        while self.now < until:
            if self._may_clean_up(me, cleaned):
                epoch = self.state.lock.epoch
                cleaned.append(me)
                self.spawn(me, self._clean_up(me, epoch, cleaned), main=False)
            yield self.rest(me, min(SWEEP_S, until - self.now))

    def _may_clean_up(self, me: Process, cleaned: Sequence[Process]) -> bool:
        """Whether a ghost's lock is to be resolved, and nobody in here is at it already."""
        if not self.store_up or cleaned or self.state.reseeding is not None:
            return False
        return self.lock_is_a_ghosts(me)

    def _answer_for_ever(self, me: Process) -> Job[None]:
        pause_s = AGAIN_S
        leases = orc.Leases(lease_s=self.scenario.pace.lease_s)
        goal = orc.Settle(until=math.inf, members=tuple(self.devices), leases=leases)
        while True:
            began = self.now
            if (yield self.dial(me)) and self.store_up:
                yield self.end_of(self.begin_session(me, goal))
            if self.now - began > AGAIN_MAX_S:
                pause_s = AGAIN_S
            yield self.rest(me, pause_s)
            pause_s = min(2 * pause_s, AGAIN_MAX_S)

    def _clean_up(self, me: Process, epoch: Epoch, cleaned: list[Process]) -> Job[None]:
        if (yield self.dial(me)):
            yield from self._resolve_lock(me, epoch, "expired", rec.Verb.EXPIRE)
        cleaned.clear()

    def ends_at(self, act: Act) -> float:
        """Return the true instant at which what an act began is over: with the story, at last."""
        safety_s = self.scenario.safety_s
        end_s = safety_s if act.for_s is None else act.at_s + act.for_s
        return START_S + (min(end_s, safety_s) if act.at_s < safety_s else end_s)
