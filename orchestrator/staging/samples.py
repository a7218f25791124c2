"""Where the sample files are: in a checkout, or inside the installed package."""

from __future__ import annotations

import pathlib

from orchestrator.staging.notes import refuse

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def samples_directory(package: pathlib.Path = _PACKAGE) -> pathlib.Path:
    """
    Return the directory of ``aim_lock_config.conf`` and ``fleets/``.

    An installed wheel carries it as ``orchestrator/_samples``; in a checkout it is ``configs/``
    beside the package. Raises InvalidInput where the installation has neither.
    """
    for candidate in (package / "_samples", package.parent / "configs"):
        if (candidate / "aim_lock_config.conf").is_file():
            return candidate
    raise refuse(
        str(package / "_samples"),
        "the sample configurations are not installed",
        fix="install the package again",
    )
