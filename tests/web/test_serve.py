"""`aimctl serve` as it is run: a real process, a real broker, a client in another process."""

from __future__ import annotations

import json
import signal
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto, free_port
from tests.e2e.processes import Program, wait_for

FLEET_FILE = """\
fleet = "yard"
config = "aim_lock_config.conf"
[timing]
settle_s = 1.0
[[device]]
id = "x-1"
kind = "drone"
"""
CLIENT = '''\
"""Take the lock with the standard library alone, say so, and work for ever."""
import json, os, sys, time, urllib.request

url, token = sys.argv[1:]
stat = open("/proc/self/stat").read()
holder = {
    "user": "mira", "host": "aim-control", "program": "client.py", "pid": os.getpid(),
    "machine_id": "unknown",
    "boot_id": open("/proc/sys/kernel/random/boot_id").read().strip(),
    "pid_namespace": os.readlink("/proc/self/ns/pid"),
    "start_ticks": int(stat.rpartition(")")[2].split()[19]),
}
body = json.dumps({"holder": holder, "purpose": "survey"}).encode()
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
request = urllib.request.Request(f"{url}/api/v1/locks/yard/acquire", body, headers)
print(json.load(urllib.request.urlopen(request))["lock_id"], flush=True)
time.sleep(600)
'''
END_WITHIN_S = 2.0


@dataclass(kw_only=True)
class Serve:
    """A running server, and requests to it."""

    program: Program
    url: str
    token_file: Path

    @property
    def token(self) -> str:
        """What clients need."""
        return self.token_file.read_text().strip()

    def get(self, path: str) -> bytes:
        """Ask as any client of any language would."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def document(self, path: str) -> dict[str, Any]:
        """Ask for a document."""
        document: dict[str, Any] = json.loads(self.get(path))
        return document

    def ready(self) -> bool:
        """Whether it answers, and has its broker."""
        assert self.program.running, self.program.err
        try:
            return bool(self.get("/readyz"))
        except (urllib.error.URLError, FileNotFoundError):
            return False

    def end(self, how: signal.Signals) -> int:
        """End it by a signal; return its exit code."""
        self.program.signal(how)
        return self.program.wait(END_WITHIN_S).code


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs in a directory of their own; all end with the test."""
    started: list[Program] = []
    (tmp_path / "yard.toml").write_text(FLEET_FILE)
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}

    def run(name: str, *argv: str) -> Program:
        program = Program(name=name, argv=argv, directory=tmp_path, environment=home)
        started.append(program.start())
        return program

    yield run
    for program in started:
        program.end()


def aimctl(start: Start, *options: str) -> Program:
    """Start a server of the fleet."""
    fleet = ("--fleet", "yard.toml", "--store", "sqlite:///journal.sqlite")
    return start("serve", "-m", "orchestrator.cli", "serve", *fleet, *options)


@pytest.fixture
def serve(start: Start, mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> Serve:
    """A server with a real broker, which is ready."""
    port, token_file = free_port(), tmp_path / "aimctl" / "serve-token"
    program = aimctl(start, "--broker", mosquitto().url, "--listen", f"127.0.0.1:{port}")
    made = Serve(program=program, url=f"http://127.0.0.1:{port}", token_file=token_file)
    wait_for("the server is ready", made.ready)
    return made


def test_a_client_that_is_killed_leaves_no_lock(serve: Serve, start: Start) -> None:
    """
    A program of another process takes the lock and is killed with -9; its evidence proves it dead.

    The standby resolves its lock, by the book: the journal has the proof, the metrics count it.
    """
    client = start("client", "-c", CLIENT, serve.url, serve.token)
    assert "yard@1" == wait_for("the lock is granted", lambda: client.out).strip()
    shown = serve.document("/api/v1/locks/yard")
    assert ("held", client.pid, "live") == (
        shown["state"],
        shown["owner"]["pid"],
        shown["liveness"]["verdict"],
    )
    client.kill()
    wait_for(
        "the lock is free again",
        lambda: serve.document("/api/v1/locks/yard")["state"] == "free",
    )
    story = serve.document("/api/v1/locks/yard/history")["entries"]
    assert ["lock_taken", "lock_taken", "lock_released"] == [entry["kind"] for entry in story]
    assert f"pid {client.pid} is gone" in story[1]["text"]
    metrics = serve.get("/metrics").decode()
    assert 'aim_forced_unlocks_total{fleet="yard",verb="expire"} 1.0' in metrics


def test_it_says_where_it_listens_and_where_the_token_is(serve: Serve) -> None:
    """On stderr, and never what the token is; stdout has nothing until it ends."""
    assert f"{serve.url}/api/v1" in serve.program.err
    assert str(serve.token_file) in serve.program.err
    assert serve.token not in serve.program.err
    assert 0o600 == stat.S_IMODE(serve.token_file.stat().st_mode)
    assert (0, "") == (serve.end(signal.SIGTERM), serve.program.out)


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_it_ends_at_once_though_somebody_listens(
    serve: Serve, how: signal.Signals, code: int
) -> None:
    """A stream of events and a client in line do not keep it: 0 by SIGTERM, 130 by Ctrl-C."""
    headers = {"Authorization": f"Bearer {serve.token}", "Accept": "text/event-stream"}
    request = urllib.request.Request(f"{serve.url}/api/v1/locks/yard/watch", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as stream:
        assert b": ping\n" == stream.readline()
        assert code == serve.end(how)
    assert "Traceback" not in serve.program.err


def test_the_server_tells_no_version_of_its_parts(serve: Serve) -> None:
    """No header says which software answers."""
    with urllib.request.urlopen(f"{serve.url}/healthz", timeout=10) as answer:
        assert "server" not in {name.lower() for name in answer.headers}


def test_help_does_not_load_the_web_framework(start: Start) -> None:
    """Only `serve` itself pays for it."""
    code = (
        "import sys\n"
        "from orchestrator.cli.main import main\n"
        "main(['serve', '--help'])\n"
        "slow = ('fastapi', 'starlette', 'uvicorn', 'prometheus_client', 'orchestrator.web')\n"
        "print([name for name in slow if name in sys.modules], file=sys.stderr)\n"
    )
    assert "[]\n" == start("help", "-c", code).wait().err


def test_a_port_that_is_taken_is_2(serve: Serve, start: Start) -> None:
    """Nothing is begun; it says which port, and how to get a free one."""
    listen = serve.url.removeprefix("http://")
    second = start("second", "-m", "orchestrator.cli", "serve", "--listen", listen).wait()
    assert (2, "") == (second.code, second.out)
    assert "in use" in second.err


def test_a_token_file_that_others_can_read_is_2(start: Start, tmp_path: Path) -> None:
    """The server does not start with a token that is no secret."""
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123\n")
    path.chmod(0o644)
    ran = aimctl(start, "--listen", "127.0.0.1:0", "--token-file", str(path)).wait()
    assert 2 == ran.code
    assert "chmod 600" in ran.err


def test_beyond_loopback_it_warns(start: Start, mosquitto: Callable[..., Mosquitto]) -> None:
    """It listens where it is told to, and says that there is no TLS."""
    program = aimctl(start, "--broker", mosquitto().url, "--listen", "0.0.0.0:0")
    wait_for("it has said where the token is", lambda: "token  " in program.err)
    assert "there is no TLS" in program.err
