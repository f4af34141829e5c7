"""The temporary folder stays within its size and leaves nothing."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from echosyn.data import video
from echosyn.pipeline.demo.replay import Recipe
from echosyn.pipeline.demo.session import Beat
from echosyn.pipeline.demo.temporary_files import KINDS, Shelf


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf(100_000, 60.0, clock=lambda: 0.0)
    yield made
    made.remove()


def beating(seed: int = 0) -> Beat:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32), np.uint8)
    recipe = Recipe(seed=seed, ef=50, frames=8)
    return Beat(frames, 32.0, 50.0, 48.0, (), recipe)


def test_every_kind_is_there_and_holds_the_video(shelf):
    item = shelf.put(beating())
    paths = {kind: shelf.get(item.name, kind) for kind in KINDS}
    assert all(path is not None and path.stat().st_size for path in paths.values())
    assert video.read(paths["gif"]).frames.shape == (8, 32, 32)


def test_the_oldest_make_room(shelf):
    items = [shelf.put(beating(i)) for i in range(12)]
    assert shelf.num_bytes <= shelf.max_bytes
    assert shelf.get(items[0].name, "avi") is None
    assert shelf.get(items[-1].name, "avi") is not None


def test_the_old_go(shelf):
    item = shelf.put(beating())
    shelf.clock = lambda: 61.0
    assert shelf.get(item.name, "avi") is None
    assert shelf.num_bytes == 0


def test_names_lead_nowhere_else(shelf):
    item = shelf.put(beating())
    (shelf.root / "secret.avi").write_text("secret")
    for name, kind in [
        ("..", "avi"),
        ("../secret", "avi"),
        (item.name, "py"),
        ("", "json"),
        (item.name + "/../x", "avi"),
    ]:
        assert shelf.get(name, kind) is None
    for name in ("../secret", None, "", "a" * 500, ["x"]):
        assert shelf.uploaded(name) == shelf.uploads / "none"


def test_uploads_that_nobody_reads_go(shelf):
    _, path = shelf.upload()
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    shelf.tidy()
    assert not path.exists()


def test_the_folders_of_killed_servers_go(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone, other = tmp_path / "echosyn-page-4194305-x", tmp_path / f"echosyn-page-{os.getpid()}-x"
    for folder in (gone, other):
        folder.mkdir()
    Shelf(1000, 60.0)
    assert not gone.exists()
    assert other.exists()


def test_removing_leaves_nothing(shelf):
    shelf.put(beating())
    shelf.remove()
    assert not shelf.root.exists()
