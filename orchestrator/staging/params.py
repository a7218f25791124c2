"""
Between configurations and the parameters of autopilots: what knows both the models and the tables.

A device's agent writes what :func:`encode_params` returns; ``aimctl import`` and ``aimctl export``
go through :func:`import_params` and :func:`export_params`. Findings are notes, like those of
every other file.
"""

from __future__ import annotations

import errno
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from orchestrator.autopilot import (
    FILE_BYTES_MAX,
    Decoded,
    Encoded,
    Format,
    ParamDocument,
    ParamType,
    Plain,
    Table,
    WrongLine,
    new_document,
    params_of,
    parse_params,
    same,
    table_for,
    values_of,
)
from orchestrator.staging.explain import checked
from orchestrator.staging.models import SCHEMA_VERSION, AimConfig
from orchestrator.staging.notes import InvalidInput, Note, Path, refuse
from orchestrator.staging.rules import STOPPING_SHARE_MAX

KIND: Final = "drone"
"""What carries an autopilot."""

_AXES: Final = ("yaw", "pitch", "roll")
_LANDED: Final = ("drone.landed_pitch_min_deg", "drone.landed_pitch_max_deg")
_DEFAULT: Final = "the firmware's default"


def flat(config: AimConfig) -> dict[str, Plain]:
    """Return the values of a configuration by their key path; lists are left out."""
    return dict(_leaves(config.model_dump(mode="json", by_alias=True, exclude_none=True), ""))


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Plain]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str) and (prefix or key != "schema"):
            yield f"{prefix}{key}", value


def encode_params(
    config: AimConfig, table: Table, present: Mapping[str, float] | None = None
) -> Encoded:
    """Return the parameters that say ``config``; ``present`` is what they are now."""
    return params_of(table, flat(config), present)


# --- files ------------------------------------------------------------------------------------


def read_params(path: pathlib.Path) -> ParamDocument:
    """Read a ``.param`` or ``.params`` file. Raises InvalidInput that names file and line."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        why = error.strerror or errno.errorcode.get(error.errno or 0, "unreadable")
        raise refuse(str(path), f"can't be read: {why}") from error
    return params_document(str(path), data)


def params_document(name: str, data: bytes) -> ParamDocument:
    """Read the bytes of a parameter file that messages call ``name``. Raises InvalidInput."""
    try:
        return parse_params(data)
    except WrongLine as wrong:
        note = Note(file=name, line=wrong.line, key="", message=wrong.why, component="syntax")
        raise InvalidInput([note]) from None


def table_of(name: str, document: ParamDocument, autopilot: str | None) -> Table:
    """Return the table of the gimbal parameters in a file. Raises InvalidInput for none."""
    table = table_for(document.values(), autopilot)
    known = table is not None and not set(table.names).isdisjoint(document.values())
    if table is None or not known:
        whose = "" if autopilot is None else f" of {autopilot}"
        raise refuse(
            name,
            f"holds no gimbal parameter{whose} that this program knows",
            fix="export the whole parameter list of the autopilot",
        )
    return table


# --- import -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """
    A configuration that was read from parameters. ``text`` is its TOML.

    ``unknown`` names the parameters that no key says, ``odd`` those that a key says only in
    part; both stay in the parameter file, and an export with it as the base keeps them.
    ``chosen`` says what was put where neither file nor firmware says something that fits.
    """

    table: Table
    text: str
    values: Mapping[str, Plain]
    unknown: tuple[str, ...]
    odd: Mapping[str, str]
    chosen: Mapping[str, str]


def import_params(name: str, document: ParamDocument, autopilot: str | None = None) -> Imported:
    """
    Read a configuration from a parameter file.

    A parameter that the file does not have is taken at the firmware's default: the autopilot
    has it too. Raises InvalidInput for a file without gimbal parameters, and for values that
    no configuration may have, by their lines.
    """
    table = table_of(name, document, autopilot)
    decoded = values_of(table, document.values())
    values = dict(decoded.values)
    chosen = dict(_chosen(values))
    _check(name, document, decoded, values)
    return Imported(
        table=table,
        text=_toml(name, table, decoded, values, chosen),
        values=values,
        unknown=(*decoded.unknown, *(entry.title for entry in document.foreign())),
        odd=decoded.odd,
        chosen=chosen,
    )


def _chosen(values: dict[str, Plain]) -> Iterator[tuple[str, str]]:
    """Put what the rules ask for where the parameters say nothing; yield key and reason."""
    for axis in _AXES:
        yield from _axis(values, axis)
    if values.get("roll.enabled") is False and "stabilisation.horizon_lock" not in values:
        values["stabilisation.horizon_lock"] = False
        yield "stabilisation.horizon_lock", "the roll axis does not move"
    poses = [(f"{pose}.{axis}_deg", axis) for pose in ("neutral", "retract") for axis in _AXES]
    for key, axis in (*poses, *((key, "pitch") for key in _LANDED)):
        if key in values:
            continue
        value = float(_default(key))
        low, high = _limits(values, axis)
        if not low <= value <= high:
            values[key] = min(max(value, low), high)
            yield key, f"the default {value:g} is outside the {axis} limits"


def _axis(values: dict[str, Plain], axis: str) -> Iterator[tuple[str, str]]:
    low, high = _limits(values, axis)
    if low >= high:
        values[f"{axis}.enabled"] = False
        yield f"{axis}.enabled", "its limits leave no range"
        return
    rate, accel = (
        float(_default(f"{axis}.{key}")) for key in ("rate_max_deg_s", "accel_max_deg_s2")
    )
    most = math.sqrt(2 * accel * STOPPING_SHARE_MAX * (high - low))
    if rate > most:
        values[f"{axis}.rate_max_deg_s"] = float(math.floor(most))
        yield f"{axis}.rate_max_deg_s", "it must stop within a quarter of the range"


def _limits(values: Mapping[str, Plain], axis: str) -> tuple[float, float]:
    low, high = (f"{axis}.angle_{end}_deg" for end in ("min", "max"))
    return float(values.get(low, _default(low))), float(values.get(high, _default(high)))


@cache
def _defaults() -> Mapping[str, Plain]:
    return flat(AimConfig.model_validate(nested({})))


def _default(key: str) -> Plain:
    return _defaults()[key]


def nested(values: Mapping[str, Plain]) -> dict[str, Any]:
    """Return the tables of a configuration with these values, as a file has them."""
    tables: dict[str, Any] = {"schema": SCHEMA_VERSION, "yaw": {}, "pitch": {}, "roll": {}}
    for path, value in values.items():
        *parents, last = path.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
        table[last] = value
    return {**tables, KIND: tables.get(KIND, {})}


def _check(
    name: str, document: ParamDocument, decoded: Decoded, values: Mapping[str, Plain]
) -> None:
    """Refuse values that no configuration may have, where the parameters stand."""
    lines = document.lines_of()

    def where(path: Path) -> tuple[int | None, Path]:
        behind = decoded.sources.get(".".join(str(part) for part in path), ())
        return (lines[behind[0]] if behind else None), path

    found = checked(AimConfig, nested(values), name, where)
    if isinstance(found, list):
        raise InvalidInput(found)


def _toml(
    name: str,
    table: Table,
    decoded: Decoded,
    values: Mapping[str, Plain],
    chosen: Mapping[str, str],
) -> str:
    """Return the text of the configuration; each value says where it comes from."""
    lines = [
        f"# Gimbal parameters of {table.title}, from {pathlib.PurePath(name).name}.",
        "# What is not written here has the default of the schema: no parameter says it.",
    ]
    for section, held in nested(values).items():
        if not isinstance(held, Mapping):
            lines.append(_line(section, section, held, decoded, chosen))
    for section, held in nested(values).items():
        if isinstance(held, Mapping):
            lines += ["", f"[{section}]"]
            lines += [
                _line(key, f"{section}.{key}", value, decoded, chosen)
                for key, value in held.items()
            ]
    return "\n".join(lines) + "\n"


def _line(key: str, path: str, value: Plain, decoded: Decoded, chosen: Mapping[str, str]) -> str:
    text = f"{key} = {_toml_value(value)}"
    if path in chosen:
        return f"{text:<32}# {chosen[path]}"
    if path in decoded.sources:
        return f"{text:<32}# {', '.join(decoded.sources[path]) or _DEFAULT}"
    return text


def _toml_value(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


# --- export -----------------------------------------------------------------------------------

Where = Callable[[Path], tuple[int | None, str]]
"""From a key path to the line and the key in the configuration's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """
    A parameter file made of a configuration.

    ``params`` are those that the configuration says, ``changed`` the ones among them that the
    base had otherwise or not at all. ``left`` has the keys that no parameter says, with why.
    """

    table: Table
    document: ParamDocument
    params: Mapping[str, float]
    changed: tuple[str, ...]
    left: Mapping[str, str]


def export_params(
    config: AimConfig,
    *,
    name: str,
    where: Where,
    autopilot: str,
    base: ParamDocument | None = None,
    form: Format = Format.ARDUPILOT,
) -> Exported:
    """
    Write a configuration as a parameter file: into ``base``, or as a new one in ``form``.

    A parameter that the base lacks is added only where it is not at the firmware's default.
    Raises InvalidInput for values that the autopilot can't hold, by their lines in ``name``.
    """
    present = {} if base is None else base.values()
    table = table_for(present, autopilot)
    if table is None:
        raise refuse(name, f"there is no autopilot {autopilot}")
    encoded = encode_params(config, table, present)
    if encoded.unfit:
        raise InvalidInput(_unfit(name, encoded, where))
    typed = _typed(table, encoded)
    if base is None:
        document = new_document(
            form, typed, [f"{table.title}: gimbal parameters from {pathlib.PurePath(name).name}"]
        )
        changed = tuple(typed)
    else:
        specs, spelled = table.params, table.names
        typed = {
            key: (kind, value)
            for key, (kind, value) in typed.items()
            if key in present or not same(kind, value, specs[spelled[key]].default)
        }
        document = base.changed(typed)
        changed = tuple(
            key
            for key, (kind, value) in typed.items()
            if key not in present or not same(kind, value, present[key])
        )
    return Exported(
        table=table,
        document=document,
        params=encoded.params,
        changed=changed,
        left=encoded.left,
    )


def _typed(table: Table, encoded: Encoded) -> dict[str, tuple[ParamType, float]]:
    specs, spelled = table.params, table.names
    return {name: (specs[spelled[name]].type, value) for name, value in encoded.params.items()}


def _unfit(name: str, encoded: Encoded, where: Where) -> list[Note]:
    notes = []
    for one in encoded.unfit:
        line, key = where(tuple(one.where.split(".")))
        notes.append(Note(file=name, line=line, key=key, message=one.why, component="autopilot"))
    return notes
