"""Addresses, and a port that is taken."""

from __future__ import annotations

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.web.listener import Address, bound, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback", "url"),
    [
        ("127.0.0.1:8470", "127.0.0.1", 8470, True, "http://127.0.0.1:8470"),
        ("localhost:0", "localhost", 0, True, "http://localhost:0"),
        ("[::1]:9000", "::1", 9000, True, "http://[::1]:9000"),
        ("0.0.0.0:80", "0.0.0.0", 80, False, "http://0.0.0.0:80"),
        ("[::]:80", "::", 80, False, "http://[::]:80"),
        ("aim-control:80", "aim-control", 80, False, "http://aim-control:80"),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, *, loopback: bool, url: str) -> None:
    """Host and port, whether only this machine reaches it, and its URL."""
    address = parse_address(text)
    assert (Address(host=host, port=port), loopback, url) == (
        address,
        address.loopback,
        address.url,
    )


@pytest.mark.parametrize(
    "text", ["8470", ":8470", "127.0.0.1", "a:b", "::1:80", "h:65536", "h:-1"]
)
def test_what_is_no_address_is_wrong_use(text: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(OperatingError, match=r"must be HOST:PORT") as caught:
        parse_address(text)
    assert Exit.USAGE == caught.value.exit_code


def test_a_port_that_is_taken_is_wrong_use() -> None:
    """It names the port, and how to get a free one."""
    with (
        bound(Address(host="127.0.0.1", port=0)) as (_, taken),
        pytest.raises(OperatingError, match="is in use") as caught,
        bound(taken),
    ):
        pass
    assert Exit.USAGE == caught.value.exit_code
    assert "--listen 127.0.0.1:0" in str(caught.value.next_command)
