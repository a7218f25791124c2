"""
Operating errors: what happened, why, and the next command, with the exit code of INTERFACE.

A broken invariant is not one of these: it raises ``InvariantViolation`` and stops the process.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of ``aimctl``. Scripts rely on them."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CHANGES_PENDING = 3
    ABORTED = 4
    ACTIVATING = 5
    HOT = 6
    FENCED = 7
    PLAN_STALE = 8
    INVALID = 9
    TIMED_OUT = 10
    UNREACHABLE = 11
    UNKNOWN = 12
    INTERRUPTED = 130


class OperatingError(Exception):
    """
    An expected failure, told to a person: ``message`` says what and why, ``next_command`` how on.

    ``document`` is what ``--output json`` prints (its ``type`` is in the closed list of the
    schemas); by default a plain ``error`` document is made from the message.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: Exit,
        next_command: str | None = None,
        document: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.next_command = next_command
        self.document = document
