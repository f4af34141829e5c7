"""A batch for which there is no memory is halved, once and for all; what is not about memory stays as it was."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn.data import stills, video
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import StoppedError
from echosyn.memory import Fitting, is_full
from echosyn.pipeline.generate import animate, sample, tasks
from echosyn.pipeline.generate.animation import EFDistribution, Motion

FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 GiB is free."
)


class Device:
    """Has memory for so many items; remembers how many it was asked for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.asked.append(len(items))
        if len(items) > self.room:
            raise torch.OutOfMemoryError(FULL)
        return [10 * i for i in items]


def test_it_is_halved_until_it_fits_and_that_is_remembered_and_said_once() -> None:
    device, batches = Device(room=3), Fitting(8, "videos")
    with pytest.warns(UserWarning, match="too little memory for 8 videos at a time: taking 2") as said:
        found = [part for some in (range(11), range(11, 15)) for part in batches.over(device, some)]
    assert [i for part in found for i in part] == [10 * i for i in range(15)], "all, in order, none twice"
    assert device.asked == [8, 4, 2, 2, 2, 2, 2, 1, 2, 2]
    assert len(said) == 1


def test_what_fits_is_not_changed() -> None:
    device = Device(room=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Fitting(4, "videos").over(device, range(10))
    assert device.asked == [4, 4, 2]


@pytest.mark.parametrize(("size", "room", "fixed"), [(8, 0, False), (8, 4, True)])
def test_what_can_not_be_halved_ends_in_one_line_and_can_be_continued(size: int, room: int, fixed: bool) -> None:
    with pytest.raises(
        StoppedError, match=r"too little memory for hearts, [18] at a time \(CUDA out of memory"
    ) as caught:
        Fitting(size, "hearts", fixed=fixed).over(Device(room), range(10))
    assert "run the same command again: it continues" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors_are_not_about_memory() -> None:
    def broken(_: Sequence[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Fitting(8, "hearts").over(broken, range(10))


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError(FULL), True),
        (RuntimeError("HIP out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("the word memory"), False),
    ],
)
def test_errors_about_memory_are_told_from_others(error: Exception, full: bool) -> None:
    assert is_full(error) is full


# The works that compute in batches


def test_videos_are_animated_in_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def beat(_: Any, hearts: torch.Tensor, efs: Sequence[float], *__: Any) -> Any:
        asked.append(len(hearts))
        if len(hearts) > 2:
            raise torch.OutOfMemoryError(FULL)
        return (torch.tensor(efs)[:, None, None, None] * torch.ones(1, 4, 16, 16)).to(torch.uint8).numpy()

    class Pipeline:
        texture = None

        class config:  # noqa: N801
            fps = 25.0

    monkeypatch.setattr(animate, "beat", beat)
    monkeypatch.setattr(animate, "video_pipeline", lambda *_: Pipeline)
    stills.write(tmp_path, range(5), torch.zeros(5, 4, 2, 2))
    path = stills.shard(tmp_path, 0)
    ef = EFDistribution()
    work = animate.Beat(tmp_path, tmp_path, Motion(4, batch_size=5), ef, 7, tmp_path / "Videos", "cpu")
    (tmp_path / "Videos").mkdir()
    with pytest.warns(UserWarning, match="too little memory for 5 videos of 4 frames at a time: taking 2"):
        assert work.start()(tuple(animate.Heart(n, path) for n in range(5))) == list(range(5))
    assert asked == [5, 3, 2, 2, 1]
    for n in range(5):
        made = video.read(tmp_path / "Videos" / f"{stills.name(n)}.avi").grey()
        assert abs(float(made.mean()) - int(ef.draw(7, n))) < 2, "its own EF, not its neighbour's"


def test_hearts_are_invented_in_smaller_batches_on_a_gpu_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(room=3)

    def invent(_: Any, numbers: Sequence[int], *__: Any) -> torch.Tensor:
        return torch.tensor(device(numbers))[:, None, None, None].float()

    monkeypatch.setattr(sample, "invent", invent)
    monkeypatch.setattr(sample, "image_pipeline", lambda *_: None)
    for name in ("cuda", "cpu"):
        monkeypatch.setattr(sample.devices, "resolve", lambda _, name=name: torch.device(name))
        (tmp_path / name).mkdir()
        work = sample.Sample(tmp_path, tmp_path / name, 12, 0, 1, None, 8, name)
        if name == "cpu":
            with pytest.raises(StoppedError, match="too little memory for hearts, 8 at a time"):
                work.start()(0)
        else:
            with pytest.warns(UserWarning, match="too little memory for 8 hearts at a time: taking 2"):
                assert work.start()(0) == 12
    _, made = stills.read(tmp_path / "cuda")
    assert made.flatten().tolist() == [10.0 * i for i in range(12)]


def test_generate_invents_in_smaller_batches_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(room=5)

    def invent(_: Any, numbers: Sequence[int], *__: Any) -> torch.Tensor:
        return torch.tensor(device(numbers))[:, None, None, None].float()

    class Facts:
        num_inference_steps = 1

    monkeypatch.setattr(tasks, "invent", invent)
    monkeypatch.setattr(tasks, "image_pipeline", lambda *_: None)
    monkeypatch.setattr(tasks.weights, "load_facts", lambda _: Facts)
    monkeypatch.setattr(tasks.devices, "resolve", lambda _: torch.device("cuda"))
    with pytest.warns(UserWarning, match="taking 4"):
        found = tasks.Invent(tmp_path, 0, tmp_path, None, "cuda").start()(tuple(range(8)))
    assert sorted(found) == list(range(8))
    assert device.asked == [8, 4, 4]


def test_frames_go_through_the_vae_in_smaller_batches(build: Callable[..., Any]) -> None:
    frames = torch.randint(0, 256, (20, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole, small = LatentCodec(build("vae")), LatentCodec(build("vae"))
    encode, decode = small.vae.encode, small.vae.decode

    def cramped(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(x: torch.Tensor) -> Any:
            if len(x) > 6:
                raise torch.OutOfMemoryError(FULL)
            return function(x)

        return run

    small.vae.encode, small.vae.decode = cramped(encode), cramped(decode)
    small.batches = Fitting(64, "frames")
    noise = torch.randn(20, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    with pytest.warns(UserWarning, match="too little memory for 20 frames at a time: taking 5"):
        latents = small.encode(frames, noise)
    torch.testing.assert_close(latents, whole.encode(frames, noise), atol=1e-4, rtol=1e-4)
    assert (small.decode(latents).int() - whole.decode(latents).int()).abs().max() <= 1
