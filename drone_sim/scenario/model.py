"""
A scenario: a fleet, the world it lives in, and what happens to it when. Plain data.

Both speeds of the simulator, pure cores and whole shells, play the same scenario. It has two
phases: until ``safety_s`` the acts take place and the links are as bad as they are said to be;
then everything heals by itself, somebody serves, and within ``liveness_s`` everybody must be well
(I6).
Seeds draw scenarios (:mod:`.swarm`), people write them (:mod:`.story`), shrinking makes them
smaller; a scenario and a seed say all that a run depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verb(StrEnum):
    """
    What may happen. The table of what each means is :data:`drone_sim.scenario.verbs.VERBS`.

    The first group is what people and programs do on purpose, the rest are faults.
    """

    # who: the name of the new process
    PUSH = "push"
    FORCE_UNLOCK = "force-unlock"
    RECOVER = "recover"
    BREAK_GLASS = "break-glass"
    REQUEST_RELEASE = "request-release"
    ABORT = "abort"
    RESEED = "reseed"
    SERVE = "serve"
    HOLD_LOCK = "hold-lock"
    RETIRE = "retire"
    DECIDE = "decide"

    # processes of orchestrators; who: the name of one that was started
    KILL = "kill"
    PAUSE = "pause"
    REUSE_PID = "reuse-pid"
    POWER_CUT = "power-cut"

    # the store
    STORE_AWAY = "store-away"
    STORE_SLOW = "store-slow"
    STORE_LOSES_ANSWERS = "store-loses-answers"
    STORE_RESTORED = "store-restored"
    STORE_LIES = "store-lies"

    # the broker
    BROKER_KILL = "broker-kill"
    BROKER_FORGETS = "broker-forgets"
    BROKER_SLOW = "broker-slow"
    BROKER_DROPS = "broker-drops"

    # the network
    CUT = "cut"
    CLOG = "clog"
    LOSSY = "lossy"
    REPLAY = "replay"
    TAKE_OVER_CLIENT = "take-over-client"

    # devices
    CRASH = "crash"
    CRASH_AT_WRITE = "crash-at-write"
    REPLACE = "replace"
    SUSPEND = "suspend"
    DISK_FULL = "disk-full"
    DISK_FAILS = "disk-fails"
    FAIL_AT_WRITE = "fail-at-write"
    DISK_SLOW = "disk-slow"
    DISK_LIES = "disk-lies"
    DAMAGE = "damage"
    CLOCK_STEP = "clock-step"
    CLOCK_DRIFT = "clock-drift"
    LOW_BATTERY = "low-battery"
    REFUSE = "refuse"
    HOOK_FAILS = "hook-fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """
    One thing that happens at true time ``at_s`` after the start.

    ``who`` is a process; ``target`` are devices, or for network faults processes too (empty: all
    of them). ``for_s`` is how long it lasts (``None``: to the end of the safety phase, or for what
    has no duration). ``amount`` and ``word`` are what the verb makes of them.
    """

    at_s: float
    verb: Verb
    who: str = ""
    target: tuple[str, ...] = ()
    for_s: float | None = None
    amount: float = 0.0
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """
    The quality of a link, each way. Rates are per message, 0 to 1.

    A message takes ``delay_s`` plus up to ``jitter_s``, and with rate ``spike`` also up to
    ``spike_s`` more: jitter and spikes let messages overtake each other. On the way up it takes
    ``up_s`` longer than on the way down.
    """

    delay_s: float = 0.005
    up_s: float = 0.0
    jitter_s: float = 0.005
    loss: float = 0.0
    duplicate: float = 0.0
    spike: float = 0.0
    spike_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreQuality:
    """How the store behaves: an append takes ``append_s``, and loses its answer at that rate."""

    append_s: float = 0.0005
    loses_answer: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDevice:
    """
    One device. Its clock reads ``offset_s`` less than true time and drifts.

    ``battery_percent`` is what it has at the start.
    """

    id: str
    kind: str = "drone"
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    battery_percent: float = 90.0
    link: Link = field(default_factory=Link)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The timing of the fleet file; see :class:`orchestrator.protocol.orchestration.Timing`."""

    window_s: float | None = None
    clock_error_s: float = 0.05
    settle_s: float = 5.0
    join_s: float = 1.0
    lease_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    All that a run depends on, beside the code. ``seed`` feeds the streams of chance.

    The fleet is at version 1 when the story begins, at 0 s, unless ``fresh``. ``acts`` are in the
    order of their time.
    """

    name: str
    seed: int
    devices: tuple[SimulatedDevice, ...]
    pace: Pace = field(default_factory=Pace)
    store: StoreQuality = field(default_factory=StoreQuality)
    control: Link = field(default_factory=Link)
    """The link between the broker and every orchestrator."""
    acts: tuple[Act, ...] = ()
    safety_s: float = 30.0
    liveness_s: float = 180.0
    fresh: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of all devices, in order."""
        return tuple(device.id for device in self.devices)
