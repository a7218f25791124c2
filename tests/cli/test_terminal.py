"""What a person at a terminal sees: prompts over a real pseudo-terminal, and the live table."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.files import find_fleet, open_source
from orchestrator.cli.live import render
from orchestrator.cli.progress import Progress
from orchestrator.cli.view import HumanView
from orchestrator.protocol.types import DeviceId
from orchestrator.service import push as service
from orchestrator.service.locks import read_fleet
from tests.cli.conftest import Aimctl, Desk
from tests.service.fleet import FLEET, Fleet, fleet_of
from tests.source import ROOT

END_S = 30.0
ESCAPES = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass
class Terminal:
    """A program on a pseudo-terminal, and everything that it has shown."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = field(default="")

    def until(self, text: str) -> None:
        """Read until ``text`` has been shown."""
        give_up_at = time.monotonic() + END_S
        while text not in self.shown:
            assert time.monotonic() < give_up_at, f"{text!r} was not shown: {self.shown}"
            if not self._read():
                pytest.fail(f"it ended without {text!r}: {self.shown}")

    def _read(self) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], 0.1)
        if not ready:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # how Linux tells that the other end has been closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self.descriptor, text.encode())

    def code(self) -> int:
        """Wait for the end."""
        while self._read():
            pass
        return self.process.wait(END_S)


@pytest.fixture
def terminal(home: Path, samples: Path) -> Terminals:
    """Starts ``aimctl`` on a terminal of its own, in a directory with the samples."""
    shutil.copytree(samples, home / "configs")
    return Terminals(home)


@dataclass
class Terminals:
    home: Path

    def start(self, *arguments: str, **environment: str) -> Terminal:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            cwd=self.home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        return Terminal(process=process, descriptor=ours)


PUSH = ("push", "configs/aim_lock_config.conf", "--fleet", "hazard-12")


@pytest.mark.parametrize(("typed", "code"), [("n\r", 130), ("\r", 130), ("\x04", 130)])
def test_the_prompt_takes_no_for_an_answer(terminal: Terminals, typed: str, code: int) -> None:
    """Enter, n and Ctrl-D begin nothing."""
    shown = terminal.start(*PUSH)
    shown.until("Push this? [y/N]")
    shown.type(typed)
    assert code == shown.code()
    assert "not confirmed: nothing was begun" in shown.shown
    assert "12 × d-01, d-02" in shown.shown


def test_ctrl_c_at_the_prompt_begins_nothing(terminal: Terminals) -> None:
    """It is an answer, at once: not one after the next key."""
    shown = terminal.start(*PUSH)
    shown.until("Push this? [y/N]")
    shown.process.send_signal(signal.SIGINT)
    assert 130 == shown.code()
    assert "nothing was begun" in shown.shown


def test_a_yes_goes_on_to_the_broker(terminal: Terminals) -> None:
    """There is none here: 11, and no traceback."""
    shown = terminal.start(*PUSH, "--broker", "mqtt://127.0.0.1:1")
    shown.until("[y/N]")
    shown.type("y\r")
    assert 11 == shown.code()
    assert "connection refused" in shown.shown


def colours(text: str) -> set[str]:
    """The colour codes in a text: 30 to 37 and 90 to 97 (ECMA-48 §8.3.117)."""
    codes = {code for found in ESCAPES.findall(text) for code in found.split(";")}
    return {code for code in codes if re.fullmatch(r"[39][0-7]", code)}


@pytest.mark.parametrize(
    ("arguments", "environment", "colourful"),
    [
        ((), {}, True),
        (("--no-color",), {}, False),
        ((), {"NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_those_who_want_it(
    terminal: Terminals,
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    colourful: bool,
) -> None:
    """A terminal has colours, unless NO_COLOR or --no-color says otherwise."""
    shown = terminal.start("lint", "configs", *arguments, **environment)
    assert 0 == shown.code()
    assert colourful == bool(colours(shown.shown))
    assert "✔ 0 errors" in shown.shown


def test_colour_can_be_forced(aimctl: Aimctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR brings it into a pipe."""
    assert set() == colours(aimctl("lint", str(ROOT / "configs")).out)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert set() != colours(aimctl("lint", str(ROOT / "configs")).out)


# --- the live table ---------------------------------------------------------------------------


def picture(progress: Progress, rows: int = 20, width: int = 100) -> str:
    """What the table shows now."""
    file = StringIO()
    Console(file=file, width=width).print(render(progress, rows))
    return file.getvalue()


async def followed(desk: Desk, fleet: Fleet, rate: int) -> Progress:
    """Push a configuration while a table is drawn of it."""
    world, known = fleet.world(), find_fleet(desk.fleet_file(len(fleet.drones)))
    version = (await read_fleet(world, FLEET)).version
    staged = open_source(desk.config(rate), known)(version)
    view = HumanView(no_color=True)
    progress = Progress(view=view, clock=world.clock, fleet=known, plan=staged.plan)
    progress.quiet = True
    assert "◌ staged" in picture(progress)
    await service.push(world, replace(staged.order(None, None), watch=progress.watch))
    return progress


async def test_the_live_table_shows_devices_and_how_far_they_are(desk: Desk) -> None:
    """Before the first step, at the end of a COMMIT, and at the end of an ABORT."""
    async with fleet_of(3) as fleet:
        committed = picture(await followed(desk, fleet, 90))
        fleet.drones[DeviceId("d-02")].refuses = ("gimbal blocked",)
        progress = await followed(desk, fleet, 110)
    assert "✔ staged · voted 3/3 · decided COMMIT · active 3/3" in committed
    assert "aim_lock_config.conf → fleet hazard-12, txn 1" in committed
    assert "d-02    drone  ✔ yes  ✔ active" in committed
    aborted = picture(progress)
    assert "✘ staged · voted 3/3 · decided ABORT: refused" in aborted
    assert "d-02    drone  ✘ no" in aborted
    assert "gimbal blocked" in aborted
    assert "… and 2 more" in picture(progress, rows=1)
    assert "" == desk.ran(0).err
