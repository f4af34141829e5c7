"""Somebody hides a patient's frames between those of an invented heart: whichever they are, every frame is looked at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from echosyn import weights
from echosyn.data import phantom, stills, video
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.pipeline.audit.read_videos import DigestVideos
from echosyn.pipeline.generate.tasks import ScreenVideos
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import digest_of
from echosyn.pipeline.privacy_filter.screens import VIDEOS, Screens
from echosyn.privacy import stored
from echosyn.privacy.screen import video_screen

TRAIN, HELD_OUT, FPS = 20, 20, 32.0
FIRST = 1500
"""The shipped models saw phantoms of this seed below."""
COPIED = (3, 8, 15)


def recording(i: int, num: int = 64) -> Tensor:
    """Every frame; 8 a second are every fourth."""
    patient = phantom.patient(1, FIRST + 2 * i, view="A4C", num_frames=num, fps=FPS)
    return torch.from_numpy(phantom.render(patient).astype(np.uint8))


class Gate:
    """The check of finished videos, in a folder as `generate` has it."""

    def __init__(self, folder: Path) -> None:
        models = weights.find_all(weights.shipped(), ("vae", "reid"), "a4c")
        self.vae, self.folder = models["vae"], folder
        self.encoder: LatentCodec = codec(self.vae, torch.device("cpu"))
        train = [digest_of(recording(i)[::4], self.encoder) for i in range(TRAIN)]
        others = [digest_of(recording(i), self.encoder, FPS) for i in range(TRAIN, TRAIN + HELD_OUT)]
        names, is_train = [f"p{i:02d}" for i in range(TRAIN + HELD_OUT)], [i < TRAIN for i in range(TRAIN + HELD_OUT)]
        self.screens = Screens(models["reid"], self.vae, folder=folder)
        self.screen = video_screen(train + others, names, is_train, self.screens.embed("cpu"))
        stored.write(folder / VIDEOS, self.screen)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


def among(host: Tensor, copied: Tensor, hidden: Callable[[int], bool]) -> Tensor:
    """The host with some frames of another one in the place of its own."""
    chosen = torch.tensor([hidden(i) for i in range(len(host))])
    return torch.where(chosen[:, None, None], copied[: len(host)], host)


HIDDEN: dict[str, Callable[[int], bool]] = {
    "three of four": lambda i: i % 4 != 0,
    "one of four": lambda i: i % 4 == 2,
    "one of eight": lambda i: i % 8 == 5,
    "a single one": lambda i: i == 37,
}


@pytest.mark.parametrize("how", HIDDEN)
def test_frames_between_those_of_the_usual_rate_are_seen_and_named(how: str, gate: Gate) -> None:
    videos = [among(recording(200 + 2 * i), recording(i), HIDDEN[how]) for i in COPIED]
    found = gate.screen.judge([digest_of(x, gate.encoder, FPS) for x in videos])
    assert not found.kept.any()
    assert list(found.nearest) == [f"p{i:02d}" for i in COPIED]


def test_a_second_of_six_is_seen_and_named(gate: Gate) -> None:
    host = recording(231, 192)
    host[70:102] = recording(COPIED[0])[:32]
    found = gate.screen.judge([digest_of(host, gate.encoder, FPS)])
    assert (found.kept.tolist(), found.nearest) == ([False], [f"p{COPIED[0]:02d}"])


def test_two_patients_who_alternate_are_both_named(gate: Gate) -> None:
    first, second, host = recording(COPIED[0]), recording(COPIED[1]), recording(232)
    made = among(among(host, first, lambda i: i % 4 == 1), second, lambda i: i % 4 == 3)
    names, scores, judged = gate.screen.by_patient([digest_of(made, gate.encoder, FPS)])
    assert not judged.kept.any()
    close = {
        name for name, score in zip(names, scores[0].tolist(), strict=True) if score >= gate.screen.threshold.value
    }
    assert close == {f"p{i:02d}" for i in COPIED[:2]}


@pytest.mark.parametrize("disguise", [lambda x: x.flip(-1), lambda x: 255 - x], ids=["mirrored", "inverted"])
def test_hidden_frames_in_disguise_are_a_scene_of_their_own(disguise: Callable[[Tensor], Tensor], gate: Gate) -> None:
    videos = [among(recording(200 + 2 * i), disguise(recording(i)), HIDDEN["one of four"]) for i in COPIED]
    found = gate.screen.judge([digest_of(x, gate.encoder, FPS) for x in videos])
    assert not found.kept.any()
    assert list(found.nearest) == [f"p{i:02d}" for i in COPIED]


def test_an_inverted_host_does_not_stand_for_the_patient(gate: Gate) -> None:
    """Frames with a correlation of -1 are no copies of one another in the eyes of the pixels, and must not count as alike."""
    copied = recording(COPIED[0])
    found = gate.screen.judge([digest_of(among(255 - copied, copied, HIDDEN["a single one"]), gate.encoder, FPS)])
    assert found.nearest == [f"p{COPIED[0]:02d}"]
    assert not found.kept.any()


def test_strangers_are_mostly_left_alone(gate: Gate) -> None:
    found = gate.screen.judge([digest_of(recording(100 + i), gate.encoder, FPS) for i in range(12)])
    assert found.kept.double().mean() >= 0.75


def test_a_patient_in_the_difference_of_the_channels_is_refused(tmp_path: Path) -> None:
    """The mean of the channels, which is what is compared, shows the host alone."""
    host, copied = recording(100, 64).float(), recording(COPIED[0], 64).float()
    apart = (copied - 128) / 8
    read = DigestVideos(weights.find_all(weights.shipped(), ("vae",), "a4c")["vae"], "cpu").start()
    for name, shown in (("hidden", [host + apart, host, host - apart]), ("grey", [host, host, host])):
        frames = torch.stack(shown, dim=-1).round().clamp(0, 255).to(torch.uint8)
        video.write_avi(tmp_path / f"{name}.avi", frames.numpy(), FPS)
    with pytest.raises(DataError, match=r"hidden.avi: its colour channels differ by up to [12]\d grey levels"):
        read((0, tmp_path / "hidden.avi"))
    assert len(read((1, tmp_path / "grey.avi")).every) == 64


def test_the_gates_read_every_frame_of_a_file(gate: Gate) -> None:
    """`generate` checks with one work, `audit` and `withdraw` read with the other."""
    videos = gate.folder / "Videos"
    videos.mkdir()
    host, copied = recording(100), recording(COPIED[0])
    for number, frames in enumerate((host, among(host, copied, HIDDEN["three of four"]))):
        video.write_avi(videos / f"{stills.name(number)}.avi", frames.numpy(), FPS)
    made = ScreenVideos(videos, gate.screens, "cpu").start()([0, 1])
    assert [one.apart for one in made] == [True, False]
    read = DigestVideos(gate.vae, "cpu").start()
    digests = [read((i, videos / f"{stills.name(i)}.avi")) for i in range(2)]
    assert [len(x.every) for x in digests] == [64, 64]
    assert gate.screen.judge(digests).kept.tolist() == [True, False]
