"""
Everything that can be said about configurations and fleets before they are pushed.

Within the given paths a configuration is checked for every fleet that locks a configuration of
its name: ``aim_lock_config.conf``, and ``aim_lock_config.next.conf`` as its successor.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from orchestrator.staging.bundle import Member, encode_config, members, problems_with
from orchestrator.staging.checks import Component
from orchestrator.staging.documents import Document, Source, parse
from orchestrator.staging.fields import Found
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.load import LoadedFleet, fleet_of, identify, load_config, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import (
    InvalidInput,
    Note,
    Path,
    Severity,
    capped,
    dotted,
    line_of,
    refuse,
)
from orchestrator.staging.overlay import (
    ConfigSource,
    OverlayName,
    Target,
    effective,
    unused_sections,
    where_set,
)
from orchestrator.staging.planfile import PLAN_FILE_BYTES_MAX, plan_file_of
from orchestrator.staging.rules import blind_slew, near_stop

SUFFIXES: Final = frozenset({".toml", ".conf", ".yaml", ".yml", ".json"})
FILES_MAX: Final = 1000
_SUCCESSOR: Final = re.compile(r"^(.+)\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)$")
_OURS: Final = re.compile(
    r"""^[ \t{]*["']?(schema|fleet|device|yaw|\[+(device|yaw))\b""", re.MULTILINE
)
"""What a text has near the start of a line if it means to be one of our files."""


_Made = tuple[Target, AimConfig]
"""What decides a configuration, and what it is."""


@dataclass(slots=True, kw_only=True)
class _Collected:
    configs: list[ConfigSource] = field(default_factory=list)
    fleets: list[LoadedFleet] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def take(self, text: Source, *, named: bool) -> None:
        """Read one file; one that is not ours is an error only where it was named."""
        if not named and not _OURS.search(text.text):
            self.notes += [] if '"$schema"' in text.text else [_skipped(text.name)]
            return
        try:
            self._take(parse(text), text, named=named)
        except InvalidInput as error:
            self.notes += error.notes

    def _take(self, document: Document, text: Source, *, named: bool) -> None:
        kind = identify(document.values)
        if kind == "fleet":
            self.fleets.append(fleet_of(document))
        elif kind == "plan":
            plan_file_of(document)
        elif kind == "config":
            self.configs.append(load_config(text))  # again, for its cap on the size
        elif named:
            raise refuse(
                document.name,
                "is neither a configuration nor a fleet nor a plan",
                fix="a configuration has schema, yaw, pitch, roll; a fleet has fleet, "
                "config, device",
            )
        elif "$schema" not in document.values:
            self.notes.append(_skipped(document.name))


def lint_paths(paths: Iterable[pathlib.Path]) -> tuple[Note, ...]:
    """
    Read configurations, fleets, plans and directories, and return every note by place.

    A file that can't be read or parsed is a note too: this raises nothing.
    """
    collected = _Collected()
    for path, named in _files(paths, collected.notes):
        try:
            collected.take(read(path, PLAN_FILE_BYTES_MAX), named=named)
        except InvalidInput as error:
            collected.notes += error.notes
    return _lint(collected)


def lint_texts(texts: Iterable[Source]) -> tuple[Note, ...]:
    """Do what :func:`lint_paths` does for texts that were read already."""
    collected = _Collected()
    for text in texts:
        collected.take(text, named=True)
    return _lint(collected)


def _lint(collected: _Collected) -> tuple[Note, ...]:
    notes = list(collected.notes)
    for fleet in collected.fleets:
        notes += _about_fleet(fleet)
    for config in collected.configs:
        fitting = [
            fleet for fleet in collected.fleets if fleet.file.config in names_of(config.name)
        ]
        found = [note for fleet in fitting for note in lint_pair(config, fleet)]
        notes += found if fitting else lint_alone(config)
    return capped(notes)


def names_of(path: str) -> frozenset[str]:
    """Return the names of locked configurations that a file may be pushed as."""
    name = pathlib.PurePath(path).name
    successor = _SUCCESSOR.match(name)
    return frozenset({name, successor[1] + successor[2]} if successor else {name})


def _files(
    paths: Iterable[pathlib.Path], notes: list[Note]
) -> Iterator[tuple[pathlib.Path, bool]]:
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix in SUFFIXES
            and file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        yield from ((file, False) for file in found[:FILES_MAX])
        if len(found) > FILES_MAX:
            message = f"has more than {FILES_MAX} files; the rest was not looked at"
            notes.append(
                Note(
                    file=str(path),
                    line=None,
                    key="",
                    message=message,
                    component="file",
                    severity=Severity.WARNING,
                )
            )


def _skipped(name: str) -> Note:
    return Note(
        file=name,
        line=None,
        key="",
        severity=Severity.INFO,
        component="file",
        message="neither a configuration nor a fleet: skipped",
    )


def lint_pair(config: ConfigSource, fleet: LoadedFleet) -> list[Note]:
    """Return everything about ``config`` as the configuration of ``fleet``."""
    errors = [*config.notes, *problems_with(config, fleet)]
    if any(note.component not in set(Component) for note in errors[len(config.notes) :]):
        return errors
    grouped = members(config, fleet)
    made = [*_made(config, grouped)]
    return [
        *errors,
        *_idle_overlays(config, grouped),
        *_unwise(config, made),
        *_unwise_for_kind(config, fleet, made),
    ]


def lint_alone(config: ConfigSource) -> list[Note]:
    """
    Return what can be said of a configuration without its fleet.

    It is put together for each kind that it mentions, or for a drone; an overlay of a group or
    a device must fit at least one of the kinds.
    """
    mentioned = {name for scope, name in config.overlays if scope == "kind"} | set(config.base)
    kinds = [kind for kind in KINDS if kind in mentioned] or [KINDS[0]]
    notes = [note for kind in kinds for note in _wrong(config, Target(kind=kind))]
    if notes:
        return [*config.notes, *notes]
    for scope, name in config.overlays:
        if scope != "kind":
            targets = [_target(kind, (scope, name)) for kind in KINDS]
            found = sorted((_wrong(config, target) for target in targets), key=len)
            notes += found[0]
    unseen = Note(
        file=config.name,
        line=None,
        key="",
        component="fleet",
        severity=Severity.INFO,
        message="no fleet of this configuration was given: hardware and overlay names "
        "are not checked",
        fix="name the fleet file too",
    )
    return [*config.notes, *notes, *unused_sections(config, set(kinds)), unseen]


def _target(kind: str, overlay: OverlayName) -> Target:
    scope, name = overlay
    known = next(each for each in KINDS if each == kind)
    if scope == "group":
        return Target(kind=known, groups=(name,))
    return Target(kind=known, device=name)


def _wrong(config: ConfigSource, target: Target) -> list[Note]:
    made = effective(config, target)
    return made if isinstance(made, list) else []


def _idle_overlays(config: ConfigSource, grouped: list[Member]) -> Iterator[Note]:
    for overlay in config.overlays:
        concerned = [each.target for each in grouped if overlay in each.target.overlays_in(config)]
        if not all(_is_idle(config, target, overlay) for target in concerned):
            continue
        line, key = config.place(overlay)
        why = "changes nothing" if concerned else "fits no device of the fleet"
        yield Note(
            file=config.name,
            line=line,
            key=key,
            message=why,
            component="overlay",
            severity=Severity.WARNING,
            fix="remove it",
        )


def _is_idle(config: ConfigSource, target: Target, overlay: OverlayName) -> bool:
    with_it = effective(config, target)
    without = effective(config, target, without=overlay)
    if not isinstance(with_it, AimConfig) or not isinstance(without, AimConfig):
        return False
    return encode_config(with_it) == encode_config(without)


def _unwise(config: ConfigSource, made: list[_Made]) -> Iterator[Note]:
    """Tell what is allowed and unwise, whatever carries the gimbal."""
    for target, each in made:
        for found in near_stop(each):
            yield _caution(config, target, found, "rest farther from the stop")
        for found in blind_slew(each):
            yield _caution(config, target, found, "predict for less time, or more slowly")


def _unwise_for_kind(
    config: ConfigSource, fleet: LoadedFleet, made: list[_Made]
) -> Iterator[Note]:
    """Tell what each kind of device has to say, by its policy and the timing of the fleet."""
    for target, each in made:
        policy = fleet.file.policy_of(target.kind)
        kind = REGISTRY[target.kind]
        for found in kind.cautions(each, each.own, policy, fleet.file.freeze_s):
            yield _caution(config, target, found, None)


def _made(config: ConfigSource, grouped: list[Member]) -> Iterator[_Made]:
    for member in grouped:
        made = effective(config, member.target)
        if isinstance(made, AimConfig):
            yield member.target, made


def _caution(config: ConfigSource, target: Target, found: Found, fix: str | None) -> Note:
    path, message = found
    line, key = where_set(config, target, path)
    return Note(
        file=config.name,
        line=line,
        key=key,
        message=message,
        component="rules",
        severity=Severity.WARNING,
        fix=fix,
    )


def _about_fleet(fleet: LoadedFleet) -> Iterator[Note]:
    file = fleet.file
    bare = [index for index, device in enumerate(file.device) if device.gimbal is None]
    if bare:
        names = ", ".join(file.device[index].id for index in bare[:3])
        more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""  # noqa: PLR2004 - as named
        yield _of_fleet(
            fleet,
            ("device", bare[0]),
            Severity.WARNING,
            f"no gimbal profile, so hardware limits are not checked: {names}{more}",
            'add gimbal = "…" and its [gimbal.…] table',
        )
    yield from _about_gimbals(fleet)
    kinds = {device.kind for device in file.device}
    for kind in KINDS:
        if getattr(file.policy, kind) is not None and kind not in kinds:
            path: Path = ("policy", kind)
            message = "no device of the fleet is of this kind"
            yield _of_fleet(fleet, path, Severity.WARNING, message, "remove it")


def _about_gimbals(fleet: LoadedFleet) -> Iterator[Note]:
    used = {device.gimbal for device in fleet.file.device}
    for name, profile in fleet.file.gimbal.items():
        path: Path = ("gimbal", name)
        if name not in used:
            message = "no device has this gimbal"
            yield _of_fleet(fleet, path, Severity.INFO, message, "remove it")
        elif profile.plant is None:
            message = "no plant, so the stability of its loops is not judged"
            fix = f"add [gimbal.{name}.plant]"
            yield _of_fleet(fleet, path, Severity.INFO, message, fix)


def _of_fleet(fleet: LoadedFleet, path: Path, severity: Severity, message: str, fix: str) -> Note:
    return Note(
        file=fleet.name,
        line=line_of(fleet.lines, path),
        key=dotted(path),
        message=message,
        component="fleet",
        severity=severity,
        fix=fix,
    )
