"""The two ways in which the core fails: its caller misused it, or an invariant is broken."""

from __future__ import annotations


class ProtocolMisuse(Exception):  # noqa: N818 - the name says whose fault it is
    """The host called the core in a way its contract forbids: a bug in this program."""


class InvariantViolation(Exception):  # noqa: N818 - not an operating error: the process must stop
    """A statement of DESIGN §8 does not hold. Nothing may go on after it."""


def require(condition: object, why: str) -> None:
    """
    Raise :class:`InvariantViolation` unless ``condition`` is true.

    Used instead of ``assert``, which vanishes under ``python -O``.
    """
    if not condition:
        raise InvariantViolation(why)
