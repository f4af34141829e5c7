import pytest
import torch

from echosyn.privacy.positive_controls import half_inverted, inset, tiled, warped
from echosyn.privacy.self_similarity import FRAMES, self_similarities

PAIRS = FRAMES * (FRAMES - 1) // 2


def film(seed: int, num: int = 16, side: int = 28) -> torch.Tensor:
    """Blobs that beat, each with its own phase."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.linspace(0, 6.3, num)[:, None, None]
    phase, size = (
        torch.rand(7, 7, generator=generator).repeat_interleave(side // 7, 0).repeat_interleave(side // 7, 1)
        for _ in range(2)
    )
    speed = 0.8 + 0.4 * torch.rand(1, generator=generator)
    return 100 + 60 * size * torch.sin(speed * time + 6.3 * phase)


def whole(frames: torch.Tensor) -> torch.Tensor:
    """Of the whole frame, the first window."""
    return self_similarities(frames).unflatten(0, (6, -1))[0, 0]


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def test_it_is_what_the_words_say():
    frames = film(0)
    coarse = frames.unflatten(1, (14, 2)).unflatten(3, (14, 2)).mean(dim=(2, 4)).flatten(1)
    expected = torch.cdist(coarse[:FRAMES], coarse[:FRAMES]).square()
    one, other = torch.triu_indices(FRAMES, FRAMES, 1)
    torch.testing.assert_close(whole(frames), expected[one, other], rtol=1e-3, atol=1.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.flip(-1),
        lambda x: x.rot90(1, (-2, -1)),
        lambda x: x.roll((14, 14), (-2, -1)),
        lambda x: 255 - x,
        half_inverted,
        lambda x: 3 * x + 20,
    ],
)
def test_pixels_may_change_places_and_signs(change):
    assert correlation(whole(film(0)), whole(change(film(0)))) == pytest.approx(1, abs=1e-4)


def test_other_hearts_are_less_alike_than_a_warped_one():
    frames = film(0, side=112)
    seen = [
        torch.nn.functional.adaptive_avg_pool2d(x[:, None].float(), 28)[:, 0]
        for x in (frames, warped(frames, 0.1, torch.Generator().manual_seed(0)))
    ]
    same = correlation(*map(whole, seen))
    assert same > 0.99
    assert same > max(correlation(whole(film(0)), whole(film(i))) for i in range(1, 9))


def test_the_whole_is_found_in_a_quarter_of_another():
    frames = film(0).to(torch.uint8)
    for made in (tiled(frames, 2), inset(frames, film(1).to(torch.uint8), 0.5)):
        quarter = self_similarities(made).unflatten(0, (6, -1))[2, 0]
        assert correlation(whole(frames), quarter) > 0.99


def test_windows_are_all_or_evenly_chosen_and_a_short_video_has_none():
    frames = film(0, num=30)
    assert self_similarities(frames).shape == (6 * 16, PAIRS)
    few = self_similarities(frames, 4)
    assert few.shape == (6 * 4, PAIRS)
    assert torch.equal(
        few.unflatten(0, (6, 4))[:, [0, -1]], self_similarities(frames).unflatten(0, (6, 16))[:, [0, -1]]
    )
    assert self_similarities(frames[:14]).shape == (0, PAIRS)
