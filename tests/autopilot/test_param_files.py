"""Parameter files: read, and written back byte for byte but for what changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.autopilot import Format, ParamType, WrongLine, new_document, parse_params
from orchestrator.autopilot.documents import FILE_BYTES_MAX, LINE_CHARS_MAX, LINES_MAX

DATA = Path(__file__).parent / "data"
FILES = sorted(path.name for path in DATA.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_without_changes_the_bytes_are_the_same(name: str) -> None:
    """Comments, order, line endings and the spelling of numbers stay."""
    data = (DATA / name).read_bytes()
    document = parse_params(data)
    same = {
        entry.name: (entry.type or ParamType.REAL32, entry.value)
        for entry in document.entries
        if entry.of_autopilot
    }
    assert data == document.render()
    assert data == document.changed(same).render()


def test_all_spellings_of_ardupilot_are_read() -> None:
    """Commas, blanks, tabs, equals signs, @READONLY, comments behind, hexadecimal, CRLF."""
    document = parse_params((DATA / "today.param").read_bytes())
    assert {
        "MNT1_DEFLT_MODE": 1,
        "MNT1_LEAD_PTCH": 0.05,
        "MNT1_NEUTRAL_Y": -20.5,
        "MNT1_OPTIONS": 3,
        "MNT1_PITCH_MAX": 25,
        "MNT1_PITCH_MIN": -80,
        "MNT1_RC_RATE": 45,
        "MNT1_TYPE": 1,
        "SR0_RAW_SENS": 10,
    } == document.values()
    assert 5 == document.lines_of()["MNT1_NEUTRAL_Y"]


def test_other_components_of_a_qgc_file_are_apart() -> None:
    """A gimbal's own parameter is kept and is not the autopilot's."""
    document = parse_params((DATA / "px4.params").read_bytes())
    assert Format.QGROUNDCONTROL is document.format
    assert ["GMB_MAX_TORQUE of component 154"] == [one.title for one in document.foreign()]
    assert 0.3 == document.values()["MNT_TAU"]


def test_only_the_values_that_change_are_written_anew() -> None:
    """The rest of each line stays, comments behind the value too."""
    before = (DATA / "today.param").read_bytes()
    after = parse_params(before).changed(
        {
            "MNT1_PITCH_MAX": (ParamType.INT16, 30),
            "MNT1_OPTIONS": (ParamType.INT8, 1),
            "MNT1_YAW_MIN": (ParamType.INT16, -90),
        }
    )
    expected = (
        before.replace(b"25.000000 #", b"30 #").replace(b"   3   @", b"   1   @")
        + b"MNT1_YAW_MIN,-90\r\n"
    )
    assert expected == after.render()


def test_a_last_line_without_an_end_gets_one() -> None:
    """Before something is added behind it."""
    data = b"A 1\nB 2"
    added = parse_params(data).changed({"C": (ParamType.REAL32, 0.1)})
    assert b"A 1\nB 2\nC 0.1\n" == added.render()


def test_what_is_added_to_a_qgc_file_has_its_columns() -> None:
    """Vehicle as above, the autopilot's component, the type."""
    data = b"# x\n3\t1\tA\t1\t6\n"
    added = parse_params(data).changed({"B": (ParamType.REAL32, 2.5)})
    assert data + b"3\t1\tB\t2.5\t9\n" == added.render()


@pytest.mark.parametrize("form", Format)
def test_a_new_file_reads_back(form: Format) -> None:
    """Both formats, with their comments."""
    values = {"MNT_TAU": (ParamType.REAL32, 0.3), "MNT_DO_STAB": (ParamType.INT32, 1)}
    document = new_document(form, values, ["from nowhere"])
    assert (form, {"MNT_TAU": 0.3, "MNT_DO_STAB": 1}) == (document.format, document.values())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but WrongLine comes out, and what is read is written back."""
    try:
        document = parse_params(data)
    except WrongLine:
        return
    assert data == document.render()


COMMENTS = st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]))


@given(st.lists(COMMENTS, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_comments_of_any_characters_stay(comments: list[str], end: str) -> None:
    """A comment ends at the line feed, whatever stands in it."""
    data = "".join(f"#{one}{end}" for one in comments).encode() + b"A,1" + end.encode()
    changed = parse_params(data).changed({"A": (ParamType.INT8, 2)})
    assert data.replace(b"A,1", b"A,2") == changed.render() or b"A,1" in data[: -len(b"A,1\r\n")]


def test_bytes_that_are_no_unicode_stay() -> None:
    """Comments were written by all kinds of tools."""
    data = b"# caf\xe9 \xb0\nA,1\n"
    assert data == parse_params(data).render()


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", None, "holds no parameter"),
        (b"# only\n\n", None, "holds no parameter"),
        (b"A,1\nB\n", 2, "'B' is not NAME,VALUE"),
        (b"A,1\nB,x\n", 2, "'B,x' is not NAME,VALUE"),
        (b"A,1\nB,nan\n", 2, "is not NAME,VALUE"),
        (b"A,1,2\n", 1, "is not NAME,VALUE"),
        (b"A,1\n\nA,2\n", 3, "A is there already, on line 1"),
        (b"A,1e60\n", 1, "1e60 is too large"),
        (b"ABCDEFGHIJKLMNOPQ,1\n", 1, "longer than 16"),
        (b"@include other.parm\n", 1, "'@include' is not followed"),
        (b"# \nA,1\n\0\0\n", 3, "is not NAME,VALUE"),
        (b"1\t1\tA\t1\t6\n1\t1\tB\t1\n", 2, "is not vehicle, component, name"),
        (b"1\t1\tA\t1\t11\n", 1, "11 is no MAV_PARAM_TYPE"),
        (b"1\t1\tA\t1.5\t6\n", 1, "1.5 is no INT32 value of A"),
        (b"1\t1\tA\t300\t2\n", 1, "300 is no INT8 value of A"),
        (b"1\t1\tA\t1\t6\nB,2\n", 2, "is not vehicle, component, name"),
        (b"A," + b"1" * LINE_CHARS_MAX + b"\n", 1, f"more than {LINE_CHARS_MAX} characters"),
        (b"\n" * (LINES_MAX + 1), None, f"more than {LINES_MAX} lines"),
        (b"#" * (FILE_BYTES_MAX + 1), None, f"more than {FILE_BYTES_MAX} bytes"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(data: bytes, line: int | None, said: str) -> None:
    """Every finding says where it is."""
    with pytest.raises(WrongLine) as wrong:
        parse_params(data)
    assert line == wrong.value.line
    assert said in wrong.value.why
