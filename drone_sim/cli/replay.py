"""``drone-sim replay``: one run, line by line."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from drone_sim.cli.face import Face
from drone_sim.cli.options import NOTHING_ELSE, Conditions, Flag, Output
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where something is played
    from drone_sim.cli.documents import Replay
    from drone_sim.cli.resolve import Resolved
    from drone_sim.result import Result
    from drone_sim.trace import Event
    from orchestrator.cli.view import Screen


def register(app: App) -> None:
    """Add the command."""
    app.command(replay)


def replay(  # noqa: D417 - conditions describe themselves
    what: str,
    /,
    *,
    device: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    step: Flag = False,
    output: Output = "text",
    conditions: Conditions = NOTHING_ELSE,
) -> int:
    """
    Play one run again and show what happens, line by line.

    For example:
      drone-sim replay 17
      drone-sim replay drone-sim-seed-17-cores.trace --step
      drone-sim replay 17 --speed shells --device d-01 --device d-02

    Parameters
    ----------
    what
        A seed, a trace file, or a scenario by its file or its name.
    device
        Show only what is about this device; may be given several times.
    step
        On a terminal, wait after each line: Enter shows the next, 20 the next twenty, /text all
        up to one with this text, a shows all, q leaves. Elsewhere all are shown.
    output
        text, or json: exactly one document.
    """
    from drone_sim.cli.resolve import resolve
    from drone_sim.cli.shown import scenario_lines
    from drone_sim.explore import runs

    face = Face(machine=output == "json")
    resolved = resolve(what, conditions)
    scenario = resolved.case.scenario()
    _require_known(device, scenario.names)
    drawn = scenario_lines(scenario)
    for line in () if face.machine else drawn:
        face.say(line)
    result = runs.play(replace(resolved.case, traced=True))
    shown = [event for event in _events(result) if is_about(event, device)]
    if resolved.recording is not None:
        _compare(face, resolved, result)

    def text(screen: Screen) -> None:
        from drone_sim.cli.stepping import show_lines

        show_lines(screen, shown, asking=step and face.asking)
        _show_verdict(screen, result, resolved)

    face.show(lambda: _document(resolved, result, shown, drawn), text)
    return int(Exit.DONE if result.held else Exit.UNEXPECTED)


def _require_known(devices: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in devices if name not in known]
    if unknown:
        raise OperatingError(
            f"there is no device {', '.join(unknown)}; there are {', '.join(known)}",
            exit_code=Exit.USAGE,
        )


def _events(result: Result) -> Sequence[Event]:
    return () if result.trace is None else result.trace.events


def is_about(event: Event, devices: Collection[str]) -> bool:
    """Whether an event is about one of these devices; no devices means all of them."""
    from drone_sim.trace import Kind

    if not devices or event.kind in {Kind.PHASE, Kind.VIOLATION}:
        return True
    named = (event.who, *(str(event.detail.get(key, "")) for key in ("to", "from", "target")))
    return any(name in devices for text in named for name in text.replace(",", " ").split())


def _compare(face: Face, resolved: Resolved, result: Result) -> None:
    """Say where a run goes another way than the file says: the code has changed, or Python."""
    recording, trace = resolved.recording, result.trace
    if recording is None or trace is None or recording.is_like(trace) is not False:
        return
    now = list(trace.lines())
    pairs = zip([*recording.lines, ""], [*now, ""], strict=False)
    number = next((n for n, (was, is_now) in enumerate(pairs, 1) if was != is_now), 0)
    face.say(f"note: this is not what the file has: from event {number} on it goes another way")


def _show_verdict(screen: Screen, result: Result, resolved: Resolved) -> None:
    if result.held:
        screen.line("✔ every invariant held", "bold green")
        return
    at = "" if result.violated_at_s is None else f" at {result.violated_at_s:.3f} s"
    screen.line(f"VIOLATION{at}", "bold red")
    for violation in result.violations:
        screen.line(f"  {violation}")
    screen.line(f"reproduce: {resolved.again}")


def _document(
    resolved: Resolved, result: Result, shown: Sequence[Event], drawn: list[str]
) -> Replay:
    from drone_sim.cli.documents import Replay
    from drone_sim.cli.shown import violation_fields
    from drone_sim.explore.runs import crash_words
    from drone_sim.trace import Trace

    case, trace = resolved.case, result.trace or Trace()
    recording = resolved.recording
    return Replay.model_validate(
        {
            "type": "replay",
            "scenario": result.scenario.name,
            "seed": case.seed,
            "speed": case.speed.value,
            "crash": crash_words(case.crashes) or None,
            "mutant": case.mutant,
            "drawn": drawn,
            "held": result.held,
            "violations": violation_fields(result.violations),
            "violated_at_s": result.violated_at_s,
            "hash": trace.digest(),
            "as_before": None if recording is None else recording.is_like(trace),
            "reproduce": None if result.held else resolved.again,
            "events": [json.loads(event.line()) for event in shown],
        }
    )
