"""Stills, images and settings files as a project of EchoNet-Synthetic has them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from echosyn import rng, weights
from echosyn.data import filelist, images, latents, stills, video
from echosyn.errors import ConfigError, DataError, EchosynError
from echosyn.pipeline.generate.animate import animate
from echosyn.pipeline.generate.decode import decode
from echosyn.pipeline.generate.reproduce import reproduce
from echosyn.pipeline.generate.sample import sample
from echosyn.pipeline.given_stills import as_stills, numbered
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.shards import part
from echosyn.settings.making import AnimateSettings, DecodeSettings, ReproduceSettings, SampleSettings
from published_files import DDPM

ON_CPU = Compute(device="cpu")
CPU = torch.device("cpu")


def settings_file(path: Path, fps: Any = 32, **changed: Any) -> Path:
    """A settings file with what the samplers read of it."""
    content = {"globals": {"target_fps": fps}, "seed": 42, "noise_scheduler": DDPM | changed, "unet": {}}
    path.write_text(yaml.safe_dump(content))
    return path


def files(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if name != "provenance.json"}


def sampled(tmp_path: Path, name: str, lidm: Path, **asked: Any) -> Path:
    sample(tmp_path / name, lidm, SampleSettings(num=3, steps=2, **asked), ON_CPU)
    return tmp_path / name


def animated(out: Path, kept: Path, models: Path, **asked: Any) -> list[Any]:
    how = {"num_frames": 8, "steps": 1} | asked
    animate(kept, out, {"lvdm": models / "lvdm", "vae": models / "vae"}, AnimateSettings(**how), ON_CPU)
    return filelist.read(out)


# Settings files


@pytest.fixture
def training(tmp_path: Path, tiny_models: Path) -> Path:
    """``unet_ema`` folders of running trainings: neither ``config.yaml`` nor scheduler."""
    for stage in ("lidm", "lvdm"):
        folder = tmp_path / "experiments" / stage / "checkpoint-500" / "unet_ema"
        folder.mkdir(parents=True)
        for name in ("config.json", weights.WEIGHTS):
            shutil.copy(tiny_models / stage / name, folder)
    return tmp_path / "experiments"


def test_the_folder_of_a_running_training_samples_with_its_settings_file(training: Path, tmp_path: Path) -> None:
    unet = training / "lidm" / "checkpoint-500" / "unet_ema"
    with pytest.raises(EchosynError, match=r"no scheduler; expected .* or that file as --config"):
        sampled(tmp_path, "without", unet)
    assert not (tmp_path / "without").exists()
    file = settings_file(tmp_path / "dynamic.yaml", fps="original")
    numbers, made = stills.read(sampled(tmp_path, "with", unet, config=file))
    assert numbers == [0, 1, 2]
    assert made.isfinite().all()


def test_the_settings_file_given_wins_over_the_folder_s(training: Path, tmp_path: Path) -> None:
    unet = training / "lidm" / "checkpoint-500" / "unet_ema"
    settings_file(unet / "config.yaml")
    narrow = settings_file(tmp_path / "narrow.yaml", clip_sample_range=0.01)
    same = settings_file(tmp_path / "same.yaml")
    own, given, other = (
        stills.read(sampled(tmp_path, name, unet, **asked))[1]
        for name, asked in (("own", {}), ("given", {"config": same}), ("other", {"config": narrow}))
    )
    assert torch.equal(own, given)
    assert other.abs().max() < 0.5 < own.abs().max()


def test_the_videos_of_a_settings_file_play_at_its_rate(training: Path, tmp_path: Path, tiny_models: Path) -> None:
    kept = sampled(tmp_path, "kept", tiny_models / "lidm")
    file = settings_file(tmp_path / "default.yaml", fps=16)
    models = {"lvdm": training / "lvdm" / "checkpoint-500" / "unet_ema", "vae": tiny_models / "vae"}
    asked = AnimateSettings(num_frames=8, steps=1, config=file)
    animate(kept, tmp_path / "set", models, asked, ON_CPU)
    assert {record.fps for record in filelist.read(tmp_path / "set")} == {16.0}
    assert video.read(next((tmp_path / "set" / "Videos").iterdir())).fps == 16.0


def test_a_settings_file_without_a_schedule_is_refused(tmp_path: Path, tiny_models: Path) -> None:
    (tmp_path / "c.yaml").write_text("seed: 42\n")
    with pytest.raises(ConfigError, match=r"--config .*c\.yaml: has no noise_scheduler block"):
        sampled(tmp_path, "out", tiny_models / "lidm", config=tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="no such settings file"):
        sampled(tmp_path, "out", tiny_models / "lidm", config=tmp_path / "nothing.yaml")


# Latents as .pt


def as_pt(kept: Path, folder: Path) -> Path:
    """The stills of a folder as the published sampler writes them."""
    folder.mkdir()
    for number, latent in zip(*stills.read(kept), strict=True):
        torch.save(latent.clone(), folder / f"sample_{number:06d}.pt")
    return folder


def test_latents_of_a_running_project_are_animated_as_our_own(tmp_path: Path, tiny_models: Path) -> None:
    ours = sampled(tmp_path, "ours", tiny_models / "lidm")
    theirs = as_pt(ours, tmp_path / "theirs")
    animated(tmp_path / "a", ours, tiny_models)
    animated(tmp_path / "b", theirs, tiny_models)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_stills_are_numbered_as_their_names_end(tmp_path: Path) -> None:
    for name in ("sample_000012.pt", "sample_000003.pt"):
        torch.save(torch.zeros(1, 4, 2, 2), tmp_path / name)
    assert {n: path.name for n, path in numbered(tmp_path).items()} == {3: "sample_000003.pt", 12: "sample_000012.pt"}
    assert stills.read(as_stills(tmp_path, tmp_path / "into"))[0] == [3, 12]
    torch.save(torch.zeros(4, 2, 2), tmp_path / "heart.pt")
    assert list(numbered(tmp_path)) == [0, 1, 2]


def test_a_file_that_is_no_latent_is_named(tmp_path: Path, tiny_models: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "ran").touch, ())

    folder = tmp_path / "latents"
    folder.mkdir()
    for content, words in (
        (Code(), "cannot be read safely"),
        ({"a": torch.zeros(1)}, "holds a dict, expected latents"),
        (torch.zeros(7, 4, 4, 4), r"holds a tensor \(7, 4, 4, 4\), expected latents of a still"),
    ):
        torch.save(content, folder / "sample_000000.pt")
        with pytest.raises(DataError, match=rf"sample_000000\.pt: {words}"):
            animated(tmp_path / "out", folder, tiny_models)
        assert not list(tmp_path.glob("out*"))
    assert not (tmp_path / "ran").exists()


def test_latents_of_real_videos_are_read_as_they_lie(latents_folder: Path, tmp_path: Path) -> None:
    records = filelist.read(latents_folder)
    (tmp_path / "Latents").mkdir()
    shutil.copy(latents_folder / "FileList.csv", tmp_path)
    for record in records:
        torch.save(latents.read(latents_folder, record).clone(), tmp_path / "Latents" / f"{record.name}.pt")
    assert latents.info(tmp_path).get("vae") is None
    for record in records:
        assert latents.count(tmp_path, record) == record.num_frames
        assert torch.equal(latents.read(tmp_path, record), latents.read(latents_folder, record))
        assert torch.equal(latents.read(tmp_path, record, [3, 1]), latents.read(latents_folder, record, [3, 1]))
        assert latents.read_course(tmp_path, record) is None


# Images as conditioning


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images_are_encoded_and_animated(suffix: str, tmp_path: Path, tiny_models: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = rng.numpy_generator(0, "stills").integers(0, 256, (3, 8, 8), np.uint8).repeat(4, 1).repeat(4, 2)
    for i, image in enumerate(pixels):
        Image.fromarray(np.stack([image] * 3, axis=-1)).save(folder / f"sample_{i:06d}{suffix}", quality=100)
    records = animated(tmp_path / "set", folder, tiny_models)
    assert [record.name for record in records] == [stills.name(i) for i in range(3)]
    _, made = stills.read(as_stills(folder, tmp_path / "into", tiny_models / "vae"))
    noise = rng.normal((4, 4, 4), 0, "encode still", range(3))
    expected = codec(tiny_models / "vae", CPU).encode(torch.from_numpy(pixels), noise)
    torch.testing.assert_close(made, expected, atol=1e-5 if suffix == ".png" else 0.2, rtol=0)


def test_images_of_unequal_sizes_are_named(tmp_path: Path, tiny_models: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, size in enumerate((32, 40)):
        images.write(folder / f"{i}.png", np.zeros((size, size), np.uint8))
    with pytest.raises(DataError, match=r"1\.png: 40x40 pixels, others are of another size"):
        animated(tmp_path / "out", folder, tiny_models)
    assert not list(tmp_path.glob("out*"))


# Videos


def test_stills_beat_again_where_more_videos_are_asked_for(tmp_path: Path, tiny_models: Path) -> None:
    kept = sampled(tmp_path, "kept", tiny_models / "lidm")
    once = animated(tmp_path / "once", kept, tiny_models)
    more = animated(tmp_path / "more", kept, tiny_models, num=8)
    assert [record.name for record in more] == [stills.name(i) for i in range(8)]
    assert [record.ef for record in more[:3]] == [record.ef for record in once]
    assert len({record.ef for record in more}) == 8
    names = [f"Videos/{record.name}.avi" for record in more]
    found, first = files(tmp_path / "more"), files(tmp_path / "once")
    assert all(found[name] == first[name] for name in names[:3])
    assert len({found[name] for name in names}) == 8


def test_every_published_format_is_written(tmp_path: Path, tiny_models: Path) -> None:
    kept = sampled(tmp_path, "kept", tiny_models / "lidm")
    (record, *_) = animated(tmp_path / "set", kept, tiny_models, num=1, save_as="avi,mp4,gif,jpg,png,pt")
    out = tmp_path / "set"
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"Videos", "mp4", "gif", "jpg", "png", "pt"}
    tensor = torch.load(out / "pt" / f"{record.name}.pt", weights_only=True)
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (8, 32, 32, 3)
    exact = tensor[..., 0].numpy().astype(int)
    for suffix, off in (("png", 0), ("jpg", 8)):
        shown = [images.read(path) for path in images.files(out / suffix / record.name)]
        assert np.abs(np.stack(shown).astype(int) - exact).max() <= off
    assert np.array_equal(video.read(out / "gif" / f"{record.name}.gif").grey(), exact)
    for path in (out / "mp4" / f"{record.name}.mp4", out / "Videos" / f"{record.name}.avi"):
        assert np.abs(video.read(path).grey().astype(int) - exact).mean() < 8


def test_an_unknown_format_is_refused(tmp_path: Path, tiny_models: Path) -> None:
    kept = sampled(tmp_path, "kept", tiny_models / "lidm")
    with pytest.raises(ConfigError, match=r"--save-as webm: expected some of avi,mp4,gif,jpg,png,pt"):
        animated(tmp_path / "out", kept, tiny_models, save_as="avi,webm")
    with pytest.raises(ConfigError, match=r"--save-as gif: expected some of png,jpg,pt"):
        sampled(tmp_path, "out", tiny_models / "lidm", save_as="gif")
    with pytest.raises(ConfigError, match=r"--save-as png: images are decoded by a VAE: give --vae"):
        sampled(tmp_path, "out", tiny_models / "lidm", save_as="png")
    with pytest.raises(ConfigError, match=r"--vae .*: has no effect without images: give --save-as png"):
        sampled(tmp_path, "out", tiny_models / "lidm", save_as="pt", vae=tiny_models / "vae")
    assert not list(tmp_path.glob("out*"))


def test_parts_of_a_set_have_no_further_formats(tmp_path: Path, tiny_models: Path) -> None:
    asked = SampleSettings(num=600, steps=1, save_as="pt")
    with pytest.raises(ConfigError, match=r"--save-as pt: `echosyn merge` joins parts without them"):
        sample(tmp_path / "out", tiny_models / "lidm", asked, Compute(device="cpu", shard=part("1/2")))
    assert not list(tmp_path.glob("out*"))


# Images of stills


def test_sampled_stills_are_written_as_images_and_latents(tmp_path: Path, tiny_models: Path) -> None:
    plain = sampled(tmp_path, "plain", tiny_models / "lidm")
    out = sampled(tmp_path, "out", tiny_models / "lidm", save_as="png,pt", vae=tiny_models / "vae")
    _, made = stills.read(out)
    assert torch.equal(made, stills.read(plain)[1])
    assert torch.equal(stills.read(as_stills(out / "latents", tmp_path / "into"))[1], made)
    decode(plain, tmp_path / "decoded", tiny_models / "vae", DecodeSettings(), ON_CPU)
    assert files(tmp_path / "decoded") == files(out / "images")
    assert [path.name for path in images.files(out / "images")] == [f"{stills.name(i)}.png" for i in range(3)]
    shown = np.stack([images.read(path) for path in images.files(out / "images")])
    expected = codec(tiny_models / "vae", CPU).decode(made)[..., 0].numpy()
    assert np.array_equal(shown, expected)


def test_pt_stills_are_decoded_and_nothing_else_stays(tmp_path: Path, tiny_models: Path) -> None:
    ours = sampled(tmp_path, "ours", tiny_models / "lidm")
    theirs = as_pt(ours, tmp_path / "theirs")
    for source in (ours, theirs):
        decode(source, tmp_path / f"{source.name}-images", tiny_models / "vae", DecodeSettings(), ON_CPU)
    assert files(tmp_path / "ours-images") == files(tmp_path / "theirs-images")


def test_images_are_reconstructed_under_their_paths(tmp_path: Path, tiny_models: Path) -> None:
    source = tmp_path / "source"
    (source / "patient").mkdir(parents=True)
    pixels = rng.numpy_generator(1, "images").integers(0, 256, (2, 32, 32), np.uint8)
    for path, image in zip((source / "a.jpg", source / "patient" / "b.png"), pixels, strict=True):
        images.write(path, image)
    decode(source, tmp_path / "out", tiny_models / "vae", DecodeSettings(image_format="jpg"), ON_CPU)
    assert set(files(tmp_path / "out")) == {"a.jpg", "patient/b.jpg"}
    encoder = codec(tiny_models / "vae", CPU)
    expected = encoder.decode(encoder.encode(torch.from_numpy(pixels[1:])))[0, ..., 0].numpy().astype(int)
    assert np.abs(images.read(tmp_path / "out" / "patient" / "b.jpg").astype(int) - expected).max() <= 8


def test_a_folder_of_neither_is_refused(tmp_path: Path, tiny_models: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no stills"):
        decode(tmp_path / "nothing", tmp_path / "out", tiny_models / "vae", DecodeSettings(), ON_CPU)
    with pytest.raises(DataError, match="no such folder"):
        decode(tmp_path / "absent", tmp_path / "out", tiny_models / "vae", DecodeSettings(), ON_CPU)
    assert not list(tmp_path.glob("out*"))


# Real beside reproduction


def test_a_real_video_stands_beside_its_reproduction(tmp_path: Path, video_dataset: Path, tiny_models: Path) -> None:
    models = {"lvdm": tiny_models / "lvdm", "vae": tiny_models / "vae"}
    asked = ReproduceSettings(num=2, split="TRAIN", num_frames=12, steps=1)
    reproduce(video_dataset, tmp_path / "pairs", models, asked, ON_CPU)
    rows = (tmp_path / "pairs" / "pairs.csv").read_text().splitlines()
    real = {record.name: record for record in filelist.read(video_dataset)}
    names = [row.split(",")[0] for row in rows[1:]]
    assert len(names) == 2
    assert [float(row.split(",")[1]) for row in rows[1:]] == [real[name].ef for name in names]
    for name in names:
        frames = video.read(tmp_path / "pairs" / f"{name}.gif").grey()
        assert frames.shape == (12, 32, 64)
        source = video.read(filelist.video_path(video_dataset, real[name])).grey()
        assert np.array_equal(frames[0, :, :32], source[0])
        assert not np.array_equal(frames[0, :, 32:], frames[-1, :, 32:])


def test_a_reproduction_needs_an_ef_and_its_frame(tmp_path: Path, video_dataset: Path, tiny_models: Path) -> None:
    models = {"lvdm": tiny_models / "lvdm", "vae": tiny_models / "vae"}
    with pytest.raises(DataError, match=r"--frame 400 is none of 0\.\."):
        reproduce(video_dataset, tmp_path / "out", models, ReproduceSettings(frame=400, steps=1), ON_CPU)
    assert not list(tmp_path.glob("out*"))
