"""``drone-sim`` as a process, with the real engines: what can't be seen from inside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.staging.samples import samples_directory

WAIT_S = 60.0
MANY = ("explore", "--seeds", "1..100000", "--jobs", "2")


def command(*words: str) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-m", "drone_sim", *words]


def document(tmp_path: Path, *words: str, **environment: str) -> dict[str, Any]:
    """Run it to its end and return its document."""
    done = subprocess.run(
        command(*words, "--output", "json"),
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("speed", ["cores", "shells"])
def test_the_same_seeds_have_the_same_traces(tmp_path: Path, speed: str) -> None:
    """Whatever PYTHONHASHSEED is, and however many processes there are."""
    words = ("explore", "--seeds", "1..6", "--speed", speed, "--hash")
    first = document(tmp_path, *words, "--jobs", "1", PYTHONHASHSEED="1")
    second = document(tmp_path, *words, "--jobs", "2", PYTHONHASHSEED="2")
    assert first["hashes"] == second["hashes"]
    assert (6, first["hash"]) == (len(first["hashes"]), second["hash"])


def test_the_sample_configuration_may_be_rolled_out(tmp_path: Path) -> None:
    """The files that come with the program pass the check that is meant for CI."""
    samples = samples_directory()
    found = document(
        tmp_path,
        *("check", str(samples / "aim_lock_config.conf")),
        *("--fleet", str(samples / "fleets" / "hazard-12.toml"), "--seeds", "2"),
    )
    assert (True, 12, 2) == (
        found["ok"],
        len(found["votes"]),
        found["played"]["speeds"]["shells"]["runs"],
    )


def begun(tmp_path: Path) -> subprocess.Popen[str]:
    """A long exploration that has begun to play."""
    process = subprocess.Popen(
        command(*MANY), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "100,000 runs, 2 processes\n" == process.stderr.readline()
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_what_was_done(tmp_path: Path, how: signal.Signals) -> None:
    """It ends in order, with the figures of the runs that were made, and says so."""
    process = begun(tmp_path)
    process.send_signal(how)
    out, err = process.communicate(timeout=WAIT_S)
    assert 130 == process.returncode
    assert "interrupted" in out
    assert "Traceback" not in err


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    """After kill -9 of the first its pipes close, which they do when the last has ended."""
    process = begun(tmp_path)
    process.kill()
    process.communicate(timeout=WAIT_S)
    assert -signal.SIGKILL == process.returncode


def test_help_loads_nothing_that_plays() -> None:
    """It stays quick: no engine, no models, no broker's client."""
    code = "import sys; from drone_sim.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_S
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert set() == loaded & {"pydantic", "aiomqtt", "sqlite3", "drone_sim.explore.pool"}
