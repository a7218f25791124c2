"""The entry of ``drone-sim``: dispatch, and every way in which a command can end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from drone_sim.cli import autopilot, baseline, check, explore, fleet, replay, run, schema
from orchestrator import __version__
from orchestrator.cli.view import prepare_streams, unbroken
from orchestrator.errors import Exit, OperatingError

HELP: Final = """\
Simulated devices, and whole fleets with every fault that can happen to them.

For example:
  drone-sim explore --seeds 1..2000     (each another fleet, and other faults)
  drone-sim run incident-undecided      (one story)
  drone-sim replay 17                   (what happened, line by line)
  drone-sim check aim_lock_config.conf --fleet hazard-12 --seeds 100
"""

EPILOGUE: Final = """\
Exit codes:
    0  done, or all invariants held
    1  a violation, or a goal that was not seen (with one `reproduce:` line), or an error
    2  wrong use
  130  interrupted before anything was found
"""

WRONG_USE: Final = frozenset({Exit.USAGE, Exit.INVALID})

app = App(
    name="drone-sim",
    help=HELP,
    help_epilogue=EPILOGUE,
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
for _module in (run, explore, replay, check, baseline, fleet, autopilot, schema):
    _module.register(app)
for _place, _name in enumerate(name for name in app if not name.startswith("-")):
    app[_name].sort_key = _place
    app[_name].help_epilogue = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    prepare_streams()
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        known = [name for name in tokens[:1] if name in app and not name.startswith("-")]
        usage = " ".join(["drone-sim", *known, "--help"])
        wrong = OperatingError(str(error), exit_code=Exit.USAGE, next_command=usage)
        return _failed(wrong, tokens)
    except OperatingError as error:
        return _failed(error, tokens)
    except KeyboardInterrupt:
        return _failed(OperatingError("interrupted", exit_code=Exit.INTERRUPTED), tokens)
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        traceback.print_exception(error)
        text = f"unexpected: {type(error).__name__}: {error}"
        return _failed(OperatingError(text, exit_code=Exit.UNEXPECTED), tokens)
    return code if isinstance(code, int) else int(Exit.DONE)


def _failed(error: OperatingError, tokens: Sequence[str]) -> int:
    """Show why there is no result; return its exit code."""
    code = int(_code_of(error))
    if _wants_json(tokens):
        from drone_sim.cli.documents import encoded
        from orchestrator.cli.documents.others import ErrorDocument

        document = ErrorDocument(
            type="error", exit_code=code, message=error.message, next=error.next_command
        )
        with unbroken(stdout=True):
            sys.stdout.write(encoded(document) + "\n")
    with unbroken(stdout=False):
        sys.stderr.write(f"ERROR: {error.message}\n")
        if error.next_command:
            sys.stderr.write(f"  next  {error.next_command}\n")
    return code


def _code_of(error: OperatingError) -> Exit:
    if error.exit_code in WRONG_USE:
        return Exit.USAGE
    return Exit.INTERRUPTED if error.exit_code is Exit.INTERRUPTED else Exit.UNEXPECTED


def _wants_json(tokens: Sequence[str]) -> bool:
    pairs = zip(tokens, [*tokens[1:], ""], strict=True)
    return "--output=json" in tokens or ("--output", "json") in pairs
