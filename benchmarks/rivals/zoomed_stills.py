"""A rival with a diffusion model and no motion model: small stills from a plain UNet, enlarged, that zoom in and out.

    python benchmarks/rivals/zoomed_stills.py REAL OUT --minutes 2

diffusers' UNet2DModel in pixel space learns TRAIN frames (DDPM, v-prediction). The zoom scales every volume in the
picture by ``1 - EF``, so the EF is right by construction wherever a ventricle is seen.
"""

import time

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel
from folder import FPS, arguments, read, write
from scipy import ndimage
from torch.nn import functional as F

SCHEDULE = DDIMScheduler(prediction_type="v_prediction")


def train(stills: torch.Tensor, seconds: float, seed: int) -> UNet2DModel:
    """Fit stills ``(n, 1, s, s)`` in -1..1 for so many processor seconds."""
    torch.manual_seed(seed)
    network = UNet2DModel(
        sample_size=stills.shape[-1],
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=8,
    )
    optimizer, started = torch.optim.AdamW(network.parameters(), 2e-3), time.process_time()
    while time.process_time() - started < seconds:
        clean = stills[torch.randint(len(stills), (16,))]
        noise, t = torch.randn_like(clean), torch.randint(SCHEDULE.config.num_train_timesteps, (len(clean),))
        predicted = network(SCHEDULE.add_noise(clean, noise, t), t).sample
        loss = F.mse_loss(predicted, SCHEDULE.get_velocity(clean, noise, t))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network.eval()


@torch.no_grad()
def sample(network: UNet2DModel, num: int, steps: int) -> torch.Tensor:
    """Stills ``(num, 1, s, s)``."""
    x = torch.randn(num, 1, network.config.sample_size, network.config.sample_size)
    SCHEDULE.set_timesteps(steps)
    for t in SCHEDULE.timesteps:
        x = SCHEDULE.step(network(x, t).sample, t, x).prev_sample
    return x


def zooming(still: np.ndarray, ef: float, num_frames: int, beats_per_s: float) -> np.ndarray:
    """A still ``(H, W)`` that shrinks and grows about its middle so that volumes fall by EF percent."""
    phase = 0.5 - 0.5 * np.cos(2 * np.pi * beats_per_s * np.arange(num_frames) / FPS)
    scales = (1 - ef / 100 * phase) ** (1 / 3)
    middle = (np.array(still.shape) - 1) / 2
    return np.stack([ndimage.affine_transform(still, np.eye(2) / s, middle - middle / s, order=1) for s in scales])


def main() -> None:
    """Train, sample, zoom."""
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="processor time of training")
    parser.add_argument("--size", type=int, default=28, help="pixels of the stills")
    parser.add_argument("--steps", type=int, default=25, help="of sampling")
    args = parser.parse_args()
    draws = np.random.default_rng(args.seed)
    videos, efs = read(args.real)
    frames = torch.from_numpy(videos[:, ::4].reshape(-1, 1, *videos.shape[2:])).float() / 127.5 - 1
    network = train(F.interpolate(frames, size=(args.size, args.size), mode="area"), 60 * args.minutes, args.seed)
    large = F.interpolate(sample(network, args.num, args.steps), size=videos.shape[2:], mode="bicubic")[:, 0]
    stills, labels = (127.5 * (large.clamp(-1, 1) + 1)).numpy(), draws.choice(efs, args.num)
    beats = draws.uniform(0.9, 1.5, args.num)
    write(args.out, (zooming(s, e, videos.shape[1], b) for s, e, b in zip(stills, labels, beats, strict=True)), labels)


if __name__ == "__main__":
    main()
