"""The orchestrators of a minifleet."""

from __future__ import annotations

from collections.abc import Sequence

from drone_sim.cores import rules, samples
from drone_sim.cores.ground import Driver, Ground, Packet
from drone_sim.cores.showing import show_message
from orchestrator.protocol import lease, reseed
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.messages import Blob, Decision
from orchestrator.protocol.ready import Send
from orchestrator.protocol.records import Verb
from orchestrator.protocol.types import DeviceId, Owner, Ticket


class Orchestrators(Ground):
    """The verbs of those who push, force and settle."""

    resolve: rules.Resolve = staticmethod(rules.resolve)
    acquire: rules.Acquire = staticmethod(rules.acquire)
    shatter: rules.Shatter = staticmethod(rules.shatter)

    # --- coordinators -------------------------------------------------------------------------

    def push(
        self,
        name: str,
        number: int,
        *,
        excused: Sequence[DeviceId] = (),
        timing: orc.Timing | None = None,
        owner: Owner | None = None,
        ticket: Ticket | None = None,
    ) -> Driver | None:
        """Take the free lock and start a coordinator; ``None`` while it can't be had."""
        taken = self.acquire(self.state, owner or samples.owner(name), "push", ticket)
        if isinstance(taken, lease.Hot):
            return None
        self.append(len(self.journal), taken)
        out = {*excused, *self.state.retired}
        members = [device for device in self.devices if device not in out]
        goal = samples.push(number, self.state.version, members, excused)
        self.blobs[goal.digest] = samples.encode(goal.plan)
        for one in (*goal.plan.digests.values(), *goal.spare.values()):
            self.blobs[one] = one.encode()
        return self._drive(name, goal, timing)

    def force(
        self, name: str, *, owner: Owner | None = None, verb: Verb = Verb.FORCE_UNLOCK
    ) -> Driver | None:
        """Resolve whoever holds the lock, at once; ``None`` if nobody does."""
        by, epoch = owner or samples.owner(name), self.state.lock.epoch
        found = self.resolve(self.state, epoch, by, "it hangs", verb)
        if isinstance(found, lease.NotTheLock):
            return None
        self.append(len(self.journal), found)
        return self._drive(name, self._resolve_goal(), None)

    def _resolve_goal(self) -> orc.Resolve:
        return orc.Resolve(members=tuple(self.devices), config=samples.CONFIG)

    def break_glass(self, name: str, *, owner: Owner | None = None) -> bool:
        """End everything and free the lock at once; false where it can't be done."""
        by, epoch = owner or samples.owner(name), self.state.lock.epoch
        found = self.shatter(self.state, epoch, by, "no time to wait")
        if isinstance(found, lease.NotTheLock | lease.Refused):
            return False
        landed = self.append(len(self.journal), found)
        self.check()
        return landed

    def reseed(self, name: str) -> Driver:
        """Begin a new incarnation from what every device that is up says of itself."""
        told = {
            device.id: device.core.state(device.reading(self.now))
            for device in self.devices.values()
            if device.core is not None
        }
        by, members = samples.owner(name), tuple(self.devices)
        records = reseed.begin(self.state, told, by, "rolled back", members)
        self.append(len(self.journal), records)
        return self._drive(name, self._resolve_goal(), None)

    def settle(
        self, name: str, *, for_s: float = 60.0, leases: orc.Leases | None = None
    ) -> Driver:
        """Start a coordinator that only answers, until everybody operates; or for ever."""
        members = tuple(device for device in self.devices if device not in self.state.retired)
        goal = orc.Settle(until=self.now + for_s, members=members, leases=leases)
        core = self.coordinator(self.state, goal=goal, timing=self.timing)
        return self._start(name, core)

    def _drive(self, name: str, goal: orc.Goal, timing: orc.Timing | None) -> Driver:
        lock = self.state.lock
        core = self.coordinator(
            self.state,
            goal=goal,
            timing=timing or self.timing,
            epoch=lock.epoch,
            owner=lock.owner,
        )
        return self._start(name, core)

    def _start(self, name: str, core: Coordinator) -> Driver:
        self.drivers[name] = driver = Driver(name=name, core=core)
        self.tell(driver, orc.Connected())
        return driver

    def tell(self, driver: Driver, event: orc.Event) -> None:
        """Step a coordinator and do what it asks for; one that waits for an answer hears none."""
        if not driver.alive or driver.inflight is not None:
            return
        ready = driver.core.step(event, self.now)
        while ready.writes:
            (append,) = ready.writes
            if self.patient:
                driver.inflight = append
                return
            ready = driver.core.step(self._journaled(append), self.now)
        self._perform(driver, ready)
        self.check()

    def _journaled(self, append: orc.Append, *, lost: bool = False) -> orc.Journaled:
        landed = self.append(append.expected_head, append.records)
        if not landed:
            self.log(f"  journal: conflict at {append.expected_head}")
        entries = tuple(self.journal[append.expected_head :])
        return orc.Journaled(entries=entries, unknown=lost)

    def land(self, driver: Driver, *, lost: bool = False) -> None:
        """Let the append under way reach the journal; ``lost``: its answer must be read back."""
        append, driver.inflight = driver.inflight, None
        if append is None:
            return
        answer = self._journaled(append, lost=lost)
        self._answer(driver, answer)

    def vanish(self, driver: Driver) -> orc.Append | None:
        """Lose the append *and* its answer; it may still land later (see :meth:`append`)."""
        append, driver.inflight = driver.inflight, None
        if append is not None:
            entries = tuple(self.journal[append.expected_head :])
            self._answer(driver, orc.Journaled(entries=entries, unknown=True))
        return append

    def _answer(self, driver: Driver, answer: orc.Journaled | orc.StoreLost) -> None:
        if not driver.alive:
            return
        ready = driver.core.step(answer, self.now)
        if ready.writes:
            (driver.inflight,) = ready.writes
            if not self.patient:
                self.land(driver)
        else:
            self._perform(driver, ready)
        self.check()

    def _perform(self, driver: Driver, ready: orc.CoordinatorReady) -> None:
        for send in ready.messages:
            self._send(driver.name, send)
        for effect in ready.effects:
            self._publish(driver.name, effect)
        driver.wake_at = ready.wake_at

    def _send(self, sender: str, send: Send) -> None:
        to = "*" if send.to is None else send.to
        self.log(f"  {sender} -> {to}: {show_message(send.message)}")
        if isinstance(send.message, Decision) and send.to is None:
            self.retained[send.message.txn] = send.message
        receivers = list(self.devices) if send.to is None else [send.to]
        for receiver in receivers:
            self.bag.append(Packet(sender=sender, to=receiver, message=send.message))

    def _publish(self, sender: str, effect: orc.Effect) -> None:
        if isinstance(effect, orc.PublishBlob):
            data = self.blobs.get(effect.digest)
            if data is None:
                return
            key = (effect.txn, effect.digest)
            blob = Blob(txn=effect.txn, digest=effect.digest, data=data)
            self.retained[key] = blob
            for device in self.devices.values():
                if key in device.watching:
                    self.bag.append(Packet(sender=sender, to=device.id, message=blob))
            return
        for one in effect.digests:
            self.retained.pop((effect.txn, one), None)
        if effect.decision:
            self.retained.pop(effect.txn, None)

    def refresh(self, driver: Driver) -> None:
        """Let a coordinator read what the journal has by now."""
        news = tuple(self.journal[driver.core.state.head :])
        if news and driver.inflight is None:
            self.tell(driver, orc.Journaled(entries=news))

    def kill(self, driver: Driver) -> None:
        """End the process; an append that was under way may still land (see :meth:`land`)."""
        driver.alive = False
