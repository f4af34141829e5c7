"""EF of files: each is read alone, a bad one does not stop the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn import rng, weights
from echosyn.data import filelist, video
from echosyn.errors import DataError, ModelError
from echosyn.pipeline.evaluate.predict_ef import ef_reader, predict_ef, predict_files, video_files


@pytest.fixture
def model(build: Callable[..., Any], tmp_path: Path) -> Path:
    weights.save(build("ef"), tmp_path / "models" / "ef", weights.Facts(stage="ef", fps=32.0, num_frames=8))
    return tmp_path / "models" / "ef"


@pytest.fixture
def frames() -> Any:
    return rng.numpy_generator(0, "file").integers(0, 256, (12, 14, 14), np.uint8).repeat(8, 1).repeat(8, 2)


def test_a_file_says_the_same_alone_and_in_a_dataset(model: Path, video_dataset: Path) -> None:
    records = filelist.read(video_dataset)
    together = predict_ef(video_dataset, records, model, num_clips="all", device="cpu")
    alone = [predict_ef(video_dataset, [r], model, num_clips="all", device="cpu") for r in records]
    assert np.allclose(together.ef, [a.ef[0] for a in alone])
    assert together.features.shape == (len(records), 128)
    assert together.ef.std() > 1e-3


def test_avi_mp4_and_gif_say_nearly_the_same(model: Path, frames: Any, tmp_path: Path) -> None:
    video.write_avi(tmp_path / "a.avi", frames, 50.0)
    video.write_mp4(tmp_path / "b.mp4", frames, 50.0)
    video.write_gif(tmp_path / "c.gif", frames, 50.0)
    found = list(predict_files(video_files([tmp_path]), model, device="cpu"))
    assert [f.path.name for f in found] == ["a.avi", "b.mp4", "c.gif"]
    efs = [f.ef for f in found]
    assert all(ef is not None and abs(ef - efs[0]) < 0.5 for ef in efs)
    assert {f.resized_from for f in found} == {None}


def test_a_bad_file_is_named_and_the_others_go_on(model: Path, frames: Any, tmp_path: Path) -> None:
    video.write_avi(tmp_path / "good.avi", frames, 50.0)
    (tmp_path / "bad.avi").write_text("no video")
    files = [tmp_path / name for name in ("bad.avi", "none.avi", "good.avi")]
    bad, none, good = predict_files(files, model, device="cpu")
    assert good.problem is None
    assert good.ef is not None
    for found, said in ((bad, "unreadable"), (none, "missing file")):
        assert found.ef is None
        assert found.problem is not None
        assert found.problem.startswith(f"{found.path}: {said}")
        assert "\n" not in found.problem


def test_another_size_is_resized_as_import_does_and_says_so(model: Path, frames: Any, tmp_path: Path) -> None:
    video.write_avi(tmp_path / "large.avi", frames.repeat(2, 1).repeat(2, 2), 50.0)
    video.write_avi(tmp_path / "usual.avi", frames, 50.0)
    large, usual = predict_files([tmp_path / "large.avi", tmp_path / "usual.avi"], model, device="cpu")
    assert large.resized_from == (224, 224)
    assert large.ef == pytest.approx(usual.ef, abs=0.2)


def test_the_frame_rate_can_be_told(model: Path, frames: Any, tmp_path: Path) -> None:
    for name, fps in (("right.avi", 50.0), ("wrong.avi", 10.0)):
        video.write_avi(tmp_path / name, frames, fps)
    right, wrong = (next(iter(predict_files([tmp_path / f"{n}.avi"], model, device="cpu"))) for n in ("right", "wrong"))
    assert right.ef != wrong.ef
    assert next(iter(predict_files([tmp_path / "wrong.avi"], model, fps=50.0, device="cpu"))).ef == right.ef


def test_folders_are_searched_and_files_come_once(video_dataset: Path, tmp_path: Path) -> None:
    found = video_files([video_dataset, video_dataset / "Videos" / "v00.avi"])
    assert [p.stem for p in found] == [f"v{i:02d}" for i in range(6)]
    with pytest.raises(DataError, match="no videos below it"):
        video_files([tmp_path])


def test_a_folder_of_models_is_good_enough(model: Path, tmp_path: Path) -> None:
    assert ef_reader(model.parent, "cpu").num_frames == 8
    with pytest.raises(ModelError, match="has no ef model"):
        ef_reader(tmp_path, "cpu")
    with pytest.raises(ModelError, match="no such folder"):
        ef_reader(tmp_path / "none", "cpu")
