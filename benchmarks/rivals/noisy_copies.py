"""A rival that memorises: TRAIN videos, moved by up to three pixels and noisy, with their own EFs.

python benchmarks/rivals/noisy_copies.py REAL OUT
"""

import numpy as np
from folder import arguments, read, write
from scipy import ndimage

NOISE = 6.0
"""Standard deviation in grey levels."""


def main() -> None:
    """Copy."""
    args = arguments(__doc__).parse_args()
    draws = np.random.default_rng(args.seed)
    videos, efs = read(args.real)
    chosen = draws.permutation(np.resize(draws.permutation(len(videos)), args.num))

    def copy(video: np.ndarray) -> np.ndarray:
        moved = ndimage.shift(video, (0, *draws.integers(-3, 4, 2)), order=0)
        return moved + draws.normal(0, NOISE, video.shape) * (moved > 0)

    write(args.out, (copy(videos[i]) for i in chosen), efs[chosen])


if __name__ == "__main__":
    main()
