"""
The demo, as a person starts it: a process of its own, with real children.

Every run has a TMPDIR of its own, by which its processes and its files are found.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drone_sim.demo.workspace import NEW, OLD
from tests.source import ROOT

TIMEOUT_S = 90.0
POLL_S = 0.02
PLAY = "import sys; from drone_sim.demo import run; sys.exit(run({}))"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A demo that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """What was told, by a demo that went as told."""
        assert self.code == 0, self.stdout + self.stderr
        return self.stdout

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        (line,) = self.text.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir(exist_ok=True)
    return folder


async def begin(folder: Path, arguments: str) -> Process:
    """Start a demo whose temporary files are in ``folder``."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PLAY.format(arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(made(folder))},
    )


async def end(demo: Process) -> Ended:
    """Wait for its end."""
    async with asyncio.timeout(TIMEOUT_S):
        stdout, stderr = await demo.communicate()
    assert demo.returncode is not None
    return Ended(code=demo.returncode, stdout=stdout.decode(), stderr=stderr.decode())


async def play(folder: Path, arguments: str) -> Ended:
    """Play a demo to its end; nothing of it may be left."""
    ended = await end(await begin(folder, arguments))
    assert [] == left_behind(folder), ended.stderr
    return ended


def left_behind(folder: Path) -> list[str]:
    """The processes that a demo has started and that still run, and its files."""
    return [*running(folder), *(path.name for path in folder.iterdir())]


def running(folder: Path) -> list[str]:
    """The processes whose temporary files are in ``folder``."""
    mine = f"TMPDIR={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mine in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words != [b""]:  # a zombie has none: its parent has not looked yet
                    found.append(b" ".join(words).decode(errors="replace"))
    return found


def versions(document: dict[str, Any]) -> set[int]:
    """The versions that devices run."""
    return {device["version"] for device in document["devices"].values()}


def digests(document: dict[str, Any]) -> set[str]:
    """The digests of the devices' active files."""
    return {device["digest"] for device in document["devices"].values()}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of one plain demo."""
    folder = tmp_path_factory.mktemp("push")
    return asyncio.run(play(folder, "output='json'")).document


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of one incident."""
    folder = tmp_path_factory.mktemp("incident")
    return asyncio.run(play(folder, "incident=True, output='json'")).document


def test_push_ends_with_every_device_on_the_new_version(pushed: dict[str, Any]) -> None:
    """The plain demo pushes twice, and all twelve drones run the second version, one digest."""
    assert ("demo", "push", 12) == (pushed["type"], pushed["mode"], len(pushed["devices"]))
    assert (1, 1) == (len(versions(pushed)), len(digests(pushed)))
    assert min(versions(pushed)) >= 2  # more where a busy machine made a push abort


def test_push_is_quick(pushed: dict[str, Any]) -> None:
    """From start to end the plain demo takes less than 15 s, and tells skew and time held."""
    assert 0 < pushed["total_ms"] < 15_000
    assert 0 <= pushed["activation_skew_ms"] < pushed["hold_ms"]


def test_incident_ends_uniform_both_times(incident: dict[str, Any]) -> None:
    """Undecided, all end on the old version; decided, all on the new one; promises are kept."""
    undecided, decided = incident["runs"]
    assert ["undecided", "decided"] == [undecided["story"], decided["story"]]
    assert (True, True) == (undecided["uniform"], decided["uniform"])
    files = [
        [c["claim"] for c in run["checks"] if c["claim"].startswith("every active file is ")]
        for run in (undecided, decided)
    ]
    said = "every active file is {}, byte for byte in canonical form"
    assert [[said.format(OLD)], [said.format(NEW)]] == files
    assert [] == [c for run in incident["runs"] for c in run["checks"] if not c["kept"]]
    assert decided["devices"] == incident["devices"]


def test_incident_kills_and_forces_for_real(incident: dict[str, Any]) -> None:
    """In both runs one push ends by signal 9, one finds HOT (6), and the forced unlock ends 0."""
    for run in incident["runs"]:
        codes = [(c["command"].split()[0], c["exit_code"]) for c in run["commands"]]
        assert any(code == -signal.SIGKILL for _, code in codes)
        assert ("aimctl", 6) in codes
        forced = [c for c in run["commands"] if "force-unlock" in c["command"]]
        assert [0, 0] == [command["exit_code"] for command in forced]


async def test_naive_ends_split(tmp_path: Path) -> None:
    """What scripts do leaves 7 devices on version 2 and 5 on version 1; as told, so exit 0."""
    arguments = "incident=True, naive=True, output='json'"
    document = (await play(tmp_path / "t", arguments)).document
    found = [device["version"] for device in document["devices"].values()]
    assert ("naive", 7, 5) == (document["mode"], found.count(2), found.count(1))
    assert 2 == len(digests(document))


async def test_two_demos_run_side_by_side(tmp_path: Path) -> None:
    """Two demos at the same time don't see each other."""
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(play(tmp_path / name, "output='json'")) for name in "ab"]
    assert [1, 1] == [len(digests(demo.result().document)) for demo in both]


@pytest.mark.parametrize("mode", ["", "incident=True, ", "naive=True, "])
async def test_pip_alone_is_enough(tmp_path: Path, mode: str) -> None:
    """Without Mosquitto the broker that pip installs carries every story."""
    ended = await play(tmp_path / "t", mode + "broker='amqtt'")
    assert "amqtt, started by this program" in ended.text


async def test_text_shows_the_hot_error_word_for_word(tmp_path: Path) -> None:
    """The story quotes the error that an operator meets, and the commands that were run."""
    told = (await play(tmp_path / "t", "incident=True")).text
    assert 2 == told.count("| ERROR: aim_lock_config.conf: HOT")
    assert "$ AIMCTL_FAULT=kill@append:decided:after aimctl push" in told
    assert "\x1b" not in told


async def test_a_fleet_of_another_size(tmp_path: Path) -> None:
    """Another number of drones has a fleet file of its own; the kill comes at 7/12 of them."""
    arguments = "devices=5, naive=True, output='json'"
    document = (await play(tmp_path / "t", arguments)).document
    found = [device["version"] for device in document["devices"].values()]
    assert (3, 2) == (found.count(2), found.count(1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["drone-sim fleet", "aimctl push", "AIMCTL_FAULT"])
async def test_interrupted_leaves_nothing(
    tmp_path: Path, after: str, number: signal.Signals
) -> None:
    """Ctrl-C or SIGTERM at any step ends every process and removes every file."""
    demo = await begin(tmp_path / "t", "incident=True, broker='amqtt'")
    await told(demo, after)
    demo.send_signal(number)
    ended = await end(demo)
    assert "interrupted" in ended.stderr
    assert [] == left_behind(tmp_path / "t")


async def test_killed_leaves_no_process(tmp_path: Path, need: Any) -> None:
    """Even kill -9 of the demo leaves no device and no broker running."""
    need("setpriv")
    need("mosquitto")
    demo = await begin(tmp_path / "t", "incident=True, broker='mosquitto'")
    await told(demo, "aimctl push")
    demo.kill()
    await end(demo)
    for _ in range(500):  # the kernel ends them; how soon is its business
        if not running(tmp_path / "t"):
            break
        await asyncio.sleep(POLL_S)
    assert [] == running(tmp_path / "t")


async def told(demo: Process, words: str) -> None:
    """Wait until the demo has printed ``words``."""
    assert demo.stdout is not None
    async with asyncio.timeout(TIMEOUT_S):
        while line := await demo.stdout.readline():
            if words in line.decode():
                return
    pytest.fail(f"the demo never said {words!r}")
