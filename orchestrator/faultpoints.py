"""
A switch for tests: end or stop this very process at a named step of the protocol.

``AIMCTL_FAULT=kill@append:decided:after`` ends the process with SIGKILL the first time it passes
the point ``append:decided:after``; ``stop@…`` stops it with SIGSTOP, so that somebody else can
take its lock and continue it as a zombie; ``…#3`` means the third time. Nothing is caught,
flushed or closed: that is the fault.

Points of an orchestrator: ``append:RECORDS:before|after`` (the records of one append, joined by
``+``), ``send:KIND:before|after``, ``publish:blob:before|after``, ``clear:before|after`` and
``votes:N:after`` (N votes have been counted). Points of a device: ``save:STEP:before|after``,
``stage:before|after``, ``activate:before|after``, ``send:KIND:before|after``.

``AIMCTL_FAULT_TRACE=FILE`` appends the name of every point that is passed to ``FILE``, one a line:
that is how a test makes sure that it has forgotten none.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from typing import Final

from orchestrator.errors import Exit, OperatingError

VARIABLE: Final = "AIMCTL_FAULT"
TRACE: Final = "AIMCTL_FAULT_TRACE"
_SHAPE: Final = re.compile(r"(kill|stop)@([a-z_+:0-9-]+)(?:#([1-9][0-9]{0,5}))?")
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class FaultPoints:
    """Counts the points that are passed; without an order it does nothing."""

    def __init__(
        self,
        order: str | None = None,
        *,
        trace: str | None = None,
        strike: Callable[[int], None] | None = None,
    ) -> None:
        self._point: str | None = None
        self._left = 0
        self._signal = signal.SIGKILL
        self._trace = trace or None
        self._strike = strike or _signal_self
        if order:
            self._parse(order)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> FaultPoints:
        """Read the order from the environment."""
        return cls(environment.get(VARIABLE), trace=environment.get(TRACE))

    def _parse(self, order: str) -> None:
        found = _SHAPE.fullmatch(order)
        if found is None:
            raise OperatingError(
                f"{VARIABLE}={order!r} is not kill@POINT or stop@POINT, with #N for the N-th time",
                exit_code=Exit.USAGE,
                next_command=f"unset {VARIABLE}",
            )
        self._signal = _SIGNALS[found[1]]
        self._point = found[2]
        self._left = int(found[3] or 1)

    def hit(self, name: str) -> None:
        """Pass the point ``name``; does not return if this is where the process was to end."""
        if self._trace is not None:
            _note(self._trace, name)
        if name != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self._strike(self._signal)


def _signal_self(number: int) -> None:
    os.kill(os.getpid(), number)


def _note(trace: str, name: str) -> None:
    """Append a line in one write: whoever is killed at this point has noted it."""
    with open(trace, "ab", buffering=0) as file:  # noqa: PTH123 - no Path on this hot path
        file.write(f"{name}\n".encode())
