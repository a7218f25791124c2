"""
The devices of a town: disk, checks, controller, boot and crash.

A device runs its core by an :class:`~.executor.Executor` and wakes at its own clock's times.
Writes take no time unless the disk is slow; checks and activations end a little later, in lanes
of their own. What its controller aims with is told to the checker whenever it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from drone_sim.cores import samples
from drone_sim.cores.battery import Battery
from drone_sim.cores.disks import Disks
from drone_sim.cores.lines import Line
from drone_sim.cores.party import Unit, UnitExecutor
from drone_sim.cores.town import START_S, Setup
from drone_sim.cores.wires import BROKER
from drone_sim.disk import FULL
from drone_sim.scenario.chance import stream
from drone_sim.scenario.meaning import DEVICE_REBOOT_S
from drone_sim.scenario.model import Act, SimulatedDevice, Verb
from orchestrator.driver import LOOK_AGAIN_S
from orchestrator.protocol import device as dev
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.messages import Blob, Hello, Message
from orchestrator.protocol.participant import DeviceReady
from orchestrator.protocol.ready import Send
from orchestrator.protocol.types import DeviceId, Digest, TxnId

CHECK_S: Final = 0.004
ACTIVATE_S: Final = 0.004
"""A check, and an activation, take up to so long."""

FLOAT_S: Final = 1e-9
"""What is added to an instant that two clocks round differently."""

BATTERY: Final = "the battery is low"


class _Host:
    """What a device's core runs on; see :class:`.executor.Host`."""

    def __init__(self, town: Units, unit: Unit) -> None:
        self._town = town
        self._unit = unit

    def now(self) -> float:
        unit = self._unit
        return (self._town.now - unit.offset) * unit.rate

    def write(self, writes: Sequence[dev.Write]) -> dev.Event | None:
        return self._town.write(self._unit, writes)

    def send(self, send: Send) -> None:
        unit = self._unit
        if isinstance(send.message, Hello):
            unit.asked_at_head = len(self._town.journal)
        self._town.say_up(unit, send)

    def start(self, effect: dev.Effect) -> None:
        self._town.start_effect(self._unit, effect)


class Units(Disks):
    """The devices of a town."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.configurations: dict[bytes, None] = {}
        """The bytes of every configuration that was ever pushed."""
        for simulated in setup.scenario.devices:
            unit = self._unit(simulated)
            self.units[unit.id] = self.devices[unit.id] = unit

    def _unit(self, simulated: SimulatedDevice) -> Unit:
        name = DeviceId(simulated.id)
        chance = stream(self.scenario.seed, "link", name)
        unit = Unit(
            id=name,
            disk=Durable(fleet=samples.FLEET, device=name),
            offset=simulated.offset_s,
            simulated=simulated,
            line=Line(name=name, quality=simulated.link, chance=chance),
            die=lambda: None,
            battery=Battery(
                charge=simulated.battery_percent, since=START_S, flies=simulated.kind == "drone"
            ),
        )
        unit.die = partial(self.die_and_return, unit)
        unit.set_drift(START_S, simulated.drift_ppm)
        return unit

    # --- boot and crash -------------------------------------------------------------------------

    def boot(self, name: DeviceId) -> None:
        """Start a device from its disk; it connects by itself."""
        unit = self.units[name]
        if unit.up or unit.down or unit.battery.percent(self.now) <= 0.0:
            return
        unit.boots += 1
        self.checker.device_booted(name, unit.disk)
        self.checker.active_file(name, unit.active, self.configurations)
        unit.watching.clear()
        unit.core = self.participant(
            unit.disk, boot=f"{name}-{unit.boots}", decode_plan=samples.decode
        )
        unit.unsure, unit.before = unit.core.operation.unconfirmed, unit.disk
        unit.executor = executor = UnitExecutor(
            unit.core,
            _Host(self, unit),
            tick=dev.Tick,
            on_step=partial(self._unit_stepped, unit),
            before=self.dying(unit),
        )
        executor.tell(dev.Tick())
        self.look_at(unit)
        if unit.executor is executor:
            self.connect(unit)

    def crash(self, name: DeviceId, *, power: bool = True) -> None:
        """Lose everything but the disk; without ``power``, a disk that lies loses its part too."""
        unit = self.units[name]
        if unit.executor is not None:
            unit.executor.alive = False
        unit.core, unit.executor, unit.alarm = None, None, None
        unit.frozen = False
        unit.stopped.clear()
        unit.line.connected = unit.line.broken = False
        unit.line.attempt += 1
        self.look_at(unit)
        if power and unit.lies is not None:
            unit.staged, unit.active = unit.lies.staged, unit.lies.active
            self.change_disk(unit, unit.lies.durable)

    def die_and_return(self, unit: Unit, after_s: float = DEVICE_REBOOT_S) -> None:
        """Lose power at a point where somebody is to die, and start again after a while."""
        if not unit.up:
            return
        died = Act(at_s=self.story_s, verb=Verb.CRASH, target=(unit.id,), for_s=after_s)
        self.checker.fault_began(died)
        self.crash(unit.id)
        self.later(after_s, self._return, unit, died)

    def _return(self, unit: Unit, died: Act) -> None:
        self.boot(unit.id)
        self.checker.fault_ended(died)

    def replace_unit(self, name: DeviceId) -> None:
        """Put another unit with an empty disk in its place."""
        unit = self.units[name]
        self.crash(name)
        unit.lies = unit.active = None
        unit.staged = {}
        self.change_disk(unit, Durable(fleet=samples.FLEET, device=name))

    def change_disk(self, unit: Unit, durable: Durable) -> None:
        """Let the record of a device be another one, without its core."""
        unit.disk = durable
        self.checker.device_replaced(unit.id, durable)
        self.look_at(unit)

    # --- events ---------------------------------------------------------------------------------

    def tell_unit(self, unit: Unit, event: dev.Event) -> None:
        """Tell a device an event; one that is frozen hears it when it goes on."""
        if unit.executor is None:
            return
        if unit.frozen:
            unit.stopped.append(event)
        else:
            unit.executor.tell(event)

    def arrive(self, unit: Unit, sender: str, message: Message) -> None:
        """Take a message that has reached a device."""
        if unit.executor is None:
            return
        if self.trace is not None:
            self.note_message(sender, message, unit.id, "arrived")
        if self.keeps_history:
            unit.heard.append(message)
        at = None if unit.frozen else unit.reading(self.now)
        in_doubt = Holding.DOUBT in unit.shown[3] and unit.disk.prepared is not None
        self.tell_unit(unit, dev.Arrived(message=message, at=at))
        if in_doubt and sender == BROKER and unit.disk.prepared is None:
            self.checker.count("doubt-ended-by-retained")

    def joined(self, unit: Unit) -> None:
        """Let a device know that it has a session, and send it what is retained."""
        self.tell_unit(unit, dev.Connected())
        self.greet(unit)

    def freeze(self, unit: Unit) -> None:
        """Let a device stand still."""
        unit.frozen = unit.up
        self.look_at(unit)

    def thaw(self, unit: Unit) -> None:
        """Let a device go on: what is overdue comes first, then what has come meanwhile."""
        if not unit.frozen:
            return
        unit.frozen = False
        executor = unit.executor
        stopped, unit.stopped = unit.stopped, []
        if executor is not None:
            executor.wake()
            for event in stopped:
                if executor.alive:
                    executor.tell(event)
        self._set_alarm(unit)
        self.look_at(unit)

    def _unit_stepped(self, unit: Unit, event: dev.Event, ready: DeviceReady) -> None:
        """After every step of a device: what changed is told, and every invariant asked."""
        core = unit.core
        if core is None:
            return
        if ready.writes:
            unit.cause = event
        elif core.operation.unconfirmed is not unit.unsure or unit.disk is not unit.before:
            self.judge_certainty(unit, event)
        self.look_at(unit)
        self._set_alarm(unit)
        self.stepped()

    # --- waking ---------------------------------------------------------------------------------

    def set_alarm(self, unit: Unit) -> None:
        """See when a device is to be woken; after its clock has changed, anew."""
        unit.alarm = None
        self._set_alarm(unit)
        if unit.executor is not None and unit.executor.set_back:
            self.later(LOOK_AGAIN_S, self._look_again, unit, unit.boots)  # as a real driver does

    def _look_again(self, unit: Unit, boots: int) -> None:
        if unit.executor is not None and unit.boots == boots and not unit.frozen:
            unit.executor.wake()
            self._set_alarm(unit)

    def _set_alarm(self, unit: Unit) -> None:
        executor = unit.executor
        if executor is None or executor.wake_at is None:
            return
        instant = executor.wake_at / unit.rate + unit.offset
        if unit.alarm is None or instant < unit.alarm:
            instant = max(instant, self.now)
            while unit.reading(instant) < executor.wake_at:
                instant += FLOAT_S  # never early
            unit.alarm = instant
            self.at(instant, self._wake, unit, unit.boots, instant)

    def _wake(self, unit: Unit, boots: int, instant: float) -> None:
        if unit.alarm != instant or unit.boots != boots or unit.executor is None:
            return  # an earlier one stands in the queue, or it has crashed meanwhile
        unit.alarm = None
        if not unit.frozen:
            unit.executor.wake()
            self._set_alarm(unit)

    # --- effects --------------------------------------------------------------------------------

    def start_effect(self, unit: Unit, effect: dev.Effect) -> None:
        """Start what a device's core asks for."""
        match effect:
            case dev.Check():
                delay_s = CHECK_S * unit.line.chance.random()
                self.later(delay_s, self._checked, unit, unit.boots, effect)
            case dev.Activate():
                delay_s = ACTIVATE_S * unit.line.chance.random()
                self.later(delay_s, self._activated, unit, unit.boots, effect)
            case dev.Watch(txn=txn, digest=digest):
                data = unit.staged.get(digest)
                if data is None:
                    self.watch(unit, txn, digest)
                else:
                    self.later(0.0, self._found, unit, unit.boots, txn, digest)
            case dev.Unwatch(txn=txn, digest=digest):
                unit.watching.discard((txn, digest))
            case dev.Hold():  # its controller obeys at once: see look_at
                self.later(0.0, self._held, unit, unit.boots)
            case dev.Resume():
                pass

    def _found(self, unit: Unit, boots: int, txn: TxnId, digest: Digest) -> None:
        data = unit.staged.get(digest)
        if unit.boots == boots and data is not None:
            blob = Blob(txn=txn, digest=digest, data=data)
            self.tell_unit(unit, dev.Arrived(message=blob))

    def _held(self, unit: Unit, boots: int) -> None:
        if unit.boots == boots:
            self.tell_unit(unit, dev.Held())

    def _checked(self, unit: Unit, boots: int, check: dev.Check) -> None:
        if unit.boots == boots:
            reasons = self.reasons_of(unit)
            checked = dev.Checked(txn=check.txn, digest=check.digest, reasons=reasons)
            self.tell_unit(unit, checked)

    def reasons_of(self, unit: Unit) -> tuple[str, ...]:
        """Return why a device would refuse every configuration now."""
        found = [] if unit.refusing is None else [unit.refusing]
        found += [BATTERY] if unit.battery.refuses(self.now) else []
        return (*found, FULL) if unit.full else tuple(found)

    def _activated(self, unit: Unit, boots: int, activate: dev.Activate) -> None:
        if unit.boots != boots or not unit.up:
            return
        why = self._write_active(unit, activate.digest) or self._run_hook(unit)
        if why is None:
            self.tell_unit(unit, dev.Activated(version=activate.version))
        else:
            self.tell_unit(unit, dev.ActivationFailed(version=activate.version, reason=why))

    def _write_active(self, unit: Unit, digest: Digest) -> str | None:
        """Let the active file be what is staged, unless it is so already; or say why not."""
        data = unit.staged.get(digest)
        if data is None:
            return "the staged bytes are gone"
        if unit.active != data:
            if unit.failing is not None:
                return unit.failing
            unit.active = data
        self.checker.active_file(unit.id, unit.active, self.configurations)
        return None

    def _run_hook(self, unit: Unit) -> str | None:
        """Let the controller take the active file; or say why not."""
        fails = unit.hook_fails
        some = fails == 1.0 or (fails > 0.0 and unit.line.chance.random() < fails)
        return "the hook failed" if some else None
