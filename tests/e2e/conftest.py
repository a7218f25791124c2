"""The one site of a session, whole at the start of every case, and a row of the table for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.protocol.records import LockState
from tests.conftest import Need
from tests.e2e.processes import Program, Ran
from tests.e2e.site import NAMES, Site
from tests.table import ROW, Row

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test of this item failed: its site is not trusted any more."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@dataclass
class Sites:
    """Holds the site of the session; a failed case costs it, and the next one gets a new one."""

    mosquitto: str
    make_directory: Callable[[], Path]
    site: Site | None = None

    def get(self) -> Site:
        """Return a site whose fleet is whole."""
        if self.site is None:
            site = Site(directory=self.make_directory(), mosquitto=self.mosquitto).__enter__()
            ran = site.push(NAMES[0], "--window", "2").wait()
            if ran.code != 0:
                site.__exit__()
            assert ran.code == 0, ran.text()
            self.site = site
        return self.site

    def drop(self) -> None:
        """End the site."""
        site, self.site = self.site, None
        if site is not None:
            site.__exit__()


@pytest.fixture(scope="session")
def sites(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The holder of the session's site."""
    holder = Sites(need("mosquitto"), lambda: tmp_path_factory.mktemp("site"))
    yield holder
    holder.drop()


@pytest.fixture
def apart() -> tuple[str, ...]:
    """The devices that the fleet process does not run: a module may start them by itself."""
    return ()


@pytest.fixture
def site(sites: Sites, apart: tuple[str, ...], request: pytest.FixtureRequest) -> Iterator[Site]:
    """A broker, a store and a fleet of 24 devices that all run the installed configuration."""
    found = sites.get()
    found.arrange(apart)
    state = found.state()
    assert (LockState.FREE, None, {}) == (state.lock.state, state.open, dict(state.deferred))
    assert found.current is not None
    assert found.running(found.current), "the case before left a mixed fleet"
    yield found
    if request.node.stash.get(FAILED, False):
        sites.drop()


@dataclass
class Case:
    """What one case saw, for its row in the table."""

    site: Site
    properties: list[tuple[str, object]]
    old: str
    seq: int
    codes: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def new(self, steps: int = 1) -> str:
        """Return a configuration that the fleet did not run at the start."""
        return self.site.next_after(self.old, steps)

    def ended(self, process: Program | Ran, *codes: int) -> Ran:
        """Wait for an end with one of ``codes``, and note the code."""
        ran = process.wait() if isinstance(process, Program) else process
        assert ran.code in codes, f"not one of {codes}: {ran.text()}"
        assert "Traceback" not in ran.err, ran.err
        self.codes.append(ran.code)
        return ran

    def recovered(self) -> None:
        """
        Run ``recover`` until nobody is left to answer, as its exit code 5 asks for.

        A device that has lost its broker looks for it again in pauses that grow to seconds.
        """
        for _ in range(5):
            if self.ended(self.site.recover(), 0, 5).code == 0:
                return
        raise AssertionError("recover finds devices that wait, again and again")

    def note(self, who: str, step: str, fault: str, then: str, ends: str | None = None) -> None:
        """Add the row; the configuration that the fleet runs now is old, new, or ``ends``."""
        state = self.site.state()
        last = state.last
        if ends is None:
            ends = "old" if self.site.current == self.old else "new"
        begun = last is not None and last.begun.seq > self.seq
        row = Row(
            who=who,
            step=step,
            fault=fault,
            then=then,
            ends=ends,
            codes=tuple(self.codes),
            hold_s=self.site.held_s(last.begun.txn) if last is not None and begun else None,
            took_s=time.monotonic() - self.began,
        )
        self.properties.append((ROW, row.cells()))


@pytest.fixture
def case(site: Site, request: pytest.FixtureRequest) -> Case:
    """One case on the site."""
    assert site.current is not None
    seq = site.state().last_seq
    properties = request.node.user_properties
    return Case(site=site, properties=properties, old=site.current, seq=seq)
