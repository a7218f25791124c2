"""
From what went wrong to what is answered: one error model, the right status, the CLI's exit code.

====  ===============  =======================================================================
401   unauthorized     the token is missing or wrong
403   foreign-owner    the lock is held by somebody else under that very epoch
404   unknown-fleet    neither in the store, nor served, nor has it a file
409   hot              the lock can't be had or given back now; as a rule with the `hot` document
412   fenced, stale    the lock id is no longer the lock's
413   too-large        the body
422   invalid          a body, a parameter or an id that is not as described
503   unreachable      store or broker are away, or did not answer in time
====  ===============  =======================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.responses import JSONResponse

from orchestrator.errors import Exit, OperatingError
from orchestrator.web.documents import ErrorDocument

MESSAGE_CHARS_MAX: Final = 4000

_BY_EXIT: Final[Mapping[Exit, tuple[int, str]]] = {
    Exit.USAGE: (422, "invalid"),
    Exit.INVALID: (422, "invalid"),
    Exit.HOT: (409, "hot"),
    Exit.FENCED: (412, "fenced"),
    Exit.PLAN_STALE: (412, "stale"),
    Exit.UNREACHABLE: (503, "unreachable"),
    Exit.UNKNOWN: (503, "outcome-unknown"),
    Exit.TIMED_OUT: (503, "timed-out"),
}
_UNEXPECTED: Final = (500, "unexpected")


class Refusal(OperatingError):  # noqa: N818 - an answer, not a defect
    """An operating error whose status and code its exit code does not tell."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        exit_code: Exit,
        next_command: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, exit_code=exit_code, next_command=next_command)
        self.status = status
        self.code = code
        self.headers = headers


def answer(error: OperatingError) -> JSONResponse:
    """Return the response that tells ``error``: its own document, if it has one."""
    status, code = _BY_EXIT.get(error.exit_code, _UNEXPECTED)
    headers = None
    if isinstance(error, Refusal):
        status, code, headers = error.status, error.code, error.headers
    if error.document is not None:
        content = {"schema": 1, **error.document, "exit_code": int(error.exit_code)}
        return JSONResponse(content, status, headers)
    return JSONResponse(_document(error, code), status, headers)


def _document(error: OperatingError, code: str) -> dict[str, Any]:
    document = ErrorDocument(
        code=code,
        message=encodable(error.message),
        next=error.next_command,
        exit_code=int(error.exit_code),
    )
    return document.model_dump(mode="json")


def encodable(text: str) -> str:
    """Return ``text`` cut to size, and with lone surrogates escaped: a refusal may quote input."""
    return text.encode("utf-8", "backslashreplace").decode()[:MESSAGE_CHARS_MAX]


def unknown_fleet(fleet: str) -> Refusal:
    """Make the error of a fleet that nobody knows."""
    return Refusal(
        404,
        "unknown-fleet",
        f"there is no fleet {fleet!r}: it is not in the store, not served, and has no file",
        exit_code=Exit.USAGE,
        next_command="aimctl lock list",
    )


def other_fleet(lock_id: str, fleet: str) -> OperatingError:
    """Make the error of a lock id that is another fleet's than the path's."""
    return OperatingError(
        f"{lock_id} is not a lock of fleet {fleet}",
        exit_code=Exit.PLAN_STALE,
        next_command="aimctl lock list",
    )


def gone() -> Refusal:
    """Make what is answered to a client that went away: nobody reads it."""
    return Refusal(408, "gone", "the client went away while it waited", exit_code=Exit.INTERRUPTED)


def error_response(description: str) -> dict[str, Any]:
    """Return how the OpenAPI document describes a response that is an error."""
    return {"model": ErrorDocument, "description": description}
