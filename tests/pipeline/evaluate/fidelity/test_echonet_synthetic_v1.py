"""The protocol ``echonet-synthetic-v1`` against StyleGAN-V's procedure, written out step by step on folders of PNGs.

The feature networks are replaced by small fixed ones; what is tested is which frames reach them, in which order, how many, and
what becomes of the features.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import linalg

from echosyn import rng
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.pipeline.evaluate.fidelity import protocols
from echosyn.pipeline.evaluate.fidelity.extraction import chosen_frames
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Space
from echosyn.pipeline.evaluate.fidelity.fidelity import check, fidelity
from echosyn.pipeline.evaluate.fidelity.video_sets import Item

SIZE = 32
VIEW = np.random.default_rng(0).normal(size=(SIZE * SIZE, 5)) / SIZE
HEAD = np.random.default_rng(1).normal(size=(5, 7)) / 20
SEED = 3


def image_network(images: np.ndarray) -> np.ndarray:
    """``(n, H, W)`` uint8 -> ``(n, 5)``."""
    return (images.reshape(len(images), -1).astype(np.float64) @ VIEW).astype(np.float32)


def video_network(clip: np.ndarray) -> np.ndarray:
    """``(T, H, W)`` uint8 -> ``(1, 5)``; knows the order of the frames."""
    weights = np.linspace(1, 2, len(clip)) / len(clip)
    return (image_network(clip).astype(np.float64).T @ weights).astype(np.float32)[None]


SPACES = {
    "inception-v3": Space("inception-v3", "0", "frames", lambda x, fps: image_network(x), lambda f: f @ HEAD),
    "i3d": Space("i3d", "1", "clip", lambda x, fps: video_network(x)),
}


def write(folder: Path, lengths: dict[str, int], seed: int, padded: bool = True) -> None:
    for i, (name, length) in enumerate(lengths.items()):
        (folder / name).mkdir(parents=True)
        frames = np.random.default_rng((seed, i)).integers(0, 256, (length, SIZE, SIZE), np.uint8)
        for t, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / name / (f"{t:06d}.png" if padded else f"{t}.png"))


@pytest.fixture(scope="module")
def small() -> protocols.Protocol:
    """The protocol with counts that fit a test: 4 videos for 2,048, 30 images for 50,000, clips of 4 and 12 for 16 and 128."""
    published = protocols.load("echonet-synthetic-v1")
    samplings = {
        "images": published.samplings["images"].model_copy(update={"max_synthetic_images": 30}),
        "clip16": published.samplings["clip16"].model_copy(update={"num_frames": 4, "max_videos": 4}),
        "clip128": published.samplings["clip128"].model_copy(update={"num_frames": 12, "max_videos": 4}),
    }
    return published.model_copy(update={"size": SIZE, "inception_count": 30, "samplings": samplings})


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """As the program: sums in float64, covariances over n, a matrix square root."""
    (m1, c1), (m2, c2) = (
        (f.mean(axis=0), f.T @ f / len(f) - np.outer(f.mean(axis=0), f.mean(axis=0)))
        for f in (x.astype(np.float64), y.astype(np.float64))
    )
    root = linalg.sqrtm(c2 @ c1)
    return float(np.real(((m2 - m1) ** 2).sum() + np.trace(c1 + c2 - 2 * root)))


def pictures(folder: Path) -> list[np.ndarray]:
    """All images in the order of their paths as text."""
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    return [np.asarray(Image.open(folder / path)) for path in paths]


def videos(folder: Path) -> list[tuple[Path, np.ndarray]]:
    """Folders in the order of their names, frames in the order of theirs, as text."""
    return [
        (d, np.stack([np.asarray(Image.open(p)) for p in sorted(d.iterdir(), key=lambda p: p.name)]))
        for d in sorted(folder.iterdir(), key=lambda d: f"{d.name}/")
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("frames")
    # names that text sorts otherwise than numbers do; one real video is too short for the long clip, one for both
    write(root / "real", {"v10": 14, "v2": 16, "v3": 12, "v1": 13, "v4": 15, "short": 3, "middle": 8}, seed=1)
    write(root / "synthetic", {"s2": 13, "s10": 12, "s1": 14, "s3": 12, "s0": 16}, seed=2, padded=False)
    return root / "real", root / "synthetic"


def test_fid_takes_all_real_frames_and_the_first_synthetic_ones(folders, small, tmp_path):
    real, synthetic = folders
    x, y = image_network(np.stack(pictures(real))), image_network(np.stack(pictures(synthetic)[:30]))
    found = fidelity(real, synthetic, tmp_path, small, given=SPACES, seed=SEED)["numbers"]
    fid = found["frechet/inception-v3/images"]
    assert (len(x), len(y)) == (81, 30)
    assert fid["name"] == "FID"
    assert fid["value"] == pytest.approx(frechet(x, y), rel=1e-6)
    assert fid["rows"] == 30
    p = np.exp(y.astype(np.float64) @ HEAD)
    p /= p.sum(axis=1, keepdims=True)
    parts = [p[i * 3 : (i + 1) * 3] for i in range(10)]
    scores = [np.exp((q * (np.log(q) - np.log(q.mean(axis=0)))).sum(axis=1).mean()) for q in parts]
    score = found["inception_score/inception-v3/images"]
    assert score["value"] == pytest.approx(np.mean(scores), rel=1e-6)
    assert score["spread"] == pytest.approx(np.std(scores), rel=1e-6)


@pytest.mark.parametrize(("name", "length"), [("clip16", 4), ("clip128", 12)])
def test_fvd_takes_a_clip_anywhere_of_the_first_real_videos_and_the_first_clip_of_synthetic_ones(
    name, length, folders, small, tmp_path
):
    real, synthetic = folders
    long_enough = [(d, frames) for d, frames in videos(real) if len(frames) >= length][:4]
    x = []
    for folder, frames in long_enough:
        digest = Item(folder.name, folder, folder.name).digest
        last = len(frames) - length
        start = int(rng.numpy_generator(rng.key(SEED, digest), "clip start").integers(last + 1))
        x.append(video_network(frames[start : start + length])[0])
    y = [video_network(frames[:length])[0] for _, frames in videos(synthetic)[:4]]
    found = fidelity(real, synthetic, tmp_path, small, given=SPACES, seed=SEED)["numbers"][f"frechet/i3d/{name}"]
    assert found["name"] == {"clip16": "FVD16", "clip128": "FVD128"}[name]
    assert found["value"] == pytest.approx(frechet(np.stack(x), np.stack(y)), rel=1e-6)
    assert (found["n"], found["n_real"]) == (4, 4)


def test_subsampling_may_start_up_to_the_last_frame_that_fits():
    sampling = protocols.Sampling(num_frames=3, step=4, start="random")
    found = [chosen_frames(13, None, sampling, "real", 0, f"{i}") for i in range(200)]
    starts = {int(f[0]) for f in found if f is not None}
    # randint(0, n - 3 * 4 + 4 - 1): the frames after the last one of the clip need not be there
    assert starts == {0, 1, 2, 3, 4}
    assert all(np.diff(f).tolist() == [4, 4] for f in found if f is not None)
    assert chosen_frames(11, None, sampling, "real", 0, "") is None


def test_the_published_counts():
    published = protocols.load("echonet-synthetic-v1")
    samplings = published.samplings
    assert samplings["images"].max_synthetic_images == published.inception_count == 50_000
    assert (samplings["clip16"].num_frames, samplings["clip16"].max_videos) == (16, 2048)
    assert (samplings["clip128"].num_frames, samplings["clip128"].max_videos) == (128, 2048)
    assert published.population_covariance
    assert (published.size, published.resize, published.inception_splits) == (112, False, 10)


def test_nothing_is_resized_and_a_short_synthetic_video_ends_it(small, folders, tmp_path):
    real, synthetic = folders
    other = small.model_copy(update={"size": 64})
    with pytest.raises(DataError, match="32x32 pixels, but echonet-synthetic-v1 takes 64x64 only"):
        fidelity(real, synthetic, tmp_path / "a", other, given=SPACES)
    write(tmp_path / "short", {"s0": 12, "s1": 5}, seed=2)
    with pytest.raises(DataError, match="5 frames, too short for 12 frames"):
        fidelity(real, tmp_path / "short", tmp_path / "b", small, given=SPACES)


def test_an_inception_score_of_too_few_images_is_empty_and_says_so(small, folders, tmp_path):
    few = small.model_copy(update={"inception_count": 1000})
    found = fidelity(*folders, tmp_path, few, given=SPACES)["numbers"]["inception_score/inception-v3/images"]
    assert found["value"] is None
    assert "leave some of the 10 parts of 100 images empty" in found["reason"]


def flat(source: Path, folder: Path) -> Path:
    """All images of folders in one folder, each a still."""
    folder.mkdir()
    for path in source.rglob("*.png"):
        (folder / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("metrics", [None, "fid50k_full,is50k", "FID"])
def test_stills_have_the_numbers_of_images_and_need_no_video_network(folders, small, tmp_path, metrics):
    real, synthetic = folders[0], flat(folders[1], tmp_path / "stills")
    images = {"inception-v3": SPACES["inception-v3"]}
    found = fidelity(real, synthetic, tmp_path / "f", small, given=images, seed=SEED, metrics=metrics)["numbers"]
    x, y = image_network(np.stack(pictures(real))), image_network(np.stack(pictures(synthetic)[:30]))
    assert found["frechet/inception-v3/images"]["value"] == pytest.approx(frechet(x, y), rel=1e-6)
    names = {number["name"] for number in found.values()}
    assert names == {None: {"FID", "IS", "FVD16", "FVD128"}, "FID": {"FID"}}.get(metrics, {"FID", "IS"})
    empty = [number for number in found.values() if number["value"] is None]
    assert [number["reason"] for number in empty] == ["the synthetic side is stills, which do not move"] * len(empty)
    assert len(empty) == (2 if metrics is None else 0)


def test_numbers_alone_are_what_they_are_among_all(folders, small, tmp_path):
    every = fidelity(*folders, tmp_path / "all", small, given=SPACES, seed=SEED)
    some = fidelity(*folders, tmp_path / "some", small, given=SPACES, seed=SEED, metrics="FVD16, IS")
    assert some["protocol"] == every["protocol"]
    assert some["numbers"] == {n: v for n, v in every["numbers"].items() if v["name"] in ("FVD16", "IS")}


def test_weights_are_asked_for_only_where_they_are_needed(folders, tmp_path):
    published = protocols.load("echonet-synthetic-v1")
    real, stills = folders[0], flat(folders[1], tmp_path / "stills")
    for sides, metrics, network in (
        ((real, stills), None, "metrics/inception"),
        (folders, "FID,IS", "metrics/inception"),
        (folders, "FVD16", "metrics/i3d"),
    ):
        with pytest.raises(ModelError, match=rf"weights {network} not found"):
            check(published, *sides, metrics=metrics)
    with pytest.raises(ConfigError, match="stills do not move, and every number asked of echonet-synthetic-v1 needs"):
        check(published, real, stills, metrics="FVD16")
    with pytest.raises(
        ConfigError, match=r"--metrics FIDD: echonet-synthetic-v1 has no such number; did you mean 'FID'"
    ):
        check(published, *folders, metrics="FIDD")


def test_stills_beside_folders_are_refused(folders, small, tmp_path):
    mixed = tmp_path / "mixed"
    write(mixed, {"v": 3}, seed=3)
    (mixed / "a.png").write_bytes(next((mixed / "v").iterdir()).read_bytes())
    with pytest.raises(DataError, match="has images and folders of images"):
        fidelity(folders[0], mixed, tmp_path / "f", small, given=SPACES)
