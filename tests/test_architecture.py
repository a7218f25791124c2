"""Who may import whom, and what is declared: the contracts of pyproject.toml, as tests."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from typing import Any

import pytest

from tests.source import PRODUCT, PYPROJECT, ROOT, imports, sources

CONTRACTS: list[dict[str, Any]] = PYPROJECT["tool"]["importlinter"]["contracts"]
PART_OF = {"pydantic_core": "pydantic", "annotated_types": "pydantic"}
"""Modules whose use a declared dependency documents as a part of its own."""


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """The distributions that pyproject.toml names as dependencies, of all or of one command."""
    lines = [
        *PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"]["plot"],
        *PYPROJECT["project"]["optional-dependencies"]["power"],
    ]
    return {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


def third_party_imports() -> dict[str, set[str]]:
    """Top-level modules imported from outside, and the distributions that provide each."""
    names = {name.partition(".")[0] for path in sources(*PRODUCT) for _, name in imports(path)}
    providers = packages_distributions()
    return {
        name: {normal(PART_OF.get(name, by)) for by in providers.get(name, [])}
        for name in names - sys.stdlib_module_names - set(PRODUCT)
    }


@pytest.mark.parametrize("contract", [contract["id"] for contract in CONTRACTS])
def test_import_contract_is_kept(contract: str) -> None:
    """No import breaks the contract of this id in pyproject.toml."""
    code = "from importlinter.cli import lint_imports_command as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-logo", "--no-cache", "--contract", contract],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_existing_layer_is_optional() -> None:
    """Parentheses in the layers' contract stand around layers that do not exist yet, only."""
    layers = next(c["layers"] for c in CONTRACTS if c["id"] == "layers")
    optional = re.findall(r"\((\w+)\)", " ".join(layers))
    home = ROOT / "orchestrator"
    exist = [n for n in optional if (home / n).is_dir() or (home / f"{n}.py").is_file()]
    assert [] == exist, "take the parentheses off in pyproject.toml"


def test_every_third_party_import_is_declared() -> None:
    """What the product imports is named in its dependencies, not borrowed from another's."""
    known = declared()
    assert set() == {top for top, by in third_party_imports().items() if known.isdisjoint(by)}


def test_every_dependency_is_imported() -> None:
    """No dependency is declared that nothing imports."""
    assert set() == declared() - set().union(*third_party_imports().values())
