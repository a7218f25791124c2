"""Every way in which a command line can end, without a store or a broker."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator import __version__
from orchestrator.cli import main as entry
from orchestrator.cli.later import COMMANDS, FLAGS
from orchestrator.errors import Exit
from orchestrator.protocol.errors import InvariantViolation
from tests.cli.conftest import Aimctl
from tests.source import ROOT


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_that_come_later_are_refused(aimctl: Aimctl, words: tuple[str, ...]) -> None:
    """Each ends with 2 and a sentence, whatever stands behind it."""
    ran = aimctl(*words, "--whatever", "x", "--output", "json")
    assert (2, "error", 2) == (ran.code, ran.document["type"], ran.document["exit_code"])
    assert f"`aimctl {' '.join(words)}` is not in this version" == ran.document["message"]


@pytest.mark.parametrize("flag", FLAGS["push",])
@pytest.mark.parametrize("value", [[], ["5"], ["=5"]], ids=["bare", "value", "equals"])
def test_flags_that_come_later_are_refused(aimctl: Aimctl, flag: str, value: list[str]) -> None:
    """None of them is ignored, in no spelling."""
    spelled = [flag + "".join(value)] if value == ["=5"] else [flag, *value]
    ran = aimctl("push", "x.conf", "--fleet", "y", *spelled, "--yes")
    assert 2 == ran.code
    assert f"`{flag}` of `aimctl push` is not in this version" in ran.err


def test_a_flag_behind_the_end_of_options_is_no_flag(aimctl: Aimctl) -> None:
    """After ``--`` a word is a file's name."""
    ran = aimctl("lint", "--", "--detach")
    assert 9 == ran.code
    assert "--detach: error: can't be read" in ran.out


@pytest.mark.parametrize(
    ("arguments", "told", "following"),
    [
        (["pusch"], 'Did you mean "push"?', "aimctl --help"),
        (["push", "x"], "--fleet", "aimctl push --help"),
        (["push", "x", "--fleet", "y", "--bogus"], "--bogus", "aimctl push --help"),
        (["lock", "pick"], "pick", "aimctl lock --help"),
        (["--output", "xml", "lock", "list"], "text, json, jsonl", "aimctl doctor --help"),
        (["--output"], "--output", "aimctl --help"),
    ],
)
def test_wrong_use_names_what_and_the_next_command(
    aimctl: Aimctl, arguments: list[str], told: str, following: str
) -> None:
    """Exit code 2, nothing on stdout, the way on."""
    ran = aimctl(*arguments)
    assert (2, "") == (ran.code, ran.out)
    assert told in ran.err
    assert f"  next      {following}" in ran.err


def test_wrong_use_is_a_document_too(aimctl: Aimctl) -> None:
    """With JSON stdout is one error document, wherever --output stands."""
    for arguments in (["--output", "json", "push"], ["push", "--output=json"]):
        ran = aimctl(*arguments)
        assert ("error", 2) == (ran.document["type"], ran.document["exit_code"])


def test_global_options_stand_anywhere(aimctl: Aimctl) -> None:
    """Before the command, behind it, with and without an equals sign."""
    for arguments in (
        ["--output", "json", "lock", "list"],
        ["lock", "--output=json", "list"],
        ["lock", "list", "--output", "json"],
    ):
        assert {"schema": 1, "type": "locks", "locks": []} == aimctl(*arguments).document


def test_help_shows_examples_before_options(aimctl: Aimctl) -> None:
    """Of the program and of every command."""
    names = [name for name in entry.app if not name.startswith("-")]
    assert {"demo", "push", "lock", "doctor"} < set(names)
    for words in ([], *([name] for name in names if name not in {"lock", "broker"})):
        ran = aimctl(*words, "--help")
        assert 0 == ran.code
        assert -1 < ran.out.find("For example:") < ran.out.find("─")


def test_help_lists_all_exit_codes(aimctl: Aimctl) -> None:
    """The program's help is where a person looks them up."""
    told = aimctl("--help").out
    for code in Exit:
        assert f"\n  {code.value:>3}  " in told


def test_help_stays_quick() -> None:
    """Showing the help loads none of the heavy libraries."""
    code = (
        "import sys; from orchestrator.cli.main import main; main(['push', '--help']);"
        "print([m for m in ('pydantic', 'aiomqtt', 'amqtt', 'structlog', 'sqlite3', 'asyncio')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "[]" == done.stderr.strip()


def test_a_broken_invariant_stops_everything(
    aimctl: Aimctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1; the message says that nothing may go on and that the journal is whole."""

    def broken(*_: object) -> None:
        raise InvariantViolation("I7: decided twice")

    monkeypatch.setattr(entry, "_run", broken)
    ran = aimctl("lock", "list", "--output", "json")
    assert (1, 1) == (ran.code, ran.document["exit_code"])
    assert "I7: decided twice. Nothing may go on; the journal" in ran.document["message"]


def test_an_unexpected_error_is_one_line_without_a_traceback(
    aimctl: Aimctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and how to see more; ``--log-level debug`` shows it."""

    def broken(*_: object) -> None:
        raise TypeError("oops")

    monkeypatch.setattr(entry, "_run", broken)
    ran = aimctl("lock", "list")
    assert (1, "") == (ran.code, ran.out)
    assert "ERROR: unexpected: TypeError: oops\n  next      the same command" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in aimctl("lock", "list", "--log-level", "debug").err


def test_ctrl_c_outside_a_push_is_130(aimctl: Aimctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that only reads is ended, and says so."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", interrupted)
    assert 130 == aimctl("status", "--output", "json").document["exit_code"]


def test_a_closed_pipe_changes_no_exit_code(aimctl: Aimctl) -> None:
    """A reader that goes away ends nothing, and nothing complains."""
    command = f"{sys.executable} -m orchestrator.cli lint configs --output json"
    done = subprocess.run(
        f"{command} >&- ; echo $?; {command} | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ["0", "0"] == done.stdout.split()
    assert "Exception" not in done.stderr
    assert "Traceback" not in done.stderr


def test_text_that_the_terminal_cannot_show_is_escaped() -> None:
    """An ASCII terminal gets escapes, not an error."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "lint", "configs"],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert "\\u2714 0 errors" in done.stdout


def test_the_module_is_the_program() -> None:
    """``python -m orchestrator.cli`` prints the version that the package has."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert __version__ == done.stdout.strip()


def test_no_command_prints_a_password(aimctl: Aimctl) -> None:
    """Neither doctor nor an error shows what is in a URL."""
    secret = "mqtt://mira:hunter2@127.0.0.1:1/"
    for arguments in (["doctor"], ["doctor", "--output", "json"], ["lock", "list"]):
        ran = aimctl(*arguments, "--broker", secret)
        assert "hunter2" not in ran.out + ran.err
    document = aimctl("doctor", "--broker", secret, "--output", "json").document
    shown = {one["name"]: one for one in document["settings"]}
    assert ("mqtt://127.0.0.1:1/", "flag --broker") == (
        shown["broker"]["value"],
        shown["broker"]["origin"],
    )
    assert json.dumps(document).count("hunter2") == 0


def test_a_full_disk_behind_stdout_is_told_and_changes_no_exit_code() -> None:
    """What was done is done, whether its telling could be written or not."""
    with open("/dev/full", "w", encoding="ascii") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", "lint", "configs", "--output", "json"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (0, True) == (done.returncode, "No space left on device" in done.stderr), done.stderr
