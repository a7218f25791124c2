"""The page of a run: what it shows of each event, and what it never does."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from drone_sim.report import html, lists, marks
from drone_sim.report.html import PAGE_BYTES_MAX, RUNS_MAX, Beside, render_page
from drone_sim.report.legend import LEGEND
from drone_sim.report.meanings import INVARIANTS
from drone_sim.result import Result, Speed
from drone_sim.scenario.model import Scenario, SimulatedDevice
from drone_sim.trace import Kind, Trace
from orchestrator.protocol.invariants import Violation
from tests.report import nights
from tests.report.pages import body_of, charts, lane, links, of_class, tags, tooltips, words
from tests.source import ROOT


@pytest.fixture(scope="module")
def held() -> str:
    """The page of a night that went well."""
    return render_page([nights.played(3)], title="the night")


@pytest.fixture(scope="module")
def violated() -> str:
    """The page of a night that did not."""
    return render_page([nights.played(12, violated=True)], title="the night")


# --- the document -----------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [1, 3, 12, 48])
def test_a_page_is_well_formed(devices: int) -> None:
    """What is drawn is well-formed whatever the size of the fleet."""
    trace = nights.played(devices).trace if devices > 1 else Trace()
    result = replace(nights.played(max(devices, 2)), trace=trace)
    body_of(render_page([result], title="sizes"))


def test_a_page_asks_for_nothing(held: str) -> None:
    """All that a page refers to is in itself, and its policy forbids everything else."""
    assert {"#legend"} == set(links(held))
    assert set() == tags(held) & {"link", "img", "iframe", "object", "embed", "base", "form"}
    assert [] == re.findall(r"url\((?!#)|@import|https?:", held)


def test_the_policy_allows_the_pages_own_script_and_style(held: str) -> None:
    """The hashes in the policy are those of what stands in the page, so that both work."""
    policy = re.search(r'Policy" content="([^"]+)"', held)
    assert policy is not None
    for name in ("style", "script"):
        content = held.split(f"<{name}>")[1].split(f"</{name}>", maxsplit=1)[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src &#x27;sha256-{digest}&#x27;" in policy[1]
    assert policy[1].startswith("default-src &#x27;none&#x27;")


def test_a_page_has_no_style_attributes(held: str) -> None:
    """The policy would forbid them: what they say would be lost."""
    assert [] == [one.tag for one in body_of(held).iter() if one.get("style")]


def test_the_same_results_make_the_same_page() -> None:
    """A page depends on its results alone."""
    first, second = (render_page([nights.played(12)], title="twice") for _ in range(2))
    assert first == second


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\"'"


def test_hostile_text_stays_text() -> None:
    """Markup in names, texts, reasons and titles is shown as it is, and never is markup."""
    trace = Trace()
    trace.note(0.0, Kind.STATE, "d-01", HOSTILE, version=1, holds=HOSTILE, up=True)
    for kind in (Kind.NOTICE, Kind.ACT, Kind.PROCESS, Kind.JOURNAL, Kind.PHASE, Kind.MESSAGE):
        details = {"verb": HOSTILE, "txn": HOSTILE, "record": "begun", "kind": HOSTILE}
        trace.note(0.5, kind, HOSTILE, HOSTILE, **details)
    trace.note(1.0, Kind.VIOLATION, "checker", HOSTILE)
    result = Result(
        scenario=Scenario(name=HOSTILE, seed=1, devices=(SimulatedDevice(id="d-01"),)),
        speed=Speed.CORES,
        violations=(Violation(id=HOSTILE, text=HOSTILE),),
        violated_at_s=1.0,
        trace=trace,
    )
    page = render_page([result], title=HOSTILE, reproduce=[HOSTILE])
    assert 1 == page.count("<script>")
    assert "img" not in tags(page)
    assert HOSTILE in words(of_class(body_of(page), "violations")[0])


# --- what is told -----------------------------------------------------------------------------


def test_a_held_run_says_so(held: str) -> None:
    """The verdict is told in words, and how to play the run again."""
    told = words(of_class(body_of(held), "run")[0])
    assert "HELD: every invariant held." in told
    assert "reproduce: drone-sim replay 7 --speed cores" in told


def test_a_violation_is_told_in_words(violated: str) -> None:
    """What broke, when, what was seen, and what should have been: before any lane."""
    run = of_class(body_of(violated), "run")[0]
    assert "VIOLATED at 2.402 s: I5, seed 7" == words(of_class(run, "verdict")[0])
    assert f"{nights.MIXED} must hold: {INVARIANTS['I5']}" == words(of_class(run, "violations")[0])


def test_the_invariants_have_words() -> None:
    """Every invariant of the protocol's README has its words, and so has what is none."""
    readme = (ROOT / "orchestrator" / "protocol" / "README.md").read_text()
    listed = re.findall(r"^\| (I\d+) \|", readme, re.MULTILINE)
    assert [*listed, "X"] == list(INVARIANTS)


def test_the_command_of_a_run_can_be_given() -> None:
    """Whoever made the results says how each is played again."""
    page = render_page([nights.played(3)], title="a story", reproduce=["drone-sim run night.toml"])
    assert "reproduce: drone-sim run night.toml" in words(body_of(page))


def test_the_scenario_is_told_in_words(held: str) -> None:
    """Who takes part, over what links, with what clocks: what was drawn."""
    told = words(body_of(held))
    for part in (
        "3 devices (3 × drone), on version 1 when the story begins",
        "10 ms to 30 ms each way, 0 % to 5 % of the messages lost",
        "the fleet allows ε = 50 ms",
        "faults until 10 s; then everything is repaired",
    ):
        assert part in told


def test_acts_that_did_not_take_place_are_counted(held: str) -> None:
    """What the scenario had planned for later is not listed, but told."""
    told = words(body_of(held))
    assert "1 more act did not: the run was over before." in told
    assert 5 == len(of_class(body_of(held), "acts")[0].findall("li"))


def test_a_run_without_a_trace_has_no_lanes() -> None:
    """The figures of a run are shown without its trace, and where the trace would come from."""
    page = render_page(nights.many(3), title="figures")
    assert [] == charts(page)
    assert "HELD: every invariant held in 3 runs." in words(body_of(page))


# --- lanes ------------------------------------------------------------------------------------


def test_every_device_has_a_lane(violated: str) -> None:
    """Both charts of a violated run, the close-up and the whole, have all devices."""
    assert [12, 12] == [len(of_class(one, "device")) for one in charts(violated)]


@pytest.mark.parametrize(
    ("name", "class_", "title"),
    [
        pytest.param("d-01", "v1", "v1\nhas version 1", id="operates"),
        pytest.param("d-01", "v1", "v1 (v2 stored)\nhas version 2", id="committed, not active"),
        pytest.param("d-02", "hold", "holds: in doubt\nhas version 1", id="holds, and why"),
        pytest.param("d-02", "prepared", "prepared for txn 2: has voted yes", id="prepared"),
        pytest.param("d-02", "fault", "2. cut d-02", id="a fault on it"),
        pytest.param("d-03", "down", "off\nhas version 1", id="down"),
        pytest.param("d-03", "v3", "v3\nhas version 3", id="a later version"),
    ],
)
def test_a_state_has_its_band(held: str, name: str, class_: str, title: str) -> None:
    """Each state of a device is a band of its own kind, with its words in the tooltip."""
    bands = [
        one
        for one in lane(charts(held)[0], name).iter("svg")
        if "band" in one.get("class", "") and one.find(f"rect[@class='{class_}']") is not None
    ]
    assert any(title in tip for one in bands for tip in tooltips(one)), class_


@pytest.mark.parametrize(
    ("kind", "class_"),
    [("sent", "sent"), ("arrived", "arrived"), ("lost", "lost"), ("repeated", "repeated")],
)
def test_a_message_has_its_mark(held: str, kind: str, class_: str) -> None:
    """What was sent, arrived, was lost or came twice differs in its mark, not its colour only."""
    found = of_class(charts(held)[0], class_)
    assert any(kind in tip for one in found for tip in tooltips(one))


def test_a_lost_message_is_a_cross(held: str) -> None:
    """A lost message is told by its shape, in the lane of whom it was for."""
    assert ["×"] == [
        one.text or "".join(one.itertext())[-1:]
        for one in of_class(lane(charts(held)[0], "d-02"), "lost")
    ]


def test_a_notice_is_marked_where_it_was_told(held: str) -> None:
    """What a process told has a mark in its lane."""
    told = of_class(lane(charts(held)[0], "ops"), "notice")
    assert any("drives it to every device" in tip for one in told for tip in tooltips(one))


@pytest.mark.parametrize(
    ("name", "class_", "label"),
    [
        ("decided", "decided commit", "txn 2 COMMIT"),
        ("hold_at", "hold-at", "txn 2"),
        ("activate_at", "activate-at", "txn 2"),
    ],
)
def test_the_instants_of_a_transaction_are_lines(
    held: str, name: str, class_: str, label: str
) -> None:
    """The decision, hold_at and activate_at are lines over all lanes, with a label each."""
    chart = charts(held)[0]
    overlay = of_class(chart, "overlay")[0]
    assert 2 == len([one for one in overlay.iter("line") if class_ == one.get("class")])
    assert label in words(lane(chart, name))


def test_an_aborted_transaction_activates_nothing() -> None:
    """Where ABORT was decided there is no line for activate_at."""
    result = nights.played(3)
    assert result.trace is not None
    trace = Trace()
    for event in result.trace.events:
        outcome = {"outcome": "abort"} if event.detail.get("outcome") else {}
        detail = {**event.detail, **outcome}
        trace.note(event.at_s, event.kind, event.who, event.text, **detail)
    page = render_page([replace(result, trace=trace)], title="aborted")
    overlay = of_class(charts(page)[0], "overlay")[0]
    classes = [one.get("class") for one in overlay.iter("line")]
    assert ["decided abort", "decided abort"] == [
        one for one in classes if "decided" in (one or "")
    ]
    assert "activate-at" not in classes


def test_a_violation_is_a_line(violated: str) -> None:
    """The violation is a line over all lanes, and its words stand at it."""
    for chart in charts(violated):
        assert 1 == len(of_class(of_class(chart, "overlay")[0], "violation"))
        assert str(nights.MIXED) in words(lane(chart, "VIOLATION"))


def test_the_devices_of_a_violation_are_named(violated: str) -> None:
    """The lanes of the devices that a violation names have its id, the others do not."""
    notes = {
        name: words(of_class(lane(charts(violated)[1], name), "name")[0])
        for name in ("d-01", "d-02", "d-03")
    }
    assert {"d-01": "d-01 drone, I5", "d-02": "d-02 drone, I5", "d-03": "d-03 drone"} == notes


def test_what_happened_last_is_told_at_once(violated: str) -> None:
    """The last events before a violation are there without opening anything, no messages."""
    last = of_class(body_of(violated), "events")[0]
    assert words(last).endswith(f"2.402 violation I5 {nights.MIXED.text}")
    assert "decided t-2 commit" in words(last)
    assert [] == of_class(last, "k-message")


def test_the_lock_names_its_owner(held: str) -> None:
    """The lane of the lock says who holds it, that its owner is gone, and who resolves it."""
    told = words(lane(charts(held)[0], "lock"))
    for part in ("held by push-1", "GHOST: push-1 is gone", "resolving by ops, epoch 0.5"):
        assert part in told


def test_processes_have_lanes(held: str) -> None:
    """Who lived, and how it ended, is told of every process."""
    chart = charts(held)[0]
    assert "runs, then killed" in words(lane(chart, "push-1"))
    assert "runs, then ended" in words(lane(chart, "ops"))


def test_faults_and_acts_have_words(held: str) -> None:
    """What happened to the fleet stands in a lane, numbered as in the list."""
    told = words(lane(charts(held)[0], "acts"))
    for part in ("▸ 1 push-1 pushes", "◆ 2 cut d-02 from the broker", "◆ 3 kill push-1"):
        assert part in told


def test_what_is_drawn_is_explained() -> None:
    """Every kind of band that a lane can have is in the legend, and has its style."""
    style = render_page([nights.played(3)], title="style").split("<style>")[1]
    explained = {class_ for class_, _, _ in LEGEND}
    assert {"v1", "hold", "idle", "down", "prepared", "paused", "ghost", "resolving"} <= explained
    assert [] == [class_ for class_ in sorted(explained) if f".{class_} " not in style]


# --- lists ------------------------------------------------------------------------------------


def test_every_event_is_listed(held: str) -> None:
    """Each event of a trace has its row, of every kind there is."""
    result = nights.played(3)
    assert result.trace is not None
    rows = of_class(body_of(held), "events")[0].findall("tbody/tr")
    assert len(result.trace.events) == len(rows)
    kinds = {one.get("class", "").removeprefix("k-") for one in rows}
    assert {kind.value for kind in Kind} - {"violation"} == kinds


def test_the_states_are_a_table(held: str) -> None:
    """What the lanes show is there for those who can't see them."""
    (table,) = of_class(body_of(held), "states")
    rows = [[words(cell) for cell in row] for row in table.findall("tbody/tr")]
    assert ["d-02", "2.300 s", "7.400 s", "5.1 s", "holds: in doubt", "txn 2"] in rows


# --- caps -------------------------------------------------------------------------------------


def noisy(events: int) -> Result:
    """The night, with so many messages more."""
    result = nights.played(3)
    assert result.trace is not None
    for number in range(events):
        kind = f"hello {number} {'x' * 100}"
        who = ("d-01", "d-02", "d-03")[number % 3]
        result.trace.note(
            0.001 * number, Kind.MESSAGE, who, kind, kind=kind, to="serve", end="sent"
        )
    return result


def test_many_events_are_cut_the_common_first() -> None:
    """Of more events than there is room for, all that are rare stay, and the latest messages."""
    result = noisy(20_000)
    assert result.trace is not None
    kept = lists.kept_events(sorted(result.trace.events, key=lambda event: event.at_s))
    rare = [event for event in result.trace.events if event.kind not in lists.COMMON]
    assert lists.EVENTS_MAX == len(kept)
    assert len(rare) == len([event for event in kept if event.kind not in lists.COMMON])
    assert "hello 19999" == kept[-1].text[:11]


def test_many_messages_become_fewer_marks() -> None:
    """There are never more marks than the page has room for, and the page says so."""
    page = render_page([noisy(20_000)], title="noise")
    chart = charts(page)[0]
    drawn = [one for name in ("sent", "arrived", "lost") for one in of_class(chart, name)]
    assert len(drawn) <= marks.MARKS_MAX
    assert "apart are one mark" in words(body_of(page))


def test_a_page_stays_small() -> None:
    """
    However much happened in however many runs, a page stays below 5 MB, and says what is not
    shown.
    """
    page = render_page([noisy(20_000) for _ in range(RUNS_MAX)], title="much")
    assert PAGE_BYTES_MAX < 5_000_000
    assert len(page.encode()) < 5_000_000
    assert "without lanes: no room" in words(body_of(page))


def test_violated_runs_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is room for one run only, it is one that failed."""
    monkeypatch.setattr(html, "RUNS_MAX", 1)
    page = render_page([nights.played(3), nights.played(3, violated=True)], title="one of two")
    assert 1 == len(of_class(body_of(page), "run"))
    assert "VIOLATED at 2.402 s" in words(of_class(body_of(page), "run")[0])
    assert "1 more run with a trace" in words(body_of(page))


# --- the headline -------------------------------------------------------------------------------


def headline(beside: Beside) -> tuple[str, str]:
    """Return the words of a page's first verdict, and how it is coloured."""
    body = body_of(render_page(nights.many(3), title="many", beside=beside))
    (header,) = body.iter("header")
    (found,) = of_class(header, "verdict")
    return words(found), str(found.get("class"))


@pytest.mark.parametrize(
    ("beside", "begins", "colour"),
    [
        (Beside(), "HELD: every invariant held in 3 runs.", "verdict good"),
        (Beside(missing={"cores": ()}), "HELD: every", "verdict good"),
        (Beside(missing={"cores": ("hot",)}), "FAILED: every invariant held in 3", "verdict bad"),
        (Beside(interrupted=True), "INTERRUPTED: every invariant held in 3", "verdict bad"),
    ],
    ids=["held", "all seen", "goals", "interrupted"],
)
def test_the_headline_says_what_the_exit_code_says(
    beside: Beside, begins: str, colour: str
) -> None:
    """Only a command that ended with 0 is said to have held."""
    said, how = headline(beside)
    assert (begins, colour) == (said[: len(begins)], how)


def test_a_page_of_one_run_tells_of_missing_goals_too() -> None:
    """Its article says that the run held, which is not all."""
    beside = Beside(missing={"shells": ("hot", "reconnected")})
    body = body_of(render_page([nights.played(3)], title="one", beside=beside))
    (header,) = body.iter("header")
    assert "never seen, shells: hot, reconnected" in words(header)


def test_a_smaller_failure_is_shown_and_not_counted() -> None:
    """It is one of the runs already."""
    small = nights.played(3, violated=True)
    runs = [replace(small, trace=None), *nights.many(2)]
    beside = Beside(smallest=(small, "drone-sim replay small.trace"))
    told = words(body_of(render_page(runs, title="three", beside=beside)))
    assert "VIOLATED in 1 of 3 runs." in told
    assert "reproduce: drone-sim replay small.trace" in told
