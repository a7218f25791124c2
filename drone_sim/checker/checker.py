"""The checker: what an engine feeds, and what it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from drone_sim.checker.causes import Causes
from drone_sim.checker.clocks import Clocks
from drone_sim.checker.disks import Disks
from drone_sim.checker.holders import Holders
from drone_sim.checker.holding import Holds
from drone_sim.checker.ledger import Ledger
from drone_sim.checker.seen import Seen
from drone_sim.checker.speech import Speech
from drone_sim.checker.truth import Process, first_truth, key_of
from drone_sim.checker.wellness import Wellness
from drone_sim.checker.words import Disturbance, Said
from drone_sim.result import Figures
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.trace import Kind, Trace
from orchestrator.ports import Lease
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.invariants import Violation, Watch
from orchestrator.protocol.messages import Message
from orchestrator.protocol.records import Adopted, Entry
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner, Ticket, TxnId

LOST: Final = frozenset({"I1", "I2", "I3", "I15", "I17"})
"""What a store that has lost its end can break between devices and journal (DESIGN §6)."""


class Violated(Exception):  # noqa: N818 - a finding about the program, like StopIteration
    """Invariants that do not hold, at story time ``at_s``; the run stops here."""

    def __init__(self, violations: Sequence[Violation], at_s: float) -> None:
        super().__init__("; ".join(map(str, violations)))
        self.violations = tuple(violations)
        self.at_s = at_s


class Checker:
    """
    One run's judge. Set :attr:`now_s`, feed what happened, :meth:`look` after every step.

    ``utc_at_start_s`` is what an honest orchestrator's UTC clock reads at story time 0. Every
    device of the scenario is down, with an empty record, until it is told otherwise: the
    prologue (before story time 0, without faults) is fed like everything else.
    """

    def __init__(
        self, scenario: Scenario, *, trace: Trace | None = None, utc_at_start_s: float = 0.0
    ) -> None:
        self.scenario = scenario
        self._trace = trace
        self._truth = truth = first_truth(scenario, utc_at_start_s)
        self._ledger = Ledger(truth)
        self._speech = Speech(truth, self._ledger)
        self._watch = self._new_watch(())
        self._disks = Disks(truth, self._ledger, self._speech, self._watch)
        self._holds = Holds(truth)
        self._causes = Causes(truth, self._holds)
        self._wellness = Wellness(truth, self._ledger)
        self._seen = Seen(truth, self._ledger)
        self._clocks = Clocks(truth)
        self._holders = Holders(truth, self._ledger)
        self._mixed_since_restore = False

    @property
    def now_s(self) -> float:
        """True time of the story, in s: the engine sets it before it feeds anything."""
        return self._truth.now_s

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        self._truth.now_s = now_s

    @property
    def goals(self) -> Counter[str]:
        """How often each goal was seen."""
        return self._seen.goals

    # --- the journal and its lease rows ---------------------------------------------------------

    def appended(self, entries: Sequence[Entry], fleet: FleetState) -> None:
        """
        Tell that ``entries`` are durable in the journal now; ``fleet`` is the fold after them.

        At the instant at which they become durable, whether or not the answer is lost or the
        writer is dead by then; once, in the order of the journal, one append at a time.
        """
        self._seen.appending(entries, self._truth.fleet)
        self._ledger.append(entries, fleet)
        for entry in entries:
            self._watch.append(entry, fleet)
        self._truth.fleet = fleet
        self._speech.folded(fleet)
        self._causes.appended(entries)
        self._causes.refresh()
        if any(isinstance(entry.record, Adopted) for entry in entries):
            self._standing()  # what the store has lost is forgiven, once more
            self._truth.rolled_back = False
            self._causes.refresh()

    def rolled_back(self, journal: Sequence[Entry], fleet: FleetState) -> None:
        """Tell that the store was restored: ``journal`` is all that it has now."""
        truth = self._truth
        truth.fleet = fleet
        truth.rolled_back = self._mixed_since_restore = True
        self._ledger.restore(journal)
        self._holders.restored()
        self._watch = self._disks.watch = self._new_watch(journal)
        self._disks.store_restored()
        self._speech.folded(fleet)
        self._causes.refresh()
        self.count("store-rolled-back")

    def _new_watch(self, journal: Sequence[Entry]) -> Watch:
        old = getattr(self, "_watch", None)
        promised, replaced = ((), ()) if old is None else (old.promised, old.replaced)
        watch = Watch(self._truth.fleet, promised=promised, replaced=replaced)
        for entry in journal:
            watch.append(entry, self._truth.fleet)
        for name, device in self._truth.devices.items():
            watch.see(name, device.view())
        return watch

    def renewed(self, claim: Epoch | Ticket, owner: Owner) -> None:
        """Tell that the store has renewed a lease for ``owner``; not where it refused to (I21)."""
        self._ledger.renew(claim, owner)

    def manager_restarted(self) -> None:
        """Tell that the store has given every lease a fresh TTL (I20)."""
        self._ledger.extend()
        self._causes.extended()

    def leases_are(self, leases: Iterable[Lease]) -> None:
        """Tell what the store shows of its leases, to whoever has asked for them (I21)."""
        self._holders.leases_are(leases)

    def has_read(self, process: str, head: int) -> None:
        """
        Tell that ``process`` has read the journal up to ``head`` (I14).

        From then on it knows whose the lock is: what it does under one that it has lost is not a
        zombie's.
        """
        self._holders.has_read(process, head)

    def answer_lost(self, process: str) -> None:
        """Tell that ``process`` will not hear the answer of the append that it has under way."""
        self._speech.lost(process)

    def read_back(self, process: str, *, written: bool) -> None:
        """
        Tell that ``process`` has read the journal after an answer was lost (I24).

        ``written`` is whether its append was there.
        """
        self._speech.read(process)
        self.count("answer-lost-written" if written else "answer-lost-not-written")

    # --- processes ------------------------------------------------------------------------------

    def process_started(self, name: str, owner: Owner, verb: Verb | None = None) -> None:
        """
        Tell that the process ``name`` of an orchestrator lives; ``verb`` is what it does.

        Only SERVE answers devices all its life; the others do while they hold the lock.
        """
        key = key_of(owner)
        self._truth.processes[key] = Process(name=name, owner=owner, verb=verb)
        self._truth.names[name] = key
        self._causes.refresh()

    def process_ended(self, owner: Owner) -> None:
        """Tell that the process is gone: killed, its machine powered off, or it has finished."""
        process = self._truth.process_of(owner)
        if process is not None:
            process.alive = False
            self._seen.ended(process)
            self._causes.refresh()

    def process_paused(self, owner: Owner, *, paused: bool) -> None:
        """Tell that a process was stopped (SIGSTOP), or goes on."""
        process = self._truth.process_of(owner)
        if process is not None:
            process.paused = paused
            if not paused:
                self._holders.resumed(process)
            self._causes.refresh()

    # --- devices --------------------------------------------------------------------------------

    def device_stored(self, device: DeviceId, before: Durable, after: Durable) -> None:
        """
        Tell that a record is durable; before anything is sent that depends on it.

        Also at a boot, where the write that was under way at the crash turns out to have landed.
        """
        known = self._truth.device(device)
        self._seen.stored(known, before, after)
        self._disks.stored(known, before, after)
        if after.version == 0 and after.prepared is None:
            self._holds.leave(device)  # what it aimed with, on a person's word, was aborted

    def device_replaced(self, device: DeviceId, durable: Durable) -> None:
        """
        Tell that the record is another one without a write of the device's core.

        A new unit, or a disk that has lost or forgotten what it had said was synced.
        """
        known = self._truth.device(device)
        if not durable.known:
            known.has_file = known.torn = known.damaged = False
        self._seen.replaced(device, durable)
        self._disks.replaced(known, durable)

    def device_booted(self, device: DeviceId, durable: Durable) -> None:
        """Tell what a device has read from its disk at a start (I13): what it told as stored."""
        self._disks.booted(self._truth.device(device), durable)

    def device_is(
        self,
        device: DeviceId,
        *,
        up: bool,
        operating: int | None,
        leased: bool,
        holds: tuple[str, ...],
    ) -> None:
        """
        Tell the truth about a controller: what it *aims with*, not what the core believes.

        Whenever one of these changes, and at each boot and crash (then ``operating`` is ``None``).
        """
        known = self._truth.device(device)
        self._seen.holds(known.holds, holds)
        same = (known.operating, known.leased) == (operating, leased)
        known.up, known.leased, known.holds = up, leased, holds
        if not same:
            self._disks.aims(known, operating)
            self._seen.aims(device, operating)
        if device not in self._clocks.excused:
            self._causes.early(known)
        self._causes.aims(known)

    def lease_runs_until(self, device: DeviceId, until_s: float | None) -> None:
        """
        Tell until which true instant the enable lease that a device has taken runs.

        Whenever it changes; ``None`` where it has none. It may not pass the journal's horizon.
        """
        self._disks.leased(self._truth.device(device), until_s)

    def confirmed(self, device: DeviceId, durable: Durable, known: Sequence[FleetState]) -> None:
        """
        Tell that a device has become sure of its version (I25): it may operate from now on.

        ``known`` are the folds of the journal from the instant at which it sent the HELLO that
        was answered until now, oldest first.
        """
        self._disks.confirmed(durable, known)
        self._seen.confirmed(device)

    def active_file(self, device: DeviceId, data: bytes | None, known: Collection[bytes]) -> None:
        """
        Tell what stands under the name of the active file (I27); ``None`` where nothing does.

        After every write, rename and crash of the disk; ``known`` are all whole configurations
        that were ever pushed.
        """
        found = self._truth.device(device)
        was_damaged = found.damaged
        self._disks.file(found, data, known)
        if was_damaged and not found.damaged:
            self._seen.repaired()

    def clock_lied(self, device: DeviceId) -> None:
        """
        Tell that the bound which a device has of the orchestrator's clock is wrong from now on.

        Its own clock, or an orchestrator's, was stepped or drifts beyond what the bound allows.
        I5 is not judged for it until :meth:`clock_honest` (I19).
        """
        self._clocks.lied(self._truth.device(device))
        self._watch.excuse(self._clocks.excused)

    def clock_honest(self, device: DeviceId, *, measured: bool = True) -> None:
        """
        Tell that the bound holds the true offset again, or that there is none.

        ``measured`` is whether an exchange has found out; false where another step, or a restart,
        has put it right. If I5 was broken meanwhile, an exchange must have proved the step (I19).
        """
        self._clocks.honest(self._truth.device(device), measured=measured)
        self._watch.excuse(self._clocks.excused)

    def clock_detected(self, device: DeviceId) -> None:
        """Tell that the device's core has proved a step (its bound has a ``stepped_at``)."""
        self._truth.device(device).detected_s = self.now_s
        self.count("clock-step-detected")

    # --- messages -------------------------------------------------------------------------------

    def sent(self, sender: str, message: Message, to: DeviceId | None = None) -> None:
        """
        Tell that ``sender``, a process or a device, hands ``message`` to the network (I13, I17).

        Only what a core or a service sends itself: not what a broker retained, a network
        repeats or an intruder replays. ``to`` is the device that it is addressed to.
        """
        self._seen.said(message)
        self._speech.said(sender, message, to)
        self._holders.said(sender, message)

    def disturbed(self, what: Disturbance, device: DeviceId | None = None) -> None:
        """
        Tell that a link has lost, repeated or much delayed a message by its own quality.

        ``device`` is whose message it was, ``None`` where it was a broadcast on the control link.
        It is counted, and gives whoever waits for it the time to ask again (I28).
        """
        self._seen.acts[what.value] += 1
        self._causes.disturbed(what, device)

    # --- people ---------------------------------------------------------------------------------

    def told(self, said: Said) -> None:
        """Tell what a face has said of a device (I29)."""
        self._disks.told(said)

    def told_outcome(self, who: str, txn: TxnId, outcome: Outcome) -> None:
        """Tell that ``who`` was told the outcome of ``txn`` (I17): a push's result, status."""
        self._disks.told_outcome(who, txn, outcome)

    # --- faults ---------------------------------------------------------------------------------

    def fault_began(self, act: Act) -> None:
        """
        Tell that an act takes place now, with the targets that it has; before anything is done.

        CRASH_AT_WRITE: when the device loses power, or before.
        """
        self._seen.act(act)
        self._causes.fault_began(act)
        for name in act.target if act.verb is Verb.DAMAGE else ():
            device = self._truth.device(DeviceId(name))
            device.damaged |= device.up  # nothing happens to one that is down already

    def fault_ended(self, act: Act) -> None:
        """
        Tell that what the act did is over; also, at once, for an act that takes no time.

        A crashed device has booted, a cut link is whole, a full disk has room. For an act that
        starts a process it may be told at once: that ends with :meth:`process_ended`.
        """
        self._causes.fault_ended(act)
        self._clocks.fault_ended(act)

    def unexpected(self, who: str, error: BaseException | str) -> None:
        """Tell that the program itself broke: a violation with the id X."""
        what = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self._truth.blame("X", f"{who}: {what}")

    # --- the liveness phase ---------------------------------------------------------------------

    def begin_liveness(self) -> None:
        """Tell that everything is healed and somebody serves: the I6 clock starts."""
        self._wellness.begin()

    def unwell(self) -> tuple[str, ...]:
        """Say what is not well yet, for an engine that waits for I6; empty: go on."""
        return self._wellness.unwell()

    def must_be_well(self) -> None:
        """Raise Violated (I6) unless everything is well; at ``liveness_s`` at the latest."""
        self._wellness.must_be_well()
        self._causes.refresh()
        self.look()

    def must_have_committed(self, txn: TxnId | None) -> None:
        """
        Raise Violated (I4) unless the last healthy push has committed and everybody operates it.

        ``txn`` is ``None`` where it was not even begun.
        """
        self._wellness.must_have_committed(txn)
        self.look()

    # --- asking ---------------------------------------------------------------------------------

    def count(self, goal: str, n: int = 1) -> None:
        """Count a goal of :data:`drone_sim.checker.goals.GOALS` that the engine has seen."""
        self._seen.goals[goal] += n

    def look(self) -> None:
        """Ask every invariant, after every step; raises :class:`Violated`."""
        truth = self._truth
        self._holds.look()
        self._holders.look()
        if self._wellness.overdue():
            self._wellness.must_be_well()
        if self._clocks.look():
            self._watch.excuse(self._clocks.excused)
        standing = self._standing()
        self._disks.look()
        if not standing and not truth.found:
            return
        found = list(dict.fromkeys((*truth.found, *standing)))
        truth.found = []
        if self._trace is not None:
            for one in found:
                self._trace.note(truth.now_s, Kind.VIOLATION, one.id, one.text)
        raise Violated(found, truth.now_s)

    def _standing(self) -> list[Violation]:
        """Return what the invariants find, but for what a store that was rolled back has lost."""
        found, truth = self._watch.violations(self._truth.now_s), self._truth
        if not self._mixed_since_restore:
            return found if not truth.forgiven else [o for o in found if not self._forgiven(o)]
        if truth.rolled_back:
            lost = (one.txn for one in found if one.id in LOST and one.txn is not None)
            truth.forgiven.update(dict.fromkeys(lost))
        elif all(one.id != "I5" for one in found):
            self._mixed_since_restore = False  # from here on they operate one version again
        return [one for one in found if one.id != "I5" and not self._forgiven(one)]

    def _forgiven(self, one: Violation) -> bool:
        return one.id in LOST and one.txn in self._truth.forgiven

    def figures(
        self, *, virtual_s: float, steps: int, messages: int, seams: int = 0, awaits: int = 0
    ) -> Figures:
        """Return the figures of the run: what the engine has counted, and what was seen."""
        seen = self._seen
        return Figures(
            virtual_s=virtual_s,
            steps=steps,
            messages=messages,
            seams=seams,
            awaits=awaits,
            acts=Counter(seen.acts),
            committed=seen.committed,
            aborted=seen.aborted,
            forced=seen.forced,
            holds=self._holds.all(),
            skews_s=seen.skews_s(),
        )
