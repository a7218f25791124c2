"""``aimctl lint`` and ``aimctl plan``: what files say, and what a push would change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyclopts import App

from orchestrator.cli.context import Flag, Given
from orchestrator.cli.files import KnownFleet, Staged, find_fleet, open_source
from orchestrator.cli.text import short_digest, some
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.fleet import FleetState
    from orchestrator.protocol.types import DeviceId
    from orchestrator.service.world import World
    from orchestrator.staging.diff import Change, ChangeGroup
    from orchestrator.staging.notes import Note

_STYLES: Final = {"error": "bold red", "warning": "yellow", "info": "dim"}
_MARKS: Final = {"+": "green", "-": "red", "~": "yellow"}


def register(app: App) -> None:
    """Add the commands."""
    app.command(lint)
    app.command(plan)


# --- lint -------------------------------------------------------------------------------------


def lint(  # noqa: D417 - the context is no option
    path: Path,
    /,
    *more: Path,
    context: Given,
) -> int:
    """
    Check configurations, fleets and plans: file:line, severity, and how to mend it.

    For example:
      aimctl lint configs
      aimctl lint aim_lock_config.conf configs/fleets/hazard-12.toml

    Exits with 9 when there is an error; warnings and infos do not fail.

    Parameters
    ----------
    path
        A file, or a directory to search.
    more
        Further ones. A configuration is checked for every fleet that is given with it.
    """
    from orchestrator.staging.lint import lint_paths

    notes = lint_paths((path, *more))
    counts = {word: sum(note.severity == word for note in notes) for word in _STYLES}
    failed = counts["error"] > 0
    document = {
        "type": "lint",
        "ok": not failed,
        "errors": counts["error"],
        "warnings": counts["warning"],
        "infos": counts["info"],
        "notes": [note.as_json() for note in notes],
    }

    def text(screen: Screen) -> None:
        for note in notes:
            _show_note(screen, note)
        total = ", ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items())
        screen.line(f"{'✘' if failed else '✔'} {total}", "bold red" if failed else "green")

    context.view.show(document, text)
    return int(Exit.INVALID if failed else Exit.DONE)


def _show_note(screen: Screen, note: Note) -> None:
    screen.line(str(note), _STYLES[note.severity])
    if note.fix:
        screen.line(f"    fix: {note.fix}")


# --- plan -------------------------------------------------------------------------------------


async def plan(  # noqa: D417 - the context is no option
    config: Path,
    /,
    *,
    fleet: str,
    out: Path | None = None,
    detailed_exitcode: Flag = False,
    context: Given,
) -> int:
    """
    Show what a push would change on each device, and the exact push to run. Changes nothing.

    For example:
      aimctl plan aim_lock_config.conf --fleet hazard-12
      aimctl plan aim_lock_config.conf --fleet hazard-12 --out change.json

    Parameters
    ----------
    config
        The configuration file, or a plan file to look at again.
    fleet
        A fleet file, or the name of a fleet whose file is configs/fleets/NAME.toml,
        fleets/NAME.toml or NAME.toml.
    out
        Write everything that the push needs into this file, frozen; it ends in .json.
    detailed_exitcode
        Exit with 3 when there are changes, with 0 when there are none.
    """
    from orchestrator.service import locks
    from orchestrator.service.push import check_base

    known = find_fleet(fleet)
    stage = open_source(config, known)
    if out is not None and out.suffix != ".json":
        raise OperatingError(f"--out {out}: a plan file ends in .json", exit_code=Exit.USAGE)
    async with context.world(reading=True) as world:
        state = await locks.read_fleet(world, known.id)
        staged = stage(state.version)
        check_base(state, staged.plan)
        difference = await compare(world, state, staged)
        if out is not None:
            _write(world, staged, known, config, out)
    following = None
    if difference.changes:
        following = context.again("push", str(out or config), "--fleet", fleet)
    document = _document(staged, difference, out, following)

    def text(screen: Screen) -> None:
        show_difference(screen, staged, difference)
        if following is not None:
            screen.line()
            screen.line(f"next      {following}")

    context.view.show(document, text)
    pending = detailed_exitcode and difference.changes
    return int(Exit.CHANGES_PENDING if pending else Exit.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a push would change. ``lost`` names devices whose present bytes the store lacks."""

    base_version: int
    groups: tuple[ChangeGroup, ...]
    unchanged: tuple[DeviceId, ...]
    first: tuple[DeviceId, ...]
    lost: tuple[DeviceId, ...]
    blocked: str | None

    @property
    def changes(self) -> bool:
        """Whether any device would run other bytes."""
        return bool(self.groups)


async def compare(world: World, state: FleetState, staged: Staged) -> Difference:
    """Compare what the journal says that each device runs with what it would run."""
    import json

    from orchestrator.staging.diff import group_changes

    blobs: dict[str, Any] = {}
    for digest in {state.digest_of(device) for device in staged.plan.digests}:
        data = None if digest is None else await world.store.get_blob(digest)
        if digest is not None and data is not None:
            blobs[digest] = json.loads(data)
    old = {device: blobs.get(state.digest_of(device) or "") for device in staged.plan.digests}
    texts = {digest: json.loads(data) for digest, data in staged.bundle.configs.items()}
    new = {device: texts[digest] for device, digest in staged.plan.digests.items()}
    groups = group_changes(old, new)
    changed = {device for group in groups for device in group.devices}
    first = tuple(device for device in sorted(changed) if state.digest_of(device) is None)
    return Difference(
        base_version=state.version,
        groups=groups,
        unchanged=tuple(sorted(set(new) - changed)),
        first=first,
        lost=tuple(d for d in sorted(changed) if old[d] is None and d not in first),
        blocked=_blocked(state),
    )


def _blocked(state: FleetState) -> str | None:
    from orchestrator.protocol.records import LockState

    if state.lock.state is LockState.FREE:
        return None
    return f"the lock is {state.lock.state.value} by {state.lock.owner}: a push would end HOT"


def _write(world: World, staged: Staged, known: KnownFleet, config: Path, out: Path) -> None:
    from orchestrator.cli.text import rfc3339
    from orchestrator.staging.planfile import encode_plan_file, make_plan_file

    if known.loaded is None:
        return
    me = world.processes.me(world.program)
    file = make_plan_file(
        staged.plan,
        staged.bundle,
        known.loaded.file,
        config_name=str(config),
        fleet_name=known.loaded.name,
        made_by=f"{me.user}@{me.host}",
        made_at=rfc3339(world.clock.now()),
    )
    try:
        out.write_bytes(encode_plan_file(file))
    except OSError as error:
        why = error.strerror or str(error)
        raise OperatingError(
            f"{out}: the plan can't be written: {why}", exit_code=Exit.USAGE
        ) from error


def _document(
    staged: Staged, difference: Difference, out: Path | None, following: str | None
) -> dict[str, Any]:
    plan = staged.plan
    return {
        "type": "plan",
        "fleet": plan.fleet,
        "config": plan.config,
        "base_version": difference.base_version,
        "digest": plan.bundle,
        "devices": dict(plan.digests),
        "changes": difference.changes,
        "groups": [
            {
                "devices": list(group.devices),
                "changes": [
                    {"path": one.path, "old": one.old, "new": one.new} for one in group.changes
                ],
            }
            for group in difference.groups
        ],
        "unchanged": list(difference.unchanged),
        "first": list(difference.first),
        "blocked": difference.blocked,
        "out": None if out is None else str(out),
        "next": following,
    }


def show_difference(screen: Screen, staged: Staged, difference: Difference) -> None:
    """Write a plan for a person to read before it happens."""
    plan = staged.plan
    count = len(plan.digests)
    screen.line(
        f"{plan.config} on fleet {plan.fleet}, from version {difference.base_version}:"
        f" {count} device{'s' * (count != 1)}, bundle {short_digest(plan.bundle)}",
        "bold",
    )
    if not difference.changes:
        screen.line("✔ nothing to do: every device has exactly this configuration", "green")
    for group in difference.groups:
        first = set(group.devices) <= set(difference.first)
        note = ", their first configuration" if first else ""
        screen.line()
        screen.line(f"{len(group.devices)} × {some(group.devices)}{note}", "bold")
        for change in group.changes:
            _show_change(screen, change)
    if difference.changes and difference.unchanged:
        screen.line()
        screen.line(f"unchanged {some(difference.unchanged)}")
    if difference.lost:
        screen.line()
        screen.line(f"The store has lost what these run now: {some(difference.lost)}", "yellow")
    if difference.blocked is not None:
        screen.line()
        screen.line(f"HOT       {difference.blocked}", "yellow")


def _show_change(screen: Screen, change: Change) -> None:
    text = str(change)
    screen.line(f"  {text}", _MARKS[text[0]])
