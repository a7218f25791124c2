"""
Plays the acts of a scenario on the world, each at its time, and ends what has lasted long enough.

:data:`drone_sim.scenario.verbs.VERBS` says what each verb means. What an act names and is not
there is passed over: shrinking takes things away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import DEVICE_REBOOT_S, VERBS, Who, machine_of, word_of
from drone_sim.shells.clocks import true_s
from drone_sim.shells.device_faults import ON_DEVICE, OnDevice, crash, why
from drone_sim.shells.devices import SimDevice
from drone_sim.shells.hosts import Running
from drone_sim.shells.lasting import Lasting, Undo, later, nothing, sets
from drone_sim.shells.truth import story_s, until_s
from drone_sim.shells.world import SimWorld
from orchestrator.protocol.records import Decided, Ended, Entry
from orchestrator.protocol.types import Outcome, TxnId

Begin = Callable[[Act], None]

_BOOTING: Final = frozenset({Verb.CRASH, Verb.CRASH_AT_WRITE, Verb.DAMAGE})


def of_the_first_version(journal: Sequence[Entry]) -> int:
    """Return how many records version 1 is made of, from the first: all, while it is made."""
    committed: set[TxnId] = set()
    for number, entry in enumerate(journal, start=1):
        record = entry.record
        if isinstance(record, Decided) and record.outcome is Outcome.COMMIT:
            committed.add(record.txn)
        elif isinstance(record, Ended) and record.txn in committed:
            return number
    return len(journal)


class Acts:
    """The acts of a run, on its world."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._lasting = Lasting()
        processes = dict.fromkeys(
            (verb for verb, meaning in VERBS.items() if meaning.who is Who.NEW), self._start
        )
        self._begin: dict[Verb, Begin] = {
            **processes,
            Verb.KILL: self._kill,
            Verb.PAUSE: self._pause,
            Verb.REUSE_PID: self._reuse_pid,
            Verb.POWER_CUT: self._power_cut,
            Verb.STORE_AWAY: self._store_away,
            Verb.STORE_SLOW: self._store_slow,
            Verb.STORE_LOSES_ANSWERS: self._store_loses_answers,
            Verb.STORE_RESTORED: self._store_restored,
            Verb.STORE_LIES: self._store_lies,
            Verb.BROKER_KILL: self._broker_kill,
            Verb.BROKER_FORGETS: self._broker_forgets,
            Verb.BROKER_SLOW: self._broker_slow,
            Verb.BROKER_DROPS: self._broker_drops,
            Verb.CUT: partial(self._on_links, world.links.cut),
            Verb.CLOG: partial(self._on_links, world.links.clog),
            Verb.LOSSY: partial(self._on_links, world.links.lossy),
            Verb.REPLAY: self._replay,
            Verb.TAKE_OVER_CLIENT: self._take_over,
            Verb.CLOCK_STEP: self._clock,
            Verb.CLOCK_DRIFT: self._clock,
            Verb.CRASH_AT_WRITE: self._crash_at_write,
            Verb.FAIL_AT_WRITE: self._fail_at_write,
        }

    async def play(self) -> None:
        """Play all acts until the end of the safety phase, and end everything there."""
        scenario = self._world.scenario
        for act in scenario.acts:
            if act.at_s >= scenario.safety_s:
                break
            await until_s(act.at_s)
            self.begin(act)
        await until_s(scenario.safety_s)
        self._lasting.finish()

    def begin(self, act: Act) -> None:
        """Let an act begin now."""
        begin = self._begin.get(act.verb)
        if begin is not None:
            begin(act)
        else:
            self._devices(act, ON_DEVICE[act.verb])
        self._world.truth.look()

    # --- how long something lasts ---------------------------------------------------------------

    def _until_s(self, act: Act) -> float:
        """Return when an act ends; a device that is down by itself is back in a moment."""
        safety_s = self._world.scenario.safety_s
        lasts_s = act.for_s
        if lasts_s is None and act.verb in _BOOTING:
            lasts_s = DEVICE_REBOOT_S
        return safety_s if lasts_s is None else min(safety_s, story_s() + lasts_s)

    def _lasts(self, act: Act, do: Callable[[], dict[object, Undo]]) -> None:
        """Tell that an act begins, do it, and undo at its end what it has returned."""
        self._world.truth.began(act)
        things, over = do(), partial(self._world.truth.ended, act)
        if VERBS[act.verb].lasts:
            self._lasting.keep(things, self._until_s(act), over)
        else:
            over()

    def _sets(self, act: Act, thing: object, name: str, value: object, usual: object) -> None:
        """Let an attribute of ``thing`` have a value as long as an act lasts."""

        def do() -> dict[object, Undo]:
            setattr(thing, name, value)
            return {act.verb: sets(thing, name, usual)}

        self._lasts(act, do)

    # --- processes ------------------------------------------------------------------------------

    def _start(self, act: Act) -> None:
        """Start a process; whoever serves or holds the lock does so to the end of the story."""
        world = self._world
        lasts = act.verb in {Verb.SERVE, Verb.HOLD_LOCK}
        for_s = self._until_s(act) - story_s() if lasts else act.for_s
        acted = replace(act, for_s=for_s)
        world.truth.began(act)
        world.hosts.start(act.who, world.operators.work_of(acted), act.verb)
        if act.verb is Verb.SERVE and for_s is not None:
            later(for_s, partial(self._terminate, act.who))

    def _terminate(self, name: str) -> None:
        running = self._world.hosts.find(name)
        if running is not None:
            running.terminate()

    def _running(self, act: Act, do: Callable[[Running], None]) -> None:
        """Do something at once to the process of that name, if one lives."""
        running = self._world.hosts.find(act.who)
        if running is not None:
            self._world.truth.began(act)
            do(running)
            self._world.truth.ended(act)

    def _kill(self, act: Act) -> None:
        self._running(act, lambda running: running.process.kill())

    def _reuse_pid(self, act: Act) -> None:
        def do(running: Running) -> None:
            running.process.kill()
            running.machine.reuse(running.process)

        self._running(act, do)

    def _power_cut(self, act: Act) -> None:
        self._running(act, lambda running: running.machine.reboot())

    def _pause(self, act: Act) -> None:
        hosts = self._world.hosts
        running = hosts.find(act.who)
        if running is None:
            return

        def do() -> dict[object, Undo]:
            hosts.pause(running)
            return {(act.verb, running.process): partial(hosts.resume, running)}

        self._lasts(act, do)

    # --- the store and the broker ---------------------------------------------------------------

    def _store_away(self, act: Act) -> None:
        self._sets(act, self._world.store, "away", value=True, usual=False)

    def _store_slow(self, act: Act) -> None:
        self._sets(act, self._world.store, "slow_s", act.amount, 0.0)

    def _store_loses_answers(self, act: Act) -> None:
        usual = self._world.scenario.store.loses_answer
        self._sets(act, self._world.store, "loses_answer", act.amount, usual)

    def _store_restored(self, act: Act) -> None:
        """Restore a backup."""

        def do() -> dict[object, Undo]:
            self._roll_back(int(act.amount))
            return {}

        self._lasts(act, do)

    def _store_lies(self, act: Act) -> None:
        """Acknowledge what will be gone at the end, as if a backup of now were restored then."""
        since = len(self._world.truth.journal)

        def do() -> dict[object, Undo]:
            return {act.verb: lambda: self._roll_back(len(self._world.truth.journal) - since)}

        self._lasts(act, do)

    def _roll_back(self, records: int) -> None:
        """Let the journal lack its last records, but never those of version 1."""
        journal = self._world.truth.journal
        lacking = min(records, len(journal) - of_the_first_version(journal))
        if lacking > 0:
            self._world.store.restore(lacking)

    def _broker_kill(self, act: Act) -> None:
        broker = self._world.broker

        def do() -> dict[object, Undo]:
            broker.keeps = word_of(act) == "keeps"
            broker.kill()
            return {act.verb: broker.start}

        self._lasts(act, do)

    def _broker_forgets(self, act: Act) -> None:
        def do() -> dict[object, Undo]:
            self._world.broker.forget()
            return {}

        self._lasts(act, do)

    def _broker_slow(self, act: Act) -> None:
        self._sets(act, self._world.broker, "slow_s", act.amount, 0.0)

    def _broker_drops(self, act: Act) -> None:
        self._sets(act, self._world.broker, "drops", act.amount, 0.0)

    # --- the network ----------------------------------------------------------------------------

    def _parties(self, act: Act) -> tuple[str, ...]:
        """Return who is meant: devices and processes that there are; all devices if nobody is."""
        world = self._world
        if not act.target:
            return tuple(world.devices)
        known = (*world.devices, *(one.name for one in world.hosts.alive()))
        return tuple(name for name in act.target if name in known)

    def _each(self, act: Act, names: Iterable[str], fault: Callable[[str], Undo]) -> None:
        """Let something go wrong with each of these, if there are any."""
        named = tuple(names)

        def do() -> dict[object, Undo]:
            return {(act.verb, act.word, name): fault(name) for name in named}

        if named:
            self._lasts(replace(act, target=named), do)

    def _on_links(self, fault: Callable[[Act, str], Undo], act: Act) -> None:
        self._each(act, self._parties(act), partial(fault, act))

    def _replay(self, act: Act) -> None:
        def fault(name: str) -> Undo:
            self._world.links.replay(act, name)
            return nothing

        self._each(act, (device.id for device in self._named(act)), fault)

    def _take_over(self, act: Act) -> None:
        def fault(name: str) -> Undo:
            for client_id in self._world.client_ids(name):
                self._world.broker.take_over(client_id)
            return nothing

        self._each(act, self._parties(act), fault)

    def _clock(self, act: Act) -> None:
        """Let clocks jump or drift: of devices, and of the machines of processes."""
        self._each(act, self._parties(act), partial(self._wrong_clock, act))

    def _wrong_clock(self, act: Act, name: str) -> Undo:
        device, touched = self._world.devices.get(name), self._world.truth.touched
        wall = self._world.hosts.wall(machine_of(name)) if device is None else device.clock
        if act.verb is Verb.CLOCK_STEP:
            wall.step(act.verb, act.amount)
        else:
            wall.drift(act.verb, act.amount)

        def undo() -> None:
            wall.set_right(act.verb)
            if device is not None:
                touched.ended(name, act.verb, true_s())
                device.insight.look_at_clock()

        if device is not None:  # who starts on a machine whose clock is wrong tells it itself
            touched.began(name, act.verb)
            device.insight.look_at_clock()
        return undo

    # --- devices --------------------------------------------------------------------------------

    def _named(self, act: Act) -> Iterable[SimDevice]:
        """Return the devices that are meant and are there; all of them if none is named."""
        devices = self._world.devices
        names = act.target or tuple(devices)
        return [devices[name] for name in names if name in devices]

    def _devices(self, act: Act, fault: OnDevice) -> None:
        named = {device.id: device for device in self._named(act)}
        acted = act
        if VERBS[act.verb].lasts:
            acted = replace(act, for_s=self._until_s(act) - story_s())
        self._each(act, named, lambda name: fault(acted, self._world.devices[name]))

    def _crash_at_write(self, act: Act) -> None:
        """Let devices crash at a write, which may come much later, or never: it begins there."""
        for device in self._named(act):
            device.disk.crash_at = device.disk.seams + int(act.amount) - 1
            acted = replace(act, target=(device.id,))
            device.at_disk_death = partial(self._crash_now, acted, device)
            self._arm(act, device, "crash_at")

    def _crash_now(self, act: Act, device: SimDevice) -> None:
        self._lasts(act, dict[object, Undo])
        crash(act, device)

    def _fail_at_write(self, act: Act) -> None:
        """Let one change to their disks fail, when it comes."""
        for device in self._named(act):
            device.disk.fail_at = device.disk.seams + int(act.amount) - 1
            device.disk.failure = why(act)
            acted = replace(act, target=(device.id,))
            device.at_disk_failure = partial(self._lasts, acted, dict[object, Undo])
            self._arm(act, device, "fail_at")

    def _arm(self, act: Act, device: SimDevice, name: str) -> None:
        """Let what is to happen at a write not happen any more when the story is over."""
        undo: dict[object, Undo] = {(act.verb, device.id): sets(device.disk, name, None)}
        self._lasting.keep(undo, self._world.scenario.safety_s, nothing)
