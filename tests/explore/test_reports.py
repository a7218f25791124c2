"""JUnit XML, GitHub's annotations and summaries, and files that are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drone_sim.disk import CrashDisk, PowerLost, everything_survives
from drone_sim.report.files import require_writable, write_whole
from drone_sim.report.github import (
    ANNOTATIONS_MAX,
    SUMMARY_BYTES_MAX,
    Actions,
    Trouble,
    table,
)
from drone_sim.report.junit import TestCase, junit
from orchestrator.errors import Exit, OperatingError

# --- JUnit --------------------------------------------------------------------------------------

SHAPE: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": ({"name"}, {"classname", "time", "status"}, {"skipped", "error", "failure"}),
    "failure": (set(), {"message", "type"}, set()),
}
"""Of each element: the attributes that it must have, may have, and the elements inside it."""

GOOD = TestCase(suite="cores", name="seed 1", took_s=0.25)
BAD = TestCase(
    suite="shells",
    name="seed 2",
    took_s=1.5,
    kind="I5",
    failure="I5: d-01 operates 1, d-02 operates 2",
    text="I5: mixed\nreproduce: drone-sim replay 2 --speed shells\n",
)


def wrong(element: ET.Element) -> Iterator[str]:
    """Everything in which an element does not have the shape that CIs agree on."""
    must, may, inside = SHAPE[element.tag]
    given = set(element.attrib)
    yield from (f"{element.tag} lacks {name}" for name in must - given)
    yield from (f"{element.tag} has {name}" for name in given - must - may)
    for child in element:
        if child.tag not in inside:
            yield f"{child.tag} in {element.tag}"
        else:
            yield from wrong(child)


def test_the_document_has_the_common_shape() -> None:
    """Elements and attributes are those of Jenkins' schema, with nothing beside them."""
    assert [] == list(wrong(ET.fromstring(junit([GOOD, BAD], title="t"))))


def test_counts_add_up() -> None:
    """Each suite counts its own cases, the document all of them."""
    root = ET.fromstring(junit([GOOD, BAD, GOOD], title="t"))
    counts = [
        tuple(one.attrib[name] for name in ("tests", "failures", "time"))
        for one in (root, *root.iter("testsuite"))
    ]
    assert [("3", "1", "2.000000"), ("2", "0", "0.500000"), ("1", "1", "1.500000")] == counts


def test_a_failure_says_how_to_reproduce_it() -> None:
    """Its message is a line; its text ends with the command."""
    root = ET.fromstring(junit([BAD], title="t"))
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert (BAD.failure, "I5", BAD.text) == (
        failure.get("message"),
        failure.get("type"),
        failure.text,
    )


@given(st.text())
def test_any_text_makes_a_document(text: str) -> None:
    """Whatever an error says: what XML can't carry is replaced, the rest comes back."""
    case = TestCase(suite="cores", name="n", took_s=0.0, kind=text, failure="f", text=text)
    failure = ET.fromstring(junit([case], title=text)).find("testsuite/testcase/failure")
    assert failure is not None
    plain = "".join(char for char in text if char.isprintable())
    found = "".join(char for char in failure.text or "" if char.isprintable())
    assert plain.replace("\ufffd", "") == found.replace("\ufffd", "")


# --- GitHub -------------------------------------------------------------------------------------


def unescaped(line: str) -> str:
    """What GitHub's runner makes of the text of a command."""
    text = line.rpartition("::")[2]
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def test_an_annotation_is_one_line() -> None:
    """Ends of lines and percent signs are escaped, in properties colons and commas too."""
    trouble = Trouble(title="I5 in seed 2, shells: 5 %", text="100 % mixed\r\nthen::error::x")
    assert (
        "::error title=I5 in seed 2%2C shells%3A 5 %25::100 %25 mixed%0D%0Athen::error::x"
        == str(trouble)
    )


@given(st.text(st.characters(exclude_characters=":")))
def test_an_annotation_says_what_was_said(text: str) -> None:
    """The runner reads the same text, on one line."""
    line = str(Trouble(title="t", text=text))
    assert "\n" not in line
    assert "\r" not in line
    assert text == unescaped(line)


def test_an_annotation_stands_beside_its_line() -> None:
    """File and line are what the change is shown with."""
    trouble = Trouble(title="lint", text="x", file="a,b.conf", line=7)
    assert "::error file=a%2Cb.conf,line=7,title=lint::x" == str(trouble)


@pytest.mark.parametrize(
    "environment", [{}, {"GITHUB_ACTIONS": ""}, {"GITHUB_STEP_SUMMARY": "/nowhere"}]
)
def test_elsewhere_there_are_no_annotations(environment: dict[str, str]) -> None:
    """Only GitHub's runner says that it is one."""
    assert None is Actions.of(environment)


def test_a_summary_is_added_to_the_step(tmp_path: Path) -> None:
    """What others have written there stays."""
    file = tmp_path / "summary"
    file.write_text("before\n")
    actions = Actions.of({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)})
    assert actions is not None
    actions.summarize("### one\n")
    actions.summarize("### two")
    assert "before\n### one\n\n### two\n\n" == file.read_text()


def test_a_summary_that_github_would_refuse_is_not_written(tmp_path: Path) -> None:
    """It fails the step for a larger one."""
    file = tmp_path / "summary"
    Actions(summary=file).summarize("x" * SUMMARY_BYTES_MAX)
    assert not file.exists()


def test_there_are_no_more_annotations_than_are_shown() -> None:
    """GitHub drops the rest without a word."""
    troubles = [Trouble(title="t", text=str(number)) for number in range(50)]
    lines = list(Actions(summary=None).annotations(troubles))
    assert list(map(str, troubles[:ANNOTATIONS_MAX])) == lines


def test_a_cell_can_not_break_its_table() -> None:
    """Bars, ends of lines and tags are no markup of ours."""
    assert "| a |\n| --- |\n| x\\|y z &lt;b> |\n" == table(("a",), [("x|y\nz <b>",)])


# --- files --------------------------------------------------------------------------------------

HOME = Path("/reports")
FILE = HOME / "r.xml"


def disk_with(text: str) -> CrashDisk:
    """A disk on which the report stands already."""
    disk = CrashDisk()
    disk.make_directory(HOME)
    write_whole(FILE, text, disk)
    return disk


def test_a_report_is_old_or_new_after_every_crash() -> None:
    """Wherever the power is cut, with whatever the disk has kept: never a half."""
    total = disk_with("old").seams
    for seam in range(total):
        for survives in (None, everything_survives):
            disk = disk_with("old")
            disk.crash_at = disk.seams + seam
            try:
                write_whole(FILE, "new and longer", disk)
            except PowerLost:
                disk.reboot(*(() if survives is None else (survives,)))
            assert disk.read(FILE, 100) in {b"old", b"new and longer"}


def test_a_full_disk_is_told_and_leaves_nothing() -> None:
    """The old report stands, and no half-written one beside it."""
    disk = disk_with("old")
    disk.capacity_bytes = 10
    with pytest.raises(OperatingError, match="no space left") as refused:
        write_whole(FILE, "much longer than there is room for", disk)
    assert Exit.USAGE == refused.value.exit_code
    assert ("r.xml",) == disk.names(HOME)
    assert b"old" == disk.read(FILE, 100)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error says which file, and what to do."""
    with pytest.raises(OperatingError, match="nowhere") as refused:
        write_whole(tmp_path / "nowhere" / "r.xml", "x")
    assert "directory that exists" in (refused.value.next_command or "")


# --- before anything is played ------------------------------------------------------------------


def refused(path: Path, disk: CrashDisk | None = None) -> tuple[str, str | None]:
    """Return why a report can't be written, and what to do."""
    with pytest.raises(OperatingError) as caught:
        require_writable(path, "--html", disk)
    assert Exit.USAGE == caught.value.exit_code
    return caught.value.message, caught.value.next_command


def test_a_report_that_can_be_written_leaves_no_trace(tmp_path: Path) -> None:
    """Neither beside it nor in it."""
    (tmp_path / "r.xml").write_text("old")
    for name in ("r.xml", "new.xml"):
        require_writable(tmp_path / name, "--junit")
    assert ["r.xml"] == [one.name for one in tmp_path.iterdir()]
    assert "old" == (tmp_path / "r.xml").read_text()


def test_a_directory_is_no_report(tmp_path: Path) -> None:
    """The error says so, and names a file in it."""
    message, following = refused(tmp_path)
    assert f"--html {tmp_path} can't be written: it is a directory; nothing was begun" == message
    assert f"--html {tmp_path / 'report'}" == following


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """What a report is to be in must be one."""
    (tmp_path / "file").touch()
    message, _ = refused(tmp_path / "file" / "r.xml")
    assert f"{tmp_path / 'file'} is no directory" in message


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    """In the words of the system."""
    message, following = refused(tmp_path / ("x" * 300))
    assert "File name too long" in message
    assert "name another file for --html" == following


def test_a_directory_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """Whatever the reason is: that is seen by trying."""
    disk = CrashDisk()
    disk.make_directory(tmp_path)
    disk.fail_at, disk.failure = disk.seams, "permission denied"
    message, following = refused(tmp_path / "r.xml", disk)
    assert "permission denied; nothing was begun" in message
    assert f"ls -ld {tmp_path}" == following
