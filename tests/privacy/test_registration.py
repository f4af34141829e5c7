"""A copy that was moved, turned, zoomed, mirrored or inverted is found; who it is like is said by no more than that."""

import numpy as np
import pytest
import torch

from echosyn.data import phantom
from echosyn.pixels import moved
from echosyn.privacy.fingerprints import thumbnails
from echosyn.privacy.matching import Prepared, prepared
from echosyn.privacy.positive_controls import squeezed
from echosyn.privacy.registration import (
    _partial_correlations,
    picture,
    query,
    reference,
    registered,
    registered_of_each,
)

NUM = 30
NAMES = [f"p{i:02d}" for i in range(NUM)]


def heart(i: int) -> torch.Tensor:
    """Two seconds, eight frames a second."""
    patient = phantom.patient(3, i, view="A4C", num_frames=64, fps=32.0)
    return torch.from_numpy(phantom.render(patient)[::4]).float()


@pytest.fixture(scope="module")
def hearts() -> list[torch.Tensor]:
    return [heart(i) for i in range(NUM)]


@pytest.fixture(scope="module")
def known(hearts: list[torch.Tensor]) -> tuple[Prepared, torch.Tensor]:
    """References, and the mean picture."""
    centre = torch.stack([picture(thumbnails(x)) for x in hearts]).mean(dim=0)
    return prepared(torch.cat([reference(thumbnails(x)) for x in hearts])), centre


def asked(video: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    return query(thumbnails(video), centre)


DISGUISES = {
    "none": lambda x: x,
    "mirrored": lambda x: x.flip(-1),
    "inverted": lambda x: 255 - x,
    "backwards": lambda x: x.flip(0),
    "darker": lambda x: 0.6 * x,
    "moved by 12": lambda x: moved(x, shift=(12 / 112, 12 / 112)),
    "moved by -16": lambda x: moved(x, shift=(-16 / 112, -16 / 112)),
    "rotated by 20": lambda x: moved(x, degrees=20),
    "rotated by -13": lambda x: moved(x, degrees=-13),
    "cropped by 20 %": lambda x: moved(x, scale=0.8),
    "shrunk by 20 %": lambda x: moved(x, scale=1.2),
    "gamma 2": lambda x: 255 * (x / 255) ** 2,
    "upside down": lambda x: x.flip(-2),
    "turned by 90": lambda x: x.rot90(1, (-2, -1)),
    "turned by 180": lambda x: x.rot90(2, (-2, -1)),
    "turned by 270, moved by 8": lambda x: moved(x.rot90(3, (-2, -1)), shift=(8 / 112, 8 / 112)),
    "transposed": lambda x: x.transpose(-2, -1),
    "transposed the other way": lambda x: x.transpose(-2, -1).rot90(2, (-2, -1)),
    "rotated by 45": lambda x: moved(x, degrees=45),
    "rotated by -45": lambda x: moved(x, degrees=-45),
    "magnified twice": lambda x: moved(x, scale=0.5),
    "shrunk to 60 %": lambda x: moved(x, scale=1.6),
    "shrunk to a half": lambda x: moved(x, scale=2.0),
    "60 % of its width": lambda x: squeezed(x, 0.6).float(),
    "60 % of its height": lambda x: squeezed(x.transpose(-2, -1), 0.6).transpose(-2, -1).float(),
    "all at once": lambda x: 255 - moved(x.flip(-1), shift=(0.05, -0.05), degrees=12, scale=0.9),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_copy_is_nearer_to_its_source_than_strangers_are_to_anybody(disguise, hearts, known):
    references, centre = known
    strangers = registered(torch.cat([asked(heart(100 + i), centre) for i in range(6)]), references)
    chosen = [2, 11, 23]
    found = registered(torch.cat([asked(DISGUISES[disguise](hearts[i]), centre) for i in chosen]), references)
    assert found.index.tolist() == chosen
    assert found.similarity.min() > strangers.similarity.max()


def test_what_is_found_of_one_does_not_depend_on_the_others(hearts, known):
    references, centre = known
    some = torch.cat([asked(moved(hearts[i], degrees=7), centre) for i in range(5)])
    together = registered(some, references)
    alone = [registered(one[None], references) for one in some]
    assert torch.equal(together.similarity, torch.cat([one.similarity for one in alone]))
    names, table = registered_of_each(list(some.split(1)), references, NAMES)
    assert names == NAMES
    assert torch.equal(table.max(dim=1).values, together.similarity)
    assert table.argmax(dim=1).tolist() == together.index.tolist() == list(range(5))


def test_of_several_pictures_of_one_video_the_nearest_counts(hearts, known):
    references, centre = known
    both = torch.cat([asked(hearts[i].flip(-1), centre) for i in (4, 9)])
    names, table = registered_of_each([both, both[:0], both[1:]], references, NAMES)
    assert names == NAMES
    assert set(table[0].topk(2).indices.tolist()) == {4, 9}
    assert torch.equal(table[1], torch.full((NUM,), -1.0))
    assert table[2].argmax() == 9


def test_references_of_the_same_patient_are_skipped(hearts, known):
    references, centre = known
    owners = [f"p{i // 2:02d}" for i in range(NUM)]
    found = registered(asked(hearts[4], centre), references, query_groups=["p02"], reference_groups=owners)
    assert found.index.item() not in (4, 5)
    assert found.similarity.item() < 0.95


def test_of_what_is_blank_there_is_nothing_to_recognise(known):
    references, centre = known
    assert len(asked(torch.full((8, 112, 112), 7.0), centre)) == 0
    names, table = registered_of_each([torch.zeros(0, centre.numel() * 2)], references, NAMES)
    assert (len(names), table.max().item()) == (NUM, -1.0)


def test_the_partial_correlation_is_that_of_what_a_constant_and_the_centre_do_not_explain():
    generator = torch.Generator().manual_seed(0)
    centre = 20 * torch.rand(2, 784, generator=generator)
    y = 100 + centre + 5 * torch.randn(2, 2, 784, generator=generator)
    x = 30 - y[:, None] + 2 * centre + 7 * torch.randn(2, 3, 2, 784, generator=generator)
    shown = (torch.rand(2, 3, 784, generator=generator) > 0.3).float()
    masked = (x - x.mean()) * shown[:, :, None]
    found = torch.stack(_partial_correlations(masked, y - y.mean(dim=-1, keepdim=True), centre, shown), dim=-1)
    for i, j, channel in np.ndindex(2, 3, 2):
        part = shown[i, j] > 0
        known = torch.stack([torch.ones(int(part.sum())), centre[channel, part]], dim=1).double()
        pair = torch.stack([x[i, j, channel, part], y[i, channel, part]], dim=1).double()
        left = pair - known @ torch.linalg.lstsq(known, pair).solution
        assert float(found[i, j, channel]) == pytest.approx(float(torch.corrcoef(left.T)[0, 1]), abs=1e-5)
