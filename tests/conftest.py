"""What every test may ask for: installed programs, a real broker, and reproducible examples."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import settings

from tests.table import ROW, lines

# The same examples everywhere: a failure on one machine is a failure on all of them. No
# deadline, since a loaded machine is not a defect.
settings.register_profile("repository", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repository")

# A shell that runs the tests in the background has told them to ignore Ctrl-C, and every program
# that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rewrite`` writes golden transcripts anew; read the difference before you keep it."""
    parser.addoption(
        "--rewrite", action="store_true", help="write the golden transcripts as they come out now"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of step, fault and outcome, of the tests that have noted a row."""
    done = terminalreporter.getreports("passed")
    found = [value for report in done for name, value in report.user_properties if name == ROW]
    if found:
        terminalreporter.section("what was killed, stopped or cut, and how it ended")
        for line in lines(sorted(found)):
            terminalreporter.write_line(line)


STRICT = os.environ.get("AIM_TESTS_STRICT") == "1"
SYSTEM_PROGRAMS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
START_S = 10.0
POLL_S = 0.01

MOSQUITTO_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 100
max_queued_messages 100000
"""

Need = Callable[[str], str]
"""Give the path of a program, or skip."""


@pytest.fixture(scope="session")
def need() -> Need:
    """
    Return a function that finds a program of the machine, or skips the test.

    With ``AIM_TESTS_STRICT=1`` a program that is not installed fails the test instead: that is
    how CI makes sure that nothing was left out.
    """

    def find(program: str) -> str:
        # A user's PATH lacks the sbin directories on Debian, where daemons live.
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_PROGRAMS))
        found = shutil.which(program, path=path)
        if found is not None:
            return found
        if STRICT:
            pytest.fail(f"{program}: not installed")
        pytest.skip(f"{program}: not installed")

    return find


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(kw_only=True)
class Mosquitto:
    """A real broker process of this test. Its port and directory outlive a restart."""

    program: str
    directory: Path
    port: int
    extra: str = ""
    persistent: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self.process is not None, "the broker is not running"
        return self.process.pid

    @property
    def log(self) -> str:
        """What the broker has said so far, over all its starts."""
        return (self.directory / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the broker and return when it accepts connections."""
        assert self.process is None, "the broker is running"
        config = self.directory / "mosquitto.conf"
        config.write_text(self._config())
        with (self.directory / "mosquitto.log").open("a") as log:
            self.process = self._spawn(config, log)
        self._wait_until_it_accepts()

    def kill(self) -> None:
        """End the broker as a power cut would: nothing is said goodbye to or written."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the broker in order; a persistent one writes its state. Idempotent."""
        if self.process is not None:
            self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Stop the broker in order if it runs, and start it on the same port."""
        self.stop()
        self.start()

    def _config(self) -> str:
        text = MOSQUITTO_CONFIG.format(port=self.port)
        if os.geteuid() == 0:
            text += "user root\n"  # else it becomes a user who may not enter our directory
        if self.persistent:
            text += f"persistence true\npersistence_location {self.directory}/\n"
        return text + self.extra

    def _spawn(self, config: Path, log: TextIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.program, "-v", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def _wait_until_it_accepts(self) -> None:
        assert self.process is not None
        give_up_at = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < give_up_at:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=START_S).close()
            except OSError:
                time.sleep(POLL_S)
            else:
                return
        self.kill()
        pytest.fail(f"mosquitto did not start:\n{self.log}")

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None, "the broker is not running"
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def mosquitto(need: Need, tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """
    Return a function that starts a real Mosquitto broker; each call starts another one.

    ``mosquitto(extra="", persistent=False)``: ``extra`` are further lines of its configuration
    file. All of them are ended when the test ends.
    """
    program = need("mosquitto")
    started: list[Mosquitto] = []

    def start(*, extra: str = "", persistent: bool = False) -> Mosquitto:
        directory = tmp_path / f"mosquitto-{len(started)}"
        directory.mkdir()
        broker = Mosquitto(
            program=program,
            directory=directory,
            port=free_port(),
            extra=extra,
            persistent=persistent,
        )
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop()
