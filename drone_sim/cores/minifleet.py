"""
Coordinators, participants and a journal joined by hand: no event loop, no clock but ours.

Everything that travels lies in one bag until somebody delivers, repeats or drops it; every disk
is a value; time moves when it is told to. After every step the invariants are asked, so a test
that merely plays is a test of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drone_sim.cores import samples
from drone_sim.cores.certainty import rash
from drone_sim.cores.ground import BrokenError, Device, DiskPlan, Driver, Packet
from drone_sim.cores.orchestrators import Orchestrators
from drone_sim.cores.showing import show_disk, show_message
from orchestrator.protocol import device as dev
from orchestrator.protocol import invariants
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import FINAL
from orchestrator.protocol.device import Durable
from orchestrator.protocol.invariants import Promise
from orchestrator.protocol.messages import Decision, Hello, Message
from orchestrator.protocol.ready import Send
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId

STEPS_MAX: Final = 2_000
"""More steps than any settling fleet needs: beyond it, something goes round in circles."""


class Fleet(Orchestrators):
    """The world. Methods are verbs; all of them check the invariants."""

    # --- devices ------------------------------------------------------------------------------

    def boot(self, name: DeviceId) -> None:
        """Start a device from its disk, and connect it."""
        device = self.devices[name]
        device.boots += 1
        device.tasks.clear()
        device.watching.clear()
        device.confirmed = False
        device.core = self.participant(
            device.disk, boot=f"{name}-{device.boots}", decode_plan=samples.decode
        )
        self.event(name, dev.Connected())
        for message in list(self.retained.values()):
            if isinstance(message, Decision):
                self.bag.append(Packet(sender="broker", to=name, message=message))

    def crash(self, name: DeviceId) -> None:
        """Lose everything but the disk."""
        device = self.devices[name]
        device.core, device.wake_at, device.confirmed = None, None, False
        device.tasks.clear()

    def replace_unit(self, name: DeviceId) -> None:
        """Put another unit with an empty disk in its place."""
        self.crash(name)
        self.devices[name].disk = Durable(fleet=samples.FLEET, device=name)
        self.replaced |= {name}

    def event(self, name: DeviceId, event: dev.Event, disk: DiskPlan | None = None) -> None:
        """Step a device and do what it asks for; ``disk`` says what its writes come to."""
        device, plan, done = self.devices[name], disk or DiskPlan(), 0
        if device.core is None:
            return
        unsure, before = device.core.operation.unconfirmed, device.disk
        ready = device.core.step(event, device.reading(self.now))
        while ready.writes:
            answer: dev.Event = dev.Written()
            for write in ready.writes:
                if plan.crash_after == done:
                    self.crash(name)
                    return
                if plan.fail_at == done:
                    answer, done = dev.WriteFailed(reason="full"), done + 1
                    break
                self._write(device, write)
                done += 1
            if plan.crash_after == done:
                self.crash(name)
                return
            ready = device.core.step(answer, device.reading(self.now))
        for send in ready.messages:
            self._upward(device, send)
        for effect in ready.effects:
            self._start_effect(device, effect)
        device.wake_at = ready.wake_at
        reading = device.reading(self.now)
        self.refuse(list(rash(device.core, unsure, event, before, reading)))
        self._look_at(device)
        self.obey(name)
        if name not in self.slow:
            self.finish(name)

    def _write(self, device: Device, write: dev.Write) -> None:
        if isinstance(write, dev.Stage):
            return
        before, device.disk = device.disk, write.durable
        self.refuse(invariants.check_change(before, device.disk))
        prepared = device.disk.prepared
        if prepared is not None and prepared != before.prepared:
            yes = Promise(
                device=device.id, txn=prepared.txn, digest=prepared.digest, epoch=prepared.epoch
            )
            self.promised |= {yes}
        self.log(f"  {device.id} stores {show_disk(device.disk)}")

    def _upward(self, device: Device, send: Send) -> None:
        if isinstance(send.message, Hello):
            device.asked_at_head = len(self.journal)
        self.log(f"  {device.id} -> : {show_message(send.message)}")
        for name, driver in self.drivers.items():
            if driver.alive and driver.core.phase not in FINAL:
                self.bag.append(Packet(sender=device.id, to=name, message=send.message))

    def _start_effect(self, device: Device, effect: dev.Effect) -> None:
        match effect:
            case dev.Watch(txn=txn, digest=digest):
                device.watching.add((txn, digest))
                blob = self.retained.get((txn, digest))
                if blob is not None:
                    self.bag.append(Packet(sender="broker", to=device.id, message=blob))
            case dev.Unwatch(txn=txn, digest=digest):
                device.watching.discard((txn, digest))
            case dev.Check() | dev.Activate():
                device.tasks.append(effect)
            case dev.Hold():
                self.log(f"  {device.id} holds: {', '.join(effect.reasons)}")
                device.tasks.append(effect)
            case dev.Resume(version=version):
                self.log(f"  {device.id} operates {version}")

    def _look_at(self, device: Device) -> None:
        """Ask I25 of a device that has just been confirmed, and everything else of everybody."""
        confirmed = device.core is not None and device.core.operation.unconfirmed is None
        if confirmed and not device.confirmed:
            known = self.folds[device.asked_at_head :]
            self.refuse(invariants.check_rejoin(device.disk, known))
        device.confirmed = confirmed
        self.check()

    def obey(self, name: DeviceId) -> None:
        """Let a controller hold that was told to: it does so at once, however slow the rest is."""
        device = self.devices[name]
        told = next((task for task in device.tasks if isinstance(task, dev.Hold)), None)
        if told is not None:
            device.tasks.remove(told)
            self.event(name, dev.Held())

    def finish(self, name: DeviceId, *, fails: str | None = None) -> None:
        """Let the checks and activations that a device has started come to their end."""
        device = self.devices[name]
        while device.tasks and device.core is not None:
            task = device.tasks.pop(0)
            if isinstance(task, dev.Check):
                checked = dev.Checked(txn=task.txn, digest=task.digest, reasons=device.refuses)
                self.event(name, checked)
            elif isinstance(task, dev.Activate) and fails is not None:
                self.event(name, dev.ActivationFailed(version=task.version, reason=fails))
            elif isinstance(task, dev.Activate):
                self.event(name, dev.Activated(version=task.version))

    # --- messages -----------------------------------------------------------------------------

    def deliver(self, packet: Packet, disk: DiskPlan | None = None) -> None:
        """Hand a packet over, whether it is in the bag or from the past."""
        if packet in self.bag:
            self.bag.remove(packet)
            self.history.append(packet)
        if packet.to in self.drivers:
            self._deliver_upward(self.drivers[packet.to], packet.message)
        else:
            name = DeviceId(packet.to)
            self.event(name, dev.Arrived(message=packet.message), disk)

    def _deliver_upward(self, driver: Driver, message: Message) -> None:
        if isinstance(message, Hello) and not self.stale_answers:
            self.refresh(driver)
        self.tell(driver, orc.Arrived(message=message))  # type: ignore[arg-type]

    def deliver_all(self, keep: Callable[[Packet], bool] | None = None) -> None:
        """Deliver, in order, all that is in the bag and comes into it, but what ``keep`` says."""
        for _ in range(STEPS_MAX):
            packet = next((one for one in self.bag if keep is None or not keep(one)), None)
            if packet is None:
                return
            self.deliver(packet)
        raise AssertionError("the bag never empties")

    def drop(self, keep: Callable[[Packet], bool] | None = None) -> None:
        """Lose all that is on its way, but what ``keep`` says."""
        self.bag = [one for one in self.bag if keep is not None and keep(one)]

    def lose_retained(self) -> None:
        """Kill the broker: what it retained is gone, and everybody connects again."""
        self.retained.clear()
        self.bag.clear()

    # --- time ---------------------------------------------------------------------------------

    def next_device_wake(self) -> tuple[float, DeviceId] | None:
        """Return when the next device asked to be woken, and which."""
        found = [
            (device.true(device.wake_at), device.id)
            for device in self.devices.values()
            if device.core is not None and device.wake_at is not None
        ]
        return min(found, default=None)

    def advance(self, seconds: float) -> None:
        """Let true time pass; devices wake when they asked to, coordinators are not woken."""
        until = self.now + seconds
        for _ in range(STEPS_MAX):
            due = self.next_device_wake()
            if due is None or due[0] > until:
                self.now = until
                return
            self.now = max(self.now, due[0])
            device = self.devices[due[1]]
            if device.wake_at is not None and device.reading(self.now) < device.wake_at:
                self.now += 1e-9  # floats: never early
            device.wake_at = None
            self.event(device.id, dev.Tick())
        raise AssertionError("a device wakes for ever")

    def tick(self, driver: Driver) -> None:
        """Let a coordinator see that time has passed."""
        self.tell(driver, orc.Tick())

    def run(
        self,
        seconds: float,
        *,
        step_s: float = 0.05,
        keep: Callable[[Packet], bool] | None = None,
    ) -> None:
        """Let everything happen in order for so long; what ``keep`` names stays on its way."""
        until = self.now + seconds
        while self.now < until:
            self.deliver_all(keep)
            for driver in list(self.drivers.values()):
                self.land(driver)
                if driver.core.phase not in FINAL:
                    self.tick(driver)
            self.deliver_all(keep)
            self.advance(step_s)

    def steady(self) -> Fleet:
        """Boot everybody and push version 1: where most stories begin."""
        for name in self.devices:
            self.boot(name)
        self.push("c0", 1)
        self.run(4.0)
        if (self.state.version, self.state.lock.state) != (1, LockState.FREE):
            raise BrokenError(f"the first push has come to {self.state}")
        self.forget()
        return self

    def forget(self) -> None:
        """Forget what the past has left in the bag; the journal and the disks stay."""
        self.bag.clear()
        self.history.clear()
        self.drivers = {
            name: driver
            for name, driver in self.drivers.items()
            if driver.alive and driver.core.phase not in FINAL
        }
