"""Commands and flags that are announced and not in this version: refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from orchestrator.errors import Exit, OperatingError

COMMANDS: Final[Mapping[tuple[str, ...], str]] = {
    ("rollout",): "push the fleets one after the other: aimctl push CONFIG --fleet FLEET",
    ("rollback",): "push the former configuration: aimctl push CONFIG --fleet FLEET",
    ("devices", "catch-up"): "aimctl recover --fleet FLEET",
    ("keys",): "aimctl broker config, for access by certificates",
    ("completion",): "aimctl --help",
}
"""Each with what does the nearest thing now."""

FLAGS: Final[Mapping[tuple[str, ...], Mapping[str, str]]] = {
    ("push",): {
        "--exclude-offline": "remove the device from the fleet file, or wait for it",
        "--confirm-for": "watch the fleet: aimctl status --watch",
        "--detach": "Ctrl-C after the decision detaches",
    },
}


def refuse_what_comes_later(tokens: Sequence[str]) -> None:
    """Raise OperatingError (wrong use) for what this version does not have."""
    for words, instead in COMMANDS.items():
        if tuple(tokens[: len(words)]) == words:
            raise _refusal(f"`aimctl {' '.join(words)}`", instead)
    for words, flags in FLAGS.items():
        if tuple(tokens[: len(words)]) != words:
            continue
        for token in _before_the_end(tokens):
            name = token.partition("=")[0]
            if name in flags:
                raise _refusal(f"`{name}` of `aimctl {' '.join(words)}`", flags[name])


def _before_the_end(tokens: Sequence[str]) -> Sequence[str]:
    """Return the tokens that may be flags: those before ``--``."""
    return tokens[: tokens.index("--")] if "--" in tokens else tokens


def _refusal(what: str, instead: str) -> OperatingError:
    return OperatingError(
        f"{what} is not in this version", exit_code=Exit.USAGE, next_command=instead
    )
