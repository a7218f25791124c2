"""
Canonical bytes: one value has one encoding, so one digest.

The encoding is JSON by RFC 8785 (JCS), exactly: no newline at the end. ``sha256sum`` of the file
on a device gives its digest.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from orchestrator.protocol.types import Digest


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 encoding of a JSON value; integers must be below 2**53."""
    return rfc8785.dumps(value)


def digest_of(data: bytes) -> Digest:
    """Return ``sha256:`` and the hexadecimal digits of SHA-256 over ``data``."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
