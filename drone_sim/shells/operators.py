"""
What people do: each verb that starts a process, as the command that it stands for.

The commands are the product's services, called as ``aimctl`` calls them. How each ended is told in
a few words; what a push says of devices is held against the truth (I29).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from drone_sim.checker import Said
from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import word_of
from drone_sim.shells.fleetware import Fleetware
from drone_sim.shells.hosts import Work
from drone_sim.shells.people import UNHEARD, People, heard_s
from drone_sim.shells.program import SimProgram
from drone_sim.shells.truth import Truth
from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.command import Program
from orchestrator.protocol import records
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, Epoch, Version
from orchestrator.service import asking, keeping, locks, reseeding, resolving
from orchestrator.service.holding import Want
from orchestrator.service.push import PushOrder, push
from orchestrator.service.results import LockView, PushResult
from orchestrator.service.serving import Served, Server
from orchestrator.service.session import Session
from orchestrator.service.world import World

ASK_S: Final = 10.0
"""How long a request for release waits for its answer, where nothing else is said."""

HEALTHY_WAIT_S: Final = 20.0
"""How long the last push waits for a lock that somebody may just be giving back."""

_ENDS: Final = {Phase.STOPPED: "stopped-itself", Phase.UNKNOWN: "outcome-unknown"}
"""Which goal of the checker is seen by how a coordinator ends."""


class Operators:
    """
    Makes the work of each verb's process.

    ``timing`` is the fleet file's, and ``lease_s`` how long its enable leases are.
    """

    def __init__(
        self,
        truth: Truth,
        ware: Fleetware,
        people: People,
        *,
        timing: Timing,
        lease_s: float | None,
    ) -> None:
        self._truth = truth
        self._ware = ware
        self._people = people
        self._timing = timing
        self._lease_s = lease_s
        self._pushes = 0
        self._works: dict[Verb, Callable[[Act], Work]] = {
            Verb.PUSH: self._push,
            Verb.FORCE_UNLOCK: self._force_unlock,
            Verb.RECOVER: lambda _act: self.recover,
            Verb.BREAK_GLASS: self._break_glass,
            Verb.REQUEST_RELEASE: self._request_release,
            Verb.ABORT: self._abort,
            Verb.RESEED: lambda _act: self.reseed,
            Verb.SERVE: lambda _act: self.serve,
            Verb.HOLD_LOCK: self._hold_lock,
            Verb.RETIRE: people.retire,
            Verb.DECIDE: people.decide,
        }

    def work_of(self, act: Act) -> Work:
        """Return what the process of an act does."""
        return self._works[act.verb](act)

    # --- push -----------------------------------------------------------------------------------

    def first_push(self) -> Work:
        """Return the push that brings version 1, with nobody in its way."""
        return lambda world: self._pushed(world, Act(at_s=0.0, verb=Verb.PUSH, word="back"), None)

    def healthy_push(self, ended: Callable[[PushResult], None]) -> Work:
        """Return the last push of a run; its result is handed to ``ended``."""
        act = Act(at_s=0.0, verb=Verb.PUSH, for_s=HEALTHY_WAIT_S)
        return lambda world: self._pushed(world, act, ended)

    def _push(self, act: Act) -> Work:
        return lambda world: self._pushed(world, act, None)

    async def _pushed(
        self, world: World, act: Act, ended: Callable[[PushResult], None] | None
    ) -> str:
        """Push as ``aimctl push --yes`` does: the plan is made anew where the fleet moves on."""
        state = await locks.read_fleet(world, self._ware.id)
        number = 0
        if word_of(act) != "back":
            self._pushes += 1
            number = self._pushes
        talk = _Talk(detaches=word_of(act) == "detach", truth=self._truth)

        def order(version: Version) -> PushOrder:
            made = self._ware.order(
                number,
                version,
                self._timing,
                left_out=[DeviceId(name) for name in act.target],
                retired=state.retired,
            )
            self._truth.known_bytes.update(made.blobs)
            return made

        wanted = replace(
            order(state.version),
            timeout_s=act.amount or None,
            wait_lock_s=act.for_s,
            replan=order,
            watch=talk.watch,
            started=talk.started,
        )
        try:
            result = await push(world, wanted)
        except OperatingError as error:
            if error.exit_code is Exit.HOT:
                self._truth.checker.count("hot")
            raise
        self._told(world, act.who, result, talk)
        if ended is not None:
            ended(result)
        return f"exit {int(result.exit_code)}: {result.message}"

    def _told(self, world: World, who: str, result: PushResult, talk: _Talk) -> None:
        """Tell what the push has said: of its transaction, and of each device."""
        checker = self._truth.checker
        if result.txn is not None and result.decision is not None:
            checker.told_outcome(who, result.txn, result.decision)
        for device, part in result.devices.items():
            heard, known = talk.heard(device), part.state not in UNHEARD
            # A push has no column for it: what "active", "prepared" and the others imply.
            operating = None if heard.state is None else heard.state.operating
            said = Said(
                device=device,
                known=known,
                version=part.version if known else None,
                operating=operating if known else None,
                heard_at_s=None if heard.at is None else heard_s(world, heard.at),
            )
            checker.told(said)
        self._truth.look()

    async def look_after(self, world: World) -> str:
        """Look at the fleet as a person does, and do what the programs leave to people."""
        done = await self._people.look(world)
        if self._people.must_reseed:
            done = [*done, await self._people.tried(self.reseed(world))]
        return "; ".join(done) or "nothing to do"

    # --- the lock -------------------------------------------------------------------------------

    def _order(
        self, epoch: Epoch, verb: records.Verb, command: str, reason: str = "drill"
    ) -> resolving.Order:
        return resolving.Order(
            fleet=self._ware.id,
            epoch=epoch,
            reason=reason,
            timing=self._timing,
            members=self._ware.members,
            config=self._ware.fleet.config,
            verb=verb,
            command=command,
            watch=partial(watched, self._truth),
        )

    async def _held(self, world: World) -> FleetState | None:
        """Return the fleet where its lock is not free."""
        state = await locks.read_fleet(world, self._ware.id)
        return None if state.lock.state is LockState.FREE else state

    def _force_unlock(self, _act: Act) -> Work:
        return self.force_unlock

    async def force_unlock(self, world: World) -> str:
        """Force the lock that is held now."""
        state = await self._held(world)
        if state is None:
            return "the lock is free"
        order = self._order(state.lock.epoch, records.Verb.FORCE_UNLOCK, "lock force-unlock")
        found = await resolving.force_unlock(world, order)
        return f"exit {int(found.exit_code)}: {found.message}"

    async def recover(self, world: World) -> str:
        """Resolve a ghost's lock, answer who waits."""
        order = self._order(Epoch(), records.Verb.RECOVER, "recover", reason="")
        found = await resolving.recover(world, order)
        return f"exit {int(found.exit_code)}: {found.message}"

    def _break_glass(self, _act: Act) -> Work:
        async def work(world: World) -> str:
            state = await self._held(world)
            if state is None:
                return "the lock is free"
            epoch = state.lock.epoch
            order = self._order(epoch, records.Verb.BREAK_GLASS, "lock break-glass")
            found = await resolving.break_glass(world, order)
            return f"exit {int(found.exit_code)}: {found.message}"

        return work

    def _request_release(self, act: Act) -> Work:
        async def work(world: World) -> str:
            state = await self._held(world)
            if state is None:
                return "the lock is free"
            wait_s = ASK_S if act.for_s is None else act.for_s
            asked = await asking.request_release(
                world, state.fleet, state.lock.epoch, "drill", wait_s
            )
            return f"answered {asked.answer}, free {asked.free}"

        return work

    def _abort(self, _act: Act) -> Work:
        async def work(world: World) -> str:
            state = await locks.read_fleet(world, self._ware.id)
            if state.open is None or state.open.decided is not None:
                return "no undecided transaction is open"
            _, txn = await asking.request_abort(world, state.open.begun.txn, "drill")
            return f"txn {txn.begun.seq}: {txn.outcome}"

        return work

    async def reseed(self, world: World) -> str:
        """Reseed the fleet where a device contradicts its journal."""
        order = self._order(Epoch(), records.Verb.RESEED, "reseed", reason="drill")
        found = await reseeding.run(world, order)
        return f"exit {int(found.exit_code)}: {found.message}"

    async def serve(self, world: World) -> str:
        """Serve until it is asked to stop."""
        served = Served(
            id=self._ware.id,
            timing=self._timing,
            members=self._ware.members,
            config=self._ware.fleet.config,
            lease_s=self._lease_s,
        )
        await Server(world, (served,)).run()
        return "nothing left to serve"

    def _hold_lock(self, act: Act) -> Work:
        async def work(world: World) -> str:
            want = Want(purpose="lock run drill", owner=world.me("lock run"))
            held = await keeping.take(world, self._ware.id, want)
            if isinstance(held, LockView):
                raise locks.hot(held, self._ware.fleet.config)
            program = SimProgram(act.for_s or 0.0)

            async def launch(_environment: Mapping[str, str]) -> Program:
                return program

            kept = await keeping.run(world, held, launch, lambda _line: None)
            return f"ended with {kept.code}, lost {kept.lost}, given back {kept.given_back}"

        return work


def watched(truth: Truth, coordinator: Coordinator) -> None:
    """Look after a step of a coordinator."""
    goal = _ENDS.get(coordinator.phase)
    if goal is not None:
        truth.checker.count(goal)
    truth.stepped()


class _Talk:
    """What is heard of a push while it runs."""

    def __init__(self, truth: Truth, *, detaches: bool) -> None:
        self._truth = truth
        self._detaches = detaches
        self._session: Session | None = None
        self._coordinator: Coordinator | None = None

    def started(self, session: Session) -> None:
        """Take note of the session, for Ctrl-C."""
        self._session = session

    def watch(self, coordinator: Coordinator) -> None:
        """Look after a step; detach once it is decided, where its operator wants that."""
        self._coordinator = coordinator
        txn = coordinator.state.open
        decided = txn is not None and txn.decided is not None
        if self._detaches and decided and self._session is not None:
            self._detaches = False
            self._session.interrupt()
            self._truth.checker.count("interrupted-detached")
        watched(self._truth, coordinator)

    def heard(self, device: DeviceId) -> Evidence:
        """Return the last word of a device, and when it came by the clock of the process."""
        return Evidence() if self._coordinator is None else self._coordinator.witness.of(device)
