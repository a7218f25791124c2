"""What can be said of a verb: whom it names, how long it lasts, what its amount and word are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MACHINE: Final = "control"
"""The machine of every process that names none."""

DEVICE_REBOOT_S: Final = 1.0
"""After so long a device that stopped by itself, or whose agent was killed, is back."""

RESERVE_PERCENT: Final = 20.0
"""Below this a device refuses every new configuration."""

LANDING_PERCENT: Final = 10.0
"""Below this a flying device lands by itself, whatever it holds; its aim stays as it is."""

TIME_MAX_S: Final = 3600.0


class Who(StrEnum):
    """What ``who`` names."""

    NOBODY = "nobody"
    NEW = "a new process"
    RUNNING = "a process that was started"


class Target(StrEnum):
    """What ``target`` names."""

    NOBODY = "nobody"
    DEVICES = "devices, all if none is named"
    SOME_DEVICES = "devices, at least one"
    LEFT_OUT = "devices that are left out, none if none is named"
    PARTIES = "devices or processes, all devices if none is named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """The range of ``amount``, ends included, and its unit; ``what`` says what it counts."""

    what: str
    unit: str
    least: float
    most: float
    whole: bool = False
    default: float | None = None
    """What is meant where none is written; ``None``: one must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """
    What a verb means.

    ``phrase`` is how people write it; see :mod:`.phrases`. ``words`` are the allowed values of
    ``word`` and how each is written; where "" is not among them, the first stands for it.
    ``free_word`` is a text instead. ``lasts`` says what ``for_s`` means; empty: it has no duration
    and must be ``None``. ``fault`` is false for what is done on purpose. ``beyond`` names the
    invariants that it may break by design; the checker says when they are not judged.
    """

    says: str
    phrase: str
    who: Who = Who.NOBODY
    target: Target = Target.NOBODY
    lasts: str = ""
    amount: Amount | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    free_word: bool = False
    fault: bool = True
    beyond: tuple[str, ...] = ()
