"""
Verifies the Promela model and prints what was looked at, as the tables of README.md.

``python -m tests.model.verify`` verifies what the tests verify; ``--scope full`` the scopes that
take up to a minute each, too; ``--scope NAME`` one of them, with the story of a violation if there
is one; ``--mutants`` shows that each mutant is found, by each property that should find it;
``--write`` puts the tables into README.md. It needs `spin` and `gcc`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.model.mutants import LIVENESS, MUTANTS, Mutant
from tests.model.scopes import DEFAULT, FULL, SCOPES
from tests.model.spin import Scope, Verified, story, verify

README: Final = Path(__file__).parent / "README.md"
FIGURES: Final = (
    "| scope | what is on | property | states | transitions | depth | s | MB | errors |",
    "|---|---|---|---:|---:|---:|---:|---:|---:|",
)
CAUGHT: Final = (
    "| mutant | what it does | found by |",
    "|---|---|---|",
)


def row(scope: Scope, verified: Verified) -> str:
    """Return a scope's line of the table."""
    end = "" if verified.complete else ", not complete"
    cells = (
        f"`{scope.name}`",
        scope.about,
        scope.claim or "all that are asserted",
        f"{verified.states:,}",
        f"{verified.transitions:,}",
        f"{verified.depth}",
        f"{verified.seconds:.1f}",
        f"{verified.memory_mb:,}",
        f"{verified.errors}{end}",
    )
    return f"| {' | '.join(cells)} |"


def find(mutant: Mutant, found_by: str) -> Verified:
    """Verify a mutant, asking for one property alone."""
    only = 0 if found_by in LIVENESS else int(found_by.removeprefix("I"))
    with tempfile.TemporaryDirectory() as directory:
        return verify(
            mutant.scope(found_by), Path(directory), mutant=mutant.switch, only=only, level="-O0"
        )


def _scopes(names: str) -> Sequence[Scope]:
    groups = {"default": DEFAULT, "full": (*DEFAULT, *FULL)}
    return groups[names] if names in groups else (SCOPES[names],)


def _figures(scopes: Iterable[Scope]) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the first table, and whether what they say is as it should be."""
    for line in FIGURES:
        yield line, True
    for scope in scopes:
        with tempfile.TemporaryDirectory() as directory:
            verified = verify(scope, Path(directory))
            yield row(scope, verified), verified.holds
            if verified.errors:
                yield f"{verified.violated}:\n{story(scope, Path(directory))}", False


def _caught() -> Iterator[tuple[str, bool]]:
    """Yield the lines of the second table."""
    for line in CAUGHT:
        yield line, True
    for mutant in MUTANTS:
        found = [name for name in mutant.finds if find(mutant, name).violated == name]
        yield (
            f"| `{mutant.switch}` | {mutant.about} | {', '.join(found)} |",
            tuple(found) == mutant.finds,
        )


def _show(lines: Iterable[tuple[str, bool]]) -> tuple[list[str], bool]:
    """Print lines as they come; return them, and whether all was as it should be."""
    table, well = [], True
    for line, right in lines:
        sys.stdout.write(f"{line}\n" if right else f"{line} <-- NOT as it should be\n")
        sys.stdout.flush()
        table.append(line)
        well = well and right
    return table, well


def written(text: str, name: str, table: Sequence[str]) -> str:
    """Return README's ``text`` with ``table`` between the markers of ``name``."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    body = "\n".join(table)
    return f"{before}{begin}\n{body}\n{end}{after}"


def main() -> int:
    """Verify what the command line names; 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scope", default="default", help="default, full, or a name")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args()
    name = "mutants" if chosen.mutants else "figures"
    lines = _caught() if chosen.mutants else _figures(_scopes(chosen.scope))
    table, well = _show(lines)
    if chosen.write and well:
        README.write_text(written(README.read_text(), name, table))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
