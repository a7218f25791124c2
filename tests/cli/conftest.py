"""Runs ``aimctl`` in this process, apart from this machine's user, and checks every document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.cli.context import Context
from orchestrator.cli.main import main
from orchestrator.cli.schema import document_schemas
from orchestrator.cli.view import make_view
from orchestrator.locksmith.processes import Sighting
from orchestrator.protocol.records import begun_record
from orchestrator.protocol.types import Owner, Timeline, TxnId
from orchestrator.service import holding, locks
from orchestrator.service.holding import Want
from orchestrator.service.locks import Held
from orchestrator.service.push import push
from orchestrator.service.world import World
from orchestrator.settings import Places, load_settings
from tests.service.fleet import FLEET, NEW, OLD, Fleet, order
from tests.source import ROOT

CONFIG = "aim_lock_config.conf"
FLEET_FILE = """\
fleet = "hazard-12"
config = "aim_lock_config.conf"
[timing]
window_s = 0.5
clock_error_ms = 20
settle_s = 1.0
"""
CONFIG_TEXT = """\
schema = 2
[yaw]
rate_max_deg_s = {rate}
[pitch]
[roll]
"""


def validated(line: str) -> dict[str, Any]:
    """Return a line of stdout as a document, once its published schema has accepted it."""
    document: dict[str, Any] = json.loads(line)
    schema = document_schemas()[document["type"]]
    Draft202012Validator(schema).validate(document)
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        (line,) = self.out.splitlines()
        return validated(line)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents of ``--output jsonl``."""
        return [validated(line) for line in self.out.splitlines()]


Aimctl = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory of a user who has configured nothing."""
    for name in ("AIMCTL_STORE", "AIMCTL_BROKER", "AIMCTL_OUTPUT", "AIMCTL_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "AIMCTL_FAULT", "AIMCTL_FAULT_TRACE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def aimctl(home: Path, capsys: pytest.CaptureFixture[str]) -> Aimctl:
    """Run a command line in this process."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(list(arguments))
        told = capsys.readouterr()
        return Ran(code=code, out=told.out, err=told.err)

    return run


# --- commands on a fleet in memory ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory(Context):
    """A context whose world is made already."""

    made: World
    person: bool = False

    @asynccontextmanager
    async def world(
        self, *, reading: bool = False, existing: bool = False
    ) -> AsyncIterator[World]:
        yield self.made

    @property
    def interactive(self) -> bool:
        return self.person


@dataclass(kw_only=True)
class Desk:
    """An operator in front of a fleet in memory."""

    home: Path
    capsys: pytest.CaptureFixture[str]
    output: str = "text"

    def context(self, fleet: Fleet, output: str | None = None, **extra: Any) -> InMemory:
        """Return the context of one command."""
        output = output or self.output
        where = Places(
            flags={"store": "memory:", "output": output},
            directory=self.home,
            user_config=self.home,
            user_state=self.home,
        )
        return InMemory(
            settings=load_settings(where),
            view=make_view(output, no_color=False),
            made=fleet.world(),
            **extra,
        )

    def ran(self, code: int) -> Ran:
        """Return how the command ended that has just been awaited."""
        told = self.capsys.readouterr()
        return Ran(code=code, out=told.out, err=told.err)

    def fleet_file(self, count: int, more: str = "") -> str:
        """Write a fleet file for devices d-01 to d-``count``; return its path."""
        devices = "".join(
            f'[[device]]\nid = "d-{number:02}"\nkind = "drone"\n' for number in range(1, count + 1)
        )
        path = self.home / "hazard.toml"
        path.write_text(FLEET_FILE + more + devices)
        return str(path)

    def other_fleet(self, count: int) -> str:
        """Write the file of a fleet with the same devices and another name."""
        path = self.home / "other.toml"
        path.write_text(Path(self.fleet_file(count)).read_text().replace("hazard-12", "yard"))
        return str(path)

    def config(self, rate: int = 90) -> Path:
        """Write a configuration; another rate makes another one."""
        path = self.home / f"rate-{rate}.conf"
        path.write_text(CONFIG_TEXT.format(rate=float(rate)))
        return path


# --- a lock that somebody left behind ----------------------------------------------------------


@dataclass
class Gone:
    """A process table in which whoever held a lock, or waits for one, has died."""

    me_as: Owner

    @property
    def boot_id(self) -> str:
        return self.me_as.boot_id

    def me(self, program: str) -> Owner:
        return replace(self.me_as, program=program)

    def look_for(self, owner: Owner) -> Sighting:
        return Sighting(here=True, rebooted=False, visible=True, running=False)

    def descends_from(self, owner: Owner) -> bool:
        return False


@dataclass
class Strangers(Gone):
    """A process table in which every owner lives, and nobody has started us."""

    def look_for(self, owner: Owner) -> Sighting:
        return Sighting(here=True, rebooted=False, visible=True, running=True)


async def held_lock(fleet: Fleet, purpose: str = "push") -> Held:
    """Take the lock as this process."""
    held = await holding.acquire(fleet.world(), FLEET, Want(purpose=purpose))
    assert isinstance(held, Held)
    return held


async def left_hot(fleet: Fleet) -> str:
    """Install version 1, then leave the lock as a killed push does; return the lock's id."""
    names = list(fleet.drones)
    await push(fleet.world(), order(0, OLD, names))
    world = fleet.world()
    held = await held_lock(fleet)
    wanted = order(1, NEW, names)
    for blob in wanted.blobs:
        await world.store.put_blob(blob)
    now = world.clock.now()
    begun = begun_record(
        wanted.plan,
        txn=TxnId("t2"),
        seq=2,
        epoch=held.epoch,
        digest=wanted.plan_digest,
        timeline=Timeline(
            vote_by=now, hold_at=now + 0.05, activate_at=now + 0.1, clock_error_s=0.02
        ),
    )
    await locks.append(world, held.state, (begun,))
    return f"{FLEET}@{held.epoch}"


def seen_by(
    table: type[Gone], desk: Desk, fleet: Fleet, output: str = "json", **extra: bool
) -> InMemory:
    """A context with another process table."""
    context = desk.context(fleet, output, **extra)
    me = context.made.processes.me("aimctl")
    return replace(context, made=replace(context.made, processes=table(me)))


def of_a_ghost(desk: Desk, fleet: Fleet, output: str = "json", **extra: bool) -> InMemory:
    """A context in which every owner is proved dead."""
    return seen_by(Gone, desk, fleet, output, **extra)


@pytest.fixture
def desk(home: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """The operator's desk."""
    return Desk(home=home, capsys=capsys)


@pytest.fixture
def samples() -> Path:
    """The sample files of the repository."""
    return ROOT / "configs"
