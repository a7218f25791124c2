"""From pydantic's errors to notes: a message in the words of the file, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.staging.fields import ERROR_TYPE
from orchestrator.staging.notes import Lines, Note, Path, dotted, line_of, shown

M = TypeVar("M", bound=BaseModel)

Where = Callable[[Path], tuple[int | None, Path]]
"""From a path in the checked value to the line and the key path in the file it came from."""

_FIXES: Final = {
    "missing": "add it",
    "enable_lease": 'write enable_lease = "none", or seconds without quotes',
    "finite_number": "write a finite number",
    "greater_than_equal": "use {ge:g} or more",
    "less_than_equal": "use {le:g} or less",
    "literal_error": "use {expected}",
    "string_too_short": "say what it is",
    "float_type": "write a number without quotes",
    "int_type": "write a whole number without quotes",
    "bool_type": "write true or false without quotes",
    "string_type": "write a text in quotes",
    "string_pattern_mismatch": "use letters, digits, '.', '_' and '-', beginning with a letter "
    "or digit",
}
"""Hints by pydantic's error type, where the message alone does not say how to mend it."""

_ID_FIX: Final = "use lower-case letters, digits, '.', '_' and '-', at most 63"


def checked(model: type[M], values: Mapping[str, Any], file: str, where: Where) -> M | list[Note]:
    """Return the model of ``values``, or a note for everything that is wrong with them."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        return list(_notes(error, model, file, where))


def at(lines: Lines, prefix: Path = ()) -> Where:
    """Return the places of a document, or of the part of it under ``prefix``."""

    def where(path: Path) -> tuple[int | None, Path]:
        return line_of(lines, (*prefix, *path)), (*prefix, *path)

    return where


def _notes(
    error: ValidationError, model: type[BaseModel], file: str, where: Where
) -> Iterator[Note]:
    for details in error.errors(include_url=False):
        if details["type"] == ERROR_TYPE:
            for below, message in details["ctx"]["found"]:
                line, key = where((*details["loc"], *below))
                yield Note(
                    file=file, line=line, key=dotted(key), message=message, component="rules"
                )
        elif not _is_echo(details):
            yield _note(details, model, file, where)


def _is_echo(details: ErrorDetails) -> bool:
    """Tell whether a list is called too short only because its elements are wrong."""
    if details["type"] != "too_short":
        return False
    return len(details["input"]) >= int(details["ctx"]["min_length"])


def _note(details: ErrorDetails, model: type[BaseModel], file: str, where: Where) -> Note:
    path = tuple(part for part in details["loc"] if part != "[key]")
    line, key = where(path)
    message, fix = _words(details, model, path)
    return Note(
        file=file, line=line, key=dotted(key), message=message, component="schema", fix=fix
    )


def _words(details: ErrorDetails, model: type[BaseModel], path: Path) -> tuple[str, str | None]:
    kind = details["type"]
    fix = _FIXES.get(kind)
    if kind == "extra_forbidden":
        return "unknown key", _similar(model, path)
    if kind == "string_pattern_mismatch" and "[a-z0-9][a-z0-9._-]" in details["ctx"]["pattern"]:
        fix = _ID_FIX
    ctx = details.get("ctx", {})
    say = _MESSAGES.get(kind)
    message = say(details.get("input"), ctx) if say else details["msg"]
    return message, fix.format_map(ctx) if fix else None


_MESSAGES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "missing": lambda _value, _ctx: "is missing",
    "greater_than_equal": lambda value, ctx: f"{shown(value)} is below {ctx['ge']:g}",
    "less_than_equal": lambda value, ctx: f"{shown(value)} is above {ctx['le']:g}",
    "float_type": lambda value, _ctx: f"must be a number, is {shown(value)}",
    "finite_number": lambda value, _ctx: f"must be a finite number, is {shown(value)}",
    "int_type": lambda value, _ctx: f"must be a whole number, is {shown(value)}",
    "bool_type": lambda value, _ctx: f"must be true or false, is {shown(value)}",
    "string_type": lambda value, _ctx: f"must be a text, is {shown(value)}",
    "literal_error": lambda value, ctx: f"{shown(value)} is not {ctx['expected']}",
    "model_type": lambda value, _ctx: f"must be a table, is {shown(value)}",
    "dict_type": lambda value, _ctx: f"must be a table, is {shown(value)}",
    "tuple_type": lambda value, _ctx: f"must be a list, is {shown(value)}",
    "too_short": lambda _value, ctx: (
        f"needs at least {ctx['min_length']}, has {ctx['actual_length']}"
    ),
    "too_long": lambda _value, ctx: f"may have at most {ctx['max_length']}",
    "string_too_short": lambda _value, _ctx: "must not be empty",
    "string_too_long": lambda _value, ctx: f"may have at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda value, _ctx: f"{shown(value)} is not a name",
}
"""Our words for pydantic's error types; what is not here is told in pydantic's."""


def _similar(model: type[BaseModel], path: Path) -> str:
    names = sorted(_names_at(model, path[:-1]))
    close = difflib.get_close_matches(str(path[-1])[:100], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"remove it; known are {', '.join(names)}" if names else "remove it"


def _names_at(model: type[BaseModel], path: Path) -> set[str]:
    """Return the keys that the table at ``path`` may have."""
    for part in path:
        if isinstance(part, int):
            continue
        by_key = {info.alias or name: info for name, info in model.model_fields.items()}
        if part in by_key:
            found = next(_models_in(by_key[part].annotation), None)
            if found is None:
                return set()
            model = found
    return {info.alias or name for name, info in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
