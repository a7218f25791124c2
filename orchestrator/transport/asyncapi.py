"""
The AsyncAPI 3 document of the MQTT interface, generated from what the codec itself uses.

Channels come from the table of topics, payload schemas from the validators, examples from the
messages' classes. Only the words are written by hand, in :mod:`.asyncapi_prose`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orchestrator.protocol.types import DIGEST_PATTERN, ID_PATTERN, DeviceId
from orchestrator.transport.asyncapi_prose import MEMBERS, PROTOCOL, SUMMARIES
from orchestrator.transport.codec import adapter, encode
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET
from orchestrator.transport.topics import ROUTES, Route, Side

Json = dict[str, Any]

BINDING_VERSION: Final = "0.2.0"
_REFS: Final = "#/components/schemas/{model}"
_PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {
    "fleet": (f"The fleet's id: {ID_PATTERN}", "hazard-12"),
    "txn": (f"The transaction's id: {ID_PATTERN}", "t18-7f3k"),
    "device": (f"The device's id: {ID_PATTERN}", "d-01"),
    "sha256": (f"The hexadecimal digits of the digest: {DIGEST_PATTERN}", "ab" * 32),
}


def asyncapi(*, version: str, schemas: Mapping[str, Json] | None = None) -> Json:
    """
    Return the document as JSON values.

    ``version`` is the program's. ``schemas`` are further ones for ``components.schemas``, such as
    those of what the blobs hold; their names must not be those of the messages' parts.
    """
    messages, found = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Atomic configuration of a fleet: the device's interface",
            "version": version,
            "description": PROTOCOL,
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {_channel_id(route): _channel(route) for route in ROUTES},
        "operations": {_operation_id(route): _operation(route) for route in ROUTES},
        "components": {"messages": messages, "schemas": {**found, **(schemas or {})}},
    }


def _server() -> Json:
    will = next(route for route in ROUTES if route.kind == "presence")
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "3.1.1",
        "description": "Any MQTT broker; with TLS (secure-mqtt) where it is not on the machine.",
        "variables": {
            "host": {"default": "localhost"},
            "port": {"default": "1883", "description": "8883 with TLS"},
        },
        "bindings": {
            "mqtt": {
                "cleanSession": True,
                "keepAlive": 5,
                "lastWill": {
                    "topic": will.topic(FLEET, device=DEVICE),
                    "qos": will.qos,
                    "retain": will.retain,
                    "message": json.dumps(_wire(will, online=False), separators=(",", ":")),
                },
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _wire(route: Route, **changed: object) -> Json:
    to = DeviceId(DEVICE) if route.to_one_device else None
    envelope: Json = json.loads(encode(FLEET, EXAMPLES[route.kind], to).payload)
    envelope["body"].update(changed)
    return envelope


# --- channels and operations ---------------------------------------------------------------


def _channel_id(route: Route) -> str:
    """Return ``to-device-prepare`` for ``to/{device}/prepare``."""
    levels = [level.strip("{}") for level in route.levels]
    return "-".join(level for level in levels if level != "sha256")


def _operation_id(route: Route) -> str:
    return f"{_action(route)}-{_channel_id(route)}"


def _action(route: Route) -> str:
    return "send" if route.sender is Side.DEVICE else "receive"


def _channel(route: Route) -> Json:
    names = ("fleet", *route.parameters)
    return {
        "address": "aim/v1/{fleet}/" + route.path,
        "title": _channel_id(route),
        "description": _audience(route),
        "messages": {route.kind: {"$ref": f"#/components/messages/{route.kind}"}},
        "parameters": {
            name: {"description": _PARAMETERS[name][0], "examples": [_PARAMETERS[name][1]]}
            for name in names
        },
        "bindings": {"mqtt": {}},
    }


def _audience(route: Route) -> str:
    kept = "Retained." if route.retain else "Not retained."
    if route.sender is Side.DEVICE:
        return f"Published by the device under its own id. {kept}"
    if route.raw:
        return f"Subscribe to the exact topic of a blob that is needed, not to all. {kept}"
    if route.to_one_device:
        return f"For one device: subscribe to aim/v1/{{fleet}}/to/{{its id}}/+. {kept}"
    return f"For every device of the fleet. {kept}"


def _operation(route: Route) -> Json:
    channel = f"#/channels/{_channel_id(route)}"
    return {
        "action": _action(route),
        "channel": {"$ref": channel},
        "title": _operation_id(route),
        "summary": SUMMARIES[route.kind],
        "messages": [{"$ref": f"{channel}/messages/{route.kind}"}],
        "bindings": {
            "mqtt": {
                "qos": route.qos,
                "retain": route.retain,
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


# --- messages ------------------------------------------------------------------------------


def _messages() -> tuple[Json, Json]:
    """Return the messages by kind, and the schemas that they share."""
    messages: Json = {}
    shared: Json = {}
    for route in ROUTES:
        if route.kind in messages:
            continue
        if route.raw:
            messages[route.kind] = _raw_message(route)
            continue
        payload = adapter(route.kind).json_schema(ref_template=_REFS)
        shared.update(payload.pop("$defs", {}))
        messages[route.kind] = _message(route, _described(payload))
    return messages, shared


def _message(route: Route, payload: Json) -> Json:
    return {
        "name": route.kind,
        "title": route.kind.upper(),
        "summary": SUMMARIES[route.kind],
        "contentType": "application/json",
        "payload": payload,
        "examples": [{"name": route.kind, "payload": _wire(route)}],
    }


def _raw_message(route: Route) -> Json:
    return {
        "name": route.kind,
        "title": route.kind.upper(),
        "summary": SUMMARIES[route.kind],
        "description": "The payload is the bytes themselves, without an envelope.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
        "examples": [
            {"name": route.kind, "payload": encode(FLEET, EXAMPLES["blob"]).payload.decode()}
        ],
    }


def _described(schema: Json) -> Json:
    """Add to each member what it means."""
    for name, member in _members(schema):
        member.pop("title", None)
        member["description"] = MEMBERS[name]
    return schema


def _members(schema: Json) -> Iterator[tuple[str, Json]]:
    for name, member in schema.get("properties", {}).items():
        yield name, member
        yield from _members(member)
