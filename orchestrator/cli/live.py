"""The table of a push on a terminal, redrawn a few times a second until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.progress import Progress
from orchestrator.cli.text import milliseconds, or_dash, state_cell, vote_cell
from orchestrator.cli.view import console
from orchestrator.protocol.types import Outcome

REDRAW_EVERY_S: Final = 0.2
LINES_BESIDE: Final = 8
"""Lines of the screen that the devices can't have."""


@asynccontextmanager
async def drawn(progress: Progress, *, no_color: bool) -> AsyncIterator[None]:
    """Draw ``progress`` on stderr while this context lasts; it leaves nothing behind."""
    on = console(no_color=no_color, stderr=True)
    rows_max = max(3, on.height - LINES_BESIDE)
    progress.quiet = True

    def picture() -> RenderableType:
        return render(progress, rows_max)

    with Live(get_renderable=picture, console=on, auto_refresh=False, transient=True) as live:
        task = asyncio.create_task(_redraw(live))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _redraw(live: Live) -> None:
    """Redraw in the event loop: another thread would see the fleet in the middle of a step."""
    while True:
        live.refresh()
        await asyncio.sleep(REDRAW_EVERY_S)


def render(progress: Progress, rows_max: int) -> RenderableType:
    """Return what the screen shows now."""
    rows = progress.rows(rows_max)
    kinds = progress.fleet.kinds
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("device", "kind", "vote", "state", "version", "held", "note"):
        table.add_column(name.upper(), no_wrap=True, overflow="ellipsis")
    for row in rows:
        vote, vote_style = vote_cell(row.vote)
        state, state_style = state_cell(row.state)
        table.add_row(
            row.device,
            kinds.get(row.device, "-"),
            Text(vote, style=vote_style),
            Text(state, style=state_style),
            or_dash(row.version),
            milliseconds(row.hold_ms),
            Text(row.note),
        )
    parts: list[RenderableType] = [_title(progress), table]
    hidden = progress.members - len(rows)
    if hidden > 0:
        parts.append(Text(f"… and {hidden} more", style="dim"))
    parts.append(_bar(progress))
    return Group(*parts)


def _title(progress: Progress) -> Text:
    plan = progress.plan
    seq = "" if progress.seq is None else f", txn {progress.seq}"
    return Text(f"{plan.config} → fleet {plan.fleet}{seq}", style="bold")


def _bar(progress: Progress) -> Table:
    """Return the bar over staged → voted → decided → active."""
    decided = progress.decision is not None
    share = progress.active if decided else progress.votes
    done = (3.0 if decided else 1.0) + share / max(1, progress.members)
    if progress.seq is None:
        done = 0.5
    if progress.decision is Outcome.ABORT:
        done = 4.0
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(ProgressBar(total=4.0, completed=done, width=24), Text(_where(progress)))
    return grid


def _where(progress: Progress) -> str:
    if progress.waiting:
        return f"◌ staged · waiting: {progress.waiting}"
    if progress.seq is None:
        return "◌ staged · waiting for the devices"
    voted = f"staged · voted {progress.votes}/{progress.members}"
    if progress.decision is Outcome.ABORT:
        return f"✘ {voted} · decided ABORT: {progress.cause}"
    if progress.decision is Outcome.COMMIT:
        return f"✔ {voted} · decided COMMIT · active {progress.active}/{progress.members}"
    return f"◌ {voted}"
