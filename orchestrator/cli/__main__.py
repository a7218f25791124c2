"""``python -m orchestrator.cli`` is ``aimctl``."""

from __future__ import annotations

import sys

from orchestrator.cli.main import main

sys.exit(main())
