"""The document that devices are written from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import jsonschema
import pytest

from orchestrator.protocol.messages import Blob, DeviceState
from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    ID_PATTERN,
    MESSAGE_BYTES_MAX,
    REASON_CHARS_MAX,
    REASONS_MAX,
)
from orchestrator.transport.asyncapi import asyncapi
from orchestrator.transport.asyncapi_prose import MEMBERS, SUMMARIES
from orchestrator.transport.codec import BODIES, Refused, decode, encode
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET
from orchestrator.transport.topics import ROUTES, Device, Orchestrator, Role

DOCUMENT = asyncapi(version="1.2.3", schemas={"extra": {"type": "object"}})
OPERATIONS = sorted(DOCUMENT["operations"])


def resolve(reference: str) -> Any:
    """Follow a reference inside the document."""
    place: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def references(value: Any) -> Iterator[str]:
    """Yield every reference in the document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def example_of(operation: dict[str, Any]) -> tuple[str, bytes]:
    """Return the topic and the payload of an operation's example, made from the document."""
    channel = resolve(operation["channel"]["$ref"])
    message = resolve(resolve(operation["messages"][0]["$ref"])["$ref"])
    payload = message["examples"][0]["payload"]
    values = {name: parameter["examples"][0] for name, parameter in channel["parameters"].items()}
    if "sha256" in values:
        blob = EXAMPLES["blob"]
        assert isinstance(blob, Blob)
        values["sha256"] = blob.digest.removeprefix("sha256:")
    raw = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    return channel["address"].format(**values), raw


def test_every_reference_leads_somewhere() -> None:
    """No reference dangles: tools refuse the whole document otherwise."""
    for reference in set(references(DOCUMENT)):
        assert resolve(reference)


def test_it_says_what_it_is() -> None:
    """The members that AsyncAPI 3 requires are there, and no others at the top."""
    assert "3.0.0" == DOCUMENT["asyncapi"]
    assert {"title", "version", "description"} == set(DOCUMENT["info"])
    assert {
        "asyncapi",
        "info",
        "defaultContentType",
        "servers",
        "channels",
        "operations",
        "components",
    } == set(DOCUMENT)


def test_there_is_one_operation_for_each_route() -> None:
    """Nothing of the table is left out, nothing is described twice."""
    assert len(ROUTES) == len(DOCUMENT["operations"]) == len(DOCUMENT["channels"])
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert {f"aim/v1/{{fleet}}/{route.path}" for route in ROUTES} == addresses


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_well_formed(name: str) -> None:
    """An operation has a direction, a channel, messages of that channel, QoS and retention."""
    operation = DOCUMENT["operations"][name]
    channel = operation["channel"]["$ref"]
    assert operation["action"] in {"send", "receive"}
    assert all(m["$ref"].startswith(f"{channel}/messages/") for m in operation["messages"])
    assert {"qos", "retain", "bindingVersion"} == set(operation["bindings"]["mqtt"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_direction_is_the_devices(name: str) -> None:
    """Send is what a device publishes."""
    operation = DOCUMENT["operations"][name]
    address = resolve(operation["channel"]["$ref"])["address"]
    assert ("/from/" in address) == (operation["action"] == "send")


@pytest.mark.parametrize("name", sorted(DOCUMENT["channels"]))
def test_every_parameter_is_described(name: str) -> None:
    """The parameters are exactly the braces of the address."""
    channel = DOCUMENT["channels"][name]
    braces = {level[1:-1] for level in channel["address"].split("/") if level.startswith("{")}
    assert braces == set(channel["parameters"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_example_passes_the_codec(name: str) -> None:
    """What the document shows as an example is accepted on the topic that it names."""
    topic, payload = example_of(DOCUMENT["operations"][name])
    role: Role = Orchestrator() if "/from/" in topic else Device(id=DEVICE)
    got = decode(topic, payload, fleet=FLEET, role=role)
    assert not isinstance(got, Refused), got


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_example_fits_its_schema(kind: str) -> None:
    """The schema describes the example, and a strange member does not fit it."""
    message = DOCUMENT["components"]["messages"][kind]
    schema = {**message["payload"], "components": DOCUMENT["components"]}
    validator = jsonschema.Draft7Validator(schema)
    example = message["examples"][0]["payload"]
    assert [] == list(validator.iter_errors(example))
    assert not validator.is_valid({**example, "strange": 1})
    assert not validator.is_valid({**example, "body": {**example["body"], "strange": 1}})


@pytest.mark.parametrize(
    "bound", [MESSAGE_BYTES_MAX, BLOB_BYTES_MAX, REASONS_MAX, REASON_CHARS_MAX, ID_PATTERN]
)
def test_the_words_name_the_bounds(bound: int | str) -> None:
    """The prose, written by hand, names the bounds that the codec keeps."""
    assert str(bound) in DOCUMENT["info"]["description"]


@pytest.mark.parametrize(
    "member", ["lease_s", "heuristic", "prepared_seq", "prepared_digest", "outcome_seq", "enable"]
)
def test_the_words_say_what_to_do_with_a_member(member: str) -> None:
    """What a device must act on is not only a row of a schema: the prose has the steps."""
    assert f"`{member}" in DOCUMENT["info"]["description"]


@pytest.mark.parametrize(
    "heading", ["Enable leases", "Quarantine", "FENCE", "HEURISTIC: a person's word"]
)
def test_each_duty_has_its_place(heading: str) -> None:
    """The author of a device finds each of its duties under a heading of its own."""
    assert 1 == DOCUMENT["info"]["description"].count(f"\n## {heading}\n")


@pytest.mark.parametrize("kind", ["hello", "report"])
def test_a_schema_requires_every_member_of_a_state(kind: str) -> None:
    """A device that is checked against the document leaves none out."""
    payload = DOCUMENT["components"]["messages"][kind]["payload"]
    state = payload["properties"]["body"]["properties"]["state"]
    assert {field.name for field in fields(DeviceState)} == set(state["required"])


@pytest.mark.parametrize(("lease_s", "fits"), [(0, True), (9.5, True), (None, True), (-1, False)])
def test_a_schema_bounds_the_lease(lease_s: float | None, fits: object) -> None:
    """The schema says as well that a lease is no negative number."""
    payload = DOCUMENT["components"]["messages"]["welcome"]["payload"]
    schema = {**payload, "components": DOCUMENT["components"]}
    example = json.loads(encode(FLEET, EXAMPLES["welcome"], DEVICE).payload)
    example["body"]["lease_s"] = lease_s
    assert fits is jsonschema.Draft7Validator(schema).is_valid(example)


def test_every_kind_is_summed_up() -> None:
    """There are words for each kind of message, and for none that is not there."""
    assert {route.kind for route in ROUTES} == set(SUMMARIES)


def test_every_member_is_explained() -> None:
    """There are words for each member of each message, and no stale ones."""
    used: set[str] = set()
    for kind in BODIES:
        used |= set(members(DOCUMENT["components"]["messages"][kind]["payload"]))
    assert set(MEMBERS) == used


def members(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a schema's members at every level."""
    for name, member in schema.get("properties", {}).items():
        assert member["description"]
        yield name
        yield from members(member)


def test_further_schemas_are_carried() -> None:
    """The caller's schemas, such as those of what the blobs hold, are in the components."""
    assert {"type": "object"} == DOCUMENT["components"]["schemas"]["extra"]


def test_the_last_will_is_a_message() -> None:
    """The last will that the server's binding shows is a valid presence."""
    will = DOCUMENT["servers"]["broker"]["bindings"]["mqtt"]["lastWill"]
    got = decode(will["topic"], will["message"].encode(), fleet=FLEET, role=Orchestrator())
    assert EXAMPLES["presence"].kind == getattr(got, "kind", None)


def test_it_is_plain_json() -> None:
    """The document survives being written and read."""
    assert DOCUMENT == json.loads(json.dumps(DOCUMENT, allow_nan=False))
