"""
What does not belong there, on every topic and in both directions, while a push runs.

And who does belong there, though it is a stranger: a device written from the document alone.
"""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final, Self

import jsonschema
import pytest

from orchestrator.protocol.types import MESSAGE_BYTES_MAX, DeviceId
from orchestrator.transport.asyncapi import asyncapi
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


# --- a stranger that is welcome -----------------------------------------------------------------

STRANGER: Final = DEVICES[5]
DOCUMENT: Final = asyncapi(version="0")
_ROOT: Final = f"aim/v1/{FLEET}"
_AGAIN_S: Final = 0.2
_NOTHING: Final = {
    **dict.fromkeys(("prepared", "prepared_seq", "prepared_plan", "prepared_digest", "heuristic")),
    **dict.fromkeys(("outcome_txn", "outcome_seq", "outcome", "operating")),
    **dict.fromkeys(("clock_error_s", "activated_at", "hold_s")),
    "leased": False,
}


class Stranger:
    """
    A device that shares no line with the product: JSON, SHA-256 and a socket, by the document.

    Its record is in memory, and of the document's faults it knows only those of the network.
    ``record`` is what it starts from: version, digest, last_seq and max_epoch.
    """

    def __init__(self, port: int, record: dict[str, Any]) -> None:
        self.state = {**_NOTHING, **record, "pending": False, "holds": ["restarted"]}
        self.state["staging_s"] = 0.0
        self.file = b""
        self._port = port
        self._number = self._nonce = 0
        self._ahead_s = 0.0
        self._order: dict[str, Any] = {}
        self._staged = b""
        self._hello_at: float | None = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._client = RawClient(port=port, client_id="stranger")

    def start(self) -> Self:
        """Connect, and take part."""
        mine = ("fence", "txn/+/prepare", "txn/+/decision", f"to/{STRANGER}/+")
        self._client.connect(*(f"{_ROOT}/{topic}" for topic in mine))
        self._thread.start()
        return self

    def close(self) -> None:
        """Go away without a word."""
        self._ends.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        takes = {
            "welcome": self._welcome,
            "fence": self._fence,
            "prepare": self._prepare,
            "decision": self._decision,
        }
        read = 0
        while not self._ends.wait(0.005):
            news = self._client.heard[read:]
            read += len(news)
            for one in news:
                if one.body and one.kind in takes:
                    takes[one.kind](one.body)
            self._pursue(time.monotonic())

    def _pursue(self, now: float) -> None:
        """Do what is due: ask, hold, activate."""
        if self._hello_at is not None and now >= self._hello_at:
            self._hello()
        if not self._order:
            return
        timeline = self._order["timeline"]
        if now + self._ahead_s >= timeline["hold_at"] and not self.state["holds"]:
            self.state |= {"operating": None, "holds": ["in the pause, or in doubt"]}
            if self.state["prepared"]:
                self._say("ask", txn=self._order["txn"], seq=self._order["seq"])
        if now + self._ahead_s >= timeline["activate_at"] and self.state["pending"]:
            self.file, self._order = self._staged, {}
            version = self.state["version"]
            self.state |= {"pending": False, "operating": version, "holds": []}
            self.state["activated_at"] = now + self._ahead_s
            self._report()

    # --- what it says -------------------------------------------------------------------------

    def _say(self, kind: str, **body: object) -> None:
        topic = f"{_ROOT}/from/{STRANGER}/{kind}"
        self._client.publish(topic, envelope(kind, {"device": STRANGER, **body}))

    def _hello(self) -> None:
        self._number = self._nonce = self._number + 1
        t1 = time.monotonic()
        self._hello_at = t1 + _AGAIN_S
        self._say("hello", boot="b", nonce=self._nonce, sent_at_device_s=t1, state=self.state)

    def _report(self) -> None:
        self._number += 1
        self._say("report", boot="b", number=self._number, state=self.state)

    # --- what it hears ------------------------------------------------------------------------

    def _raise_epoch(self, epoch: dict[str, int]) -> None:
        known = self.state["max_epoch"]
        of = [(one["incarnation"], one["number"]) for one in (known, epoch)]
        self.state["max_epoch"] = epoch if of[1] > of[0] else known

    def _fence(self, body: dict[str, Any]) -> None:
        self._raise_epoch(body["epoch"])
        self._hello()

    def _welcome(self, body: dict[str, Any]) -> None:
        if (body["boot"], body["nonce"]) != ("b", self._nonce):
            return
        t4, low = time.monotonic(), body["sent_at"]
        low, high = low - t4, body["received_at"] - body["sent_at_device_s"]
        self._ahead_s = (low + high) / 2
        self.state["clock_error_s"] = abs(high - low) / 2
        self._raise_epoch(body["epoch"])
        mine = [self.state[name] for name in ("version", "digest", "last_seq")]
        if body["enable"] and mine == [body["version"], body["digest"], body["last_seq"]]:
            self._hello_at = None
            if not self._order:
                self.state |= {"operating": body["version"], "holds": []}
            self._report()

    def _prepare(self, body: dict[str, Any]) -> None:
        if body["seq"] <= self.state["last_seq"]:
            self._report()
            return
        if self.state["prepared"] is None:
            plan = json.loads(self._blob(body, body["plan"]))
            mine = next(digest for digest, ids in plan["devices"].items() if STRANGER in ids)
            self._staged = self._blob(body, mine)
            self._order = body
            self.state |= {"prepared": body["txn"], "prepared_seq": body["seq"]}
            self.state |= {"prepared_plan": body["plan"], "prepared_digest": mine}
            self._raise_epoch(body["epoch"])
        copied = {name: body[name] for name in ("txn", "seq", "epoch", "plan")}
        self._say("vote", **copied, yes=True, reasons=[])
        self._report()

    def _blob(self, order: dict[str, Any], digest: str) -> bytes:
        """Fetch a blob from its exact topic, and ask for it until it comes."""
        client = RawClient(port=self._port, client_id="stranger-reads")
        topic = f"{_ROOT}/txn/{order['txn']}/blob/{digest.removeprefix('sha256:')}"
        with closing(client.connect(topic)):
            while not client.heard and not self._ends.wait(_AGAIN_S):
                self._say("want", txn=order["txn"], digest=digest)
            data = client.heard[0].payload
        assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        return data

    def _decision(self, body: dict[str, Any]) -> None:
        state = self.state
        if (body["txn"], body["plan"]) == (state["prepared"], state["prepared_plan"]):
            done = {"outcome_txn": body["txn"], "outcome_seq": body["seq"]}
            done |= {"outcome": body["outcome"], "last_seq": body["seq"]}
            if body["outcome"] == "commit":
                digest = state["prepared_digest"]
                done |= {"version": body["seq"], "digest": digest, "pending": True}
            none = ("prepared", "prepared_seq", "prepared_plan", "prepared_digest", "heuristic")
            self.state = {**state, **dict.fromkeys(none), **done}
        self._report()


def record_of(site: Site) -> dict[str, Any]:
    """What the stranger knows when it starts: where the fleet is, by the journal."""
    state = site.state()
    assert state.installed is not None
    epoch = {"incarnation": state.lock.epoch.incarnation, "number": state.lock.epoch.number}
    digest = state.installed.begun.digests[DeviceId(STRANGER)]
    places = {"version": state.version, "last_seq": state.decided_seq}
    return {**places, "digest": digest, "max_epoch": epoch}


def assert_documented(heard: Sequence[Heard]) -> set[str]:
    """Each message fits its schema in the document; return the kinds."""
    for one in heard:
        message = DOCUMENT["components"]["messages"][one.kind]
        schema = {**message["payload"], "components": DOCUMENT["components"]}
        jsonschema.Draft7Validator(schema).validate(json.loads(one.payload))
    return {one.kind for one in heard}


@pytest.mark.parametrize("apart", [(STRANGER,)])
def test_a_device_written_from_the_document_takes_part(site: Site, case: Case) -> None:
    """It votes, obeys and activates; what it tells has every member that the schema requires."""
    since = len(site.recorder.heard)
    with closing(Stranger(site.broker.port, record_of(site)).start()) as stranger:
        case.ended(site.push(case.new(), "--window", "1.5"), 0)
        assert site.bytes_of(STRANGER, case.new()) == stranger.file
    topic = f"{_ROOT}/from/{STRANGER}/"
    heard = [one for one in site.recorder.heard[since:] if one.topic.startswith(topic)]
    assert {"hello", "report", "vote"} <= assert_documented(heard)
    states = [one.body["state"] for one in heard if one.kind in {"hello", "report"}]
    assert case.seq + 1 in {state["prepared_seq"] for state in states}
    assert (case.seq + 1, None) == (states[-1]["outcome_seq"], states[-1]["prepared_seq"])
    site.arrange()  # the device that it stood for returns, and has missed a version
    case.ended(site.push(case.new(2)), 0)
    site.assert_fleet_runs(case.new(2))
    case.note("stranger", "push", "-", "the device returns, push")
