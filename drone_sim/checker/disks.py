"""
What a device keeps and does: I2, I3, I10, I11, I12, I25, I27, I29, and I5 by leases.

The rules of a write that need nothing but the record are ``invariants.check_change``'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from drone_sim.checker.budgets import PROCESSING_S
from drone_sim.checker.ledger import Ledger
from drone_sim.checker.speech import Speech
from drone_sim.checker.truth import Device, Truth
from drone_sim.checker.words import Said
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.invariants import Promise, Watch, check_change, check_rejoin
from orchestrator.protocol.types import DeviceId, Outcome, TxnId, Version


class Disks:
    """Looks at every record, file and controller of the devices."""

    def __init__(self, truth: Truth, ledger: Ledger, speech: Speech, watch: Watch) -> None:
        self._truth = truth
        self._ledger = ledger
        self._speech = speech
        self.watch = watch
        self._leases: dict[DeviceId, float] = {}
        self._old_leases_until_s = 0.0
        self._patience_s = truth.scenario.pace.clock_error_s + PROCESSING_S

    # --- the record -----------------------------------------------------------------------------

    def stored(self, device: Device, before: Durable, after: Durable) -> None:
        """Take a record that is durable now."""
        if before != device.durable and (device.told or before.known):
            self._truth.blame("I13", f"{device.id}: its record has changed without a write")
        self._truth.found += check_change(before, after)
        for id_, text in self._of_a_yes(before, after):
            self._truth.blame(id_, f"{device.id}: {text}")
        prepared = after.prepared
        if prepared is not None and prepared != before.prepared:
            yes = Promise(
                device=device.id, txn=prepared.txn, digest=prepared.digest, epoch=prepared.epoch
            )
            self.watch.promise(yes)
        if before.heuristic is not None and after.heuristic is None and device.id in self._leases:
            # The word has ended: what it had overruled counts from now on.
            self._leases[device.id] = max(self._leases[device.id], self._truth.now_s)
        self._keep(device, after)

    def _of_a_yes(self, before: Durable, after: Durable) -> Iterator[tuple[str, str]]:
        """Yield what row D1 asks of a yes and the record alone can't tell."""
        prepared = after.prepared
        if prepared is None or prepared == before.prepared:
            return
        txn, begun = prepared.txn, self._ledger.begun.get(prepared.txn)
        if not before.known:
            yield "I11", f"a yes to {txn} before a HELLO was ever answered"
        if before.pending is not None:
            yield "I12", f"a yes to {txn}, while version {before.version} waits for activation"
        if begun is None:
            yield "I13", f"a yes to {txn}, which was not begun"
        elif begun.digests.get(after.device) != prepared.digest:
            yield "I3", f"a yes to {txn} for {prepared.digest}, which the plan has not for it"
        elif before.version not in (0, begun.base_version) and not self._left_behind(after):
            yield "I3", f"a yes to {txn} on version {before.version}, not {begun.base_version}"

    def _left_behind(self, after: Durable) -> bool:
        """Whether nobody knows what this device was to run in the fleet's version."""
        fleet = self._truth.fleet
        behind = after.version < fleet.version and fleet.digest_of(after.device) is None
        return behind and after.prepared is not None and after.prepared.left_behind

    def replaced(self, device: Device, durable: Durable) -> None:
        """Take another record, which no write has made; the active file may have gone with it."""
        device.has_file, device.forgot = False, True
        self.watch.replace(device.id)
        self._speech.replaced(device.id)
        self._keep(device, durable)

    def booted(self, device: Device, durable: Durable) -> None:
        """Hold what was read at a start against what was told as stored."""
        if durable != device.durable and device.told:
            text = f"{device.id} starts with another record than it has told as stored"
            self._truth.blame("I13", text)

    def _keep(self, device: Device, durable: Durable) -> None:
        device.durable, device.told = durable, True
        device.incarnation = max(device.incarnation, durable.max_epoch.incarnation)
        self._speech.stored(device.id, durable)
        self.watch.see(device.id, device.view())

    # --- the controller -------------------------------------------------------------------------

    def aims(self, device: Device, version: Version | None) -> None:
        """Take what the controller aims with from now on."""
        if version is not None and (device.torn or device.damaged):
            text = f"{device.id} aims with {version}, its active file was not written anew"
            self._truth.blame("I27", text)
        device.operating = version
        self.watch.see(device.id, device.view())

    def leased(self, device: Device, until_s: float | None) -> None:
        """I5: no lease runs beyond the horizon that the journal has for the device."""
        device.moved = False
        if until_s is None:
            self._leases.pop(device.id, None)
            return
        self._leases[device.id] = until_s
        utc_s = self._truth.fleet.horizons.get(device.id)
        horizon_s = 0.0 if utc_s is None else self._truth.story(utc_s)
        allowed_s = max(horizon_s, self._old_leases_until_s)
        error_s = self._truth.scenario.pace.clock_error_s
        if until_s > allowed_s + error_s and not device.lying and not self._truth.rolled_back:
            text = f"{device.id} has a lease until {until_s:.3f}, not {allowed_s:.3f}"
            self._truth.blame("I5", text)

    def look(self) -> None:
        """I5: a device whose lease is over has ceased to aim, as soon as its controller can."""
        for name, until_s in self._leases.items():
            device = self._truth.devices[name]
            if device.moved or device.durable.heuristic is not None:
                continue  # a person's word ends this hold, too
            late_s = self._truth.now_s - until_s
            if late_s > self._patience_s and device.operating is not None:
                text = f"{name} operates {device.operating}, {late_s:.3f} s after its lease"
                self._truth.blame("I5", text)

    def store_restored(self) -> None:
        """Take that the journal may know nothing of leases that run."""
        self._old_leases_until_s = max(self._leases.values(), default=0.0)

    # --- what it is sure of, and what is said of it ---------------------------------------------

    def confirmed(self, durable: Durable, known: Sequence[FleetState]) -> None:
        """I25, while the journal can be believed."""
        if not self._truth.rolled_back:
            self._truth.found += check_rejoin(durable, known)

    def file(self, device: Device, data: bytes | None, known: Collection[bytes]) -> None:
        """I27: whole old or whole new bytes, and once there are some, never none."""
        torn = data is not None and data not in known
        missing = data is None and device.has_file
        forgot, device.forgot = device.forgot, False
        device.torn, device.has_file = torn, data is not None
        if device.damaged or forgot:  # it must be written anew before anything operates
            device.damaged = torn or missing
        elif torn or missing:
            what = "no active file any more" if data is None else f"torn: {data[:40]!r}"
            self._truth.blame("I27", f"{device.id}: {what}")

    def told(self, said: Said) -> None:
        """I29: what is said of a device is what it has told, and what was stored then."""
        if not said.known or said.version is None:
            return
        first = self._speech.states.get((said.device, said.version, said.operating))
        now_s = self._truth.now_s
        stated_s = now_s if said.heard_at_s is None else said.heard_at_s
        error_s = self._truth.scenario.pace.clock_error_s
        if first is None or not first - error_s <= stated_s <= now_s + error_s:
            text = f"{said.device} is said to be at {said.version}, operating {said.operating}"
            self._truth.blame("I29", f"{text} as of {stated_s:.3f}: it had not told so")

    def told_outcome(self, who: str, txn: TxnId, outcome: Outcome) -> None:
        """I17: nobody is told an outcome that is not stored."""
        if outcome not in self._ledger.outcomes.get(txn, {}):
            self._truth.blame("I17", f"{who} is told {outcome} of {txn}, which is not stored")
