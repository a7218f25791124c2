"""
Plays a scenario with pure cores: prologue, story, healing, and what must be well in the end.

:func:`play` is the one entry. A run is a function of its scenario, its crashes and the code: it
draws only from the scenario's own streams of chance, and looks at no clock but its own.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from drone_sim.checker import Checker, Violated
from drone_sim.cores import prologue, samples
from drone_sim.cores.jobs import Job
from drone_sim.cores.lines import HEALTHY
from drone_sim.cores.mishaps import Mishaps
from drone_sim.cores.party import Process
from drone_sim.cores.town import START_S, Setup
from drone_sim.result import Crash, Result, Speed
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.trace import Kind, Trace
from orchestrator.protocol import answers
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.device import Durable
from orchestrator.protocol.ready import Send
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, TxnId

BOOTED_S: Final = 3.0
"""So long before the story the devices are started."""

LOOK_S: Final = 0.25
LAST_PUSH_S: Final = 60.0
"""How long the last push and what follows from it may take."""

MEND_S: Final = 1.0
MEND_MAX_S: Final = 8.0
"""How often a person looks what only a person can do: less and less often."""

MENDER: Final = "mender"
PERSON: Final = "person"
_MENDERS: Final = frozenset({MENDER, PERSON})


def play(
    scenario: Scenario, *, trace: Trace | None = None, crashes: Sequence[Crash] = ()
) -> Result:
    """Play a scenario to its end, or to the first violation."""
    checker = Checker(scenario, trace=trace, utc_at_start_s=START_S)
    engine = Engine(Setup(scenario=scenario, checker=checker, trace=trace, crashes=crashes))
    violated: Violated | None = None
    try:
        with _no_collections():
            engine.play_out()
    except Violated as found:
        violated = found
    return Result(
        scenario=scenario,
        speed=Speed.CORES,
        violations=() if violated is None else violated.violations,
        violated_at_s=None if violated is None else violated.at_s,
        goals=checker.goals,
        figures=checker.figures(
            virtual_s=engine.story_s,
            steps=engine.steps,
            messages=engine.messages,
            seams=engine.seams,
            awaits=engine.awaits,
        ),
        trace=trace,
    )


@contextmanager
def _no_collections() -> Iterator[None]:
    """Let nothing be searched for cycles during a run, which takes a tenth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Engine(Mishaps):
    """A town whose story is told from the first act to the last push."""

    _clocks_known = False

    def play_out(self) -> None:
        """Play everything; raises :class:`drone_sim.checker.Violated` at the first violation."""
        try:
            self.begin_story()
            self._tell_story()
            self._get_well()
            self._push_once_more()
        except Violated:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, a run must not break on it
            self.checker.unexpected("the cores", error)
            self.checker.look()

    # --- the prologue ---------------------------------------------------------------------------

    def begin_story(self) -> None:
        """Bring the fleet to version 1, unless it is fresh, and let everybody operate it."""
        self._at_story(-prologue.BEGUN_S)
        self.checker.appended((), self.state)  # an empty journal
        founder = self.start("founder")
        if not self.scenario.fresh:
            self._found_fleet(founder)
        self.kill_process(founder)
        self._at_story(-BOOTED_S)
        qualities = {name: unit.line.quality for name, unit in self.units.items()}
        for unit in self.units.values():
            unit.line.be(HEALTHY)
            self.boot(unit.id)
        greeter = self.start("greeter")
        greeter.line.be(HEALTHY)
        self.spawn(greeter, self._greet_everybody(greeter))
        self.run_until(START_S - LOOK_S)
        self.kill_process(greeter)
        self.run_until(START_S)
        for unit in self.units.values():
            unit.line.be(qualities[unit.id])

    def _at_story(self, story_s: float) -> None:
        self.now = START_S + story_s
        self.checker.now_s = story_s

    def _found_fleet(self, founder: Process) -> None:
        """Let the first push have been; see :mod:`.prologue`."""
        when = prologue.timeline(START_S, self.timing.clock_error_s)
        devices = tuple(self.units)
        goal = samples.push(1, 0, devices)
        self.blobs[goal.digest] = samples.encode(goal.plan)
        taken, begun, decided, *rest = prologue.records(devices, founder.owner, when)
        records = {unit.id: list(prologue.steps(unit.disk, when)) for unit in self.units.values()}
        self.record(0, (taken,), founder)
        self.record(1, (begun,), founder)
        for name, (known, prepared, _, _) in records.items():
            self._write_all(name, (known, prepared))
        self.record(2, (decided,), founder)
        for name, (_, _, committed, active) in records.items():
            digest = prologue.digest_of(name)
            data = self.blobs[digest] = digest.encode()
            self.configurations[data] = None
            unit = self.units[name]
            unit.staged, unit.active = {digest: data}, data
            self._write_all(name, (committed, active))
            self.checker.active_file(name, data, self.configurations)
        for head, record in enumerate(rest, 3):
            self.record(head, (record,), founder)
        self.checker.look()

    def _write_all(self, name: DeviceId, records: Sequence[Durable]) -> None:
        unit = self.units[name]
        for record in records:
            before, unit.disk = unit.disk, record
            self.checker.device_stored(name, before, record)

    def _greet_everybody(self, me: Process) -> Job[None]:
        """Answer the devices that have just been started."""
        if (yield self.dial(me)):
            goal = orc.Settle(until=START_S, members=tuple(self.units))
            yield self.end_of(self.begin_session(me, goal))

    # --- the story ------------------------------------------------------------------------------

    def _tell_story(self) -> None:
        """Let the acts take place, until the end of the safety phase."""
        self.begin_acts()
        self.run_until(START_S + self.scenario.safety_s)
        self.faulty = False

    def begin_acts(self) -> None:
        """Begin the safety phase: put every act into the queue."""
        self.telling = self.faulty = True
        self.note(Kind.PHASE, "-", "safety")
        for unit in self.units.values():
            self.show(unit)
        safety_s = self.scenario.safety_s
        for act in self.scenario.acts:
            if act.at_s <= safety_s:
                self.at(START_S + act.at_s, self.take_place, act)

    # --- getting well ---------------------------------------------------------------------------

    def _get_well(self) -> None:
        """Heal everything, serve, and wait until everybody is well (I6)."""
        self.note(Kind.PHASE, "-", "liveness")
        self.heal()
        mender = self.start(MENDER, Verb.SERVE)
        serving = Act(
            at_s=self.scenario.safety_s, verb=Verb.SERVE, who=MENDER, for_s=self._for_ever_s()
        )
        self.spawn(mender, self.serve_fleet(mender, serving))
        person = self.start(PERSON)
        self.spawn(person, self._mend(person))
        self.checker.begin_liveness()
        until = self.now + self.scenario.liveness_s
        while self.now < until and (self.checker.unwell() or self._still_healing()):
            self.run_until(min(self.now + LOOK_S, until))
        self.checker.must_be_well()
        self.kill_process(person, "ended")

    def _still_healing(self) -> bool:
        """Whether a command still runs, or a device is not connected, or wrong about the time."""
        busy = any(process.called not in _MENDERS for process in self.living.values())
        connected = all(unit.line.connected for unit in self.units.values())
        return busy or not connected or self._clocks_unknown()

    def _clocks_unknown(self) -> bool:
        """Whether a device that was misled about the time has not measured it twice since."""
        wrong = any(act.verb in _OF_CLOCKS for act in self.scenario.acts)
        return wrong and not self._clocks_known

    def _for_ever_s(self) -> float:
        return self.scenario.liveness_s + 2 * LAST_PUSH_S

    def _mend(self, me: Process) -> Job[None]:
        """Do what only a person does: reseed, give up who can't be helped, settle words."""
        if not (yield self.dial(me)):
            return
        pause_s = MEND_S
        while True:
            if self._needs_reseed():
                yield from self.reseed_fleet(me, _RESEED)
                yield from self._give_up(me)
            if self._clocks_unknown():
                yield from self._look_twice(me)
            if self.nobody_can_judge():
                yield from self.force_unlock(me, _FORCE)
            if self._only_a_push_helps():
                yield from self.push_once(me, _PUSH)
            yield from self.settle_heuristics(me)
            if self.state.lock.waiters:
                yield from self._pass_over_the_dead(me)
            yield self.rest(me, pause_s)
            pause_s = min(2 * pause_s, MEND_MAX_S)

    def _look_twice(self, me: Process) -> Job[None]:
        """
        Let every device measure its clock twice, as it does when somebody asks for the status.

        The first exchange after a step proves it, the second one bounds the clock again; until
        then a device votes no.
        """
        answered = self.state.reseeding is None
        for _ in range(2):
            self.say(me, Send(message=answers.ROLL_CALL))
            yield self.rest(me, LOOK_S)
        self._clocks_known = answered and self.state.reseeding is None

    def _needs_reseed(self) -> bool:
        """Whether a store was restored, and the journal does not know yet what devices know."""
        if self.rolled_back or self.state.reseeding is not None:
            return True
        told = {
            unit.id: unit.core.state(unit.reading(self.now))
            for unit in self.units.values()
            if unit.core is not None and self.was_restored
        }
        return self.contradicted(told)

    def nobody_can_judge(self) -> bool:
        """Whether a lock is held whose lease a store that was restored has lost."""
        lock = self.state.lock
        held = lock.state is not LockState.FREE and self.state.reseeding is None
        return held and self.lease_stage(lock.epoch) is None

    def _only_a_push_helps(self) -> bool:
        """Whether a reseed has not learned what somebody that is waited for is to have."""
        state = self.state
        waited_for = (*state.quarantined, *state.deferred)
        lost = any(state.digest_of(device) is None for device in waited_for)
        return lost and state.reseeding is None and state.lock.state is LockState.FREE

    def _pass_over_the_dead(self, me: Process) -> Job[None]:
        """Stand in line, have a turn, and go: whoever died in it is passed over."""
        held = yield from self.acquire_lock(me, "by hand", LOOK_S)
        if held is not None:
            yield from self.give_back_lock(me, held.state.lock.epoch)

    def _give_up(self, me: Process) -> Job[None]:
        """Retire whom a reseed can't be ended with: nobody knows any more what it waits for."""
        doubtful, self.doubtful = self.doubtful, None
        if doubtful is not None and not doubtful.unheard:
            names: tuple[str, ...] = doubtful.waiting
            yield from self.retire_devices(me, replace(_RESEED, target=names))

    # --- the last push --------------------------------------------------------------------------

    def _push_once_more(self) -> None:
        """Push without any fault: it must COMMIT, and everybody operate it (I4)."""
        self.note(Kind.PHASE, "-", "last push")
        self.timing = replace(self.timing, window_s=None)
        self.last_push = None
        if self.scenario.pace.lease_s is None:  # nobody needs to be answered all the time
            self.kill_process(self.processes[MENDER], "ended")
        last = self.start("last", Verb.PUSH)
        act = Act(at_s=self.story_s, verb=Verb.PUSH, who="last", for_s=LAST_PUSH_S)
        self.spawn(last, self.push_once(last, act))
        until = self.now + LAST_PUSH_S
        while self.now < until and (last.alive or not self._all_operate(self.last_push)):
            self.run_until(self.now + LOOK_S)
        self.checker.must_have_committed(self.last_push)

    def _all_operate(self, txn: TxnId | None) -> bool:
        """Whether every device that is not retired operates the version of ``txn``."""
        installed = self.state.installed
        if installed is None or installed.begun.txn != txn:
            return False
        return all(
            unit.core is not None and unit.core.operating == self.state.version
            for unit in self.units.values()
            if unit.id not in self.state.retired
        )


_OF_CLOCKS: Final = frozenset({Verb.CLOCK_STEP, Verb.CLOCK_DRIFT})
_PUSH: Final = Act(at_s=0.0, verb=Verb.PUSH, who=PERSON)
_FORCE: Final = Act(at_s=0.0, verb=Verb.FORCE_UNLOCK, who=PERSON)
_RESEED: Final = Act(at_s=0.0, verb=Verb.RESEED, who=PERSON)
