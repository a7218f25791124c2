"""Before anything is played: what the linter says of the files, and how each device would vote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.agent import fits_hardware, fits_name
from orchestrator.agent.device import judged
from orchestrator.cli.text import some
from orchestrator.protocol.device import Check
from orchestrator.protocol.types import DeviceId, TxnId
from orchestrator.staging.bundle import Bundle, make_bundle
from orchestrator.staging.lint import lint_pair, lint_texts
from orchestrator.staging.load import LoadedFleet, load_config, load_fleet, read
from orchestrator.staging.notes import InvalidInput, Note, Severity, capped
from orchestrator.staging.overlay import ConfigSource

NOTE_STYLES: Final = {"error": "bold red", "warning": "yellow", "info": "dim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    What is known without playing: the notes of the linter, and each device's reasons against it.

    ``config`` and ``fleet`` are there where the files could be read; ``votes`` are empty where
    nothing could be put together to vote on.
    """

    config: ConfigSource | None
    fleet: LoadedFleet | None
    notes: tuple[Note, ...] = ()
    votes: Mapping[DeviceId, tuple[str, ...]] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Note, ...]:
        """The notes that refuse the files."""
        return tuple(note for note in self.notes if note.severity is Severity.ERROR)

    @property
    def refusing(self) -> tuple[DeviceId, ...]:
        """The devices that would vote no."""
        return tuple(device for device, reasons in self.votes.items() if reasons)

    @property
    def fits(self) -> bool:
        """Whether it may be pushed at all."""
        return bool(self.votes) and not self.errors and not self.refusing


def judge(config: Path, fleet: Path) -> Judged:
    """Read both files and judge them; whatever is wrong with them is in the notes."""
    notes: list[Note] = []
    source, loaded = _config(config, notes), _fleet(fleet, notes)
    if source is None or loaded is None:
        return Judged(config=source, fleet=loaded, notes=capped(notes))
    notes += lint_texts([read(fleet)])
    notes += lint_pair(source, loaded)
    try:
        bundle = make_bundle(source, loaded, check_hardware=False)
    except InvalidInput as error:
        found = capped([*notes, *error.notes])
        return Judged(config=source, fleet=loaded, notes=found)
    votes = dict(_votes(loaded, bundle))
    return Judged(config=source, fleet=loaded, notes=capped(notes), votes=votes)


def _config(path: Path, notes: list[Note]) -> ConfigSource | None:
    try:
        return load_config(read(path))
    except InvalidInput as error:
        notes += error.notes
        return None


def _fleet(path: Path, notes: list[Note]) -> LoadedFleet | None:
    try:
        return load_fleet(read(path))
    except InvalidInput as error:
        notes += error.notes
        return None


def _votes(fleet: LoadedFleet, bundle: Bundle) -> Iterator[tuple[DeviceId, tuple[str, ...]]]:
    """Ask every device as its agent would (row D1): its name, its kind, its hardware."""
    for device in fleet.file.device:
        name = DeviceId(device.id)
        digest = bundle.digests[name]
        check = Check(
            txn=TxnId("check"),
            digest=digest,
            config=fleet.file.config,
            data=bundle.configs[digest],
        )
        judges = (
            fits_name(fleet.file.config),
            fits_hardware(kind=device.kind, gimbal=fleet.file.profile_of(device)),
        )
        yield name, judged(judges, check)


def note_lines(judged: Judged) -> Iterator[tuple[str, str]]:
    """Yield the notes as ``aimctl lint`` tells them, each with its style."""
    for note in judged.notes:
        yield str(note), NOTE_STYLES[note.severity]
        if note.fix:
            yield f"    fix: {note.fix}", ""


def vote_lines(judged: Judged) -> Iterator[tuple[str, str]]:
    """Yield how the devices vote, those with the same reason on one line."""
    against: dict[str, list[str]] = defaultdict(list)
    for device in judged.refusing:
        for reason in judged.votes[device]:
            against[reason].append(device)
    total, refusing = len(judged.votes), len(judged.refusing)
    if not total:
        return
    yield f"votes: {total - refusing} of {total} yes", "bold red" if refusing else "green"
    for reason, devices in against.items():
        who = f"all {total}" if len(devices) == total > 1 else some(devices)
        yield f"  no, {who}: {reason}", "red"


def refusal(judged: Judged) -> str:
    """Say in a sentence why nothing was played."""
    if judged.errors:
        first = judged.errors[0]
        where = first.file if first.line is None else f"{first.file}:{first.line}"
        more = len(judged.errors) - 1
        rest = f", and {more} more" if more else ""
        key = f"{first.key}: " if first.key else ""
        return f"the files are wrong: {where}: {key}{first.message}{rest}"
    refusing = [str(device) for device in judged.refusing]
    reason = judged.votes[judged.refusing[0]][0]
    return f"{some(refusing)} would vote no: {reason}"
