"""
The mutants of the protocol that no test kills, as mutmut has left them, grouped by reason.

``python -m tests.protocol.survivors`` reads the ``mutants`` directory of a run and prints the
tables of MUTATION.md. A reason is found by what a mutant changes (:data:`RULES`), the first that
fits; what fits none is printed last, line by line, to be looked at.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORE: Final = Path("orchestrator") / "protocol"
SURVIVED: Final = (0, 33)
"""mutmut's exit codes: every test passed, or no test runs the function."""

GENERATED: Final = re.compile(r"\s*# type: ignore # mutmut generated")
ORDER: Final = re.compile(r"[<>]=?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one function."""

    module: str
    function: str
    number: int
    survived: bool
    before: str = ""
    after: str = ""

    @property
    def place(self) -> str:
        """Where it is."""
        return f"{self.module}:{self.function}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A reason to live: what the function is called, and what stood there before and after."""

    reason: str
    function: str = ""
    before: str = ""
    after: str = ""

    def fits(self, mutant: Mutant) -> bool:
        """Whether it explains ``mutant``."""
        return (
            re.search(self.function, mutant.place) is not None
            and re.search(self.before, mutant.before) is not None
            and re.search(self.after, mutant.after) is not None
        )


EDGE: Final = "the very instant or number: `<` for `<=` where no promise is made for equality"
KEY: Final = "a name that is compared with itself alone, or a first value that nobody reads"
TYPE: Final = "a state that can't be: the check is there for the type checker, or a misused core"
WORDS: Final = "words for people: a notice, its level, the text of an error that can't be"
TWIN: Final = "the copy for the explorer, whose tests are too slow for a mutation run"
SAME: Final = "no difference: a default that is never taken, `continue` at a loop's only match"

RULES: Final = (
    Rule(reason=TWIN, function=r"fork$"),
    Rule(reason=KEY, function=r"__init__$"),
    Rule(
        reason=KEY,
        before=r"announce_once\(|^\(\"|\"[a-z]+\", (self\.state|begun)",
        after=r"XX|[A-Z]{4}|None",
    ),
    Rule(reason=WORDS, before=r"_tell\(|require\(|ProtocolMisuse|, \"I\d+:"),
    Rule(reason=WORDS, after=r"\"XX|'XX|\"[A-Z' ]{6,}\""),
    Rule(reason=TYPE, before=r"^(el)?if .* is None (or|and)", after=r"^(el)?if .* (or|and)"),
    Rule(reason=TYPE, after=r"\) (and False|or True) else"),
    Rule(reason=SAME, before=r"^case Tick|^continue|default=|, \(\)\)|, strict=True|, None\)$"),
)


def main() -> None:
    """Print the tables of a run."""
    found = [one for path in sorted(_metas(Path.cwd())) for one in mutants(path)]
    if not found:
        sys.exit("no mutants: run mutmut first")
    sys.stdout.write("\n".join(report(found)) + "\n")


def _metas(root: Path) -> Iterable[Path]:
    return (root / "mutants" / CORE).glob("*.py.meta")


def mutants(meta: Path) -> Iterator[Mutant]:
    """Yield the mutants of a module; those that have survived with what they change."""
    module = meta.name.removesuffix(".py.meta")
    text = meta.with_suffix("").read_text().splitlines()
    index = json.loads(meta.with_suffix(".spans").read_text())["spans"]
    for key, code in json.loads(meta.read_text())["exit_code_by_key"].items():
        if code is None:
            continue  # not tried: the run was of some mutants, or was stopped
        name, _, number = key.rpartition(".")[2].rpartition("__mutmut_")
        function = name.removeprefix("x").strip("ǁ").replace("ǁ", ".").removeprefix("_")
        before, after = "", ""
        if code in SURVIVED:
            before, after = _change(
                text, index[f"{name}__mutmut_orig"], index[f"{name}__mutmut_{number}"]
            )
        yield Mutant(
            module=module,
            function=function,
            number=int(number),
            survived=code in SURVIVED,
            before=before,
            after=after,
        )


def _change(text: list[str], original: list[int], mutant: list[int]) -> tuple[str, str]:
    """Return the lines that a mutant takes out, and those that it puts in their place."""
    was, now = (
        [GENERATED.sub("", line) for line in text[first - 1 : last]]
        for first, last in (original, mutant)
    )
    lines = [line for line in difflib.unified_diff(was, now, n=0) if "__mutmut_" not in line]
    gone = [line[1:].strip() for line in lines if re.match(r"-(?!--)", line)]
    come = [line[1:].strip() for line in lines if re.match(r"\+(?!\+\+)", line)]
    return " ".join(gone), " ".join(come)


def reason_of(mutant: Mutant) -> str | None:
    """Return why a mutant may live, if a rule says so."""
    if ORDER.sub("<", mutant.before) == ORDER.sub("<", mutant.after):
        return EDGE
    return next((rule.reason for rule in RULES if rule.fits(mutant)), None)


def report(found: list[Mutant]) -> Iterator[str]:
    """Yield the lines: a table of modules, the reasons with their places, and the rest."""
    yield from ("| module | tried | killed | score |", "|---|---|---|---|")
    for module in dict.fromkeys(one.module for one in found):
        yield _row(module, [one for one in found if one.module == module])
    yield _row("**all**", found)
    places: dict[str | None, Counter[str]] = defaultdict(Counter)
    for one in found:
        if one.survived:
            places[reason_of(one)][one.place] += 1
    for reason, counts in sorted(places.items(), key=lambda item: -item[1].total()):
        if reason is not None:
            named = ", ".join(f"{place} {count}" for place, count in sorted(counts.items()))
            yield from ("", f"**{counts.total()}**: {reason}. {named}")
    rest = [one for one in found if one.survived and reason_of(one) is None]
    yield from ("", f"**{len(rest)}** that no rule explains:", "")
    for one in rest:
        yield f"* {one.place} {one.number}: `{one.before}` → `{one.after}`"


def _row(name: str, some: list[Mutant]) -> str:
    killed = sum(not one.survived for one in some)
    return f"| {name} | {len(some)} | {killed} | {100 * killed / len(some):.1f} % |"


if __name__ == "__main__":
    main()
