"""
A fleet with people around its lock: they push, wait, die, ask, force, expire and break the glass.

Lease rows are kept here as a store keeps them, in virtual time: whoever lives and is not paused
renews every 3 s. Everything that is appended is audited.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drone_sim.cores import rules, samples
from drone_sim.cores.audit import audit
from drone_sim.cores.ground import Driver
from drone_sim.cores.minifleet import Fleet
from orchestrator.protocol import lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import FINAL
from orchestrator.protocol.fleet import Waiter
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.records import (
    HeuristicDecided,
    HeuristicSettled,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    Retired,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner, Ticket

Claim = Epoch | Ticket
LIFE_S: Final = lease.LEASE_TTL_S + lease.GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A lease as the store has it."""

    owner: Owner
    renewed: float
    extended: float = 0.0

    def age_s(self, now: float) -> float:
        """Return how long ago it was renewed, or given a fresh TTL."""
        return now - max(self.renewed, self.extended)


@dataclass(kw_only=True)
class Actor:
    """One process: alive, paused (it may go on later, as a zombie), or dead."""

    owner: Owner
    nearby: bool
    """Whether others can see that its process is gone."""
    alive: bool = True
    paused: bool = False
    ticket: Ticket | None = None
    epoch: Epoch | None = None
    """The lock that it holds, or believes that it holds."""
    driver: Driver | None = None

    @property
    def busy(self) -> bool:
        """Whether it drives something."""
        driver = self.driver
        return driver is not None and driver.alive and driver.core.phase not in FINAL


@dataclass(kw_only=True)
class Ledger:
    """Who lives, and the heartbeats."""

    actors: dict[Owner, Actor] = field(default_factory=dict)
    rows: dict[Claim, Row] = field(default_factory=dict)
    renew_at: float = 0.0
    taken_from: list[tuple[Verb, Row | None, Actor | None]] = field(default_factory=list)


class Yard(Fleet):
    """The world of a :class:`Fleet`, and the people around its lock."""

    stage_of: Callable[[float], lease.Stage] = staticmethod(rules.stage_of)

    def __init__(self, devices: int = 3) -> None:
        self.ledger = Ledger()
        self.names = 0
        super().__init__(devices)

    # --- the store's half -----------------------------------------------------------------------

    def append(self, head: int, records: Sequence[Record]) -> bool:
        """Compare and append; audit what was appended, and keep the leases."""
        start = len(self.journal)
        for record in records if head == start else ():
            self._before(record)
        landed = super().append(head, records)
        for entry in self.journal[start:]:
            self._keep_rows(entry.record)
            before, after = self.folds[entry.index - 1], self.folds[entry.index]
            self.refuse(list(audit(before, entry, after)))
        return landed

    def _before(self, record: Record) -> None:
        """I20: nobody takes a lock unasked before TTL and grace, unless its owner is dead."""
        lock = self.state.lock
        unasked = {Verb.EXPIRE.value, Verb.RECOVER.value}
        if not isinstance(record, LockTaken) or record.purpose not in unasked:
            return
        row, holder = self.ledger.rows.get(lock.epoch), self._owner_of(lock.owner)
        dead = holder is not None and not holder.alive and holder.nearby
        if not dead and (row is None or row.age_s(self.now) <= LIFE_S):
            self.refuse([Violation(id="I20", text=f"taken from {lock.owner}, who may live")])

    def _keep_rows(self, record: Record) -> None:
        rows = self.ledger.rows
        match record:
            case LockTaken(epoch=epoch, owner=owner, ticket=ticket):
                for claim in [claim for claim in rows if isinstance(claim, Epoch)]:
                    del rows[claim]
                if ticket is not None:
                    rows.pop(ticket, None)
                rows[epoch] = Row(owner=owner, renewed=self.now)
            case LockReleased():
                for claim in [claim for claim in rows if isinstance(claim, Epoch)]:
                    del rows[claim]
            case LockRequested(ticket=ticket, owner=owner):
                rows[ticket] = Row(owner=owner, renewed=self.now)
            case LockWithdrawn(ticket=ticket):
                rows.pop(ticket, None)
            case _:
                return

    def touch(self, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; nothing changes unless claim and owner match (I21)."""
        row = self.ledger.rows.get(claim)
        if row is None or row.owner != owner:
            return False
        self.ledger.rows[claim] = replace(row, renewed=self.now)
        return True

    def manager_restarts(self) -> None:
        """Give every lease a fresh TTL (I20)."""
        rows = self.ledger.rows
        self.ledger.rows = {claim: replace(row, extended=self.now) for claim, row in rows.items()}

    # --- people ---------------------------------------------------------------------------------

    def actor(self, *, nearby: bool = True) -> Actor:
        """Start a process."""
        self.names += 1
        owner = samples.owner(f"p{self.names}")
        made = self.ledger.actors[owner] = Actor(owner=owner, nearby=nearby)
        return made

    def holder(self) -> Actor | None:
        """Return the living process that holds the lock."""
        actor = self._owner_of(self.state.lock.owner)
        return actor if actor is not None and actor.alive else None

    def _owner_of(self, owner: Owner | None) -> Actor | None:
        return None if owner is None else self.ledger.actors.get(owner)

    def _ghost(self, claim: Claim, owner: Owner | None) -> bool:
        """Whether somebody is gone: seen to be dead, or silent past TTL and grace."""
        who, row = self._owner_of(owner), self.ledger.rows.get(claim)
        if who is not None and not who.alive and who.nearby:
            return True
        age_s = LIFE_S + 1 if row is None else row.age_s(self.now)
        return self.stage_of(age_s) is lease.Stage.PAST_GRACE

    def wait(self, actor: Actor) -> None:
        """Stand in line."""
        if actor.ticket is None and actor.epoch is None:
            ticket = Ticket(f"w-{actor.owner.user}-{len(self.journal)}")
            asked = lease.queue(self.state, actor.owner, "push", ticket)
            if not isinstance(asked, lease.Refused):
                self.append(len(self.journal), asked)
                actor.ticket = ticket

    def leave(self, actor: Actor) -> None:
        """Leave the line."""
        if actor.ticket is not None:
            gone = lease.withdraw(self.state, (actor.ticket,), actor.owner, "left the queue")
            self.append(len(self.journal), gone)
            actor.ticket = None

    def skip_the_dead(self, actor: Actor) -> None:
        """Take out of the line who is dead and stands before ``actor``."""
        lock = self.state.lock
        dead = [one.ticket for one in self._before_me(lock.waiters, actor.ticket)]
        if lock.state is LockState.FREE and dead:
            gone = lease.withdraw(self.state, dead, actor.owner, "gone")
            self.append(len(self.journal), gone)

    def _before_me(self, line: Collection[Waiter], mine: Ticket | None) -> list[Waiter]:
        found = []
        for waiter in line:
            if waiter.ticket == mine or not self._ghost(waiter.ticket, waiter.owner):
                break
            found.append(waiter)
        return found

    def _in_line(self, actor: Actor) -> bool:
        if actor.ticket is None:
            return True
        mine = any(waiter.ticket == actor.ticket for waiter in self.state.lock.waiters)
        if not mine:
            actor.ticket = None  # it was passed over while it was paused: it stands again
        return mine

    def take(self, actor: Actor) -> bool:
        """Take the free lock in turn, by hand."""
        self.skip_the_dead(actor)
        if actor.epoch is not None or not self._in_line(actor):
            return False
        granted = self.acquire(self.state, actor.owner, "by hand", actor.ticket)
        if isinstance(granted, lease.Hot) or not self.append(len(self.journal), granted):
            return False
        actor.epoch, actor.ticket = self.state.lock.epoch, None
        return True

    def give_back(self, actor: Actor) -> None:
        """Release what it holds, or thinks that it holds."""
        if actor.epoch is None or actor.busy:
            return
        freed = lease.release(self.state, actor.epoch, actor.owner)
        if not isinstance(freed, lease.NotTheLock):
            self.append(len(self.journal), freed)
        actor.epoch = None

    def push_as(
        self, actor: Actor, excused: Sequence[DeviceId] = (), timing: orc.Timing | None = None
    ) -> Driver | None:
        """Push in turn: what is before it in the line and dead is skipped."""
        self.skip_the_dead(actor)
        if actor.busy or actor.epoch is not None or not self._in_line(actor):
            return None
        number = self.state.last_seq + 1
        name = f"{actor.owner.user}-{len(self.journal)}"
        driver = self.push(
            name,
            number,
            excused=excused,
            timing=timing,
            owner=actor.owner,
            ticket=actor.ticket,
        )
        if driver is not None:
            actor.driver, actor.ticket = driver, None
        return driver

    def take_over(self, actor: Actor, verb: Verb) -> Driver | None:
        """Resolve: by force at any time, unasked only a ghost's."""
        lock = self.state.lock
        unasked = verb in {Verb.EXPIRE, Verb.RECOVER}
        if actor.busy or lock.owner is None:
            return None
        if unasked and not self._ghost(lock.epoch, lock.owner):
            return None
        name = f"{actor.owner.user}-{len(self.journal)}"
        actor.driver = self.force(name, owner=actor.owner, verb=verb)
        actor.epoch = None
        return actor.driver

    def ask_release(self, actor: Actor) -> None:
        """Ask whoever holds the lock to finish or abort."""
        asked = lease.request_release(self.state, self.state.lock.epoch, actor.owner, "please")
        if not isinstance(asked, lease.NotTheLock):
            self.append(len(self.journal), asked)

    def die(self, actor: Actor) -> None:
        """Let the process be gone; an append under way may still land."""
        actor.alive = False
        if actor.driver is not None:
            self.kill(actor.driver)

    def pause(self, actor: Actor, *, paused: bool) -> None:
        """Stop a process without its notice, or let it go on as a zombie."""
        actor.paused = paused
        driver = actor.driver
        if driver is None or not actor.alive:
            return
        driver.alive = not paused
        if driver.alive and driver.core.appending and driver.inflight is None:
            # Its append has landed, or not, while it slept: it reads the journal.
            entries = tuple(self.journal[driver.core.state.head :])
            self._answer(driver, orc.Journaled(entries=entries, unknown=True))

    # --- a person at a device -------------------------------------------------------------------

    def decide_for(self, name: DeviceId, outcome: Outcome) -> None:
        """Let a device in doubt operate on somebody's word."""
        prepared = self.devices[name].disk.prepared
        if prepared is None:
            return
        known = {txn.begun.txn: txn.outcome for txn in self.state.known_txns()}
        if known.get(prepared.txn) is None:
            word = HeuristicDecided(
                device=name,
                txn=prepared.txn,
                outcome=outcome,
                by=samples.owner("person"),
                reason="it must fly",
            )
            self.append(len(self.journal), (word,))

    def settle_words(self) -> None:
        """Look at every device that operated on somebody's word."""
        for name in self.state.heuristics:
            seen = HeuristicSettled(device=name, by=samples.owner("person"), reason="looked at")
            self.append(len(self.journal), (seen,))

    def retire(self, name: DeviceId) -> None:
        """Take a device out for good; not in the middle of a transaction of which it is one."""
        txn = self.state.open
        if name in self.state.retired or (txn is not None and name in txn.begun.digests):
            return
        gone = Retired(device=name, by=samples.owner("person"), reason="sold")
        self.append(len(self.journal), (gone,))

    def serve(self, lease_s: float | None) -> Driver:
        """Start a process that answers for ever and issues leases; there is one at a time."""
        old = self.drivers.get("serve")
        if old is not None:
            self.kill(old)
        return self.settle("serve", leases=orc.Leases(lease_s=lease_s))

    # --- time -----------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever lives renews in time, or stops itself."""
        until = self.now + seconds
        while self.now < until:
            step_s = min(until - self.now, max(self.ledger.renew_at - self.now, 0.0))
            super().advance(step_s)
            if self.now >= self.ledger.renew_at:
                self.ledger.renew_at = self.now + lease.RENEW_EVERY_S
                self._renew()

    def _renew(self) -> None:
        for actor in self.ledger.actors.values():
            if not actor.alive or actor.paused:
                continue
            if actor.ticket is not None:
                self.touch(actor.ticket, actor.owner)
            if actor.epoch is not None and not self.touch(actor.epoch, actor.owner):
                actor.epoch = None
            driver = actor.driver
            epoch = None if driver is None else driver.core.epoch
            if driver is None or epoch is None or driver.inflight is not None or not actor.busy:
                continue
            if not self.touch(epoch, actor.owner):
                self.refresh(driver)
                if actor.busy:
                    self.tell(driver, orc.LeaseLost())
