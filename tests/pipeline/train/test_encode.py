"""Encoding: a video's latents depend on the video, the VAE and the seed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import filelist, latents, phantom, video
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError, ModelError
from echosyn.pipeline.folder import read_provenance
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.models import codec
from echosyn.pipeline.train.encode import check_scale, encode
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import EncodeSettings


@pytest.fixture
def vae(video_dataset: Path, tmp_path: Path, build: Callable[..., Any]) -> Path:
    network = build("vae")
    network.register_to_config(scaling_factor=1.0)
    frames = [video.read(path).grey() for path in sorted((video_dataset / "Videos").iterdir())]
    spread = LatentCodec(network, "symmetric").encode(torch.from_numpy(np.concatenate(frames))).std()
    network.register_to_config(scaling_factor=1 / float(spread))
    weights.save(network, tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    return tmp_path / "vae"


def rescale(vae: Path, factor: float) -> None:
    config = json.loads((vae / "config.json").read_text())
    config["scaling_factor"] *= factor
    (vae / "config.json").write_text(json.dumps(config))


def test_the_mean_is_the_codecs_and_a_sample_scatters_around_it(video_dataset: Path, vae: Path, tmp_path: Path) -> None:
    for name, posterior, seed in (("mean", "mean", 0), ("a", "sample", 0), ("b", "sample", 0), ("c", "sample", 1)):
        encode(
            video_dataset,
            tmp_path / name,
            vae,
            EncodeSettings(seed=seed, mean=posterior == "mean"),
            Compute(device="cpu"),
        )
    codec = LatentCodec(weights.load(vae, "vae"), "symmetric")
    for record in filelist.read(video_dataset):
        frames = torch.from_numpy(video.read(video_dataset / "Videos" / f"{record.name}.avi").grey())
        mean, a, b, c = (latents.read(tmp_path / name, record) for name in ("mean", "a", "b", "c"))
        assert torch.allclose(mean, codec.encode(frames), atol=1e-5)
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert not torch.equal(a, mean)
    assert filelist.read(tmp_path / "a") == filelist.read(video_dataset)


def test_the_folder_says_what_made_it(video_dataset: Path, vae: Path, tmp_path: Path) -> None:
    result = encode(video_dataset, tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu"))
    assert result == {"latents": str(tmp_path / "out"), "videos": 6}
    facts = latents.info(tmp_path / "out")
    assert facts == {"vae": weights.weights_hash(vae), "pixels": "symmetric", "posterior": "sample"}
    assert set(read_provenance(tmp_path / "out")["call"]["inputs"]) == {"dataset", "vae"}


def test_courses_are_those_of_the_hearts(tmp_path: Path, build: Callable[..., Any]) -> None:
    make_phantom(tmp_path / "ph", num=4, seed=3, view="both", num_frames=64, fps=32.0)
    weights.save(build("vae"), tmp_path / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    made = encode(
        tmp_path / "ph",
        tmp_path / "out",
        tmp_path / "vae",
        EncodeSettings(courses=True, any_scale=True),
        Compute(device="cpu"),
    )
    assert made["tracked"] == 4
    for i, record in enumerate(filelist.read(tmp_path / "out")):
        patient = phantom.patient(3, i, view=("A4C", "PSAX")[i % 2], num_frames=64, fps=32.0)
        emptied = (1 - phantom.volumes(patient) / patient.edv) / (patient.ef / 100)
        course = latents.read_course(tmp_path / "out", record)
        assert course is not None
        assert course.dtype == np.float32
        assert np.corrcoef(course, emptied)[0, 1] > 0.85
    encode(tmp_path / "ph", tmp_path / "none", tmp_path / "vae", EncodeSettings(any_scale=True), Compute(device="cpu"))
    assert latents.read_course(tmp_path / "none", record) is None


def test_an_interrupted_encoding_goes_on_and_ends_the_same(video_dataset: Path, vae: Path, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "encode" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(video_dataset, tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu", progress=stop))
    first = tmp_path / "out.partial" / "Latents" / "v00.safetensors"
    written = first.stat().st_mtime_ns
    encode(video_dataset, tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu"))
    encode(video_dataset, tmp_path / "straight", vae, EncodeSettings(), Compute(device="cpu"))
    assert (tmp_path / "out" / "Latents" / "v00.safetensors").stat().st_mtime_ns == written
    for record in filelist.read(video_dataset):
        one, other = (latents.path(tmp_path / name, record).read_bytes() for name in ("out", "straight"))
        assert one == other


def test_nothing_is_left_of_an_encoding_that_cannot_be(vae: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        encode(tmp_path / "none", tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu"))
    assert [p.name for p in tmp_path.iterdir()] == ["vae"]


# The latent scale


@pytest.mark.parametrize("factor", [0.18215, 0.4, 2.5, 5.5])
def test_a_wrong_scale_is_refused_before_anything_is_written(
    factor: float, video_dataset: Path, vae: Path, tmp_path: Path
) -> None:
    rescale(vae, factor)
    with pytest.raises(ModelError, match=r"standard deviation of .*, expected about 1 .*encode with --any-scale"):
        encode(video_dataset, tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu"))
    assert [p.name for p in tmp_path.iterdir()] == ["vae"]
    result = encode(video_dataset, tmp_path / "out", vae, EncodeSettings(any_scale=True), Compute(device="cpu"))
    assert "expected about 1" in result["warning"]


def test_a_published_vae_is_only_remarked_on(video_dataset: Path, vae: Path, tmp_path: Path) -> None:
    rescale(vae, 0.3)
    (vae / "echosyn.json").unlink()  # folders of others have none
    result = encode(video_dataset, tmp_path / "out", vae, EncodeSettings(), Compute(device="cpu"))
    assert result["videos"] == 6
    assert read_provenance(tmp_path / "out")["warnings"] == [result["warning"]]


@pytest.mark.parametrize("spread", [0.0, 0.49, 2.01, float("nan"), float("inf")])
def test_beyond_a_factor_of_two_is_wrong(spread: float) -> None:
    with pytest.raises(ModelError):
        check_scale(spread, Path("vae"), must_fit=True)
    assert check_scale(spread, Path("vae"), must_fit=False)


def test_small_deviations_raise_no_question() -> None:
    assert [check_scale(s, Path("vae"), must_fit=True) is None for s in (0.6, 0.81, 1.0, 1.24, 1.9)] == [
        False, True, True, True, False,
    ]  # fmt: skip


def test_frames_are_counted_and_what_a_raw_list_lacks_is_filled_in(
    video_dataset: Path, vae: Path, tmp_path: Path
) -> None:
    """A list as EchoNet-Pediatric's (folds, no counts, no rates) and one with a wrong count."""
    raw, whole = tmp_path / "raw", filelist.read(video_dataset)
    raw.mkdir()
    (raw / "Videos").symlink_to(video_dataset / "Videos")
    rows = [f"{r.name}.avi,{r.ef},{fold}" for r, fold in zip(whole, "018923", strict=True)]
    (raw / filelist.FILE_LIST).write_text("FileName,EF,Split\n" + "\n".join(rows) + "\n")
    encode(raw, tmp_path / "latents", vae, EncodeSettings(any_scale=True), Compute(device="cpu"))
    found = filelist.read(tmp_path / "latents")
    facts = [(r.name, r.num_frames, r.fps, r.height, r.width) for r in whole]
    assert [(r.name, r.num_frames, r.fps, r.height, r.width) for r in found] == facts
    assert [r.cell("Fold") for r in found] == list("018923")
    filelist.write(raw, [replace(r, num_frames=(r.num_frames or 0) + 7) for r in whole])
    encode(raw, tmp_path / "again", vae, EncodeSettings(any_scale=True), Compute(device="cpu"))
    assert filelist.read(tmp_path / "again") == whole


def test_grey_is_read_as_opencv_reads_it_where_that_is_asked_for(
    vae: Path, write_as_opencv: Callable[..., None], video_dataset: Path, tmp_path: Path
) -> None:
    dataset = tmp_path / "dataset"
    (dataset / "Videos").mkdir(parents=True)
    (record, *_) = filelist.read(video_dataset)
    filelist.write(dataset, [record])
    levels = video.read(filelist.video_path(video_dataset, record)).grey()
    write_as_opencv(dataset / "Videos" / f"{record.name}.avi", levels, 32)
    encoder = codec(vae, torch.device("cpu"))
    for grey in ("luma", "rgb"):
        asked = EncodeSettings(mean=True, any_scale=True, grey=grey)  # type: ignore[arg-type]
        encode(dataset, tmp_path / grey, vae, asked, Compute(device="cpu"))
        seen = video.read(filelist.video_path(dataset, record), grey=grey == "luma").grey()
        expected = encoder.encode(torch.from_numpy(seen))
        torch.testing.assert_close(latents.read(tmp_path / grey, record), expected)
    assert not torch.equal(latents.read(tmp_path / "rgb", record), latents.read(tmp_path / "luma", record))
    assert "grey" not in read_provenance(tmp_path / "luma")["call"]["settings"]
