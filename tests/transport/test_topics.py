"""The table of topics: names, their parsing, and what is derived from them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.types import ID_PATTERN, DeviceId, Digest, FleetId, TxnId
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET, TXN
from orchestrator.transport.topics import (
    ROUTES,
    TOPIC_CHARS_MAX,
    Address,
    Device,
    Orchestrator,
    Role,
    Route,
    Side,
    blob_topic,
    filters,
    matches,
    parse,
    topic_of,
)

IDS = st.from_regex(ID_PATTERN, fullmatch=True)
HEX = st.from_regex("[0-9a-f]{64}", fullmatch=True)
EXPECTED = """\
orchestrator  1          aim/v1/{fleet}/fence
orchestrator  1          aim/v1/{fleet}/txn/{txn}/prepare
orchestrator  1 retained aim/v1/{fleet}/txn/{txn}/decision
orchestrator  1 retained aim/v1/{fleet}/txn/{txn}/blob/{sha256}
orchestrator  1          aim/v1/{fleet}/to/{device}/welcome
orchestrator  1          aim/v1/{fleet}/to/{device}/prepare
orchestrator  1          aim/v1/{fleet}/to/{device}/decision
orchestrator  1          aim/v1/{fleet}/to/{device}/catch-up
orchestrator  1          aim/v1/{fleet}/to/{device}/heuristic
orchestrator  1          aim/v1/{fleet}/to/{device}/fence
device        1          aim/v1/{fleet}/from/{device}/hello
device        1          aim/v1/{fleet}/from/{device}/vote
device        1          aim/v1/{fleet}/from/{device}/report
device        1          aim/v1/{fleet}/from/{device}/ask
device        1          aim/v1/{fleet}/from/{device}/want
device        1 retained aim/v1/{fleet}/from/{device}/presence
"""


def test_the_interface_is_what_devices_rely_on() -> None:
    """Topics, direction, QoS and retention are an interface: a change must be on purpose."""
    rows = [
        f"{route.sender:<13} {route.qos} {'retained' if route.retain else '':<8}"
        f" aim/v1/{{fleet}}/{route.path}\n"
        for route in ROUTES
    ]
    assert EXPECTED == "".join(rows)


@given(route=st.sampled_from(ROUTES), fleet=IDS, txn=IDS, device=IDS, sha256=HEX)
def test_parse_undoes_topic(route: Route, fleet: str, txn: str, device: str, sha256: str) -> None:
    """Every topic that can be made is read back as what it was made of."""
    values = {"txn": txn, "device": device, "sha256": sha256}
    used = {name: values[name] for name in route.parameters}
    topic = route.topic(fleet, **used)
    expected = Address(
        route=route,
        fleet=FleetId(fleet),
        txn=TxnId(txn) if "txn" in used else None,
        device=DeviceId(device) if "device" in used else None,
        digest=Digest(f"sha256:{sha256}") if "sha256" in used else None,
    )
    assert len(topic) <= TOPIC_CHARS_MAX
    assert expected == parse(topic)


@given(topic=st.text(max_size=300))
def test_parse_never_raises(topic: str) -> None:
    """Arbitrary text is no topic of ours, and no error either."""
    assert parse(topic) is None or topic.startswith("aim/v1/")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "aim/v1",
        "aim/v1/",
        "aim/v1/f",
        "aim/v1/f/",
        "aim/v2/f/fence",
        "aim/v1/f/fence/",
        "aim/v1/f/fence/x",
        "aim/v1/F/fence",
        "aim/v1/f/from/d-01/fence",
        "aim/v1/f/from/d-01/vote/x",
        "aim/v1/f/from//vote",
        "aim/v1/f/from/../vote",
        "aim/v1/f/from/+/vote",
        "aim/v1/f/from/d\n/vote",
        "aim/v1/f/from/d-01\n/vote",
        "aim/v1/f/to/d-01/blob",
        "aim/v1/f/txn/t/blob/abc",
        f"aim/v1/f/txn/t/blob/{'A' * 64}",
        f"aim/v1/f/txn/{'t' * 64}/prepare",
        "x/aim/v1/f/fence",
    ],
)
def test_near_misses_are_none_of_ours(topic: str) -> None:
    """A topic that is almost right is not understood."""
    assert parse(topic) is None


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_each_side_subscribes_to_what_the_other_sends(route: Route) -> None:
    """Exactly one filter of the receiving role matches, none of the sending role's."""
    values = {
        name: {"txn": TXN, "device": DEVICE}.get(name, "a" * 64) for name in route.parameters
    }
    topic = route.topic(FLEET, **values)
    roles: dict[Side, Role] = {Side.ORCHESTRATOR: Orchestrator(), Side.DEVICE: Device(id=DEVICE)}
    matching = {
        side: sum(matches(pattern, topic) for pattern in filters(FLEET, role))
        for side, role in roles.items()
    }
    receiver = Side.DEVICE if route.sender is Side.ORCHESTRATOR else Side.ORCHESTRATOR
    assert {route.sender: 0, receiver: 0 if route.raw else 1} == matching


def test_a_device_does_not_subscribe_to_another_ones_messages() -> None:
    """No filter of a device matches what is sent to another device."""
    topic = topic_of(FLEET, EXAMPLES["welcome"], DeviceId("d-02"))
    assert not any(matches(pattern, topic) for pattern in filters(FLEET, Device(id=DEVICE)))


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        ("welcome", None),
        ("catch-up", None),
        ("heuristic", None),
        ("blob", DEVICE),
        ("vote", DEVICE),
        ("presence", DEVICE),
    ],
)
def test_what_the_table_lacks_is_misuse(kind: str, to: DeviceId | None) -> None:
    """A message without a route raises: it is a bug of the caller."""
    with pytest.raises(ProtocolMisuse, match=kind):
        topic_of(FLEET, EXAMPLES[kind], to)


def test_a_blob_topic_holds_the_digits_alone() -> None:
    """The algorithm's name and its colon are not part of a topic."""
    assert re.fullmatch(
        r"aim/v1/hazard-12/txn/t1/blob/[0-9a-f]{64}",
        blob_topic(FLEET, TxnId("t1"), Digest("sha256:" + "0f" * 32)),
    )


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/b/c", "a/b", False),
        ("a/+", "a/", True),
    ],
)
def test_filters_match_as_mqtt_has_it(pattern: str, topic: str, expected: object) -> None:
    """The examples of MQTT 3.1.1 §4.7 hold."""
    assert expected == matches(pattern, topic)
