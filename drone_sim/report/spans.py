"""
A trace as spans of time: how each device, process, transaction and lock was, from when to when.

What is drawn is decided here and in :mod:`.deeds`, how it looks is in :mod:`.lanes`. All times
are true times of the story in s.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drone_sim.trace import Event, Kind, Value

_LOCK: Final = re.compile(r"(?:by (?P<owner>\S+) )?epoch[ =](?P<epoch>\S+)")
"""``lock_taken held by push-1 epoch 0.4``, ``lock_released epoch=0.5``."""

ID_CHARS: Final = 8
"""So much of an id is enough to tell it from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpan:
    """One state of a device; see :class:`drone_sim.trace.Kind` for what each field is."""

    from_s: float
    to_s: float
    up: bool
    operating: int | None
    version: int
    prepared: str | None
    holds: str
    leased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpan:
    """A time in which a process lived; ``paused`` is one in which it was stopped meanwhile."""

    from_s: float
    to_s: float
    paused: bool
    end: str
    """How it came to its end: "killed", "ended", "resumed", "paused", or "" at the trace's end."""
    does: str = ""
    """What it was started for: ``push``."""
    said: str = ""
    """What was told of its end."""


Lives = Mapping[str, Sequence[ProcessSpan]]
"""The spans of each process, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSpan:
    """A time in which the lock had one owner, or none (``state`` is "free")."""

    from_s: float
    to_s: float
    state: str
    owner: str
    epoch: str
    ghost: bool = False
    """Whether its owner is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What the journal has of a transaction; ``None`` is what it does not have."""

    txn: str
    begun_s: float
    hold_at_s: float | None = None
    activate_at_s: float | None = None
    decided_s: float | None = None
    outcome: str = ""
    ended_s: float | None = None
    seq: int | None = None

    @property
    def name(self) -> str:
        """What people call it: ``txn 18``, by its sequence number, or the head of its id."""
        return f"txn {self.txn[:ID_CHARS] if self.seq is None else self.seq}"

    @property
    def last_s(self) -> float:
        """The latest time that belongs to it."""
        times = (self.begun_s, self.activate_at_s, self.decided_s, self.ended_s)
        return max(at for at in times if at is not None)


def of_kind(events: Iterable[Event], kind: Kind) -> tuple[Event, ...]:
    """Return the events of one kind."""
    return tuple(event for event in events if event.kind is kind)


# --- devices ----------------------------------------------------------------------------------


def device_spans(events: Iterable[Event], device: str, end_s: float) -> tuple[DeviceSpan, ...]:
    """Return the states of a device, in order; before its first one nothing is known."""
    told = [event for event in events if event.kind is Kind.STATE and event.who == device]
    spans: list[DeviceSpan] = []
    for event, until_s in _until_the_next(told, end_s):
        span = _device_span(event, until_s)
        if spans and replace(spans[-1], from_s=span.from_s, to_s=span.to_s) == span:
            spans[-1] = replace(spans[-1], to_s=until_s)
        elif until_s > event.at_s or event is told[-1]:
            spans.append(span)
    return tuple(spans)


def _device_span(event: Event, until_s: float) -> DeviceSpan:
    detail = event.detail
    prepared = detail.get("prepared")
    return DeviceSpan(
        from_s=event.at_s,
        to_s=until_s,
        up=bool(detail.get("up", True)),
        operating=_whole(detail.get("operating")),
        version=_whole(detail.get("version")) or 0,
        prepared=None if prepared in {None, ""} else str(prepared),
        holds=str(detail.get("holds") or ""),
        leased=bool(detail.get("leased")),
    )


def _until_the_next(told: Sequence[Event], end_s: float) -> Iterator[tuple[Event, float]]:
    for number, event in enumerate(told, 1):
        yield event, told[number].at_s if number < len(told) else end_s


def _whole(value: Value) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _seconds(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


# --- processes and the lock -------------------------------------------------------------------


def process_spans(
    events: Iterable[Event], end_s: float, *, devices: Collection[str] = ()
) -> dict[str, tuple[ProcessSpan, ...]]:
    """
    Return when each process lived, by name, in the order in which they appeared.

    The agents of ``devices`` are none of them: whether one is up is in its device's own states.
    """
    told: dict[str, list[Event]] = {}
    for event in of_kind(events, Kind.PROCESS):
        if event.who not in devices:
            told.setdefault(event.who, []).append(event)
    return {name: tuple(_lives(of_one, end_s)) for name, of_one in told.items()}


def _lives(told: Sequence[Event], end_s: float) -> Iterator[ProcessSpan]:
    does = ""
    for event, following in zip(told, (*told[1:], None), strict=True):
        now = process_change(event)
        if now == "started":
            does = event.text.partition(": ")[2]
        if now in {"started", "resumed", "paused"}:
            yield ProcessSpan(
                from_s=event.at_s,
                to_s=end_s if following is None else following.at_s,
                paused=now == "paused",
                end="" if following is None else process_change(following),
                does=does,
                said="" if following is None else following.text,
            )


def process_change(event: Event) -> str:
    """Return what a process did: ``started``, ``paused``, ``resumed``, ``killed``, ``ended``."""
    what = str(event.detail.get("what") or event.text).lower()
    words = {"start": "started", "pause": "paused", "resum": "resumed", "kill": "killed"}
    return next((word for stem, word in words.items() if stem in what), "ended")


def lock_spans(events: Iterable[Event], begin_s: float, end_s: float) -> tuple[LockSpan, ...]:
    """Return who held the lock when, as the journal has it."""
    changes = [event for event in of_kind(events, Kind.JOURNAL) if _moves_the_lock(event)]
    spans = [
        LockSpan(
            from_s=event.at_s,
            to_s=until_s,
            state=_lock_state(event),
            owner=_told(event, "owner"),
            epoch=_told(event, "epoch"),
        )
        for event, until_s in _until_the_next(changes, end_s)
    ]
    if not spans or spans[0].from_s > begin_s:
        first_s = spans[0].from_s if spans else end_s
        free = LockSpan(from_s=begin_s, to_s=first_s, state="free", owner="", epoch="")
        spans.insert(0, free)
    return tuple(span for span in spans if span.to_s > span.from_s)


def haunted(spans: Iterable[LockSpan], processes: Lives) -> Iterator[LockSpan]:
    """Part each time of a lock where its owner has gone: from there on it is a ghost."""
    for span in spans:
        gone_s = _gone_at(processes.get(span.owner, ()), span)
        if gone_s is None or span.state == "free":
            yield span
        else:
            if gone_s > span.from_s:
                yield replace(span, to_s=gone_s)
            yield replace(span, from_s=max(gone_s, span.from_s), ghost=True)


def _gone_at(lives: Sequence[ProcessSpan], lock: LockSpan) -> float | None:
    """Return when the owner of a lock ended, if that was before the lock was anybody else's."""
    lived = [life for life in lives if life.from_s <= lock.from_s or life.from_s < lock.to_s]
    if not lived or lived[-1].end not in {"killed", "ended"} or lived[-1].to_s >= lock.to_s:
        return None
    return lived[-1].to_s


def _moves_the_lock(event: Event) -> bool:
    return event.detail.get("record") in {"lock_taken", "lock_released"}


def _told(event: Event, what: str) -> str:
    """Return the owner or the epoch of a lock's record, from its text where it stands there."""
    found = _LOCK.search(event.text)
    return str(event.detail.get(what) or (found and found[what]) or "")


def _lock_state(event: Event) -> str:
    if event.detail.get("record") == "lock_released":
        return "free"
    told = event.detail.get("state")
    return str(told) if told else "resolving" if "resolving" in event.text else "held"


# --- the journal ------------------------------------------------------------------------------


def transactions(events: Iterable[Event]) -> tuple[Transaction, ...]:
    """Return all transactions that the journal had, in the order of their beginning."""
    found: dict[str, Transaction] = {}
    for event in of_kind(events, Kind.JOURNAL):
        txn = event.detail.get("txn")
        if txn is not None:
            known = found.get(str(txn), Transaction(txn=str(txn), begun_s=event.at_s))
            found[str(txn)] = _followed(known, event)
    return tuple(found.values())


def _followed(known: Transaction, event: Event) -> Transaction:
    detail = event.detail
    hold_at_s = _seconds(detail.get("hold_at_s"))
    activate_at_s = _seconds(detail.get("activate_at_s"))
    if hold_at_s is not None:
        known = replace(known, hold_at_s=hold_at_s)
    if activate_at_s is not None:
        known = replace(known, activate_at_s=activate_at_s)
    match detail.get("record"):
        case "begun":
            return replace(known, begun_s=event.at_s, seq=_whole(detail.get("seq")))
        case "decided":
            outcome = str(detail.get("outcome") or "")
            return replace(known, decided_s=event.at_s, outcome=outcome)
        case "ended":
            return replace(known, ended_s=event.at_s)
    return known
