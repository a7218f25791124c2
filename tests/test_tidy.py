"""
The source itself, as a test: ruff, mypy, and what neither of them counts.

What ruff can hold stands in pyproject.toml, with reasons: no print, no assert, no notes of work
to be done, a docstring for everything public, and no clock, randomness or operating system
outside the adapters that are named there.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import CHECKED, PRODUCT, PYPROJECT, ROOT, imports, nodes, sources

PROTOCOL = ROOT / "orchestrator" / "protocol"
WRITTEN_BY_PEOPLE = (*CHECKED, ".ci", "configs", "docs")
BINARY = (".ico", ".png", ".woff2")

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
PROTOCOL_FILE_LINES_MAX = 420
LINE_CHARS_MAX = 99

PERSONAL_PATH = re.compile(r"(?<![\w.])/(?:home|root|Users|work|workspace)/[\w.]")
"""Somebody's own directory: it exists on one machine."""


def texts() -> Iterator[Path]:
    """Every file of the repository that people write; no caches, environments or builds."""
    for top in sorted(ROOT.iterdir()):
        if top.is_file():
            yield top
        elif top.name in WRITTEN_BY_PEOPLE:
            yield from (path for path in sorted(top.rglob("*")) if "__pycache__" not in path.parts)


def place(path: Path, line: int) -> str:
    """A place that a terminal can open."""
    return f"{path.relative_to(ROOT)}:{line}"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The length of a function without its docstring: explaining more is never the fault."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return total
    docstring = function.body[0]
    return total - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def run_tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this interpreter's environment at the root of the repository."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("ruff", "check", "--no-fix", "--no-cache"), id="ruff-check"),
        pytest.param(("ruff", "format", "--diff"), id="ruff-format"),
        pytest.param(("mypy",), id="mypy", marks=pytest.mark.timeout(300)),
    ],
)
def test_tool_has_nothing_to_say(command: tuple[str, ...]) -> None:
    """The linter, the formatter and the type checker are content with the whole tree."""
    done = run_tool(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_functions_are_short() -> None:
    """No function has more than 70 lines beside its docstring."""
    long = [
        f"{place(path, node.lineno)} {node.name}: {code_lines(node)} lines"
        for path in sources(*CHECKED)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and code_lines(node) > FUNCTION_LINES_MAX
    ]
    assert [] == long


def test_files_are_short() -> None:
    """No file has more than 500 lines, none of the protocol more than 420."""
    long = []
    for path in sources(*CHECKED):
        limit = PROTOCOL_FILE_LINES_MAX if path.is_relative_to(PROTOCOL) else FILE_LINES_MAX
        lines = len(path.read_text().splitlines())
        if lines > limit:
            long.append(f"{place(path, limit)}: {lines} lines")
    assert [] == long


def test_lines_are_short() -> None:
    """No line has more than 99 characters; unlike ruff's rule, this one knows no exceptions."""
    long = [
        place(path, number)
        for path in sources(*CHECKED)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_CHARS_MAX
    ]
    assert [] == long


def test_protocol_never_waits() -> None:
    """Nothing in the protocol is asynchronous: its steps are plain, total functions."""
    found = [
        place(path, node.lineno)
        for path in sources("orchestrator/protocol")
        for node in nodes(path)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]
    assert [] == found


def test_protocol_needs_the_standard_library_alone() -> None:
    """The protocol imports itself and the standard library, so that any host can carry it."""
    found = [
        f"{place(path, line)} {name}"
        for path in sources("orchestrator/protocol")
        for line, name in imports(path)
        if not f"{name}.".startswith("orchestrator.protocol.")
        and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert [] == found


def test_adapters_that_may_touch_the_world_do() -> None:
    """Every line of pyproject.toml that exempts an adapter from TID251 is needed by a file."""
    lint = PYPROJECT["tool"]["ruff"]["lint"]
    exempt = {glob for glob, codes in lint["per-file-ignores"].items() if codes == ["TID251"]}
    banned = lint["flake8-tidy-imports"]["banned-api"]
    touching = [
        str(path.relative_to(ROOT))
        for path in sources(*PRODUCT)
        for _, name in imports(path)
        if name.partition(".")[0] in banned
    ]
    assert set() == {glob for glob in exempt if not fnmatch.filter(touching, glob)}


def test_no_path_of_one_machine() -> None:
    """No file names somebody's own directory."""
    found = []
    for path in texts():
        if path.suffix in BINARY or not path.is_file():
            continue
        lines = path.read_text(errors="replace").splitlines()
        found += [place(path, n) for n, line in enumerate(lines, 1) if PERSONAL_PATH.search(line)]
    assert [] == found
