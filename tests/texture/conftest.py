"""A phantom through the VAE that ships."""

import pytest
import torch

from echosyn import weights
from echosyn.data import phantom
from echosyn.pipeline.models import codec


@pytest.fixture(scope="session")
def through_the_vae():
    vae = codec(weights.shipped() / "vae", torch.device("cpu"))
    return lambda recorded: vae.decode(vae.encode(torch.from_numpy(recorded)))[..., 0].numpy()


@pytest.fixture(scope="session")
def decoded_phantom(through_the_vae):
    return through_the_vae(phantom.render(phantom.patient(77, 0, num_frames=64))[:24])
