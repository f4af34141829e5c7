"""A linear rival: principal components of frames, and linear-Gaussian motion of their coefficients.

    python benchmarks/rivals/linear_motion.py REAL OUT

A heart is drawn from the Gaussian of the TRAIN patients' mean coefficients; the way around that mean follows a vector
autoregression of order two, fitted by least squares. The EF is that of the TRAIN patient with the nearest mean.
"""

import numpy as np
from folder import arguments, read, write
from sklearn.decomposition import PCA

WARM_UP = 32
"""Steps before the first frame, so that the motion does not begin at rest."""


def autoregression(series: np.ndarray, ridge: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """``x_t = [x_{t-1}, x_{t-2}] W + noise`` fitted to ``(n, T, k)``: W ``(2k, k)`` and a root of the noise's covariance."""
    k = series.shape[2]
    before = np.concatenate([series[:, 1:-1], series[:, :-2]], axis=2).reshape(-1, 2 * k)
    after = series[:, 2:].reshape(-1, k)
    W = np.linalg.solve(before.T @ before + ridge * np.eye(2 * k), before.T @ after)
    return W, np.linalg.cholesky(np.cov((after - before @ W).T) + 1e-6 * np.eye(k))


def main() -> None:
    """Fit and draw."""
    parser = arguments(__doc__)
    parser.add_argument("--components", type=int, default=24)
    args = parser.parse_args()
    draws = np.random.default_rng(args.seed)
    videos, efs = read(args.real)
    n, T, H, W = videos.shape
    pca = PCA(min(args.components, n * T // 2 - 1), svd_solver="randomized", random_state=args.seed)
    pca.fit(videos[:, ::2].reshape(-1, H * W).astype(np.float32))
    codes = np.stack([pca.transform(video.reshape(T, -1).astype(np.float32)) for video in videos])
    means = codes.mean(axis=1)
    weights, root = autoregression(codes - means[:, None])
    hearts = draws.multivariate_normal(means.mean(axis=0), np.cov(means.T), args.num)
    labels = efs[((hearts[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]

    def animate(heart: np.ndarray) -> np.ndarray:
        path = [draws.normal(size=len(root)) @ root.T for _ in range(2)]
        for _ in range(WARM_UP + T):
            path.append(np.concatenate([path[-1], path[-2]]) @ weights + draws.normal(size=len(root)) @ root.T)
        return pca.inverse_transform(heart + np.stack(path[-T:])).reshape(T, H, W)

    write(args.out, map(animate, hearts), labels)


if __name__ == "__main__":
    main()
