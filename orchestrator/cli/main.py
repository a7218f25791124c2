"""
The entry of ``aimctl``: global options, dispatch, and every way in which a command can end.

The outer application takes the global options from wherever they stand; the inner one has the
commands. Whatever happens becomes an exit code, a message on stderr and, with ``--output json``,
one document on stdout; nobody sees a traceback without asking for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from os import environ  # noqa: TID251 - the environment, once, for the settings
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Group, Parameter

from orchestrator import __version__
from orchestrator.cli import (
    agent,
    broker,
    demo,
    devices,
    doctor,
    history,
    locks,
    params,
    plan,
    plot,
    push,
    recover,
    reseed,
    schema,
    serve,
    status,
)
from orchestrator.cli.context import Context
from orchestrator.cli.later import refuse_what_comes_later
from orchestrator.cli.view import View, make_view, prepare_streams
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.settings import OUTPUTS, load_settings, places

HELP: Final = """\
Push one aim-controller configuration to every device of a fleet, or to none.

For example:
  aimctl demo                                  (see it work, nothing to set up)
  aimctl plan aim_lock_config.conf --fleet hazard-12
  aimctl push aim_lock_config.conf --fleet hazard-12
  aimctl status --fleet hazard-12 --watch
  aimctl lock list                             (who holds what, do they live)
  aimctl lock show hazard-12                   (its story, and the ways out)
"""

EPILOGUE: Final = """\
Exit codes:
    0  done, or nothing to do
    1  unexpected error
    2  wrong use
    3  plan --detailed-exitcode: changes pending
    4  decided ABORT: the fleet is unchanged
    5  decided COMMIT, some devices are not active yet: safe
    6  HOT: the lock is held by somebody else
    7  fenced: our lock was taken while we worked
    8  the plan, or the lock id, is stale
    9  invalid configuration or fleet
   10  --timeout ran out before a decision (then aborted)
   11  store or broker not reachable: nothing was begun
   12  outcome unknown: run `aimctl recover`
  130  interrupted: aborted before the decision, detached after it
"""

_GLOBAL: Final = Group("Global options", sort_key=100)

app = App(
    name="aimctl",
    help=HELP,
    help_epilogue=EPILOGUE,
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
app["--help"].group = _GLOBAL
app["--version"].group = _GLOBAL
for _module in (
    demo,
    plan,
    push,
    status,
    history,
    devices,
    locks,
    recover,
    reseed,
    serve,
    agent,
    params,
    plot,
    broker,
    schema,
    doctor,
):
    _module.register(app)
for _place, _name in enumerate(name for name in app if not name.startswith("-")):
    app[_name].sort_key = _place
    app[_name].help_epilogue = ""


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    store: Annotated[str | None, Parameter(group=_GLOBAL)] = None,
    broker: Annotated[str | None, Parameter(group=_GLOBAL)] = None,
    output: Annotated[str | None, Parameter(group=_GLOBAL)] = None,
    log_level: Annotated[str | None, Parameter(group=_GLOBAL)] = None,
    no_color: Annotated[bool, Parameter(group=_GLOBAL, negative="", show_default=False)] = False,
) -> int:
    """
    Run a command with its global options.

    Parameters
    ----------
    tokens
        The command and its own arguments.
    store
        sqlite:///PATH of the journal; by default in the user's state directory. [AIMCTL_STORE]
    broker
        mqtt://HOST[:PORT] or mqtts://. [AIMCTL_BROKER]
    output
        text, json (exactly one document) or jsonl (a document a line). [AIMCTL_OUTPUT]
    log_level
        debug, info, warning or error, on stderr. [AIMCTL_LOG_LEVEL]
    no_color
        No colour; NO_COLOR and FORCE_COLOR are heeded too.
    """
    flags = {
        "store": store,
        "broker": broker,
        "output": output,
        "log_level": log_level,
        "no_color": "true" if no_color else None,
    }
    view = _early_view(output)
    debug = False
    try:
        settings = load_settings(places(flags, environ))
        view = make_view(settings.output.value, no_color=settings.no_color.value == "true")
        debug = settings.log_level.value == "debug"
        return _run(Context(settings=settings, view=view), tokens)
    except KeyboardInterrupt:
        view.fail(_error("interrupted", Exit.INTERRUPTED), "interrupted")
        return int(Exit.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        return _failed(view, error, tokens, debug=debug)


def _early_view(output: str | None) -> View:
    """Return the view for what goes wrong before the settings are known."""
    wanted = output or environ.get("AIMCTL_OUTPUT", "text")
    return make_view(wanted if wanted in OUTPUTS else "text", no_color=False)


def _run(context: Context, tokens: Sequence[str]) -> int:
    refuse_what_comes_later(tokens)
    import inspect

    command, bound, ignored = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    given = {"context": context} if "context" in ignored else {}
    result = command(*bound.args, **bound.kwargs, **given)
    if inspect.iscoroutine(result):
        import asyncio

        result = asyncio.run(result)
    return int(result) if isinstance(result, int) else int(Exit.DONE)


# --- how it may fail --------------------------------------------------------------------------


def _failed(view: View, error: Exception, tokens: Sequence[str], *, debug: bool) -> int:
    if debug and not isinstance(error, CycloptsError):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OperatingError):
        return fail(view, error)
    if isinstance(error, CycloptsError):
        return _wrong_use(view, error, tokens)
    if isinstance(error, InvariantViolation):
        return fail(view, _violated(error))
    return fail(view, _unexpected(error))


def fail(view: View, error: OperatingError) -> int:
    """Show an operating error in the form of INTERFACE; return its exit code."""
    document = _error(error.message, error.exit_code, error.next_command)
    lines = f"ERROR: {error.message}"
    notes = getattr(error, "notes", None)
    if notes is not None:
        document["notes"] = [note.as_json() for note in notes]
        lines = "\n".join(["ERROR: nothing was begun, for what stands below", *_told(notes)])
    if error.document is not None:
        document = {**error.document, "exit_code": int(error.exit_code)}
    if error.next_command is not None:
        lines += f"\n  next      {error.next_command}"
    view.fail(document, lines)
    return int(error.exit_code)


def _told(notes: Sequence[Any]) -> list[str]:
    """Return the findings as compilers tell them, each with how to mend it."""
    return [f"{note}\n    fix: {note.fix}" if note.fix else str(note) for note in notes]


def _error(message: str, code: Exit, following: str | None = None) -> dict[str, Any]:
    return {"type": "error", "exit_code": int(code), "message": message, "next": following}


def _wrong_use(view: View, error: CycloptsError, tokens: Sequence[str]) -> int:
    known = [name for name in tokens[:2] if not name.startswith("-")]
    while known and not _is_command(known):
        known.pop()
    following = " ".join(["aimctl", *known, "--help"])
    usage = OperatingError(str(error), exit_code=Exit.USAGE, next_command=following)
    return fail(view, usage)


def _is_command(words: Sequence[str]) -> bool:
    where = app
    for word in words:
        if word not in where:
            return False
        where = where[word]
    return True


def _violated(error: InvariantViolation) -> OperatingError:
    return OperatingError(
        f"an invariant does not hold: {error}. Nothing may go on; the journal was not changed",
        exit_code=Exit.UNEXPECTED,
        next_command="aimctl doctor",
    )


def _unexpected(error: Exception) -> OperatingError:
    return OperatingError(
        f"unexpected: {type(error).__name__}: {error}",
        exit_code=Exit.UNEXPECTED,
        next_command="the same command with --log-level debug, which prints the traceback",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    prepare_streams()
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app.meta(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _wrong_use(_early_view(None), error, tokens)
    return code if isinstance(code, int) else int(Exit.DONE)
