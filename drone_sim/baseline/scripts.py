"""The two scripts: what they send, and what a device does with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

from drone_sim.baseline.ground import UNCONFIGURED, Ground, Script, Unit

WINDOW_S: Final = 2.0
"""How long the coordinator waits for votes."""

BETWEEN_S: Final = 0.0035
"""
What a shell loop with one ``mosquitto_pub`` takes for each device, in s.

Measured with Mosquitto 2.0.11 on loopback, QoS 1, retained, the configuration that ships: 100
devices in 0.35 s; 0.88 to 0.96 s while other programs kept all cores busy. The best that was seen
counts, and that the network of a site is slower does not.
"""


class Manner(Protocol):
    """How a script pushes."""

    def __init__(self, ground: Ground) -> None:
        """Stand on this ground."""
        ...

    def push(self, script: Script) -> None:
        """Begin; the lock is taken."""
        ...

    def told(self, unit: Unit, topic: str, value: int) -> None:
        """Let a device take a message."""
        ...


class Retained:
    """One retained message for each device."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        if not ground.scenario.fresh:
            ground.broker.retained = {(name, "config"): 1 for name in ground.units}

    def push(self, script: Script) -> None:
        """Publish to all, one after the other, then remove the lock."""
        units = [unit for unit in self._ground.units.values() if not unit.retired]
        script.steps = deque(partial(self._publish, unit, script.version) for unit in units)
        script.steps.append(partial(unlock, self._ground, script))
        self._ground.go_on(script, BETWEEN_S)

    def _publish(self, unit: Unit, version: int) -> None:
        self._ground.tell(unit, "config", version, partial(self.told, unit, "config", version))

    def told(self, unit: Unit, topic: str, value: int) -> None:
        """Run what it is told to run, now or as soon as it can."""
        ground = self._ground
        later = max(unit.refuses_until, unit.fails_until)
        if ground.now < later:
            ground.at(later, partial(self._again, unit, topic, value))
        elif unit.version != value and not ground.writes(unit):
            unit.queue.append(partial(self.told, unit, topic, value))
        else:
            unit.version = value

    def _again(self, unit: Unit, topic: str, value: int) -> None:
        """Look again at what is retained now: that is the newest that it has been told."""
        ground = self._ground
        newest = ground.broker.retained.get((unit.id, topic), value)
        ground.deliver(unit, partial(self.told, unit, topic, newest))


class Deleted:
    """
    Two-phase commit whose lock is a file.

    A new PREPARE takes the place of an old promise: otherwise nobody could push after a lock was
    deleted.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        if not ground.scenario.fresh:
            ground.broker.retained = {(name, "commit"): 1 for name in ground.units}

    def push(self, script: Script) -> None:
        """Ask all, wait for their votes, decide, tell, remove the lock."""
        ground, votes = self._ground, dict[str, bool]()
        units = [unit for unit in ground.units.values() if not unit.retired]
        script.steps = deque(
            partial(ground.deliver, unit, partial(self._vote, script, unit, votes))
            for unit in units
        )
        ground.go_on(script, BETWEEN_S)
        decide = partial(self._decide, script, units, votes)
        ground.at(ground.now + WINDOW_S, lambda: script.run(decide))

    def _vote(self, script: Script, unit: Unit, votes: dict[str, bool]) -> None:
        ground = self._ground
        yes = ground.now >= unit.refuses_until
        if yes and not ground.writes(unit):
            unit.queue.append(partial(self._vote, script, unit, votes))
            return
        if yes:
            unit.prepared = script.version
        ground.answer(unit, script, lambda: votes.__setitem__(unit.id, yes))

    def _decide(self, script: Script, units: list[Unit], votes: Mapping[str, bool]) -> None:
        commit = all(votes.get(unit.id) for unit in units) and not script.asked_to_abort
        topic = "commit" if commit else "abort"
        script.steps = deque(partial(self._tell, unit, topic, script.version) for unit in units)
        script.steps.append(partial(unlock, self._ground, script))
        self._ground.go_on(script, BETWEEN_S)

    def _tell(self, unit: Unit, topic: str, version: int) -> None:
        self._ground.tell(unit, topic, version, partial(self.told, unit, topic, version))

    def told(self, unit: Unit, topic: str, value: int) -> None:
        """Obey the decision about what it has promised; a new unit takes what there is."""
        ground, new = self._ground, unit.version == UNCONFIGURED and topic == "commit"
        if unit.prepared != value and not new:
            return
        if ground.now < unit.fails_until:
            ground.at(unit.fails_until, partial(self._again, unit, topic, value))
        elif not ground.writes(unit):
            unit.queue.append(partial(self.told, unit, topic, value))
        else:
            unit.prepared = None if unit.prepared == value else unit.prepared
            unit.version = value if topic == "commit" else unit.version

    def _again(self, unit: Unit, topic: str, value: int) -> None:
        self._ground.deliver(unit, partial(self.told, unit, topic, value))


def unlock(ground: Ground, script: Script) -> None:
    """Remove the lock file, if it is this script's."""
    if ground.lock is script:
        ground.lock = None


SCRIPTS: Final[Mapping[str, type[Manner]]] = {"retained": Retained, "deleted": Deleted}
"""The scripts by their names."""
