"""
Coordinators at work: each with the journal, the heartbeat and the ears of its process.

A session is what :class:`orchestrator.service.session.Session` is: it runs one coordinator until
that is final, looks at the journal every half second, answers a HELLO only after reading it, and
renews its lease, or stops itself in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from drone_sim.cores.party import Held, Process, Session, SessionExecutor
from drone_sim.cores.shelf import NOWHERE, Outcome
from drone_sim.cores.units import Units
from orchestrator.protocol import lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import FINAL, Phase
from orchestrator.protocol.messages import Blob, Hello, Message
from orchestrator.protocol.ready import Ready, Send

LOOK_EVERY_S: Final = 0.5
STORE_PATIENCE_S: Final = 8.0
STORE_PAUSE_S: Final = 0.2

CONTRADICTED: Final = "store-contradicted"
"""What a coordinator tells when a device knows what the journal lacks."""

ENDS: Final = {Phase.STOPPED: "stopped-itself", Phase.UNKNOWN: "outcome-unknown"}
"""Which goal a coordinator has seen by how it has ended."""


class _Host:
    """What a coordinator runs on; see :class:`.executor.Host`."""

    def __init__(self, town: Sessions, process: Process) -> None:
        self._town = town
        self._process = process
        self.session: Session | None = None

    def now(self) -> float:
        return self._town.now + self._process.offset_s

    def write(self, writes: Sequence[orc.Append]) -> orc.Event | None:
        if self.session is not None:
            self._town.begin_append(self.session, writes[0])
        return None

    def send(self, send: Send) -> None:
        self._town.say(self._process, send)

    def start(self, effect: orc.Effect) -> None:
        self._town.start_orchestrator_effect(self._process, effect)


class Sessions(Units):
    """The coordinators of a town."""

    # --- begin and end --------------------------------------------------------------------------

    def begin_session(
        self,
        process: Process,
        goal: orc.Goal,
        *,
        held: Held | None = None,
        timing: orc.Timing | None = None,
    ) -> Session:
        """
        Run a coordinator in a process that has a session with the broker.

        With ``held`` it drives under that lock, and keeps it alive.
        """
        self._know_unread(process)
        core = self.coordinator(
            self.state if held is None else held.state,
            goal=goal,
            timing=timing or self.timing,
            epoch=None if held is None else held.state.lock.epoch,
            owner=None if held is None else held.state.lock.owner,
            append_s=0.0 if held is None else held.append_s,
        )
        host = _Host(self, process)
        executor = SessionExecutor(
            core,
            host,
            tick=orc.Tick,
            on_step=lambda _event, ready: self._stepped_session(session, ready),
            before=self.dying(process),
        )
        session = Session(name=process.name, core=core, process=process, executor=executor)
        host.session = session
        process.sessions.append(session)
        self.later_in(process, LOOK_EVERY_S, self._look_at_journal, session)
        if held is not None:
            session.renewed = held.since
            self._keep(session, held.since)
        self.tell_session(session, orc.Connected())
        return session

    def _know_unread(self, process: Process) -> None:
        """Tell that a process reads the journal anew that has left an append in the dark."""
        lost, process.unread = process.unread, None
        if lost is not None:
            stored = tuple(entry.record for entry in self.journal[lost.expected_head :])
            written = stored[: len(lost.records)] == lost.records
            self.checker.read_back(process.name, written=written)

    def tell_session(self, session: Session, event: orc.Event) -> None:
        """Tell a coordinator an event; nothing once it is over."""
        if not session.ended:
            session.executor.tell(event)

    def _stepped_session(self, session: Session, ready: Ready[orc.Append, orc.Effect]) -> None:
        if ready.notices and any(told.event == CONTRADICTED for told in ready.notices):
            self.checker.count("contradiction-seen")
        self.stepped()
        core = session.core
        txn = core.state.open
        if session.detaches and txn is not None and txn.decided is not None:
            session.detaches = False
            self.later_in(session.process, 0.0, self.tell_session, session, orc.Detach())
        if ready.wake_at is not None or ready.writes:  # whoever is final is woken no more
            self._set_session_alarm(session)
        elif core.phase in FINAL:
            if core.phase in ENDS:
                self.checker.count(ENDS[core.phase])
            self.end_session(session)

    def end_session(self, session: Session) -> None:
        """Let a coordinator do nothing any more."""
        if session.ended:
            return
        session.ended = True
        session.executor.alive = False
        if session in session.process.sessions:
            session.process.sessions.remove(session)
        if session.over is not None:
            self.later_in(session.process, 0.0, session.over, session)

    # --- waking ---------------------------------------------------------------------------------

    def _set_session_alarm(self, session: Session) -> None:
        wake_at = session.executor.wake_at
        if wake_at is None or session.ended:
            return
        instant = max(wake_at - session.process.offset_s, self.now)
        if session.alarm is None or instant < session.alarm:
            session.alarm = instant
            self.at(instant, self.run_in, session.process, self._wake_session, session, instant)

    def _wake_session(self, session: Session, instant: float) -> None:
        if session.ended or session.alarm != instant:
            return
        session.alarm = None
        session.executor.wake()
        if session.executor.wake_at is not None:
            self._set_session_alarm(session)

    # --- the journal ----------------------------------------------------------------------------

    def begin_append(self, session: Session, append: orc.Append) -> None:
        """Try to append, with patience; see ``CoordinatorHost`` of the service."""
        session.inflight, session.began = append, self.now
        self._try_append(session)

    def _try_append(self, session: Session) -> None:
        append = session.inflight
        if append is not None and not session.ended:
            heard = partial(self._append_heard, session)
            head = NOWHERE if session.astray else append.expected_head
            self.commit(session.process, head, append.records, heard)

    def _append_heard(self, session: Session, outcome: Outcome) -> None:
        append = session.inflight
        if append is None or session.ended:
            return
        if outcome is Outcome.AWAY:
            self._be_patient(session, self._try_append)
        elif outcome is Outcome.STORED:
            head = append.expected_head
            entries = tuple(self.journal[head : head + len(append.records)])
            self._answered(
                session, orc.Journaled(entries=entries, took_s=self.now - session.began)
            )
        else:
            session.began = self.now
            if outcome is Outcome.LOST:
                self.checker.answer_lost(session.name)
                session.process.unread = append
            self._read_back(session, unknown=outcome is Outcome.LOST)

    def _read_back(self, session: Session, *, unknown: bool) -> None:
        """Read what is stored after the expected head (I24): never append blindly again."""
        append = session.inflight
        if append is None or session.ended:
            return
        if not self.store_up:
            self._be_patient(session, partial(self._read_back, unknown=unknown))
            return
        entries = tuple(self.journal[append.expected_head :])
        if not unknown and not entries:
            self._answered(session, orc.StoreLost())  # the journal is shorter than our fold
            return
        if unknown:
            self._know_unread(session.process)
        self._answered(session, orc.Journaled(entries=entries, unknown=unknown))

    def _be_patient(self, session: Session, again: Callable[[Session], None]) -> None:
        """Try again after a pause, until patience has run out."""
        if self.now - session.began >= STORE_PATIENCE_S:
            self._answered(session, orc.StoreLost())
        else:
            self.later_in(session.process, STORE_PAUSE_S, again, session)

    def _answered(self, session: Session, answer: orc.Event) -> None:
        session.inflight = None
        session.executor.written(answer)

    def read_news(self, session: Session) -> bool:
        """Tell a coordinator what its fold lacks; false where the journal can't be read."""
        if not self.store_up:
            return False
        if session.astray:
            self.tell_session(session, orc.StoreLost())
            return False
        news = self.journal[session.core.state.head :]
        self.checker.has_read(session.name, len(self.journal))
        if news:
            self.tell_session(session, orc.Journaled(entries=tuple(news)))
        return True

    def _look_at_journal(self, session: Session) -> None:
        if not session.ended:
            self.read_news(session)
            self.later_in(session.process, LOOK_EVERY_S, self._look_at_journal, session)

    # --- the heartbeat --------------------------------------------------------------------------

    def _keep(self, session: Session, tried: float) -> None:
        """Renew when it is time, or stop in time; see ``Keeper`` of the Locksmith."""
        stop_at = session.renewed + lease.STOP_SELF_AFTER_S
        instant = max(min(tried + lease.RENEW_EVERY_S, stop_at), self.now)
        self.at(instant, self.run_in, session.process, self._renew_session, session)

    def _renew_session(self, session: Session) -> None:
        core = session.core
        if session.ended or core.epoch is None or core.owner is None:
            return
        if self.now >= session.renewed + lease.STOP_SELF_AFTER_S:
            self._stop_session(session)
        elif not self.store_up:
            self._keep(session, self.now)
        elif self.touch(core.epoch, core.owner):
            session.renewed = self.now
            self._keep(session, self.now)
        else:
            self._stop_session(session)

    def _stop_session(self, session: Session) -> None:
        self.read_news(session)
        self.tell_session(session, orc.LeaseLost())

    # --- messages and effects -------------------------------------------------------------------

    def hear(self, process: Process, sender: str, message: Message) -> None:
        """Take a message that has reached a process."""
        self.run_in(process, self._hear, process, sender, message)

    def _hear(self, process: Process, sender: str, message: Message) -> None:
        if self.trace is not None:
            self.note_message(sender, message, process.name, "arrived")
        for listen in process.listeners:
            listen(message)
        at = self.now + process.offset_s
        for session in tuple(process.sessions):
            if isinstance(message, Hello) and not self.read_news(session):
                continue
            heard = orc.Arrived(message=message, at=at)  # type: ignore[arg-type]
            self.tell_session(session, heard)

    def rejoined(self, process: Process) -> None:
        """Let a process know that it has a session."""
        self.run_in(process, self._rejoined, process)

    def _rejoined(self, process: Process) -> None:
        waiting, process.waiting = process.waiting, []
        for go_on in waiting:
            go_on()
        for session in tuple(process.sessions):
            self.tell_session(session, orc.Connected())

    def start_orchestrator_effect(self, process: Process, effect: orc.Effect) -> None:
        """Publish a blob, or take back what is retained."""
        if isinstance(effect, orc.ClearRetained):
            self.clear(process, effect)
            return
        data = self.blobs.get(effect.digest)
        if data is not None and self.store_up:
            blob = Blob(txn=effect.txn, digest=effect.digest, data=data)
            self.say(process, Send(message=blob))
