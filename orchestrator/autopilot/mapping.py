"""From a configuration to the parameters of an autopilot, and back; what is lost is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.autopilot.numbers import same
from orchestrator.autopilot.rows import Numbers, Plain, Unfit, Values
from orchestrator.autopilot.tables import TABLES, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """
    The parameters that say a configuration, in the table's order.

    ``unfit`` are the values that the autopilot can't hold: it must not be given the rest
    either. ``left`` are keys that its parameters don't say, with why: the gimbal's own firmware
    has them, or nobody.
    """

    params: dict[str, float]
    unfit: tuple[Unfit, ...]
    left: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """
    The keys that parameters say.

    ``sources`` has the parameters behind each key; an empty list where the firmware's default
    was taken, since none was given. ``unknown`` are the names that no row knows. ``odd`` says
    of parameters that a row knows what they say that no key can.
    """

    values: dict[str, Plain]
    sources: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    odd: dict[str, str]


def params_of(table: Table, values: Values, present: Numbers | None = None) -> Encoded:
    """
    Return the parameters that say ``values``.

    ``present`` is what they are now: bits that are somebody else's are kept, and a value that
    means the same stays as it is. Older names are used where ``present`` has them.
    """
    spelled = table.names
    now = {spelled[name]: value for name, value in (present or {}).items() if name in spelled}
    called = {spelled[name]: name for name in (present or {}) if name in spelled}
    params: dict[str, float] = {}
    unfit: list[Unfit] = []
    left = dict.fromkeys(values, f"no parameter of {table.title} says it")
    for row in table.rows:
        if not values.keys() >= {*row.keys}:
            continue
        left = {key: why for key, why in left.items() if key not in row.keys}
        try:
            written = row.write(values, now)
        except Unfit as one:
            if one.harmless:
                left[one.where] = one.why
            else:
                unfit.append(one)
        else:
            params |= {called.get(name, name): value for name, value in written.items()}
    return Encoded(params=params, unfit=tuple(unfit), left=left)


def values_of(table: Table, params: Numbers) -> Decoded:
    """Return what ``params`` say; one that is not given has the firmware's default."""
    spelled, specs = table.names, table.params
    called = {spelled[name]: name for name in params if name in spelled}
    given = {name: params[old] for name, old in called.items()}
    full = {name: given.get(name, spec.default) for name, spec in specs.items()}
    values: dict[str, Plain] = {}
    sources: dict[str, tuple[str, ...]] = {}
    odd: dict[str, str] = {}
    for row in table.rows:
        try:
            found = row.read(full, values)
        except Unfit as one:
            odd |= {called[one.where]: one.why} if one.where in called else {}
            continue
        values |= found
        behind = tuple(called[param.name] for param in row.params if param.name in called)
        sources |= dict.fromkeys(found, behind)
    unknown = tuple(name for name in params if name not in spelled)
    odd |= _bent(table, params, values, sources)
    return Decoded(values=values, sources=sources, unknown=unknown, odd=odd)


def _bent(
    table: Table, params: Numbers, values: Values, sources: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Name the parameters that would not come out as they are if they were written back."""
    back = params_of(table, values, params)
    specs, spelled = table.params, table.names
    told = {name: one.why for one in back.unfit for name in sources[one.where]}
    for name, value in back.params.items():
        kind = specs[spelled[name]].type
        if name in params and not same(kind, value, params[name]):
            told[name] = f"{params[name]:.9g} would be written back as {value:.9g}"
    return told


def known_names(table: Table, names: Iterable[str]) -> int:
    """Return how many of ``names`` a table knows."""
    spelled = table.names
    return sum(name in spelled for name in names)


def table_for(names: Collection[str], autopilot: str | None = None) -> Table | None:
    """
    Return the table that knows most of ``names``; ``None`` where none knows any.

    ``autopilot`` leaves its own tables only; then the first of them is taken where none knows
    any.
    """
    tables = [table for table in TABLES if autopilot in {None, table.autopilot}]
    best = max(tables, key=lambda table: known_names(table, names))
    return best if autopilot is not None or known_names(best, names) else None
