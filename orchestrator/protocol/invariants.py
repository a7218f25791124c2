"""
The invariants of the protocol, as questions about what is true at one instant, or at two.

They share no code with the cores and the fold: they read the journal's records and the devices'
records as a stranger would, so that a mistake in ``apply`` or in a core is seen and not
repeated. README.md has the list; the letters S, M and R there say who asks them.

:func:`check` looks at one :class:`Snapshot`; :func:`check_change` at a device before and after
one durable write, for what must never change or never decrease. :class:`Watch` is the same for
whoever asks after every step: it is told what has changed, and looks only at that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.protocol.book import Book, Violation, journal_violations, judge
from orchestrator.protocol.device import Durable, Finished
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import Adopted, Begun, Decided, Entry
from orchestrator.protocol.types import DeviceId, Digest, Epoch, Outcome, TxnId, Version

__all__ = [
    "DeviceView",
    "Promise",
    "Snapshot",
    "Violation",
    "Watch",
    "check",
    "check_change",
    "check_rejoin",
    "excepted",
    "journal_violations",
    "mixed_operation",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A PREPARED record that a device has stored at some time: a yes, whether told or not."""

    device: DeviceId
    txn: TxnId
    digest: Digest
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """
    A device as somebody outside sees it: its disk, and what its controller aims with.

    ``leased`` is whether it operates on an enable lease, and ceases to when that runs out.
    """

    durable: Durable
    operating: Version | None = None
    leased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    Everything at one true instant ``at``, in s.

    ``fleet`` is the fold of ``journal``. ``promised`` are all yeses ever stored, by devices that
    have lost their disk since, too; ``replaced`` names those. ``exceptions`` are devices that
    may operate another version, beside those that :func:`excepted` finds in the journal.
    """

    fleet: FleetState
    journal: Sequence[Entry]
    devices: Mapping[DeviceId, DeviceView]
    promised: frozenset[Promise] = frozenset()
    replaced: frozenset[DeviceId] = frozenset()
    exceptions: frozenset[DeviceId] = frozenset()
    at: float = 0.0


def check(snapshot: Snapshot) -> list[Violation]:
    """Return every invariant that does not hold in ``snapshot``."""
    watch = Watch(snapshot.fleet, promised=snapshot.promised, replaced=snapshot.replaced)
    watch.excuse(snapshot.exceptions)
    for entry in snapshot.journal:
        watch.append(entry, snapshot.fleet)
    for device, view in snapshot.devices.items():
        watch.see(device, view)
    return watch.violations(snapshot.at)


class Watch:
    """
    The invariants of a fleet, asked again only where something has changed.

    Told what a :class:`Snapshot` is made of as it comes about, it returns what :func:`check` would
    of the snapshot of now. A journal that has lost its end needs a new one, with the ``promised``
    and ``replaced`` of the old one.
    """

    def __init__(
        self,
        fleet: FleetState,
        *,
        promised: Iterable[Promise] = (),
        replaced: Iterable[DeviceId] = (),
    ) -> None:
        self.fleet = fleet
        self.devices: dict[DeviceId, DeviceView] = {}
        self.promised = set(promised)
        self.replaced = set(replaced)
        self._excused: frozenset[DeviceId] = frozenset()
        self._book = Book()
        self._written: list[Violation] = []
        self._stale: dict[DeviceId, None] = {}
        """Whose record is to be held against the journal again."""
        self._records: dict[DeviceId, tuple[Violation, ...]] = {}
        self._outcomes: dict[TxnId, dict[DeviceId, Outcome]] = {}
        self._split: dict[TxnId, Violation] = {}
        self._unvoted: dict[TxnId, list[Violation]] = {}
        self._forgotten: tuple[Violation, ...] | None = ()
        self._mixed: Mapping[DeviceId, Version] | None = {}
        self._sound = True
        """Whether nothing was found, and nothing has changed since."""

    def append(self, entry: Entry, fleet: FleetState) -> None:
        """Take the next entry, and the fold after it."""
        record = entry.record
        self._written += judge(self._book, record)
        if isinstance(record, Begun | Decided):
            self._count_votes(record.txn)
        elif isinstance(record, Adopted):
            for one in record.relisted:
                self._count_votes(one.txn)
        decides = isinstance(record, Decided | Adopted)
        if decides or fleet.reseeded_seq != self.fleet.reseeded_seq:
            self._stale.update(dict.fromkeys(self.devices))
        self.fleet = fleet
        self._forgotten, self._mixed, self._sound = None, None, False

    def see(self, device: DeviceId, view: DeviceView) -> None:
        """Take what a device is now."""
        before = self.devices.get(device)
        if before == view:
            return
        self.devices[device] = view
        self._mixed, self._sound = None, False
        if before is not None and before.durable is view.durable:
            return
        self._forgotten = None
        self._stale[device] = None
        if before is None or before.durable.finished != view.durable.finished:
            self._compare(device, () if before is None else before.durable.finished)

    def promise(self, one: Promise) -> None:
        """Take a yes that is stored: it counts for ever."""
        self.promised.add(one)
        if one.txn in self._unvoted:
            self._count_votes(one.txn)

    def replace(self, device: DeviceId) -> None:
        """Take that a device has lost its disk; its new record comes by :meth:`see`."""
        self.replaced.add(device)
        self._forgotten, self._sound = None, False

    def excuse(self, devices: frozenset[DeviceId]) -> None:
        """Take who else may operate another version for now (I5), until told again."""
        self._excused, self._mixed, self._sound = devices, None, False

    def violations(self, at: float) -> list[Violation]:
        """Return every invariant that does not hold at the true instant ``at``, in s."""
        if self._sound:
            return []
        for device in self._stale:
            durable = self.devices[device].durable
            self._records[device] = tuple(_recorded(durable, self._book, self.fleet))
        self._stale.clear()
        if self._forgotten is None:
            self._forgotten = tuple(_nobody_forgotten(self, self._book))
        if self._mixed is None:
            self._mixed = _operating(self.fleet, self.devices, self._excused)
        found = [*self._written]
        for records in self._records.values():
            found += records
        found += self._split.values()
        for unvoted in self._unvoted.values():
            found += unvoted
        found += (*self._forgotten, *_mixed(self._mixed, at))
        self._sound = not found
        return found

    def _compare(self, device: DeviceId, before: tuple[Finished, ...]) -> None:
        """I1: look again at the transactions of which a device has another record now."""
        after = self.devices[device].durable.finished
        for done in before:
            self._outcomes[done.txn].pop(device, None)
        for done in after:
            self._outcomes.setdefault(done.txn, {})[device] = done.outcome
        for txn in dict.fromkeys(done.txn for done in (*before, *after)):
            outcomes = self._outcomes[txn]
            self._split.pop(txn, None)
            if len(set(outcomes.values())) > 1:
                who = ", ".join(f"{name} {outcome}" for name, outcome in sorted(outcomes.items()))
                self._split[txn] = Violation(id="I1", text=f"{txn}: {who}", txn=txn)

    def _count_votes(self, txn: TxnId) -> None:
        """I3: COMMIT only where every member has stored a yes for that txn, digest and epoch."""
        begun = self._book.begun.get(txn)
        self._unvoted.pop(txn, None)
        if begun is None or self._book.outcomes.get(txn) is not Outcome.COMMIT:
            return
        needed = (
            Promise(device=device, txn=txn, digest=digest, epoch=begun.epoch)
            for device, digest in begun.digests.items()
        )
        unvoted = [
            Violation(
                id="I3", text=f"{txn} is committed, {one.device} never stored a yes", txn=txn
            )
            for one in needed
            if one not in self.promised
        ]
        if unvoted:
            self._unvoted[txn] = unvoted


# --- devices against the journal (I2, I15, I17) -------------------------------------------------


def _recorded(device: Durable, book: Book, fleet: FleetState) -> Iterator[Violation]:
    """I2, I17: nobody has recorded what is not stored, or the other outcome."""
    name = device.device
    for done in device.finished:
        stored = book.outcomes.get(done.txn)
        if stored is None and done.seq <= fleet.reseeded_seq:
            continue  # the journal has lost it: that was found out, and a reseed has ended it
        if stored is None:
            text = f"{name} has recorded {done.outcome} of {done.txn}, nothing is stored"
            yield Violation(id="I17", text=text, txn=done.txn)
        elif done.seq <= fleet.reseeded_seq and device.version > done.seq:
            continue  # it has gone on, and a reseed can't ask for what it has left behind
        elif stored is not done.outcome:
            text = f"{done.txn} is {stored} in the journal, {done.outcome} on {name}"
            yield Violation(id="I2", text=text, txn=done.txn)


def _nobody_forgotten(watch: Watch, book: Book) -> Iterator[Violation]:
    """I15: a device in doubt about a transaction that has ended is deferred on it by name."""
    fleet = watch.fleet
    open_txn = None if fleet.open is None else fleet.open.begun.txn
    for device, view in watch.devices.items():
        prepared = view.durable.prepared
        if prepared is None or prepared.txn == open_txn or device in fleet.retired:
            continue
        lost = prepared.txn not in book.begun and prepared.txn not in book.outcomes
        if lost and prepared.seq <= fleet.reseeded_seq:
            continue  # the reseed has not heard of it: the device's next word asks for another
        answered = fleet.deferred.get(device, ())
        if device in watch.replaced:  # its yes was acknowledged, lost, and given again
            answered = (*answered, *fleet.recent)
        waits_for = {txn.begun.txn for txn in answered}
        if prepared.txn not in waits_for:
            text = f"{device} is in doubt about {prepared.txn}, which has ended without it"
            yield Violation(id="I15", text=text, txn=prepared.txn)


# --- operation (I5) -----------------------------------------------------------------------------


def excepted(fleet: FleetState, devices: Mapping[DeviceId, DeviceView]) -> frozenset[DeviceId]:
    """
    Return the devices that may operate another version.

    They were left out of the fleet's version, or are being left out of the next one, and have
    not been caught up, and no enable lease ends what they do; or they operate on a person's word.
    A member, deferred or not, is never among them: no version is decided without its yes, and a
    yes binds it to hold.
    """
    names: set[DeviceId] = set(fleet.retired)
    for txn in (fleet.installed, fleet.open):
        if txn is None or txn.outcome is not Outcome.COMMIT:
            continue
        names.update(
            device
            for device, view in devices.items()
            if device not in txn.begun.digests and view.durable.version != txn.begun.seq
        )
    leased = {device for device, view in devices.items() if view.leased}
    return frozenset(names - leased) | frozenset(fleet.heuristics)


def mixed_operation(snapshot: Snapshot) -> list[Violation]:
    """I5: no two devices operate different versions at this true instant."""
    operating = _operating(snapshot.fleet, snapshot.devices, snapshot.exceptions)
    return _mixed(operating, snapshot.at)


def _operating(
    fleet: FleetState,
    devices: Mapping[DeviceId, DeviceView],
    exceptions: frozenset[DeviceId],
) -> Mapping[DeviceId, Version]:
    """Return the version that each device operates, without those that may differ."""
    excused = exceptions | excepted(fleet, devices)
    return {
        device: view.operating
        for device, view in devices.items()
        if view.operating is not None and device not in excused
    }


def _mixed(operating: Mapping[DeviceId, Version], at: float) -> list[Violation]:
    if len(set(operating.values())) <= 1:
        return []
    who = ", ".join(f"{device} operates {version}" for device, version in operating.items())
    return [Violation(id="I5", text=f"at {at:.3f} {who}")]


# --- what never changes, what never decreases (I2, I10, I11, I12) -------------------------------


def check_change(before: Durable, after: Durable) -> list[Violation]:
    """Return what one durable write of a device breaks; a new disk is not a write."""
    found = list(_never_back(before, after))
    old = {done.txn: done.outcome for done in before.finished}
    found += [
        Violation(id="I2", text=f"{done.txn} was {old[done.txn]} on the device")
        for done in after.finished
        if old.get(done.txn, done.outcome) is not done.outcome
    ]
    found += _new_yes(before, after)
    return found


def _never_back(before: Durable, after: Durable) -> Iterator[Violation]:
    if after.max_epoch < before.max_epoch:
        text = f"max_epoch went from {before.max_epoch} to {after.max_epoch}"
        yield Violation(id="I10", text=text)
    if after.last_seq < before.last_seq:
        text = f"last_seq went from {before.last_seq} to {after.last_seq}"
        yield Violation(id="I11", text=text)
    if after.version < before.version:
        text = f"the version went from {before.version} to {after.version}"
        yield Violation(id="I11", text=text)


def _new_yes(before: Durable, after: Durable) -> Iterator[Violation]:
    """I10, I11, I12: what must hold at the instant of a yes, and while it binds."""
    was, now = before.prepared, after.prepared
    if was is not None and now is None and after.outcome_of(was.txn) is None:
        yield Violation(id="I2", text=f"the yes for {was.txn} was dropped without a decision")
    if now is None or now == was:
        return
    if was is not None:
        yield Violation(id="I12", text=f"prepared {now.txn} while prepared for {was.txn}")
    if now.epoch < before.max_epoch:
        text = f"prepared {now.txn} of epoch {now.epoch} below {before.max_epoch}"
        yield Violation(id="I10", text=text)
    if now.seq <= before.last_seq:
        text = f"prepared {now.txn} of seq {now.seq}, {before.last_seq} is decided"
        yield Violation(id="I11", text=text)


def check_rejoin(device: Durable, known: Iterable[FleetState]) -> list[Violation]:
    """
    I25: ``device`` is being enabled; ``known`` are the folds from its HELLO until now.

    It must have been the fleet's in one of them: an answer made from an older fold may speak of
    a fleet that has moved on before the question was asked. Nor may it have been in quarantine
    then, or retired.
    """
    mine = (device.version, device.digest, device.last_seq)
    for fleet in known:
        theirs = (fleet.version, fleet.digest_of(device.device), fleet.decided_seq)
        away = device.device in fleet.quarantined or device.device in fleet.retired
        if mine == theirs and not away:
            return []
    text = f"{device.device} is enabled as {mine}, which it was not to be since it asked"
    return [Violation(id="I25", text=text)]
