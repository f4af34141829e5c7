import pytest
import torch

from echosyn.privacy.fingerprints import (
    CELLS,
    StillPrints,
    VideoPrints,
    evenly,
    motions,
    shifted,
    thumbnails,
)
from echosyn.privacy.matching import nearest
from echosyn.privacy.video_digests import VideoDigest


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def embed(frames: torch.Tensor) -> torch.Tensor:
    return frames.flatten(1)[:, :16]


def film(num: int, seed: int) -> torch.Tensor:
    """Smooth grey frames with a black rim, as an echo has, uint8 ``(num, 112, 112)``."""
    smooth = torch.nn.functional.interpolate(noise(num, 1, 14, 14, seed=seed), size=112, mode="bilinear")[:, 0]
    inside = torch.zeros(112, 112)
    inside[12:100, 12:100] = 1
    return ((128 + 40 * smooth) * inside).clamp(0, 255).to(torch.uint8)


def digest(frames: torch.Tensor) -> VideoDigest:
    return VideoDigest(
        thumbnails(frames), torch.nn.functional.avg_pool2d(frames.float()[::2, None], 8).expand(-1, 4, -1, -1)
    )


def test_the_unmoved_view_is_among_the_shifted_ones_and_stays_with_its_frame():
    frames = noise(3, 4, 14, 14)
    views = shifted(frames, CELLS)
    assert views.shape == (27, 4, 14, 14)
    assert torch.equal(views[4::9], frames)


def test_a_still_moved_by_half_a_cell_is_found_by_a_shift():
    smooth = torch.nn.functional.avg_pool2d(noise(40, 4, 30, 30, seed=1), 17, 1)
    prints = StillPrints(embed, torch.zeros(4, 14, 14))
    references = prints.of_reference(smooth)["latents"]
    copy = shifted(smooth[7:8], CELLS)[0:1]
    plain = nearest(prints.of_reference(copy)["latents"], references).similarity.max()
    with_shifts = nearest(prints.of_queries(copy)[0]["latents"], references)
    assert with_shifts.similarity.max() > plain
    assert with_shifts.index[with_shifts.similarity.argmax()] == 7


def test_a_video_moved_by_four_pixels_is_found_by_a_shift():
    films = [film(16, seed) for seed in range(5)]
    prints = VideoPrints(embed, torch.zeros(28, 28))
    references = torch.cat([prints.of_reference(digest(f))["pixels"] for f in films])
    views = prints.of_query(digest(films[3].roll((4, 4), (1, 2))))["pixels"]
    found = nearest(views, references)
    assert found.similarity.max() > 0.95
    assert int(found.index[found.similarity.argmax()]) // 8 == 3


def test_motion_ignores_what_stands_still_and_how_strongly_it_moves():
    video, background = noise(20, 28, 28, seed=2), noise(1, 28, 28, seed=3)
    assert torch.allclose(motions(video + background), motions(video), atol=1e-5)
    found = nearest(motions(1.2 * video), motions(video))
    assert found.index.tolist() == list(range(12))
    assert found.similarity.min() > 0.9999


def test_a_video_without_motion_is_matched_by_its_frames():
    prints = VideoPrints(embed, torch.zeros(28, 28))
    frozen = digest(film(1, 4).expand(20, -1, -1))
    assert prints.of_query(frozen)["motion"].shape == (0, 8 * 14 * 14)
    short = prints.of_query(digest(film(8, 4)))
    assert short["motion"].shape == (0, 8 * 14 * 14)
    assert len(short["pixels"]) == 72


def test_stills_together_are_stills_one_by_one():
    prints, stills = StillPrints(embed, noise(4, 14, 14, seed=9)), noise(5, 4, 14, 14, seed=5)
    for one, view in zip(stills, prints.of_queries(stills), strict=True):
        alone = prints.of_queries(one[None])[0]
        assert all(torch.equal(alone[name], view[name]) for name in ("reid", "latents"))
    assert prints.of_queries(stills[:0]) == []


@pytest.mark.parametrize(("total", "num", "rows"), [(3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (1, 1, [0])])
def test_evenly_keeps_the_ends(total, num, rows):
    assert evenly(torch.arange(total), num).tolist() == rows
