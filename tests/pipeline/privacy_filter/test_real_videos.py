"""Real patients: one way in for files and latents, and real clips' copies are found."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import rng, weights
from echosyn.data import filelist, latents, video
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.pipeline.models import codec as codec_of
from echosyn.pipeline.models import embed as embed_by
from echosyn.pipeline.privacy_filter import real_videos
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.real_videos import (
    Reading,
    RealVideos,
    digest_of,
    frames_of,
    from_latents,
    from_videos,
)
from echosyn.pipeline.privacy_filter.reference_frames import of_latents
from echosyn.pipeline.workers.executors import InProcess
from echosyn.privacy import screen as screening
from echosyn.privacy.fingerprints import Embed
from echosyn.privacy.positive_controls import DENSE, in_pixels
from echosyn.privacy.screen import Calibration, Screen, most_held_out, video_screen
from echosyn.privacy.video_digests import DigestFile, VideoDigest

PLAIN = Calibration()
CLIPS = Path(__file__).parents[4] / "shared" / "clips"


class Pooling:
    """A codec whose latents are pixels averaged over 8 x 8, four times; its decoding is the nearest picture."""

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(frames.float()[:, None] / 64 - 2, 8).expand(-1, 4, -1, -1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        grey = ((latents[:, :1] + 2) * 64).clamp(0, 255).repeat_interleave(8, 2).repeat_interleave(8, 3)
        return grey.permute(0, 2, 3, 1).to(torch.uint8)


def embed(latents: torch.Tensor) -> torch.Tensor:
    """Coarse shapes, for want of a trained network."""
    return latents[:, 0].flatten(1)


def built(archive: RealVideos, embed: Embed, how: Calibration = PLAIN) -> Screen[Sequence[VideoDigest]]:
    owners, is_train = [r.patient for r in archive.records], [r.split == "TRAIN" for r in archive.records]
    return video_screen(archive.digests, owners, is_train, embed, how)


def write(folder: Path, record: Record, frames: np.ndarray[Any, Any]) -> None:
    (folder / "Videos").mkdir(parents=True, exist_ok=True)
    assert record.fps
    video.write_avi(folder / "Videos" / f"{record.name}.avi", frames, record.fps)


def film(seed: int, num: int = 48) -> np.ndarray[Any, Any]:
    coarse = rng.numpy_generator(seed, "film").integers(0, 256, (num, 7, 7), np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


def test_files_and_their_latents_look_alike(tmp_path: Path) -> None:
    codec: Any = Pooling()
    record = Record("a", fps=32.0, num_frames=48, height=112, width=112)
    write(tmp_path / "real", record, film(0))
    filelist.write(tmp_path / "real", [record])
    frames = torch.from_numpy(video.read(tmp_path / "real" / "Videos" / "a.avi").grey())
    latents.write(tmp_path / "latents", record, codec.encode(frames))
    latents.write_info(tmp_path / "latents", vae="a")
    readers = from_videos(tmp_path / "real", codec), from_latents(tmp_path / "latents", codec)
    for every, between in ((False, 0), (True, 36)):
        one, other = (read(record, every) for read in readers)
        assert one.thumbnails.shape == other.thumbnails.shape == (12, 28, 28)
        assert one.between.shape == other.between.shape == (between, 28, 28)
        assert torch.equal(one.latents, other.latents)
        assert (one.every - other.every).abs().mean() < 6


def test_latents_of_every_eighth_frame_are_compared_with_stills_as_all_are_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    records = [Record(str(i), split="TRAIN" if i < 2 else "VAL", fps=32.0, num_frames=50) for i in range(3)]
    for name, every in (("all", 1), ("sparse", 8)):
        for i, record in enumerate(records):
            latents.write(tmp_path / name, record, rng.normal((50, 4, 2, 2), i, "latents", [0])[0][::every])
        filelist.write(tmp_path / name, records)
        latents.write_info(tmp_path / name, vae="a", **({} if every == 1 else {"every": every}))
    whole, sparse = (of_latents(tmp_path / name) for name in ("all", "sparse"))
    for ours, theirs in ((sparse.train, whole.train), (sparse.held_out, whole.held_out)):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert latents.info(tmp_path / "all")["vae"] == "a"
    for use in (latents.info, lambda folder: from_latents(folder, Pooling())):  # type: ignore[arg-type]
        with pytest.raises(DataError, match="holds every 8th frame only"):
            use(tmp_path / "sparse")


def test_of_whom_the_threshold_is_made_every_frame_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out patients, and those TRAIN patients who set the scales: as finished videos are seen."""
    codec: Any = Pooling()
    records = [Record(str(i), split="TRAIN" if i < 3 else "VAL", fps=32.0) for i in range(5)]
    for i, record in enumerate(records):
        write(tmp_path / "real", record, film(i))
    monkeypatch.setattr(real_videos, "codec", lambda *_: codec)
    monkeypatch.setattr(screening, "SCALE_PATIENTS", 2)
    scale = screening.scale_videos([r.split == "TRAIN" for r in records])
    read = Reading(tmp_path, tmp_path / "real", device="cpu", every=frozenset(scale)).start()
    assert [len(read(item).every) for item in enumerate(records)] == [48, 12, 48, 48, 48]


def test_an_archive_needs_both_sides() -> None:
    empty = VideoDigest(torch.zeros(1, 28, 28), torch.zeros(1, 4, 14, 14))
    with pytest.raises(DataError, match="1 TRAIN and 0 held-out"):
        RealVideos([Record("a")], [empty])
    with pytest.raises(DataError, match="0 TRAIN and 1 held-out"):
        RealVideos([Record("a", split="VAL")], [empty])


def test_blank_and_frozen_videos_are_judged_and_do_not_crash(tmp_path: Path) -> None:
    codec: Any = Pooling()
    digests = [digest_of(torch.from_numpy(film(i))[::4], codec) for i in range(8)]
    records = [Record(str(i), split="TRAIN" if i < 5 else "VAL") for i in range(8)]
    screen = built(RealVideos(records, digests), lambda x: embed(x) + 0.01 * torch.arange(196))
    blank = digest_of(torch.zeros(12, 112, 112, dtype=torch.uint8), codec)
    frozen = digest_of(torch.from_numpy(film(50))[:1].expand(12, -1, -1), codec)
    judged = screen.judge([blank, frozen, digests[2]])
    assert judged.kept.tolist()[2] is False
    assert judged.nearest[2] == "2"
    assert torch.isfinite(judged.score).all()


@pytest.mark.slow
def test_in_files_it_decides_as_in_memory(tmp_path: Path) -> None:
    codec: Any = Pooling()
    records = [Record(str(i), split="TRAIN" if i < 9 else "VAL") for i in range(15)]
    for i, record in enumerate(records):
        write(tmp_path / "real", replace(record, fps=32.0), film(i))
    read = from_videos(tmp_path / "real", codec)
    plain, filed = (
        RealVideos(records, [read(record, False) for record in records]),
        DigestFile(tmp_path / "looks", len(records)),
    )
    for i in reversed(range(len(records))):
        filed.put(i, read(records[i], False))
    screens = [
        built(plain, embed),
        built(RealVideos(records, filed.digests), embed, Calibration(folder=tmp_path / "a")),
        built(plain, embed, Calibration(folder=tmp_path / "b", match=Matcher(InProcess(2), tmp_path))),
    ]
    strangers = [digest_of(torch.from_numpy(film(i))[::4], codec) for i in range(50, 53)]
    expected = screens[0].judge([*strangers, *plain.digests[:4]])
    for screen in screens[1:]:
        assert screen.threshold == screens[0].threshold
        judged = screen.judge([*strangers, *plain.digests[:4]])
        assert torch.equal(judged.score, expected.score)
        assert judged.nearest == expected.nearest
    assert not expected.kept[3:].any()


def test_few_of_many_held_out_videos_set_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    codec: Any = Pooling()
    digests = [digest_of(torch.from_numpy(film(i))[::4], codec) for i in range(12)]
    records = [Record(str(i), split="TRAIN" if i < 4 else "VAL") for i in range(12)]
    monkeypatch.setattr(screening, "most_held_out", lambda rate: 4)
    found = built(RealVideos(records, digests), embed)
    assert found.held_out_patients == ["4", "6", "9", "11"], "evenly, the first and the last too"
    assert found.threshold.num_patients == 4
    assert set(found.gallery.patients) == {str(i) for i in range(12)}, "all are compared with"
    assert [most_held_out(rate) for rate in (0.5, 0.05, 0.001)] == [2000, 2000, 10_000]


@pytest.mark.skipif(not (CLIPS / "labels.csv").is_file(), reason="the real clips are not here")
def test_copies_of_three_real_patients_are_caught() -> None:
    models = weights.find_all(weights.shipped(), ("vae", "reid"))
    codec, network = codec_of(models["vae"], torch.device("cpu")), weights.load(models["reid"], "reid")
    paths = sorted(CLIPS.glob("*.mp4"))
    digests = [digest_of(frames_of(path), codec) for path in paths]
    records = [Record(p.stem, split="TRAIN" if i < 3 else "VAL") for i, p in enumerate(paths)]
    screen = built(RealVideos(records, digests), lambda x: embed_by(network, x))
    assert not screen.threshold.enough, "two strangers prove nothing about calibration"
    dense = [frames_of(path, DENSE) for path in paths[:3]]
    missed = []
    for control in (c for c in in_pixels() if c.must is not None):
        for i, frames in enumerate(dense):
            made = control.change(frames, dense[i - 1], rng.generator(0, control.kind, i))
            judged = screen.judge([digest_of(made[::2], codec)])
            if judged.kept[0] or judged.nearest[0] != paths[i].stem:
                missed.append((control.kind, control.strength, i))
    assert not missed
