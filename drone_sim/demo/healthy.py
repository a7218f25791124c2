"""The plain story: a fleet, and a push from version 1 to version 2."""

from __future__ import annotations

from typing import Any

from drone_sim.demo.scene import Run, Scene
from drone_sim.demo.steps import document_of, ends, fleet_at_version_1, push
from drone_sim.demo.teller import Style, duration
from drone_sim.demo.workspace import NEW
from orchestrator.errors import Exit


async def push_story(scene: Scene) -> Run:
    """Push version 2 to a fleet that runs version 1."""
    async with fleet_at_version_1(scene) as observer:
        pushed = document_of(await push(scene, NEW, Exit.DONE))
        skew_ms = pushed.get("activation_skew_ms")
        _tell(scene, pushed)
        devices = await ends(scene, observer, NEW)
        voted = [part.get("vote") for part in pushed["devices"].values()]
        scene.check(
            f"{len(voted)} of {len(voted)} voted yes before anything was decided",
            kept=pushed["decision"] == "commit" and set(voted) == {"yes"},
        )
        return scene.ended(devices, skew_ms)


def _tell(scene: Scene, pushed: dict[str, Any]) -> None:
    timing: dict[str, float] = pushed["timing_ms"]
    parts = ", ".join(f"{name} {duration(ms)}" for name, ms in timing.items() if name != "total")
    scene.teller.result(
        f"COMMIT: every drone runs version {pushed['version']}, {duration(timing['total'])}"
        f" after the push began",
        Style.GOOD,
    )
    scene.teller.result(f"({parts})", Style.DIM)
    skew = pushed.get("activation_skew_ms")
    if skew is not None:
        scene.teller.result(
            f"activation skew {skew:.1f} ms from the first drone to the last; each held its aim"
            " around that instant, so that no two aim by different versions"
        )
