"""A scenario with what people say about it, and its file: what this writes, a story reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from drone_sim.scenario import phrases
from drone_sim.scenario.model import Link, Pace, Scenario, SimulatedDevice, StoreQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """
    What the end must be, before the last healthy push; ``None`` and no entry: not said.

    ``pushes`` has "commit", "abort" or "none" for the push of each process.
    """

    version: int | None = None
    lock_free: bool | None = None
    pushes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A scenario with what people say about it. ``fleet`` is the file it names, as written."""

    scenario: Scenario
    about: str
    expected: Expected = field(default_factory=Expected)
    fleet: str | None = None


def write(story: Story) -> str:
    """Write a story as a scenario file. Devices and timings are written out, without a fleet."""
    return "\n".join(_written(story)) + "\n"


def _written(story: Story) -> Iterator[str]:
    scenario = story.scenario
    yield f"name = {_text(scenario.name)}"
    yield f"about = {_text(story.about)}"
    yield f"seed = {scenario.seed}"
    yield f"ids = [{', '.join(_text(name) for name in scenario.names)}]"
    if scenario.fresh:
        yield "fresh = true"
    yield f"safety_s = {_number(scenario.safety_s)}"
    yield f"liveness_s = {_number(scenario.liveness_s)}"
    yield 'story = """'
    yield from (_escaped(phrases.written(act)) for act in scenario.acts)
    yield '"""'
    yield from _table("pace", _differing(scenario.pace, Pace()))
    yield from _table("control", _differing(scenario.control, Link()))
    yield from _table("store", _differing(scenario.store, StoreQuality()))
    base = scenario.devices[0].link
    yield from _table("links", _differing(base, Link()))
    for device in scenario.devices:
        yield from _written_device(device, base)
    yield from _written_expected(story.expected)


def _written_device(device: SimulatedDevice, base: Link) -> Iterator[str]:
    plain = SimulatedDevice(id=device.id, link=device.link)
    yield from _table(f"device.{_key(device.id)}", _differing(device, plain))
    yield from _table(f"device.{_key(device.id)}.link", _differing(device.link, base))


def _written_expected(expected: Expected) -> Iterator[str]:
    told: dict[str, object] = {}
    if expected.version is not None:
        told["version"] = expected.version
    if expected.lock_free is not None:
        told["lock_free"] = expected.lock_free
    yield from _table("expect", told)
    yield from _table("expect.pushes", dict(expected.pushes))


def _differing(value: object, usual: object) -> dict[str, object]:
    """Return the fields in which a value is not as usual."""
    fields = getattr(value, "__dataclass_fields__", {})
    return {
        name: getattr(value, name)
        for name in fields
        if getattr(value, name) != getattr(usual, name)
    }


def _table(name: str, values: Mapping[str, object]) -> Iterator[str]:
    if values:
        yield ""
        yield f"[{name}]"
        yield from (f"{_key(key)} = {_value(value)}" for key, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, int | float) else _text(str(value))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)


def _key(name: str) -> str:
    return _text(name) if "." in name or "@" in name else name


def _text(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Write a text for between double quotes of TOML."""
    return "".join(
        f"\\{char}" if char in '\\"' else char if char.isprintable() else f"\\U{ord(char):08x}"
        for char in text
    )
