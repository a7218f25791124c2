"""The endpoints that change nothing: the locks, the journal, and what is new in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.fleet import FleetState
from orchestrator.service import locks, reading, story
from orchestrator.service.parts import LockPart
from orchestrator.web.api import SOON_S, Api, Fleet, while_there, within
from orchestrator.web.documents import (
    EntryPart,
    JournalDocument,
    LockDocument,
    LocksDocument,
    WatchDocument,
)
from orchestrator.web.problems import Refusal, error_response, gone
from orchestrator.web.requests import HISTORY_MAX, WAIT_MAX_S, HistoryQuery, WatchQuery

LOOK_S: Final = 0.25
"""How often the journal is looked at for somebody who watches it."""

KEEP_ALIVE_S: Final = 15.0
"""How long a stream of events is silent at most: proxies end what says nothing for a minute."""

EVENTS: Final = "text/event-stream"

LastEventId = Annotated[
    Annotated[str, Field(pattern=r"^[0-9]{0,15}$")] | SkipJsonSchema[None],
    Header(
        alias="Last-Event-ID",
        description="Where a stream goes on after it broke: the id of the last event heard.",
    ),
]


def routes(api: Api) -> APIRouter:
    """Return the endpoints that answer at once."""
    router = APIRouter(route_class=within(SOON_S))

    @router.get("/locks", operation_id="listLocks")
    async def list_locks() -> LocksDocument:
        """List the lock of every fleet in the store: who holds it, and do they live."""
        views = await reading.lock_list(api.world)
        return LocksDocument(locks=[LockPart.model_validate(view.document()) for view in views])

    @router.get("/locks/{fleet}", operation_id="getLock")
    async def get_lock(fleet: Fleet) -> LockDocument:
        """Show one lock: its owner, the evidence of its life, the queue, the open transaction."""
        name, _ = await api.facts(fleet)
        state = await locks.read_fleet(api.world, name)
        view = await locks.look(api.world, state)
        return LockDocument.model_validate({**view.document(), "type": "lock", "head": state.head})

    @router.get("/locks/{fleet}/history", operation_id="getHistory")
    async def get_history(
        fleet: Fleet, asked: Annotated[HistoryQuery, Query()]
    ) -> JournalDocument:
        """Read the fleet's journal as a story: who took the lock, what was decided under it."""
        name, _ = await api.facts(fleet)
        lines = await story.history(api.world, name)
        entries, more = _page(lines, asked.after, asked.limit)
        return JournalDocument(fleet=fleet, head=len(lines), entries=entries, more=more)

    return router


def waiting_routes(api: Api) -> APIRouter:
    """Return the endpoint that waits for news."""
    router = APIRouter(route_class=within(WAIT_MAX_S + SOON_S))
    stream: dict[str, Any] = {
        "schema": {"type": "string"},
        "example": 'id: 7\nevent: lock_taken\ndata: {"index": 7, "kind": "lock_taken"}\n\n',
    }

    @router.get(
        "/locks/{fleet}/watch",
        operation_id="watchLock",
        response_model=WatchDocument,
        responses={
            200: {"content": {EVENTS: stream}},
            412: error_response("The journal ends before `after`: its store was rolled back."),
        },
    )
    async def watch_lock(
        fleet: Fleet,
        asked: Annotated[WatchQuery, Query()],
        request: Request,
        last_event_id: LastEventId = None,
    ) -> WatchDocument | Response:
        """
        Wait for something new in the fleet's journal.

        Answers when the journal has moved past `after`, or when the time is up. With `Accept:
        text/event-stream` it is a stream with an event for each journal record, whose id is the
        record's index: a client that reconnects with `Last-Event-ID` misses nothing.
        """
        name, _ = await api.facts(fleet)
        known = await locks.read_fleet(api.world, name)
        after = _begin(known, asked.after, last_event_id)
        if EVENTS in request.headers.get("accept", ""):
            return StreamingResponse(_events(api, known, after), media_type=EVENTS)
        news = await while_there(request, _news(api, known, after, asked.timeout_s))
        if news is None:
            raise gone()
        return news

    return router


def _page(lines: Sequence[story.Line], after: int, limit: int) -> tuple[list[EntryPart], bool]:
    """Return the entries after an index, and whether there are more of them."""
    found = lines[after:]
    return [_entry(line) for line in found[:limit]], len(found) > limit


def _entry(line: story.Line) -> EntryPart:
    return EntryPart(
        index=line.index, at=line.at, kind=line.kind, txn=line.txn, seq=line.seq, text=line.text
    )


# --- watching -----------------------------------------------------------------------------------


def _begin(known: FleetState, after: int | None, last_event_id: str | None) -> int:
    """Return the index from which to watch. Raises Refusal for one that does not exist yet."""
    fleet, head = known.fleet, known.head
    asked = int(last_event_id) if last_event_id else after
    if asked is not None and asked > head:
        raise Refusal(
            412,
            "no-such-head",
            f"the journal of {fleet} ends at {head}, before {asked}: read the lock again. If it"
            " was longer once, its store was rolled back",
            exit_code=Exit.PLAN_STALE,
            next_command=f"aimctl lock show {fleet}",
        )
    return head if asked is None else asked


async def _news(api: Api, known: FleetState, after: int, timeout_s: float) -> WatchDocument:
    clock, fleet = api.world.clock, known.fleet
    until = clock.monotonic() + timeout_s
    while known.head <= after and clock.monotonic() < until:
        await clock.sleep(min(LOOK_S, max(0.0, until - clock.monotonic())))
        known = await locks.refresh(api.world, known)
    view = await locks.look(api.world, known)
    # The story is read after the lock: cut it there, so that both are of one moment.
    lines = (await story.history(api.world, fleet))[: known.head]
    entries, more = _page(lines, after, HISTORY_MAX)
    head = entries[-1].index if entries else after
    lock = LockPart.model_validate(view.document())
    return WatchDocument(fleet=fleet, head=head, entries=entries, more=more, lock=lock)


async def _events(api: Api, known: FleetState, after: int) -> AsyncIterator[bytes]:
    """
    Yield an event for each new record, for ever.

    A store that goes away or was rolled back ends the stream: the client comes back with the last
    id it has heard.
    """
    clock = api.world.clock
    yield KEEPALIVE_COMMENT  # so that the client knows at once that it is heard
    spoke = clock.monotonic()
    while True:
        try:
            known = await locks.refresh(api.world, known)
            lines = await _lines_after(api, known, after)
        except OperatingError:
            return
        for line in lines:
            yield _event(line)
            after, spoke = line.index, clock.monotonic()
        if clock.monotonic() - spoke >= KEEP_ALIVE_S:
            yield KEEPALIVE_COMMENT
            spoke = clock.monotonic()
        await clock.sleep(LOOK_S)


async def _lines_after(api: Api, known: FleetState, after: int) -> Sequence[story.Line]:
    """Return what is new; the whole story is told only where there is something."""
    if known.head <= after:
        return ()
    return (await story.history(api.world, known.fleet))[after:]


def _event(line: story.Line) -> bytes:
    return format_sse_event(
        data_str=_entry(line).model_dump_json(), event=line.kind, id=str(line.index)
    )
