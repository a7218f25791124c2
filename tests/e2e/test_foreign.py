"""What does not belong there, on every topic and in both directions, while a push runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.protocol.types import MESSAGE_BYTES_MAX
from orchestrator.transport.topics import ROUTES, Route, Side
from tests.e2e.conftest import Case
from tests.e2e.processes import Program, wait_for
from tests.e2e.raw_mqtt import Heard, RawClient
from tests.e2e.site import DEVICES, FLEET, Site

VICTIM = DEVICES[4]
SHA = "0" * 64


def topic_of(route: Route, txn: str) -> str:
    """A topic of the running push."""
    names = {"txn": txn, "device": VICTIM, "sha256": SHA}
    return route.topic(FLEET, **{name: names[name] for name in route.parameters})


def envelope(kind: str, body: object, *, version: int = 1, fleet: str = FLEET) -> bytes:
    """An envelope as the product writes it, with any content."""
    return json.dumps({"v": version, "fleet": fleet, "kind": kind, "body": body}).encode()


def malformed(route: Route, real: dict[str, Any]) -> Iterator[bytes]:
    """Everything that is wrong in form, around a real body of the kind where there is one."""
    yield b"\x00\xff\xfe"
    yield b"{"
    yield b"[]"
    yield b"null"
    yield b'{"v": 1, "v": 1}'
    yield b"[" * 100_000
    yield b" " * (MESSAGE_BYTES_MAX + 1)
    yield envelope(route.kind, {})
    yield envelope(route.kind, real, version=2)
    yield envelope(route.kind, real, fleet="elsewhere")
    yield envelope("unheard-of", real)
    yield envelope(route.kind, real | {"more": 1})
    for name, value in real.items():
        wrong = [value] if isinstance(value, str) else str(value)
        yield envelope(route.kind, real | {name: wrong})
        yield envelope(route.kind, {k: v for k, v in real.items() if k != name})


def real_body(heard: Sequence[Heard], route: Route) -> dict[str, Any]:
    """The body of some real message of this kind."""
    found = (one.body for one in reversed(heard) if one.kind == route.kind and one.body)
    return next(found, {"device": VICTIM})


def running_txn(site: Site, since: int) -> str:
    """The transaction of the push that runs, as its own PREPARE names it."""

    def look() -> str | None:
        news = [one for one in site.recorder.heard[since:] if one.kind == "prepare"]
        return news[-1].body["txn"] if news else None

    return wait_for("PREPARE", look)


def still_running(pushed: Program) -> None:
    """The attack must have come before the end."""
    assert pushed.running, f"the push ended too early: {pushed.out}{pushed.err}"


def assert_nobody_stumbled(site: Site, pushed: Program) -> None:
    """No traceback anywhere, and the fleet runs on."""
    assert site.fleet.running, site.fleet.err
    for log in (site.fleet.err, pushed.err):
        assert "Traceback" not in log, log


def test_malformed_messages_on_every_topic(site: Site, case: Case) -> None:
    """Ignored with a notice by both sides; the push commits and the fleet is whole."""
    attacker = RawClient(port=site.broker.port, client_id="attacker").connect()
    earlier = list(site.recorder.heard)
    pushed = site.push(case.new(), "--window", "2.5")
    txn = running_txn(site, len(earlier))
    for route in ROUTES:
        for payload in malformed(route, real_body(earlier, route)):
            attacker.flood(topic_of(route, txn), payload)
    attacker.publish(f"aim/v1/{FLEET}/no/such/topic", b"?")
    still_running(pushed)
    case.ended(pushed, 0)
    attacker.close()
    site.assert_fleet_runs(case.new())
    assert_nobody_stumbled(site, pushed)
    for side, log in ((Side.DEVICE, pushed.err), (Side.ORCHESTRATOR, site.fleet.err)):
        for route in ROUTES:
            if route.sender is side and not route.raw:
                assert f'"kind": "{route.kind}"' in log, f"no notice of a wrong {route.kind}"
    case.note("attacker", "prepare", "malformed", "-")


def test_messages_in_the_wrong_direction(site: Site, case: Case) -> None:
    """A device's message on an orchestrator's topic, and the other way, is ignored."""
    attacker = RawClient(port=site.broker.port, client_id="attacker").connect()
    earlier = list(site.recorder.heard)
    pushed = site.push(case.new(), "--window", "2.5")
    txn = running_txn(site, len(earlier))
    for route in ROUTES:
        for other in ROUTES:
            if other.kind != route.kind:
                body = real_body(earlier, other)
                attacker.flood(topic_of(route, txn), envelope(other.kind, body))
    for device in DEVICES[:3]:
        body = real_body(earlier, next(one for one in ROUTES if one.kind == "vote"))
        forged = envelope("vote", body | {"device": device, "txn": txn, "yes": False})
        attacker.publish(f"aim/v1/{FLEET}/from/{VICTIM}/vote", forged)
    still_running(pushed)
    case.ended(pushed, 0)
    attacker.close()
    site.assert_fleet_runs(case.new())
    assert_nobody_stumbled(site, pushed)
    case.note("attacker", "prepare", "wrong direction", "-")


def test_replayed_messages(site: Site, case: Case) -> None:
    """Every real message of earlier transactions, in both directions, once more and backwards."""
    case.ended(site.push(case.new(2)), 0)
    earlier = list(site.recorder.heard)
    attacker = RawClient(port=site.broker.port, client_id="attacker").connect()
    pushed = site.push(case.new(), "--window", "3")
    running_txn(site, len(earlier))
    for heard in (*earlier[-1500:], *reversed(earlier[-500:])):
        if heard.kind != "presence" and heard.payload:
            attacker.flood(heard.topic, heard.payload)
    attacker.publish(f"aim/v1/{FLEET}/fence", b"{}")  # all of the above has been taken
    still_running(pushed)
    case.ended(pushed, 0)
    attacker.close()
    site.assert_fleet_runs(case.new())
    assert_nobody_stumbled(site, pushed)
    case.note("attacker", "prepare", "replayed", "-")


def test_bytes_under_a_wrong_digest(site: Site, case: Case) -> None:
    """Other bytes, retained on the very topics of the running push, are not what is staged."""
    attacker = RawClient(port=site.broker.port, client_id="attacker").connect()
    since = len(site.recorder.heard)
    pushed = site.push(case.new(), "--window", "1.5", fault="stop@append:begun:after")
    pushed.wait_until_stopped()
    begun = site.state().open
    assert begun is not None
    for digest in {begun.begun.plan, *begun.begun.digests.values()}:
        topic = f"aim/v1/{FLEET}/txn/{begun.begun.txn}/blob/{digest.removeprefix('sha256:')}"
        attacker.publish(topic, b'{"schema": 1}', retain=True)
    pushed.signal(signal.SIGCONT)
    running_txn(site, since)
    case.ended(pushed, 0)
    attacker.close()
    site.assert_fleet_runs(case.new())
    assert_nobody_stumbled(site, pushed)
    case.note("attacker", "append:begun:after", "wrong bytes, retained", "SIGCONT")
