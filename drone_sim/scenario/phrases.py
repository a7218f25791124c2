"""
Acts as people write them: ``at 1.2 s cut d-03 and d-04 from the broker for 5 s``. Both ways.

The phrase of a verb (:data:`.verbs.VERBS`) has slots in braces, and in brackets what may be left
out: it is written when a slot in it has something to say. ``{who}`` is a process; ``{target}`` are
names joined by commas and "and", or "everybody" for all devices; ``{amount}`` is a number in the
verb's unit; ``{for}`` a time with its unit, s, ms or min; ``{word}`` one of the verb's words as it
is written, or free text. ``{s}`` and ``{is}`` follow the number of targets, and are read either
way.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.verbs import VERBS, Meaning, word_of
from orchestrator.protocol.types import ID_PATTERN

EVERYBODY: Final = "everybody"
RESERVED: Final = (EVERYBODY, "and", "the", "at")
"""What nobody may be called: a line with such a name could be read in two ways."""

LINE_CHARS_MAX: Final = 1000
SHOWN_MAX: Final = 3
"""How many phrases are shown to somebody who wrote none of them."""

NAME: Final = rf"{ID_PATTERN}(?:@{ID_PATTERN})?"
_NUMBER: Final = r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,20})?(?:e[-+]?[0-9]{1,3})?"
_TIME: Final = rf"{_NUMBER} (?:ms|s|min)"
_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "min": 60.0}
_PARTS: Final = re.compile(r"\{(?P<slot>[a-z]+)\}|(?P<bracket>[\[\]])|(?P<text>[^{\[\]]+)")
_SPACES: Final = re.compile(r"\s+")

_SLOTS: Final[Mapping[str, str]] = {
    "who": rf"(?P<who>{NAME})",
    "target": rf"(?P<target>{NAME}(?:, {NAME})*(?:,? and {NAME})?)",
    "amount": rf"(?P<amount>{_NUMBER})",
    "for": rf"(?P<for>{_TIME})",
    "s": "s?",
    "is": "(?:is|are)",
}
_SHOWN: Final[Mapping[str, str]] = {
    "who": "NAME",
    "target": "DEVICES",
    "amount": "NUMBER",
    "for": "TIME",
    "word": "WORD",
    "s": "s",
    "is": "is",
}


class Unreadable(Exception):  # noqa: N818 - an answer, not an error
    """A line is no act. The message says why, ``fix`` how it might be written."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


# --- reading ----------------------------------------------------------------------------------


def read(line: str) -> Act:
    """Read one line of a story. Raises Unreadable; whether its values make sense is not asked."""
    text = _SPACES.sub(" ", line).strip()
    if len(text) > LINE_CHARS_MAX:
        raise Unreadable(f"has more than {LINE_CHARS_MAX} characters", "write one act a line")
    opening = re.match(rf"at (?P<at>{_TIME}) ", text)
    if opening is None:
        raise Unreadable("does not begin with a time", "write 'at 1.2 s ...'")
    rest = text[opening.end() :]
    for verb, pattern in _patterns().items():
        found = pattern.fullmatch(rest)
        if found is not None:
            return _act(verb, _seconds(opening["at"]), found)
    raise Unreadable(f"'{rest[:60]}' is nothing that can happen", _nearest(rest))


def _act(verb: Verb, at_s: float, found: re.Match[str]) -> Act:
    slots = {name: text for name, text in found.groupdict().items() if text is not None}
    meaning = VERBS[verb]
    default = 0.0 if meaning.amount is None else meaning.amount.default or 0.0
    return Act(
        at_s=at_s,
        verb=verb,
        who=slots.get("who", ""),
        target=_names(slots["target"]) if "target" in slots else (),
        for_s=_seconds(slots["for"]) if "for" in slots else None,
        amount=float(slots["amount"]) if "amount" in slots else default,
        word=_word(meaning, slots.get("word", "")),
    )


def _names(text: str) -> tuple[str, ...]:
    return () if text == EVERYBODY else tuple(re.split(r",? and |, ", text))


def _seconds(text: str) -> float:
    number, _, unit = text.partition(" ")
    return float(number) if unit == "s" else float(number) * _SECONDS[unit]


def _word(meaning: Meaning, written: str) -> str:
    if meaning.free_word:
        return written
    for word, text in meaning.words.items():
        if re.fullmatch(_alternative(text), written):
            return word
    return ""


@lru_cache(maxsize=1)
def _patterns() -> Mapping[Verb, re.Pattern[str]]:
    return {verb: re.compile(_pattern(meaning)) for verb, meaning in VERBS.items()}


def _pattern(meaning: Meaning) -> str:
    found = ""
    for part in _PARTS.finditer(meaning.phrase):
        if part["slot"] == "word":
            texts = [_alternative(text) for text in meaning.words.values() if text]
            found += f"(?P<word>{'.+' if meaning.free_word else '|'.join(texts)})"
        elif part["slot"]:
            found += _SLOTS[part["slot"]]
        elif part["bracket"]:
            found += "(?:" if part["bracket"] == "[" else ")?"
        else:
            found += re.escape(part["text"])
    return found


def _alternative(text: str) -> str:
    return re.escape(text).replace(r"\{s\}", "s?").replace(r"\{is\}", "(?:is|are)")


# --- writing ----------------------------------------------------------------------------------


def written(act: Act) -> str:
    """Write an act as a line that reads as the same act (its word spelled out)."""
    meaning = VERBS[act.verb]
    slots = _texts(act, meaning)
    return f"at {plain(act.at_s)} s {_filled(meaning.phrase, slots)}"


@dataclass(frozen=True, slots=True)
class _Text:
    """What stands in a slot, and whether it says anything."""

    text: str
    says: bool = True


def _texts(act: Act, meaning: Meaning) -> Mapping[str, _Text]:
    several = len(act.target) > 1
    number = {"s": "" if several else "s", "is": "are" if several else "is"}
    word = act.word if meaning.free_word else meaning.words.get(word_of(act), "")
    default = None if meaning.amount is None else meaning.amount.default
    lasts = "" if act.for_s is None else f"{plain(act.for_s)} s"
    return {
        "who": _Text(act.who),
        "target": _Text(_joined(act.target), bool(act.target)),
        "amount": _Text(plain(act.amount), act.amount != default),
        "for": _Text(lasts, bool(lasts)),
        "word": _Text(word.format_map(number) if not meaning.free_word else word, bool(word)),
        **{slot: _Text(text, says=False) for slot, text in number.items()},
    }


def _joined(names: tuple[str, ...]) -> str:
    if not names:
        return EVERYBODY
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plain(number: float) -> str:
    """Write a number as short as it is exact: ``1.2``, ``5``, ``1e-05``."""
    return repr(float(number)).removesuffix(".0")


def _filled(phrase: str, slots: Mapping[str, _Text]) -> str:
    """Fill in the slots; a bracket of which nothing says anything is left out."""
    outside, inside, said, open_ = "", "", False, False
    for part in _PARTS.finditer(phrase):
        if part["bracket"] == "[":
            inside, said, open_ = "", False, True
            continue
        if part["bracket"] == "]":
            outside, open_ = outside + (inside if said else ""), False
            continue
        slot = slots[part["slot"]] if part["slot"] else _Text(part["text"], says=False)
        said = said or slot.says
        if open_:
            inside += slot.text
        else:
            outside += slot.text
    return outside


# --- help -------------------------------------------------------------------------------------


def example(verb: Verb) -> str:
    """Return how a verb is written, for people: ``pause NAME[ for TIME]``."""
    meaning = VERBS[verb]
    words = [_filled_plain(text) for text in meaning.words.values() if text]
    word = "TEXT" if meaning.free_word else "|".join(words)

    def shown(slot: re.Match[str]) -> str:
        return word if slot[1] == "word" else _SHOWN[slot[1]]

    return re.sub(r"\{([a-z]+)\}", shown, meaning.phrase)


def _filled_plain(text: str) -> str:
    return text.format(s="s", **{"is": "is"})


def _nearest(rest: str) -> str:
    """Return the examples that are written most alike."""
    words = [word for word in rest.split() if len(word) > 3]  # noqa: PLR2004 - no "the", no "for"

    def likeness(verb: Verb) -> float:
        theirs = re.sub(r"\{[a-z]+\}|[\[\]]", " ", VERBS[verb].phrase).split()
        theirs += [part for text in VERBS[verb].words.values() for part in text.split()]
        near = [difflib.get_close_matches(word, theirs, n=1, cutoff=0.65) for word in words]
        return sum(map(bool, near)) + difflib.SequenceMatcher(None, rest, example(verb)).ratio()

    best = sorted(VERBS, key=likeness, reverse=True)[:SHOWN_MAX]
    return "write " + ", or ".join(f"'at TIME {example(verb)}'" for verb in best)
