"""
Scenario files: stories as people tell them, in TOML (or YAML, or JSON).

.. code-block:: toml

    name = "ghost"
    about = "The push dies before its decision; an operator forces the lock."
    devices = 3
    story = '''
    at 0 s mira pushes
    at 60 ms kill mira
    at 3 s ops force-unlocks
    '''
    [expect]
    version = 1
    lock_free = true
    pushes = { mira = "abort" }

:func:`parse` says everything that is wrong with a file: line, key, what was expected. What
:func:`write` writes is read as the same story.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from drone_sim.scenario import phrases
from drone_sim.scenario.checks import wrong, wrong_act
from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, StoreQuality
from drone_sim.scenario.phrases import Unreadable
from drone_sim.scenario.tables import DeviceTable, LinkTable, PaceTable, StoryFile
from drone_sim.scenario.told import Expected, Story, write
from drone_sim.scenario.verbs import VERBS, Target, Who
from orchestrator.staging.documents import Document, Source
from orchestrator.staging.documents import parse as parse_document
from orchestrator.staging.explain import at, checked
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.load import load_fleet, read
from orchestrator.staging.notes import InvalidInput, Note

__all__ = ["Expected", "ReadFleet", "Story", "load", "parse", "write"]

ReadFleet = Callable[[str], FleetFile]
"""Reads the fleet file that a scenario names. Raises InvalidInput."""

NAMES_SHOWN: Final = 12


def load(path: pathlib.Path) -> Story:
    """Read a scenario file, and the fleet file that it names. Raises InvalidInput."""

    def fleet(name: str) -> FleetFile:
        return load_fleet(read(path.parent / name)).file

    return parse(read(path), fleet)


def parse(source: Source, read_fleet: ReadFleet | None = None) -> Story:
    """Check the text of a scenario file. Raises InvalidInput with all that is wrong."""
    document = parse_document(source)
    found = checked(StoryFile, document.values, document.name, at(document.lines))
    if isinstance(found, list):
        raise InvalidInput(found)
    notes = _Notes(document)
    fleet = _fleet(found, notes, read_fleet)
    devices = _devices(found, fleet, notes)
    place, names = _Place(source.text, document), tuple(device.id for device in devices)
    acts = _acts(found.story, place, names, notes)
    scenario = Scenario(
        name=found.name,
        seed=found.seed,
        devices=devices,
        pace=_pace(found.pace, fleet),
        store=StoreQuality(append_s=found.store.append_s, loses_answer=found.store.loses_answer),
        control=_link(Link(), found.control),
        acts=acts,
        safety_s=found.safety_s,
        liveness_s=found.liveness_s,
        fresh=found.fresh,
    )
    for message in () if notes.found else wrong(scenario):
        notes.add((), message)
    _expected_is_told(found, acts, notes)
    if notes.found:
        raise InvalidInput(notes.found)
    expect = found.expect
    expected = Expected(
        version=expect.version, lock_free=expect.lock_free, pushes=dict(expect.pushes)
    )
    return Story(scenario=scenario, about=found.about, expected=expected, fleet=found.fleet)


class _Notes:
    """Collects what is wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._where = at(document.lines)
        self.found: list[Note] = []

    def add(
        self, path: tuple[str, ...], message: str, fix: str | None = None, line: int | None = None
    ) -> None:
        """Note something at a key, or on a line of its own."""
        self.found.append(
            Note(
                file=self._document.name,
                line=line or self._where(path)[0],
                key=".".join(path),
                message=message,
                component="scenario",
                fix=fix,
            )
        )


# --- the fleet --------------------------------------------------------------------------------


def _fleet(found: StoryFile, notes: _Notes, read_fleet: ReadFleet | None) -> FleetFile | None:
    given = [key for key in ("fleet", "devices", "ids") if getattr(found, key) is not None]
    if len(given) != 1:
        said = " and ".join(given) or "none of them"
        fix = "name a fleet file, a number of devices, or their ids"
        notes.add(tuple(given[-1:]), f"needs one of fleet, devices and ids, has {said}", fix)
        return None
    if found.fleet is None:
        return None
    if read_fleet is None:
        notes.add(("fleet",), "no fleet file can be read here", "use devices or ids")
        return None
    return read_fleet(found.fleet)


def _devices(
    found: StoryFile, fleet: FleetFile | None, notes: _Notes
) -> tuple[SimulatedDevice, ...]:
    if fleet is not None:
        named = [(device.id, str(device.kind)) for device in fleet.device]
    else:
        ids = found.ids or tuple(f"d-{n:02}" for n in range(1, 1 + (found.devices or 1)))
        kinds = found.kinds
        named = [(name, kinds[index % len(kinds)]) for index, name in enumerate(ids)]
    for name in found.device:
        if name not in dict(named):
            notes.add(("device", name), "the fleet has no device of this name")
    base = _link(Link(), found.links)
    return tuple(
        _device(name, kind, found.device.get(name, DeviceTable()), base) for name, kind in named
    )


def _device(name: str, kind: str, table: DeviceTable, base: Link) -> SimulatedDevice:
    return SimulatedDevice(
        id=name,
        kind=table.kind or kind,
        offset_s=table.offset_s,
        drift_ppm=table.drift_ppm,
        battery_percent=table.battery_percent,
        link=_link(base, table.link),
    )


def _link(base: Link, table: LinkTable) -> Link:
    return replace(base, **table.model_dump(exclude_none=True))


def _pace(table: PaceTable, fleet: FleetFile | None) -> Pace:
    base = Pace()
    if fleet is not None:
        timing = fleet.timing
        base = replace(
            base,
            window_s=timing.window_s,
            clock_error_s=timing.clock_error_ms / 1000,
            settle_s=timing.settle_s,
            lease_s=timing.lease_s,
        )
    return replace(base, **table.model_dump(exclude_none=True))


# --- the story --------------------------------------------------------------------------------


class _Place:
    """Where the lines of the story stand in the file."""

    def __init__(self, text: str, document: Document) -> None:
        key = document.lines.get(("story",))
        lines = text.splitlines()
        opens = key is not None and lines[key - 1].rstrip().endswith(_OPENINGS)
        self._first = None if key is None else key + 1 if opens else key
        self._many = opens

    def line(self, index: int) -> int | None:
        """Return the line of the file on which line ``index`` of the story stands."""
        return self._first + index if self._first is not None and self._many else self._first


_OPENINGS: Final = ('"""', "'''", "|", ">")


def _acts(story: str, place: _Place, devices: tuple[str, ...], notes: _Notes) -> tuple[Act, ...]:
    """Read the acts, in the order of their time."""
    found: list[tuple[Act, int | None]] = []
    for index, text in enumerate(story.splitlines()):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        line = place.line(index)
        try:
            act = phrases.read(text)
        except Unreadable as error:
            notes.add(("story",), str(error), error.fix, line)
            continue
        for message in wrong_act(act):
            notes.add(("story",), f"{text.strip()}: {message}", None, line)
        found.append((act, line))
    found.sort(key=lambda pair: pair[0].at_s)
    _require_known(found, notes)
    _require_targets(found, devices, notes)
    return tuple(act for act, _ in found)


def _require_known(found: list[tuple[Act, int | None]], notes: _Notes) -> None:
    """Refuse what names a process that nobody has started by then: it would be passed over."""
    started: list[str] = []
    for act, line in found:
        if VERBS[act.verb].who is Who.NEW:
            started.append(act.who)
        elif act.who and act.who not in started:
            known = ", ".join(dict.fromkeys(started)) or "nobody"
            message = f"{act.who} was not started before {act.at_s:g} s"
            notes.add(("story",), message, f"until then there are: {known}", line)


def _require_targets(
    found: list[tuple[Act, int | None]], devices: tuple[str, ...], notes: _Notes
) -> None:
    """Refuse targets that are no device and, where it may be one, no process of the story."""
    processes = [act.who for act, _ in found if VERBS[act.verb].who is Who.NEW]
    for act, line in found:
        parties = VERBS[act.verb].target is Target.PARTIES
        for name in act.target:
            if name not in devices and not (parties and name in processes):
                what = "device or process" if parties else "device"
                fix = f"the devices are {', '.join(devices[:NAMES_SHOWN])}"
                notes.add(("story",), f"there is no {what} '{name}'", fix, line)


def _expected_is_told(found: StoryFile, acts: tuple[Act, ...], notes: _Notes) -> None:
    pushing = [act.who for act in acts if act.verb.value == "push"]
    for name in found.expect.pushes:
        if name not in pushing:
            known = ", ".join(pushing) or "nobody"
            notes.add(("expect", "pushes", name), f"{name} pushes nothing", f"who does: {known}")
