"""
Where notices go: structured logs on stderr.

On a terminal for people, elsewhere as one JSON object a line. Logged per transaction and per
incident, never per vote: a log line costs more than a vote.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from orchestrator.protocol.ready import Level, Notice

_LEVELS = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}


def configure(level: str, *, stream: TextIO | None = None, color: bool | None = None) -> None:
    """Send logs of ``level`` and above to ``stream`` (stderr), once for the process."""
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    colors = terminal if color is None else color and terminal
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=colors)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[Level(level)]),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


class LogAudience:
    """Tells notices to the log, bound to what they are about (a fleet, a device)."""

    def __init__(self, **about: str) -> None:
        self._log = structlog.get_logger().bind(**about)

    def tell(self, notice: Notice) -> None:
        """Log one notice."""
        self._log.log(_LEVELS[notice.level], notice.event, **dict(notice.detail))


class NoAudience:
    """Tells nobody."""

    def tell(self, notice: Notice) -> None:
        """Forget the notice."""
