"""A dataset folder written is the dataset folder read; what other people's files look like; all problems at once."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echosyn.data import filelist
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import SPLITS
from echosyn.errors import DataError

PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)
names = text.map(str.strip).filter(lambda name: name not in ("", ".", "..") and not set(name) & set("/\\"))
names = names.filter(lambda name: filelist.stem(name) == name)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False)
extras = st.dictionaries(st.sampled_from(["Sex", "Weight (kg)", "Notiz, lang"]), text | st.just("a\nb"), max_size=3)
records = st.builds(
    Record,
    name=names,
    ef=st.none() | st.floats(1, 100, exclude_min=True),
    esv=st.none() | positive,
    edv=st.none() | positive,
    height=st.none() | st.integers(1, 4096),
    width=st.none() | st.integers(1, 4096),
    fps=st.none() | positive,
    num_frames=st.none() | st.integers(1, 10_000),
    split=st.sampled_from(SPLITS),
    extra=extras,
)
pixels = st.floats(allow_infinity=False, allow_nan=False)
tracings = st.builds(Tracing, name=names, x1=pixels, y1=pixels, x2=pixels, y2=pixels, frame=st.integers(0, 10_000))


def dataset(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filelist.FILE_LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def message(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        filelist.read(folder)
    return str(caught.value)


@PROPERTY
@given(st.lists(records, min_size=1, max_size=5, unique_by=lambda record: record.name.casefold()))
def test_written_records_are_read_back(tmp_path: Path, rows: list[Record]) -> None:
    filelist.write(tmp_path, rows)
    assert filelist.read(tmp_path) == rows
    assert [path.name for path in tmp_path.iterdir()] == [filelist.FILE_LIST]


@PROPERTY
@given(st.lists(tracings, min_size=1, max_size=5))
def test_written_tracings_are_read_back(tmp_path: Path, rows: list[Tracing]) -> None:
    filelist.write_tracings(tmp_path, rows)
    assert filelist.read_tracings(tmp_path) == rows


def test_the_file_looks_like_echonets(tmp_path: Path) -> None:
    filelist.write(
        tmp_path, [Record("0X1", 53.0, 40.25, None, 112, 112, 50.0, 163, "VAL", {"Sex": "F"}), Record("0X2")]
    )
    assert (tmp_path / filelist.FILE_LIST).read_text() == (
        "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split,Sex\n"
        "0X1,53.0,40.25,,112,112,50.0,163,VAL,F\n"
        "0X2,,,,,,,,TRAIN,\n"
    )
    filelist.write_tracings(tmp_path, [Tracing("0X1.avi", 1.5, 2, 3, 4, 46)])
    assert (tmp_path / filelist.TRACINGS).read_text() == "FileName,X1,Y1,X2,Y2,Frame\n0X1.avi,1.5,2.0,3.0,4.0,46\n"


def test_numpys_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    import numpy as np

    filelist.write(tmp_path, [Record("a", ef=np.float64(50.5), num_frames=int(np.int64(3)))])
    assert "a,50.5,,,,,,3,TRAIN" in (tmp_path / filelist.FILE_LIST).read_text()


def test_echonet_pediatric_is_read(tmp_path: Path) -> None:
    lines = ["FileName,EF,Sex,Age,Weight,Height,Split"]
    lines += [f"CR{fold}.avi,61.2,F,10,30.5,140,{fold}" for fold in range(10)]
    found = filelist.read(dataset(tmp_path, *lines))
    assert [record.split for record in found] == ["TRAIN"] * 8 + ["VAL", "TEST"]
    assert found[0] == Record(
        "CR0", ef=61.2, extra={"Sex": "F", "Age": "10", "Weight": "30.5", "Height": "140", "Fold": "0"}
    )
    assert [entry.fold for entry in filelist.parse(tmp_path)] == [str(fold) for fold in range(10)]


def test_what_spreadsheets_do_to_a_table_is_understood(tmp_path: Path) -> None:
    (tmp_path / filelist.FILE_LIST).write_bytes(
        "\ufeff, filename ,EF,SPLIT,numberofframes\r\n0,a.AVI,,train,12.0\r\n\r\n1,b.v2.avi, 50 ,8.0,\r\n".encode()
    )
    assert filelist.read(tmp_path) == [
        Record("a", num_frames=12),
        Record("b.v2", ef=50.0, split="VAL", extra={"Fold": "8"}),
    ]


def test_all_problems_come_at_once_with_their_lines(tmp_path: Path) -> None:
    folder = dataset(
        tmp_path,
        "FileName,EF,ESV,FPS,NumberOfFrames,Split",
        "good,55,1,50,100,TRAIN",
        "a,155,1,50,100,TRAIN",
        "b,55,1,50,100,DEV",
        "c,nan,-1,0,1.5,",
        ",55,1,50,100,TRAIN",
        "../../etc/passwd,55,1,50,100,TRAIN",
        "GOOD.avi,55,1,50,100,TEST",
        "short,55",
    )
    assert message(folder) == (
        f"{folder / filelist.FILE_LIST}: 11 bad row(s):\n"
        "  line 3: EF is 155, expected a percentage in 0..100\n"
        "  line 4: Split is 'DEV', expected one of TRAIN, VAL, TEST or a fold 0..9\n"
        "  line 5: Split is empty, expected one of TRAIN, VAL, TEST or a fold 0..9\n"
        "  line 5: ESV is -1, expected a volume in ml\n"
        "  line 5: FPS is 0, expected frames per second above 0\n"
        "  line 5: NumberOfFrames is 1.5, expected a count of at least 1\n"
        "  line 6: FileName is empty, expected the name of a file in Videos\n"
        "  line 7: FileName is '../../etc/passwd', expected the name of a file in Videos\n"
        "  line 8: FileName 'GOOD' is listed twice, first on line 2; keep one of them\n"
        "  line 9: has 2 cells, expected 6 as in the header\n"
        "  line 9: Split is empty, expected one of TRAIN, VAL, TEST or a fold 0..9"
    )


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    said = message(dataset(tmp_path, "FileName,EF,Split", *(f"v{i},x,TRAIN" for i in range(50)))).splitlines()
    assert said[0].endswith("50 bad row(s):")
    assert len(said) == 22
    assert said[-1] == "  ... and 30 more"


def test_what_is_no_dataset_says_how_to_make_one(tmp_path: Path) -> None:
    assert "no such folder" in message(tmp_path / "absent")
    assert "echosyn import" in message(tmp_path)
    dataset(tmp_path / "zip" / "EchoNet-Dynamic", "FileName,Split", "a,TRAIN")
    assert f"found one in {tmp_path / 'zip' / 'EchoNet-Dynamic'}: pass that folder" in message(tmp_path)
    dataset(tmp_path / "A4C", "FileName,Split", "a,TRAIN")
    assert "found several: pass one of" in message(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty; expected a header"),
        (b"\n\n", "empty; expected a header"),
        (b"FileName,EF,Split\n", "a header and no rows"),
        (b"EF,Split\n5,TRAIN\n", "no column FileName; found EF, Split"),
        (b"FileName|EF|Split\na|5|TRAIN\n", "rename the column that is meant"),
        (b"FileName,EF,ef,Split\na,5,5,TRAIN\n", "column twice: EF, ef"),
        (b"\xff\xfe\x00\x80", "save it as comma-separated UTF-8 text"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / filelist.FILE_LIST).write_bytes(content)
    assert says in message(tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_may_be_separated_by_what_spreadsheets_use(tmp_path: Path, separator: str) -> None:
    rows = [["FileName", "EF", "Split", "Note"], ["a", "55.5", "VAL", '"one, two; three\t"']]
    found = filelist.read(dataset(tmp_path, *(separator.join(row) for row in rows)))
    assert found == [Record("a", ef=55.5, split="VAL", extra={"Note": "one, two; three\t"})]


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "n/a", "<NA>", "None", "NULL", "#N/A", " nan "])
def test_what_pandas_writes_for_unknown_is_an_empty_cell(tmp_path: Path, cell: str) -> None:
    columns = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,PatientId,Split"
    found = filelist.read(dataset(tmp_path, columns, "NA" + f",{cell}" * 8 + ",VAL"))
    assert (found[0].name, found[0].ef, found[0].fps, found[0].num_frames) == ("NA", None, None, None)
    assert found[0].patient == "NA"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("-1", "EF is -1, expected a percentage in 0..100; it looks like a code for unknown: leave the cell empty"),
        ("155", "EF is 155, expected a percentage in 0..100"),
        ("55-60", "EF is '55-60', a range, expected one percentage in 0..100: write its middle (57.5)"),
        ("55 - 60 %", "a range"),
        (">70", "EF is '>70', a bound, expected one percentage in 0..100: write the measured number"),
        ("~55", "a bound"),
        ("normal", "EF is 'normal', expected a percentage in 0..100: leave the cell empty where it is unknown"),
        ("inf", "EF is inf, expected a percentage in 0..100"),
    ],
)
def test_what_people_write_for_an_ejection_fraction_has_its_own_words(tmp_path: Path, cell: str, says: str) -> None:
    folder = dataset(tmp_path, "FileName,EF,Split", "a,60,VAL", f"b,{cell},VAL")
    assert says in message(folder).splitlines()[1].removeprefix("  line 3: ")


def test_a_decimal_comma_and_a_sign(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "FileName;EF;Split", "a;60;VAL", "b;55,5;VAL")
    assert "line 3: EF is '55,5', a decimal comma, expected a percentage in 0..100 with a point: write 55.5" in message(
        folder
    )
    dataset(tmp_path, "FileName,EF,Split", "a,60%,VAL", "b,55.5 %,VAL")
    assert [record.ef for record in filelist.read(folder)] == [60, 55.5]


def test_a_column_of_fractions_is_refused_and_a_single_one_is_suspicious(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "FileName,EF,Split", "a,0.61,VAL", "b,,TEST", "c,1.0,TRAIN", "d,0.23,TRAIN")
    assert message(folder).endswith(
        "EF is a fraction of one in every row that has it (0.61, 1, 0.23), expected a percentage in 0..100: multiply the "
        "column by 100"
    )
    dataset(tmp_path, "FileName,EF,Split", "a,61,VAL", "b,0.5,TEST", "c,0,TEST", "d,1.5,TEST")
    said = [filelist.suspicious_ef(record) for record in filelist.read(folder)]
    assert said[0] is None
    assert said[3] is None
    assert said[1] is not None
    assert "a fraction of one? write 50, or leave the cell empty" in said[1]
    assert said[2] is not None
    assert "a code for unknown? leave the cell empty" in said[2]


def test_a_fold_is_kept_beside_its_split(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "FileName,EF,Split", "a,61,0", "b,50,9")
    filelist.write(tmp_path / "again", filelist.read(folder))
    assert [(r.split, r.cell("Fold")) for r in filelist.read(tmp_path / "again")] == [("TRAIN", "0"), ("TEST", "9")]


@pytest.mark.parametrize("column", ["PatientId", "patientid", "Patient", "PATIENT"])
def test_a_patient_is_named_by_either_column_in_any_case(column: str) -> None:
    assert Record("a", extra={"Sex": "F", column: "p7"}).patient == "p7"
    assert Record("a", extra={column: "nan"}).patient == Record("a").patient == "a"


def test_an_extra_column_cannot_pose_as_a_standard_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rename it"):
        filelist.write(tmp_path, [Record("a", extra={"ef": "70"})])


def test_videos_are_found_whatever_their_extension_and_case(tmp_path: Path) -> None:
    videos = tmp_path / filelist.VIDEOS
    videos.mkdir()
    for name in ("a.avi", "B.AVI", "c.mp4", "d.mp4", "d.avi", "._a.avi", "notes.txt", "a.avi.tmp"):
        (videos / name).touch()
    index = filelist.VideoIndex(tmp_path)
    assert [path.name for path in index.files] == ["B.AVI", "a.avi", "c.mp4", "d.avi", "d.mp4"]
    for name, file in {"a": "a.avi", "b": "B.AVI", "C": "c.mp4", "d": "d.avi"}.items():
        assert index.path(Record(name)) == filelist.video_path(tmp_path, Record(name)) == videos / file
    for find in (index.path, lambda record: filelist.video_path(tmp_path, record)):
        with pytest.raises(DataError, match=r"Videos/e\.avi: no such video"):
            find(Record("e"))
    with pytest.raises(DataError, match="no such folder"):
        filelist.VideoIndex(videos)


def test_tracings_that_are_wrong_or_other(tmp_path: Path) -> None:
    assert filelist.read_tracings(tmp_path) == []
    assert not filelist.has_chords(tmp_path)
    path = tmp_path / filelist.TRACINGS
    path.write_text("FileName,X1,Y1,X2,Y2,Frame\na.avi,1,2,x,4,5\n,1,2,3,4,-1\na.avi,1,,3,4,5\n")
    with pytest.raises(DataError) as caught:
        filelist.read_tracings(tmp_path)
    assert str(caught.value).splitlines()[1:] == [
        "  line 2: X2 is 'x', expected a number of pixels",
        "  line 3: Frame is -1, expected a frame number",
        "  line 3: FileName is empty, expected a file name",
        "  line 4: has an empty cell, expected X1, Y1, X2, Y2 and Frame",
    ]
    assert filelist.has_chords(tmp_path)
    path.write_text("FileName,X,Y,Frame\na.avi,1,2,5\n")
    assert not filelist.has_chords(tmp_path)
