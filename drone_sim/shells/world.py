"""
The whole world of a run with whole shells: devices, orchestrators, broker, store and network.

Theory of operation
===================
Everything of the product is unchanged and runs on :class:`~.loop.SimLoop`; only its ports are made
here. Orchestrators (:mod:`.hosts`) are processes on machines that share one store; devices
(:mod:`.devices`) are processes with a disk, a clock, a battery and a controller each; both speak
over links (:mod:`.links`) to one broker. What people do is in :mod:`.operators`, what goes wrong
in :mod:`.acts`. Whatever is true is told to :mod:`.truth`, which asks the checker after every
step.

Times are of the story, in s: it begins :data:`~.truth.STORY_AT_S` after the run. Before that is
the prologue: the fleet is brought to version 1 over kind links, unless it is fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from drone_sim.result import Crash
from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import Pace, Scenario, Verb
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.computer import Site
from drone_sim.shells.devices import SimDevice
from drone_sim.shells.fleetware import Fleetware, sample_fleetware
from drone_sim.shells.hosts import Ground, Hosts
from drone_sim.shells.lasting import later
from drone_sim.shells.links import Links
from drone_sim.shells.loop import Process, SimLoop, sim_loop
from drone_sim.shells.network import Network
from drone_sim.shells.operators import Operators
from drone_sim.shells.people import People
from drone_sim.shells.seams import Seams
from drone_sim.shells.store import StoreServer
from drone_sim.shells.truth import Truth
from drone_sim.trace import Trace
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.records import START
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.storage import codec

BATTERY_LOOK_S: Final = 5.0
"""How often every battery is looked at, in s."""


RESTARTS_S: Final = 1.0
"""How long after they have restored the store somebody starts the servers anew, in s."""


def timing_of(pace: Pace) -> Timing:
    """Return the timing of the fleet's file."""
    return Timing(
        window_s=pace.window_s,
        clock_error_s=pace.clock_error_s,
        settle_s=pace.settle_s,
        join_s=pace.join_s,
    )


class StorySeams(Seams):
    """The seams of the story alone: nobody dies in the prologue, nor when all is healed."""

    def __init__(self, crashes: Sequence[Crash]) -> None:
        super().__init__(crashes)
        self.counts = False

    def passes(self, process: Process, name: str) -> bool:
        """Count a seam, once the story has begun."""
        return super().passes(process, name) if self.counts else process.alive


class SimWorld:
    """The world of one run. Make it inside the running loop."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        trace: Trace | None,
        crashes: Sequence[Crash],
        ware: Fleetware | None,
    ) -> None:
        seed, timing = scenario.seed, timing_of(scenario.pace)
        self.scenario = scenario
        self.ware = ware or sample_fleetware(
            tuple((device.id, device.kind) for device in scenario.devices)
        )
        self.truth = Truth(scenario, self.ware.id, trace)
        self.network = Network(seed=seed)
        self.links = Links(scenario, self.network, self.truth)
        self.broker = SimBroker(self.network, seed=seed)
        self.store = self._make_store()
        self.seams = StorySeams(crashes)
        self.hosts = Hosts(
            Ground(
                seed=seed,
                truth=self.truth,
                store=self.store,
                broker=self.broker,
                network=self.network,
                links=self.links,
                seams=self.seams,
            )
        )
        self.devices = self._make_devices()
        people = People(self.truth, self.ware, self.devices, timing)
        self.operators = Operators(
            self.truth, self.ware, people, timing=timing, lease_s=scenario.pace.lease_s
        )
        self._steps_before: int | None = None
        self._awaits: int | None = None
        self._crashes = tuple(crashes)

    def _make_store(self) -> StoreServer:
        store = StoreServer(seed=self.scenario.seed, quality=self.scenario.store)
        store.loses_answer = 0.0
        store.on_append = self.truth.appended
        store.on_touch = lambda _fleet, claim, owner: self.truth.checker.renewed(claim, owner)
        store.on_extend = self.truth.restarted
        store.on_rollback = self._rolled_back
        return store

    def _rolled_back(self) -> None:
        fleet = self.ware.id
        lines = self.store.disk.live.journals.get(fleet, ())
        rows = [(index, at, text) for index, (at, text) in enumerate(lines, start=1)]
        self.truth.rolled_back(codec.decode_entries(FleetId(fleet), START, rows))
        if self.store.in_place:
            return  # whoever serves goes on, and has to find out
        for running in self.hosts.alive():
            if running.verb is Verb.SERVE:  # it can't use the store that it has open any more
                later(RESTARTS_S, partial(self.hosts.restart, running))

    def _make_devices(self) -> dict[str, SimDevice]:
        site = Site(
            seed=self.scenario.seed,
            truth=self.truth,
            ware=self.ware,
            broker=self.broker,
            seams=self.seams,
        )
        devices = {one.id: SimDevice(site, one) for one in self.scenario.devices}
        for name in devices:
            self.network.join(name, self.links.quality(name))
        return devices

    def client_ids(self, name: str) -> tuple[str, ...]:
        """Return the ids under which a device or a process is connected to the broker."""
        device = self.devices.get(name)
        if device is not None:
            return (device.client_id,)
        running = self.hosts.find(name)
        return () if running is None else tuple(running.clients)

    def awaits_of(self, loop: SimLoop) -> int:
        """Return how many steps all processes have made in the story."""
        if self._awaits is not None:
            return self._awaits
        return 0 if self._steps_before is None else loop.steps - self._steps_before

    # --- phases ---------------------------------------------------------------------------------

    def switch_on(self) -> None:
        """Switch on every device, one after the other."""
        chance = stream(self.scenario.seed, "boot")
        for device in self.devices.values():
            later(chance.uniform(0.0, 0.2), device.power_on)
        later(BATTERY_LOOK_S, self._look_at_batteries)

    def _look_at_batteries(self) -> None:
        for device in self.devices.values():
            device.look_at_battery()
        later(BATTERY_LOOK_S, self._look_at_batteries)

    def begin_story(self) -> None:
        """From now on links and store are what they are said to be, and crashes count."""
        loop = sim_loop()
        self.links.spoil(spoils=True)
        self.store.loses_answer = self.scenario.store.loses_answer
        self.seams.counts = True
        self._steps_before = loop.steps
        loop.fatal_steps = frozenset(
            loop.steps + crash.at for crash in self._crashes if crash.await_
        )

    def heal(self) -> None:
        """Repair everything: nothing goes wrong from now on, and nobody dies at a seam."""
        self._awaits = self.awaits_of(sim_loop())
        self.seams.counts = False
        sim_loop().fatal_steps = ()
        self.links.heal()
        self.store.heal()
        self.broker.heal()
        self.broker.start()
        for running in self.hosts.alive():
            self.hosts.resume(running)
        for device in self.devices.values():
            device.heal()

    def device(self, name: str) -> SimDevice:
        """Return a device by its id."""
        return self.devices[DeviceId(name)]
