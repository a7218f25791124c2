"""What is refused before anything is looked at, and how whatever goes wrong is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from orchestrator.protocol.errors import InvariantViolation
from orchestrator.web import guards
from orchestrator.web.api import within
from orchestrator.web.guards import BODY_BYTES_MAX
from tests.web.desk import BEARER, FLEET, MIRA, TOKEN, Desk, Raw

ACQUIRE = f"/api/v1/locks/{FLEET}/acquire"
JSON = {**BEARER, "content-type": "application/json"}
ERROR_KEYS = {"schema", "type", "code", "message", "next", "exit_code"}


def operations(desk: Desk) -> list[tuple[str, str]]:
    """Every operation of the OpenAPI document under /api, for a fleet that exists."""
    return [
        (method, path.format(fleet=FLEET))
        for path, item in desk.app.openapi()["paths"].items()
        for method in item
        if path.startswith("/api/")
    ]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="missing"),
        pytest.param("Bearer wrong", id="wrong"),
        pytest.param(f"Bearer {TOKEN}x", id="longer"),
        pytest.param(f"Bearer {TOKEN[:-1]}", id="shorter"),
        pytest.param(f"Basic {TOKEN}", id="another-scheme"),
        pytest.param(TOKEN, id="no-scheme"),
        pytest.param("Bearer \xe4\xf6", id="not-ascii"),
        pytest.param("Bearer ", id="empty"),
    ],
)
async def test_no_operation_without_the_token(desk: Desk, header: str | None) -> None:
    """To read as well as to change: 401 says what is wanted, and nothing has been looked at."""
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(desk.app), base_url="http://localhost"
    ) as stranger:
        for method, path in operations(desk):
            answer = await stranger.request(method, path, headers=headers, content=b"{")
            assert (401, "unauthorized") == (answer.status_code, answer.json()["code"]), path
            assert 'Bearer realm="aimctl serve"' == answer.headers["www-authenticate"]


async def test_there_are_nine_operations(desk: Desk) -> None:
    """List, show, history, watch; acquire, renew, release; request-release, force-unlock."""
    assert 9 == len(operations(desk))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
async def test_probes_need_no_token(desk: Desk, path: str) -> None:
    """What programs probe and generate clients from is open."""
    answer = await desk.client.get(path, headers={"Authorization": ""})
    assert 200 == answer.status_code


async def test_what_does_not_exist_asks_for_the_token_first(desk: Desk) -> None:
    """A new path is closed until somebody opens it on purpose."""
    assert 401 == (await desk.client.get("/new", headers={"Authorization": ""})).status_code
    answer = await desk.client.get("/new")
    assert (404, "not-found") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8470", "127.0.0.1:9", "[::1]:8470", "LOCALHOST"]
)
async def test_this_machine_may_be_named_as_one_likes(desk: Desk, host: str) -> None:
    """Every loopback name, with and without a port."""
    assert 200 == (await desk.client.get("/healthz", headers={"Host": host})).status_code


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8470", "", "[::2]"])
async def test_a_rebound_name_is_refused(desk: Desk, host: str) -> None:
    """A page whose name was made to point at loopback gets nothing, not even the health."""
    answer = await desk.client.get("/healthz", headers={"Host": host})
    assert (421, "misdirected") == (answer.status_code, answer.json()["code"])


async def test_no_other_site_is_let_in(desk: Desk) -> None:
    """There is no CORS: a browser's question is refused, and no header allows anything."""
    answer = await desk.client.options(
        "/api/v1/locks",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
    )
    assert 405 == answer.status_code
    assert [] == [name for name in answer.headers if name.startswith("access-control")]


async def test_answers_are_not_kept(desk: Desk) -> None:
    """Neither a proxy nor a browser stores who holds what."""
    for answer in (await desk.get("/locks"), await desk.get("/locks/nowhere")):
        assert ("no-store", "nosniff") == (
            answer.headers["cache-control"],
            answer.headers["x-content-type-options"],
        )


# --- bodies -------------------------------------------------------------------------------------


async def test_a_body_that_says_that_it_is_too_large_is_not_read(desk: Desk) -> None:
    """413 by its length alone, in the error model."""
    headers = {**JSON, "content-length": str(BODY_BYTES_MAX + 1)}
    client = Raw(desk.app, "POST", ACQUIRE, headers=headers, parts=(), ends=False)
    await client.task
    assert (413, "too-large") == (client.status, json.loads(client.body)["code"])


async def test_a_body_that_grows_too_large_is_cut_off(desk: Desk) -> None:
    """One that comes in pieces does not say how long it is: it is counted."""
    pieces = [b" " * 16 * 1024] * 5
    client = Raw(desk.app, "POST", ACQUIRE, headers=JSON, parts=pieces, ends=False)
    await client.task
    assert (413, "too-large") == (client.status, json.loads(client.body)["code"])


async def test_a_body_that_never_comes_is_not_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that holds a connection open without a word is told that it is too slow."""
    monkeypatch.setattr(guards, "BODY_WITHIN_S", 0.01)
    client = Raw(desk.app, "POST", ACQUIRE, headers=JSON, parts=[b"{"], ends=False)
    await client.task
    assert (408, "too-slow") == (client.status, json.loads(client.body)["code"])


HOLDERS: dict[str, Any] = {
    "no-holder": None,
    "text": "mira",
    "unknown-key": {**MIRA, "boot": "x"},
    "no-user": {key: value for key, value in MIRA.items() if key != "user"},
    "empty-user": {**MIRA, "user": ""},
    "blank-user": {**MIRA, "user": " "},
    "two-lines": {**MIRA, "user": "mira\nroot"},
    "escape": {**MIRA, "user": "\x1b[2J"},
    "right-to-left": {**MIRA, "user": "\u202earim"},
    "too-long": {**MIRA, "user": "m" * 65},
    "pid-0": {**MIRA, "pid": 0},
    "pid-as-text": {**MIRA, "pid": "4121"},
    "pid-as-truth": {**MIRA, "pid": True},
    "pid-too-large": {**MIRA, "pid": 2**31},
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
async def test_a_holder_that_is_none_is_refused(desk: Desk, holder: Any) -> None:
    """422 names the field, and nothing is written."""
    answer = await desk.post("acquire", holder=holder, purpose="calibration")
    told = answer.json()
    assert (422, "invalid", 2) == (answer.status_code, told["code"], told["exit_code"])
    assert told["message"].startswith("body.holder")
    assert [] == list(await desk.store.fleets())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b'{"purpose": "\\ud800", "holder": {"\\ud800": 1}}', id="surrogate"),
        pytest.param(b'{"wait_s": NaN}', id="nan"),
        pytest.param(b'{"wait_s": 1' + b"0" * 5000 + b"}", id="huge-number"),
        pytest.param(b"[" * 20_000, id="deep"),
    ],
)
async def test_a_body_that_can_not_be_read_is_refused(desk: Desk, content: bytes) -> None:
    """In the error model, whatever it is that can't be read."""
    answer = await desk.client.post(ACQUIRE, content=content, headers=JSON)
    assert answer.status_code in {400, 422}
    assert ERROR_KEYS == set(answer.json())


async def test_a_body_of_another_type_is_refused(desk: Desk) -> None:
    """A form of a page is no JSON, whatever it says."""
    text = json.dumps({"holder": MIRA, "purpose": "calibration"}).encode()
    answer = await desk.client.post(ACQUIRE, content=text, headers={"content-type": "text/plain"})
    assert 422 == answer.status_code


async def test_an_unknown_parameter_is_refused(desk: Desk) -> None:
    """A misspelt `after` must not silently be the present head."""
    answer = await desk.get(f"/locks/{FLEET}/watch", afer=3)
    assert (422, "invalid") == (answer.status_code, answer.json()["code"])


async def test_a_refusal_does_not_repeat_what_was_sent(desk: Desk) -> None:
    """A token that stands in a wrong place does not come back, nor into a log."""
    answer = await desk.post("acquire", holder={**MIRA, "pid": TOKEN}, purpose="calibration")
    assert TOKEN not in answer.text


# --- what goes wrong behind ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/locks", f"/locks/{FLEET}", f"/locks/{FLEET}/history"])
async def test_a_store_that_is_away_is_503(desk: Desk, path: str) -> None:
    """Nothing is known of any lock; it says so, with the exit code of the commands."""
    desk.store.unavailable = True
    answer = await desk.get(path)
    told = answer.json()
    assert (503, "unreachable", 11) == (answer.status_code, told["code"], told["exit_code"])


async def test_a_store_that_does_not_answer_is_503_in_time(desk: Desk) -> None:
    """A request that waits for nothing but the store has an end."""

    async def never() -> None:
        await asyncio.Event().wait()

    desk.app.router.routes.insert(0, within(0.01)("/short", never))
    answer = await desk.client.get("/short")
    assert (503, "timed-out", 11) == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["exit_code"],
    )


async def test_a_defect_is_told_and_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 in the error model; the log has it, and whoever runs the server ends it."""

    async def broken() -> list[Any]:
        raise InvariantViolation("I15: a free lock with an open transaction")

    monkeypatch.setattr(desk.store, "fleets", broken)
    answer = await desk.get("/locks")
    assert (500, "unexpected", 1) == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["exit_code"],
    )
    assert ["api-unexpected"] == [notice.event for notice in desk.audience.told]
    assert ["I15: a free lock with an open transaction"] == [str(one) for one in desk.broken]


async def test_readiness_names_what_is_missing(desk: Desk) -> None:
    """503 while the store or a fleet's broker is away; the process is healthy all the same."""
    assert {"status": "ready", "reasons": {}} == (await desk.client.get("/readyz")).json()
    desk.server.troubles = {FLEET: "the broker can't be reached"}
    desk.store.unavailable = True
    answer = await desk.client.get("/readyz")
    assert (503, {FLEET, "store"}) == (answer.status_code, set(answer.json()["reasons"]))
    assert {"status": "ok"} == (await desk.client.get("/healthz")).json()
