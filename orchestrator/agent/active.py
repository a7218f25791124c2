"""The active configuration file of a device: always entirely the old or entirely the new bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from orchestrator.agent.disk import READABLE, Disk, write_atomically
from orchestrator.protocol.types import CONFIG_BYTES_MAX

ACTIVE_BYTES_MAX: Final = 16 * CONFIG_BYTES_MAX
"""A file that a person put there may be larger than a configuration."""


class ActiveFile:
    """The file at ``path``, whose directory must exist. Its calls block: offload them."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self.path = path
        self._sure = True
        """Whether no write has failed since the last that did not."""

    def write(self, data: bytes) -> None:
        """
        Make it hold ``data``, durably; nothing is written where it does already (D3).

        What a failed sync has left is written anew in any case: the next sync would not try it.
        """
        sure, self._sure = self._sure, False
        if sure and self._holds(data):
            self._disk.sync_directory(self.path.parent)  # a crash may have come before it
        else:
            write_atomically(
                self._disk, self.path, data, temporary=temporary_of(self.path), mode=READABLE
            )
        self._sure = True

    def _holds(self, data: bytes) -> bool:
        return self._disk.read(self.path, ACTIVE_BYTES_MAX) == data


def temporary_of(active: Path) -> str:
    """
    Return the name that the new active file has before it is whole.

    Hidden and a hash, so that no pattern that finds the configuration finds it too.
    """
    return f".activating-{hashlib.sha256(active.name.encode()).hexdigest()[:12]}"
