"""The text of a record: strict, canonical, and the same for equal records."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OperatingError
from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.records import START, Record
from orchestrator.protocol.types import Owner
from orchestrator.storage import codec
from tests.storage.samples import (
    DIGEST,
    FLEET,
    KINDS,
    OWNERS,
    RECORDS,
    begun,
    noise,
)


def test_every_kind_of_record_is_generated() -> None:
    """A new kind of record cannot be forgotten by the round trip."""
    assert set(get_args(Record)) == set(KINDS)


@given(record=RECORDS)
def test_round_trip(record: Record) -> None:
    """What is encoded decodes to an equal value."""
    assert record == codec.decode_record(codec.encode_record(record), FLEET, 1)


@given(record=RECORDS)
def test_the_text_is_canonical(record: Record) -> None:
    """Sorted keys, no white space: encoding what was decoded gives the same text."""
    text = codec.encode_record(record)
    assert text == codec.encode_record(codec.decode_record(text, FLEET, 1))
    expected = json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert expected == text


@given(record=RECORDS, data=st.data())
def test_an_unknown_key_is_refused_at_every_depth(record: Record, data: st.DataObject) -> None:
    """A field that this version does not know would be lost silently: it is damage instead."""
    plain = json.loads(codec.encode_record(record))
    inner = [plain, *(plain[key] for key in ("epoch", "owner", "by", "timeline") if key in plain)]
    inner += plain.get("relisted", [])
    data.draw(st.sampled_from(inner))["surprise"] = 1
    with pytest.raises(OperatingError, match=f"record 5 of fleet {FLEET}"):
        codec.decode_record(json.dumps(plain), FLEET, 5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seq":1', '"seq":"1"'),
        ('"seq":1', '"seq":1.0'),
        ('"seq":1', '"seq":true'),
        ('"vote_by":1.5', '"vote_by":NaN'),
        ('"vote_by":1.5', '"vote_by":Infinity'),
        ('"config":"aim_lock_config.conf"', '"config":null'),
    ],
)
def test_decoding_is_strict(old: str, new: str) -> None:
    """No type is taken for another, and no instant is not a number."""
    text = codec.encode_record(begun())
    assert old in text
    with pytest.raises(OperatingError):
        codec.decode_record(text.replace(old, new), FLEET, 1)


@pytest.mark.parametrize("instant", [math.nan, math.inf, -math.inf])
def test_an_instant_that_is_no_number_is_misuse(instant: float) -> None:
    """JSON has no such numbers: the caller's bug is found before the write."""
    wrong = replace(begun(), timeline=replace(begun().timeline, hold_at=instant))
    with pytest.raises(ProtocolMisuse):
        codec.encode_rows([wrong])


def test_an_instant_that_loses_precision_is_misuse() -> None:
    """A whole number that no float holds would read back as another one."""
    wrong = replace(begun(), timeline=replace(begun().timeline, hold_at=2**53 + 1))
    with pytest.raises(ProtocolMisuse, match="read back"):
        codec.encode_rows([wrong])


@pytest.mark.parametrize("stored", [None, 7, b"{}"])
def test_a_row_that_is_not_text_is_damage(stored: object) -> None:
    """Whatever type the column has become, the answer is the same error."""
    with pytest.raises(OperatingError, match="not text"):
        codec.decode_record(stored, FLEET, 1)


def test_a_missing_row_is_damage() -> None:
    """A gap is named by the index that is missing."""
    text = codec.encode_record(noise(1))
    with pytest.raises(OperatingError, match=f"record 2 of fleet {FLEET}"):
        codec.decode_entries(FLEET, START, [(1, 0.0, text), (3, 0.0, text)])


def test_a_giant_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are capped on the way in and on the way out."""
    text = codec.encode_record(begun())
    monkeypatch.setattr(codec, "RECORD_BYTES_MAX", 100)
    with pytest.raises(OperatingError, match="at most 100"):
        codec.encode_record(begun())
    with pytest.raises(OperatingError, match="characters"):
        codec.decode_record(text, FLEET, 1)


def test_the_error_does_not_repeat_the_input() -> None:
    """A damaged row of megabytes is not printed."""
    with pytest.raises(OperatingError) as caught:
        codec.decode_record('{"kind":"ended","txn":' + "9" * 4000 + "}", FLEET, 1)
    assert len(caught.value.message) < 500


@given(owner=OWNERS)
def test_owners_round_trip(owner: Owner) -> None:
    """An owner is compared by its text, so it must come back equal."""
    assert owner == codec.decode_owner(codec.encode_owner(owner), FLEET)


@pytest.mark.parametrize("stored", [None, "", "{}", '{"user":"mira"}'])
def test_a_damaged_owner_names_the_fleet(stored: object) -> None:
    """A lease that does not decode is a clear error too."""
    with pytest.raises(OperatingError, match=f"lease of fleet {FLEET}"):
        codec.decode_owner(stored, FLEET)


def test_a_blob_that_is_not_bytes_is_damage() -> None:
    """Whatever the column holds, only the right bytes are returned."""
    with pytest.raises(OperatingError, match="not bytes"):
        codec.verified_blob(DIGEST, "text")
