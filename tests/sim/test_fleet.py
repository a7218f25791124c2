"""The simulated fleet over a real broker, as a real process, with real files."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drone_sim.fleet import FleetOptions, SimulatedFleet, mqtt_links, raise_descriptor_limit
from orchestrator.errors import Exit, OperatingError
from orchestrator.faultpoints import VARIABLE
from orchestrator.protocol.types import Outcome
from orchestrator.telemetry import NoAudience
from tests.agent.stub import CONFIG, FLEET, config
from tests.conftest import free_port
from tests.sim.fleets import fleet_of
from tests.sim.simulators import WAIT_S, StartBroker, drone_sim, home_of, orchestrator

OLD, NEW = config(90), config(110)


async def test_a_push_reaches_the_files_of_all_devices(
    mosquitto: StartBroker, tmp_path: Path
) -> None:
    """Every device's active file holds the pushed bytes, and nothing else has its name."""
    devices = ("d-01", "d-02", "d-03")
    options = FleetOptions(
        fleet=fleet_of(*devices), directory=tmp_path / "state", audience=lambda _: NoAudience()
    )
    broker = mosquitto()
    async with (
        SimulatedFleet(options, mqtt_links(broker.url, FLEET)) as fleet,
        orchestrator(broker, *devices) as boss,
    ):
        await boss.fence(2)
        await boss.push(1, OLD)
        await boss.push(2, NEW)
        assert 3 == fleet.connected
        assert {"d-01": 2, "d-02": 2, "d-03": 2} == {
            name: state.operating for name, state in fleet.states().items()
        }
    found = {path: path.read_bytes() for path in sorted(options.directory.rglob(f"*{CONFIG}*"))}
    assert {options.directory / name / CONFIG: NEW for name in devices} == found


async def test_the_command_runs_until_sigterm(mosquitto: StartBroker, tmp_path: Path) -> None:
    """It says that all are connected, stops in order, says goodbye for each, and ends with 0."""
    home, broker = home_of(tmp_path, "d-01", "d-02"), mosquitto()
    async with orchestrator(broker, "d-01", "d-02") as boss, drone_sim(home, broker) as sim:
        assert "2 of 2 connected" == await sim.start()
        await boss.push(1, NEW)
        assert (0, "") == await sim.stop()
        goodbyes = {m.device for m in boss.heard if m.kind == "presence" and not m.online}
    assert {"d-01", "d-02"} == goodbyes


async def test_sigint_ends_it_as_well(mosquitto: StartBroker, tmp_path: Path) -> None:
    """Ctrl-C is an ordinary way to stop it."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with drone_sim(home, broker) as sim:
        await sim.start()
        assert (0, "") == await sim.stop(signal.SIGINT)


async def test_devices_can_be_chosen_and_kept_offline(
    mosquitto: StartBroker, tmp_path: Path
) -> None:
    """--except leaves devices out, a fault keeps them offline; the line counts both."""
    home, broker = home_of(tmp_path, "d-01", "d-02", "d-03"), mosquitto()
    faults = home / "faults.toml"
    faults.write_text("[device.d-02]\noffline = true\n")
    async with drone_sim(home, broker, "--except", "d-03", "--faults", str(faults)) as sim:
        assert "1 of 2 connected (offline: d-02)" == await sim.start()


async def test_changes_are_told_as_lines(mosquitto: StartBroker, tmp_path: Path) -> None:
    """With --output jsonl stdout has one document for each change of a device."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with (
        orchestrator(broker, "d-01") as boss,
        drone_sim(home, broker, "--output", "jsonl") as sim,
    ):
        await sim.start()
        await boss.push(1, NEW)
        _, out = await sim.stop()
    lines = [json.loads(line) for line in out.splitlines()]
    assert {("simulated-device", 1, "d-01")} == {
        (line["type"], line["schema"], line["device"]) for line in lines
    }
    assert (1, 1, False) == tuple(lines[-1][key] for key in ("version", "operating", "pending"))


async def test_one_document_at_the_end(mosquitto: StartBroker, tmp_path: Path) -> None:
    """With --output json stdout is exactly one line."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with drone_sim(home, broker, "--output", "json") as sim:
        await sim.start()
        _, out = await sim.stop()
    document = json.loads(out)
    assert 1 == out.count("\n")
    assert ["d-01"] == list(document["devices"])


async def test_two_fleets_never_share_a_state_directory(
    mosquitto: StartBroker, tmp_path: Path
) -> None:
    """The second is wrong use, and names the first one's pid."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with drone_sim(home, broker) as first, drone_sim(home, broker) as second:
        await first.start()
        assert first.process is not None
        assert f"another agent, pid {first.process.pid}," in await second.start()
        assert 2 == (await second.ended())[0]


async def test_a_broker_that_dies_and_returns(mosquitto: StartBroker, tmp_path: Path) -> None:
    """All devices connect again by themselves and take the next push."""
    home, broker = home_of(tmp_path, "d-01", "d-02"), mosquitto()
    async with orchestrator(broker, "d-01", "d-02") as boss, drone_sim(home, broker) as sim:
        await sim.start()
        await boss.push(1, OLD)
        broker.kill()
        broker.start()
        await boss.fence(5)
        await boss.push(2, NEW)
    assert NEW == (home / "d-01" / CONFIG).read_bytes()


KILL_POINTS = [
    *("stage:before", "stage:after", "save:prepared:before", "save:prepared:after"),
    *("send:vote:before", "send:vote:after", "save:decision:before", "save:decision:after"),
    *("activate:before", "activate:after", "save:activated:before", "save:activated:after"),
]


@pytest.mark.parametrize("point", KILL_POINTS)
async def test_kill_9_at_every_step_of_a_device(
    mosquitto: StartBroker, tmp_path: Path, point: str
) -> None:
    """
    A device that is killed at any step of a push has a whole active file, and obeys the
    decision that was taken once it is back.
    """
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    active = home / "d-01" / CONFIG
    async with orchestrator(broker, "d-01") as boss:
        async with drone_sim(home, broker) as sim:
            await sim.start()
            await boss.push(1, OLD)
            await sim.stop()
        # It restarts with its old version, which is an activation of its own.
        nth = "#2" if point.startswith("activate") else ""
        async with drone_sim(home, broker, **{VARIABLE: f"kill@{point}{nth}"}) as sim:
            await sim.start()
            boss.heard.clear()
            await boss.state("d-01", lambda state: state.operating == 1)
            prepare = await boss.prepare(2, NEW, window_s=1.5)
            voted = not point.startswith(("stage", "save:prepared", "send:vote:before"))
            if voted:
                await boss.votes(prepare.txn)
            if point.startswith(("save:decision", "activate", "save:activated")):
                await boss.decide(prepare, Outcome.COMMIT)
            assert -signal.SIGKILL == (await sim.ended())[0]
        assert active.read_bytes() in {OLD, NEW}
        outcome = Outcome.COMMIT if voted else Outcome.ABORT
        await boss.decide(prepare, outcome)
        boss.heard.clear()
        async with drone_sim(home, broker) as sim:
            await sim.start()
            expected = 2 if voted else 1
            await boss.state("d-01", lambda state: state.operating == expected)
    assert (NEW if voted else OLD) == active.read_bytes()


# --- wrong use --------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "drone_sim", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["nonsense"], id="unknown command"),
        pytest.param(["fleet"], id="no fleet"),
        pytest.param(["fleet", "missing.toml"], id="missing file"),
        pytest.param(["fleet", "FLEET", "--only", "d-99"], id="unknown device"),
        pytest.param(["fleet", "FLEET", "--broker", "http://x"], id="no broker's URL"),
        pytest.param(["fleet", "FLEET", "--faults", "missing.toml"], id="missing faults"),
        pytest.param(["fleet", "FLEET", "--output", "xml"], id="unknown output"),
    ],
)
def test_wrong_use_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    """It is told on stderr, without a traceback, and stdout stays empty."""
    fleet = str(home_of(tmp_path, "d-01") / "fleet.toml")
    done = run(*(fleet if word == "FLEET" else word for word in arguments))
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_broker_that_is_not_there_ends_with_1(tmp_path: Path) -> None:
    """The error says which broker, why, and what to do."""
    fleet = str(home_of(tmp_path, "d-01") / "fleet.toml")
    broker = f"mqtt://127.0.0.1:{free_port()}"
    done = run("fleet", fleet, "--broker", broker, "--state-dir", str(tmp_path))
    assert 1 == done.returncode
    assert f"{broker}: connection refused" in done.stderr
    assert "next" in done.stderr


def test_help_ends_with_0() -> None:
    """Help is a result."""
    done = run("fleet", "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert "--state-dir" in done.stdout


def test_more_devices_than_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how many are needed and how many the machine allows."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    with pytest.raises(
        OperatingError, match="need 4256 open files, this machine allows 200"
    ) as no:
        raise_descriptor_limit(1000)
    assert Exit.UNEXPECTED == no.value.exit_code
