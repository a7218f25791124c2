"""``drone-sim check``: may this configuration be rolled out to this fleet? For CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App

from drone_sim.cli.options import NO_REPORTS, ORDINARY, Effort, Reports, seeds_of
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where something is judged
    from drone_sim.cli.documents import Check
    from drone_sim.cli.ending import Ending
    from drone_sim.cli.judging import Judged
    from drone_sim.report.junit import TestCase
    from orchestrator.cli.view import Screen

SUITE: Final = "check"


def register(app: App) -> None:
    """Add the command."""
    app.command(check)


def check(  # noqa: D417 - effort and reports describe themselves
    config: Path,
    /,
    *,
    fleet: str,
    seeds: str = "100",
    effort: Effort = ORDINARY,
    reports: Reports = NO_REPORTS,
) -> int:
    """
    Say whether a configuration may be rolled out: the files, the devices' votes, the faults.

    For example:
      drone-sim check aim_lock_config.conf --fleet hazard-12 --seeds 100

    The linter reads both files; every device judges what it would get, as it does before it
    votes; then the whole system is played with this very fleet and configuration, and in every
    run other things go wrong. Exits with 1 and the reason when it may not.

    Parameters
    ----------
    config
        The configuration file.
    fleet
        A fleet file, or the name of a fleet whose file is configs/fleets/NAME.toml,
        fleets/NAME.toml or NAME.toml.
    seeds
        How many runs; or which seeds: A..B, both included.
    """
    from drone_sim.cli.asked import require_file
    from drone_sim.cli.judging import judge

    require_file(config)
    place, chosen = _fleet_file(fleet), _seeds(seeds)
    reports.require_writable()
    judged = judge(config, place)
    ending = _played(judged, chosen, effort, reports) if judged.fits else None
    verdict = _verdict(judged, ending, str(config))
    if ending is None:
        _report_refusal(judged, verdict, reports)

    def text(screen: Screen) -> None:
        _show(screen, judged, ending, verdict)

    reports.face.show(
        lambda: _document(judged, ending, verdict, (str(config), str(place)), chosen), text
    )
    return int(Exit.UNEXPECTED if ending is None else ending.code)


def _fleet_file(text: str) -> Path:
    from orchestrator.cli.files import FLEET_PLACES, fleet_path

    path = fleet_path(text, Path())
    if path is None or not path.is_file():
        tried = ", ".join([text, *(place.format(text) for place in FLEET_PLACES)])
        raise OperatingError(
            f"there is no file of fleet {text!r}; tried {tried}", exit_code=Exit.USAGE
        )
    return path


def _seeds(text: str) -> range:
    """Read a number of seeds, which begin with 1, or the seeds themselves."""
    if not text.isdecimal():
        return seeds_of(text)
    return seeds_of(f"1..{text}")


# --- playing ----------------------------------------------------------------------------------


def _played(judged: Judged, seeds: range, effort: Effort, reports: Reports) -> Ending | None:
    """Play every seed on this fleet."""
    from drone_sim.cli.asked import of_files
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.ending import end
    from drone_sim.cli.explore import play_seeds
    from drone_sim.result import Speed

    if judged.config is None or judged.fleet is None:
        return None
    asked = of_files(judged.config, judged.fleet)
    campaign = Campaign(
        title=f"check {judged.config.name} on {judged.fleet.file.fleet}",
        jobs=effort.processes(),
        keeps_cases=reports.junit is not None,
        keeps_pages=reports.html is not None,
    )
    campaign.cases += _cases(judged)
    play_seeds(campaign, asked, seeds, (Speed.SHELLS,), effort, face=reports.face)
    return end(campaign, face=reports.face, reports=reports, effort=effort)


def _cases(judged: Judged) -> list[TestCase]:
    """Return lint and votes as JUnit has them."""
    from drone_sim.report.junit import TestCase

    errors = "\n".join(str(note) for note in judged.errors)
    first = str(judged.errors[0]) if judged.errors else ""
    lint = TestCase(
        suite=SUITE,
        name="files",
        took_s=0.0,
        kind="lint" if errors else "",
        failure=first,
        text=errors,
    )
    votes = [
        TestCase(
            suite=SUITE,
            name=f"vote of {device}",
            took_s=0.0,
            kind="vote" if reasons else "",
            failure=reasons[0] if reasons else "",
            text="\n".join(reasons),
        )
        for device, reasons in judged.votes.items()
    ]
    return [lint, *votes]


# --- showing ----------------------------------------------------------------------------------


def _verdict(judged: Judged, ending: Ending | None, config: str) -> str:
    from drone_sim.cli.judging import refusal
    from drone_sim.cli.words import count, time_words

    fleet = "the fleet" if judged.fleet is None else judged.fleet.file.fleet
    if ending is None:
        return f"{config} must not be rolled out to {fleet}: {refusal(judged)}"
    campaign = ending.campaign
    if campaign.failures:
        first = campaign.failures[0]
        return f"{config} must not be rolled out to {fleet}: {first.name}: {first.text}"
    if campaign.interrupted:
        return f"interrupted after {count(campaign.done, 'run')}: no verdict on {config}"
    tally = next(iter(campaign.tallies.values()))
    votes = f"all {count(len(judged.votes), 'device')} vote yes"
    played = f"{count(tally.runs, 'run')} with {count(tally.faults, 'fault')}"
    pushed = f"{tally.committed:,} pushes reached every device, {tally.aborted:,} none"
    worst_s = max((row.worst_s for row in tally.rows()), default=0.0)
    held = f"the longest hold was {time_words(worst_s)}, within its budget"
    return f"{config} may be rolled out to {fleet}: {votes}; in {played} {pushed}; {held}"


def _show(screen: Screen, judged: Judged, ending: Ending | None, verdict: str) -> None:
    from drone_sim.cli.judging import note_lines, vote_lines
    from drone_sim.cli.shown import show_ending

    for line, style in (*note_lines(judged), *vote_lines(judged)):
        screen.line(line, style)
    good = ending is not None and ending.code is Exit.DONE
    line = f"{'✔' if good else '✘'} {verdict}"
    style = "bold green" if good else "bold red"
    if ending is None:
        screen.line(line, style)
        return
    show_ending(screen, ending, verdict=(line, style))


def _report_refusal(judged: Judged, verdict: str, reports: Reports) -> None:
    """Write what there is to write where nothing was played."""
    from drone_sim.cli.ending import tell_github
    from drone_sim.report.files import write_whole
    from drone_sim.report.github import Trouble
    from drone_sim.report.junit import junit

    if reports.junit is not None:
        write_whole(reports.junit, junit(_cases(judged), title="drone-sim check"))
    for what, path in (("page", reports.html), ("trace", reports.trace)):
        if path is not None:
            reports.face.say(f"note: no {what} was written, since nothing was played")
    troubles = [
        Trouble(title=note.component, text=str(note), file=note.file, line=note.line)
        for note in judged.errors
    ]
    troubles += [
        Trouble(title=f"{device} would vote no", text="\n".join(judged.votes[device]))
        for device in judged.refusing
        if not judged.errors
    ]
    tell_github(reports.face, troubles, lambda: f"### ❌ {verdict}")


def _document(
    judged: Judged,
    ending: Ending | None,
    verdict: str,
    names: tuple[str, str],
    seeds: range,
) -> Check:
    from drone_sim.cli.documents import Check
    from drone_sim.cli.shown import played_fields

    config, fleet = names
    return Check.model_validate(
        {
            "type": "check",
            "ok": ending is not None and ending.code is Exit.DONE,
            "verdict": verdict,
            "config": config,
            "fleet": fleet,
            "notes": [note.as_json() for note in judged.notes],
            "votes": {
                device: {"vote": "no" if reasons else "yes", "reasons": list(reasons)}
                for device, reasons in judged.votes.items()
            },
            "seeds": [seeds[0], seeds[-1]],
            "played": None if ending is None else played_fields(ending),
        }
    )
