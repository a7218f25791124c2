"""
The same seed is the same run: byte for byte, whatever PYTHONHASHSEED, on every Python.

The digests of the traces are in a file, and the suite runs on the oldest and the newest Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from drone_sim.explore.runs import Case, ran
from drone_sim.result import Speed

DIGESTS = Path(__file__).parent / "digests.txt"
SEEDS = {Speed.CORES: range(1, 61), Speed.SHELLS: range(1, 13)}
OTHER_HASH_SEED = "20231"

pytestmark = pytest.mark.timeout(600)


@cache
def digests(speed: Speed) -> dict[str, str]:
    """The digest of each trace, as it comes out in this process."""
    cases = (Case(seed=seed, speed=speed, hashed=True) for seed in SEEDS[speed])
    return {f"seed {case.seed}, {speed}": str(ran(case).digest) for case in cases}


def pinned() -> dict[str, str]:
    """The digests of the file."""
    lines = (line.rpartition(" ") for line in DIGESTS.read_text().splitlines())
    return {name: digest for name, _, digest in lines}


def of(speed: Speed, found: dict[str, str]) -> dict[str, str]:
    """Those of one speed."""
    return {name: digest for name, digest in found.items() if name.endswith(speed)}


@pytest.fixture(scope="module", autouse=True)
def _rewritten(request: pytest.FixtureRequest) -> None:
    """Write the file anew, if somebody wants it (``--rewrite``)."""
    if request.config.getoption("--rewrite"):
        found = {name: one for speed in SEEDS for name, one in digests(speed).items()}
        DIGESTS.write_text("".join(f"{name} {digest}\n" for name, digest in found.items()))


@pytest.mark.parametrize("speed", SEEDS)
def test_traces_are_those_of_the_file(speed: Speed) -> None:
    """In this process, on this Python (``--rewrite`` after a change that is meant)."""
    assert of(speed, pinned()) == digests(speed)


@pytest.mark.parametrize("speed", SEEDS)
def test_traces_do_not_depend_on_the_hash_seed(speed: Speed, tmp_path: Path) -> None:
    """Another process, in which every set of texts has another order."""
    first, last = SEEDS[speed][0], SEEDS[speed][-1]
    words = ["explore", "--seeds", f"{first}..{last}", "--speed", speed.value, "--hash"]
    words += ["--keep-going", "--shrink", "0", "--output", "json"]  # held or not, it is the same
    done = subprocess.run(
        [sys.executable, "-m", "drone_sim", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": OTHER_HASH_SEED},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert of(speed, pinned()) == json.loads(done.stdout)["hashes"]


def test_no_two_seeds_have_the_same_trace() -> None:
    """The digests are of what has happened, not of nothing."""
    found = pinned()
    assert (sum(map(len, SEEDS.values())),) * 2 == (len(found), len(set(found.values())))
