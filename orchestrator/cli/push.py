"""``aimctl push``: one transaction, live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.files import KnownFleet, Stage, Staged, find_fleet, open_source
from orchestrator.cli.text import milliseconds, or_dash, state_cell, vote_cell
from orchestrator.cli.view import Cell, Screen, console
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    import asyncio

    from orchestrator.cli.progress import Progress
    from orchestrator.protocol.fleet import FleetState
    from orchestrator.protocol.types import Version
    from orchestrator.service.push import PushOrder
    from orchestrator.service.results import PushResult
    from orchestrator.service.session import Session
    from orchestrator.service.world import World

WINDOW_MIN_S: Final = 0.05
WINDOW_MAX_S: Final = 3600.0
WAIT_MAX_S: Final = 86_400.0
ROWS_MAX: Final = 60
"""Devices that the result names one by one; of a larger fleet only those that need a look."""

_WORDS: Final = {
    Exit.DONE: ("✔", "bold green"),
    Exit.ABORTED: ("✘", "bold red"),
    Exit.ACTIVATING: ("◐", "bold yellow"),
}


def register(app: App) -> None:
    """Add the command."""
    app.command(push)


async def push(  # noqa: D417 - the context is no option
    source: Annotated[Path, Parameter(name="CONFIG|PLAN")],
    /,
    *,
    fleet: str,
    yes: Flag = False,
    wait_lock_s: Annotated[float | None, Parameter(name="--wait-lock")] = None,
    window_s: Annotated[float | None, Parameter(name="--window")] = None,
    timeout_s: Annotated[float | None, Parameter(name="--timeout")] = None,
    context: Given,
) -> int:
    """
    Push a configuration to every device of a fleet, or to none.

    For example:
      aimctl push aim_lock_config.conf --fleet hazard-12
      aimctl push aim_lock_config.conf --fleet hazard-12 --yes --timeout 10
      aimctl push aim_lock_config.conf --fleet hazard-12 --yes --wait-lock 60
      aimctl push change.json --fleet hazard-12 --yes --output json

    Ctrl-C before the decision aborts; after it, it only detaches: a decision is
    never undone. While it waits in line for the lock, Ctrl-C leaves the line.

    Parameters
    ----------
    source
        A configuration file, or a plan file that `aimctl plan --out` has written.
    fleet
        A fleet file, or the name of a fleet whose file is configs/fleets/NAME.toml,
        fleets/NAME.toml or NAME.toml.
    yes
        Do not ask. Needed where there is no terminal.
    wait_lock_s
        Seconds to wait in line for a lock that is held: first come, first served. What
        you agreed to, or a plan file, is pushed as it is, and ends with 8 if the fleet
        has moved on meanwhile; with --yes and a configuration the plan is made anew.
    window_s
        Seconds that the devices have to vote; measured unless given.
    timeout_s
        Seconds to a decision; then it is aborted, with exit code 10.
    """
    check_seconds("--window", window_s, WINDOW_MIN_S)
    check_seconds("--timeout", timeout_s, 0.0)
    check_seconds("--wait-lock", wait_lock_s, 0.0, WAIT_MAX_S, zero=True)
    known = find_fleet(fleet)
    stage = open_source(source, known)
    if not yes and not context.interactive:
        raise OperatingError(
            "there is no terminal to ask on, and no --yes",
            exit_code=Exit.USAGE,
            next_command=context.again("push", str(source), "--fleet", fleet, "--yes"),
        )
    async with context.world() as world:
        staged = await _agreed(context, world, known, stage, yes=yes)
        if staged is None:
            return _declined(context)
        order = staged.order(window_s, timeout_s)
        if wait_lock_s is not None:
            order = replace(order, wait_lock_s=wait_lock_s)
        if yes:
            # A plan file comes out of its stage as it is, and is then stale.
            anew = partial(_order, stage, window_s=window_s, timeout_s=timeout_s)
            order = replace(order, replan=anew)
        result = await run_push(context, world, known, order)
    _show(context, known, result)
    return int(result.exit_code)


def _order(
    stage: Stage, version: Version, *, window_s: float | None, timeout_s: float | None
) -> PushOrder:
    """Make the order for the version that the fleet is at."""
    return stage(version).order(window_s, timeout_s)


def check_seconds(
    flag: str,
    value: float | None,
    least: float,
    most: float = WINDOW_MAX_S,
    *,
    zero: bool = False,
) -> None:
    """Refuse a duration that makes no sense; none at all only with ``zero``."""
    if value is None or (least <= value <= most and (value > 0 or zero)):
        return
    raise OperatingError(
        f"{flag} {value:g}: must be {max(least, 0):g} to {most:g} seconds",
        exit_code=Exit.USAGE,
        next_command="aimctl push --help",
    )


# --- asking -----------------------------------------------------------------------------------


async def _agreed(
    context: Context, world: World, known: KnownFleet, stage: Stage, *, yes: bool
) -> Staged | None:
    """
    Make the plan; without ``--yes`` show it and ask. ``None``: somebody said no.

    Raises OperatingError for a plan file that is stale already: it need not wait in line.
    """
    from orchestrator.service import locks
    from orchestrator.service.push import check_base, nothing_to_do

    state = await locks.read_fleet(world, known.id)
    staged = stage(state.version)
    if not yes and nothing_to_do(state, staged.plan):
        return staged
    check_base(state, staged.plan)
    if yes:
        return staged
    return staged if await _ask(context, world, state, staged) else None


async def _ask(context: Context, world: World, state: FleetState, staged: Staged) -> bool:
    from orchestrator.cli.plan import compare, show_difference

    difference = await compare(world, state, staged)
    screen = Screen(console(no_color=context.no_color, stderr=True))
    show_difference(screen, staged, difference)
    screen.line()
    return ask("Push this? [y/N] ").strip().lower() in {"y", "yes"}


def ask(question: str) -> str:
    """
    Read one line from the terminal; Ctrl-C and Ctrl-D are an answer too: an empty one.

    asyncio's own handler would wait for the line; ours does not.
    """
    import sys

    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""
    finally:
        signal.signal(signal.SIGINT, former)


def _declined(context: Context) -> int:
    message = "not confirmed: nothing was begun"
    code = int(Exit.INTERRUPTED)
    context.view.fail(
        {"type": "error", "exit_code": code, "message": message, "next": None}, message
    )
    return code


# --- running ----------------------------------------------------------------------------------


async def run_push(
    context: Context, world: World, known: KnownFleet, order: PushOrder
) -> PushResult:
    """Run the transaction, tell of it as it goes, and obey Ctrl-C and SIGTERM."""
    from orchestrator.cli.progress import Progress
    from orchestrator.service.push import push as run

    me = world.me("push")
    progress = Progress(view=context.view, clock=world.clock, fleet=known, plan=order.plan, me=me)
    interrupts = Interrupts(context, progress)

    def started(session: Session) -> None:
        interrupts.session = session

    wanted = replace(order, watch=progress.watch, started=started, on_wait=progress.wait)
    if context.live:
        from orchestrator.cli.live import drawn

        async with interrupts.heeded(), drawn(progress, no_color=context.no_color):
            result = await run(world, wanted)
    else:
        async with interrupts.heeded():
            result = await run(world, wanted)
    progress.ended(result)
    return result


class Interrupts:
    """
    What Ctrl-C and SIGTERM mean during a push.

    The first one aborts before the decision and detaches after it; the second leaves at once.
    Before the session has started nothing was begun, and the first one leaves.
    """

    def __init__(self, context: Context, progress: Progress) -> None:
        self.session: Session | None = None
        self._context = context
        self._progress = progress
        self._count = 0
        self._task: asyncio.Task[Any] | None = None

    def heeded(self) -> Interrupts:
        """Return the context in which they are obeyed."""
        return self

    async def __aenter__(self) -> None:
        """Take the signals over."""
        import asyncio

        self._task, loop = asyncio.current_task(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.interrupt)

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        """Give them back; turn our own cancellation into how it is told."""
        import asyncio

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
        if isinstance(error, asyncio.CancelledError) and self._count:
            raise self._left() from None

    def interrupt(self) -> None:
        """Take one signal."""
        self._count += 1
        if self.session is None or self._count > 1:
            if self._task is not None:
                self._task.cancel()
            return
        self.session.interrupt()
        decided = self._progress.decision
        if decided is None:
            told = "aborting (press again to leave it to `aimctl recover`)"
        else:
            told = f"detaching: {decided.upper()} is decided and stands (again: leave at once)"
        self._context.view.say(f"interrupt {told}")

    def _left(self) -> OperatingError:
        fleet = self._progress.plan.fleet
        if self.session is None:
            return OperatingError("interrupted: nothing was begun", exit_code=Exit.INTERRUPTED)
        decided = self._progress.decision
        known = "the outcome is not known"
        if decided is not None:
            known = f"{decided.upper()} is decided and stands, not every device has followed"
        return OperatingError(
            f"left at once: {known}; the lock of {fleet} is still ours until somebody resolves it",
            exit_code=Exit.UNKNOWN if decided is None else Exit.INTERRUPTED,
            next_command=f"aimctl recover --fleet {fleet}",
        )


# --- showing ----------------------------------------------------------------------------------


def _show(context: Context, known: KnownFleet, result: PushResult) -> None:
    document = {**result.document(), "exit_code": int(result.exit_code)}

    def text(screen: Screen) -> None:
        rows = _rows(known, result)
        if rows:
            screen.table(("device", "kind", "vote", "state", "version", "held", "note"), rows)
            screen.line()
        icon, style = _WORDS.get(result.exit_code, ("!", "bold yellow"))
        screen.line(f"{icon} {result.message}", style)
        if result.timing_ms and result.decision is not None:
            screen.line(_timing(result))
        if result.activation_skew_ms is not None:
            screen.line(f"  first to last activation {milliseconds(result.activation_skew_ms)}")

    context.view.show(document, text)
    if result.next_command is not None:
        context.view.say(f"next      {result.next_command}")


def _rows(known: KnownFleet, result: PushResult) -> list[tuple[Cell, ...]]:
    kinds = known.kinds
    shown = [
        (device, part)
        for device, part in result.devices.items()
        if len(result.devices) <= ROWS_MAX
        or part.vote != "yes"
        or part.state != "active"
        or part.reasons
    ]
    return [
        (
            device,
            kinds.get(device, "-"),
            vote_cell(part.vote),
            state_cell(part.state),
            or_dash(part.version),
            milliseconds(part.hold_ms),
            "; ".join(part.reasons),
        )
        for device, part in shown[:ROWS_MAX]
    ]


def _timing(result: PushResult) -> str:
    parts = [f"{name} {milliseconds(value)}" for name, value in result.timing_ms.items()]
    return "  " + ", ".join(parts)
