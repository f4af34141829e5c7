"""Still images for other programs: the right frames of the right videos, losslessly."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from echosyn.data import filelist, video
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.ingest.frames import extract_frames, reference_images, update_splits


def png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def frames_of(dataset: Path, name: str) -> np.ndarray:
    return video.read(next(p for p in filelist.VideoIndex(dataset).files if p.stem == name)).grey()


def test_every_fifth_frame_of_train_and_val_and_none_of_test(video_dataset: Path, tmp_path: Path) -> None:
    extract_frames(video_dataset, tmp_path / "out")
    splits = {r.name: r.split for r in filelist.read(video_dataset)}
    lists = {name: (tmp_path / "out" / f"{name}.txt").read_text().splitlines() for name in ("train", "val")}
    for name, split in (("train", "TRAIN"), ("val", "VAL")):
        images = [Path(line) for line in lists[name]]
        assert {splits[p.parent.name] for p in images} == {split}
        for path in images:
            assert (png(path) == frames_of(video_dataset, path.parent.name)[5 * int(path.stem)]).all()
    written = sorted((tmp_path / "out" / "images").rglob("*.png"))
    assert sorted(map(str, written)) == sorted(lists["train"] + lists["val"])
    assert not any(splits[p.parent.name] == "TEST" for p in written)


def test_reference_images_play_at_the_asked_rate(video_dataset: Path, tmp_path: Path) -> None:
    result = reference_images(video_dataset, tmp_path / "out", frames=4, fps=16.0)
    folders = [p for p in (tmp_path / "out").iterdir() if p.is_dir()]
    records = {r.name: r for r in filelist.read(video_dataset)}
    long = {n for n, r in records.items() if r.split == "TRAIN" and r.num_frames / r.fps * 16 >= 4}
    assert {f.name for f in folders} == long
    assert 0 < result["videos"] == len(long) < 4
    for folder in folders:
        record = records[folder.name]
        wanted = np.rint(np.arange(4) * record.fps / 16).astype(int)
        found = np.stack([png(p) for p in sorted(folder.iterdir())])
        assert (found == frames_of(video_dataset, folder.name)[wanted]).all()


def test_the_draw_of_reference_videos_depends_on_the_seed_alone(video_dataset: Path, tmp_path: Path) -> None:
    def draw(seed: int, out: Path) -> list[str]:
        assert reference_images(video_dataset, out, frames=2, num=2, seed=seed)["videos"] == 2
        return sorted(p.name for p in out.iterdir() if p.is_dir())

    assert draw(0, tmp_path / "again") == draw(0, tmp_path / "0")
    assert len({tuple(draw(seed, tmp_path / f"seed {seed}")) for seed in range(6)}) > 1


def test_what_cannot_be_done_is_one_line(video_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 500 frames at 32 fps"):
        reference_images(video_dataset, tmp_path / "out", frames=500)
    with pytest.raises(ConfigError, match=r"^--train 8 --val -1 --test 1: expected counts of at least 0"):
        update_splits(video_dataset / "FileList.csv", tmp_path / "c.csv", {"TRAIN": 8, "VAL": -1, "TEST": 1})
    with pytest.raises(ConfigError, match="--every 0"):
        extract_frames(video_dataset, tmp_path / "out", every=0)
    with pytest.raises(ConfigError, match="expected at least 1 frame"):
        reference_images(video_dataset, tmp_path / "out", frames=0)


def test_new_splits_are_exact_and_keep_every_other_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("FileName,EF,Split,Note\n" + "".join(f"v{i}.avi,{i},0,n{i}\n" for i in range(9)))
    before = (tmp_path / "a.csv").read_bytes()
    result = update_splits(tmp_path / "a.csv", tmp_path / "b.csv", {"TRAIN": 4, "VAL": 2, "TEST": 2})
    assert result == {"file list": str(tmp_path / "b.csv"), "TRAIN": 4, "VAL": 2, "TEST": 2, "EXTRA": 1}
    lines = (tmp_path / "b.csv").read_text().splitlines()
    assert lines[0] == "FileName,EF,Split,Note"
    assert lines[1] == "v0.avi,0,TRAIN,n0"
    assert [line.split(",")[2] for line in lines[1:]] == ["TRAIN"] * 4 + ["VAL"] * 2 + ["TEST"] * 2 + ["EXTRA"]
    assert (tmp_path / "a.csv").read_bytes() == before
    with pytest.raises(DataError, match="exists already"):
        update_splits(tmp_path / "a.csv", tmp_path / "b.csv", {"TRAIN": 1, "VAL": 1, "TEST": 1})
    with pytest.raises(ConfigError, match=r"^--train 8 --val 1 --test 1: 10 videos requested, 9 available"):
        update_splits(tmp_path / "a.csv", tmp_path / "c.csv", {"TRAIN": 8, "VAL": 1, "TEST": 1})


def test_without_a_new_name_the_file_list_is_rewritten_and_the_first_one_kept(tmp_path: Path) -> None:
    csv = tmp_path / "FileList.csv"
    csv.write_text("FileName,EF,Split\n" + "".join(f"v{i},{i},TRAIN\n" for i in range(4)))
    before = csv.read_bytes()
    for train in (2, 1):
        result = update_splits(csv, None, {"TRAIN": train, "VAL": 1, "TEST": 1})
        assert result["file list"] == str(csv)
        assert [line.split(",")[2] for line in csv.read_text().splitlines()[1:]].count("TRAIN") == train
    assert (tmp_path / "FileList.csv.before").read_bytes() == before
    with pytest.raises(ConfigError, match="10 videos requested"):
        update_splits(csv, None, {"TRAIN": 8, "VAL": 1, "TEST": 1})
