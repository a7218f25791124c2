"""The story of a lock: every record about it, with who did it; or that of one holding alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.text import rfc3339
from orchestrator.cli.view import Screen

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.records import Entry, Record
    from orchestrator.protocol.types import Epoch, FleetId, Owner
    from orchestrator.service.results import LockView
    from orchestrator.service.story import Line
    from orchestrator.service.world import World

KINDS: Final = frozenset(
    {
        *("lock_taken", "lock_released", "lock_requested", "lock_withdrawn"),
        *("release_requested", "release_answered", "reseeded", "adopted"),
        *("begun", "abort_requested", "decided", "ended"),
    }
)
"""The records of a lock and of what is done under it; those of single devices are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One record; ``who`` wrote it, or held the lock while it was written."""

    line: Line
    who: Owner | None

    @property
    def short(self) -> str:
        """Who, as short as it can be told apart."""
        return "-" if self.who is None else f"{self.who.user}@{self.who.host} {self.who.pid}"

    def document(self) -> dict[str, Any]:
        """Return one element of ``history``."""
        line = self.line
        return {
            "index": line.index,
            "at": line.at,
            "time": rfc3339(line.at),
            "kind": line.kind,
            "txn": line.txn,
            "seq": line.seq,
            "who": None if self.who is None else str(self.who),
            "text": line.text,
        }


async def lines_of(world: World, fleet: FleetId, epoch: Epoch | None) -> tuple[StoryLine, ...]:
    """
    Return the story of a fleet's lock, oldest first.

    With an epoch only the holding of that epoch, up to and with the record that has ended it.
    """
    from orchestrator.ports import StoreUnavailable
    from orchestrator.service import story
    from orchestrator.service.locks import unreachable

    try:
        entries = await world.store.read(fleet)
        lines = {line.index: line for line in await story.history(world, fleet)}
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error
    return tuple(
        StoryLine(line=lines[entry.index], who=who)
        for entry, who, epochs in _followed(entries)
        if entry.record.kind in KINDS and (epoch is None or epoch in epochs)
    )


def _followed(
    entries: Sequence[Entry],
) -> Iterator[tuple[Entry, Owner | None, frozenset[Epoch]]]:
    """
    Return each entry with who did it, and under which epoch.

    A change of hands belongs to two: it ends one holding and begins the next.
    """
    from orchestrator.protocol.records import LockReleased, LockTaken
    from orchestrator.protocol.types import Epoch

    epoch, holder = Epoch(), None
    for entry in entries:
        record, before = entry.record, epoch
        if isinstance(record, LockTaken | LockReleased):
            epoch = record.epoch
        if isinstance(record, LockTaken):
            holder = record.owner
        yield entry, _who(record) or holder, frozenset({before, epoch})
        if isinstance(record, LockReleased):
            holder = None


def _who(record: Record) -> Owner | None:
    """Return who wrote a record, where the record itself says it."""
    found: Owner | None = getattr(record, "by", None) or getattr(record, "owner", None)
    return found


def show_story(
    screen: Screen, view: LockView, story: Sequence[StoryLine], epoch: Epoch | None
) -> None:
    """Write the story, a line each: time, who, what."""
    if not story:
        return
    screen.line()
    screen.line(f"story of {view.fleet if epoch is None else f'{view.fleet}@{epoch}'}", "bold")
    rows = [(str(one.line.index), rfc3339(one.line.at), one.short, one.line.text) for one in story]
    screen.table(("#", "time", "who", "what"), rows)
