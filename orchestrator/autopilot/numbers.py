"""
The numbers of parameters: their types, how they are printed, and how they travel.

Both autopilots keep whole numbers and single-precision floats. A float is printed with the
fewest digits that read back as the same float, so that 0.3 stays 0.3. On the wire every value
stands in one field of four bytes, in one of two encodings of MAVLink's parameter protocol
(https://mavlink.io/en/services/parameter.html): ArduPilot casts the number to a float (C cast),
PX4 puts the integer's own bytes there (bytewise).
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import Final


class ParamType(IntEnum):
    """MAVLink's MAV_PARAM_TYPE."""

    UINT8 = 1
    INT8 = 2
    UINT16 = 3
    INT16 = 4
    UINT32 = 5
    INT32 = 6
    UINT64 = 7
    INT64 = 8
    REAL32 = 9
    REAL64 = 10

    @property
    def real(self) -> bool:
        """Whether it has a fraction."""
        return self >= ParamType.REAL32

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        if self.real:
            largest = FLOAT32_MAX if self is ParamType.REAL32 else math.inf
            return -largest, largest
        bits = 8 << ((self - 1) // 2)
        signed = self % 2 == 0
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


FLOAT32_MAX: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_DIGITS_MAX: Final = 9
"""So many decimal digits tell any two floats of single precision apart."""

_INTEGERS: Final = {
    ParamType.UINT8: "<Bxxx",
    ParamType.INT8: "<bxxx",
    ParamType.UINT16: "<Hxx",
    ParamType.INT16: "<hxx",
    ParamType.UINT32: "<I",
    ParamType.INT32: "<i",
}
"""Little-endian places of an integer in the field of four bytes, for the bytewise encoding."""


_SINGLE_MAX: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
"""The greatest number in single precision; fewer digits of it round to more."""


def float32(value: float) -> float:
    """Return the nearest single-precision number. Raises OverflowError for one too large."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def shortest(value: float) -> float:
    """Return the number with the fewest decimal digits that is the same in single precision."""
    single = float32(value)
    for digits in range(1, _DIGITS_MAX):
        shown = float(f"{single:.{digits}g}")
        if abs(shown) <= _SINGLE_MAX and float32(shown) == single:
            return shown
    return float(f"{single:.{_DIGITS_MAX}g}")


def same(kind: ParamType, one: float, other: float) -> bool:
    """Whether a parameter of this type can't tell the two apart."""
    if kind is ParamType.REAL32:
        return float32(one) == float32(other)
    return one == other


def fits(kind: ParamType, value: float) -> bool:
    """Whether a parameter of this type can hold ``value``; a float may round it."""
    low, high = kind.bounds
    return low <= value <= high and (kind.real or value == int(value))


def held(kind: ParamType, value: float) -> float:
    """Return what a parameter of this type holds when it is given ``value``, which fits."""
    if kind is ParamType.REAL64:
        return float(value)
    return shortest(value) if kind.real else int(value)


def show(kind: ParamType, value: float) -> str:
    """Print a value so that it reads back equal."""
    return repr(held(kind, value))


def to_wire(kind: ParamType, value: float, *, bytewise: bool) -> bytes:
    """
    Return the four bytes of ``param_value``.

    Raises ValueError for a type that has no place there, OverflowError or struct.error for a
    value that does not fit.
    """
    if not bytewise or kind is ParamType.REAL32:
        return struct.pack("<f", value)
    if kind not in _INTEGERS:
        raise ValueError(f"{kind.name} has no place in four bytes")
    return struct.pack(_INTEGERS[kind], int(value))


def from_wire(kind: ParamType, raw: bytes, *, bytewise: bool) -> float:
    """Return the value that the four bytes of ``param_value`` mean. Raises ValueError."""
    if bytewise and not kind.real:
        if kind not in _INTEGERS:
            raise ValueError(f"{kind.name} has no place in four bytes")
        return int(struct.unpack(_INTEGERS[kind], raw)[0])
    value = float(struct.unpack("<f", raw)[0])
    if not math.isfinite(value):
        raise ValueError("it is not a finite number")
    if kind.real:
        return shortest(value)
    if value != int(value):
        raise ValueError(f"{value:g} is no whole number")
    return int(value)
