"""``python -m drone_sim`` is ``drone-sim``."""

from __future__ import annotations

import sys

from drone_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
