"""
A random walk through everything at once: hypothesis drives the minifleet, the fleet checks.

What the explorer leaves out for size is here, without exhaustiveness: several coordinators and
forced unlocks at any time, three devices, clocks that are off and drift, disks that fail or lose
power at every write, slow checks and activations, repetition and replay of anything ever said,
answers of appends that are lost, devices that refuse, are replaced, or are excused.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drone_sim.cores import samples
from drone_sim.cores.ground import DiskPlan, Driver
from drone_sim.cores.minifleet import Fleet
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import FINAL, Coordinator
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId

DEVICES: Final = [samples.device_id(number) for number in (1, 2, 3)]
WELL_S: Final = 40.0
"""How long a fleet may take to get well once nothing fails any more (I6)."""

KINDS: Final = (
    "fence",
    "hello",
    "welcome",
    "prepare",
    "blob",
    "vote",
    "decision",
    "report",
    "catch-up",
    "ask",
    "heuristic",
)

devices = st.sampled_from(DEVICES)
picks = st.integers(min_value=0, max_value=1_000)
drivers = st.integers(min_value=0, max_value=3)


class FleetMachine(RuleBasedStateMachine):
    """The fleet's verbs as rules; every verb checks the invariants itself."""

    participant: type[Participant] = Participant
    coordinator: type[Coordinator] = Coordinator
    make: type[Fleet] = Fleet

    def __init__(self) -> None:
        super().__init__()
        self.fleet = self.make(len(DEVICES))
        self.jumps = False
        self.names = 0

    @initialize(
        offsets=st.lists(st.floats(min_value=-500, max_value=900), min_size=3, max_size=3),
        drifts=st.lists(st.floats(min_value=-150e-6, max_value=150e-6), min_size=3, max_size=3),
        patient=st.booleans(),
        jumps=st.sampled_from([False, False, True]),
    )
    def boot(
        self, offsets: list[float], drifts: list[float], *, patient: bool, jumps: bool
    ) -> None:
        self.jumps = jumps
        self.fleet.participant, self.fleet.coordinator = self.participant, self.coordinator
        for device, offset, drift in zip(
            self.fleet.devices.values(), offsets, drifts, strict=True
        ):
            device.offset, device.rate = offset, 1.0 + drift
        self.fleet.steady()
        self.fleet.patient = patient

    # --- orchestrators --------------------------------------------------------------------------

    @rule(window=st.sampled_from([0.05, 0.5, 3.0]), settle=st.sampled_from([0.1, 1.0]))
    def push(self, window: float, settle: float) -> None:
        self._push((), window, settle)

    @rule(excused=devices)
    def push_without(self, excused: DeviceId) -> None:
        self._push((excused,), 0.5, 0.5)

    def _push(self, excused: tuple[DeviceId, ...], window: float, settle: float) -> None:
        self.names += 1
        number = self.fleet.state.last_seq + 1
        timing = samples.timing(window_s=window, settle_s=settle, join_s=0.3)
        self.fleet.push(f"c{self.names}", number, excused=excused, timing=timing)

    @rule()
    def force(self) -> None:
        self.names += 1
        self.fleet.force(f"c{self.names}")

    @rule()
    def settle(self) -> None:
        self.names += 1
        self.fleet.settle(f"c{self.names}", for_s=20.0)

    @rule(which=drivers)
    def tick(self, which: int) -> None:
        for driver in self._driver(which):
            self.fleet.tick(driver)

    @rule(which=drivers, lost=st.booleans())
    def land(self, which: int, *, lost: bool) -> None:
        for driver in self._driver(which):
            self.fleet.land(driver, lost=lost)

    @rule(which=drivers, later=st.booleans())
    def vanish(self, which: int, *, later: bool) -> None:
        for driver in self._driver(which):
            append = self.fleet.vanish(driver)
            if append is not None and later:
                self.fleet.append(append.expected_head, append.records)

    @rule(which=drivers)
    def abort(self, which: int) -> None:
        for driver in self._driver(which):
            self.fleet.tell(driver, orc.AbortAsked(cause="asked"))

    @rule()
    def abort_by_record(self) -> None:
        if self.fleet.state.open is not None:
            self.fleet.request_abort(self.fleet.state.open.begun.txn)

    @rule(which=drivers)
    def detach(self, which: int) -> None:
        for driver in self._driver(which):
            self.fleet.tell(driver, orc.Detach())

    @rule(which=drivers)
    def reconnect_driver(self, which: int) -> None:
        for driver in self._driver(which):
            self.fleet.tell(driver, orc.Connected())

    @rule(which=drivers)
    def kill(self, which: int) -> None:
        for driver in self._driver(which):
            self.fleet.kill(driver)

    def _driver(self, which: int) -> list[Driver]:
        alive = [driver for driver in self.fleet.drivers.values() if driver.alive]
        return alive[-1 - which :][:1] if which < len(alive) else []

    # --- messages -------------------------------------------------------------------------------

    @rule(pick=picks, crash=st.none() | st.integers(0, 3), fail=st.none() | st.integers(0, 2))
    def deliver(self, pick: int, crash: int | None, fail: int | None) -> None:
        if self.fleet.bag:
            packet = self.fleet.bag[pick % len(self.fleet.bag)]
            self.fleet.deliver(packet, DiskPlan(crash_after=crash, fail_at=fail))

    @rule(count=st.integers(1, 30))
    def deliver_some(self, count: int) -> None:
        for _ in range(count):
            if self.fleet.bag:
                self.fleet.deliver(self.fleet.bag[0])

    @rule(
        kinds=st.sets(st.sampled_from(KINDS), min_size=1, max_size=4),
        device=st.none() | devices,
    )
    def deliver_kinds(self, kinds: set[str], device: DeviceId | None) -> None:
        """Let all of some kinds through, to everybody or between one device and everybody."""
        self.fleet.deliver_all(
            lambda packet: (
                packet.message.kind not in kinds
                or (device is not None and device not in (packet.to, packet.sender))
            )
        )

    @rule(pick=picks)
    def drop(self, pick: int) -> None:
        if self.fleet.bag:
            del self.fleet.bag[pick % len(self.fleet.bag)]

    @rule(device=devices)
    def cut_off(self, device: DeviceId) -> None:
        self.fleet.drop(lambda packet: device not in (packet.to, packet.sender))

    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        if self.fleet.history:
            self.fleet.deliver(self.fleet.history[-1 - pick % len(self.fleet.history)])

    @rule()
    def broker_dies(self) -> None:
        self.fleet.lose_retained()

    # --- devices --------------------------------------------------------------------------------

    @rule(device=devices)
    def crash(self, device: DeviceId) -> None:
        self.fleet.crash(device)

    @rule(device=devices)
    def start(self, device: DeviceId) -> None:
        if self.fleet.devices[device].core is None:
            self.fleet.boot(device)

    @rule(device=devices)
    def replace_unit(self, device: DeviceId) -> None:
        if self.fleet.devices[device].core is None:
            self.fleet.replace_unit(device)

    @rule(device=devices)
    def reconnect(self, device: DeviceId) -> None:
        self.fleet.event(device, dev.Connected())

    @rule(device=devices, slow=st.booleans())
    def slow_down(self, device: DeviceId, *, slow: bool) -> None:
        (self.fleet.slow.add if slow else self.fleet.slow.discard)(device)

    @rule(device=devices, fails=st.booleans())
    def finish(self, device: DeviceId, *, fails: bool) -> None:
        self.fleet.finish(device, fails="the hook failed" if fails else None)

    @rule(device=devices, refuses=st.booleans())
    def opinion(self, device: DeviceId, *, refuses: bool) -> None:
        self.fleet.devices[device].refuses = ("battery",) if refuses else ()

    @precondition(lambda self: self.jumps)
    @rule(device=devices, seconds=st.sampled_from([0.02, 0.3, 5.0, 300.0]))
    def clock_jumps(self, device: DeviceId, seconds: float) -> None:
        """The device was suspended, or its clock lies: all but I5 must hold (I19)."""
        self.fleet.clocks_are_honest = False
        self.fleet.devices[device].offset -= seconds

    # --- time -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.05, 0.2, 0.6, 2.0]))
    def advance(self, seconds: float) -> None:
        self.fleet.advance(seconds)

    @rule(
        seconds=st.sampled_from([0.1, 0.3, 0.7, 2.0]),
        kinds=st.sets(st.sampled_from(KINDS), max_size=4),
        device=devices,
    )
    def play(self, seconds: float, kinds: set[str], device: DeviceId) -> None:
        """Let everything happen, but what is of some kinds to or from one device stays away."""
        patient, self.fleet.patient = self.fleet.patient, False
        self.fleet.run(
            seconds,
            keep=lambda packet: (
                packet.message.kind in kinds and device in (packet.to, packet.sender)
            ),
        )
        self.fleet.patient = patient

    @rule(
        excused=st.none() | devices,
        seconds=st.sampled_from([0.1, 0.4, 0.7, 1.5]),
        kinds=st.sets(st.sampled_from(KINDS), min_size=1, max_size=3),
        device=devices,
    )
    def push_and_play(
        self, excused: DeviceId | None, seconds: float, kinds: set[str], device: DeviceId
    ) -> None:
        """A push that one device follows only in part: where most stories get interesting."""
        self._push(() if excused is None else (excused,), 0.5, 0.5)
        self.play(seconds, kinds, device)

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        self.fleet.check()

    def teardown(self) -> None:
        """Stop all faults: within a bounded time everybody is well (I6)."""
        if self.fleet.state.head:
            get_well(self.fleet)


def get_well(fleet: Fleet) -> None:
    """End the faults, recover as an operator would, and require a healthy fleet."""
    fleet.patient = False
    fleet.slow.clear()
    for name, device in fleet.devices.items():
        device.refuses = ()
        fleet.finish(name)
        if device.core is None:
            fleet.boot(name)
    for driver in list(fleet.drivers.values()):
        fleet.land(driver)
        if driver.core.phase not in FINAL:
            fleet.kill(driver)
    fleet.drop()
    fleet.force("recovery")
    fleet.run(WELL_S / 4, step_s=0.25)
    fleet.settle("settling", for_s=WELL_S)
    for name in fleet.devices:
        fleet.event(name, dev.Connected())
    fleet.run(WELL_S / 2, step_s=0.25)
    state = fleet.state
    assert state.lock.state is LockState.FREE
    assert state.open is None
    for name, device in fleet.devices.items():
        assert device.disk.prepared is None, name
        assert device.disk.pending is None, name
        assert device.core is not None
        assert state.version == device.disk.version, name
        assert state.digest_of(name) == device.disk.digest, name
        assert state.version == device.core.operating, (
            name,
            device.core.operation.holds(device.disk, device.reading(fleet.now)),
        )
