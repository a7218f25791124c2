"""The receiving half that the transports share: bounds, and notices at a bounded rate."""

from __future__ import annotations

import pytest

from orchestrator.ports import Received, Reconnected
from orchestrator.transport.codec import encode
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET
from orchestrator.transport.reception import Reception
from orchestrator.transport.topics import Device, Orchestrator
from tests.transport.peers import FakeClock, Remembered

VOTE = encode(FLEET, EXAMPLES["vote"])


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still."""
    return FakeClock()


@pytest.fixture
def audience() -> Remembered:
    """Who is told."""
    return Remembered()


def reception(clock: FakeClock, audience: Remembered, **bounds: int) -> Reception:
    """An orchestrator's reception."""
    return Reception(fleet=FLEET, role=Orchestrator(), clock=clock, audience=audience, **bounds)


async def everything(of: Reception) -> list[Received | Reconnected]:
    """Close it and read it to its end."""
    of.close()
    return [item async for item in of.receive()]


async def test_a_message_is_stamped_when_it_arrives(
    clock: FakeClock, audience: Remembered
) -> None:
    """The stamp is the clock at arrival, not at reading: t2 of the clock exchange needs that."""
    inbox = reception(clock, audience)
    inbox.arrived(VOTE.topic, VOTE.payload)
    clock.at += 60.0
    assert [Received(message=EXAMPLES["vote"], at=1000.0)] == await everything(inbox)


async def test_refusals_are_told_once_a_second_with_a_count(
    clock: FakeClock, audience: Remembered
) -> None:
    """The first is told at once, the rest of a second together with the first of the next."""
    inbox = reception(clock, audience)
    for _ in range(4):
        inbox.arrived(VOTE.topic, b"x")
    clock.at += 1.0
    inbox.arrived(VOTE.topic, b"x")
    counts = [detail["count"] for detail in audience.details("message-refused")]
    assert [1, 4] == counts


async def test_kinds_are_counted_apart(clock: FakeClock, audience: Remembered) -> None:
    """A flood on one kind of topic does not hide another's refusal."""
    inbox = reception(clock, audience)
    inbox.arrived(VOTE.topic, b"x")
    inbox.arrived(VOTE.topic.replace("vote", "hello"), b"x")
    kinds = [detail["kind"] for detail in audience.details("message-refused")]
    assert ["vote", "hello"] == kinds


async def test_what_was_not_told_yet_is_told_at_the_end(
    clock: FakeClock, audience: Remembered
) -> None:
    """Closing tells the counts that were held back: nothing is lost."""
    inbox = reception(clock, audience)
    for _ in range(3):
        inbox.arrived(VOTE.topic, b"x")
    assert [] == await everything(inbox)
    assert [1, 2] == [detail["count"] for detail in audience.details("message-refused")]


async def test_a_full_inbox_drops_the_newest_and_says_so(
    clock: FakeClock, audience: Remembered
) -> None:
    """Beyond the bound a message is dropped, with a notice."""
    inbox = reception(clock, audience, messages_max=2)
    for _ in range(3):
        inbox.arrived(VOTE.topic, VOTE.payload)
    assert 2 == len(await everything(inbox))
    assert ["message-dropped"] == audience.events()


async def test_the_inbox_is_bounded_in_bytes(clock: FakeClock, audience: Remembered) -> None:
    """The bound in bytes holds too, and is given back by reading."""
    inbox = reception(clock, audience, bytes_max=len(VOTE.payload))
    items = inbox.receive()
    for _ in range(3):
        inbox.arrived(VOTE.topic, VOTE.payload)
        assert Received(message=EXAMPLES["vote"], at=1000.0) == await anext(items)
    assert [] == audience.notices


async def test_reconnected_is_never_dropped(clock: FakeClock, audience: Remembered) -> None:
    """A full inbox still takes the news of a new session."""
    inbox = reception(clock, audience, messages_max=0)
    inbox.arrived(VOTE.topic, VOTE.payload)
    inbox.reconnected()
    assert [Reconnected()] == await everything(inbox)


async def test_what_goes_astray_is_no_warning(clock: FakeClock, audience: Remembered) -> None:
    """A broker's misdelivery is told at the lowest level."""
    inbox = Reception(fleet=FLEET, role=Device(id=DEVICE), clock=clock, audience=audience)
    inbox.arrived(VOTE.topic, VOTE.payload)
    assert ["debug"] == [notice.level for notice in audience.notices]
