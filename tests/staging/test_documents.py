"""TOML, YAML and JSON: the values, the line of every key, and refusals."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.staging.documents import Document, Source, parse
from orchestrator.staging.notes import InvalidInput, Path
from orchestrator.staging.toml_lines import toml_lines
from tests.staging.texts import CONFIGS, sayings

NESTED = 5000

TOML = '''\
schema = 1                      # line 1
"quoted.key".below = 2

[yaw]
angle_p = 8.0 # [not.a.table]
text = """
[not.a.table]
x = 1 \\""" still text """"
raw = \'\'\'
y = '2'\'\'\'\'
list = [
  1,  # ]
  { a = 1, b.c = "}" },
]
"ta\\u0062le" = {}
[a.b.'c d']
when = 1979-05-27 07:32:00
[[zones]]
[[zones]]
n = 1
  [zones.sub]
  m = 2
  [[zones.inner]]
  k = 3
[[zones]]
'''

TOML_LINES: dict[Path, int] = {
    (): 1,
    ("schema",): 1,
    ("quoted.key",): 2,
    ("quoted.key", "below"): 2,
    ("yaw",): 4,
    ("yaw", "angle_p"): 5,
    ("yaw", "text"): 6,
    ("yaw", "raw"): 9,
    ("yaw", "list"): 11,
    ("yaw", "list", 0): 12,
    ("yaw", "list", 1): 13,
    ("yaw", "list", 1, "a"): 13,
    ("yaw", "list", 1, "b"): 13,
    ("yaw", "list", 1, "b", "c"): 13,
    ("yaw", "table"): 15,
    ("a",): 16,
    ("a", "b"): 16,
    ("a", "b", "c d"): 16,
    ("a", "b", "c d", "when"): 17,
    ("zones",): 18,
    ("zones", 0): 18,
    ("zones", 1): 19,
    ("zones", 1, "n"): 20,
    ("zones", 1, "sub"): 21,
    ("zones", 1, "sub", "m"): 22,
    ("zones", 1, "inner"): 23,
    ("zones", 1, "inner", 0): 23,
    ("zones", 1, "inner", 0, "k"): 24,
    ("zones", 2): 25,
}


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """Every key path of a value."""
    found = {path}
    if isinstance(value, dict):
        for key, item in value.items():
            found |= paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= paths_of(item, (*path, index))
    return found


def read(name: str, text: str) -> Document:
    """Parse a text under a name."""
    return parse(Source(name=name, text=text))


def test_toml_lines_are_exact() -> None:
    """Every kind of TOML key has the line on which it stands."""
    assert TOML_LINES == toml_lines(TOML)


def test_toml_lines_with_windows_line_ends() -> None:
    """Carriage returns change no line number."""
    assert TOML_LINES == toml_lines(TOML.replace("\n", "\r\n"))


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.*f")) + sorted(CONFIGS.rglob("*.toml")))
def test_toml_lines_of_the_samples_are_complete(path: Any) -> None:
    """In every TOML sample the walk finds the paths that tomllib finds, no more and no less."""
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError:
        return  # another program's .conf
    assert paths_of(values) == set(toml_lines(path.read_text()))


NAMES = st.text(min_size=1, max_size=6)
SCALARS = st.one_of(
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=5)


def toml_text(text: str) -> str:
    """A TOML basic string: JSON's escapes, but for DEL and characters outside the BMP."""
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(f"\\u{ord(char):04X}" if ord(char) == 0x7F else char for char in shown)


def toml_value(value: Any, gap: str) -> str:
    """Write a value as TOML, with ``gap`` between a list's elements."""
    if isinstance(value, dict):
        pairs = [f"{toml_text(key)} = {toml_value(item, '')}" for key, item in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + gap + f",{gap}".join(toml_value(item, gap) for item in value) + "]"
    if isinstance(value, str):
        return toml_text(value)
    return json.dumps(value)


def toml_document(table: dict[str, Any], gap: str, header: tuple[str, ...] = ()) -> str:
    """A document of headers, lists of tables and pairs, with comments between."""
    name = ".".join(toml_text(part) for part in header)
    text = f"[{name}] # {name}\n" if header else ""
    below = ""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            below += toml_document(value, gap, (*header, key))
        else:
            text += f"{toml_text(key)} = {toml_value(value, gap)} # ] }} '\n\n"
    return text + below


@given(TABLES, st.sampled_from(["", "\n  ", " # ' ] \n"]))
def test_toml_lines_find_what_tomllib_finds(table: dict[str, Any], gap: str) -> None:
    """Whatever a document holds, each of its key paths has a line, and nothing else has."""
    text = toml_document(table, gap)
    values = tomllib.loads(text)
    assert table == values
    assert paths_of(values) == set(toml_lines(text))


@given(TABLES, st.sampled_from([None, 1]))
def test_json_gives_what_the_library_gives(table: dict[str, Any], indent: int | None) -> None:
    """The JSON reader agrees with the standard library's, and knows a line for every path."""
    document = read("a.json", json.dumps(table, indent=indent))
    assert table == document.values
    assert paths_of(table) == set(document.lines)


@given(TABLES)
def test_yaml_gives_what_the_library_gives(table: dict[str, Any]) -> None:
    """The YAML reader agrees with PyYAML's safe one where neither aliases nor tags are used."""
    text = yaml.dump(table, Dumper=PlainDumper, allow_unicode=False)
    document = read("a.yaml", text)
    assert yaml.safe_load(text) == document.values
    assert paths_of(document.values) == set(document.lines)


class PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_json_and_yaml_lines() -> None:
    """A key of JSON and YAML has the line on which the key stands."""
    text = '{"a": {\n "b":\n  [1,\n   {"c": 2}]},\n "d": 3}'
    lines: dict[Path, int] = {
        (): 1, ("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4, ("d",): 5,
    }  # fmt: skip
    assert lines == read("a.json", text).lines
    assert lines == read("a.yml", text).lines


BAD = [
    ("a.toml", "a = 1\n\na = 2", "a.toml:3: error: not TOML: Cannot overwrite a value"),
    ("a.conf", "a = 1\nb = [1", "a.conf:2: error: not TOML: Unclosed array"),
    ("a.toml", "a = " + "9" * 5000, "a.toml: error: not TOML: Exceeds the limit (4300 digits)"),
    ("a.toml", "a = " + "[" * NESTED, "a.toml: error: nested more than 32 deep"),
    ("a.toml", "a = " + "[" * 40 + "]" * 40, "a.toml:1: error: a[0]: nested more than 32 deep"),
    ("a.json", '{"a": 1,\n"a": 2}', "a.json:2: error: a: the key is there already, on line 1"),
    ("a.json", '{\n"a": {"b": 1, "b": 2}}', "a.json:2: error: a.b: the key is there already"),
    ("a.json", "[1]", "a.json:1: error: must be a table of keys and values"),
    ("a.json", "", "a.json:1: error: not JSON: Expecting value"),
    ("a.json", '{"a":\nNaN}', "a.json:2: error: a: not JSON: NaN is no number of JSON"),
    ("a.json", '{"a": 1,\n}', "a.json:2: error: not JSON: no ',' may stand before '}'"),
    ("a.json", '{"a" 1}', "a.json:1: error: a: not JSON: ':' is expected after the key"),
    ("a.json", "{a: 1}", "a.json:1: error: not JSON: a key in double quotes is expected"),
    ("a.json", '{"a": 1}\n\nx', "a.json:3: error: not JSON: more text after the end"),
    ("a.json", '{"a": [1 2]}', "a.json:1: error: not JSON: ',' or ']' is expected"),
    ("a.json", '{"a": "\\ud800"}', "a.json:1: error: holds half of a surrogate pair"),
    ("a.json", '{"a": ' + "[" * NESTED, "a.json:1: error: a[0]: nested more than 32 deep"),
    ("a.yaml", "a: &x 1\nb: *x", "a.yaml:1: error: anchors and aliases are not allowed"),
    ("a.yaml", "b: *x", "a.yaml:1: error: anchors and aliases are not allowed"),
    ("a.yaml", "a: 1\nb: 2\na: 3", "a.yaml:3: error: a: the key is there already, on line 1"),
    ("a.yaml", "a:\n  <<: {b: 1}", "a.yaml:2: error: a: a key must be a text"),
    ("a.yaml", "1: 2", "a.yaml:1: error: a key must be a text"),
    ("a.yaml", "a: !!python/name:os.system x", "a.yaml:1: error: the tag 'tag:yaml.org,2002:pyt"),
    ("a.yaml", "a: 1\n--- \nb: 2", "a.yaml:2: error: not YAML: but found another document"),
    ("a.yaml", "a: 1\nb: [}", "a.yaml:2: error: not YAML: expected the node content"),
    ("a.yaml", "a: 1\nb: \x00", "a.yaml:2: error: not YAML: character U+0000 is not allowed"),
    ("a.yaml", "a: 0x_", "a.yaml:1: error: a: not YAML: invalid literal for int()"),
    ("a.yaml", "[" * NESTED, "a.yaml:1: error: nested more than 32 deep"),
    ("a.yaml", "- 1", "a.yaml:1: error: must be a table of keys and values"),
    ("a.txt", "", "a.txt: error: unknown kind of file '.txt'"),
]


@pytest.mark.parametrize(("name", "text", "expected"), BAD)
def test_bad_text_is_refused_with_its_line(name: str, text: str, expected: str) -> None:
    """What is not a document is refused in one note that names file and line."""
    (said,) = sayings(read, name, text)
    assert expected == said[: len(expected)]


@given(st.sampled_from(["toml", "json", "yaml"]), st.text(max_size=60))
def test_any_text_is_read_or_refused(suffix: str, text: str) -> None:
    """No text makes a reader raise anything but the typed error."""
    with suppress(InvalidInput):
        read(f"a.{suffix}", text)


FRAGMENTS = st.lists(
    st.sampled_from(
        [*"[]{}=.,:#'\"\\\n- &*!|>?%@`", '"""', "'''", "a", "1", "\\u", "true", "<<", "1979-05-27"]
    ),
    max_size=25,
).map("".join)


@given(st.sampled_from(["toml", "json", "yaml"]), FRAGMENTS)
def test_any_syntax_is_read_or_refused(suffix: str, text: str) -> None:
    """Nor does any mixture of the formats' own signs."""
    try:
        document = read(f"a.{suffix}", text)
    except InvalidInput:
        return
    assert paths_of(document.values) <= set(document.lines)
