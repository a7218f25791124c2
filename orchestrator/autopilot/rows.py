"""
The rows of a table: how keys of a configuration and parameters of an autopilot say the same.

A row knows its parameters and its keys. ``write`` goes from keys to parameters, ``read`` the
other way; both raise :class:`Unfit` for what the other side can't say, and never round in
silence: an autopilot that ran something else than it was asked would be worse than a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from orchestrator.autopilot.numbers import ParamType, held, same

Plain = bool | int | float | str
Values = Mapping[str, Plain]
"""Values of a configuration by their key path, such as ``pitch.angle_min_deg``."""

Numbers = Mapping[str, float]
"""Values of parameters by their name."""

SLACK: Final = 1e-6
"""What a conversion of units may be off a whole number."""


class Unfit(Exception):  # noqa: N818 - an answer, not an error
    """
    One side can't say what the other does; ``where`` is the key or the parameter.

    ``harmless`` where the parameter is then left as it is, and nothing is unsafe about that.
    """

    def __init__(self, where: str, why: str, *, harmless: bool = False) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why
        self.harmless = harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """
    A parameter: its type and range (None: as far as the type goes) in its own ``unit``.

    ``default`` is the firmware's. ``reboot`` where the autopilot heeds it only after a restart.
    ``older`` is the name that it had before.
    """

    name: str
    type: ParamType
    default: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    reboot: bool = False
    older: str | None = None

    def fit(self, key: str, value: float) -> float:
        """Return what the parameter would hold. Raises Unfit rather than round or clamp."""
        if not self.type.real:
            whole = round(value)
            if abs(value - whole) > SLACK:
                raise Unfit(key, f"{value:.9g} is no whole number, which {self.name} must be")
            value = whole
        low, high = self.type.bounds
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if not low <= value <= high:
            unit = f" {self.unit}" if self.unit else ""
            shown = f"{value:.9g} is outside {self.name}'s {low:g} to {high:g}{unit}"
            raise Unfit(key, shown)
        return held(self.type, value)


class Row(Protocol):
    """See the module."""

    @property
    def params(self) -> tuple[Param, ...]:
        """The parameters that this row writes."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that this row carries."""
        ...

    def write(self, values: Values, present: Numbers) -> dict[str, float]:
        """Return the parameters that say ``values``; ``present`` is what they are now."""
        ...

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:
        """Return the keys that ``params`` say; ``found`` is what rows above have read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfOne:
    """A row with one parameter."""

    param: Param

    @property
    def params(self) -> tuple[Param, ...]:
        """The one."""
        return (self.param,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfOneKey(_OfOne):
    """A row with one parameter and one key."""

    key: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The one."""
        return (self.key,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled(_OfOneKey):
    """
    A number: the parameter is ``scale`` times the key.

    ``inside`` names the keys of the limits that the autopilot applies to it in any case, so
    that a value beyond a limit means the limit.
    """

    scale: float = 1
    inside: tuple[str, str] | None = None

    def write(self, values: Values, present: Numbers) -> dict[str, float]:
        """Scale it; leave one that is beyond its limit where it means the limit."""
        value = float(values[self.key])
        now = present.get(self.param.name)
        if now is not None and self._clipped(now / self.scale, values) == value:
            return {self.param.name: now}
        return {self.param.name: self.param.fit(self.key, value * self.scale)}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:
        """Scale it back."""
        value = self._clipped(params[self.param.name] / self.scale, found)
        return {self.key: held(ParamType.REAL32, value)}

    def _clipped(self, value: float, limits: Values) -> float:
        if self.inside is None or not limits.keys() >= {*self.inside}:
            return value
        low, high = (float(limits[key]) for key in self.inside)
        return min(max(value, low), high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(_OfOneKey):
    """One of several words. ``partial`` where the autopilot may stay as it is for the others."""

    words: Mapping[str, int]
    partial: bool = False

    def write(self, values: Values, present: Numbers) -> dict[str, float]:  # noqa: ARG002
        """Return the word's number."""
        word = str(values[self.key])
        if word not in self.words:
            known = ", ".join(self.words)
            raise Unfit(
                self.key, f"{self.param.name} knows {known}, not {word}", harmless=self.partial
            )
        return {self.param.name: self.words[word]}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Return the number's word."""
        number = params[self.param.name]
        for word, meant in self.words.items():
            if meant == number:
                return {self.key: word}
        raise Unfit(self.param.name, f"{number:g} has no counterpart in {self.key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bit(_OfOneKey):
    """One bit of a mask whose other bits are somebody else's."""

    mask: int
    set: str
    clear: str

    def write(self, values: Values, present: Numbers) -> dict[str, float]:
        """Set or clear the bit in what is there now."""
        word = values[self.key]
        if word not in {self.set, self.clear}:
            why = f"{self.param.name} knows {self.set} and {self.clear}, not {word}"
            raise Unfit(self.key, why)
        others = int(present.get(self.param.name, self.param.default)) & ~self.mask
        return {self.param.name: others | (self.mask if word == self.set else 0)}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Look at the bit."""
        there = int(params[self.param.name]) & self.mask
        return {self.key: self.set if there else self.clear}


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetric(_OfOne):
    """The whole range of an axis that goes as far to one side as to the other."""

    low: str
    high: str

    @property
    def keys(self) -> tuple[str, ...]:
        """Both ends."""
        return self.low, self.high

    def write(self, values: Values, present: Numbers) -> dict[str, float]:  # noqa: ARG002
        """Return the width."""
        low, high = float(values[self.low]), float(values[self.high])
        if low != -high:
            why = f"{low:g} to {high:g} is not symmetric, as {self.param.name} must be"
            raise Unfit(self.low, why)
        return {self.param.name: self.param.fit(self.high, high - low)}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Return both ends."""
        half = held(ParamType.REAL32, params[self.param.name] / 2)
        return {self.low: -half, self.high: half}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Several parameters for what is one key here; they are read as their least."""

    each: tuple[Param, ...]
    key: str

    @property
    def params(self) -> tuple[Param, ...]:
        """All of them."""
        return self.each

    @property
    def keys(self) -> tuple[str, ...]:
        """The one."""
        return (self.key,)

    def write(self, values: Values, present: Numbers) -> dict[str, float]:  # noqa: ARG002
        """Give all of them the value."""
        value = float(values[self.key])
        return {param.name: param.fit(self.key, value) for param in self.each}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Return the least."""
        return {self.key: min(params[param.name] for param in self.each)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(_OfOne):
    """Two keys that one number says together."""

    both: tuple[str, str]
    words: Mapping[tuple[Plain, Plain], int]

    @property
    def keys(self) -> tuple[str, ...]:
        """Both."""
        return self.both

    def write(self, values: Values, present: Numbers) -> dict[str, float]:  # noqa: ARG002
        """Return the number of the pair."""
        first, second = (values[key] for key in self.both)
        if (first, second) not in self.words:
            why = f"{first} with {self.both[1]} {second} can't be said by {self.param.name}"
            raise Unfit(self.both[0], why)
        return {self.param.name: self.words[first, second]}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Return the pair of the number."""
        number = params[self.param.name]
        for words, meant in self.words.items():
            if meant == number:
                return dict(zip(self.both, words, strict=True))
        both = " and ".join(self.both)
        raise Unfit(self.param.name, f"{number:g} has no counterpart in {both}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOrAngle(_OfOne):
    """ArduPilot's rate by hand: 0 means that a stick sets angles."""

    mode: str
    rate: str

    @property
    def keys(self) -> tuple[str, ...]:
        """Mode and rate."""
        return self.mode, self.rate

    def write(self, values: Values, present: Numbers) -> dict[str, float]:  # noqa: ARG002
        """Return the rate, or 0."""
        if values[self.mode] == "angle":
            return {self.param.name: 0}
        return {self.param.name: self.param.fit(self.rate, float(values[self.rate]))}

    def read(self, params: Numbers, found: Values) -> dict[str, Plain]:  # noqa: ARG002
        """Return the mode, and the rate where there is one."""
        rate = params[self.param.name]
        if same(self.param.type, rate, 0):
            return {self.mode: "angle"}
        return {self.mode: "rate", self.rate: held(ParamType.REAL32, rate)}
