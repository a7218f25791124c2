"""The phrase book: every verb as it is written, with its meaning, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from drone_sim.scenario.deeds import ON_PURPOSE, PROCESSES
from drone_sim.scenario.faults import BROKER, DEVICES, NETWORK, STORE
from drone_sim.scenario.model import Verb
from drone_sim.scenario.phrases import example
from drone_sim.scenario.verbs import VERBS, Meaning

_PARTS: Final[Mapping[str, Mapping[Verb, Meaning]]] = {
    "What people and programs do": ON_PURPOSE,
    "Processes": PROCESSES,
    "The store": STORE,
    "The broker": BROKER,
    "The network": NETWORK,
    "Devices": DEVICES,
}


def phrase_book() -> str:
    """Return all tables in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, verbs in _PARTS.items():
        yield f"### {title}"
        yield ""
        yield "| at TIME ... | what happens |"
        yield "|---|---|"
        for verb in verbs:
            yield f"| `{_cell(example(verb))}` | {_cell(_meaning(VERBS[verb]))} |"
        yield ""


def _meaning(meaning: Meaning) -> str:
    parts = [meaning.says]
    if meaning.lasts:
        parts.append(f"TIME: {meaning.lasts}.")
    amount = meaning.amount
    if amount is not None:
        unit = f" {amount.unit}" if amount.unit else ""
        parts.append(f"NUMBER: {amount.what}, {amount.least:g} to {amount.most:g}{unit}.")
    if meaning.beyond:
        parts.append(f"May break {', '.join(meaning.beyond)} by design.")
    return " ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
