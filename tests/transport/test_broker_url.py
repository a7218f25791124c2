"""The address of a broker, as people write it."""

from __future__ import annotations

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.transport.broker_url import BrokerUrl, parse_broker_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://h", BrokerUrl(host="h", port=1883, tls=False)),
        ("mqtts://h", BrokerUrl(host="h", port=8883, tls=True)),
        ("mqtt://h:7/", BrokerUrl(host="h", port=7, tls=False)),
        ("mqtt://[::1]:7", BrokerUrl(host="::1", port=7, tls=False)),
        ("mqtt://u@h", BrokerUrl(host="h", port=1883, tls=False, user="u")),
        (
            "mqtts://u%40x:p%3A%2F@h",
            BrokerUrl(host="h", port=8883, tls=True, user="u@x", password="p:/"),
        ),
    ],
)
def test_url_is_read(url: str, expected: BrokerUrl) -> None:
    """Scheme, user, password, host and port are taken as written, with MQTT's default ports."""
    assert expected == parse_broker_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "scheme is 'missing'"),
        ("h:1883", "scheme is 'h'"),
        ("http://h", "scheme is 'http'"),
        ("mqtt://", "names no host"),
        ("mqtt://:1883", "names no host"),
        ("mqtt://h:0", "port 0"),
        ("mqtt://h:99999", "it is no URL"),
        ("mqtt://h:x", "it is no URL"),
        ("mqtt://[::1", "it is no URL"),
        ("mqtt://h/topic", "nothing may follow"),
        ("mqtt://h?x=1", "nothing may follow"),
    ],
)
def test_what_is_no_broker_url_is_wrong_use(url: str, why: str) -> None:
    """The error says what is wrong and what would be right, with the exit code of wrong use."""
    with pytest.raises(OperatingError, match=why) as caught:
        parse_broker_url(url)
    assert (Exit.USAGE, True) == (caught.value.exit_code, bool(caught.value.next_command))


def test_the_password_is_never_shown() -> None:
    """Neither the text for people nor the representation holds user name's password."""
    url = parse_broker_url("mqtts://u:secret@h:1")
    assert "mqtts://h:1" == url.shown
    assert "secret" not in repr(url)


def test_an_ipv6_host_is_shown_in_brackets() -> None:
    """What is shown can be typed again."""
    assert "mqtt://[::1]:1883" == parse_broker_url("mqtt://[::1]").shown
