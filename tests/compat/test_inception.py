"""Our Inception-v3 against torch-fidelity's, with equal random weights."""

import pytest
import torch

from echosyn import rng
from echosyn.nn import inception


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    with rng.initializing(0):
        network = inception.InceptionV3()
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


def loaded(path) -> inception.InceptionV3:
    network = inception.InceptionV3()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network


@pytest.mark.parametrize("size", [64, 320])
def test_features_and_logits(weights_file, size):
    theirs = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    reference = theirs.FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights_file)
    )
    images = torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    features, logits = reference(images)
    ours = loaded(weights_file)
    torch.testing.assert_close(ours.pooled(images), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.logits(ours.pooled(images)), logits, rtol=1e-4, atol=1e-5)


def test_grey_is_three_equal_channels(weights_file):
    network = loaded(weights_file)
    grey = torch.randint(0, 256, (1, 1, 48, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.testing.assert_close(network.pooled(grey), network.pooled(grey.expand(-1, 3, -1, -1)))
