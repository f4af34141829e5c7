"""Videos that a published generator made from a frame of each of sixty known patients: the right patient is named.

They lie in a folder ``shared`` beside the checkout; without it nothing is tested here.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from echosyn import weights
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import digest_of
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.privacy.screen import video_screen

FRAMES = Path(__file__).parents[3] / "shared" / "frames"
pytestmark = pytest.mark.skipif(not (FRAMES / "factual").is_dir(), reason="no folder of near-copies")


@pytest.mark.slow
def test_the_patient_whom_a_near_copy_was_made_from_is_named_and_the_set_is_flagged():
    """Three times, two thirds are training patients and the others set the threshold."""
    models = weights.find_all(weights.shipped(), ("vae", "reid"), "a4c")
    encoder, embed = codec(models["vae"], torch.device("cpu")), Screens.of(models).embed("cpu")

    def look(path: Path):
        shown = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(Image.open(path))]
        return digest_of(torch.from_numpy(np.stack(shown)), encoder)

    names = sorted(path.stem for path in (FRAMES / "original").glob("*.gif"))
    real, copies = ({n: look(FRAMES / kind / f"{n}.gif") for n in names} for kind in ("original", "factual"))
    right, flagged = [], []
    for third in range(3):
        train = [name for i, name in enumerate(names) if i % 3 != third]
        screen = video_screen([real[n] for n in names], names, [n in train for n in names], embed)
        found = screen.judge([copies[n] for n in train])
        right += [a == b for a, b in zip(found.nearest, train, strict=True)]
        flagged += (~found.kept).tolist()
    assert np.mean(right) >= 0.9
    assert np.mean(flagged) >= 0.9
