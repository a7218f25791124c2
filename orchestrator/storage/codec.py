"""
Between records and the text that a store keeps: strict, canonical, capped.

A row is JSON with sorted keys and without white space, so equal values have equal text. What
does not decode exactly (unknown key, wrong type, NaN) is damage, told as an operating error that
names fleet and index. Both stores take their rows from here, so neither can accept what the
other refuses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Conflict, RolledBack
from orchestrator.protocol.errors import ProtocolMisuse, require
from orchestrator.protocol.records import (
    START,
    Decided,
    Entry,
    Head,
    LockRequested,
    LockTaken,
    Record,
)
from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    FLEET_DEVICES_MAX,
    Digest,
    FleetId,
    Owner,
    TxnId,
)

RECORD_BYTES_MAX: Final = FLEET_DEVICES_MAX * 3_200
"""64 MB: some ten reasons of full length for every device of the biggest fleet."""

# The dataclasses have no pydantic configuration of their own, so the adapter's reaches them all.
_STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_RECORD: Final[TypeAdapter[Record]] = TypeAdapter(
    Annotated[Record, Field(discriminator="kind")], config=_STRICT
)
_OWNER: Final[TypeAdapter[Owner]] = TypeAdapter(Owner)
_CAUSES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A record as a store keeps it.

    ``record`` is what ``text`` decodes to: the writer folds exactly what every later reader
    will fold. ``decides`` is the transaction of a ``Decided``, for the store's write-once rule.
    """

    record: Record
    text: str

    @property
    def decides(self) -> TxnId | None:
        """The transaction whose fate this row is, if it is one."""
        return self.record.txn if isinstance(self.record, Decided) else None


Stored = tuple[int, float, object]
"""A row as it is read: index, UTC in s, text."""


def encode_rows(records: Sequence[Record]) -> tuple[Row, ...]:
    """
    Return the rows of one append.

    Raises OperatingError for text that is not valid Unicode or a record over RECORD_BYTES_MAX,
    InvariantViolation for a lock or a place in its queue without an owner (I22), ProtocolMisuse
    for anything else that would not read back as it was given.
    """
    if not records:
        raise ProtocolMisuse("append of no records")
    return tuple(_encode_row(record) for record in records)


def _encode_row(record: Record) -> Row:
    if isinstance(record, LockTaken | LockRequested):
        _require_owner(record.owner)
    text = encode_record(record)
    try:
        stored = _RECORD.validate_json(text)
    except ValidationError as error:
        raise ProtocolMisuse(f"record would not read back: {_causes(error)}") from error
    if stored != record:
        raise ProtocolMisuse(f"record would read back as {stored!r}, not as {record!r}")
    return Row(record=stored, text=text)


def encode_record(record: Record) -> str:
    """Return the canonical text of ``record``; see :func:`encode_rows` for the errors."""
    try:
        plain = _RECORD.dump_python(record, mode="json", warnings="error")
    except PydanticSerializationError as error:
        raise ProtocolMisuse(f"not a record: {error}") from error
    return _canonical(plain)


def decode_record(text: object, fleet: FleetId, index: int) -> Record:
    """Return the record of a stored row; raise OperatingError where it is damaged."""
    if not isinstance(text, str):
        raise damaged(f"record {index} of fleet {fleet}", "it is not text")
    if len(text) > RECORD_BYTES_MAX:
        raise damaged(f"record {index} of fleet {fleet}", f"it has {len(text)} characters")
    try:
        return _RECORD.validate_json(text)
    except ValidationError as error:
        raise damaged(f"record {index} of fleet {fleet}", _causes(error)) from error


def decode_entries(fleet: FleetId, after: Head, rows: Sequence[Stored]) -> list[Entry]:
    """
    Return the entries after the head ``after``; ``rows`` were read in order from its own row on.

    The row of ``after`` is compared and not decoded. Raises RolledBack where it is another one or
    none, OperatingError at the first row after it that does not decode or is missing.
    """
    if after != START:
        if not rows or head_of(rows[0]) != after:
            raise RolledBack(_gone(fleet, after))
        rows = rows[1:]
    entries: list[Entry] = []
    for expected, (index, at, text) in enumerate(rows, start=after.index + 1):
        if index != expected:
            raise damaged(f"record {expected} of fleet {fleet}", f"{index} is in its place")
        record = decode_record(text, fleet, index)
        entries.append(Entry(index=index, at=at, record=record, mark=_mark(at, text)))
    return entries


def place_entries(rows: Sequence[Row], after: Head, at: float) -> list[Entry]:
    """Return the entries that ``rows`` are when they are appended at the head ``after``."""
    return [
        Entry(index=index, at=at, record=row.record, mark=_mark(at, row.text))
        for index, row in enumerate(rows, start=after.index + 1)
    ]


def head_of(row: Stored | None) -> Head:
    """Return the head of a journal whose last row is ``row``, ``None`` where it has none."""
    if row is None:
        return START
    index, at, text = row
    return Head(index=index, mark=_mark(at, text))


def compare_head(fleet: FleetId, found: Head, expected: Head) -> None:
    """Raise Conflict unless an append at ``expected`` follows what its writer has read."""
    if found.index != expected.index:
        raise Conflict(f"fleet {fleet}: the head is {found.index}, not {expected.index}")
    if found != expected:
        raise Conflict(_gone(fleet, expected))


def _mark(at: float, text: object) -> str:
    """
    Return what tells a row from any other that could stand in its place: its SHA-256.

    Of what is stored already, so that no schema has a column for it; every bit of ``at`` counts,
    since after a rollback the same process may well append the same record again.
    """
    return hashlib.sha256(f"{float(at).hex()} {text}".encode()).hexdigest()


def _gone(fleet: FleetId, known: Head) -> str:
    return (
        f"fleet {fleet}: entry {known.index} of the journal is not the one that was read: "
        "the store was rolled back"
    )


def encode_owner(owner: Owner) -> str:
    """Return the canonical text of ``owner``: equal owners have equal text."""
    return _canonical(_OWNER.dump_python(owner, mode="json"))


def decode_owner(text: object, fleet: FleetId) -> Owner:
    """Return the owner of a stored lease; raise OperatingError where it is damaged."""
    if not isinstance(text, str):
        raise damaged(f"a lease of fleet {fleet}", "its owner is not text")
    try:
        return _OWNER.validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise damaged(f"a lease of fleet {fleet}", _causes(error)) from error


def decisions(rows: Sequence[Row]) -> frozenset[TxnId]:
    """Return the transactions that ``rows`` decide; refuse two decisions for one (I7)."""
    found = [row.decides for row in rows if row.decides is not None]
    require(len(found) == len(set(found)), "I7: one append decides a transaction twice")
    return frozenset(found)


def digest_of(data: bytes) -> Digest:
    """Return the digest under which ``data`` is stored."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def blob_to_store(data: bytes) -> Digest:
    """Return the digest of a blob on its way in; raise OperatingError where it is too big."""
    if len(data) > BLOB_BYTES_MAX:
        raise OperatingError(
            f"a blob of {len(data)} bytes cannot be stored: at most {BLOB_BYTES_MAX}",
            exit_code=Exit.INVALID,
            next_command="aimctl lint",
        )
    return digest_of(data)


def verified_blob(digest: Digest, data: object) -> bytes:
    """Return a stored blob that is what its digest says; raise OperatingError where it is not."""
    if not isinstance(data, bytes):
        raise damaged(f"blob {digest}", "it is not bytes")
    found = digest_of(data)
    if found != digest:
        raise damaged(f"blob {digest}", f"its bytes have the digest {found}")
    return data


def damaged(what: str, why: str) -> OperatingError:
    """Make the error for a store that no longer says what was written to it."""
    return OperatingError(
        f"the store is damaged: {what} cannot be trusted: {why}. "
        "Nothing was changed; restore the store from a backup",
        exit_code=Exit.UNEXPECTED,
        next_command="aimctl doctor",
    )


def _canonical(plain: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(
            plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except ValueError as error:
        raise ProtocolMisuse(f"not canonical: {error}") from error
    _require_size_and_unicode(text)
    return text


def _require_size_and_unicode(text: str) -> None:
    """Refuse what no store takes: a lone surrogate (a stray byte of a command line) or a giant."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        _refuse(f"it has text that is not valid Unicode at {text[error.start - 20 : error.end]!a}")
    if size > RECORD_BYTES_MAX:
        _refuse(f"it has {size} bytes, at most {RECORD_BYTES_MAX} fit")


def _refuse(why: str) -> NoReturn:
    raise OperatingError(f"a record cannot be stored: {why}", exit_code=Exit.USAGE)


def _require_owner(owner: Owner) -> None:
    """Refuse what has no named owner (I22); the database has the same rule for itself."""
    # No further than SQLite's JSON reads: a name that begins with NUL is none there.
    names = [text.partition("\0")[0] for text in (owner.user, owner.host, owner.program)]
    named = all(names) and owner.pid > 0
    require(
        named, f"I22: the owner of a lock or of a place in its queue must be named, not {owner!r}"
    )


def _causes(error: ValidationError) -> str:
    """Say what is wrong in one line; the input itself is left out, it may be huge."""
    causes = [
        f"{'.'.join(str(part) for part in cause['loc'])}: {cause['msg']}"
        for cause in error.errors(include_url=False, include_input=False)[:_CAUSES_SHOWN]
    ]
    return "; ".join(causes)
