"""
What goes into a field of a request: one line of text, an id, a lock id, each of capped size.

The patterns are written so that pydantic, Python and the JSON Schema of the OpenAPI document
read them alike.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator.protocol.types import ID_PATTERN

USER_CHARS_MAX: Final = 64
HOST_CHARS_MAX: Final = 255
PROGRAM_CHARS_MAX: Final = 200
EVIDENCE_CHARS_MAX: Final = 64
PURPOSE_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 500
LOCK_ID_CHARS_MAX: Final = 96

PID_MAX: Final = 2**31 - 1
EXACT_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6)."""

_BLANK: Final = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_HIDDEN: Final = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb"
)
"""Controls, and what reorders or hides text: a log and a terminal show these lines to people."""

LINE_PATTERN: Final = rf"^[^{_HIDDEN}{_BLANK}][^{_HIDDEN}]*$"
"""One line that a person can read. A lone surrogate is no text, and refused before this."""

LOCK_ID_PATTERN: Final = rf"^{ID_PATTERN}@([1-9][0-9]{{0,8}}\.)?[0-9]{{1,15}}$"


def whole(value: Any) -> Any:
    """
    Return a number without a fraction as an integer, anything else as it is.

    4121.0 is an integer by JSON Schema (2020-12, validation, section 6.1.1), and some languages
    have but one kind of number.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The bounds stand before the validator: only so the JSON Schema has them.
Pid = Annotated[int, Field(ge=1, le=PID_MAX, examples=[4121]), BeforeValidator(whole)]
Ticks = Annotated[int, Field(ge=0, le=EXACT_MAX), BeforeValidator(whole)]
Line = Annotated[str, Field(pattern=LINE_PATTERN, min_length=1)]
Purpose = Annotated[
    Line,
    Field(
        max_length=PURPOSE_CHARS_MAX,
        description="What the lock is for; shown to whoever finds it taken.",
        examples=["nightly recalibration"],
    ),
]
Reason = Annotated[
    Line,
    Field(
        max_length=REASON_CHARS_MAX,
        description="Why; it is kept in the journal.",
        examples=["mira's laptop is off, the site opens at six"],
    ),
]
LockId = Annotated[
    str,
    Field(
        pattern=LOCK_ID_PATTERN,
        max_length=LOCK_ID_CHARS_MAX,
        description=(
            "FLEET@EPOCH as `acquire` and the lists give it. It is the fencing token: once the"
            " lock has changed hands the old id is refused."
        ),
        examples=["hazard-12@41"],
    ),
]
FleetName = Annotated[str, Field(pattern=rf"^{ID_PATTERN}$", examples=["hazard-12"])]


class Strict(BaseModel):
    """A part of a request: nothing is converted, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
