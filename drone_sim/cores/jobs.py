"""
Commands as generators: what a process does step by step, where each step may be its last.

A job yields what it waits for, a function that is given how to go on, and is sent what came of it.
Nothing of a process that has died is ever resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TypeVar

from drone_sim.cores.kernel import Kernel
from drone_sim.cores.lines import Line
from drone_sim.cores.party import PPM, Held, Process, Session
from drone_sim.cores.sessions import Sessions
from drone_sim.cores.shelf import Outcome
from drone_sim.cores.town import Setup
from drone_sim.scenario.chance import stream
from drone_sim.scenario.meaning import MACHINE
from drone_sim.scenario.model import Verb
from drone_sim.trace import Kind
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState, Waiter
from orchestrator.protocol.records import LockState, Record
from orchestrator.protocol.types import Epoch, Owner, Ticket

T = TypeVar("T")

Resume = Callable[[Any], object]
Wait = Callable[[Resume], object]
Job = Generator[Wait, Any, T]

Rule = Callable[[FleetState], tuple[Record, ...] | None]
"""Returns the records of one append, none if nothing is to be done, ``None`` to give up."""

TRIES_MAX: Final = 20
POLL_S: Final = 0.1
CONNECT_S: Final = 1.0
"""How long a command tries to reach the broker."""


class Jobs(Sessions):
    """Starts processes, and has what all commands are made of."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.control_quality = setup.scenario.control
        self.kernel = Kernel()
        self.boots: dict[str, int] = {}
        self.clocks: dict[str, tuple[float, float, float]] = {}
        """The wall clock of a machine: how far ahead at which instant, and its drift in ppm."""

    # --- processes ------------------------------------------------------------------------------

    def wall_clock(self, machine: str) -> float:
        """Return how far the clock of a machine is ahead of UTC, in s."""
        ahead_s, since, drift_ppm = self.clocks.get(machine, (0.0, self.now, 0.0))
        return ahead_s + (self.now - since) * drift_ppm * PPM

    def _see_clocks(self) -> None:
        """Look whether the devices still know the clocks of those who answer them."""
        for unit in self.units.values() if self.clocks else ():
            self.doubt_clock(unit)
            self.look_at(unit)

    def start(self, who: str, verb: Verb | None = None) -> Process:
        """Start a process; what it does is :meth:`spawn`'s business."""
        self.names += 1
        known = self.processes.get(who)
        name = who if known is None else f"{who}#{self.names}"
        machine = who.partition("@")[2] or MACHINE
        chance = stream(self.scenario.seed, "control", name)
        process = Process(
            name=name,
            called=who,
            machine=machine,
            verb=verb,
            owner=self._owner(name, machine, verb),
            line=Line(name=name, quality=self.control_quality, chance=chance),
            die=lambda: None,
            offset_s=self.wall_clock(machine),
        )
        process.die = partial(self.kill_process, process)
        self.processes[who] = self.living[name] = process
        self.kernel.admit(machine, process.owner.pid, process.owner.start_ticks)
        self._see_clocks()
        self.checker.process_started(name, process.owner, verb)
        if self.trace is not None:
            text = f"starts: {'' if verb is None else verb.value}"
            self.note(Kind.PROCESS, name, text, what="started")
        return process

    def _owner(self, name: str, machine: str, verb: Verb | None) -> Owner:
        return Owner(
            user=name,
            host=machine,
            machine_id=machine,
            boot_id=f"{machine}-{self.boots.get(machine, 1)}",
            pid_namespace="n",
            pid=1000 + self.names,
            start_ticks=self.names,
            program="aimctl" if verb is None else f"aimctl {verb.value}",
        )

    def kill_process(self, process: Process, what: str = "killed") -> None:
        """Let a process be gone at once; ``what`` it is that happens to it."""
        if not process.alive:
            return
        process.alive = False
        process.stopped.clear()
        process.line.connected = process.line.broken = False
        process.line.attempt += 1
        for session in process.sessions:
            session.executor.alive, session.ended = False, True
        process.sessions.clear()
        self.living.pop(process.name, None)
        self.kernel.release(process.machine, process.owner.pid)
        self._see_clocks()
        self.checker.process_ended(process.owner)
        if self.trace is not None:
            self.note(Kind.PROCESS, process.name, what, what=what)

    def pause_process(self, process: Process) -> None:
        """Stop a process without its notice."""
        if process.alive and not process.paused:
            process.paused = True
            self.checker.process_paused(process.owner, paused=True)
            self.note(Kind.PROCESS, process.name, "paused", what="paused")

    def resume_process(self, process: Process) -> None:
        """Let it go on where it stopped."""
        if not process.alive or not process.paused:
            return
        process.paused = False
        self.checker.process_paused(process.owner, paused=False)
        self.note(Kind.PROCESS, process.name, "resumed", what="resumed")
        stopped, process.stopped = process.stopped, []
        for act, args in stopped:
            self.run_in(process, act, *args)

    # --- jobs -----------------------------------------------------------------------------------

    def spawn(self, process: Process, job: Job[None], *, main: bool = True) -> None:
        """Run a job in a process, which ends with its ``main`` one."""
        self._go_on(process, job, None, main=main)

    def _go_on(self, process: Process, job: Job[None], value: object, *, main: bool) -> None:
        self.await_(process)
        if not process.alive:
            return
        self.awaits += self.faulty
        try:
            wait = job.send(value)
        except StopIteration:
            if main:
                self.kill_process(process, "ended")
        else:
            wait(partial(self.run_in, process, partial(self._go_on, process, job, main=main)))
        self.checker.look()

    # --- what a job may wait for ----------------------------------------------------------------

    def rest(self, process: Process, for_s: float) -> Wait:
        """Wait."""
        return lambda resume: self.later_in(process, for_s, resume, None)

    def dial(self, process: Process) -> Wait:
        """Connect to the broker; sends whether that has worked."""

        def wait(resume: Resume) -> None:
            if process.line.connected:
                self.later_in(process, 0.0, resume, True)
            elif self.reachable(process.line):
                process.waiting.append(partial(resume, True))
                self.connect(process)
            else:
                self.later_in(process, CONNECT_S, resume, False)

        return wait

    def end_of(self, session: Session) -> Wait:
        """Wait until a session is over."""

        def wait(resume: Resume) -> None:
            if session.ended:
                self.later_in(session.process, 0.0, resume, session)
            else:
                session.over = resume

        return wait

    def put(self, process: Process, head: int, records: tuple[Record, ...]) -> Wait:
        """Append; sends the :class:`.shelf.Outcome`."""
        return lambda resume: self.commit(process, head, records, resume)

    # --- the journal ----------------------------------------------------------------------------

    def change(self, process: Process, rule: Rule) -> Job[FleetState | None]:
        """Append what ``rule`` says of the present fold; ``None``: it won't, or nobody knows."""
        for _ in range(TRIES_MAX):
            if not self.store_up:
                return None
            state = self.state
            records = rule(state)
            if not records:
                return None if records is None else state
            outcome = yield self.put(process, state.head, records)
            end = state.head + len(records)
            stored = tuple(entry.record for entry in self.journal[state.head : end])
            if outcome is Outcome.LOST and self.store_up:
                self.checker.read_back(process.name, written=stored == records)
                outcome = Outcome.STORED if stored == records else Outcome.CONFLICT
            if outcome is Outcome.STORED:  # a store that was restored since has lost it again
                return self.folds[end] if stored == records else None
            if outcome in {Outcome.AWAY, Outcome.LOST}:
                return None
        return None

    def acquire_lock(
        self, process: Process, purpose: str, wait_s: float | None
    ) -> Job[Held | None]:
        """Take the free lock in turn, or wait in line for it for so long; ``None``: HOT."""
        held = yield from self._try_lock(process, purpose, None)
        if held is not None or wait_s is None or not self.store_up:
            return held
        return (yield from self._stand_in_line(process, purpose, wait_s))

    def _try_lock(self, process: Process, purpose: str, ticket: Ticket | None) -> Job[Held | None]:
        dead = self._dead_before(process, ticket)
        if dead:
            yield from self.change(
                process, lambda state: lease.withdraw(state, dead, process.owner, "gone")
            )
        since = self.now

        def rule(state: FleetState) -> tuple[Record, ...] | None:
            granted = self.acquire(state, process.owner, purpose, ticket)
            return None if isinstance(granted, lease.Hot) else granted

        state = yield from self.change(process, rule)
        if state is None:
            return None
        return Held(state=state, since=since, append_s=self.now - since)

    def _dead_before(self, process: Process, mine: Ticket | None) -> tuple[Ticket, ...]:
        return tuple(
            waiter.ticket
            for waiter in self.state.lock.waiters
            if waiter.ticket != mine and self._waits_no_more(waiter, process)
        )

    def _stand_in_line(self, process: Process, purpose: str, wait_s: float) -> Job[Held | None]:
        until, renew_at, ticket = self.now + wait_s, 0.0, None
        held = None
        while held is None and self.store_up:  # a store that is away ends the command
            if self.now >= renew_at:
                renew_at = self.now + lease.RENEW_EVERY_S
                if ticket is None or not self.touch(ticket, process.owner):
                    ticket = Ticket(f"w-{process.name}-{self.steps}")
                    yield from self._stand(process, purpose, ticket)
            held = yield from self._try_lock(process, purpose, ticket)
            if held is None and self.now >= until:
                break
            if held is None:
                yield self.rest(process, min(POLL_S, max(0.0, until - self.now)))
        if held is None and ticket is not None:
            gone = (ticket,)
            yield from self.change(
                process, lambda state: lease.withdraw(state, gone, process.owner, "left")
            )
        return held

    def _stand(self, process: Process, purpose: str, ticket: Ticket) -> Job[FleetState | None]:
        def rule(state: FleetState) -> tuple[Record, ...] | None:
            asked = lease.queue(state, process.owner, purpose, ticket)
            return None if isinstance(asked, lease.Refused) else asked

        return (yield from self.change(process, rule))

    def give_back_lock(self, process: Process, epoch: Epoch) -> Job[FleetState | None]:
        """Release a held lock with nothing open."""

        def rule(state: FleetState) -> tuple[Record, ...] | None:
            freed = lease.release(state, epoch, process.owner)
            return None if isinstance(freed, lease.NotTheLock) else freed

        return (yield from self.change(process, rule))

    # --- who lives ------------------------------------------------------------------------------

    def gone(self, owner: Owner, by: Process) -> bool:
        """Whether a process can see that another one is gone: only on its own machine."""
        if owner.machine_id != by.owner.machine_id:
            return False
        return owner.boot_id != by.owner.boot_id or not self.kernel.runs(owner)

    def lock_is_a_ghosts(self, by: Process) -> bool:
        """Whether the lock is held by somebody who need not be asked."""
        lock = self.state.lock
        if lock.state is LockState.FREE or lock.owner is None:
            return False
        silent = self.lease_stage(lock.epoch) is lease.Stage.PAST_GRACE
        return silent or self.gone(lock.owner, by)

    def _waits_no_more(self, waiter: Waiter, by: Process) -> bool:
        """Whether a waiter is provably gone, silent past its TTL, or without a lease."""
        stage = self.lease_stage(waiter.ticket)
        return stage is not lease.Stage.FRESH or self.gone(waiter.owner, by)
