"""What is written into the trace of a run of whole shells; the words are those of the cores."""

from __future__ import annotations

from drone_sim.cores.showing import show_disk, show_record
from drone_sim.scenario.model import Act
from drone_sim.scenario.phrases import written
from drone_sim.shells.clocks import UTC_AT_START_S, true_s
from drone_sim.shells.network import End, Packet, Way
from drone_sim.trace import Kind, Trace, Value
from orchestrator.protocol.device import Durable
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.records import Entry
from orchestrator.protocol.types import DeviceId, Owner
from orchestrator.transport.topics import Side, parse


class Teller:
    """Tells the trace; ``story_at_s`` is the true time of the run at which the story begins."""

    def __init__(self, trace: Trace, story_at_s: float) -> None:
        self._trace = trace
        self._story_at_s = story_at_s
        self._names: dict[tuple[str, int, int], str] = {}

    def knows(self, owner: Owner, name: str) -> None:
        """Take note of the process behind an owner."""
        self._names[owner.boot_id, owner.pid, owner.start_ticks] = name

    def note(self, kind: Kind, who: str, text: str, /, **detail: Value) -> None:
        """Add an event."""
        self._trace.note(true_s() - self._story_at_s, kind, who, text, **detail)

    def _story_s(self, utc_s: float) -> float:
        return round(utc_s - UTC_AT_START_S - self._story_at_s, 6)

    def record(self, entry: Entry) -> None:
        """Tell of a record of the journal."""
        record = entry.record
        detail: dict[str, Value] = {"index": entry.index, "record": record.kind}
        for name in ("txn", "outcome", "seq", "epoch", "state"):
            value = getattr(record, name, None)
            if value is not None:
                detail[name] = value if isinstance(value, int) else str(value)
        owner = getattr(record, "owner", None)
        if owner is not None:
            key = (owner.boot_id, owner.pid, owner.start_ticks)
            detail["owner"] = self._names.get(key, owner.user)
        refused = getattr(record, "refused", None)
        if refused:
            said = (f"{device}: {', '.join(why)}" for device, why in refused.items())
            detail["refused"] = "; ".join(said)
        timeline = getattr(record, "timeline", None)
        if timeline is not None:
            detail["hold_at_s"] = self._story_s(timeline.hold_at)
            detail["activate_at_s"] = self._story_s(timeline.activate_at)
        self.note(Kind.JOURNAL, "journal", show_record(record), **detail)

    def stored(self, device: DeviceId, durable: Durable) -> None:
        """Tell of a record that a device has stored."""
        self.note(Kind.WRITE, device, show_disk(durable))

    def state(
        self,
        device: DeviceId,
        durable: Durable,
        *,
        up: bool,
        operating: int | None,
        leased: bool,
        holds: tuple[str, ...],
    ) -> None:
        """Tell of all that can be seen of a device."""
        reasons = ", ".join(holds)
        text = f"operates {operating}" if operating else f"holds: {reasons}" if up else "is down"
        self.note(
            Kind.STATE,
            device,
            text,
            version=durable.version,
            operating=operating,
            prepared=None if durable.prepared is None else durable.prepared.txn,
            holds=reasons,
            up=up,
            leased=leased,
        )

    def packet(self, end: End, packet: Packet) -> None:
        """Tell what becomes of a message."""
        address = parse(packet.topic)
        if address is None or not packet.payload:
            return
        kind, by_device = address.route.kind, address.route.sender is Side.DEVICE
        if packet.way is Way.UP:
            who, to = packet.link, "orchestrator" if by_device else address.device or "*"
        else:
            who, to = address.device if by_device and address.device else "broker", packet.link
        text = f"{end.value} {kind}" + (f" {address.txn}" if address.txn else "")
        self.note(Kind.MESSAGE, who, text, kind=kind, to=to, end=end.value)

    def notice(self, who: str, notice: Notice) -> None:
        """Tell a notice of a component."""
        detail = ", ".join(f"{name} {value}" for name, value in notice.detail)
        self.note(Kind.NOTICE, who, f"{notice.event} {detail}".strip())

    def began(self, act: Act) -> None:
        """Tell that an act takes place."""
        self._act(Kind.ACT, act)

    def ended(self, act: Act) -> None:
        """Tell that what an act did is over."""
        self._act(Kind.HEALED, act)

    def _act(self, kind: Kind, act: Act) -> None:
        who = act.who or ",".join(act.target) or "world"
        self.note(kind, who, written(act), verb=act.verb.value)
