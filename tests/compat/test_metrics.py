"""Distribution metrics against independent libraries, on the same features."""

import numpy as np
import pytest
import torch

from echosyn.metrics.coverage import coverage
from echosyn.metrics.frechet import frechet_distance, frechet_distance_of
from echosyn.metrics.inception_score import InceptionScore
from echosyn.metrics.kernel import kernel_distance
from echosyn.metrics.moments import moments


@pytest.fixture(scope="module")
def sides() -> tuple[np.ndarray, np.ndarray]:
    """Features as a network gives them: float32, positive, correlated."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, 24))
    real = np.abs(rng.normal(size=(400, 24)) @ mix).astype(np.float32)
    synthetic = np.abs(rng.normal(size=(400, 24)) @ mix * 0.9 + 0.2).astype(np.float32)
    return real, synthetic


def test_frechet_distance(sides):
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    real, synthetic = sides
    statistics = [fid.fid_features_to_statistics(torch.from_numpy(x)) for x in sides]
    theirs = fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(moments(real), moments(synthetic)) == pytest.approx(theirs, rel=1e-6)
    assert frechet_distance_of(real, synthetic) == pytest.approx(theirs, rel=1e-6)


def test_kernel_distance(sides):
    from torchmetrics.image.kid import poly_mmd

    a, b = (torch.from_numpy(x).double() for x in sides)
    assert kernel_distance(*sides) == pytest.approx(poly_mmd(a, b).item(), rel=1e-6)
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    theirs = kid.kernel_mmd(a.numpy(), b.numpy(), kid_kernel_poly_coef0=1, **options)
    assert kernel_distance(*sides) == pytest.approx(theirs, rel=1e-6)


def test_precision_and_recall(sides):
    prc = pytest.importorskip("torch_fidelity.metric_prc")
    real, synthetic = (torch.from_numpy(x).double() for x in sides)
    precision, recall = prc.calculate_precision_recall_full(synthetic, real, neighborhood=3)
    found = coverage(*sides)
    assert (found.precision, found.recall) == (pytest.approx(precision, rel=1e-6), pytest.approx(recall, rel=1e-6))


@pytest.mark.parametrize("neighbours", [3, 5])
def test_density_and_coverage(sides, neighbours):
    prdc = pytest.importorskip("prdc")
    real, synthetic = (x.astype(np.float64) for x in sides)
    theirs = prdc.compute_prdc(real, synthetic, nearest_k=neighbours)
    found = coverage(real, synthetic, neighbours)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(theirs[name], rel=1e-6)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score(sides, splits):
    isc = pytest.importorskip("torch_fidelity.metric_isc")
    theirs = isc.isc_features_to_metric(torch.from_numpy(sides[0]), splits=splits, shuffle=False)
    scores = []
    for part in np.array_split(sides[0], splits):
        score = InceptionScore()
        score.update(part)
        scores.append(score.score)
    assert np.mean(scores) == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert np.std(scores) == pytest.approx(theirs["inception_score_std"], rel=1e-6)
