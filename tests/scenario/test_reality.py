"""The same story in the simulator and as real processes over Mosquitto."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drone_sim.cores import engine as cores
from drone_sim.explore.ends import end_of, unmet
from drone_sim.scenario.story import parse
from drone_sim.shells import engine as shells
from drone_sim.trace import Trace
from tests.conftest import Mosquitto
from tests.scenario.reality import real, steps
from tests.scenario.stories import file
from tests.scenario.transcripts import records

STORY = """\
name = "blocked-and-forced"
about = "A push waits for a frozen device, is stopped and forced, and wakes as a zombie."
devices = 3
safety_s = 35.0
story = '''
at 0 s d-03 freezes for 12 s
at 0 s mira pushes
at 2.2 s pause mira for 25 s
at 4 s noor pushes
at 5 s ops force-unlocks
at 14 s ada pushes
'''
[pace]
window_s = 5.0
clock_error_s = 0.04
settle_s = 1.5
join_s = 1.5
[expect]
version = 3
lock_free = true
pushes = { mira = "abort", noor = "none", ada = "commit" }
"""

HOT, FENCED, DEFERRED, DONE = 6, 7, 5, 0


@pytest.mark.timeout(300)
def test_real_processes_write_the_same_journal(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    """Cores, shells and real processes: the same records, in the same order, the same ends."""
    story = parse(file(STORY))
    simulated = cores.play(story.scenario, trace=Trace())
    whole = shells.play(story.scenario, trace=Trace())
    with real(story.scenario, tmp_path, mosquitto()) as reality:
        reality.play(steps(simulated))
        codes = [reality.programs[who].wait().code for who in ("mira", "noor", "ops", "ada")]
        assert records(simulated) == records(whole) == reality.records()
    assert [FENCED, HOT, DEFERRED, DONE] == codes
    assert simulated.trace is not None
    assert [] == list(unmet(story.expected, end_of(simulated.trace.events, fresh=False)))
