"""Who takes part: a device as a town has it, and a process of an orchestrator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from drone_sim.cores.battery import Battery
from drone_sim.cores.executor import Executor
from drone_sim.cores.ground import Device, Driver
from drone_sim.cores.lines import Line
from drone_sim.scenario.model import Act, SimulatedDevice, Verb
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import Message
from orchestrator.protocol.types import Digest, Owner

HISTORY_MAX: Final = 200
"""How many messages each way a device's past keeps, to be replayed."""

PPM: Final = 1e-6

UnitExecutor = Executor[dev.Write, dev.Effect, dev.Event]
Shown = tuple[bool, int | None, bool, tuple[Holding, ...]]
"""Whether a device is up, what it operates, whether on a lease, and why it holds."""

SessionExecutor = Executor[orc.Append, orc.Effect, orc.Event]


def _history() -> deque[Message]:
    return deque(maxlen=HISTORY_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of a disk is really there: the record, what is staged, and the active file."""

    durable: Durable
    staged: dict[Digest, bytes]
    active: bytes | None


@dataclass(kw_only=True, eq=False)
class Unit(Device):
    """
    A device: beside its disk, its core and its clock what an act has done to it.

    ``die`` crashes it as a power loss does. ``staged`` are the configurations on its disk,
    ``active`` is what stands under the name of the active file; ``lies`` is what a lying disk
    will be found to have.
    """

    simulated: SimulatedDevice
    line: Line
    battery: Battery
    die: Callable[[], None]
    executor: UnitExecutor | None = None
    alarm: float | None = None
    """The true time of the earliest wake-up that stands in the queue."""
    staged: dict[Digest, bytes] = field(default_factory=dict)
    active: bytes | None = None
    frozen: bool = False
    stopped: list[dev.Event] = field(default_factory=list)
    """What has come while it was frozen."""
    down: int = 0
    """How many acts keep it without power."""
    refusing: str | None = None
    full: bool = False
    failing: str | None = None
    """Why every write of its disk fails, if it does."""
    slow_s: float = 0.0
    hook_fails: float = 0.0
    """Which share of its activations the controller does not obey."""
    lies: Kept | None = None
    dies_at_write: int | None = None
    """Before which of its writes from now on it loses power, counted down, and by which act."""
    dies_by: Act | None = None
    fails_at_write: int | None = None
    """Which of its writes from now on fails, counted down, and by which act."""
    fails_by: Act | None = None
    drift_ppm: float = 0.0
    clock_wrong: bool = False
    """Whether I5 is not judged for it: its clock was stepped, or drifts beyond its bound."""
    drifting: bool = False
    ahead_s: float = 0.0
    """How far a jump has put its clock ahead of what it would read."""
    bound_before: ClockBound | None = None
    """What it knew when it became wrong."""
    bound: ClockBound | None = None
    """What its core last knew of the orchestrator's clock."""
    stepped_at: float | None = None
    """The last proof of a step that its core has told of."""
    shown: Shown = (False, None, False, ())
    """What the checker was told last."""
    cause: dev.Event = field(default_factory=dev.Tick)
    """The last event that came from outside its disk."""
    asked_before: int = 0
    """Where it had asked when its last step was judged."""
    unsure: Holding | None = None
    before: Durable | None = None
    """Why it was not sure of its version, and its record, after its last step."""
    lease_until: float | None = None
    heard: deque[Message] = field(default_factory=_history)
    said: deque[Message] = field(default_factory=_history)

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self.core is not None

    def step_clock(self, by_s: float) -> None:
        """Let its clock jump, forward or back."""
        self.offset -= by_s / self.rate

    def set_drift(self, true: float, drift_ppm: float) -> None:
        """Let its clock gain so much from now on; what it has gained so far stays."""
        reading = self.reading(true)
        self.drift_ppm = drift_ppm
        self.rate = 1.0 + drift_ppm * PPM
        self.offset = true - reading / self.rate


@dataclass(kw_only=True, eq=False)
class Process:
    """
    A process of an orchestrator, on ``machine``, whose clock is ``offset_s`` ahead of UTC.

    ``called`` is its name in the
    scenario, ``name`` its own: one that was started later may be called the same.
    """

    name: str
    called: str
    machine: str
    verb: Verb | None
    owner: Owner
    line: Line
    die: Callable[[], None]
    offset_s: float = 0.0
    alive: bool = True
    paused: bool = False
    stopped: list[tuple[Callable[..., object], Collection[Any]]] = field(default_factory=list)
    """What was due while it was paused, in order."""
    sessions: list[Session] = field(default_factory=list)
    """The coordinators that it runs."""
    listeners: list[Callable[[Message], None]] = field(default_factory=list)
    """What in it hears the devices."""
    unread: orc.Append | None = None
    """An append whose answer was lost, until the journal is read."""
    waiting: list[Callable[[], object]] = field(default_factory=list)
    """What in it waits for the broker."""


@dataclass(kw_only=True, eq=False)
class Session(Driver):
    """
    One run of a coordinator in a process; see :mod:`.sessions`.

    ``over`` is called when it is final; with ``detaches`` it does not wait for stragglers.
    ``renewed`` is when its lease was last renewed, ``began`` since when the append under way is
    being tried, ``alarm`` the earliest wake-up that stands in the queue. All in true time.
    """

    process: Process
    executor: SessionExecutor
    over: Callable[[Session], object] | None = None
    detaches: bool = False
    renewed: float = 0.0
    began: float = 0.0
    alarm: float | None = None
    ended: bool = False
    astray: bool = False
    """Whether it has folded what a store that was restored has not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lock that a process has taken, before the append at ``since``, which took ``append_s``."""

    state: FleetState
    since: float
    append_s: float = 0.0
