"""
The orchestrators: machines, and the processes that run the unchanged services on them.

A process is :class:`orchestrator.service.world.World` made of simulated ports, and whatever a
command does with it; see :mod:`.operators` for the commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from drone_sim.scenario.model import Verb
from drone_sim.scenario.verbs import machine_of
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.clocks import MachineClock, Wayward, true_s
from drone_sim.shells.ids import SimIds
from drone_sim.shells.links import Links
from drone_sim.shells.loop import Process, spawn
from drone_sim.shells.machines import Machine, SimProcesses
from drone_sim.shells.network import Network
from drone_sim.shells.seams import Seams, SimFaults
from drone_sim.shells.store import StoreServer
from drone_sim.shells.touched import ORCHESTRATORS
from drone_sim.shells.transport import SimTransport
from drone_sim.shells.truth import Truth
from drone_sim.shells.watched import WatchedStore
from drone_sim.trace import Kind
from orchestrator.errors import OperatingError
from orchestrator.ports import Transport
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.types import FleetId, Owner
from orchestrator.service.world import World
from orchestrator.transport.topics import Orchestrator

Work = Callable[[World], Awaitable[str]]
"""What a process does; it returns what came of it, in a few words."""


class WallClock(Wayward):
    """The wall clock of a machine: what a process that starts there takes for UTC."""

    @property
    def ahead_s(self) -> float:
        """How much it reads more than UTC."""
        return self.jumped_s + self.gained_s


@dataclass(slots=True, kw_only=True)
class Running:
    """
    A process that was started.

    ``clients`` are the ids under which it has connected to the broker; ``said`` is what came of
    it, where it has ended by itself.
    """

    name: str
    process: Process
    machine: Machine
    owner: Owner
    work: Work
    verb: Verb | None = None
    clients: list[str] = field(default_factory=list)
    said: str | None = None

    def terminate(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        if self.process.alive and self.process.main is not None:
            self.process.main.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all processes share."""

    seed: int
    truth: Truth
    store: StoreServer
    broker: SimBroker
    network: Network
    seams: Seams
    links: Links
    machines: dict[str, Machine] = field(default_factory=dict)
    walls: dict[str, WallClock] = field(default_factory=dict)


class Hosts:
    """Starts the processes, and knows the last one of each name."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._started = 0
        self.running: dict[str, Running] = {}

    def find(self, name: str) -> Running | None:
        """Return the living process of a name."""
        found = self.running.get(name)
        return found if found is not None and found.process.alive else None

    def alive(self) -> tuple[Running, ...]:
        """Return all living processes, in the order of their start."""
        return tuple(one for one in self.running.values() if one.process.alive)

    def machine(self, name: str) -> Machine:
        """Return a machine, which is there as soon as somebody names it."""
        machines = self._ground.machines
        if name not in machines:
            machines[name] = Machine(name)
            self._ground.walls[name] = WallClock()
        return machines[name]

    def wall(self, name: str) -> WallClock:
        """Return the wall clock of a machine."""
        self.machine(name)
        return self._ground.walls[name]

    def start(self, name: str, work: Work, verb: Verb | None = None) -> Running:
        """Start a process of this name (``NAME`` or ``NAME@MACHINE``) that does ``work``."""
        ground, machine = self._ground, self.machine(machine_of(name))
        process = Process(name)
        machine.admit(process)
        ground.network.join(name, ground.links.quality(name))
        clients: list[str] = []
        world = self._world(process, machine, clients)
        owner = world.me(str(verb or "work"))
        self._note_clock(process, machine)
        running = Running(
            name=name,
            process=process,
            machine=machine,
            owner=owner,
            work=work,
            verb=verb,
            clients=clients,
        )
        self.running.pop(name, None)
        self.running[name] = running
        process.on_end.append(lambda: self._ended(running))
        ground.truth.checker.process_started(name, running.owner, verb)
        if ground.truth.teller is not None:
            ground.truth.teller.knows(running.owner, name)
        ground.truth.note(Kind.PROCESS, name, f"starts: {verb or 'work'}", what="started")
        spawn(process, self._run(running, world, work))
        return running

    def _note_clock(self, process: Process, machine: Machine) -> None:
        """Tell of a process that has read a wrong clock, and keeps to it as long as it lives."""
        if self.wall(machine.name).ahead_s:
            touched = self._ground.truth.touched
            touched.began(ORCHESTRATORS, process)
            process.on_end.append(lambda: touched.ended(ORCHESTRATORS, process, true_s()))

    def restart(self, running: Running) -> None:
        """Let somebody start a process anew, if it is still there."""
        if running.process.alive:
            running.process.kill()
            self.start(running.name, running.work, running.verb)

    def pause(self, running: Running) -> None:
        """Stop a process, as SIGSTOP does."""
        if running.process.alive and not running.process.paused:
            running.process.pause()
            self._ground.truth.checker.process_paused(running.owner, paused=True)
            self._ground.truth.note(Kind.PROCESS, running.name, "is stopped", what="paused")

    def resume(self, running: Running) -> None:
        """Let a stopped process go on."""
        if running.process.alive and running.process.paused:
            self._ground.truth.checker.process_paused(running.owner, paused=False)
            self._ground.truth.note(Kind.PROCESS, running.name, "goes on", what="resumed")
            running.process.resume()

    def _world(self, process: Process, machine: Machine, clients: list[str]) -> World:
        """Make the ports of a process; its clock is read once, as it starts."""
        ground, name = self._ground, process.name
        self._started += 1
        wall = self.wall(machine.name)
        clock = MachineClock(offset_s=wall.ahead_s, booted_s=machine.booted_s)
        audience, user = _Audience(ground.truth, name), name.partition("@")[0]
        ids = SimIds(ground.seed, name, self._started)
        boot_id = machine.boot_id
        store = ground.store.connect(
            process,
            now=clock.now,
            boot=lambda: (boot_id, clock.monotonic()),
            seam=ground.seams.passes,
        )

        def connect(fleet: FleetId) -> AbstractAsyncContextManager[Transport]:
            clients.append(f"aimctl-{ids.new()}")
            return SimTransport(
                ground.broker,
                fleet=fleet,
                role=Orchestrator(),
                client_id=clients[-1],
                clock=clock,
                audience=audience,
                link=name,
                on_send=lambda message, to: ground.truth.sent(name, message, to),
            )

        return World(
            store=WatchedStore(store, ground.truth, name),
            connect=connect,
            clock=clock,
            ids=ids,
            audience=audience,
            processes=SimProcesses(machine, process, user=user),
            faults=SimFaults(process, ground.seams),
        )

    async def _run(self, running: Running, world: World, work: Work) -> None:
        """Do the work; what a person would be told is told, anything else is a fault of ours."""
        rollbacks = self._ground.truth.rollbacks
        try:
            running.said = await work(world)
        except OperatingError as error:
            first, *_ = error.message.splitlines()
            running.said = f"exit {int(error.exit_code)}: {first}"
        except asyncio.CancelledError:
            running.said = "stopped"
        except InvariantViolation as error:
            if rollbacks == self._ground.truth.rollbacks:
                self._ground.truth.broke(running.name, error)
            running.said = f"stops itself: {error}"  # what it had read is gone from the store
        except Exception as error:  # noqa: BLE001 - whatever it is, the program is at fault
            if running.process.alive:
                self._ground.truth.broke(running.name, error)

    def _ended(self, running: Running) -> None:
        truth, said = self._ground.truth, running.said
        truth.checker.process_ended(running.owner)
        if said is None:
            truth.note(Kind.PROCESS, running.name, "is killed", what="killed")
        else:
            truth.note(Kind.PROCESS, running.name, f"ends: {said}", what="ended")
        truth.look()


class _Audience:
    """Where the notices of a process go."""

    def __init__(self, truth: Truth, name: str) -> None:
        self._truth = truth
        self._name = name

    def tell(self, notice: Notice) -> None:
        """Tell one."""
        self._truth.noticed(self._name, notice)
