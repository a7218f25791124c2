"""The sample workflow of README.md, and its one command that matters."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

README = Path(__file__).parent.parent.parent / "README.md"
_BLOCK = re.compile(r"^<!-- workflow -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def workflow() -> dict[Any, Any]:
    """The workflow, as GitHub would parse it (but for ``on``, which YAML 1.1 takes for true)."""
    block = _BLOCK.search(README.read_text())
    assert block is not None, "README.md has no block after <!-- workflow -->"
    parsed: dict[Any, Any] = yaml.safe_load(block[1])
    return parsed


def steps() -> list[dict[str, Any]]:
    """The steps of its one job."""
    (job,) = workflow()["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def command() -> list[str]:
    """The words of its ``drone-sim check``."""
    found = [shlex.split(step["run"]) for step in steps() if "drone-sim" in step.get("run", "")]
    (words,) = found
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How the step ended, as a person would see it, and the summary of the job."""

    code: int
    out: str
    err: str
    summary: str


def run(directory: Path, *, seeds: int) -> Step:
    """Run the command in a checkout, with so many seeds, as a step of GitHub Actions."""
    program, *words = command()
    words[words.index("--seeds") + 1] = str(seeds)
    summary = directory / "summary.md"
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *words],
        cwd=directory,
        env={**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Step(
        code=done.returncode, out=done.stdout, err=done.stderr, summary=summary.read_text()
    )
