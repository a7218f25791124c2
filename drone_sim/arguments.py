"""What the programs that are run as modules (``python -m drone_sim.mutants``) have in common."""

from __future__ import annotations

import argparse
import sys


def count(text: str, most: int) -> int:
    """
    Read a number from 1 to ``most``.

    Raises argparse.ArgumentTypeError, which argparse turns into wrong use.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        msg = f"{text!r} is no number from 1 to {most}"
        raise argparse.ArgumentTypeError(msg)
    return number


def tell(line: str) -> None:
    """Tell a person something beside the result, on stderr, at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
