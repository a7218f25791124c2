"""``aimctl lock``: who holds what and whether they live; the verbs are next door."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from orchestrator.cli import lock_force, lock_run, lock_verbs
from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.files import known_fleet
from orchestrator.cli.lock_show import lock_row, show_lock
from orchestrator.cli.lock_story import StoryLine, lines_of, show_story
from orchestrator.cli.lock_ways import Way, show_ways, ways_out
from orchestrator.cli.view import Screen, console
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import Epoch
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World

WATCH_EVERY_S: Final = 1.0
HEADER: Final = ("lock", "state", "owner", "liveness", "renewed", "waiting", "txn")


def register(app: App) -> None:
    """Add the commands."""
    lock = App(name="lock", help="Locks: who holds them, do they live, and the ways out.")
    lock.command(lock_list, name="list")
    lock.command(lock_show, name="show")
    lock_verbs.register(lock)
    lock_force.register(lock)
    lock_run.register(lock)
    app.command(lock)


# --- list -------------------------------------------------------------------------------------


async def lock_list(  # noqa: D417 - the context is no option
    *,
    watch: Flag = False,
    context: Given,
) -> int:
    """
    Show the lock of every fleet in the store, its owner and whether that owner lives.

    For example:
      aimctl lock list
      aimctl lock list --watch
      aimctl lock list --output json

    Parameters
    ----------
    watch
        Look again and again until Ctrl-C; with --output jsonl a document per change.
    """
    if watch and context.settings.output.value == "json":
        raise OperatingError(
            "--output json is one document, and --watch shows many",
            exit_code=Exit.USAGE,
            next_command=context.again("lock", "list", "--watch", "--output", "jsonl"),
        )
    from orchestrator.service import reading

    async with context.world(reading=True) as world:
        if watch:
            return await _watch_patiently(context, world)
        views = await reading.lock_list(world)
    _show_list(context, views)
    return int(Exit.DONE)


def _show_list(context: Context, views: tuple[LockView, ...]) -> None:
    document = {"type": "locks", "locks": [view.document() for view in views]}
    context.view.show(document, lambda screen: _table(screen, views))


def _table(screen: Screen, views: tuple[LockView, ...]) -> None:
    if not views:
        screen.line("no fleet is known: nothing has been pushed with this store yet")
        return
    screen.table(HEADER, [lock_row(view) for view in views])


async def _watch_patiently(context: Context, world: World) -> int:
    """Watch; Ctrl-C is the ordinary way to end that, and no failure."""
    from asyncio import CancelledError

    with suppress(CancelledError):
        await _watch(context, world)
    return int(Exit.DONE)


async def _watch(context: Context, world: World) -> None:
    """Look until Ctrl-C."""
    from orchestrator.service import reading

    screen = Screen(console(no_color=context.no_color))
    redraw = not context.view.machine and screen.terminal
    shown: object = None
    while True:
        views = await reading.lock_list(world)
        facts = [_facts(view) for view in views]
        if redraw:
            screen.clear()
            _table(screen, views)
            screen.line("Ctrl-C ends this; it changes nothing", "dim")
        elif facts != shown:
            shown = facts
            _show_list(context, views)
        await world.clock.sleep(WATCH_EVERY_S)


def _facts(view: LockView) -> dict[str, Any]:
    """Return what of a lock counts as a change: no ages."""
    document = view.document()
    del document["renewed_ago_s"], document["expires_in_s"]
    for held in (document, *document["waiters"]):
        live = held["liveness"]
        held["liveness"] = None if live is None else (live["verdict"], live["proved"])
    return document


# --- show -------------------------------------------------------------------------------------


async def lock_show(  # noqa: D417 - the context is no option
    lock: Annotated[str, Parameter(name="LOCK_ID|FLEET")], /, *, context: Given
) -> int:
    """
    Show one lock: its owner, the evidence of its life, what is open, its story, the ways out.

    For example:
      aimctl lock show hazard-12
      aimctl lock show hazard-12@41

    With a lock id the story is that of this one holding. Exits with 8 when LOCK_ID
    is no longer the lock's.

    Parameters
    ----------
    lock
        A lock id as `aimctl lock list` shows it, or a fleet.
    """
    from orchestrator.service import locks

    epoch: Epoch | None = None
    async with context.world(reading=True) as world:
        if "@" in lock:
            fleet, epoch = locks.parse_lock_id(lock)
        else:
            fleet = (await known_fleet(world, lock)).id
        state = await locks.read_fleet(world, fleet)
        view = await locks.look(world, state)
        story = await lines_of(world, fleet, epoch)
        ways = ways_out(view, ours=_is_ours(world, view))
    if epoch is None or epoch == state.lock.epoch:
        _show(context, view, story, ways, epoch)
        return int(Exit.DONE)
    other = locks.not_the_lock(state, epoch)
    if not story:
        raise other
    context.view.say(f"note      {other.message}; its own story is below", "yellow")
    _show(context, view, story, ways, epoch)
    return int(other.exit_code)


def _show(
    context: Context,
    view: LockView,
    story: tuple[StoryLine, ...],
    ways: tuple[Way, ...],
    epoch: Epoch | None,
) -> None:
    over = epoch is not None and epoch != view.lock.epoch
    document = {
        "type": "lock",
        **view.document(),
        "holding": None if epoch is None else f"{view.fleet}@{epoch}",
        "history": [line.document() for line in story],
        "ways": [way.document() for way in ways],
        "exit_code": int(Exit.PLAN_STALE if over else Exit.DONE),
    }

    def text(screen: Screen) -> None:
        show_lock(screen, view)
        show_story(screen, view, story, epoch)
        show_ways(screen, view, ways)

    context.view.show(document, text)


def _is_ours(world: World, view: LockView) -> bool:
    return view.lock.owner is not None and world.processes.descends_from(view.lock.owner)
