"""Laws of the networks: shapes, folders, conditions, and what must not depend on what."""

import pytest
import torch
from torch import Tensor, nn

from echosyn.nn.blocks import ConditionEmbedding, SelfAttention
from echosyn.nn.ef_regressor import EFRegressor
from echosyn.nn.mode_unet import ModeUNet, orthonormal
from echosyn.nn.patch_autoencoder import PatchAutoencoderKL
from echosyn.nn.patch_critic import PatchCritic
from echosyn.nn.siamese import SiameseNet
from echosyn.nn.video_transformer import VideoTransformer
from echosyn.tensors import aligned

TINY = {"num_frames": 16, "width": 32, "depth": 2, "num_heads": 2}


def video_transformer(**config: int) -> VideoTransformer:
    torch.manual_seed(0)
    return VideoTransformer(**{**TINY, **config}).eval()


def trained(steps: int = 1, **config: int) -> VideoTransformer:
    """Leave the start, where the prediction is zero whatever is asked."""
    model = video_transformer(**config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x, ef = torch.randn(2, 8, 8, 14, 14), torch.tensor([[0.2], [0.7]])[:, : model.config.num_conditions]
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x, 500, ef).sample - x[:, :4]).square().mean().backward()
        optimizer.step()
    return model


NETWORKS = {
    "video transformer": (VideoTransformer, TINY, lambda m: m(torch.ones(1, 8, 9, 14, 14), 3, torch.ones(1, 1)).sample),
    "mode unet": (
        ModeUNet,
        {"num_frames": 16, "num_modes": 3, "block_out_channels": [8, 16]},
        lambda m: m(torch.eye(14).expand(1, 8, 9, 14, 14), 3, torch.ones(1, 1), course=torch.rand(1, 9) * 0).sample,
    ),
    "small siamese": (SiameseNet, {"backbone": "small"}, lambda m: m.embed(torch.eye(14).expand(2, 4, 14, 14))),
    "published siamese": (SiameseNet, {}, lambda m: m.embed(torch.eye(14).expand(2, 4, 14, 14))),
    "small ef": (EFRegressor, {"backbone": "small"}, lambda m: m(torch.eye(112).expand(1, 1, 4, 112, 112))),
    "published ef": (EFRegressor, {}, lambda m: m(torch.eye(112).expand(1, 3, 2, 112, 112))),
    "critic": (PatchCritic, {"num_filters": 8}, lambda m: m(torch.eye(64).expand(1, 3, 64, 64))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_decides_the_weights_and_a_folder_gives_back_the_same_network(name, tmp_path):
    network, config, call = NETWORKS[name]

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return network(**config).eval()

    first, again, other = build(1), build(1), build(2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))

    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    first.save_pretrained(tmp_path)
    loaded = network.from_pretrained(tmp_path).eval()
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert all(loaded.config[key] == first.config[key] for key in first.config if not key.startswith("_"))
    with torch.no_grad():
        # diffusers leaves its parameters where the file has them: another address, another kernel, another rounding
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), first.parameters(), strict=True))
        for parameter in loaded.parameters():
            parameter.data = aligned(parameter.data)
        for buffer in loaded.buffers():
            buffer.data = aligned(buffer.data)
        assert torch.equal(call(loaded), call(first))


class TestVideoTransformer:
    @pytest.mark.parametrize("temporal_patch_size", [1, 2, 4])
    @pytest.mark.parametrize("frames", [1, 5, 16])
    @pytest.mark.parametrize("patch_size", [2, 7])
    def test_any_number_of_frames_up_to_the_window(self, frames, temporal_patch_size, patch_size):
        model = video_transformer(temporal_patch_size=temporal_patch_size, patch_size=patch_size)
        x = torch.randn(2, 8, frames, 14, 14)
        assert model(x, torch.tensor([0.5, 999.0]), torch.rand(2, 1)).sample.shape == (2, 4, frames, 14, 14)

    def test_a_shape_that_does_not_fit_says_what_was_expected(self):
        with pytest.raises(ValueError, match=r"expected \(B, 8, T <= 16, 14, 14\)"):
            video_transformer()(torch.randn(1, 8, 17, 14, 14), 0)
        with pytest.raises(ValueError, match="multiple of patch_size"):
            video_transformer(patch_size=4)

    @pytest.mark.parametrize("time", [1, 2, 4])
    @pytest.mark.parametrize("patch_size", [1, 2, 7])
    def test_patches_there_and_back(self, time, patch_size):
        model = video_transformer(temporal_patch_size=time, patch_size=patch_size, in_channels=4)
        x = torch.randn(2, 4, 8, 14, 14)
        assert torch.equal(model._unpatchify(model._patchify(x)), x)

    def test_a_token_is_a_connected_tube_of_latents(self):
        model = video_transformer(in_channels=1)
        x = torch.zeros(1, 1, 8, 14, 14)
        x[:, :, 4:8, 2:4, 12:14] = 1  # second tube in time, second row, last column
        tokens = model._patchify(x)
        assert tokens[0, 1, 1 * 7 + 6].eq(1).all()
        assert tokens.sum() == x.sum()

    def test_a_new_network_predicts_zero_and_one_step_makes_it_listen(self):
        x = torch.randn(1, 8, 8, 14, 14)
        assert video_transformer()(x, 500, torch.tensor([[0.2]])).sample.eq(0).all()
        model = trained()
        low, high = (model(x, 500, torch.tensor([[ef]])).sample for ef in (0.2, 0.7))
        early, late = (model(x, t, torch.tensor([[0.2]])).sample for t in (100, 900))
        assert not torch.allclose(low, high, atol=1e-6)
        assert not torch.allclose(early, late, atol=1e-6)

    def test_not_given_is_not_zero(self):
        model = trained()
        x = torch.randn(1, 8, 8, 14, 14)
        zero, no = torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool)
        dropped = model(x, 500, zero, no).sample
        assert not torch.allclose(model(x, 500, zero).sample, dropped, atol=1e-6)
        assert torch.equal(model(x, 500, torch.tensor([[torch.nan]]), no).sample, dropped)
        assert torch.equal(model(x, 500).sample, dropped)

    def test_no_conditions_at_all(self):
        assert trained(num_conditions=0)(torch.randn(1, 8, 1, 14, 14), 1).sample.shape[2] == 1

    def test_every_parameter_learns(self):
        model = trained(steps=3)
        model.zero_grad()
        mask = torch.tensor([[True], [False]])
        model(torch.randn(2, 8, 8, 14, 14), 500, torch.rand(2, 1), mask).sample.square().sum().backward()
        silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not silent

    def test_an_item_does_not_depend_on_its_batch(self):
        model = trained()
        x, t, ef = torch.randn(3, 8, 8, 14, 14), torch.tensor([10.0, 500.0, 900.0]), torch.rand(3, 1)
        together = model(x, t, ef).sample
        alone = torch.cat([model(x[i : i + 1], t[i : i + 1], ef[i : i + 1]).sample for i in range(3)])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


SMALL = {"num_frames": 16, "num_modes": 3, "block_out_channels": (8, 16), "layers_per_block": 1, "course_width": 16}


def mode_unet(**config: int) -> ModeUNet:
    torch.manual_seed(0)
    return ModeUNet(**{**SMALL, "condition_width": 32, **config}).eval()


def velocity_of(still: Tensor, x_t: Tensor, t: float) -> Tensor:
    """Of a video that does not move."""
    return (x_t - still.unsqueeze(2)) / t


@pytest.fixture(scope="module")
def listening() -> ModeUNet:
    """A network with random weights everywhere: none is silent as at the start."""
    model = mode_unet()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def beat(batch: int, frames: int) -> Tensor:
    return (1 - torch.cos(torch.arange(frames) * 0.7)).expand(batch, -1) / 2


class TestModeUNet:
    def test_a_new_network_predicts_a_heart_that_stands_still(self):
        still, x_t = torch.randn(2, 4, 14, 14), torch.randn(2, 4, 8, 14, 14)
        sample = torch.cat([x_t, still.unsqueeze(2).expand_as(x_t)], dim=1)
        found = mode_unet()(sample, 500, torch.rand(2, 1), course=beat(2, 8)).sample
        torch.testing.assert_close(found, velocity_of(still, x_t, 0.5))

    @pytest.mark.parametrize("frames", [1, 5, 16])
    def test_any_number_of_frames_up_to_the_window(self, frames):
        x = torch.randn(2, 8, frames, 14, 14)
        found = mode_unet()(x, torch.tensor([0.5, 999.0]), torch.rand(2, 1), course=beat(2, frames)).sample
        assert found.shape == (2, 4, frames, 14, 14)
        assert found.isfinite().all()

    def test_shapes_that_do_not_fit_say_what_was_expected(self):
        with pytest.raises(ValueError, match=r"expected \(B, 8, T <= 16, 14, 14\)"):
            mode_unet()(torch.randn(1, 8, 17, 14, 14), 0, course=beat(1, 17))
        with pytest.raises(ValueError, match=r"course is None, expected \(1, 9\)"):
            mode_unet()(torch.randn(1, 8, 9, 14, 14), 0)
        with pytest.raises(ValueError, match="even"):
            mode_unet(sample_size=13)
        with pytest.raises(ValueError, match="latents beside a still"):
            mode_unet(in_channels=4)
        with pytest.raises(ValueError, match="ejection fraction"):
            mode_unet(num_conditions=0)

    def test_the_motion_is_a_sum_of_as_many_patterns_as_there_are_modes(self, listening):
        x, t = torch.randn(1, 8, 16, 14, 14), 0.5
        x[:, 4:] = x[:, 4:, :1]
        clean = x[:, :4] - t * listening(x, 1000 * t, torch.rand(1, 1), course=beat(1, 16)).sample
        motion = (clean - x[:, 4:])[0].transpose(0, 1).flatten(1)
        values = torch.linalg.svdvals(motion)
        assert values[2] > 1e-3
        assert values[3] < 1e-3 * values[2]

    def test_it_listens_to_the_ejection_fraction_and_to_its_absence(self, listening):
        x, yes, no = torch.randn(1, 8, 8, 14, 14), torch.tensor([[True]]), torch.tensor([[False]])
        course = beat(1, 8)
        low, high = (listening(x, 500, torch.tensor([[ef]]), yes, course).sample for ef in (0.2, 0.7))
        dropped = listening(x, 500, torch.tensor([[torch.nan]]), no, course).sample
        assert not torch.allclose(low, high, atol=1e-5)
        assert not torch.allclose(low, dropped, atol=1e-5)
        assert torch.equal(listening(x, 500, course=course).sample, dropped)

    def test_it_listens_to_the_course_frame_by_frame(self, listening):
        x, ef, course = torch.randn(1, 8, 9, 14, 14), torch.tensor([[0.5]]), beat(1, 9).clone()
        before = listening(x, 500, ef, course=course).sample
        course[0, 8] += 0.5
        assert not torch.allclose(listening(x, 500, ef, course=course).sample, before, atol=1e-5)

    def test_every_parameter_learns(self, listening):
        listening.zero_grad()
        mask, x = torch.tensor([[True], [False]]), torch.randn(2, 8, 8, 14, 14)
        listening(x, 500, torch.rand(2, 1), mask, beat(2, 8)).sample.square().sum().backward()
        silent = [name for name, p in listening.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not silent

    def test_an_item_does_not_depend_on_its_batch(self, listening):
        x, t, ef = torch.randn(3, 8, 8, 14, 14), torch.tensor([100.0, 500.0, 900.0]), torch.rand(3, 1)
        course = torch.rand(3, 8)
        together = listening(x, t, ef, course=course).sample
        each = [slice(i, i + 1) for i in range(3)]
        alone = torch.cat([listening(x[i], t[i], ef[i], course=course[i]).sample for i in each])
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)

    def test_rows_become_orthonormal_and_keep_their_span(self):
        rows = torch.randn(2, 3, 50)
        found = orthonormal(rows)
        torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(2, 3, 3), atol=0.02, rtol=0)
        rest = rows - rows @ found.mT @ found
        assert rest.norm() < 0.01 * rows.norm()

    def test_more_rows_than_dimensions_stay_finite(self):
        assert orthonormal(torch.randn(1, 5, 2)).isfinite().all()
        assert orthonormal(torch.zeros(1, 5, 2)).eq(0).all()

    def test_rows_that_are_nearly_alike_are_factored_under_autocast_too(self):
        rows = 1 + 1e-3 * torch.randn(1, 16, 784, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = orthonormal(rows)
        assert found.dtype == torch.float32
        assert torch.equal(found, orthonormal(rows))


def test_attention_permutes_with_its_tokens():
    torch.manual_seed(0)
    attention, x, order = SelfAttention(32, 2), torch.randn(2, 9, 32), torch.randperm(9)
    torch.testing.assert_close(attention(x)[:, order], attention(x[:, order]), atol=1e-5, rtol=1e-5)


def test_each_condition_is_dropped_alone():
    torch.manual_seed(0)
    embed, value = ConditionEmbedding(2, 8), torch.tensor([[0.3, 0.6]])
    both, first, second, none = (
        embed(value, torch.tensor([m], dtype=torch.bool)) for m in ([1, 1], [1, 0], [0, 1], [0, 0])
    )
    torch.testing.assert_close(both + none, first + second)
    torch.testing.assert_close(none[0], embed.dropped.sum(0))


class TestSiameseNet:
    @pytest.fixture(params=["small", "resnet18"])
    def model(self, request) -> SiameseNet:
        torch.manual_seed(0)
        return SiameseNet(backbone=request.param).eval()

    @pytest.fixture
    def latents(self) -> Tensor:
        return torch.randn(5, 4, 14, 14, generator=torch.Generator().manual_seed(0))

    def test_the_order_of_a_pair_does_not_matter(self, model, latents):
        a, b = latents, latents.flip(0)
        torch.testing.assert_close(model(a, b), model(b, a))
        assert model(a, b).shape == (5,)

    def test_embeddings_are_of_the_item_alone_and_in_0_1(self, model, latents):
        embeddings = model.embed(latents)
        assert embeddings.shape == (5, 128)
        assert embeddings.min() >= 0
        assert embeddings.max() <= 1
        alone = torch.cat([model.embed(latents[i : i + 1]) for i in (3, 0, 4, 1, 2)])
        torch.testing.assert_close(alone, embeddings[[3, 0, 4, 1, 2]], atol=1e-5, rtol=1e-5)

    def test_brightness_and_contrast_of_an_item_do_not_matter_unless_asked(self, model, latents):
        changed = latents * torch.linspace(0.5, 2, 5).view(-1, 1, 1, 1) + 0.3
        torch.testing.assert_close(model.embed(changed), model.embed(latents), atol=1e-5, rtol=1e-5)
        raw = SiameseNet(backbone="small", normalize=False).eval()
        assert not torch.allclose(raw.embed(changed), raw.embed(latents), atol=1e-4)

    def test_a_constant_item_gives_numbers(self, model):
        assert model.embed(torch.zeros(1, 4, 14, 14)).isfinite().all()

    def test_an_unknown_backbone_is_named(self):
        with pytest.raises(ValueError, match="'vgg'"):
            SiameseNet(backbone="vgg")


class TestEFRegressor:
    @pytest.fixture
    def model(self) -> EFRegressor:
        torch.manual_seed(0)
        return EFRegressor(backbone="small").eval()

    @pytest.mark.parametrize("frames", [1, 16, 33])
    def test_shapes(self, model, frames):
        clips = torch.randn(2, 1, frames, 112, 112)
        assert model(clips).shape == (2,)
        assert model.features(clips).shape[0] == 2

    def test_grey_or_three_times_grey(self, model):
        grey = torch.randn(1, 1, 4, 112, 112)
        torch.testing.assert_close(model(grey), model(grey.expand(-1, 3, -1, -1, -1)), atol=1e-5, rtol=1e-5)
        published = EFRegressor().eval()
        torch.testing.assert_close(published(grey), published(grey.expand(-1, 3, -1, -1, -1)), atol=1e-5, rtol=1e-5)
        assert published.features(grey).shape == (1, 512)

    def test_an_item_does_not_depend_on_its_batch(self, model):
        clips = torch.randn(3, 1, 8, 112, 112)
        alone = torch.cat([model(clips[i : i + 1]) for i in (2, 0, 1)])
        torch.testing.assert_close(alone, model(clips)[[2, 0, 1]], atol=1e-5, rtol=1e-5)

    def test_it_starts_near_the_bias(self):
        torch.manual_seed(0)
        assert EFRegressor(backbone="small", bias=40.0)(torch.zeros(1, 1, 4, 112, 112)).item() == pytest.approx(
            40, abs=1
        )

    def test_an_unknown_backbone_is_named(self):
        with pytest.raises(ValueError, match="'i3d'"):
            EFRegressor(backbone="i3d")


class TestPatchCritic:
    @pytest.mark.parametrize(("num_layers", "side"), [(1, 54), (2, 26), (3, 12)])
    def test_one_logit_per_patch(self, num_layers, side):
        critic = PatchCritic(in_channels=1, num_filters=8, num_layers=num_layers)
        assert critic(torch.randn(2, 1, 112, 112)).shape == (2, 1, side, side)

    def test_a_patch_sees_seventy_pixels(self):
        critic, image = (
            PatchCritic(in_channels=1, num_filters=8).eval(),
            torch.zeros(1, 1, 112, 112, requires_grad=True),
        )
        critic(image)[0, 0, 6, 6].backward()
        rows = image.grad[0, 0].abs().sum(1).nonzero()
        assert rows.max() - rows.min() + 1 == 70

    def test_an_item_does_not_depend_on_its_batch(self):
        torch.manual_seed(0)
        critic, images = PatchCritic(in_channels=1, num_filters=8).eval(), torch.randn(3, 1, 64, 64)
        torch.testing.assert_close(critic(images[1:2]), critic(images)[1:2], atol=1e-5, rtol=1e-5)


def test_the_patch_autoencoder_is_an_autoencoder_of_whole_frames(tmp_path):
    torch.manual_seed(0)
    vae = PatchAutoencoderKL(patch_size=4, block_out_channels=(8, 16), norm_num_groups=4).eval()
    frames = torch.randn(2, 1, 112, 112)
    with torch.no_grad():
        latents = vae.encode(frames).latent_dist.mean
        assert latents.shape == (2, 4, 14, 14)
        assert vae.decode(latents).sample.shape == frames.shape
        vae.register_to_config(scaling_factor=0.7)
        vae.save_pretrained(tmp_path)
        again = PatchAutoencoderKL.from_pretrained(tmp_path).eval()
        assert again.config.scaling_factor == 0.7
        torch.testing.assert_close(again.decode(latents).sample, vae.decode(latents).sample)


def test_a_new_residual_network_predicts_that_the_heart_stands_still():
    torch.manual_seed(0)
    network = VideoTransformer(num_frames=8, width=32, depth=1, num_heads=2, prediction="residual")
    noise, still = torch.randn(2, 4, 8, 14, 14), torch.randn(2, 4, 1, 14, 14)
    t = torch.tensor([250.0, 1000.0])
    x_t = (1 - t.view(-1, 1, 1, 1, 1) / 1000) * still + t.view(-1, 1, 1, 1, 1) / 1000 * noise
    velocity = network(torch.cat([x_t, still.expand_as(x_t)], dim=1), t).sample
    assert torch.allclose(velocity, noise - still, atol=1e-4)
