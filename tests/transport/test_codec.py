"""The door between brokers and cores: what passes is a message, what does not never raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.messages import Blob, Message, Prepare, Presence, Report, Vote
from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    DIGEST_PATTERN,
    ID_PATTERN,
    MESSAGE_BYTES_MAX,
    REASON_CHARS_MAX,
    REASONS_MAX,
    DeviceId,
    Digest,
    FleetId,
    TxnId,
)
from orchestrator.transport.codec import (
    BODIES,
    INTEGER_MAX,
    NUMBER_MAX,
    Cleared,
    Outgoing,
    Refused,
    decode,
    encode,
)
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET
from orchestrator.transport.topics import ROUTES, Device, Orchestrator, Role, Route, Side

OTHER = DeviceId("d-02")
KINDS = sorted(EXAMPLES)
IDS = st.from_regex(ID_PATTERN, fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=REASON_CHARS_MAX)
LEAVES: Mapping[Any, st.SearchStrategy[Any]] = {
    DeviceId: IDS,
    TxnId: IDS,
    FleetId: IDS,
    Digest: st.from_regex(DIGEST_PATTERN, fullmatch=True),
    str: TEXTS,
    int: st.integers(0, INTEGER_MAX),
    float: st.floats(-NUMBER_MAX, NUMBER_MAX),
    bool: st.booleans(),
}
NAMED = {
    "boot": IDS,
    "config": st.sampled_from(["aim_lock_config.conf", "a", "X-1.toml"]),
    "lease_s": st.none() | st.floats(0, NUMBER_MAX),
}


def values(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Return valid values of a field."""
    if name in NAMED:
        return NAMED[name]
    if hint in LEAVES:
        return LEAVES[hint]
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=REASONS_MAX).map(tuple)
    if NoneType in get_args(hint):
        return st.none() | values(get_args(hint)[0])
    return objects(hint) if is_dataclass(hint) else st.sampled_from(list(hint))


def objects(cls: Any) -> st.SearchStrategy[Any]:
    """Return valid instances of a dataclass, ``kind`` left to its default."""
    hints = get_type_hints(cls)
    return st.builds(
        cls, **{f.name: values(hints[f.name], f.name) for f in fields(cls) if f.name != "kind"}
    )


MESSAGES: st.SearchStrategy[Message] = st.one_of(*(objects(cls) for cls in BODIES.values()))


def receiver(route: Route, message: Message) -> Role:
    """Return the role that this message is for."""
    if route.sender is Side.DEVICE:
        return Orchestrator()
    return Device(id=getattr(message, "device", DEVICE))


def ways(message: Message) -> list[tuple[Route, DeviceId | None]]:
    """Return every route that a message may take."""
    routes = [route for route in ROUTES if route.kind == message.kind]
    return [(route, DEVICE if route.to_one_device else None) for route in routes]


def read(outgoing: Outgoing, role: Role) -> Message | Cleared | Refused:
    """Decode what was encoded."""
    return decode(outgoing.topic, outgoing.payload, fleet=FLEET, role=role)


def vote_with(**changed: Any) -> tuple[str, bytes]:
    """Return topic and payload of a vote whose body has these members."""
    outgoing = encode(FLEET, EXAMPLES["vote"])
    envelope = json.loads(outgoing.payload)
    envelope["body"].update(changed)
    return outgoing.topic, json.dumps(envelope).encode()


def refusal(topic: str, payload: bytes, role: Role | None = None) -> str:
    """Return why this was refused."""
    got = decode(topic, payload, fleet=FLEET, role=role or Orchestrator())
    assert isinstance(got, Refused), got
    assert len(got.reason) <= REASON_CHARS_MAX
    assert got.reason.isascii()
    return got.reason


@given(message=MESSAGES)
def test_every_message_survives_the_way(message: Message) -> None:
    """Encoded and decoded, a message is equal to itself, on each route that it may take."""
    for route, to in ways(message):
        got = read(encode(FLEET, message, to), receiver(route, message))
        assert message == got


@given(data=st.binary(min_size=1, max_size=2000))
def test_every_blob_survives_the_way(data: bytes) -> None:
    """A blob's bytes arrive as they are, whatever they are."""
    blob = Blob(txn=TxnId("t"), digest=Digest(f"sha256:{sha256(data).hexdigest()}"), data=data)
    assert blob == read(encode(FLEET, blob), Device(id=DEVICE))


@given(topic=st.text(max_size=80), payload=st.binary(max_size=400))
def test_arbitrary_bytes_on_arbitrary_topics_never_raise(topic: str, payload: bytes) -> None:
    """Whatever a broker delivers, the answer is a value."""
    for role in (Orchestrator(), Device(id=DEVICE)):
        assert isinstance(decode(topic, payload, fleet=FLEET, role=role), Refused | Cleared)


@given(kind=st.sampled_from(KINDS), payload=st.binary(max_size=400))
def test_arbitrary_bytes_on_our_topics_never_raise(kind: str, payload: bytes) -> None:
    """On each topic of the table arbitrary bytes are refused, or clear what was retained."""
    message = EXAMPLES[kind]
    for route, to in ways(message):
        topic = encode(FLEET, message, to).topic
        got = decode(topic, payload, fleet=FLEET, role=receiver(route, message))
        assert isinstance(got, Cleared if route.retain and not payload else Refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(kind=st.sampled_from(sorted(BODIES)), value=JSON, data=st.data())
def test_a_replaced_member_never_raises(kind: str, value: Any, data: st.DataObject) -> None:
    """Any JSON value in the place of any member ends in a message of that kind or a refusal."""
    message = EXAMPLES[kind]
    route, to = ways(message)[0]
    outgoing = encode(FLEET, message, to)
    envelope = json.loads(outgoing.payload)
    place = data.draw(st.sampled_from([envelope, envelope["body"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    got = decode(
        outgoing.topic,
        json.dumps(envelope).encode(),
        fleet=FLEET,
        role=receiver(route, message),
    )
    assert isinstance(got, Refused | type(message))


@given(kind=st.sampled_from(sorted(BODIES)), at=st.floats(0, 1), byte=st.integers(0, 255))
def test_a_flipped_byte_never_raises(kind: str, at: float, byte: int) -> None:
    """A payload with one wrong byte is refused or is another valid message."""
    message = EXAMPLES[kind]
    route, to = ways(message)[0]
    outgoing = encode(FLEET, message, to)
    payload = bytearray(outgoing.payload)
    payload[int(at * (len(payload) - 1))] = byte
    got = decode(outgoing.topic, bytes(payload), fleet=FLEET, role=receiver(route, message))
    assert isinstance(got, Refused | type(message))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"seq": "1"}, "body.seq"),
        ({"seq": True}, "body.seq"),
        ({"seq": 1.5}, "body.seq"),
        ({"seq": -1}, "body.seq"),
        ({"seq": 2**53}, "body.seq"),
        ({"seq": None}, "body.seq"),
        ({"yes": "true"}, "body.yes"),
        ({"yes": 1}, "body.yes"),
        ({"extra": 1}, "body.extra"),
        ({"kind": "vote"}, "body.kind"),
        ({"txn": "T"}, "body.txn"),
        ({"txn": "a/b"}, "body.txn"),
        ({"txn": "a\n"}, "body.txn"),
        ({"plan": "sha256:" + "A" * 64}, "body.plan"),
        ({"plan": "sha256:" + "0" * 64 + "\n"}, "body.plan"),
        ({"epoch": {"incarnation": 1}}, "body.epoch.number"),
        ({"epoch": [1, 2]}, "body.epoch"),
        ({"reasons": ["x"] * (REASONS_MAX + 1)}, "body.reasons"),
        ({"reasons": ["x" * (REASON_CHARS_MAX + 1)]}, "body.reasons.0"),
        ({"reasons": "no"}, "body.reasons"),
    ],
)
def test_a_wrong_member_is_named(changed: dict[str, Any], where: str) -> None:
    """Types are not guessed at, bounds are kept, and the refusal says where."""
    assert where == refusal(*vote_with(**changed)).partition(":")[0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1e13"])
def test_numbers_are_finite_and_in_range(number: str) -> None:
    """What is no number of JSON, or a distant one, is refused."""
    outgoing = encode(FLEET, EXAMPLES["hello"])
    payload = outgoing.payload.replace(b'"hold_s":0.1', f'"hold_s":{number}'.encode())
    assert outgoing.payload != payload
    assert "hold_s" in refusal(outgoing.topic, payload)


def changed(kind: str, path: tuple[str, ...], value: Any = ...) -> tuple[str, bytes]:
    """Return an example whose member at ``path`` is ``value``, or is missing."""
    message = EXAMPLES[kind]
    outgoing = encode(FLEET, message, ways(message)[0][1])
    envelope = json.loads(outgoing.payload)
    place = envelope["body"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if value is ...:
        del place[path[-1]]
    return outgoing.topic, json.dumps(envelope).encode()


@pytest.mark.parametrize(
    "member",
    ["prepared_seq", "prepared_plan", "prepared_digest", "outcome_seq", "heuristic", "hold_s"],
)
@pytest.mark.parametrize("kind", ["hello", "report"])
def test_every_member_of_a_state_is_told(kind: str, member: str) -> None:
    """One that is null is told as null; a state that leaves it out is refused."""
    reason = refusal(*changed(kind, ("state", member)))
    assert f"body.state.{member}: Field required" == reason


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("prepared_seq", -1),
        ("prepared_seq", "18"),
        ("prepared_plan", "18"),
        ("prepared_digest", "sha256:"),
        ("outcome_seq", 1.5),
        ("heuristic", "maybe"),
        ("heuristic", True),
    ],
)
def test_a_wrong_member_of_a_state_is_named(member: str, value: Any) -> None:
    """What a reseed relies on is read as strictly as all else."""
    reason = refusal(*changed("report", ("state", member), value))
    assert reason.startswith(f"body.state.{member}:")


@pytest.mark.parametrize("lease_s", [0.0, 15, 0.25, NUMBER_MAX, None])
def test_a_lease_is_a_duration_or_none(lease_s: float | None) -> None:
    """From nothing at all to the bound of every duration, and null where there are no leases."""
    topic, payload = changed("welcome", ("lease_s",), lease_s)
    got = decode(topic, payload, fleet=FLEET, role=Device(id=DEVICE))
    assert lease_s == getattr(got, "lease_s", "refused")


@pytest.mark.parametrize("lease_s", [-0.001, 2 * NUMBER_MAX, math.inf, math.nan, "15", ...])
def test_a_lease_that_is_no_duration_is_refused(lease_s: Any) -> None:
    """Negative, endless, no number, in words or missing: nobody may operate on it."""
    topic, payload = changed("welcome", ("lease_s",), lease_s)
    assert "lease_s" in refusal(topic, payload, Device(id=DEVICE))


@pytest.mark.parametrize("outcome", ["COMMIT", "", None, 1, ...])
def test_a_word_without_an_outcome_is_refused(outcome: Any) -> None:
    """A person says commit or abort, and nothing else is taken for one of them."""
    topic, payload = changed("heuristic", ("outcome",), outcome)
    assert "body.outcome" in refusal(topic, payload, Device(id=DEVICE))


def test_a_word_is_not_kept() -> None:
    """A device that comes later must not find what a person meant for another moment."""
    assert not encode(FLEET, EXAMPLES["heuristic"], DEVICE).retain


@pytest.mark.parametrize("missing", ["v", "fleet", "kind", "body"])
def test_the_envelope_is_complete(missing: str) -> None:
    """Each member of the envelope is required."""
    topic, payload = vote_with()
    envelope = json.loads(payload)
    del envelope[missing]
    assert f"{missing}: Field required" == refusal(topic, json.dumps(envelope).encode())


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True])
def test_another_version_is_refused(version: Any) -> None:
    """A later envelope may mean something else by the same words."""
    topic, payload = vote_with()
    envelope = {**json.loads(payload), "v": version}
    assert refusal(topic, json.dumps(envelope).encode()).startswith("v:")


@pytest.mark.parametrize("where", [b'"seq":18,', b'"v":1,', b'"number":41'])
def test_a_repeated_key_is_refused(where: bytes) -> None:
    """Two readers could believe two different members; so nobody reads it."""
    outgoing = encode(FLEET, EXAMPLES["vote"])
    twice = where + where if where.endswith(b",") else where + b"," + where
    payload = outgoing.payload.replace(where, twice)
    assert "a key is repeated" == refusal(outgoing.topic, payload)


@pytest.mark.parametrize("payload", [b"[" * 200_000, b'{"a":' * 40_000, b'{"body":' + b"[" * 9999])
def test_deep_nesting_is_refused(payload: bytes) -> None:
    """Nesting exhausts no stack."""
    assert refusal(vote_with()[0], payload)


def test_an_oversized_message_is_refused_unread() -> None:
    """The size is looked at first."""
    payload = b" " * (MESSAGE_BYTES_MAX + 1)
    assert "262145 bytes" in refusal(vote_with()[0], payload)


def test_an_oversized_blob_is_refused() -> None:
    """A blob has a largest size, even where its digest is right."""
    data = bytes(BLOB_BYTES_MAX + 1)
    topic = f"aim/v1/{FLEET}/txn/t/blob/{sha256(data).hexdigest()}"
    assert "2097153 bytes" in refusal(topic, data, Device(id=DEVICE))


def test_a_blob_of_other_bytes_is_refused() -> None:
    """The digest in the topic is verified."""
    topic = encode(FLEET, EXAMPLES["blob"]).topic
    assert "not those of the digest" in refusal(topic, b"other", Device(id=DEVICE))


def test_another_fleets_topic_is_refused() -> None:
    """A message of another fleet is not for us, however valid."""
    outgoing = encode(FleetId("other"), EXAMPLES["vote"])
    assert "the topic is another fleet's" == refusal(outgoing.topic, outgoing.payload)


def test_another_fleets_envelope_is_refused() -> None:
    """The envelope's fleet is that of the topic."""
    topic = encode(FLEET, EXAMPLES["vote"]).topic
    payload = encode(FleetId("other"), EXAMPLES["vote"]).payload
    assert "the envelope names another fleet than the topic" == refusal(topic, payload)


@pytest.mark.parametrize("kind", ["hello", "vote", "report", "ask", "want", "presence"])
def test_a_device_cannot_speak_for_another(kind: str) -> None:
    """The topic, which the broker's access list guards, and the body name the same device."""
    payload = encode(FLEET, EXAMPLES[kind]).payload
    topic = f"aim/v1/{FLEET}/from/{OTHER}/{kind}"
    assert "the body names another device than the topic" == refusal(topic, payload)


@pytest.mark.parametrize("kind", ["prepare", "decision"])
def test_topic_and_body_name_one_txn(kind: str) -> None:
    """A DECISION on another transaction's topic is refused."""
    payload = encode(FLEET, EXAMPLES[kind]).payload
    topic = f"aim/v1/{FLEET}/txn/t-other/{kind}"
    reason = refusal(topic, payload, Device(id=DEVICE))
    assert "the body names another txn than the topic" == reason


def test_topic_and_envelope_name_one_kind() -> None:
    """A vote on the topic of reports is no report."""
    payload = encode(FLEET, EXAMPLES["vote"]).payload
    assert refusal(f"aim/v1/{FLEET}/from/{DEVICE}/report", payload).startswith("kind:")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_reads_their_own_side(kind: str) -> None:
    """What a broker delivers to the side that sends it goes astray."""
    for route, to in ways(EXAMPLES[kind]):
        outgoing = encode(FLEET, EXAMPLES[kind], to)
        sender: Role = Device(id=DEVICE) if route.sender is Side.DEVICE else Orchestrator()
        got = read(outgoing, sender)
        assert isinstance(got, Refused)
        assert got.astray


def test_what_is_for_another_device_goes_astray() -> None:
    """A broker that delivers another device's WELCOME is not believed."""
    outgoing = encode(FLEET, EXAMPLES["welcome"], OTHER)
    got = read(outgoing, Device(id=DEVICE))
    assert Refused(kind="welcome", reason="the topic is another device's", astray=True) == got


@pytest.mark.parametrize("kind", ["decision", "presence", "blob"])
def test_an_empty_retained_payload_is_a_clearing(kind: str) -> None:
    """Clearing is not a message and not an error."""
    route, _ = ways(EXAMPLES[kind])[0]
    topic = encode(FLEET, EXAMPLES[kind]).topic
    assert Cleared() == decode(topic, b"", fleet=FLEET, role=receiver(route, EXAMPLES[kind]))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", ".hidden", "", "a/b", "a\x00b", "x" * 128]
)
def test_a_configuration_name_is_a_plain_file_name(name: str) -> None:
    """The name becomes a file's on the device: nothing that leads elsewhere passes."""
    prepare = EXAMPLES["prepare"]
    assert isinstance(prepare, Prepare)
    outgoing = encode(FLEET, replace(prepare, config=name))
    reason = refusal(outgoing.topic, outgoing.payload, Device(id=DEVICE))
    assert reason.startswith("body.config:")


def test_long_reasons_never_cost_a_vote() -> None:
    """Reasons are cut to what the other side takes; broken text is mended."""
    vote = EXAMPLES["vote"]
    assert isinstance(vote, Vote)
    wordy = replace(vote, yes=False, reasons=("x" * 999, "\ud800", *["more"] * 40))
    got = read(encode(FLEET, wordy), Orchestrator())
    assert isinstance(got, Vote)
    assert ("x" * REASON_CHARS_MAX, "?") == got.reasons[:2]
    assert REASONS_MAX == len(got.reasons)


def test_long_holds_never_cost_a_report() -> None:
    """The words that say why a device holds are cut likewise."""
    report = EXAMPLES["report"]
    assert isinstance(report, Report)
    wordy = replace(report, state=replace(report.state, holds=("y" * 999,)))
    got = read(encode(FLEET, wordy), Orchestrator())
    assert isinstance(got, Report)
    assert ("y" * REASON_CHARS_MAX,) == got.state.holds


@pytest.mark.parametrize("size", [0, BLOB_BYTES_MAX + 1])
def test_a_blob_that_does_not_fit_is_misuse(size: int) -> None:
    """An empty blob would be a clearing, a larger one is taken by nobody: both raise here."""
    blob = EXAMPLES["blob"]
    assert isinstance(blob, Blob)
    with pytest.raises(ProtocolMisuse, match="blob of"):
        encode(FLEET, replace(blob, data=bytes(size)))


def test_a_message_that_does_not_fit_is_misuse() -> None:
    """A PREPARE of more distinct digests than a message holds raises at its sender."""
    prepare = EXAMPLES["prepare"]
    assert isinstance(prepare, Prepare)
    with pytest.raises(ProtocolMisuse, match="prepare of"):
        encode(FLEET, replace(prepare, digests=prepare.digests * 4000))


def test_a_number_that_is_none_is_misuse() -> None:
    """NaN never reaches the wire."""
    report = EXAMPLES["report"]
    assert isinstance(report, Report)
    with pytest.raises(ProtocolMisuse, match="no word"):
        encode(FLEET, replace(report, state=replace(report.state, hold_s=float("nan"))))


def test_presence_looks_as_documented() -> None:
    """The envelope, to the byte: devices in other languages rely on it."""
    outgoing = encode(FLEET, Presence(device=DEVICE, online=False))
    assert (
        Outgoing(
            topic="aim/v1/hazard-12/from/d-01/presence",
            payload=b'{"v":1,"fleet":"hazard-12","kind":"presence",'
            b'"body":{"device":"d-01","online":false}}',
            qos=1,
            retain=True,
        )
        == outgoing
    )
