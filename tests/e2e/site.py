"""
One place of work: a broker, a fleet of 24 devices, a store; each program a process of its own.

Three configurations take turns, so every case pushes one that the fleet does not run, and a test
can tell from the bytes on the devices which of them won.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Entry, LockState
from orchestrator.protocol.types import DeviceId, FleetId, TxnId
from orchestrator.service import reading
from orchestrator.staging.bundle import Bundle, make_bundle
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.storage import open_store
from orchestrator.telemetry import NoAudience
from orchestrator.wiring import make_world
from tests.conftest import Mosquitto, free_port
from tests.e2e.processes import Program, Ran, wait_for
from tests.e2e.raw_mqtt import RawClient

FLEET = FleetId("e2e")
CONFIG = "aim_lock_config.conf"
DEVICES = tuple(f"d-{number:02}" for number in range(1, 25))
LONG_LENS = DEVICES[-3:]
"""They run another configuration than the rest, so that a version has two sets of bytes."""

WINDOW_S = 0.6
SETTLE_S = 1.5
NAMES = ("calm", "steady", "brisk")
_ANGLE_P = {"calm": 7.0, "steady": 8.0, "brisk": 9.0}

FLEET_FILE = f"""\
fleet = "{FLEET}"
config = "{CONFIG}"
[timing]
clock_error_ms = 40
settle_s = {SETTLE_S}
[gimbal.g30]
yaw = {{ min_deg = -170.0, max_deg = 170.0 }}
pitch = {{ min_deg = -110.0, max_deg = 35.0 }}
roll = {{ min_deg = -40.0, max_deg = 40.0 }}
rate_max_deg_s = 180.0
accel_max_deg_s2 = 1200.0
torque_peak_nm = 0.25
modes = ["lock", "follow", "fpv"]
"""
CONFIG_FILE = """\
schema = 2
[yaw]
angle_min_deg = -160.0
angle_max_deg = 160.0
angle_p = {angle_p}
[pitch]
[roll]
[overlay.group.long-lens]
tracking = {{ rate_max_deg_s = 30.0 }}
"""


def fleet_file(devices: Sequence[str] = DEVICES, more: str = "") -> str:
    """Return the text of a fleet file with these devices."""
    text = FLEET_FILE + more
    for device in devices:
        text += f'[[device]]\nid = "{device}"\nkind = "drone"\ngimbal = "g30"\n'
        text += 'groups = ["long-lens"]\n' if device in LONG_LENS else ""
    return text


@dataclass(kw_only=True)
class Site:
    """See the module. Use as a context manager: everything that it started ends with it."""

    directory: Path
    mosquitto: str
    broker: Mosquitto = field(init=False)
    recorder: RawClient = field(init=False)
    fleet: Program = field(init=False)
    bundles: dict[str, Bundle] = field(init=False)
    _apart: tuple[str, ...] = field(default=(), init=False)
    _programs: list[Program] = field(default_factory=list, init=False)

    # --- start and end ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start broker, recorder and fleet."""
        self._write_files()
        place = self.directory / "broker"
        place.mkdir()
        self.broker = Mosquitto(program=self.mosquitto, directory=place, port=free_port())
        self.broker.start()
        try:
            self.record()
            self.start_fleet()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """End everything."""
        for program in self._programs:
            program.end()
        self.recorder.close()
        self.broker.stop()

    def _write_files(self) -> None:
        self.fleet_path.write_text(fleet_file())
        fleet = load_fleet(read(self.fleet_path))
        self.bundles = {}
        for name in NAMES:
            path = self.config_path(name)
            path.parent.mkdir()
            path.write_text(CONFIG_FILE.format(angle_p=_ANGLE_P[name]))
            self.bundles[name] = make_bundle(load_config(read(path)), fleet)

    def record(self) -> None:
        """Keep every message of the fleet from now on; again after a broker's death."""
        earlier = self.recorder.heard if hasattr(self, "recorder") else []
        self.recorder = RawClient(port=self.broker.port, client_id="recorder", heard=earlier)
        self.recorder.connect(f"aim/v1/{FLEET}/#")

    def restart_broker(self) -> None:
        """Kill the broker with -9 and start it on the same port, with nothing remembered."""
        self.broker.kill()
        self.recorder.close()
        self.broker.start()
        self.record()

    # --- paths --------------------------------------------------------------------------------

    @property
    def fleet_path(self) -> Path:
        """The fleet file."""
        return self.directory / "fleet.toml"

    def config_path(self, name: str) -> Path:
        """The file of one of the three configurations."""
        return self.directory / name / CONFIG

    @property
    def store_path(self) -> Path:
        """The store's file."""
        return self.directory / "store.db"

    def active_path(self, device: str) -> Path:
        """The active configuration of a device."""
        return self.directory / "devices" / device / CONFIG

    # --- processes ----------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the site is told; no file of this machine's user is read."""
        home = str(self.directory / "home")
        places = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        return {
            **dict.fromkeys(places, home),
            "AIMCTL_STORE": f"sqlite:///{self.store_path}",
            "AIMCTL_BROKER": self.broker.url,
            "NO_COLOR": "1",
        }

    def program(self, name: str, *argv: str, **environment: str) -> Program:
        """Start a process of the site."""
        unique = f"{len(self._programs):03}-{name}"
        program = Program(
            name=unique,
            argv=argv,
            directory=self.directory / "logs",
            environment={**self.environment, **environment},
        )
        self._programs.append(program)
        return program.start()

    def aimctl(self, *arguments: str, **environment: str) -> Program:
        """Start an ``aimctl`` with JSON output."""
        argv = ("-m", "orchestrator.cli", *arguments, "--output", "json")
        return self.program(arguments[0], *argv, **environment)

    def start_fleet(
        self, *options: str, only: Sequence[str] = (), without: Sequence[str] = (), **env: str
    ) -> Program:
        """Start simulated devices, and wait until they have connected."""
        names = {"--only": only, "--except": without}
        chosen = [part for flag, ids in names.items() if ids for part in (flag, ",".join(ids))]
        fleet = self.program(
            "fleet",
            *("-m", "drone_sim", "fleet", str(self.fleet_path)),
            *("--state-dir", str(self.directory / "devices"), *chosen, *options),
            **env,
        )

        def connected() -> bool:
            assert fleet.running or env, f"the fleet has ended: {fleet.err}"
            return " connected" in fleet.err or not fleet.running

        wait_for("the fleet connects", connected)
        if not only:
            self.fleet = fleet
        return fleet

    def arrange(self, apart: Sequence[str] = ()) -> None:
        """Run all devices in the fleet process but those ``apart``; nothing else runs then."""
        right = self.fleet.running and self._apart == tuple(apart)
        for program in self._programs:
            if program is not self.fleet or not right:
                program.end()
        if not right:
            self._apart = tuple(apart)
            self.start_fleet(without=apart)

    def forget(self, device: str) -> None:
        """Replace a device that does not run by a new unit: nothing on its disk is left."""
        shutil.rmtree(self.directory / "devices" / ".state" / device)
        shutil.rmtree(self.active_path(device).parent)

    def push(self, name: str, *options: str, fault: str | None = None, **env: str) -> Program:
        """Start a push of one of the configurations."""
        if fault is not None:
            env["AIMCTL_FAULT"] = fault
        return self.aimctl(
            "push",
            str(self.config_path(name)),
            *("--fleet", str(self.fleet_path), "--yes"),
            *(() if "--window" in options else ("--window", str(WINDOW_S))),
            *options,
            **env,
        )

    def recover(self, **environment: str) -> Ran:
        """Run ``aimctl recover`` to its end."""
        return self.aimctl("recover", "--fleet", str(self.fleet_path), **environment).wait()

    def forcing(self, lock_id: str, reason: str = "test", **environment: str) -> Program:
        """Start ``aimctl lock force-unlock``."""
        confirmed = ("--reason", reason, "--confirm", lock_id)
        return self.aimctl("lock", "force-unlock", lock_id, *confirmed, **environment)

    def force(self, lock_id: str | None = None, **environment: str) -> Ran:
        """Run ``aimctl lock force-unlock`` to its end, on the present lock unless named."""
        return self.forcing(lock_id or self.lock_id, **environment).wait()

    def status(self) -> dict[str, Any]:
        """
        Return the ``status`` document, asked for from this process.

        It is what ``aimctl status --output json`` prints (a test says so), without the time that
        yet another process takes to start.
        """

        async def ask() -> dict[str, Any]:
            store, broker = f"sqlite:///{self.store_path}", self.broker.url
            async with make_world(store=store, broker=broker, audience=NoAudience()) as world:
                members = [DeviceId(device) for device in DEVICES]
                return (await reading.status(world, FLEET, members)).document()

        return asyncio.run(ask())

    # --- the truth ----------------------------------------------------------------------------

    def journal(self) -> Sequence[Entry]:
        """Read the journal, straight from the store."""

        async def entries() -> Sequence[Entry]:
            store = open_store(f"sqlite:///{self.store_path}", now=time.time)
            try:
                return await store.read(FLEET)
            finally:
                await store.close()

        return asyncio.run(entries())

    def state(self) -> FleetState:
        """Fold the journal; a record that breaks an invariant fails here."""
        return fold(FleetState(fleet=FLEET), self.journal())

    def wait_for_decision(self, after: int) -> None:
        """Wait until a transaction with a higher sequence number is decided."""
        wait_for("the decision", lambda: self.state().decided_seq > after)

    @property
    def lock_id(self) -> str:
        """The present lock's id."""
        return f"{FLEET}@{self.state().lock.epoch}"

    @property
    def current(self) -> str | None:
        """Which of the configurations the journal says is installed."""
        installed = self.state().installed
        digests = {bundle.digest: name for name, bundle in self.bundles.items()}
        return None if installed is None else digests[installed.begun.bundle]

    def running(self, name: str) -> bool:
        """Whether every device has exactly the bytes of this configuration."""
        return all(self.device_runs(device, name) for device in DEVICES)

    def device_runs(self, device: str, name: str) -> bool:
        """Whether a device has exactly the bytes of this configuration."""
        return self.active_bytes(device) == self.bytes_of(device, name)

    def active_bytes(self, device: str) -> bytes | None:
        """Return what stands in the active file of a device."""
        with contextlib.suppress(FileNotFoundError):
            return self.active_path(device).read_bytes()
        return None

    def bytes_of(self, device: str, name: str) -> bytes:
        """Return what a device must have when it runs this configuration."""
        bundle = self.bundles[name]
        return bundle.configs[bundle.digests[DeviceId(device)]]

    def assert_whole_files(self) -> None:
        """Every active file is one of the configurations, entirely (I27)."""
        for device in DEVICES:
            data = self.active_bytes(device)
            known = [self.bytes_of(device, name) for name in NAMES]
            assert data is None or data in known, f"{device} has bytes that nobody pushed"

    def assert_fleet_runs(self, name: str) -> None:
        """
        The whole fleet runs ``name``: journal, files, and what the devices say, all agree.

        The lock is free, nothing is open, nobody is deferred or operates another version.
        """
        state = self.state()
        assert state.lock.state is LockState.FREE, state.lock
        assert state.open is None
        assert {} == dict(state.deferred)
        assert name == self.current
        assert state.installed is not None
        found = self._when_uniform(state.version)
        for device in DEVICES:
            digest = state.installed.begun.digests[DeviceId(device)]
            data = self.active_bytes(device)
            assert data == self.bytes_of(device, name), f"{device} does not run {name}"
            assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
            assert digest == found["devices"][device]["digest"]
        assert set(DEVICES) == set(found["devices"])
        assert "free" == found["lock"]["state"]

    def _when_uniform(self, version: int) -> dict[str, Any]:
        """Ask until every device operates ``version``; nobody may ever operate another one."""

        def look() -> dict[str, Any] | None:
            found = self.status()
            devices = found["devices"].values()
            assert found["split"] is False, found
            assert {one["operating"] for one in devices} <= {version, None}, found
            assert version == found["version"]
            return found if all(one["operating"] == version for one in devices) else None

        return wait_for(f"every device operates version {version}", look)

    def next_after(self, name: str | None, steps: int = 1) -> str:
        """Return the configuration that comes ``steps`` after ``name``."""
        return NAMES[((-1 if name is None else NAMES.index(name)) + steps) % len(NAMES)]

    def held_s(self, txn: TxnId) -> float | None:
        """Return the longest time that a device that voted yes says it has held for ``txn``."""
        voted: set[str] = set()
        told: dict[str, float] = {}
        for heard in list(self.recorder.heard):
            body, device = heard.body, heard.topic.split("/")[-2]
            if (heard.kind, body.get("txn"), body.get("yes")) == ("vote", txn, True):
                voted.add(device)
            state = body.get("state")
            if not isinstance(state, dict) or state.get("outcome_txn") != txn:
                continue
            if device in voted and state["hold_s"] is not None:
                told[device] = state["hold_s"]
        return max(told.values(), default=None)
