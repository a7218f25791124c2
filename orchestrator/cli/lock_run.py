"""``aimctl lock run``: hold a fleet's lock for as long as another program runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from orchestrator.cli.confirming import PURPOSE_CHARS_MAX, checked_text
from orchestrator.cli.context import Context, Given
from orchestrator.cli.files import KnownFleet, known_fleet
from orchestrator.cli.waiting import waiting_document, waiting_words
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    import asyncio
    from collections.abc import Mapping, Sequence

    from orchestrator.locksmith.command import Program
    from orchestrator.service.keeping import Kept
    from orchestrator.service.locks import Held
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World

USAGE: Final = "Usage: aimctl lock run --fleet FLEET [OPTIONS] -- COMMAND [ARGS...]"
PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def register(lock: App) -> None:
    """Add the command."""
    lock.command(lock_run, name="run", usage=USAGE)


async def lock_run(  # noqa: D417 - the context is no option
    *command: Annotated[str, Parameter(name="COMMAND")],
    fleet: str,
    wait_lock_s: Annotated[float | None, Parameter(name="--wait-lock")] = None,
    purpose: str | None = None,
    context: Given,
) -> int:
    """
    Run COMMAND while holding a fleet's lock, and give the lock back when it ends.

    For example:
      aimctl lock run --fleet hazard-12 -- ./calibrate.sh
      aimctl lock run --fleet hazard-12 --wait-lock 60 -- ./update.sh -v

    COMMAND finds AIM_LOCK_ID, AIM_LOCK_FLEET, AIM_LOCK_EPOCH and
    AIM_LOCK_INCARNATION in its environment, and may give the lock back early:
    aimctl lock release $AIM_LOCK_ID --reason TEXT. A terminal is its own while it runs; SIGINT,
    SIGTERM and SIGHUP are passed on. Who asks for the lock ends it with SIGTERM.
    With --output json what it writes to stdout goes to stderr.

    Exits with COMMAND's own code, 128 + n where signal n has ended it, 126 or 127
    where it can't be started; 6 (HOT) when the lock is held by somebody else. Is
    the lock lost while it runs, COMMAND and its process group are ended (SIGTERM,
    after 5 s SIGKILL): 7. What COMMAND leaves in the background works on without
    the lock, and so does what has made a session of its own. Only kill -9 of this
    very program leaves COMMAND running without its lock: what must be safe even
    then passes the epoch on, and refuses a lower one where it writes.

    Parameters
    ----------
    command
        What to run, without a shell; write it after --.
    fleet
        A fleet file, or a fleet's name.
    wait_lock_s
        Seconds to wait in line for a lock that is held: first come, first served.
    purpose
        What for; everybody who looks at the lock sees it.
    """
    from orchestrator.cli.push import WAIT_MAX_S, check_seconds

    check_seconds("--wait-lock", wait_lock_s, 0.0, WAIT_MAX_S, zero=True)
    if not command:
        raise OperatingError(
            "there is no COMMAND to run",
            exit_code=Exit.USAGE,
            next_command="aimctl lock run --fleet FLEET -- COMMAND",
        )
    plain = f"lock run {PurePath(command[0]).name}"[:PURPOSE_CHARS_MAX]
    shown = checked_text("--purpose", purpose or plain, PURPOSE_CHARS_MAX)
    async with context.world() as world:
        known = await known_fleet(world, fleet)
        run = _Run(context, world, known, command)
        return await run.to_the_end(shown, wait_lock_s)


class _Run:
    """One command under one lock, and what a signal means at each moment."""

    def __init__(
        self, context: Context, world: World, known: KnownFleet, command: Sequence[str]
    ) -> None:
        self._context = context
        self._world = world
        self._fleet = known.id
        self._config = known.id if known.loaded is None else known.loaded.file.config
        self._command = command
        self._program: Program | None = None
        self._pending: list[int] = []
        self._waits: asyncio.Future[Held | LockView] | None = None

    async def to_the_end(self, purpose: str, wait_s: float | None) -> int:
        """Take the lock, run the command, tell how it ended."""
        from orchestrator.locksmith.command import CommandUnusable
        from orchestrator.service import keeping

        with self._signals_heeded():
            held = await self._take(purpose, wait_s)
            self._say(f"{self._fleet}@{held.epoch} is ours, for {purpose}")
            try:
                kept = await keeping.run(self._world, held, self._launch, self._say)
            except CommandUnusable as error:
                return self._show(purpose, held, None, f"can't be started: {error}", error.code)
        return self._ended(purpose, held, kept)

    # --- taking it ----------------------------------------------------------------------------

    async def _take(self, purpose: str, wait_s: float | None) -> Held:
        """Take the lock, in turn. Raises OperatingError: HOT, or interrupted."""
        import asyncio

        from orchestrator.service import locks
        from orchestrator.service.holding import Want
        from orchestrator.service.keeping import take
        from orchestrator.service.results import LockView

        me = self._world.me("lock run")

        def waits(view: LockView) -> None:
            self._context.view.say(f"waiting   {waiting_words(view, me)}")
            self._context.view.progress(waiting_document(view, me))

        want = Want(purpose=purpose, wait_s=wait_s, owner=me, on_wait=waits)
        taking = self._waits = asyncio.ensure_future(take(self._world, self._fleet, want))
        try:
            held = await taking
        except asyncio.CancelledError:
            raise OperatingError(
                "interrupted: nothing was begun", exit_code=Exit.INTERRUPTED
            ) from None
        finally:
            self._waits = None
        if isinstance(held, LockView):
            raise locks.hot(held, self._config)
        return held

    # --- running it ---------------------------------------------------------------------------

    async def _launch(self, environment: Mapping[str, str]) -> Program:
        from orchestrator.locksmith.command import launch

        machine = self._context.view.machine
        self._program = await launch(self._command, environment, stdout_is_ours=machine)
        for number in self._pending:
            self._program.send(number)
        return self._program

    @contextmanager
    def _signals_heeded(self) -> Iterator[None]:
        """Take the signals over: while we wait they end that, later they are COMMAND's."""
        import asyncio

        loop = asyncio.get_running_loop()
        for number in PASSED_ON:
            loop.add_signal_handler(number, self._signal, number)
        try:
            yield
        finally:
            for number in PASSED_ON:
                with suppress(ValueError):
                    loop.remove_signal_handler(number)

    def _signal(self, number: int) -> None:
        if self._waits is not None and self._waits.cancel():
            return
        if self._program is not None:
            self._program.send(number)
        else:
            self._pending.append(number)

    # --- telling ------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        self._context.view.say(f"lock      {line}")

    def _ended(self, purpose: str, held: Held, kept: Kept) -> int:
        if kept.lost is not None:
            why = f"fenced: the lock was lost while it ran: {kept.lost}"
            return self._show(purpose, held, kept, why, Exit.FENCED)
        return self._show(purpose, held, kept, f"ended with {kept.code}", kept.code)

    def _show(self, purpose: str, held: Held, kept: Kept | None, message: str, code: int) -> int:
        """Show the document; people only see why the command did not simply end."""
        simple = kept is not None and kept.lost is None
        given_back = kept is None or kept.given_back
        following = None if given_back and simple else f"aimctl lock show {self._fleet}"
        document = {
            "type": "lock-run",
            "fleet": self._fleet,
            "id": f"{self._fleet}@{held.epoch}",
            "epoch": held.epoch.number,
            "incarnation": held.epoch.incarnation,
            "purpose": purpose,
            "code": None if kept is None else kept.code,
            "given_back": given_back,
            "message": message,
            "next": following,
            "exit_code": int(code),
        }
        view = self._context.view
        if simple:
            view.show(document, lambda _screen: None)
            return int(code)
        then = "" if following is None else f"\n  next      {following}"
        view.fail(document, f"ERROR: {message}{then}")
        return int(code)
