"""The source of the repository, for the tests that read it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("orchestrator", "drone_sim")
CHECKED = (*PRODUCT, "tests")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources(*roots: str) -> Iterator[Path]:
    """Yield the Python files below ``roots``."""
    for root in roots:
        yield from sorted((ROOT / root).rglob("*.py"))


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield every node of a file's syntax tree."""
    yield from ast.walk(ast.parse(path.read_text(), filename=str(path)))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every module that a file imports from."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
