"""
Plays a scenario with whole shells: services, agents, transports, codecs and stores, unchanged.

Read :mod:`.world` first: it is what they live in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from drone_sim.checker import Violated
from drone_sim.result import Crash, Result, Speed
from drone_sim.scenario.model import Scenario, Verb
from drone_sim.shells.acts import Acts
from drone_sim.shells.fleetware import Fleetware
from drone_sim.shells.loop import Deadlock, sim_loop, simulate
from drone_sim.shells.truth import STORY_AT_S, story_s, until_s
from drone_sim.shells.world import SimWorld
from drone_sim.trace import Kind, Trace
from orchestrator.protocol.invariants import Violation
from orchestrator.service.results import PushResult

FIRST_PUSH_AT_S: Final = 0.8
"""True time of the run at which version 1 is pushed: every device has booted by then."""

LOOK_EVERY_S: Final = 0.25
"""How often it is looked whether everybody is well."""

PERSON_EVERY_S: Final = 5.0
"""How often somebody looks after a healed fleet."""

ARRIVES_S: Final = 2.5
"""By then everything has arrived that links had delayed."""

NOTICED_S: Final = 20.0
"""By then a device has noticed that its connection is dead, and has another one."""

HEALTHY_PUSH_S: Final = 60.0
"""How long the last push may take."""

SETTLES_S: Final = 15.0
"""How long after the last push everybody must operate it."""


def play(
    scenario: Scenario,
    *,
    trace: Trace | None = None,
    crashes: Sequence[Crash] = (),
    fleetware: Fleetware | None = None,
) -> Result:
    """
    Play a scenario from its prologue to the last healthy push, or to the first violation.

    ``trace`` is filled with what happens. Whoever gets to the seams or steps of ``crashes`` dies
    there. ``fleetware`` is the fleet and the configurations of the run; its devices are those of
    the scenario (:func:`.fleetware.fleetware` makes one of real files). Without it the sample
    configurations are pushed to a fleet of the scenario's devices. Same arguments, same result.
    """
    run = _Run(scenario, trace, crashes, fleetware)
    try:
        simulate(run.play())
    except Violated as found:
        return run.result(found)
    except Deadlock as found:
        return run.result(run.stuck(found))
    return run.result(None)


class _Run:
    """One run, phase by phase."""

    def __init__(
        self,
        scenario: Scenario,
        trace: Trace | None,
        crashes: Sequence[Crash],
        ware: Fleetware | None,
    ) -> None:
        self._scenario = scenario
        self._trace = trace
        self._make = partial(SimWorld, scenario, trace=trace, crashes=crashes, ware=ware)
        self._pushed: PushResult | None = None

    async def play(self) -> None:
        """Play all phases; a violation ends them by :meth:`SimLoop.fail`, or is raised here."""
        self._loop = sim_loop()
        self._world = world = self._make()
        world.switch_on()
        await self._prologue()
        self._phase("story")
        world.begin_story()
        await Acts(world).play()
        self._phase("healing")
        world.heal()
        await self._liveness()
        self._phase("healthy push")
        await self._healthy_push()
        self._phase("end")

    def _phase(self, name: str) -> None:
        self._world.truth.note(Kind.PHASE, "world", name)

    async def _until(self, true: Callable[[], bool], at_s: float) -> bool:
        """Wait until something is so, until an instant of the story at the latest."""
        while not true():
            if story_s() >= at_s:
                return False
            await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, at_s - story_s())))
        return True

    # --- before the story -----------------------------------------------------------------------

    async def _prologue(self) -> None:
        """Bring the fleet to version 1, unless it is fresh."""
        world = self._world
        if not self._scenario.fresh:
            await asyncio.sleep(FIRST_PUSH_AT_S)
            world.hosts.start("first", world.operators.first_push(), Verb.PUSH)
            if not await self._until(self._operates_first, 0.0):
                world.truth.broke("prologue", "the fleet does not operate version 1")
        await until_s(0.0)

    def _operates_first(self) -> bool:
        world = self._world
        done = world.hosts.find("first") is None
        return done and all(one.controller.operating == 1 for one in world.devices.values())

    # --- after it -------------------------------------------------------------------------------

    async def _liveness(self) -> None:
        """Serve, let somebody look after the fleet, and wait until everybody is well (I6)."""
        world, until_s_ = self._world, story_s() + self._scenario.liveness_s
        world.hosts.start("standby", world.operators.serve, Verb.SERVE)
        world.truth.checker.begin_liveness()
        person = asyncio.ensure_future(self._look_after())
        await self._until(lambda: not world.truth.checker.unwell(), until_s_)
        person.cancel()
        world.truth.checker.must_be_well()

    async def _look_after(self) -> None:
        """Let a person look, again and again."""
        world = self._world
        while True:
            await asyncio.sleep(PERSON_EVERY_S)
            if world.hosts.find("person") is None:
                world.hosts.start("person", world.operators.look_after)

    async def _healthy_push(self) -> None:
        """
        Push once more, with nothing in its way (I4).

        No connection that is dead unnoticed, and nothing that is still on its way from bad times.
        """
        world = self._world
        await asyncio.sleep(ARRIVES_S)
        await self._until(self._connected, story_s() + NOTICED_S)
        until_s_ = story_s() + HEALTHY_PUSH_S
        world.hosts.start("last", world.operators.healthy_push(self._note_push), Verb.PUSH)
        await self._until(lambda: world.hosts.find("last") is None, until_s_)
        txn = None if self._pushed is None else self._pushed.txn
        await self._until(lambda: not world.truth.checker.unwell(), story_s() + SETTLES_S)
        world.truth.checker.must_have_committed(txn)

    def _connected(self) -> bool:
        return all(device.connected for device in self._world.devices.values())

    def _note_push(self, result: PushResult) -> None:
        self._pushed = result

    # --- how it ended ---------------------------------------------------------------------------

    def stuck(self, found: Deadlock) -> Violated:
        """Return the violation that a deadlock is."""
        violation = Violation(id="X", text=str(found))
        return Violated((violation,), self._loop.time() - STORY_AT_S)

    def result(self, found: Violated | None) -> Result:
        """Return how it ended."""
        truth, seams = self._world.truth, self._world.seams
        figures = truth.judge.figures(
            virtual_s=self._loop.time(),
            steps=truth.steps,
            messages=truth.messages,
            seams=seams.count,
            awaits=self._world.awaits_of(self._loop),
        )
        return Result(
            scenario=self._scenario,
            speed=Speed.SHELLS,
            violations=() if found is None else found.violations,
            violated_at_s=None if found is None else found.at_s,
            goals=truth.judge.goals,
            figures=figures,
            trace=self._trace,
        )
