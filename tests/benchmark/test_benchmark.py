"""The benchmark's command, as people run it: the smallest run, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drone_sim.benchmark.pattern import FROM_EACH, TO_EACH, undisturbed
from drone_sim.benchmark.report import table
from tests.conftest import Need
from tests.e2e.processes import wait_for
from tests.source import ROOT

DEVICES = 12
RUN_S = 110


def argv(*arguments: str) -> Sequence[str]:
    """The command line."""
    return (sys.executable, "-m", "drone_sim.benchmark", *arguments)


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        argv(*arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S,
    )


def processes_naming(text: str) -> list[str]:
    """The command lines of all processes in which ``text`` occurs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def small(need: Need, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two rounds with twelve devices: the document. The second finds what the first has left."""
    need("mosquitto")
    place = tmp_path_factory.mktemp("tmp")
    done = bench("--devices", str(DEVICES), "--rounds", "2", "--output", "json", TMPDIR=str(place))
    assert 0 == done.returncode, done.stderr
    assert [] == list(place.iterdir()), "something was left behind"
    assert [] == processes_naming(str(place))
    assert 1 == done.stdout.count("\n")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def fleet(small: dict[str, Any]) -> dict[str, Any]:
    """The one fleet that it measured."""
    (found,) = small["fleets"]
    assert DEVICES == found["devices"]
    return dict(found)


def test_document_names_itself_and_the_machine(small: dict[str, Any]) -> None:
    """The figures come with what they depend on."""
    assert (1, "benchmark") == (small["schema"], small["type"])
    assert {"architecture", "cores", "mosquitto", "python", "system"} == set(small["machine"])


def test_floor_has_exactly_the_pattern(fleet: dict[str, Any]) -> None:
    """The floor sends and receives what an undisturbed push does, and nothing is dropped."""
    kinds, messages = fleet["floor"]["messages"]["by_kind"], fleet["floor"]["messages"]
    expected = {f"from {kind}": DEVICES * count for kind, count in FROM_EACH.items()}
    expected |= {f"to {kind}": DEVICES * count for kind, count in TO_EACH.items()}
    assert expected == kinds
    assert undisturbed(DEVICES).delivered == messages["delivered"]
    assert 0 == messages["dropped"]


def test_product_has_at_least_the_pattern(fleet: dict[str, Any]) -> None:
    """The push sends all of it to everybody; more is repetition, of the same kinds alone."""
    product, floor = (fleet[side]["messages"] for side in ("product", "floor"))
    assert 0 == product["dropped"]
    assert product["published"] >= floor["published"]
    assert product["delivered"] >= floor["delivered"]
    for kind, count in floor["by_kind"].items():
        assert product["by_kind"].get(kind, 0) >= count, kind


def test_broker_and_devices_count_alike(fleet: dict[str, Any]) -> None:
    """What devices say they received and sent is what the broker says it delivered."""
    emptied = DEVICES  # the DECISION that is cleared reaches devices, which take no notice
    presence = {"product": DEVICES, "floor": 0}  # what is retained, as the orchestrator connects
    for side, extra in presence.items():
        messages = fleet[side]["messages"]
        seen = sum(messages["by_kind"].values())
        assert seen + emptied + extra == messages["delivered"], side


def test_every_phase_is_measured_on_both_sides(fleet: dict[str, Any]) -> None:
    """Phases, CPU and their ratios are there; what is waited for by design is apart."""
    phases = {"join", "prepare", "tell", "activate"}
    for side in ("product", "floor"):
        assert phases == set(fleet[side]["phases_ms"])
        assert all(ms > 0 for ms in fleet[side]["phases_ms"].values())
    assert phases | {"messaging", "orchestrator_cpu"} == set(fleet["ratio"])
    product = fleet["product"]
    assert product["cpu_ms"]["orchestrator"] > 0
    assert 0 < product["waited_by_design_ms"] < product["timing_ms"]["total"]


def test_fsyncs_of_the_devices_are_apart(fleet: dict[str, Any]) -> None:
    """A device syncs at least its stage, its record twice and its active file, each in two."""
    sync = fleet["product"]["fsync"]
    assert sync["per_device"] >= 8
    assert 0 < sync["mean_ms"] <= sync["max_ms"] <= sync["total_ms"]


def test_table_is_for_people(small: dict[str, Any]) -> None:
    """Without --output json the same figures are a table with both sides and the ratio."""
    shown = table(small)
    for word in (f"{DEVICES} devices", "product", "floor", "ratio", "fsyncs", "waited by design"):
        assert word in shown


def test_push_that_aborts_is_an_error(need: Need) -> None:
    """A window that is too short for a vote: exit 1, with the reasons, and no figures."""
    need("mosquitto")
    done = bench("--devices", "40", "--rounds", "1", "--window", "0.05")
    assert (1, "") == (done.returncode, done.stdout)
    assert "ABORT" in done.stderr
    assert "--window" in done.stderr


def test_missing_mosquitto_is_wrong_use(tmp_path: Path) -> None:
    """Without the program: exit 2, and how to get it."""
    code = (
        "import sys; import drone_sim.benchmark.broker as b; b.installed_mosquitto = lambda: None;"
        "from drone_sim.benchmark.__main__ import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert "apt install mosquitto" in done.stderr


def test_too_few_descriptors_are_wrong_use(need: Need) -> None:
    """A machine that allows too few open files: exit 2 before anything starts."""
    need("mosquitto")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256));"
        "from drone_sim.benchmark.__main__ import main; sys.exit(main(['--devices', '1000']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert "open files" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--devices", "0"),
        ("--devices", "twelve"),
        ("--devices", "10000000"),
        ("--rounds", "0"),
        ("--window", "-1"),
        ("--output", "xml"),
        ("--nonsense",),
    ],
)
def test_wrong_use_is_refused(arguments: tuple[str, ...]) -> None:
    """What can't be run is said before anything is started: exit 2, no traceback."""
    done = bench(*arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_leaves_nothing_behind(
    need: Need, tmp_path: Path, how: signal.Signals
) -> None:
    """Ctrl-C or SIGTERM in the middle: every process ends, every file goes."""
    need("mosquitto")
    process = subprocess.Popen(
        argv("--devices", "6", "--rounds", "3"),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for("the push starts", lambda: processes_naming(f"push {tmp_path}"))
        process.send_signal(how)
        out, err = process.communicate(timeout=RUN_S)
    finally:
        process.kill()
        process.wait()
    assert (130, "") == (process.returncode, out), err
    assert [] == list(tmp_path.iterdir())
    assert [] == processes_naming(str(tmp_path))
