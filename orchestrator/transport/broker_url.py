"""The address of a broker, as people write it, and the files of a TLS connection to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from orchestrator.errors import Exit, OperatingError

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    """Where the broker is and who we are to it. Its text never shows the password."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The URL without user and password: fit for messages."""
        scheme = "mqtts" if self.tls else "mqtt"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """
    PEM files of a TLS connection.

    ``ca`` replaces the system's certificates; ``certificate`` and ``key`` are this client's own,
    where the broker asks for one.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a verifying client context. Raises OSError (ssl.SSLError) for bad files."""
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def parse_broker_url(url: str) -> BrokerUrl:
    """
    Read ``mqtt://`` or ``mqtts://[user[:password]@]host[:port]``.

    User and password are percent-decoded. Raises OperatingError (wrong use) that says what is
    wrong, without repeating what may be a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(f"it is no URL ({error})") from None
    if parts.scheme not in _PORTS:
        raise _wrong(f"its scheme is {parts.scheme or 'missing'!r}")
    if not parts.hostname or port == 0:
        raise _wrong("it names no host" if not parts.hostname else "port 0 is none")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise _wrong("nothing may follow the port")
    return BrokerUrl(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        user=_decoded(parts.username),
        password=_decoded(parts.password),
    )


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _wrong(why: str) -> OperatingError:
    return OperatingError(
        f"the broker's address can't be used: {why}",
        exit_code=Exit.USAGE,
        next_command="--broker mqtt://HOST:1883 or mqtts://USER:PASSWORD@HOST:8883",
    )
