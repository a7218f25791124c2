"""What may be asked: the bodies and the query parameters, strict and of capped size."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from orchestrator.locksmith.processes import UNKNOWN
from orchestrator.protocol.types import Owner
from orchestrator.web.fields import (
    EVIDENCE_CHARS_MAX,
    EXACT_MAX,
    HOST_CHARS_MAX,
    PROGRAM_CHARS_MAX,
    USER_CHARS_MAX,
    Line,
    LockId,
    Pid,
    Purpose,
    Reason,
    Strict,
    Ticks,
)

WAIT_MAX_S: Final = 60.0
HISTORY_MAX: Final = 1000

_EVIDENCE: Final = "Kernel evidence, for a client on the server's machine: "

Evidence = Annotated[Line, Field(max_length=EVIDENCE_CHARS_MAX)]
Wait = Annotated[float, Field(ge=0, le=WAIT_MAX_S, allow_inf_nan=False)]


class Holder(Strict):
    """
    Who holds the lock, or wants it. The same in every call about one lock.

    A client that gives the four pieces of kernel evidence and runs on the server's machine can be
    proved dead at once when its process is gone. Any other is judged by its lease alone: it is a
    ghost when it has not renewed for TTL and grace.
    """

    user: Annotated[Line, Field(max_length=USER_CHARS_MAX, examples=["mira"])]
    host: Annotated[Line, Field(max_length=HOST_CHARS_MAX, examples=["aim-control"])]
    program: Annotated[Line, Field(max_length=PROGRAM_CHARS_MAX, examples=["recalibrate.sh"])]
    pid: Pid
    machine_id: Evidence = Field(default=UNKNOWN, description=_EVIDENCE + "/etc/machine-id.")
    boot_id: Evidence = Field(
        default=UNKNOWN, description=_EVIDENCE + "/proc/sys/kernel/random/boot_id."
    )
    pid_namespace: Evidence = Field(
        default=UNKNOWN,
        description=_EVIDENCE + "`readlink /proc/self/ns/pid`.",
        examples=["pid:[4026531836]"],
    )
    start_ticks: Ticks = Field(
        default=0, description=_EVIDENCE + "field 22 of /proc/PID/stat, raw; 0 is not known."
    )

    def owner(self) -> Owner:
        """Return it as the protocol names it."""
        return Owner(**self.model_dump())


class Acquire(Strict):
    """A wish for the lock."""

    holder: Holder
    purpose: Purpose
    wait_s: Wait | None = Field(
        default=None,
        description=(
            "How long to wait in line, first come first served; not at all unless given. The"
            " place is kept for as long as the request is open, and given up with it."
        ),
        examples=[30],
    )


class Renew(Strict):
    """A heartbeat."""

    lock_id: LockId
    holder: Holder
    answer: Literal["finish"] | None = Field(
        default=None,
        description=(
            "The answer to a request for release that the last heartbeat told of: it finishes"
            " what it does, and then releases. It is logged."
        ),
    )


class Release(Strict):
    """The end of a holder's work."""

    lock_id: LockId
    holder: Holder


class RequestRelease(Strict):
    """A request to a living holder: finish or abort, and release."""

    lock_id: LockId
    reason: Reason
    wait_s: Wait = Field(
        default=0.0,
        description="How long to wait for the answer, and for the lock to be free.",
        examples=[10],
    )
    by: Holder | None = Field(
        default=None, description="Who asks; this server unless given. The holder is told."
    )


class ForceUnlock(Strict):
    """The order to take the lock from whoever holds it, and to resolve what is open."""

    lock_id: LockId
    reason: Reason
    dry_run: bool = Field(
        default=False, description="Say exactly what would be done, and do nothing."
    )
    by: Holder | None = Field(
        default=None, description="Who orders it; it is named in the lock's owner and journal."
    )


class Query(Strict):
    """The parameters behind the question mark: text by nature, so numbers are read from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class HistoryQuery(Query):
    """Which part of a journal."""

    after: int = Field(
        default=0, ge=0, le=EXACT_MAX, description="The index after which it begins."
    )
    limit: int = Field(
        default=HISTORY_MAX, ge=1, le=HISTORY_MAX, description="The most entries at once."
    )


class WatchQuery(Query):
    """From where, and for how long."""

    after: Annotated[int, Field(ge=0, le=EXACT_MAX)] | SkipJsonSchema[None] = Field(
        default=None,
        description="The `head` that is known; the present one unless given.",
    )
    timeout_s: float = Field(
        default=30.0,
        ge=0,
        le=WAIT_MAX_S,
        allow_inf_nan=False,
        description="How long to wait for something new. A stream of events is not limited.",
    )
