"""The item at position g depends on (seed, g) alone, and every epoch shows everything once."""

from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.data import filelist, latents
from echosyn.data.loading import Clips, Frames, LatentClips, Pairs, Positions, Recent, Shuffle, pixel_clip
from echosyn.data.records import Record
from echosyn.errors import DataError


def pixels(record: Record) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Frame ``i`` of video ``v`` holds ``10 v + i``."""
    assert record.num_frames
    levels = 10 * int(record.name[1:]) + np.arange(record.num_frames)
    return np.broadcast_to(levels[:, None, None], (record.num_frames, 8, 8)).astype(np.uint8)


RECORDS = [Record(f"v{i}", ef=10.0 * i, fps=32.0, num_frames=3 + i) for i in range(5)]


def frame_of(folder: Path) -> Any:
    """Latent frames, unchanged by the draws."""
    return lambda record, draws: latents.drawn(folder, record, draws)


def streams(folder: Path, seed: int = 0) -> dict[str, Any]:
    records = filelist.read(folder)
    return {
        "frames": Frames(RECORDS, pixels, 2, seed),
        "clips": Clips(RECORDS, pixels, 32.0, 4, seed),
        "latent clips": LatentClips(folder, records, 32.0, 8, seed),
        "pairs": Pairs(records, frame_of(folder), 0.5, seed),
    }


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


# Order


@given(st.integers(1, 40), st.integers(0, 99), st.integers(0, 5))
def test_every_epoch_visits_each_item_once(num_items: int, seed: int, epoch: int) -> None:
    shuffle = Shuffle(num_items, seed)
    visited = [shuffle[g] for g in range(epoch * num_items, (epoch + 1) * num_items)]
    assert sorted(visited) == list(range(num_items))


@given(st.integers(1, 40), st.integers(0, 99), st.lists(st.integers(0, 500), max_size=9))
def test_the_order_does_not_depend_on_what_was_asked_before(num_items: int, seed: int, asked: list[int]) -> None:
    used = Shuffle(num_items, seed)
    assert [used[g] for g in asked] == [Shuffle(num_items, seed)[g] for g in asked]


def test_epochs_and_seeds_have_different_orders():
    orders = {tuple(Shuffle(20, seed)[e * 20 + i] for i in range(20)) for seed in range(3) for e in range(3)}
    assert len(orders) == 9


def test_nothing_to_train_on_is_said():
    with pytest.raises(DataError, match="no video of split TRAIN"):
        Shuffle(0, 0)


@given(st.integers(0, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_processes_share_every_batch(first: int, steps: int, share: int, processes: int) -> None:
    batch = share * processes
    split = [Positions(first * batch, (first + steps) * batch, batch, p, processes) for p in range(processes)]
    assert sorted(chain(*split)) == list(range(first * batch, (first + steps) * batch))
    for step in range(steps):
        parts = [list(p)[step * share : (step + 1) * share] for p in split]
        assert sorted(chain(*parts)) == list(range((first + step) * batch, (first + step + 1) * batch))


def test_one_process_has_every_position():
    positions = Positions(3, 11, 4)
    assert list(positions) == list(range(3, 11))
    assert len(positions) == 8


# Items


@pytest.mark.parametrize("kind", ["frames", "clips", "latent clips", "pairs"])
def test_an_item_depends_on_seed_and_position_alone(kind: str, latents_folder: Path) -> None:
    stream = streams(latents_folder)[kind]
    forward = [stream[g] for g in range(30)]
    backward = [streams(latents_folder)[kind][g] for g in reversed(range(30))]
    assert all(equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))
    assert [item["index"] for item in forward] == list(range(30))
    other = [streams(latents_folder, seed=1)[kind][g] for g in range(30)]
    assert not all(equal(a, b) for a, b in zip(forward, other, strict=True))


def test_frames_are_every_nth_frame_of_every_video_once_an_epoch():
    stream = Frames(RECORDS, pixels, 2, 0)
    expected = [10 * v + i for v, r in enumerate(RECORDS) for i in range(0, r.num_frames or 0, 2)]
    for epoch in range(2):
        seen = [int(stream[epoch * len(expected) + g]["frames"][0, 0]) for g in range(len(expected))]
        assert sorted(seen) == expected


def test_clips_carry_the_ef_of_their_video_and_end_in_black():
    stream = Clips([*RECORDS, Record("v9", fps=32.0, num_frames=9)], pixels, 32.0, 4, 0)
    seen = Counter()
    for g in range(25):
        item = stream[g]
        video = round(item["ef"] / 10)
        seen[video] += 1
        levels = item["clip"][:, 0, 0].tolist()
        count = min(4, 3 + video)
        start = levels[0] - 10 * video
        assert levels[:count] == [10 * video + start + i for i in range(count)]
        assert levels[count:] == [0] * (4 - count)
        assert 0 <= start <= max(0, 3 + video - 4)
    assert seen == dict.fromkeys(range(5), 5)  # v9 has no EF


def test_latent_clips_are_padded_by_zeros_and_masked_there(latents_folder: Path) -> None:
    records = filelist.read(latents_folder)
    stream, lengths = LatentClips(latents_folder, records, 32.0, 8, 0, [{"ef": r.ef or 0.0} for r in records]), set()
    for g in range(40):
        item = stream[g]
        video = int(item["still"][0, 0, 0])
        record = records[video]
        length = int(item["mask"].sum())
        lengths.add(length)
        assert record.num_frames
        assert record.fps
        assert length == min(8, int(record.num_frames * 32 / record.fps + 1e-6))
        assert item["mask"].tolist() == [1.0] * length + [0.0] * (8 - length)
        assert (item["latents"][:, length:] == 0).all()
        assert (item["latents"][0, :length, 0, 0].int() == video).all()
        assert item["ef"] == record.ef
        assert item["latents"].shape == (4, 8, 4, 4)
    assert lengths == {5, 8}


def test_clips_and_stills_reach_the_whole_video(latents_folder: Path) -> None:
    last = [filelist.read(latents_folder)[-1]]
    stream = LatentClips(latents_folder, last, 50.0, 8, 0)
    assert last[0].num_frames == 41
    items = [stream[g] for g in range(300)]
    starts, shown = (
        {round(100 * (float(v) - 9)) for v in values}
        for values in ([i["latents"][0, 0, 0, 0] for i in items], [i["still"][0, 0, 0] for i in items])
    )
    assert starts == set(range(34))
    assert shown == set(range(41))


def test_half_of_the_pairs_are_of_one_patient(latents_folder: Path) -> None:
    stream = Pairs(filelist.read(latents_folder), frame_of(latents_folder), 0.5, 0)
    items = [stream[g] for g in range(600)]
    for item in items:
        assert item["patient"] == int(item["a"][0, 0, 0])
        assert (item["patient"] == int(item["b"][0, 0, 0])) == bool(item["same"])
    same = sum(item["same"] for item in items)
    assert 250 < same < 350  # four standard deviations of a fair coin
    others = Counter((int(i["b"][0, 0, 0]) - int(i["a"][0, 0, 0])) % 10 for i in items if not i["same"])
    assert set(others) == set(range(1, 10))


def test_two_videos_of_a_patient_are_one_patient(latents_folder: Path) -> None:
    records = [replace(r, extra={"PatientId": f"p{i // 3}"}) for i, r in enumerate(filelist.read(latents_folder)[:6])]
    stream = Pairs(records, frame_of(latents_folder), 0.5, 0)
    videos: Counter[tuple[int, int]] = Counter()
    for g in range(200):
        item = stream[g]
        a, b = (int(item[side][0, 0, 0]) for side in "ab")
        assert item["patient"] == a // 3
        assert (a // 3 == b // 3) == bool(item["same"])
        videos[a, b] += 1
    assert set(videos) == {(a, b) for a in range(6) for b in range(6)}


def test_pairs_of_one_patient_alone_show_every_patient_once_an_epoch(latents_folder: Path) -> None:
    stream = Pairs(filelist.read(latents_folder), frame_of(latents_folder), 1.0, 0)
    items = [stream[g] for g in range(20)]
    assert all(int(i["b"][0, 0, 0]) == i["patient"] and i["same"] == 1 for i in items)
    assert sorted(i["patient"] for i in items[:10]) == sorted(i["patient"] for i in items[10:]) == list(range(10))


# Mistakes


def test_one_patient_cannot_be_told_apart(latents_folder: Path) -> None:
    one = [replace(r, extra={"PatientId": "p"}) for r in filelist.read(latents_folder)]
    with pytest.raises(DataError, match=r"1 TRAIN patient\(s\).*at least 2"):
        Pairs(one, frame_of(latents_folder), 0.5, 0)


def test_unknown_lengths_name_the_cure():
    broken = [replace(RECORDS[0], fps=None), replace(RECORDS[1], num_frames=None), RECORDS[2]]
    with pytest.raises(DataError, match=r"unknown for 2 video\(s\), first v0: complete .* `echosyn import`"):
        Frames(broken, pixels, 1, 0)


def test_a_missing_latent_file_is_named(latents_folder: Path) -> None:
    stream = LatentClips(latents_folder, [Record("gone", ef=1.0, fps=32.0, num_frames=9)], 32.0, 8, 0)
    with pytest.raises(DataError, match="gone"):
        stream[0]
    assert not latents.path(latents_folder, Record("gone")).exists()


# Memory


def test_recent_recordings_are_decoded_once_within_bounded_memory():
    read: list[str] = []

    def slow(record: Record) -> Any:
        read.append(record.name)
        return np.zeros((10, 1, 1), np.uint8)

    recent = Recent(slow, max_bytes=25)
    for i in (0, 1, 0, 2, 0, 1, 3):
        recent(RECORDS[i])
    assert read == ["v0", "v1", "v2", "v1", "v3"]  # 1 was the oldest when 2 came, 0 stayed


def test_a_recording_larger_than_the_memory_is_still_read():
    recent = Recent(lambda r: np.zeros((10, 1, 1), np.uint8), max_bytes=5)
    assert len(recent(RECORDS[0])) == len(recent(RECORDS[1])) == 10


def test_pixel_clips_are_black_after_the_last_frame():
    clip = pixel_clip(pixels(RECORDS[4]), np.array([1, 3]), 4)
    assert clip[:, 0, 0].tolist() == [41, 43, 0, 0]
    assert clip.dtype == torch.uint8


@pytest.mark.parametrize("said", [2, 5, 1000])
def test_a_file_list_never_decides_how_many_frames_there_are(latents_folder: Path, said: int) -> None:
    """Whatever it says, items are those of the frames that the video or the tensor has, and none is left out of clips."""

    def true(record: Record) -> Any:
        return pixels(RECORDS[int(record.name[1:])])

    wrong = [replace(r, num_frames=said) for r in RECORDS]
    right, clipped = Clips(RECORDS, true, 32.0, 4, 3), Clips(wrong, true, 32.0, 4, 3)
    assert all(equal(right[g], clipped[g]) for g in range(20))
    frames = Frames(wrong, true, 2, 0)
    seen = {int(frames[g]["frames"][0, 0]) for g in range(len(wrong) * said)}
    assert seen <= {10 * v + i for v, r in enumerate(RECORDS) for i in range(0, r.num_frames or 0, 2)}
    records = filelist.read(latents_folder)
    listed = [replace(r, num_frames=said) for r in records]
    stills = LatentClips(latents_folder, records, 32.0, 8, 0), LatentClips(latents_folder, listed, 32.0, 8, 0)
    assert all(equal(stills[0][g], stills[1][g]) for g in range(20))
    pairs = [Pairs(of, frame_of(latents_folder), 0.5, 0) for of in (records, listed)]
    assert all(equal(pairs[0][g], pairs[1][g]) for g in range(20))
