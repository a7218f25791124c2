"""The checker's own copy of the truth: the journal, the disks, the controllers, who lives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from drone_sim.scenario.model import Scenario, Verb
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.invariants import DeviceView, Violation
from orchestrator.protocol.types import DeviceId, FleetId, Owner, TxnId, Version

ProcessKey = tuple[str, str, str, int, int]
"""What makes two processes the same: machine, boot, pid namespace, pid, start ticks."""

Blame = Callable[[str, str], None]
"""Takes the id of an invariant and what was seen."""


def key_of(owner: Owner) -> ProcessKey:
    """Return what identifies the process behind an owner, whatever it says it does."""
    return (
        owner.machine_id,
        owner.boot_id,
        owner.pid_namespace,
        owner.pid,
        owner.start_ticks,
    )


@dataclass(slots=True, kw_only=True)
class Process:
    """An orchestrator's process; ``hit`` is the fault that ended or stopped it, if one did."""

    name: str
    owner: Owner
    verb: Verb | None
    alive: bool = True
    paused: bool = False
    hit: Verb | None = None
    superseded: bool = False
    """Whether its lock was taken from it while it lived."""
    resumed_s: float = -math.inf
    """When it last went on after it had been stopped, in story time."""

    @property
    def runs(self) -> bool:
        """Whether anything of it happens."""
        return self.alive and not self.paused


@dataclass(slots=True, kw_only=True)
class Device:
    """
    One device.

    ``lying`` is whether its clock is off beyond its own bound; ``mixed`` that I5 broke because of
    it, ``detected_s`` when its core last proved that a clock steps. ``damaged`` is set by worn
    flash until the active file is whole again.
    """

    id: DeviceId
    durable: Durable
    told: bool = False
    """Whether a record of it was told of: until then it has an empty one."""
    up: bool = False
    operating: Version | None = None
    leased: bool = False
    holds: tuple[str, ...] = ()
    lying: bool = False
    mixed: bool = False
    detected_s: float | None = None
    has_file: bool = False
    torn: bool = False
    damaged: bool = False
    forgot: bool = False
    """Whether its disk has forgotten something since the active file was last looked at."""
    incarnation: int = 0
    """The newest one of which it has ever stored an epoch."""
    moved: bool = False
    """Whether its clock was moved since its lease began: when that ends, nobody can say."""
    righted: bool = False
    """Whether an act that put clocks wrong has ended since it began to lie."""

    def view(self) -> DeviceView:
        """Return it as the invariants look at it."""
        return DeviceView(durable=self.durable, operating=self.operating, leased=self.leased)


@dataclass(slots=True, kw_only=True)
class Truth:
    """
    What is true at story time ``now_s``, shared by the judges.

    ``rolled_back`` is set from a restore of the store until the reseed has ended; ``forgiven`` are
    transactions whose outcome was lost with it: I1 and I2 are detected there, not held.
    """

    scenario: Scenario
    utc_at_start_s: float
    fleet: FleetState
    now_s: float = 0.0
    devices: dict[DeviceId, Device] = field(default_factory=dict)
    processes: dict[ProcessKey, Process] = field(default_factory=dict)
    names: dict[str, ProcessKey] = field(default_factory=dict)
    rolled_back: bool = False
    ever_rolled_back: bool = False
    forgiven: dict[TxnId, None] = field(default_factory=dict)
    found: list[Violation] = field(default_factory=list)

    def blame(self, id_: str, text: str) -> None:
        """Keep a violation until the next look."""
        self.found.append(Violation(id=id_, text=text))

    def story(self, utc_s: float) -> float:
        """Return the story time of an instant of an honest UTC clock."""
        return utc_s - self.utc_at_start_s

    def device(self, name: DeviceId) -> Device:
        """Return a device; one that the scenario does not name is added."""
        found = self.devices.get(name)
        if found is None:
            empty = Durable(fleet=self.fleet.fleet, device=name)
            found = self.devices[name] = Device(id=name, durable=empty)
        return found

    def process_of(self, owner: Owner | None) -> Process | None:
        """Return the process behind an owner, if it was told of."""
        return None if owner is None else self.processes.get(key_of(owner))

    def process_named(self, name: str) -> Process | None:
        """Return the last process of this name."""
        key = self.names.get(name)
        return None if key is None else self.processes[key]


def first_truth(scenario: Scenario, utc_at_start_s: float) -> Truth:
    """Return the truth before anything has happened."""
    truth = Truth(
        scenario=scenario,
        utc_at_start_s=utc_at_start_s,
        fleet=FleetState(fleet=FleetId("?")),
    )
    for name in scenario.names:
        truth.device(DeviceId(name))
    return truth
