"""
From text to a document: plain values, and the line of every key path. TOML, YAML and JSON.

All three give the same kind of document: tables with text keys, no key twice, bounded nesting,
no references. Whether the values make sense is for the models to say.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import yaml

from orchestrator.staging.notes import InvalidInput, Lines, Note, Path, dotted, shortened
from orchestrator.staging.toml_lines import toml_lines

DEPTH_MAX: Final = 32
"""Nesting beyond which a document is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text with the name that messages call it by; its ending, or ``suffix``, is the format."""

    name: str
    text: str
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The values of a file, and the line on which each key path begins."""

    name: str
    values: Mapping[str, Any]
    lines: Lines


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    def __init__(
        self, line: int | None, message: str, path: Path = (), fix: str | None = None
    ) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.path = path
        self.fix = fix


_Parsed = tuple[Any, dict[Path, int]]


def parse(source: Source) -> Document:
    """Parse by the ending of the name. Raises InvalidInput that names the line."""
    suffix = source.suffix or source.name.rpartition(".")[2].lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise _invalid(
            source,
            _Wrong(
                None,
                f"unknown kind of file '.{shortened(suffix)}'",
                fix="use .toml, .conf (TOML inside), .yaml, .yml or .json",
            ),
        )
    try:
        values, lines = reader(source.text)
        if not isinstance(values, dict):
            _refuse(1, "must be a table of keys and values")
        _check_tree(values, lines)
    except _Wrong as wrong:
        raise _invalid(source, wrong) from None
    except RecursionError:
        raise _invalid(source, _too_deep(None, ())) from None
    return Document(name=source.name, values=values, lines=lines)


def _invalid(source: Source, wrong: _Wrong) -> InvalidInput:
    note = Note(
        file=source.name,
        line=wrong.line,
        key=dotted(wrong.path),
        message=wrong.message,
        component="syntax",
        fix=wrong.fix,
    )
    return InvalidInput([note])


def _refuse(line: int | None, message: str, path: Path = (), fix: str | None = None) -> NoReturn:
    raise _Wrong(line, message, path, fix)


def _too_deep(line: int | None, path: Path) -> _Wrong:
    return _Wrong(line, f"nested more than {DEPTH_MAX} deep", path[:2])


def _check_tree(value: Any, lines: Lines, path: Path = ()) -> None:
    """Refuse what no format of ours has: deep nesting, texts that are not Unicode."""
    if len(path) > DEPTH_MAX:
        raise _too_deep(lines.get(path), path)
    if isinstance(value, str):
        _check_text(value, lines, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, lines, (*path, key))
            _check_tree(item, lines, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_tree(item, lines, (*path, index))


def _check_text(text: str, lines: Lines, path: Path) -> None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        _refuse(lines.get(path), "holds half of a surrogate pair, no character", path[:-1])


# ----------------------------------------------------------------------------------------- TOML

_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _read_toml(text: str) -> _Parsed:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        shown = str(error)
        place = _TOML_PLACE.search(shown)
        line = int(place[1]) if place and place[1] else len(text.splitlines()) or 1
        _refuse(line, f"not TOML: {_TOML_PLACE.sub('', shown)}")
    except ValueError as error:  # an integer of thousands of digits
        _refuse(None, f"not TOML: {error}")
    return values, toml_lines(text)


# ----------------------------------------------------------------------------------------- YAML


class _PlainLoader(yaml.SafeLoader):
    """YAML without references and tags: what is written is what is meant."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, anchors, explicit tags and deep nesting before anything is built."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = _line(event.start_mark)
        if getattr(event, "anchor", None):  # an alias names its anchor
            _refuse(line, "anchors and aliases are not allowed", fix="write the value out")
        tag = getattr(event, "tag", None)
        if tag:
            _refuse(line, f"the tag '{shortened(tag)}' is not allowed")
        self.depth += 1
        if self.depth > DEPTH_MAX + 2:
            raise _too_deep(line, ())
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1


def _read_yaml(text: str) -> _Parsed:
    lines: dict[Path, int] = {(): 1}
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        return ({} if node is None else _yaml_value(loader, node, (), lines)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "unreadable"
        _refuse(_line(mark), f"not YAML: {what}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        _refuse(line, f"not YAML: character U+{_code(error.character):04X} is not allowed")


def _code(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character))


def _yaml_value(loader: _PlainLoader, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _yaml_table(loader, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [
            _yaml_value(loader, item, (*path, index), lines)
            for index, item in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node)
    except (ValueError, OverflowError) as error:
        _refuse(node.start_mark.line + 1, f"not YAML: {error}", path)


def _yaml_table(
    loader: _PlainLoader, node: yaml.MappingNode, path: Path, lines: dict[Path, int]
) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag != "tag:yaml.org,2002:str":
            _refuse(line, "a key must be a text", path, "put the key in quotes")
        key = str(key_node.value)
        if key in table:
            _refuse_twice(line, (*path, key), lines)
        lines[(*path, key)] = line
        table[key] = _yaml_value(loader, value_node, (*path, key), lines)
    return table


def _refuse_twice(line: int, path: Path, lines: Lines) -> NoReturn:
    _refuse(line, f"the key is there already, on line {lines[path]}", path, "remove one of them")


# ----------------------------------------------------------------------------------------- JSON

_JSON_BLANK: Final = re.compile(r"[ \t\r\n]*")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_JSON_SCALAR: Final = json.JSONDecoder(parse_constant=_no_constant)


class _JsonReader:
    """Tables and lists are walked here, for the lines' sake; everything else by ``json``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self.lines: dict[Path, int] = {}

    def run(self) -> Any:
        value = self._value(())
        if self._peek():
            self._fail("more text after the end of the value")
        return value

    def _peek(self) -> str:
        match = _JSON_BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _fail(self, what: str, path: Path = ()) -> NoReturn:
        _refuse(self._here(), f"not JSON: {what}", path)

    def _value(self, path: Path) -> Any:
        opening = self._peek()
        self.lines.setdefault(path, self._here())
        if len(path) > DEPTH_MAX:
            raise _too_deep(self._here(), path)
        if opening == "{":
            return self._table(path)
        if opening == "[":
            return self._list(path)
        return self._scalar(path)

    def _scalar(self, path: Path) -> Any:
        try:
            value, self._at = _JSON_SCALAR.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._fail(error.msg, path)
        except ValueError as error:
            self._fail(str(error), path)
        return value

    def _table(self, path: Path) -> dict[str, Any]:
        table: dict[str, Any] = {}
        self._at += 1
        while self._more("}", first=not table):
            if self._peek() != '"':
                self._fail("a key in double quotes is expected", path)
            line = self._here()
            key = self._scalar(path)
            if key in table:
                _refuse_twice(line, (*path, key), self.lines)
            if self._peek() != ":":
                self._fail("':' is expected after the key", (*path, key))
            self._at += 1
            self.lines[(*path, key)] = line
            table[key] = self._value((*path, key))
        return table

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        self._at += 1
        while self._more("]", first=not items):
            items.append(self._value((*path, len(items))))
        return items

    def _more(self, closing: str, *, first: bool) -> bool:
        """Step over what stands before the next item; false at the closing bracket."""
        found = self._peek()
        if found == closing:
            self._at += 1
            return False
        if first:
            return True
        if found != ",":
            self._fail(f"',' or '{closing}' is expected")
        self._at += 1
        if self._peek() == closing:
            self._fail(f"no ',' may stand before '{closing}'")
        return True


def _read_json(text: str) -> _Parsed:
    reader = _JsonReader(text)
    return reader.run(), reader.lines


_READERS: Final[Mapping[str, Callable[[str], _Parsed]]] = {
    "toml": _read_toml,
    "conf": _read_toml,
    "yaml": _read_yaml,
    "yml": _read_yaml,
    "json": _read_json,
}
