import pytest
import torch

from echosyn.privacy.positive_controls import (
    cornered,
    cut_out,
    half_inverted,
    in_latents,
    in_pixels,
    later,
    noisy,
    reencoded,
    tiled,
    warped,
)


def recording(seed: int = 0, num: int = 12) -> torch.Tensor:
    coarse = torch.rand(num, 7, 7, generator=torch.Generator().manual_seed(seed))
    return (200 * coarse + 20).to(torch.uint8).repeat_interleave(16, 1).repeat_interleave(16, 2)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_every_disguise_gives_a_recording_and_leaves_the_original_alone(generator):
    original, other = recording(), recording(1, num=10)
    before = original.clone()
    for control in in_pixels():
        made = control.change(original, other, generator)
        assert made.dtype == torch.uint8
        assert made.shape[1:] == original.shape[1:]
        assert 5 <= len(made) <= 1.25 * len(original)
        assert torch.equal(original, before), control.kind


def test_a_stronger_disguise_is_farther_from_the_original(generator):
    original, other = recording(), recording(1)
    by_kind: dict[str, list[tuple[float, float]]] = {}
    for control in in_pixels():
        if control.kind in ("noise", "re-encoded", "gain", "rotation", "crop", "mixture", "shift"):
            made = control.change(original, other, generator)
            error = (made.float() - original.float()).abs().mean().item()
            strength = abs(control.strength) * (-1 if control.kind in ("noise", "re-encoded") else 1)
            by_kind.setdefault(control.kind, []).append((strength, error))
    for kind, pairs in by_kind.items():
        errors = [error for _, error in sorted(pairs)]
        weakest, strongest = errors[0], errors[-1]
        assert weakest < strongest, kind


def test_what_must_be_caught_is_what_was_promised():
    required = {(c.kind, c.strength): c.must for c in in_pixels() if c.must is not None}
    assert required[("exact copy", 0)] == 1.0
    assert (
        required[("noise", 20)] == required[("shift", 4)] == required[("rotation", 5)] == required[("crop", 5)] == 0.95
    )
    assert required[("gain", 20)] == required[("gain", -20)] == 0.95


def test_decibels_are_decibels(generator):
    original = torch.full((4, 64, 64), 100, dtype=torch.uint8)
    error = (noisy(original, 20, generator).float() - 100).square().mean().sqrt()
    assert error.item() == pytest.approx(10, rel=0.05)


def test_recoding_is_lossy_but_small_and_a_later_phase_is_the_rest():
    original = recording()
    for frame in original:
        frame[50:60, 50:60] = torch.randint(0, 255, (10, 10), generator=torch.Generator().manual_seed(2))
    assert 0 < (reencoded(original, 90).float() - original.float()).abs().mean() < 4
    assert torch.equal(later(original, 0.25), original[4:])
    assert len(later(original, 60.0)) == 6


def test_rearranged_copies_are_what_their_names_say(generator):
    original = recording()
    half = half_inverted(original)
    assert torch.equal(half[..., :56], 255 - original[..., :56])
    assert torch.equal(half[..., 56:], original[..., 56:])
    tiles = tiled(original, 3)
    assert torch.equal(tiles[:, :37, :37], tiles[:, 37:74, 74:111])
    assert tiles[:, 111:].max() == 0
    corner = cornered(original, 0.5)
    assert torch.equal(corner[:, :56, 56:], tiled(original, 2)[:, :56, :56])
    assert corner[:, 56:].max() == corner[..., :56].max() == 0
    middle = cut_out(original, 0.5)
    assert torch.equal(middle[:, 28:84, 28:84], original[:, 28:84, 28:84])
    assert middle.sum() == original[:, 28:84, 28:84].sum()
    bent = [(warped(original, share, generator).float() - original.float()).abs().mean() for share in (0.0, 0.05, 0.2)]
    assert bent[0] < 0.5 < bent[1] < bent[2]


def test_latent_disguises_call_the_image_model_at_their_noise(generator):
    asked = []
    latents = torch.zeros(3, 4, 14, 14)
    found = in_latents(lambda x, t: asked.append(t) or x)
    for control in found:
        assert control.latent
        assert control.change(latents, latents, generator).shape == latents.shape
    assert asked == [0.1, 0.25, 0.5, 0.75]
    assert len(in_latents()) == len(found) - 4
