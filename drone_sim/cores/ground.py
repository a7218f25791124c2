"""What a minifleet stands on: its journal, its disks, and the invariants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drone_sim.cores import rules, samples
from drone_sim.cores.showing import show_record
from orchestrator.protocol import device as dev
from orchestrator.protocol import fold, invariants
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.invariants import DeviceView, Promise, Snapshot, Violation
from orchestrator.protocol.messages import Message, OrchestratorMessage
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import AbortRequested, Entry, Record
from orchestrator.protocol.types import DeviceId, Digest, TxnId

Log = Callable[[str], None]
"""Takes one line of what happens."""


class BrokenError(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A message on its way; ``to`` is a device or a coordinator."""

    sender: str
    to: str
    message: Message


@dataclass(kw_only=True)
class Device:
    """One device: its disk, its core while it is up, and its own clock."""

    id: DeviceId
    disk: Durable
    offset: float = 0.0
    """True time minus the device's monotonic reading, in s."""
    rate: float = 1.0
    core: Participant | None = None
    boots: int = 0
    refuses: tuple[str, ...] = ()
    tasks: list[dev.Effect] = field(default_factory=list)
    watching: set[tuple[TxnId, Digest]] = field(default_factory=set)
    wake_at: float | None = None
    asked_at_head: int = 0
    confirmed: bool = False

    @property
    def leased(self) -> bool:
        """Whether it operates on an enable lease."""
        return self.core is not None and self.core.operation.lease_until is not None

    def reading(self, true: float) -> float:
        """Return what its clock reads at a true instant."""
        return (true - self.offset) * self.rate

    def true(self, reading: float) -> float:
        """Return the true instant at which its clock reads this."""
        return reading / self.rate + self.offset


@dataclass(kw_only=True)
class Driver:
    """One orchestrator process: its core, and the append whose answer it has not heard yet."""

    name: str
    core: Coordinator
    alive: bool = True
    inflight: orc.Append | None = None
    wake_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """What happens to the writes of one step: which is the last, and whether it says so."""

    crash_after: int | None = None
    """Lose power after so many writes of the step (0: before the first)."""
    fail_at: int | None = None
    """Refuse this write (0: the first)."""


class Ground:
    """The journal, the disks, the bag of messages."""

    participant: rules.MakeParticipant = staticmethod(rules.participant)
    coordinator: rules.MakeCoordinator = staticmethod(rules.coordinator)

    def __init__(
        self, devices: int = 3, *, timing: orc.Timing | None = None, log: Log | None = None
    ) -> None:
        self.now = 1000.0
        self.timing = timing or samples.timing()
        self.log: Log = log or (lambda _line: None)
        self.folds: list[FleetState] = [FleetState(fleet=samples.FLEET)]
        self.journal: list[Entry] = []
        self.bag: list[Packet] = []
        self.history: list[Packet] = []
        self.retained: dict[object, OrchestratorMessage] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.promised: frozenset[Promise] = frozenset()
        self.replaced: frozenset[DeviceId] = frozenset()
        self.slow: set[DeviceId] = set()
        """Devices whose checks and activations wait to be told that they are done."""
        self.patient = False
        """Whether appends wait for :meth:`land` instead of being answered at once."""
        self.clocks_are_honest = True
        """Whether no clock has jumped: only I5 depends on it (I19)."""
        self.rolled_back = False
        """Whether the store has lost its end, and no reseed has ended yet."""
        self.old_leases_until = 0.0
        """Until when leases may run of which a store that was rolled back knows nothing."""
        self.stale_answers = False
        """Whether HELLO is answered without reading the journal first (a forbidden host)."""
        self.drivers: dict[str, Driver] = {}
        self.devices: dict[DeviceId, Device] = {}
        for number in range(1, devices + 1):
            name = samples.device_id(number)
            self.devices[name] = Device(
                id=name,
                disk=Durable(fleet=samples.FLEET, device=name),
                offset=900.0 + 7 * number,
            )

    # --- looking ------------------------------------------------------------------------------

    @property
    def state(self) -> FleetState:
        """The fold of the whole journal."""
        return self.folds[-1]

    def snapshot(self) -> Snapshot:
        """Return everything that the invariants look at."""
        views = {
            device.id: DeviceView(
                durable=device.disk,
                operating=None if device.core is None else device.core.operating,
                leased=device.leased,
            )
            for device in self.devices.values()
        }
        return Snapshot(
            fleet=self.state,
            journal=self.journal,
            devices=views,
            promised=self.promised,
            replaced=self.replaced,
            at=self.now,
        )

    def check(self) -> None:
        """Ask the invariants; raises BrokenError."""
        found = [*invariants.check(self.snapshot()), *self.beyond_horizon()]
        if self.rolled_back:  # detected, not prevented: what is stored is not what was told
            found = [one for one in found if one.id == "I1"]
        self.refuse([one for one in found if self.clocks_are_honest or one.id != "I5"])

    def beyond_horizon(self) -> list[Violation]:
        """I5: no lease of a device runs beyond the horizon that the journal has for it."""
        found = []
        for device in self.devices.values():
            until = None if device.core is None else device.core.operation.lease_until
            horizon = max(self.state.horizons.get(device.id, 0.0), self.old_leases_until)
            if until is not None and device.true(until) > horizon + self.timing.clock_error_s:
                text = f"{device.id} has a lease until {device.true(until):.3f}, not {horizon:.3f}"
                found.append(Violation(id="I5", text=text))
        return found

    def refuse(self, violations: Sequence[Violation]) -> None:
        """Raise BrokenError if there are any."""
        if violations:
            raise BrokenError("; ".join(map(str, violations)))

    # --- the journal --------------------------------------------------------------------------

    def append(self, head: int, records: Sequence[Record]) -> bool:
        """Compare and append; false for a conflict."""
        if head != len(self.journal):
            return False
        for record in records:
            entry = Entry(index=len(self.journal) + 1, at=self.now, record=record)
            self.folds.append(fold.apply(self.state, entry))
            self.journal.append(entry)
            if record.kind == "adopted":
                self.rolled_back = False
            self.log(f"  journal {entry.index}: {show_record(record)}")
        return True

    def roll_back(self, lost: int) -> None:
        """Restore the store from a backup that lacks the last ``lost`` records."""
        head = max(1, len(self.journal) - lost)
        del self.journal[head:], self.folds[head + 1 :]
        for device in self.devices.values():
            device.asked_at_head = min(device.asked_at_head, head)
        ends = [
            device.true(until)
            for device in self.devices.values()
            if device.core and (until := device.core.operation.lease_until) is not None
        ]
        self.old_leases_until = max(ends, default=0.0)
        self.rolled_back = True

    def request_abort(self, txn: TxnId) -> None:
        """Let somebody who does not hold the lock ask for an ABORT."""
        asked = AbortRequested(txn=txn, by=samples.owner("somebody"), reason="asked")
        self.append(len(self.journal), (asked,))
