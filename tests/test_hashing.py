"""A content hash is of the content: not of place, time or provenance."""

from pathlib import Path

from echosyn.hashing import PROVENANCE, content_hash, file_hash, folder_hash


def made(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_equal_content_elsewhere_has_an_equal_hash(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", x="1", y="2"), made(tmp_path / "b", y="2", x="1")
    assert folder_hash(one) == folder_hash(other) == content_hash(one)
    made(other, **{PROVENANCE: "{}"})
    assert folder_hash(one) == folder_hash(other)


def test_any_change_of_name_content_or_number_shows(tmp_path: Path) -> None:
    folders = [{"x": "1"}, {"x": "2"}, {"y": "1"}, {"x": "1", "y": ""}, {"d/x": "1"}, {}]
    (tmp_path / "5").mkdir()
    hashes = {folder_hash(made(tmp_path / str(i), **files)) for i, files in enumerate(folders)}
    assert len(hashes) == len(folders)


def test_a_file_is_hashed_by_its_bytes(tmp_path: Path) -> None:
    made(tmp_path, x="1", y="1")
    assert file_hash(tmp_path / "x") == file_hash(tmp_path / "y") == content_hash(tmp_path / "x")
    assert len(file_hash(tmp_path / "x")) == 64
