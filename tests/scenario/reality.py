"""
A story played by real processes over Mosquitto: aimctl, one process for each device, signals.

Real time is not virtual time: a program needs a second to start on a busy machine. So what the
simulator did is the clock: each act waits until the journal has as many records as it had then,
and until whoever had ended has ended. What the records *are* is up to the real programs.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drone_sim.result import Result
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.trace import Kind
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Begun, Entry
from orchestrator.protocol.types import FleetId, TxnId
from orchestrator.storage import open_store
from tests.conftest import Mosquitto
from tests.e2e.processes import Program, wait_for

FLEET = FleetId("story")
CONFIG = "aim_lock_config.conf"
STARTING_S = 90.0
"""No step may take longer, on a loaded machine either."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """An act, or its end, and what the simulator had seen of the story before it."""

    act: Act
    begins: bool
    records: int
    ended: tuple[str, ...]


def steps(result: Result) -> list[Step]:
    """The steps of a story, in order."""
    scenario = result.scenario
    times = [(act.at_s, True, act) for act in scenario.acts]
    lasting = {Verb.PAUSE, Verb.SUSPEND}
    times += [
        (act.at_s + act.for_s, False, act)
        for act in scenario.acts
        if act.verb in lasting and act.for_s is not None
    ]
    return [
        Step(
            act=act,
            begins=begins,
            records=sum(at < at_s for at in _times(result, Kind.JOURNAL)),
            ended=tuple(_ended(result, at_s)),
        )
        for at_s, begins, act in sorted(times, key=lambda one: one[:2])
    ]


def _times(result: Result, kind: Kind) -> list[float]:
    assert result.trace is not None
    return [event.at_s for event in result.trace.events if event.kind is kind and event.at_s >= 0]


def _ended(result: Result, before_s: float) -> list[str]:
    assert result.trace is not None
    return [
        event.who
        for event in result.trace.events
        if event.kind is Kind.PROCESS
        and event.detail.get("what", event.text) == "ended"
        and 0 <= event.at_s < before_s
    ]


@contextmanager
def real(scenario: Scenario, directory: Path, broker: Mosquitto) -> Iterator[Reality]:
    """A fleet of real processes at version 1; all of them end with the context."""
    reality = Reality(scenario=scenario, directory=directory, broker=broker)
    try:
        reality.open()
        yield reality
    finally:
        reality.close()


@dataclass(kw_only=True)
class Reality:
    """The site of one story; see :func:`real`."""

    scenario: Scenario
    directory: Path
    broker: Mosquitto
    programs: dict[str, Program] = field(default_factory=dict)
    started: list[Program] = field(default_factory=list)
    numbers: int = 0
    before: int = 0
    """Records that were in the journal when the story began."""

    def open(self) -> None:
        """Start the devices, and bring the fleet to version 1."""
        self.fleet_path.write_text(self._fleet_file())
        for device in self.scenario.names:
            self._start_device(device)
        done = self._push("first").wait(STARTING_S)
        assert 0 == done.code, done.text()
        self.before = len(self.journal())

    def close(self) -> None:
        """End everything."""
        for program in self.started:
            program.end()

    # --- files ----------------------------------------------------------------------------------

    @property
    def fleet_path(self) -> Path:
        """The fleet file."""
        return self.directory / "fleet.toml"

    def _fleet_file(self) -> str:
        pace = self.scenario.pace
        lines = [
            f'fleet = "{FLEET}"',
            f'config = "{CONFIG}"',
            "[timing]",
            f"window_s = {pace.window_s}",
            f"settle_s = {pace.settle_s}",
            f"clock_error_ms = {pace.clock_error_s * 1000}",
        ]
        for device in self.scenario.devices:
            lines += ["[[device]]", f'id = "{device.id}"', f'kind = "{device.kind}"']
        return "\n".join(lines) + "\n"

    def _new_config(self) -> Path:
        """A configuration with bytes that none had before."""
        self.numbers += 1
        path = self.directory / f"config-{self.numbers}" / CONFIG
        path.parent.mkdir()
        gain = 7 + 0.1 * self.numbers
        path.write_text(f"schema = 2\n[yaw]\nangle_p = {gain:.1f}\n[pitch]\n[roll]\n")
        return path

    # --- processes ------------------------------------------------------------------------------

    def _start(self, name: str, *argv: str) -> Program:
        home = str(self.directory / "home")
        places = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        environment = {
            **dict.fromkeys(places, home),
            "AIMCTL_STORE": f"sqlite:///{self.directory}/store.db",
            "AIMCTL_BROKER": self.broker.url,
            "NO_COLOR": "1",
        }
        program = Program(
            name=f"{len(self.started):02}-{name}",
            argv=argv,
            directory=self.directory / "logs",
            environment=environment,
        )
        self.started.append(program)
        self.programs[name] = program
        return program.start()

    def _start_device(self, device: str) -> None:
        state = str(self.directory / "devices")
        argv = ("-m", "drone_sim", "fleet", str(self.fleet_path), "--state-dir", state)
        program = self._start(device, *argv, "--only", device)
        wait_for(f"{device} connects", lambda: " connected" in program.err, STARTING_S)

    def _aimctl(self, who: str, *arguments: str) -> Program:
        return self._start(who, "-m", "orchestrator.cli", *arguments, "--output", "json")

    def _push(self, who: str) -> Program:
        fleet = ("--fleet", str(self.fleet_path), "--yes")
        return self._aimctl(who, "push", str(self._new_config()), *fleet)

    # --- the journal ----------------------------------------------------------------------------

    def journal(self) -> Sequence[Entry]:
        """Read it, straight from the store."""

        async def entries() -> Sequence[Entry]:
            store = open_store(f"sqlite:///{self.directory}/store.db", now=time.time)
            try:
                return await store.read(FLEET)
            finally:
                await store.close()

        return asyncio.run(entries())

    def records(self) -> list[str]:
        """What the story has left in the journal: kind, transaction, outcome."""
        journal = self.journal()
        records = [entry.record for entry in journal]
        numbers = {one.txn: f"t{one.seq}" for one in records if isinstance(one, Begun)}
        return [
            " ".join(
                str(part)
                for part in (
                    record.kind,
                    numbers.get(getattr(record, "txn", TxnId(""))),
                    getattr(record, "outcome", None),
                )
                if part is not None
            )
            for record in records[self.before :]
        ]

    # --- the story ------------------------------------------------------------------------------

    def play(self, story: Sequence[Step]) -> None:
        """Do everything in its turn, and wait until everybody who was started has ended."""
        for step in story:
            self._wait(step)
            self._do(step)
        for act in self.scenario.acts:
            if act.who in self.programs:
                self.programs[act.who].wait(STARTING_S)

    def _wait(self, step: Step) -> None:
        known = self.before + step.records
        what = f"{step.records} records before {step.act}"
        wait_for(what, lambda: len(self.journal()) >= known, STARTING_S)
        for who in step.ended:
            if who in self.programs:
                self.programs[who].wait(STARTING_S)

    def _do(self, step: Step) -> None:
        act = step.act
        stop = signal.SIGSTOP if step.begins else signal.SIGCONT
        if act.verb is Verb.SUSPEND:
            for device in act.target:
                self.programs[device].signal(stop)
            return
        doing: dict[Verb, Callable[[], Any]] = {
            Verb.PUSH: lambda: self._push(act.who),
            Verb.FORCE_UNLOCK: lambda: self._force(act.who),
            Verb.KILL: lambda: self.programs[act.who].signal(signal.SIGKILL),
            Verb.PAUSE: lambda: self.programs[act.who].signal(stop),
        }
        doing[act.verb]()

    def _force(self, who: str) -> Program:
        state = fold(FleetState(fleet=FLEET), self.journal())
        lock = f"{FLEET}@{state.lock.epoch}"
        told = ("--reason", "story", "--confirm", lock)
        return self._aimctl(who, "lock", "force-unlock", lock, *told)
