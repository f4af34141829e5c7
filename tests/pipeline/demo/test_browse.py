"""The page reads the folders of the allow-list, whole files of theirs, and nothing else."""

import pytest

from echosyn.data import filelist
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.demo.browse import PAGE, Collection, Filters


@pytest.fixture
def house(tmp_path, video_dataset):
    """A dataset, and a secret beside it."""
    import shutil

    shutil.copytree(video_dataset, tmp_path / "dataset")
    (tmp_path / "secret.html").write_text("<title>secret</title>")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<html><title>A &amp; B</title>")
    return tmp_path


def test_a_dataset_is_filtered_and_counted(house):
    found = Collection([house / "dataset"]).dataset(0, Filters())
    records = filelist.read(house / "dataset")
    assert (found["found"], found["total"]) == (len(records), len(records))
    assert sum(found["histogram"]["counts"]) == len(records)
    efs = [r.ef for r in records]
    few = Collection([house / "dataset"]).dataset(0, Filters(low=efs[1], high=efs[2]))
    assert [v["name"] for v in few["videos"]] == [records[1].name, records[2].name]
    none = Collection([house / "dataset"]).dataset(0, Filters(text="nobody"))
    assert (none["found"], none["videos"], none["mean_ef"]) == (0, [], None)


def test_pages_are_bounded(house):
    found = Collection([house / "dataset"]).dataset(0, Filters(), first=2, num=10**9)
    assert len(found["videos"]) == min(PAGE, found["found"] - 2)


def test_videos_are_those_of_the_file_list(house):
    collection = Collection([house / "dataset"])
    frames, fps = collection.video(0, "v01")
    assert frames.ndim == 3
    assert fps == 50.0
    for name in ("../../secret", "nobody", "", "v01.avi/../v01"):
        with pytest.raises(DataError, match="no such video"):
            collection.video(0, name)


@pytest.mark.parametrize("what", ["video", "folder", "list"])
def test_links_are_not_followed(house, what):
    dataset = house / "dataset"
    target = {"video": dataset / "Videos" / "v01.avi", "folder": dataset / "Videos", "list": dataset / "FileList.csv"}[
        what
    ]
    moved = house / "elsewhere"
    target.rename(moved)
    target.symlink_to(moved)
    with pytest.raises(DataError, match="link"):
        Collection([dataset]).video(0, "v01")


def test_reports_are_found_and_links_are_not(house):
    (house / "report" / "linked").mkdir()
    (house / "report" / "linked" / "index.html").symlink_to(house / "secret.html")
    (house / "report" / "also").symlink_to(house)
    collection = Collection([house / "report"])
    assert [r["title"] for r in collection.described()[0]["reports"]] == ["A & B"]
    assert collection.report(0, 0) == (house / "report" / "index.html").resolve()
    for number in (1, -1, True, "0", None):
        with pytest.raises(ConfigError):
            collection.report(0, number)


@pytest.mark.parametrize("key", [1, -1, True, "0", None, 10**30])
def test_there_are_no_other_folders(house, key):
    with pytest.raises(ConfigError, match="no such folder"):
        Collection([house / "dataset"]).dataset(key, Filters())


def test_a_folder_that_is_not_there_is_a_users_mistake(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        Collection([tmp_path / "nowhere"])
