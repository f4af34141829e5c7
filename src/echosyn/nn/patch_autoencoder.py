"""A VAE that is cheap on a CPU: pixels are folded into channels before the first convolution."""

from typing import Any

from diffusers import AutoencoderKL
from diffusers.configuration_utils import FrozenDict, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle


class PatchAutoencoderKL(AutoencoderKL):  # type: ignore[misc]
    """diffusers' ``AutoencoderKL`` on ``patch_size x patch_size`` blocks of pixels (space to depth, Shi et al. 2016).

    Outside it is an ``AutoencoderKL`` of full-resolution frames; inside the convolutions at the two highest resolutions,
    most of a VAE's cost, are gone. With ``patch_size`` 4 and two blocks, 112x112 becomes 14x14.

    Args:
        patch_size: Height and width of a block of pixels.
        in_channels: Channels of a frame.
        out_channels: Likewise.
        block_out_channels: One level each; all but the last halve the size.
        layers_per_block: As in ``AutoencoderKL``, like all that follow.
        latent_channels: Channels of a latent.
        norm_num_groups: Groups of the norms.
        sample_size: Height and width of a frame.
        scaling_factor: One over the standard deviation of the latents.
        shift_factor: Mean of the latents, if they are shifted.
        mid_block_add_attention: Attention in the middle.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        patch_size: int = 4,
        in_channels: int = 1,
        out_channels: int = 1,
        block_out_channels: tuple[int, ...] = (48, 64),
        layers_per_block: int = 1,
        latent_channels: int = 4,
        norm_num_groups: int = 8,
        sample_size: int = 112,
        scaling_factor: float = 0.18215,
        shift_factor: float | None = None,
        mid_block_add_attention: bool = False,
    ) -> None:
        levels = len(block_out_channels)
        super().__init__(
            in_channels=in_channels * patch_size**2,
            out_channels=out_channels * patch_size**2,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=tuple(block_out_channels),
            layers_per_block=layers_per_block,
            latent_channels=latent_channels,
            norm_num_groups=norm_num_groups,
            sample_size=sample_size // patch_size,
            scaling_factor=scaling_factor,
            shift_factor=shift_factor,
            mid_block_add_attention=mid_block_add_attention,
        )
        # The parent has written its own, blockwise, settings beside and over ours.
        own = self._get_init_keys(type(self))
        ours = {"in_channels": in_channels, "out_channels": out_channels, "sample_size": sample_size}
        self._internal_dict = FrozenDict({k: v for k, v in self.config.items() if k in own} | ours)

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        """Frames ``(N, in_channels, H, W)`` to the posterior of their latents, as ``AutoencoderKL.encode``."""
        return super().encode(pixel_unshuffle(x, self.config.patch_size), return_dict=return_dict)

    def decode(self, z: Tensor, return_dict: bool = True, generator: Any = None) -> Any:
        """Latents to frames ``(N, out_channels, H, W)``, as ``AutoencoderKL.decode``."""
        blocks = super().decode(z, return_dict=False)[0]
        frames = pixel_shuffle(blocks, self.config.patch_size)
        return DecoderOutput(sample=frames) if return_dict else (frames,)
