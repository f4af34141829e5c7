import pytest
import torch

from echosyn.privacy.fingerprints import Fingerprints, evenly, motions, shifted
from echosyn.privacy.matching import nearest


def latent_video(num: int, seed: int, size: int = 14) -> torch.Tensor:
    return torch.randn(num, 4, size, size, generator=torch.Generator().manual_seed(seed))


def embed(frames: torch.Tensor) -> torch.Tensor:
    return frames.flatten(1)[:, :16]


def test_the_unmoved_view_is_among_the_shifted_ones_and_stays_with_its_frame():
    frames = latent_video(3, 0)
    views = shifted(frames)
    assert views.shape == (27, 4, 14, 14)
    assert torch.equal(views[4::9], frames)


def test_a_copy_moved_by_half_a_cell_is_found_by_a_shift():
    smooth = torch.nn.functional.avg_pool2d(latent_video(40, 1, 30), 17, 1)
    prints = Fingerprints(embed, torch.zeros(4, 14, 14))
    references = prints.of_still(smooth, shifts=False)["correlation"]
    copy = shifted(smooth[7:8])[0:1]
    plain = nearest(prints.of_still(copy, shifts=False)["correlation"], references).similarity.max()
    with_shifts = nearest(prints.of_still(copy, shifts=True)["correlation"], references)
    assert with_shifts.similarity.max() > plain
    assert with_shifts.index[with_shifts.similarity.argmax()] == 7


def test_motion_ignores_what_stands_still_and_how_strongly_it_moves():
    video, background = latent_video(20, 2), latent_video(1, 3)
    assert torch.allclose(motions(video + background), motions(video), atol=1e-5)
    found = nearest(motions(1.2 * video), motions(video))
    assert found.index.tolist() == list(range(12))
    assert found.similarity.min() > 0.9999


def test_a_video_of_less_than_a_second_has_no_motion_but_stills():
    views = Fingerprints(embed, torch.zeros(4, 14, 14)).of_query(latent_video(8, 4))
    assert views["motion"].shape == (0, motions(latent_video(9, 4)).shape[1])
    assert len(views["correlation"]) == 72


def test_stills_together_are_stills_one_by_one():
    prints, stills = Fingerprints(embed, latent_video(1, 9)[0]), latent_video(5, 5)
    for one, view in zip(stills, prints.of_stills(stills), strict=True):
        alone = prints.of_still(one[None], shifts=True)
        assert all(torch.equal(alone[name], view[name]) for name in ("reid", "correlation"))
    assert prints.of_stills(stills[:0]) == []


@pytest.mark.parametrize(("total", "num", "rows"), [(3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (1, 1, [0])])
def test_evenly_keeps_the_ends(total, num, rows):
    assert evenly(torch.arange(total), num).tolist() == rows
