"""
Results with traces as an engine makes them, written by a small script of a night.

A push, an orchestrator that dies with its COMMIT stored, doubt, a forced unlock, and a last push;
where it is asked for, a violation instead of the end. For pages: nothing here is the protocol.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from drone_sim.result import Figures, Hold, Result, Speed
from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, Verb
from drone_sim.scenario.phrases import written
from drone_sim.trace import Kind, Trace, Value
from orchestrator.protocol.invariants import Violation

SEED = 7
MIXED = Violation(id="I5", text="d-01 operates 2, d-02 operates 1")


def scenario(devices: int) -> Scenario:
    """A fleet of drones, every fourth of them an arm, and the acts of the night."""
    names = [f"d-{number:02}" for number in range(1, devices + 1)]
    chance = stream(SEED, "fleet")
    made = tuple(
        SimulatedDevice(
            id=name,
            kind="arm" if number % 4 == 3 else "drone",
            offset_s=round(chance.uniform(-0.02, 0.02), 4),
            drift_ppm=float(chance.randrange(40)),
            link=Link(delay_s=0.01, jitter_s=0.02, loss=0.05 if number == 1 else 0.0),
        )
        for number, name in enumerate(names)
    )
    acts = (
        Act(at_s=1.0, verb=Verb.PUSH, who="push-1"),
        Act(at_s=2.1, verb=Verb.CUT, target=(names[1],), for_s=5.0),
        Act(at_s=2.204, verb=Verb.KILL, who="push-1"),
        Act(at_s=3.5, verb=Verb.CRASH, target=(names[-1],), for_s=2.0, word="power"),
        Act(at_s=5.0, verb=Verb.FORCE_UNLOCK, who="ops"),
        Act(at_s=900.0, verb=Verb.BROKER_KILL),
    )
    return Scenario(
        name="03:12",
        seed=SEED,
        devices=made,
        pace=Pace(window_s=1.0),
        acts=acts,
        safety_s=10.0,
    )


@dataclass
class Unit:
    """What is visible of one device."""

    version: int = 1
    operating: int | None = 1
    prepared: str | None = None
    holds: str = ""
    up: bool = True


@dataclass
class Night:
    """Writes the trace. ``at`` is now."""

    scenario: Scenario
    violated: bool = False
    trace: Trace = field(default_factory=Trace)
    index: int = 0
    units: dict[str, Unit] = field(default_factory=dict)

    def note(self, at: float, kind: Kind, who: str, text: str, /, **detail: Value) -> None:
        self.trace.note(at, kind, who, text, **detail)

    def journal(self, at: float, who: str, record: str, text: str, **detail: Value) -> None:
        self.index += 1
        words = f"{record} {text}"
        self.note(at, Kind.JOURNAL, who, words, index=self.index, record=record, **detail)

    def device(self, at: float, name: str, **change: Value) -> None:
        unit = replace(self.units.get(name, Unit()), **change)  # type: ignore[arg-type]
        self.units[name] = unit
        text = f"operates {unit.operating}, holds {unit.holds or 'not'}"
        self.note(
            at,
            Kind.STATE,
            name,
            text,
            version=unit.version,
            operating=unit.operating,
            prepared=unit.prepared,
            holds=unit.holds,
            up=unit.up,
            leased=False,
        )

    def message(self, at: float, who: str, to: str, kind: str, end: str = "arrived") -> None:
        self.note(at - 0.015, Kind.MESSAGE, who, kind, kind=kind, to=to, end="sent")
        self.note(at, Kind.MESSAGE, who, kind, kind=kind, to=to, end=end)

    def act(self, number: int) -> None:
        act = self.scenario.acts[number]
        who, words = act.who or ",".join(act.target), written(act)
        self.note(act.at_s, Kind.ACT, who, words, verb=act.verb.value)
        if act.for_s is not None and not self.violated:
            ended = act.at_s + act.for_s
            self.note(ended, Kind.HEALED, who, words, verb=act.verb.value)


def played(devices: int = 3, *, violated: bool = False) -> Result:
    """The result of the night, of a fleet of so many devices."""
    night = Night(scenario(devices), violated=violated)
    _begin(night)
    _first_push(night)
    _doubt(night)
    if not violated:
        _way_out(night)
        _last_push(night)
    night.trace.events.sort(key=lambda event: event.at_s)
    return _result(night, violated=violated)


def _begin(night: Night) -> None:
    for name in night.scenario.names:
        night.device(-0.8, name)
    night.note(-2.0, Kind.PHASE, "-", "prologue")
    night.note(0.0, Kind.PHASE, "-", "safety")


def _first_push(night: Night) -> None:
    names = night.scenario.names
    night.act(0)
    night.note(1.0, Kind.PROCESS, "push-1", "starts: push", what="started")
    lock = {"epoch": "0.4", "state": "held", "owner": "push-1"}
    night.journal(1.01, "push-1", "lock_taken", "held by push-1 epoch 0.4", **lock)
    night.journal(
        1.1,
        "push-1",
        "begun",
        "t-2 seq=2",
        txn="t-2",
        seq=2,
        hold_at_s=2.3,
        activate_at_s=2.4,
    )
    for number, name in enumerate(names):
        arrives = 1.15 + 0.01 * number
        night.message(arrives, "push-1", name, "prepare")
        night.note(arrives + 0.02, Kind.WRITE, name, "prepared t-2")
        night.device(arrives + 0.03, name, prepared="t-2")
        end = "lost" if number == 1 else "arrived"
        night.message(arrives + 0.06, name, "push-1", "vote", end)
        night.message(arrives + 0.9, name, "push-1", "vote")
    night.journal(2.2, "push-1", "decided", "t-2 commit", txn="t-2", outcome="commit")
    night.act(1)
    night.act(2)
    night.note(2.204, Kind.PROCESS, "push-1", "kill -9", what="killed")


def _doubt(night: Night) -> None:
    names = night.scenario.names
    first, cut = names[0], names[1]
    night.message(2.22, "push-1", first, "decision")
    night.message(2.222, "push-1", first, "decision", "repeated")
    night.message(2.225, "push-1", cut, "decision", "lost")
    night.device(2.23, first, prepared=None, version=2)
    for name in names[1:]:
        if not (night.violated and name == cut):
            night.device(2.3, name, operating=None, holds="in doubt")
    night.device(2.3, first, operating=None, holds="waiting for its activation")
    night.device(2.402, first, operating=2, holds="")
    if night.violated:
        night.note(2.402, Kind.VIOLATION, MIXED.id, MIXED.text)
        return
    night.act(3)
    night.device(3.5, names[-1], up=False, operating=None, holds="")
    holds = "restarted: not confirmed yet, in doubt"
    night.device(5.5, names[-1], up=True, operating=None, holds=holds)


def _way_out(night: Night) -> None:
    night.act(4)
    night.note(5.0, Kind.PROCESS, "ops", "starts: force-unlock", what="started")
    lock = {"epoch": "0.5", "state": "resolving", "owner": "ops"}
    night.journal(5.05, "ops", "lock_taken", "resolving by ops epoch 0.5", **lock)
    night.note(5.06, Kind.NOTICE, "ops", "t-2 was decided COMMIT: drives it to every device")
    for number, name in enumerate(night.scenario.names[1:]):
        at = 7.4 if number == 0 else 5.8 + 0.02 * number
        night.message(at - 0.05, "ops", name, "decision")
        late = "learned the decision late: not confirmed yet"
        night.device(at, name, prepared=None, version=2, operating=None, holds=late)
        night.device(at + 0.2, name, operating=2, holds="")
    night.journal(7.8, "ops", "ended", "t-2", txn="t-2")
    lock = {"epoch": "0.6", "state": "free", "owner": "ops"}
    night.journal(7.81, "ops", "lock_released", "epoch 0.6", **lock)
    night.note(7.82, Kind.PROCESS, "ops", "ended", what="ended")


def _last_push(night: Night) -> None:
    night.note(10.0, Kind.PHASE, "-", "liveness")
    night.note(10.0, Kind.PROCESS, "serve", "starts: serve", what="started")
    night.note(12.0, Kind.PHASE, "-", "last push")
    night.note(12.0, Kind.PROCESS, "push-2", "starts: push", what="started")
    lock: dict[str, Value] = {"epoch": "0.7", "state": "held", "owner": "push-2"}
    night.journal(12.01, "push-2", "lock_taken", "held by push-2 epoch 0.7", **lock)
    times = {"hold_at_s": 12.6, "activate_at_s": 12.7}
    night.journal(12.05, "push-2", "begun", "t-3 seq=3", txn="t-3", seq=3, **times)
    for number, name in enumerate(night.scenario.names):
        night.message(12.1 + 0.002 * number, "push-2", name, "prepare")
        night.device(12.13 + 0.002 * number, name, prepared="t-3")
        night.message(12.16 + 0.002 * number, name, "push-2", "vote")
    night.journal(12.3, "push-2", "decided", "t-3 commit", txn="t-3", outcome="commit")
    for number, name in enumerate(night.scenario.names):
        night.message(12.32 + 0.002 * number, "push-2", name, "decision")
        night.device(12.33 + 0.002 * number, name, prepared=None, version=3)
        night.device(12.6, name, operating=None, holds="waiting for its activation")
        night.device(12.7 + 0.001 * number, name, operating=3, holds="")
    night.journal(13.0, "push-2", "ended", "t-3", txn="t-3")
    lock = {"epoch": "0.8", "state": "free", "owner": "push-2"}
    night.journal(13.01, "push-2", "lock_released", "epoch 0.8", **lock)
    night.note(13.02, Kind.PROCESS, "push-2", "ended", what="ended")


def _result(night: Night, *, violated: bool) -> Result:
    figures = Figures(
        virtual_s=2.402 if violated else 13.02,
        steps=412,
        messages=len(night.trace.events),
        acts=Counter({"push": 1, "cut": 1, "kill": 1, "crash": 1, "loss": 3}),
        committed=1 if violated else 2,
        forced=0 if violated else 1,
        holds=_holds(night.scenario),
        skews_s=() if violated else (0.002, 0.0007 * len(night.scenario.names)),
    )
    return Result(
        scenario=night.scenario,
        speed=Speed.CORES,
        violations=(MIXED,) if violated else (),
        violated_at_s=2.402 if violated else None,
        figures=figures,
        trace=night.trace,
    )


def _holds(played: Scenario) -> tuple[Hold, ...]:
    cut, last = played.names[1], played.names[-1]
    return (
        Hold(device=played.names[0], began_s=2.3, lasted_s=0.102, budget_s=0.2),
        Hold(device=cut, began_s=2.3, lasted_s=5.3, causes=("cut", "kill"), budget_s=12.0),
        Hold(device=last, began_s=5.5, lasted_s=0.5, causes=("crash",), budget_s=9.0),
    )


def many(runs: int) -> list[Result]:
    """So many results without a trace, with holds and skews as a night has them."""
    return [_small(seed) for seed in range(1, runs + 1)]


CAUSES = ("kill", "cut", "store-away", "broker-kill", "crash", "clock-step", "broker-slow")


def _small(seed: int) -> Result:
    chance = stream(seed, "figures")
    causes = sorted(chance.sample(CAUSES, chance.choice((0, 1, 1, 1, 2, 3))))
    holds = [
        Hold(
            device="d-01",
            began_s=1.0,
            lasted_s=round(chance.lognormvariate(0.5, 1.0) if causes else 0.1, 4),
            causes=tuple(causes),
            budget_s=45.0 if causes else 0.2,
        )
        for _ in range(chance.randrange(4))
    ]
    figures = Figures(
        virtual_s=chance.uniform(20, 60),
        steps=chance.randrange(200, 4000),
        messages=chance.randrange(200, 4000),
        acts=Counter({cause: chance.randrange(1, 6) for cause in causes} | {"push": 2, "loss": 9}),
        committed=chance.randrange(3),
        aborted=chance.randrange(3),
        forced=chance.randrange(2),
        holds=tuple(holds),
        skews_s=tuple(chance.lognormvariate(-5.5, 0.8) for _ in range(2)),
    )
    made = Scenario(name="drawn", seed=seed, devices=())
    return Result(scenario=made, speed=Speed.CORES, figures=figures)
