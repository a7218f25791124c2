"""The verdict on a lock: in every situation one command, and never one that is forbidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service.diagnosis import Way, advise
from orchestrator.service.symptoms import Broker, Facts, Holder, Request, Work

D2 = DeviceId("d-02")
CONTRADICTION = "d-01: it has seen txn 9, this journal ends at 7"
LATER = "sleep 13 && aimctl recover --fleet f"


def facts(holder: Holder, work: Work = Work.NOTHING, **more: Any) -> Facts:
    """The facts of the lock f@7."""
    lease: dict[str, Any] = {} if holder is Holder.NOBODY else {"ghost_in_s": 12.0}
    return Facts(
        fleet=FleetId("f"), lock="f@7", holder=holder, work=work, txn="txn 7", **(lease | more)
    )


def every_situation() -> Iterator[Facts]:
    """Every combination that there can be."""
    for holder, work, broker, request in product(Holder, Work, Broker, Request):
        free = holder is Holder.NOBODY
        if free and (work is not Work.NOTHING or request is not Request.NONE):
            continue
        flags = product((False, True), (None, 12.0), ((), (CONTRADICTION,)), ((), (D2,)))
        for resolving, ghost_in_s, contradictions, waiting in flags:
            if free and (resolving or ghost_in_s is not None):
                continue
            if contradictions and broker is not Broker.REACHED:
                continue
            yield facts(
                holder,
                work,
                broker=broker,
                request=request,
                resolving=resolving,
                ghost_in_s=ghost_in_s,
                contradictions=contradictions,
                waiting=waiting,
            )


def gone(known: Facts) -> bool:
    """Whether the owner is."""
    return known.holder in {Holder.GHOST, Holder.PROVED}


def unanswered(known: Facts) -> bool:
    """Whether a living owner was asked, for long."""
    return known.request is Request.UNANSWERED


FORBIDDEN: tuple[tuple[str, Callable[[Facts], bool], str], ...] = (
    ("recover", lambda f: f.broker is not Broker.REACHED, "it needs a broker"),
    ("recover", lambda f: bool(f.contradictions), "nothing is built on a rolled-back store"),
    ("recover", lambda f: f.work is Work.RESEED, "the devices are to be heard first"),
    ("aimctl recover", lambda f: f.holder is Holder.LIVE, "a living owner's lock is not taken"),
    ("sleep", lambda f: f.ghost_in_s is None or gone(f), "waiting changes nothing"),
    ("sleep", lambda f: f.holder is Holder.LIVE, "it renews"),
    ("request-release", lambda f: f.holder is not Holder.LIVE, "nobody would answer"),
    ("request-release", lambda f: f.request is not Request.NONE, "it was asked already"),
    ("request-release", lambda f: f.work is Work.DECIDED or f.resolving, "it is ending anyway"),
    ("aimctl lock", lambda f: bool(f.contradictions), "nothing is built on it"),
    ("aimctl lock", lambda f: f.work is Work.RESEED, "the devices are to be heard first"),
    ("break-glass", lambda f: not gone(f), "somebody may be at work"),
    ("break-glass", lambda f: f.broker is not Broker.GONE, "there is a better way"),
    ("force-unlock", lambda f: f.broker is not Broker.REACHED, "it needs a broker"),
    ("force-unlock", lambda f: gone(f) or f.holder is Holder.NOBODY, "recover does that"),
    (
        "force-unlock",
        lambda f: f.holder is Holder.LIVE and not unanswered(f),
        "a living owner is asked first",
    ),
    ("broker run", lambda f: f.broker is Broker.REACHED, "it is there"),
    ("reseed", lambda f: f.broker is not Broker.REACHED, "it needs a broker"),
    ("reseed", lambda f: not f.contradictions and f.work is not Work.RESEED, "nothing to do"),
    (
        "reseed",
        lambda f: f.work is Work.RESEED and f.holder is Holder.LIVE,
        "somebody is at it",
    ),
    ("--watch", lambda f: f.holder is not Holder.LIVE, "nobody is at work"),
)
"""Which command may not be recommended when, and why: from DESIGN §6, not from the rules."""


def forbidden(known: Facts, command: str) -> list[str]:
    """Say why a command may not be recommended."""
    found = [why for words, when, why in FORBIDDEN if words in command and when(known)]
    takes = command.startswith("aimctl recover") and known.holder is not Holder.NOBODY
    return [*found, "nobody is known to be gone"] if takes and not gone(known) else found


def test_no_situation_is_sent_where_it_may_not_go() -> None:
    """Of all combinations none gets a forbidden verb, or no more than a look at the lock."""
    seen = set()
    for known in every_situation():
        found = advise(known)
        if found is None:
            assert (Holder.NOBODY, (), ()) == (known.holder, known.contradictions, known.waiting)
            continue
        assert [] == forbidden(known, found.command), (known, found)
        assert Way.LOOK is not found.way, known
        assert "{" not in found.command
        seen.add(found.way)
    assert set(Way) - {Way.LOOK} == seen


def test_a_contradiction_goes_first() -> None:
    """Whatever else is wrong; unless a living reseed hears the devices already."""
    for known in every_situation():
        found = advise(known)
        if not known.contradictions or found is None:
            continue
        at_it = known.work is Work.RESEED and known.holder is Holder.LIVE
        expected = Way.WATCH if at_it else Way.RESEED
        assert expected is found.way
        assert at_it or found.wrong.startswith("the store was rolled back")


@pytest.mark.parametrize(
    ("known", "command"),
    [
        (facts(Holder.PROVED, Work.UNDECIDED), "aimctl recover --fleet f"),
        (facts(Holder.GHOST, Work.DECIDED), "aimctl recover --fleet f"),
        (facts(Holder.PROVED, Work.DECIDED, resolving=True), "aimctl recover --fleet f"),
        (facts(Holder.SUSPECT, Work.UNDECIDED), LATER),
        (facts(Holder.PAUSED, Work.UNDECIDED), LATER),
        (facts(Holder.SUSPECT, ghost_in_s=None), "aimctl lock force-unlock f@7 --dry-run"),
        (facts(Holder.LIVE, Work.UNDECIDED), "aimctl status --fleet f --watch"),
        (facts(Holder.LIVE, Work.DECIDED), "aimctl status --fleet f --watch"),
        (facts(Holder.LIVE, resolving=True), "aimctl status --fleet f --watch"),
        (facts(Holder.LIVE, Work.OVERDUE), "aimctl lock request-release f@7 --reason TEXT"),
        (facts(Holder.LIVE), "aimctl lock request-release f@7 --reason TEXT"),
        (facts(Holder.LIVE, request=Request.ASKED), "aimctl status --fleet f --watch"),
        (
            facts(Holder.LIVE, request=Request.UNANSWERED),
            "aimctl lock force-unlock f@7 --dry-run",
        ),
        (facts(Holder.PROVED, Work.RESEED), "aimctl reseed --fleet f --dry-run"),
        (facts(Holder.LIVE, Work.RESEED), "aimctl status --fleet f --watch"),
        (facts(Holder.PROVED, broker=Broker.AWAY), "aimctl broker run"),
        (facts(Holder.PROVED, broker=Broker.GONE), "aimctl lock break-glass f@7 --dry-run"),
        (facts(Holder.PROVED, Work.RESEED, broker=Broker.GONE), "aimctl broker run"),
        (facts(Holder.LIVE, broker=Broker.GONE), "aimctl broker run"),
        (facts(Holder.NOBODY, waiting=(D2,)), "aimctl recover --fleet f"),
        (
            facts(Holder.PROVED, contradictions=(CONTRADICTION,)),
            "aimctl reseed --fleet f --dry-run",
        ),
    ],
)
def test_each_situation_has_its_command(known: Facts, command: str) -> None:
    """The one that a person who knows DESIGN §6 would type."""
    found = advise(known)
    assert found is not None
    assert command == found.command


def test_many_contradictions_are_counted() -> None:
    """The sentence stays a sentence; the document has them all."""
    found = advise(facts(Holder.NOBODY, contradictions=(CONTRADICTION,) * 5))
    assert found is not None
    assert found.wrong.endswith("; and 2 devices more")
