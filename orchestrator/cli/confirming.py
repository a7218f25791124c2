"""What a verb that takes something from somebody asks for first: a reason, and a word typed."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from orchestrator.cli.context import Context
from orchestrator.cli.view import Screen, console
from orchestrator.errors import Exit, OperatingError

Confirm = Annotated[str | None, Parameter(name="--confirm")]

REASON_CHARS_MAX: Final = 500
PURPOSE_CHARS_MAX: Final = 100


def checked_reason(reason: str | None, command: str) -> str:
    """Return the reason as it is kept in the journal. Raises OperatingError (wrong use)."""
    if reason is None or not reason.strip():
        raise OperatingError(
            f"`aimctl {command}` needs --reason TEXT: it is kept in the journal",
            exit_code=Exit.USAGE,
            next_command=f"aimctl {command} --dry-run",
        )
    return checked_text("--reason", reason, REASON_CHARS_MAX)


def checked_text(flag: str, text: str, chars_max: int) -> str:
    """Return a text that fits into one line of the journal. Raises OperatingError."""
    text = text.strip()
    if len(text) > chars_max:
        raise OperatingError(f"{flag} has more than {chars_max} characters", exit_code=Exit.USAGE)
    if not text.isprintable():
        raise OperatingError(
            f"{flag} has characters that can't be printed: {text!a}", exit_code=Exit.USAGE
        )
    return text


def check_confirm(context: Context, confirm: str | None, wanted: str, command: str) -> None:
    """Refuse a wrong --confirm, and none where nobody can be asked."""
    if confirm is not None and confirm != wanted:
        raise OperatingError(
            f"--confirm {confirm} is not {wanted}: nothing was changed",
            exit_code=Exit.USAGE,
            next_command=f"aimctl {command} --dry-run",
        )
    if confirm is None and not context.interactive:
        raise OperatingError(
            f"there is no terminal to type {wanted} on, and no --confirm",
            exit_code=Exit.USAGE,
            next_command=f"aimctl {command} --reason TEXT --confirm {wanted}",
        )


def asking_screen(context: Context) -> Screen:
    """Return where a person is shown what they are asked about: stderr."""
    return Screen(console(no_color=context.no_color, stderr=True))


def typed(wanted: str, what: str) -> bool:
    """Let a person type ``wanted``; nothing else will do."""
    from orchestrator.cli.push import ask

    return ask(f"Type {wanted} to {what}: ").strip() == wanted


def not_confirmed(context: Context) -> int:
    """Say that nothing was changed; return the exit code."""
    message = "not confirmed: nothing was changed"
    code = int(Exit.INTERRUPTED)
    context.view.fail(
        {"type": "error", "exit_code": code, "message": message, "next": None}, message
    )
    return code
