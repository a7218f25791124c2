"""
Bytes to messages and back: the only door between a broker and the cores. Pure.

Every payload but a blob's is one JSON object, the envelope
``{"v": 1, "fleet": F, "kind": K, "body": {...}}``; the body's members are the fields of the
message's dataclass in :mod:`orchestrator.protocol.messages`, all required, ``kind`` left out. A
later version may add members (a signature): a reader refuses a version it does not know.

What comes in is hostile until proved otherwise. :func:`decode` never raises: it answers with the
message, with :class:`Cleared`, or with :class:`Refused` and why. It checks, in this order: topic,
direction, size, form (strict types, nothing unknown, ids, digests, finite numbers, list lengths,
no duplicate keys), and that topic and body agree. So a device that may only publish under its
own name cannot speak for another. It knows nothing of epochs or replays: the cores do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from hashlib import sha256
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.types import GetPydanticSchema
from pydantic_core import core_schema

from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Heuristic,
    Message,
    Prepare,
    Presence,
    Report,
    Vote,
    Want,
    Welcome,
)
from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    DIGEST_PATTERN,
    FLEET_DEVICES_MAX,
    ID_PATTERN,
    MESSAGE_BYTES_MAX,
    REASON_CHARS_MAX,
    REASONS_MAX,
    DeviceId,
    Digest,
    FleetId,
    TxnId,
)
from orchestrator.transport.topics import (
    Address,
    Device,
    Role,
    Route,
    parse,
    route_of,
    topic_of,
)

ENVELOPE_VERSION: Final = 1
INTEGER_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259 §6)."""

NUMBER_MAX: Final = 1e12
"""Bounds every instant and duration, in s: some thirty thousand years."""

CONFIG_NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}"
"""A configuration's name becomes a file's name on the device: no slash, no leading dot."""

_CLASSES: Final = (
    Hello,
    Vote,
    Report,
    Ask,
    Want,
    Presence,
    Fence,
    Welcome,
    Prepare,
    Decision,
    CatchUp,
    Heuristic,
)
BODIES: Final[Mapping[str, type[Any]]] = {
    get_args(get_type_hints(cls)["kind"])[0]: cls for cls in _CLASSES
}
"""The class of each kind that travels as an envelope; a blob is its own bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a transport publishes."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """
    What did not pass. Tell a person, at a bounded rate; do nothing else with it.

    ``kind`` is the topic's kind, or ``unknown``; ``reason`` holds nothing that the sender wrote
    beyond names of members, and is short. ``astray`` says that a broker delivered what was never
    subscribed to: its fault, and nobody's attempt.
    """

    kind: str
    reason: str
    astray: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """An empty payload on a retained topic: somebody removed what was there. Not a message."""


# --- form: one validator per kind, made from the dataclasses --------------------------------


def _anchored(pattern: str) -> Any:
    return Annotated[str, Field(pattern=f"^{pattern}$")]


_ID: Final = _anchored(ID_PATTERN)
_FORMS: Final[Mapping[Any, Any]] = {
    DeviceId: _ID,
    TxnId: _ID,
    FleetId: _ID,
    Digest: _anchored(DIGEST_PATTERN),
    str: Annotated[str, Field(max_length=REASON_CHARS_MAX)],
    int: Annotated[int, Field(ge=0, le=INTEGER_MAX)],
    float: Annotated[float, Field(ge=-NUMBER_MAX, le=NUMBER_MAX, allow_inf_nan=False)],
}
_FORMS_BY_NAME: Final[Mapping[str, Any]] = {
    "boot": _ID,
    "config": _anchored(CONFIG_NAME_PATTERN),
    "lease_s": Annotated[float, Field(ge=0, le=NUMBER_MAX, allow_inf_nan=False)],
}


def _form(hint: Any, name: str = "") -> Any:
    """Return the wire type of a field: its own, with bounds."""
    if NoneType in get_args(hint):
        return _form(get_args(hint)[0], name) | None
    if name in _FORMS_BY_NAME:
        return _FORMS_BY_NAME[name]
    if hint in _FORMS:
        return _FORMS[hint]
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        forms: Any = tuple.__class_getitem__((_form(item), ...))
        return Annotated[forms, Field(max_length=_items_max(item))]
    return _object(hint) if is_dataclass(hint) else hint


def _items_max(item: Any) -> int:
    return REASONS_MAX if item is str else FLEET_DEVICES_MAX


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.name != "kind")


def _object(cls: Any) -> Any:
    """Return a wire type that reads a JSON object with exactly the fields of ``cls``."""

    def schema(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        hints = get_type_hints(cls)
        members = {
            name: core_schema.typed_dict_field(
                handler.generate_schema(_form(hints[name], name)), required=True
            )
            for name in _names(cls)
        }
        form = core_schema.typed_dict_schema(
            members,
            extra_behavior="forbid",
            config=core_schema.CoreConfig(title=cls.__name__, strict=True),
        )
        return core_schema.no_info_after_validator_function(lambda read: cls(**read), form)

    return Annotated[Any, GetPydanticSchema(schema)]


# Not a Literal: that would take 1.0 and true for 1.
_VERSION: Final = Annotated[
    int,
    Field(ge=ENVELOPE_VERSION, le=ENVELOPE_VERSION, json_schema_extra={"const": ENVELOPE_VERSION}),
]


def _envelope(kind: str) -> Any:
    members = {
        "v": _VERSION,
        "fleet": _ID,
        "kind": Literal[kind],
        "body": _object(BODIES[kind]),
    }

    def schema(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(handler.generate_schema(form), required=True)
                for name, form in members.items()
            },
            extra_behavior="forbid",
            config=core_schema.CoreConfig(title=f"{kind} envelope", strict=True),
        )

    return Annotated[Any, GetPydanticSchema(schema)]


@cache
def adapter(kind: str) -> TypeAdapter[dict[str, Any]]:
    """Return the validator of one kind's envelope: made once, at its first use."""
    return TypeAdapter(_envelope(kind), config=ConfigDict(strict=True))


# --- out --------------------------------------------------------------------------------------


def encode(fleet: FleetId, message: Message, to: DeviceId | None = None) -> Outgoing:
    """
    Return what to publish for ``message``.

    Reasons and holds, which are for people, are cut to their bounds, so that a long one never
    costs a vote. Raises ProtocolMisuse for what the table of topics does not know, and for a
    message that is larger than the wire takes or holds a number that is none.
    """
    route = route_of(message, to)
    return Outgoing(
        topic=topic_of(fleet, message, to),
        payload=_payload(fleet, message),
        qos=route.qos,
        retain=route.retain,
    )


def _payload(fleet: FleetId, message: Message) -> bytes:
    if isinstance(message, Blob):
        return _fits(message.data, BLOB_BYTES_MAX, "blob")
    envelope = {
        "v": ENVELOPE_VERSION,
        "fleet": fleet,
        "kind": message.kind,
        "body": _bounded(message),
    }
    try:
        text = json.dumps(envelope, default=_plain, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        msg = f"{message.kind} holds a number that JSON has no word for"
        raise ProtocolMisuse(msg) from error
    return _fits(text.encode(), MESSAGE_BYTES_MAX, message.kind)


def _fits(payload: bytes, bytes_max: int, kind: str) -> bytes:
    if not 0 < len(payload) <= bytes_max:
        msg = f"{kind} of {len(payload)} bytes: the wire takes 1 to {bytes_max}"
        raise ProtocolMisuse(msg)
    return payload


def _plain(value: object) -> dict[str, object]:
    """Turn a dataclass into its JSON members: json's hook for what it does not know."""
    cls: Any = type(value)
    return {name: getattr(value, name) for name in _names(cls)}


def _bounded(message: Message) -> Message:
    match message:
        case Vote(reasons=reasons) if reasons:
            return replace(message, reasons=_cut(reasons))
        case Hello(state=state) | Report(state=state) if state.holds:
            return replace(message, state=_cut_holds(state))
        case _:
            return message


def _cut_holds(state: DeviceState) -> DeviceState:
    return replace(state, holds=_cut(state.holds))


def _cut(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Keep what the other side accepts; lone surrogates are no Unicode and go too."""
    return tuple(
        text.encode("utf-8", "replace").decode()[:REASON_CHARS_MAX] for text in texts[:REASONS_MAX]
    )


# --- in ---------------------------------------------------------------------------------------


def decode(
    topic: str, payload: bytes, *, fleet: FleetId, role: Role
) -> Message | Cleared | Refused:
    """Return what ``payload`` on ``topic`` says to a client of ``role``. Never raises."""
    address = parse(topic)
    if address is None:
        return Refused(kind="unknown", reason="the topic is none of this protocol's")
    wrong = _misdirected(address, fleet, role)
    if wrong is not None:
        return Refused(kind=address.route.kind, reason=wrong, astray=True)
    if not payload and address.route.retain:
        return Cleared()
    read = _blob(address, payload) if address.route.raw else _message(address, payload)
    return read if not isinstance(read, str) else Refused(kind=address.route.kind, reason=read)


def _misdirected(address: Address, fleet: FleetId, role: Role) -> str | None:
    if address.fleet != fleet:
        return "the topic is another fleet's"
    if address.route.sender is role.side:
        return "the topic is for the other side to read"
    if address.route.to_one_device and isinstance(role, Device) and address.device != role.id:
        return "the topic is another device's"
    return None


def _blob(address: Address, payload: bytes) -> Message | str:
    if len(payload) > BLOB_BYTES_MAX:
        return f"{len(payload)} bytes: a blob has at most {BLOB_BYTES_MAX}"
    if address.txn is None or address.digest is None:
        return "the topic names no blob"
    if f"sha256:{sha256(payload).hexdigest()}" != address.digest:
        return "the bytes are not those of the digest in the topic"
    return Blob(txn=address.txn, digest=address.digest, data=payload)


def _message(address: Address, payload: bytes) -> Message | str:
    if len(payload) > MESSAGE_BYTES_MAX:
        return f"{len(payload)} bytes: a message has at most {MESSAGE_BYTES_MAX}"
    try:
        envelope = adapter(address.route.kind).validate_json(payload)
        _refuse_duplicates(payload)
    except ValidationError as error:
        return _first(error)
    except (ValueError, RecursionError) as error:
        return _short(str(error))
    return _disagreement(address, envelope) or envelope["body"]


def _refuse_duplicates(payload: bytes) -> None:
    """Raise ValueError for a repeated key: two readers could each believe another one."""
    json.loads(payload, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a key is repeated"
        raise ValueError(msg)
    return members


def _first(error: ValidationError) -> str:
    """Say the first thing that is wrong, without repeating what was sent."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"][:4])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return _short(f"{where}: {problem['msg']}{more}" if where else f"{problem['msg']}{more}")


def _short(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:REASON_CHARS_MAX]


def _disagreement(address: Address, envelope: Mapping[str, Any]) -> str | None:
    """Return what topic and body contradict each other in."""
    body = envelope["body"]
    if envelope["fleet"] != address.fleet:
        return "the envelope names another fleet than the topic"
    if _speaks_for_itself(address.route) and body.device != address.device:
        return "the body names another device than the topic"
    if address.txn is not None and body.txn != address.txn:
        return "the body names another txn than the topic"
    return None


def _speaks_for_itself(route: Route) -> bool:
    return "device" in route.parameters and not route.to_one_device
