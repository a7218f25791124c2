"""
Golden transcripts: a story in verbs, and what the fleet did at each of them.

A scenario is a text of paragraphs. Each has one or more commands, a line of dashes and what came
out of them; lines that begin with ``#`` explain. Commands:

``fleet N``                    N devices at version 1, in a calm fleet
``push NAME N [without D]``    a coordinator takes the lock and pushes version N
``force NAME``, ``settle NAME``  a forced unlock; a process that only answers
``tick NAME``, ``kill NAME``, ``abort NAME``, ``reconnect NAME|D``
``patient``, ``land NAME [lost]``, ``vanish NAME``   appends wait; are answered; are lost
``deliver [KIND...] [to=X] [from=X] [crash=N] [fail=N]``   what is on its way now
``drop``, ``repeat``           the same words: lose it; deliver once more what was delivered
``flow [KIND...] [to=X] [from=X]``  deliver until nothing is left, but what is named
``crash D``, ``boot D``, ``replace D``, ``refuse D WHY``, ``slow D``, ``finish D``
``advance S``, ``run S``, ``lose-retained``, ``show``
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from drone_sim.cores.ground import DiskPlan, Packet
from drone_sim.cores.minifleet import Fleet
from drone_sim.cores.showing import show_disk
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.types import DeviceId

RULE = "----"


@dataclass(slots=True)
class Paragraph:
    """Commands (with their comments), and what came out of them."""

    commands: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


def parse(text: str) -> list[Paragraph]:
    """Split a scenario into its paragraphs."""
    found = []
    for block in text.strip().split("\n\n"):
        commands, _, output = block.partition(f"\n{RULE}")
        found.append(Paragraph(commands.splitlines(), output.strip("\n").splitlines()))
    return found


def render(paragraphs: list[Paragraph]) -> str:
    """Write paragraphs as :func:`parse` reads them."""
    blocks = []
    for one in paragraphs:
        lines = list(one.commands)
        if any(not line.startswith("#") for line in one.commands):
            lines += [RULE, *one.output]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def play(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """Run the commands, and return the paragraphs with what comes out now."""
    script, told = Script(), []
    for one in paragraphs:
        script.lines = []
        for command in one.commands:
            if not command.startswith("#"):
                script.do(command)
        told.append(Paragraph(one.commands, script.lines or ["  (nothing)"]))
    return told


class Script:
    """Runs commands on a minifleet."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fleet = Fleet(0)

    def do(self, command: str) -> None:
        verb, *words = command.split()
        getattr(self, f"do_{verb.replace('-', '_')}")(*words)

    def do_fleet(self, count: str) -> None:
        self.fleet = Fleet(int(count)).steady()
        self.fleet.log = self.lines_append

    def lines_append(self, line: str) -> None:
        self.lines.append(line)

    # --- orchestrators --------------------------------------------------------------------------

    def do_push(self, name: str, number: str, *without: str) -> None:
        excused = [DeviceId(one) for one in without if one != "without"]
        if self.fleet.push(name, int(number), excused=excused) is None:
            self.lines.append(f"  HOT: {self.fleet.state.lock.owner}")

    def do_force(self, name: str) -> None:
        if self.fleet.force(name) is None:
            self.lines.append("  the lock is free")

    def do_settle(self, name: str) -> None:
        self.fleet.settle(name)

    def do_tick(self, name: str) -> None:
        self.fleet.tick(self.fleet.drivers[name])

    def do_kill(self, name: str) -> None:
        self.fleet.kill(self.fleet.drivers[name])

    def do_abort(self, name: str) -> None:
        self.fleet.tell(self.fleet.drivers[name], orc.AbortAsked(cause="asked"))

    def do_reconnect(self, name: str) -> None:
        if name in self.fleet.drivers:
            self.fleet.tell(self.fleet.drivers[name], orc.Connected())
        else:
            self.fleet.event(DeviceId(name), dev.Connected())

    def do_patient(self) -> None:
        self.fleet.patient = True

    def do_land(self, name: str, *lost: str) -> None:
        self.fleet.land(self.fleet.drivers[name], lost=bool(lost))

    def do_vanish(self, name: str) -> None:
        self.fleet.vanish(self.fleet.drivers[name])

    # --- messages -------------------------------------------------------------------------------

    def do_deliver(self, *words: str) -> None:
        disk = DiskPlan(crash_after=_number(words, "crash"), fail_at=_number(words, "fail"))
        chosen = _chosen(words)
        for packet in [one for one in self.fleet.bag if chosen(one)]:
            self.fleet.deliver(packet, disk)

    def do_flow(self, *words: str) -> None:
        chosen = _chosen(words)
        self.fleet.deliver_all(chosen if words else None)

    def do_drop(self, *words: str) -> None:
        chosen = _chosen(words)
        self.fleet.drop(lambda packet: not chosen(packet))

    def do_repeat(self, *words: str) -> None:
        chosen = _chosen(words)
        for packet in [one for one in self.fleet.history if chosen(one)]:
            self.fleet.deliver(packet)

    def do_lose_retained(self) -> None:
        self.fleet.lose_retained()

    # --- devices --------------------------------------------------------------------------------

    def do_crash(self, name: str) -> None:
        self.fleet.crash(DeviceId(name))

    def do_boot(self, name: str) -> None:
        self.fleet.boot(DeviceId(name))

    def do_replace(self, name: str) -> None:
        self.fleet.replace_unit(DeviceId(name))

    def do_refuse(self, name: str, *why: str) -> None:
        self.fleet.devices[DeviceId(name)].refuses = (" ".join(why),)

    def do_slow(self, name: str) -> None:
        self.fleet.slow.add(DeviceId(name))

    def do_finish(self, name: str) -> None:
        self.fleet.finish(DeviceId(name))

    # --- time, and looking ----------------------------------------------------------------------

    def do_advance(self, seconds: str) -> None:
        self.fleet.advance(float(seconds))

    def do_run(self, seconds: str) -> None:
        self.fleet.run(float(seconds))

    def do_show(self) -> None:
        state = self.fleet.state
        opened = "none" if state.open is None else state.open.begun.txn
        self.lines.append(
            f"  fleet version={state.version} lock={state.lock.state} "
            f"epoch={state.lock.epoch} open={opened}"
        )
        for who, txns in state.deferred.items():
            names = ", ".join(txn.begun.txn for txn in txns)
            self.lines.append(f"  deferred {who} on {names}")
        for name, device in self.fleet.devices.items():
            core = device.core
            doing = "down" if core is None else f"operates {core.operating}"
            self.lines.append(f"  {name} {doing}: {show_disk(device.disk)}")
        for driver in self.fleet.drivers.values():
            phase = driver.core.phase if driver.alive else "dead"
            self.lines.append(f"  {driver.name} is {phase}")


def _number(words: tuple[str, ...], key: str) -> int | None:
    found = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    return int(found[0]) if found else None


def _chosen(words: tuple[str, ...]) -> Callable[[Packet], bool]:
    kinds = {word for word in words if "=" not in word}
    to = {word[3:] for word in words if word.startswith("to=")}
    sender = {word[5:] for word in words if word.startswith("from=")}

    def chosen(packet: Packet) -> bool:
        return (
            (not kinds or packet.message.kind in kinds)
            and (not to or packet.to in to)
            and (not sender or packet.sender in sender)
        )

    return chosen
