"""The diagrams of orchestrator/protocol/README.md, made from the tables of the cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from orchestrator.protocol.coordinator import DUE
from orchestrator.protocol.coordinator import Phase as CoordinatorPhase
from orchestrator.protocol.participant import TRANSITIONS, Phase
from orchestrator.protocol.records import LockState

README: Final = Path(__file__).parent.parent.parent / "orchestrator" / "protocol" / "README.md"

MOVES: Final[Mapping[tuple[Phase, str], tuple[tuple[Phase, str], ...]]] = {
    (Phase.IDLE, "consider"): ((Phase.STAGING, "PREPARE"),),
    (Phase.IDLE, "consider_catch_up"): ((Phase.STAGING, "CATCH-UP"),),
    (Phase.STAGING, "collect"): (
        (Phase.PREPARED, "all blobs, checks passed, yes stored"),
        (Phase.IDLE, "a check refuses: no"),
        (Phase.COMMITTED, "CATCH-UP stored"),
    ),
    (Phase.STAGING, "record"): ((Phase.IDLE, "ABORT"),),
    (Phase.PREPARED, "obey"): (
        (Phase.COMMITTED, "COMMIT stored"),
        (Phase.IDLE, "ABORT stored"),
    ),
    (Phase.COMMITTED, "consider_catch_up"): ((Phase.STAGING, "CATCH-UP"),),
}
"""Where the methods of TRANSITIONS lead; a method that is not here leaves the phase alone."""

COORDINATOR: Final[Mapping[CoordinatorPhase, tuple[tuple[CoordinatorPhase, str], ...]]] = {
    CoordinatorPhase.ADOPTING: (
        (CoordinatorPhase.DRIVING, "Adopted + Decided"),
        (CoordinatorPhase.RELEASING, "Adopted, nothing open"),
        (CoordinatorPhase.UNHEARD, "nobody that was heard knows"),
    ),
    CoordinatorPhase.JOINING: (
        (CoordinatorPhase.PREPARING, "Begun"),
        (CoordinatorPhase.RELEASING, "abort or release asked"),
    ),
    CoordinatorPhase.PREPARING: ((CoordinatorPhase.DRIVING, "Decided"),),
    CoordinatorPhase.DRIVING: ((CoordinatorPhase.RELEASING, "Ended"),),
    CoordinatorPhase.RELEASING: ((CoordinatorPhase.DONE, "LockReleased"),),
    CoordinatorPhase.SETTLING: (
        (CoordinatorPhase.DONE, "nobody waits, or time is up; with leases never"),
    ),
}

LOCK: Final = (
    (LockState.FREE, LockState.HELD, "LockTaken(HELD)"),
    (LockState.HELD, LockState.FREE, "LockReleased, nothing open"),
    (LockState.HELD, LockState.RESOLVING, "LockTaken(RESOLVING) + Decided(ABORT) if undecided"),
    (LockState.RESOLVING, LockState.RESOLVING, "LockTaken(RESOLVING)"),
    (LockState.RESOLVING, LockState.FREE, "LockReleased, nothing open"),
    (LockState.FREE, LockState.RESOLVING, "a reseed alone: LockTaken(RESOLVING) + Reseeded"),
)


def device_phases() -> str:
    """Which message moves a device to which phase."""
    lines = ["[*] --> idle"]
    for phase, row in TRANSITIONS.items():
        for method in dict.fromkeys(row.values()):
            lines += [
                f"{phase} --> {after}: {why}" for after, why in MOVES.get((phase, method), ())
            ]
    lines.append(f"{Phase.COMMITTED} --> {Phase.IDLE}: activated, stored")
    return _mermaid(lines)


def device_table() -> str:
    """Which method answers which message in which phase."""
    kinds = [kind.__name__ for kind in next(iter(TRANSITIONS.values()))]
    lines = [f"| phase | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for phase, row in TRANSITIONS.items():
        lines.append(f"| {phase} | {' | '.join(row.values())} |")
    return "\n".join(lines)


def coordinator_phases() -> str:
    """Which record moves a coordinator to which phase."""
    lines = [
        "[*] --> joining: Push",
        "[*] --> driving: Resolve",
        "[*] --> adopting: Resolve, in a reseed",
        "[*] --> settling: Settle",
    ]
    for phase, method in DUE.items():
        lines.append(f"{phase}: {phase} ({method})")
        lines += [f"{phase} --> {after}: {why}" for after, why in COORDINATOR.get(phase, ())]
    return _mermaid(lines)


def lock_states() -> str:
    """Which record moves the lock to which state."""
    lines = [f"[*] --> {LockState.FREE}"]
    lines += [f"{before} --> {after}: {why}" for before, after, why in LOCK]
    return _mermaid(lines)


def _mermaid(lines: list[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"```mermaid\nstateDiagram-v2\n{body}\n```"


DIAGRAMS: Final[Mapping[str, Callable[[], str]]] = {
    "device-phases": device_phases,
    "device-table": device_table,
    "coordinator-phases": coordinator_phases,
    "lock-states": lock_states,
}


def drawn(text: str) -> str:
    """Return the README with its diagrams as the tables have them."""
    for name, draw in DIAGRAMS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{draw()}\n{end}{after}"
    return text
