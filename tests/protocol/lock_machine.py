"""
A random walk of many people around one lock, with everything that the walk of the fleet has.

Several processes push, stand in line, die in it, hold the lock by hand, ask for it, force it, take
it from ghosts and break the glass; some are paused and go on as zombies. Devices are retired, told
to operate on a person's word, left out, and enabled by leases. The journal is audited at every
record, and in the end everybody is well, nobody is in quarantine and the line is empty.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from drone_sim.cores import samples
from drone_sim.cores.yard import LIFE_S, Actor, Yard
from orchestrator.protocol import device as dev
from orchestrator.protocol import lease
from orchestrator.protocol.coordinator import FINAL
from orchestrator.protocol.records import LockState, Verb
from orchestrator.protocol.types import DeviceId, Outcome
from tests.protocol.machine import DEVICES, KINDS, WELL_S, FleetMachine, devices

PEOPLE_MAX: Final = 5
LEASE_S: Final = 2.0

HITS: Final = ("glass", "force", "ask", "commit", "abort", "death", "ghost", "zombie", "line")
"""What somebody does in the middle of a push."""

people = st.integers(min_value=0, max_value=PEOPLE_MAX - 1)


class LockMachine(FleetMachine):
    """The people's verbs as rules."""

    make = Yard
    fleet: Yard

    def __init__(self) -> None:
        super().__init__()
        self.lease_s: float | None = None

    @initialize(leased=st.booleans())
    def regime(self, *, leased: bool) -> None:
        """Decide whether this fleet has enable leases; then somebody serves from the start."""
        self.lease_s = LEASE_S if leased else None
        if leased and self.fleet.state.head:
            self.serve()

    def _who(self, which: int) -> Actor:
        """Return one of those who can act; with too few of them another one comes."""
        able = [
            actor
            for actor in self.fleet.ledger.actors.values()
            if actor.alive and not actor.paused
        ]
        if which < len(able):
            return able[which]
        return self.fleet.actor(nearby=which % 2 == 0)

    # --- the lock -------------------------------------------------------------------------------

    @rule(which=people, window=st.sampled_from([0.05, 0.5]), excused=st.none() | devices)
    def push_in_turn(self, which: int, window: float, excused: DeviceId | None) -> None:
        timing = samples.timing(window_s=window, settle_s=0.5, join_s=0.3)
        left_out = () if excused is None else (excused,)
        self.fleet.push_as(self._who(which), left_out, timing)

    @rule(which=people)
    def stand_in_line(self, which: int) -> None:
        self.fleet.wait(self._who(which))

    @rule(which=people)
    def leave_the_line(self, which: int) -> None:
        self.fleet.leave(self._who(which))

    @rule(which=people)
    def take_by_hand(self, which: int) -> None:
        self.fleet.take(self._who(which))

    @rule(which=people)
    def give_back(self, which: int) -> None:
        self.fleet.give_back(self._who(which))

    @rule(which=people, seen=st.booleans())
    def ask_for_release(self, which: int, *, seen: bool) -> None:
        self.fleet.ask_release(self._who(which))
        if seen:
            self.look()

    @rule(which=people, verb=st.sampled_from([Verb.FORCE_UNLOCK, Verb.RECOVER, Verb.EXPIRE]))
    def take_over(self, which: int, verb: Verb) -> None:
        self.fleet.take_over(self._who(which), verb)

    @rule(which=people)
    def break_glass(self, which: int) -> None:
        self.fleet.break_glass("glass", owner=self._who(which).owner)

    @rule(which=people)
    def die(self, which: int) -> None:
        self.fleet.die(self._who(which))

    @rule(which=people)
    def pause(self, which: int) -> None:
        self.fleet.pause(self._who(which), paused=True)

    @rule()
    def go_on(self) -> None:
        """Let the zombies go on."""
        for actor in self.fleet.ledger.actors.values():
            if actor.paused:
                self.fleet.pause(actor, paused=False)

    @rule()
    def look(self) -> None:
        """Let everybody read the journal, as each does twice in a second."""
        for driver in list(self.fleet.drivers.values()):
            if driver.alive and driver.core.phase not in FINAL:
                self.fleet.refresh(driver)

    @rule()
    def manager_restarts(self) -> None:
        self.fleet.manager_restarts()

    @rule(seconds=st.sampled_from([6.0, 16.0, LIFE_S + 4.0]))
    def long_after(self, seconds: float) -> None:
        self.fleet.advance(seconds)

    # --- stories --------------------------------------------------------------------------------

    @rule(
        which=people,
        excused=st.none() | devices,
        seconds=st.sampled_from([0.1, 0.4, 0.7, 1.5]),
        kinds=st.sets(st.sampled_from(KINDS), min_size=1, max_size=3),
        device=devices,
        hit=st.sampled_from(HITS),
    )
    def push_and_hit(
        self,
        which: int,
        excused: DeviceId | None,
        seconds: float,
        kinds: set[str],
        device: DeviceId,
        hit: str,
    ) -> None:
        """A push that one device follows only in part, and somebody who acts in the middle."""
        self.push_in_turn(which, 0.5, excused)
        self.play(seconds, kinds, device)
        holder = self.fleet.holder()
        other = self.fleet.actor()
        match hit:
            case "glass":
                self.fleet.break_glass("glass", owner=other.owner)
            case "force":
                self.fleet.take_over(other, Verb.FORCE_UNLOCK)
            case "ask":
                self.fleet.ask_release(other)
                self.look()
            case "commit" | "abort" if holder is not None:
                self.fleet.die(holder)
                self.fleet.decide_for(device, Outcome(hit))
                self.settle()
            case "death" | "ghost" if holder is not None:
                self.fleet.die(holder)
                self.fleet.advance(1.0 if hit == "death" else LIFE_S + 4.0)
                self.fleet.take_over(other, Verb.EXPIRE if hit == "ghost" else Verb.RECOVER)
            case "zombie" if holder is not None:
                self.fleet.pause(holder, paused=True)
                self.fleet.take_over(other, Verb.FORCE_UNLOCK)
            case _:
                self.fleet.wait(other)
        self.play(seconds, kinds, device)

    @rule(first=people, second=people, dies=st.booleans())
    def next_in_line(self, first: int, second: int, *, dies: bool) -> None:
        """Two stand in line, the first may die there; then each tries in turn."""
        waiting = [self._who(first), self._who(second)]
        for actor in waiting:
            self.fleet.wait(actor)
        if dies:
            self.fleet.die(waiting[0])
            self.fleet.advance(LIFE_S + 4.0)
        for actor in reversed(waiting):
            if actor.alive:
                self.fleet.push_as(actor, (), samples.timing(settle_s=0.5, join_s=0.3))

    # --- devices --------------------------------------------------------------------------------

    @rule(device=devices, outcome=st.sampled_from(Outcome))
    def decide_for(self, device: DeviceId, outcome: Outcome) -> None:
        self.fleet.decide_for(device, outcome)

    @rule()
    def settle_words(self) -> None:
        self.fleet.settle_words()

    @precondition(lambda self: self.fleet.now > 1060.0)
    @rule()
    def retire(self) -> None:
        """The last device is sold, late in the story; two of them go on."""
        self.fleet.retire(DEVICES[-1])

    @rule()
    def serve(self) -> None:
        self.fleet.serve(self.lease_s)

    @rule()
    def serve_dies(self) -> None:
        if "serve" in self.fleet.drivers:
            self.fleet.kill(self.fleet.drivers["serve"])

    def teardown(self) -> None:
        """Stop all faults: everybody is well, in the fleet, and out of the line (I6)."""
        if self.fleet.state.head:
            get_well(self.fleet)


def get_well(fleet: Yard) -> None:
    """End the faults and do what an operator would do; then require a healthy fleet."""
    end_the_faults(fleet)
    fleet.force("recovery")
    txn = fleet.state.open
    late_s = 0.0 if txn is None else max(0.0, txn.begun.timeline.activate_at - fleet.now)
    fleet.run(WELL_S / 4 + late_s, step_s=0.25)  # a slow network was measured and allowed for
    _drain_the_line(fleet)
    fleet.settle_words()
    fleet.serve(fleet.state.lease_s)
    for name in fleet.devices:
        fleet.event(name, dev.Connected())
    fleet.run(WELL_S, step_s=0.25)
    state = fleet.state
    assert (LockState.FREE, None, ()) == (state.lock.state, state.open, state.lock.waiters)
    assert (frozenset(), {}) == (state.quarantined, state.deferred), state.quarantined
    for name, device in fleet.devices.items():
        if name in state.retired:
            continue
        assert device.core is not None
        holds = device.core.operation.holds(device.disk, device.reading(fleet.now))
        assert (None, None) == (device.disk.prepared, device.disk.pending), name
        assert state.version == device.disk.version, (name, holds)
        # A store that has lost everything, and units that were all replaced: nobody has anything.
        assert (state.version or None) == device.core.operating, (name, holds)
        assert state.digest_of(name) == device.disk.digest, name
        assert device.leased == (state.lease_s is not None), name


def end_the_faults(fleet: Yard) -> None:
    """Let every process die and every device come up; what was on its way is lost."""
    fleet.patient = False
    fleet.slow.clear()
    for name, device in fleet.devices.items():
        device.refuses = ()
        fleet.finish(name)
        if device.core is None:
            fleet.boot(name)
    for actor in fleet.ledger.actors.values():
        fleet.die(actor)
    for driver in list(fleet.drivers.values()):
        fleet.land(driver)
        if driver.core.phase not in FINAL:
            fleet.kill(driver)
    fleet.drop()


def _drain_the_line(fleet: Yard) -> None:
    """Somebody comes, passes over the dead, has its turn, and goes: nobody blocks the line."""
    fleet.advance(LIFE_S + 1)
    last = fleet.actor()
    fleet.wait(last)
    assert fleet.take(last), "the dead block the line"
    assert not isinstance(lease.acquire(fleet.state, last.owner, "p"), tuple)
    fleet.give_back(last)
