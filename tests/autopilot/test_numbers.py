"""Numbers of parameters: printed so that they read back, and in the bytes of the wire."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.autopilot.numbers import (
    ParamType,
    fits,
    float32,
    from_wire,
    held,
    same,
    shortest,
    show,
    to_wire,
)

REALS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WHOLE = [kind for kind in ParamType if not kind.real]
FOUR_BYTES = [kind for kind in WHOLE if kind < ParamType.UINT64]


@given(REALS)
def test_a_float_reads_back_equal(value: float) -> None:
    """What is printed is the same float in single precision."""
    assert value == float32(float(show(ParamType.REAL32, value)))


@pytest.mark.parametrize("value", [0.3, -20.5, 0.05, 10.38787, 12.02, 90.0, 1e-7, 16777216.0])
def test_a_float_is_printed_as_people_wrote_it(value: float) -> None:
    """Single precision adds no digits that nobody meant."""
    assert value == shortest(float32(value))


@pytest.mark.parametrize("kind", WHOLE)
def test_the_bounds_of_whole_numbers(kind: ParamType) -> None:
    """The least and the greatest fit; one more does not, nor does a fraction."""
    low, high = kind.bounds
    assert [True, True, False, False, False] == [
        fits(kind, value) for value in (low, high, low - 1, high + 1, 0.5)
    ] or kind >= ParamType.UINT64
    assert (int(low), int(high)) == (held(kind, low), held(kind, high))


@pytest.mark.parametrize("kind", FOUR_BYTES)
@pytest.mark.parametrize("bytewise", [True, False])
def test_whole_numbers_come_back_from_the_wire(kind: ParamType, *, bytewise: bool) -> None:
    """In both encodings; a cast keeps 24 bits of a number."""
    low, high = kind.bounds
    most = high if bytewise else min(high, 1 << 24)
    for value in (max(low, -(1 << 24)), -1 if low < 0 else 0, 0, 1, most):
        raw = to_wire(kind, value, bytewise=bytewise)
        assert value == from_wire(kind, raw, bytewise=bytewise)


@given(REALS)
def test_reals_come_back_from_the_wire(value: float) -> None:
    """They are themselves in both encodings."""
    for bytewise in (True, False):
        raw = to_wire(ParamType.REAL32, value, bytewise=bytewise)
        assert same(ParamType.REAL32, value, from_wire(ParamType.REAL32, raw, bytewise=bytewise))


def test_the_two_encodings_differ() -> None:
    """4 is the bytes of an integer to PX4, and those of 4.0 to ArduPilot."""
    assert b"\x04\0\0\0" == to_wire(ParamType.INT32, 4, bytewise=True)
    assert struct.pack("<f", 4.0) == to_wire(ParamType.INT32, 4, bytewise=False)


@pytest.mark.parametrize(
    ("kind", "raw", "bytewise"),
    [
        (ParamType.INT16, struct.pack("<f", 0.5), False),
        (ParamType.REAL32, struct.pack("<f", float("nan")), False),
        (ParamType.REAL32, struct.pack("<f", float("inf")), True),
        (ParamType.INT64, bytes(4), True),
    ],
)
def test_what_no_value_can_be(kind: ParamType, raw: bytes, *, bytewise: bool) -> None:
    """A fraction in a whole number, a NaN, a type of eight bytes."""
    with pytest.raises(ValueError, match=r"."):
        from_wire(kind, raw, bytewise=bytewise)


def test_too_long_for_four_bytes() -> None:
    """A whole number of eight bytes can't be sent."""
    with pytest.raises(ValueError, match="INT64 has no place"):
        to_wire(ParamType.INT64, 1, bytewise=True)
