"""What a mutant is, and how it is switched on."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from drone_sim.result import Speed
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.participant import Participant

PARTICIPANT: Final = ("orchestrator.protocol.participant", "orchestrator.agent.agent")
COORDINATOR: Final = (
    "orchestrator.protocol.coordinator",
    "orchestrator.service.devices",
    "orchestrator.service.push",
    "orchestrator.service.resolving",
    "orchestrator.service.serving",
)
"""Every module that makes such a core: each is given the mutated one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """An attribute of a module, or of a class of it (``module:Class``), and what replaces it."""

    where: str
    name: str
    value: Any

    def owner(self) -> Any:
        """Return whose attribute it is."""
        module, _, within = self.where.partition(":")
        found: Any = importlib.import_module(module)
        return getattr(found, within) if within else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    A plausible bug: the product with one rule taken out.

    ``rule`` says which, ``breaks`` the invariants one of which must be seen to break, ``speed``
    the engine that is asked to see it.
    """

    name: str
    rule: str
    breaks: tuple[str, ...]
    patches: tuple[Patch, ...]
    speed: Speed = Speed.CORES

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Switch it on while the context lasts."""
        owners = [(patch, patch.owner()) for patch in self.patches]
        before = [(owner, patch.name, vars(owner)[patch.name]) for patch, owner in owners]
        try:
            for patch, owner in owners:
                setattr(owner, patch.name, patch.value)
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)


def device(name: str, rule: str, core: type[Participant], *breaks: str) -> Mutant:
    """Return a mutant of the participant."""
    patches = tuple(Patch(where=module, name="Participant", value=core) for module in PARTICIPANT)
    return Mutant(name=name, rule=rule, breaks=breaks, patches=patches)


def coordinator(name: str, rule: str, core: type[Coordinator], *breaks: str) -> Mutant:
    """Return a mutant of the coordinator."""
    patches = tuple(Patch(where=module, name="Coordinator", value=core) for module in COORDINATOR)
    return Mutant(name=name, rule=rule, breaks=breaks, patches=patches)


def replaced(
    name: str,
    rule: str,
    attribute: tuple[str, str, object],
    *breaks: str,
    speed: Speed = Speed.CORES,
) -> Mutant:
    """Return a mutant of one function: where it is looked up, its name, and what replaces it."""
    where, attribute_name, value = attribute
    patch = Patch(where=where, name=attribute_name, value=value)
    return Mutant(name=name, rule=rule, breaks=breaks, patches=(patch,), speed=speed)
