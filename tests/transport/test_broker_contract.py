"""Where the simulated broker does as a real Mosquitto does: on this the simulation rests."""

from __future__ import annotations

import pytest

from orchestrator.transport.codec import Outgoing
from tests.transport.brokers import Bare, Broker, Heard

TOPIC = "aim/v1/hazard-12/from/d-01/presence"
HERE: Heard = (TOPIC, b"here")
GONE: Heard = (TOPIC, b"gone")
MARK: Heard = ("aim/v1/hazard-12/mark", b"mark")
WILL = Outgoing(topic=TOPIC, payload=b"gone", qos=1, retain=True)


async def heard_by(broker: Broker, client_id: str, *patterns: str) -> Bare:
    """Return a client that subscribes to ``patterns`` and, last of all, to a mark."""
    client = await broker.client(client_id)
    await client.subscribe(*patterns, MARK[0])
    return client


async def all_heard(listener: Bare, sender: Bare) -> list[Heard]:
    """Return what a listener was sent before a mark that is sent now."""
    await sender.publish(*MARK)
    await listener.until_heard(MARK)
    return listener.heard[: listener.heard.index(MARK)]


async def test_what_is_retained_comes_at_each_subscribe(broker: Broker) -> None:
    """A retained message is sent to who subscribes later, by name or wildcard, and each time."""
    sender = await broker.client("sender")
    await sender.publish(*HERE, retain=True)
    listener = await heard_by(broker, "listener", "aim/v1/hazard-12/from/+/+")
    await listener.subscribe(TOPIC)
    assert [HERE, HERE] == await all_heard(listener, sender)


async def test_only_the_last_is_retained(broker: Broker) -> None:
    """A retained message takes the place of the one before it."""
    sender = await broker.client("sender")
    await sender.publish(*HERE, retain=True)
    await sender.publish(*GONE, retain=True)
    listener = await heard_by(broker, "listener", TOPIC)
    assert [GONE] == await all_heard(listener, sender)


async def test_an_empty_message_clears(broker: Broker) -> None:
    """An empty retained message is delivered to who listens and leaves nothing retained."""
    sender = await broker.client("sender")
    early = await heard_by(broker, "early", TOPIC)
    await sender.publish(*HERE, retain=True)
    await sender.publish(TOPIC, b"", retain=True)
    late = await heard_by(broker, "late", TOPIC)
    assert [HERE, (TOPIC, b"")] == await all_heard(early, sender)
    assert [] == await all_heard(late, sender)


async def test_nothing_is_retained_unasked(broker: Broker) -> None:
    """What was published before a subscription, and not retained, never comes."""
    sender = await broker.client("sender")
    await sender.publish(*HERE)
    listener = await heard_by(broker, "listener", TOPIC)
    assert [] == await all_heard(listener, sender)


async def test_who_vanishes_has_its_last_will_published(broker: Broker) -> None:
    """The will of a client whose connection closes without a word comes at once, and stays."""
    listener = await heard_by(broker, "listener", TOPIC)
    device = await broker.client("d-01", will=WILL)
    await device.publish(*HERE, retain=True)
    await device.vanish()
    await listener.until_heard(GONE)
    late = await heard_by(broker, "late", TOPIC)
    assert [GONE] == await all_heard(late, listener)


async def test_who_is_silent_has_its_last_will_published(broker: Broker) -> None:
    """A client that says nothing for one and a half keep-alives is given up, with its will."""
    listener = await heard_by(broker, "listener", TOPIC)
    device = await broker.client("d-01", will=WILL, keepalive_s=1)
    await listener.until_heard(GONE)
    await device.until_lost()


async def test_who_says_goodbye_has_no_last_will(broker: Broker) -> None:
    """A DISCONNECT takes the will back."""
    listener = await heard_by(broker, "listener", TOPIC)
    device = await broker.client("d-01", will=WILL)
    await device.goodbye()
    again = await broker.client("d-01")
    assert [] == await all_heard(listener, again)


async def test_a_client_id_is_taken_over(broker: Broker) -> None:
    """A second client of one id ends the first, whose will is published, and works itself."""
    listener = await heard_by(broker, "listener", TOPIC)
    first = await broker.client("d-01", will=WILL)
    second = await broker.client("d-01")
    await first.until_lost()
    await second.publish(*HERE)
    assert [GONE, HERE] == await all_heard(listener, second)


async def test_a_clean_session_loses_what_was_sent_meanwhile(broker: Broker) -> None:
    """Who comes back has no subscription and gets nothing of the time when it was away."""
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    await listener.vanish()
    await sender.publish(*HERE)
    listener = await broker.client("listener")
    await listener.subscribe(MARK[0])
    await sender.publish(*GONE)
    assert [] == await all_heard(listener, sender)


@pytest.mark.parametrize("retain", [False, True])
async def test_kill_9_loses_what_was_acknowledged(*, broker: Broker, retain: bool) -> None:
    """A killed broker comes back without sessions, without what it retained, without wills."""
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    device = await broker.client("d-01", will=WILL)
    await sender.publish(*HERE, retain=retain)
    await broker.kill()
    for client in (sender, listener, device):
        await client.until_lost()
    await broker.start()
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    assert [] == await all_heard(listener, sender)


async def test_what_is_kept_survives_an_orderly_restart(broker: Broker) -> None:
    """With persistence what is retained is there again after a restart in order; no session is."""
    await broker.keep()
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", "elsewhere")
    await sender.publish(*HERE, retain=True)
    await broker.stop()
    for client in (sender, listener):
        await client.until_lost()
    await broker.start()
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    assert [HERE] == await all_heard(listener, sender)


async def test_an_orderly_stop_is_the_last_will_of_all(broker: Broker) -> None:
    """Stopped in order, the broker lets those who were connected be found gone afterwards."""
    await broker.keep()
    device = await broker.client("d-01", will=WILL)
    await device.publish(*HERE, retain=True)
    await broker.stop()
    await device.until_lost()
    await broker.start()
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    assert [GONE] == await all_heard(listener, sender)


async def test_nobody_listens_while_it_is_dead(broker: Broker) -> None:
    """Connecting to a dead broker is refused at once."""
    first = await broker.client("first")
    await broker.kill()
    await first.until_lost()
    with pytest.raises(ConnectionRefusedError):
        await broker.client("second")


async def test_one_connection_keeps_its_order(broker: Broker) -> None:
    """Without faults what one client publishes at QoS 1 comes complete and in its order."""
    sender = await broker.client("sender")
    listener = await heard_by(broker, "listener", TOPIC)
    sent = [(TOPIC, b"%d" % number) for number in range(100)]
    for message in sent:
        await sender.publish(*message)
    assert sent == await all_heard(listener, sender)


async def test_a_publisher_hears_itself(broker: Broker) -> None:
    """Who subscribes to what it publishes is sent it too."""
    client = await heard_by(broker, "client", TOPIC)
    await client.publish(*HERE)
    assert [HERE] == await all_heard(client, client)


async def test_an_unsubscribed_topic_comes_no_more(broker: Broker) -> None:
    """After UNSUBACK nothing of that filter is delivered; another filter goes on."""
    client = await heard_by(broker, "client", TOPIC, "aim/v1/hazard-12/from/+/vote")
    await client.unsubscribe(TOPIC)
    await client.publish(*HERE)
    vote = ("aim/v1/hazard-12/from/d-01/vote", b"yes")
    await client.publish(*vote)
    assert [vote] == await all_heard(client, client)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (TOPIC, True),
        ("aim/v1/+/from/d-01/presence", True),
        ("aim/v1/hazard-12/#", True),
        ("aim/v1/hazard-12/from/+", False),
        ("aim/v1/hazard-12/from/d-02/presence", False),
    ],
)
async def test_wildcards_match_levels(*, broker: Broker, pattern: str, expected: bool) -> None:
    """``+`` stands for one level, ``#`` for all that follow."""
    sender = await broker.client("sender")
    listener = await broker.client("listener")
    await listener.subscribe(pattern)
    await sender.publish(*HERE)
    await listener.subscribe(MARK[0])
    await sender.publish(*MARK)
    await listener.until_heard(MARK)
    assert expected == (HERE in listener.heard)
