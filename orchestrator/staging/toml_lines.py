"""
On which line each key of a TOML text begins.

``tomllib`` gives values without positions, and no kept library adds them, so a second walk over
the text finds the keys. It runs only on text that ``tomllib`` has accepted, so it may be simple:
it needs to know where strings, comments and brackets end, not what values mean. A test holds it
to find exactly the key paths that ``tomllib`` finds. Grammar: TOML 1.0.0, https://toml.io.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

from orchestrator.staging.notes import Path

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT: Final = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'  # up to two quotes may stand before the closing three
    r"|\'\'\'.*?\'\'\'(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_VALUE: Final = re.compile(r"[^,\]}#\r\n]+")


def toml_lines(text: str) -> dict[Path, int]:
    """
    Return the line, counted from 1, of every key path of ``text``, which tomllib accepts.

    Elements of lists count as paths too. A table that is only implied by the name of another
    has the line of the first that implies it. May raise RecursionError on deep nesting.
    """
    return _Walk(text).run()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [match.end() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {(): 1}
        self._last_of: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_right(self._starts, self._at) + 1

    def _name(self) -> str:
        token = self._skip(_KEY)
        if token[:1] in {'"', "'"}:
            return str(tomllib.loads(f"k = {token}")["k"])
        return token

    def _names(self) -> list[str]:
        self._skip(_BLANK)
        names = [self._name()]
        while self._skip(_DOT):
            names.append(self._name())
        return names

    def _header(self) -> Path:
        line = self._line()
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        *parents, last = self._names()
        self._skip(_BLANK)
        self._at += 2 if is_list else 1
        path = self._implied((), parents, line)
        path = (*path, last)
        if is_list:
            self._lines.setdefault(path, line)
            self._last_of[path] = self._last_of.get(path, -1) + 1
            path = (*path, self._last_of[path])
        self._lines[path] = line
        return path

    def _implied(self, table: Path, names: list[str], line: int) -> Path:
        for name in names:
            table = (*table, name)
            self._lines.setdefault(table, line)
            if table in self._last_of:
                table = (*table, self._last_of[table])
        return table

    def _pair(self, table: Path) -> None:
        line = self._line()
        *parents, last = self._names()
        path = (*self._implied(table, parents, line), last)
        self._lines[path] = line
        self._skip(_EQUALS)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._list(path)
        elif opening == "{":
            self._inline_table(path)
        elif not self._skip(_STRING):
            self._skip(_BARE_VALUE)

    def _list(self, path: Path) -> None:
        self._open()
        index = 0
        while self._text[self._at] != "]":
            self._lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._comma()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._open()
        while self._text[self._at] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _open(self) -> None:
        self._at += 1
        self._skip(_BLANK)

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._open()
