"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Stamp
from orchestrator.protocol.records import START
from orchestrator.protocol.types import Epoch
from orchestrator.storage import open_store
from orchestrator.storage.memory import MemoryStore
from tests.storage.conftest import FakeBoot, FakeClock
from tests.storage.samples import FLEET, noise, taken


async def test_an_absolute_path_has_four_slashes(tmp_path: Path) -> None:
    """``sqlite:////var/lib/x.db`` is an absolute path, as for SQLAlchemy."""
    store = open_store(f"sqlite:///{tmp_path}/a dir/%41#.db", now=FakeClock())
    await store.append(FLEET, START, [noise(1)])
    await store.close()
    assert (tmp_path / "a dir" / "%41#.db").is_file()


async def test_three_slashes_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sqlite:///x.db`` lies in the working directory, and stays there if that changes."""
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///sub/x.db", now=FakeClock())
    monkeypatch.chdir("/")
    await store.append(FLEET, START, [noise(1)])
    await store.close()
    assert (tmp_path / "sub" / "x.db").is_file()


async def test_a_tilde_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands it inside a URL, and a directory named ``~`` is a trap."""
    monkeypatch.setenv("HOME", str(tmp_path))
    await open_store("sqlite:///~/x.db", now=FakeClock()).close()
    assert (tmp_path / "x.db").is_file()


async def test_memory_is_a_store_of_its_own() -> None:
    """Two openings of ``memory:`` share nothing."""
    first, second = (open_store("memory:", now=FakeClock()) for _ in range(2))
    assert isinstance(first, MemoryStore)
    await first.append(FLEET, START, [noise(1)])
    assert [] == list(await second.read(FLEET))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://mira:secret@db/aim", "not available in this version"),
        ("postgresql+asyncpg://mira:secret@db/aim", "not available in this version"),
        ("postgres://mira:secret@db/aim", "not available in this version"),
        ("mysql://mira:secret@db/aim", "'mysql' is not known"),
        ("sqlite://", "three slashes"),
        ("sqlite:x.db", "three slashes"),
        ("sqlite:///", "needs a path"),
        ("sqlite:///:memory:", "needs a path"),
        ("sqlite:///x.db?mode=memory", "no parameters"),
        ("/var/lib/x.db", "no scheme"),
        ("", "no scheme"),
    ],
)
def test_any_other_url_is_wrong_use(url: str, why: str) -> None:
    """The refusal says why and what to write instead, and repeats no password."""
    with pytest.raises(OperatingError, match=why) as caught:
        open_store(url, now=FakeClock())
    assert Exit.USAGE is caught.value.exit_code
    assert "sqlite:////absolute/path" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["memory:", "sqlite:///{}/x.db"])
async def test_a_store_stamps_with_the_clocks_it_is_given(tmp_path: Path, name: str) -> None:
    """``now`` and ``boot`` reach the leases of either store."""
    clock, boot = FakeClock(), FakeBoot()
    store = open_store(name.format(tmp_path), now=clock, boot=boot)
    await store.append(FLEET, START, [taken(1)])
    lease = (await store.leases(FLEET))[Epoch(1, 1)]
    assert Stamp(utc_s=clock.at, boot_id=boot.id, boot_s=boot.at) == lease.renewed
    await store.close()


async def test_without_a_boot_a_store_stamps_by_utc() -> None:
    """Nobody need know the boot."""
    clock = FakeClock()
    store = open_store("memory:", now=clock)
    await store.append(FLEET, START, [taken(1)])
    assert Stamp(utc_s=clock.at) == (await store.leases(FLEET))[Epoch(1, 1)].renewed
