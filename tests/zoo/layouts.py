"""Folders as the public datasets are published, and as people's tools have changed them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import open_data
from echosyn.data import video
from zoo.case import Case

SIZE = 16
DYNAMIC = "EchoNet-Dynamic (`--from dynamic`)"
PEDIATRIC = "EchoNet-Pediatric (`--from pediatric`)"
FOLDER = "Other folders (`--from folder`)"
CAMUS = "CAMUS (`--from camus`)"
EV9V = "EV9V (`--from ev9v`)"
COLUMNS = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
NAMES = ("0X10A28877E97DF540", "0X1A05DFFFCAFB253B", "0X129133A90A61A59D")
SPLITS = ("TRAIN", "VAL", "TEST")


def film(path: Path, num_frames: int = 4) -> Path:
    """A tiny grey video, another one for every name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(path.stem.encode())).integers(0, 256, (num_frames, SIZE, SIZE), dtype=np.uint8)
    video.write_avi(path, noise, 50, verify=False)
    return path


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    """A text file, line ends as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return path


def rows(ef: Sequence[str] = ("55.2", "61.0", "40.7"), names: Sequence[str] = NAMES, count: int = 4) -> list[str]:
    """Rows of `COLUMNS`."""
    return [f"{n},{e},40.1,90.2,112,112,50,{count},{s}" for n, e, s in zip(names, ef, SPLITS, strict=True)]


def dynamic(
    lines: Sequence[str],
    *,
    header: str = COLUMNS,
    names: Sequence[str] = NAMES,
    ending: str = "\n",
    encoding: str = "utf-8",
    inside: str = "",
    extension: str = ".avi",
    further: Callable[[Path], object] = lambda folder: None,
) -> Callable[[Path], Path]:
    """A maker of a folder with this list."""

    def make(tmp: Path) -> Path:
        folder = tmp / "EchoNet-Dynamic" / inside
        for name in names:
            film(folder / "Videos" / f"{name}.avi").rename(folder / "Videos" / f"{name}{extension}")
        text(folder / "FileList.csv", ending.join([header, *lines, ""]), encoding)
        further(folder)
        return tmp / "EchoNet-Dynamic"

    return make


def tracings(folder: Path) -> None:
    """Two traced frames of the first video, and one that it does not have."""
    chords = [f"{NAMES[0]}.avi,{x},2.5,{x + 4},9.5,{frame}" for frame in (0, 3, 9) for x in (1.5, 3.5)]
    text(folder / "VolumeTracings.csv", "\n".join(["FileName,X1,Y1,X2,Y2,Frame", *chords, ""]))


def pediatric(view: str, *, nested: bool = False, cell: str = "61.2") -> Callable[[Path], Path]:
    """A maker of a view: folds 0..9, outlines, no sizes, rates or counts."""

    def make(tmp: Path) -> Path:
        folder = tmp / "pediatric" / view
        names = [f"CR32a7555-CR32a7582-000{i}" for i in range(10)]
        for name in names:
            film(folder / "Videos" / f"{name}.avi")
        lines = [f"{n}.avi,{cell if i == 3 else 60 + i / 10},F,10,30.5,140,{i}" for i, n in enumerate(names)]
        text(folder / "FileList.csv", "\n".join(["FileName,EF,Sex,Age,Weight,Height,Split", *lines, ""]))
        outline = [f"{names[0]}.avi,{x},{x + 1},2" for x in range(3)]
        text(folder / "VolumeTracings.csv", "\n".join(["FileName,X,Y,Frame", *outline, ""]))
        return tmp / "pediatric" if nested else folder

    return make


def lvh(tmp: Path) -> Path:
    """EchoNet-LVH: batches of videos, one row a measurement."""
    for i in range(4):
        film(tmp / "EchoNet-LVH" / f"Batch{i + 1}" / f"0X{i}F1D2.avi")
    header = ",HashedFileName,Calc,CalcValue,Frame,X1,X2,Y1,Y2,Frames,FPS,Width,Height,split"
    lines = [f"{i},0X{i // 2}F1D2,{('IVSd', 'LVIDd')[i % 2]},1.1,2,3,4,5,6,4,50,16,16,train" for i in range(8)]
    text(tmp / "EchoNet-LVH" / "MeasurementsList.csv", "\n".join([header, *lines, ""]))
    return tmp / "EchoNet-LVH"


def camus(further: Callable[[Path], object] = lambda patients: None) -> Callable[[Path], Path]:
    """A maker of CAMUS: arrays and settings, a folder a patient."""

    def make(tmp: Path) -> Path:
        open_data.camus(tmp / "CAMUS_public", patients=2, splits={"training": [1], "testing": [2]})
        further(tmp / "CAMUS_public" / "database_nifti")
        return tmp / "CAMUS_public"

    return make


def without_settings(patients: Path) -> None:
    """A copy that broke off."""
    (patients / "patient0002" / "Info_4CH.cfg").unlink()


def older(patients: Path) -> None:
    """CAMUS as it was first published."""
    for path in patients.glob("*/*.nii.gz"):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".mhd")))


def ev9v(unpacked: bool = True) -> Callable[[Path], Path]:
    """A maker of EV9V: lists of names and views, videos in an archive."""

    def make(tmp: Path) -> Path:
        for i, name in enumerate(("train", "validation", "test")):
            stem = f"2022-0{i + 1}-27_14-06-42_320x240_2"
            film(tmp / "EV9V" / ("Videos" if unpacked else "none") / f"{stem}.avi")
            text(tmp / "EV9V" / f"{name}_labeled.txt", f"{stem} A4C\n")
        text(tmp / "EV9V" / "Videos.tar", "not read")
        return tmp / "EV9V"

    return make


def hmc_qu(tmp: Path) -> Path:
    """HMC-QU: a folder a view, blanks in names, labels as workbooks, masks as arrays."""
    for view in ("A4C", "A2C"):
        for i in range(2):
            film(tmp / "HMC-QU" / view / f"ES000{i + 1} _{view[1]}CH_1.avi")
        text(tmp / "HMC-QU" / f"{view}.xlsx", "PK")
    text(tmp / "HMC-QU" / "LV Ground-truth Segmentation Masks" / "Mask_ES0001_4CH_1.mat", "not read")
    return tmp / "HMC-QU"


def nested(folder: Path) -> None:
    """Videos in sub-folders of ``Videos``."""
    for i, name in enumerate(NAMES):
        (folder / "Videos" / f"{i:03}").mkdir()
        (folder / "Videos" / f"{name}.avi").rename(folder / "Videos" / f"{i:03}" / f"{name}.avi")


def others(folder: Path) -> None:
    """What lies about in real folders."""
    for name in ("a.vob", "b.zip", "._x.avi", "Thumbs.db", "none"):
        text(folder / "Videos" / name, "?")
    film(folder / "Videos" / "unlisted.avi")


def _with(name: str, make: Callable[[Path], Path], read: str | None = None, refused: str | None = None) -> Case:
    return Case(DYNAMIC, name, make, read, refused)


_NO_EXTENSION = [line.replace(",", ".avi,", 1) for line in rows()]
_QUOTED = [",".join(f'"{cell}"' for cell in line.split(",")) for line in rows()]
_BLANKS = [f" {line.replace(',', ' , ')} " for line in rows()]
_CHANGED = [line.replace(NAMES[0], "12") for line in rows()]
_NUMBERED_ROWS = [f"{i},{row}" for i, row in enumerate(rows())]
_NUMBERED = ("0012", *NAMES[1:])

CASES: list[Case] = [
    _with("as published", dynamic(rows()), "exact"),
    _with("extensions in names", dynamic(_NO_EXTENSION), "exact"),
    _with("extensions of files in upper case", dynamic(rows(), extension=".AVI"), "exact"),
    _with("column without a name, as pandas writes it", dynamic(_NUMBERED_ROWS, header=f",{COLUMNS}"), "exact"),
    _with("byte order mark and CRLF", dynamic(rows(), header=f"\ufeff{COLUMNS}", ending="\r\n"), "exact"),
    _with("semicolons", dynamic([r.replace(",", ";") for r in rows()], header=COLUMNS.replace(",", ";")), "exact"),
    _with("tabs", dynamic([r.replace(",", "\t") for r in rows()], header=COLUMNS.replace(",", "\t")), "exact"),
    _with("every cell in quotes", dynamic(_QUOTED), "exact"),
    _with("blanks in header and cells", dynamic(_BLANKS, header=COLUMNS.replace(",", " , ")), "exact"),
    _with("header in lower case", dynamic(rows(), header=COLUMNS.lower()), "exact"),
    _with("videos in sub-folders of Videos", dynamic(rows(), further=nested), "exact"),
    _with("counts of a list that are wrong", dynamic(rows(count=11)), "exact; NumberOfFrames corrected, with a note"),
    _with("tracings beyond the last frame", dynamic(rows(), further=tracings), "exact; 2 tracing rows left out"),
    _with("EF `nan`, as pandas writes it", dynamic(rows(("nan", "61", "40"))), "exact; that EF is empty"),
    _with("EF with a percent sign", dynamic(rows(("55%", "61 %", "40.5%"))), "exact"),
    _with("EF as a fraction", dynamic(rows(("0.61", "0.23", "1.0"))), refused="multiply the column by 100"),
    _with("one EF as a fraction", dynamic(rows(("61", "0.23", "50"))), refused="a fraction of one? write 23"),
    _with("EF -1", dynamic(rows(("61", "-1", "50"))), refused="it looks like a code for unknown: leave the cell empty"),
    _with("EF 55-60", dynamic(rows(("61", "55-60", "50"))), refused="a range, expected one percentage"),
    _with("EF >70", dynamic(rows(("61", ">70", "50"))), refused="a bound, expected one percentage"),
    _with("EF 55,5 in quotes", dynamic(rows(("61", '"55,5"', "50"))), refused="a decimal comma"),
    _with("a name listed twice", dynamic([*rows(), rows()[0]]), refused="is listed twice, first on line 2"),
    _with("a row without a video", dynamic([*rows(), "0XGONE,50,,,,,,,TRAIN"]), refused="no video of this name"),
    _with("a name that a spreadsheet changed (0012 to 12)", dynamic(_CHANGED, names=_NUMBERED), "exact; matched, with a note"),
    _with("files of other kinds, videos without a row", dynamic(rows(), further=others), "exact; each kind counted as left out"),
    _with("a folder too deep", dynamic(rows(), inside="a/b"), refused="pass that folder"),
    _with("UTF-16", dynamic(rows(), encoding="utf-16"), refused="save it as comma-separated UTF-8 text"),
    _with("no column Split", dynamic(rows(), header=COLUMNS.replace("Split", "Part")), refused="no column Split; found"),
    Case(PEDIATRIC, "A4C: folds 0..9, outlines", pediatric("A4C"), "exact; folds become splits and stay in column Fold"),
    Case(PEDIATRIC, "PSAX, an EF `nan`", pediatric("PSAX", cell="nan"), "exact; that EF is empty"),
    Case(PEDIATRIC, "the folder above the views", pediatric("A4C", nested=True), refused="holds 1 view(s), expected one: pass"),
    Case(FOLDER, "EchoNet-LVH", lvh, "exact; without labels (`--labels` wants a column FileName)"),
    Case(FOLDER, "HMC-QU", hmc_qu, "exact; workbooks and masks counted as left out"),
    Case(FOLDER, "CAMUS", camus(), refused=".nii.gz file(s): an array, no video: import CAMUS with --from camus"),
    Case(CAMUS, "as published", camus(), "pixels made square, black around them; outlines at ED and ES"),
    Case(CAMUS, "settings that are missing", camus(without_settings), refused="Info_4CH.cfg: missing file"),
    Case(CAMUS, "the older form (.mhd)", camus(older), refused="fetch the folder database_nifti"),
    Case(CAMUS, "EV9V given as CAMUS", ev9v(), refused="pass the folder that holds database_nifti"),
    Case(EV9V, "as published, unpacked", ev9v(), "exact; EF is empty"),
    Case(EV9V, "Videos.tar not unpacked", ev9v(unpacked=False), refused="unpack Videos.tar in"),
    Case(EV9V, "CAMUS given as EV9V", camus(), refused="pass the folder that holds these lists"),
    Case(DYNAMIC, "EchoNet-LVH given as EchoNet-Dynamic", lvh, refused="FileList.csv: no such file; a dataset folder holds"),
]  # fmt: skip
